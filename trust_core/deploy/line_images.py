"""A guard over folders of new, unlabelled images: decisions as a table, once or as they arrive."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trust_core.audit.engine import run_local
from trust_core.data.files import is_image, list_files
from trust_core.deploy.inspection import Inspection, Inspector, Read
from trust_core.deploy.log import GuardLog
from trust_core.deploy.policy import DEFECTIVE, GOOD, RE_INSPECT
from trust_core.errors import DataError, SettingsError, file_errors

POLL = 0.5  # seconds between two looks at a watched folder
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("decision", pa.string()),
        ("p_defect", pa.float64()),
        ("indicator", pa.float64()),
        ("reason", pa.string()),
    ]
)
DECISION_COLUMNS = tuple(SCHEMA.names)

Write = Callable[[Sequence[Inspection]], None]


@dataclass(frozen=True)
class Found:
    """An image and what it is called: its path below the folder that was named."""

    path: Path
    name: str


def find_images(places: Sequence[Path]) -> list[Found]:
    """The images in folders, and files, in the order given.

    Raises:
        DataError: something is not there, or there is no image at all.
    """
    found = []
    for place in places:
        if place.is_file():
            found.append(Found(place, str(place)))
        else:
            found += [Found(place / name, name) for name in list_files(place) if is_image(name)]
    if not found:
        raise DataError(
            f"No image in {', '.join(map(str, places))}; name image files, or folders of them."
        )
    return found


def inspect_files(
    guard: Inspector, images: Sequence[Found], write: Write, log: GuardLog | None = None
) -> Counter[str]:
    """Inspect images, reading ahead of the network.

    `write` gets the inspections, a batch at a time, in order; they are noted in `log` too.

    Returns:
        How many have each decision.
    """
    size = guard.batch_size
    batches = [images[start : start + size] for start in range(0, len(images), size)]
    counts = Counter(dict.fromkeys((DEFECTIVE, GOOD, RE_INSPECT), 0))

    def load(batch: Sequence[Found]) -> tuple[Sequence[Found], list[Read]]:
        return batch, [guard.pixels(image.path, image.path.name) for image in batch]

    def work(loaded: tuple[Sequence[Found], list[Read]]) -> list[Inspection]:
        batch, read = loaded
        return guard.inspect_read(read, [image.name for image in batch])

    for inspections in run_local(batches, load, work):
        write(inspections)
        if log:
            log.write(inspections)
        counts.update(part.decision for part in inspections)
    return counts


def watch(
    guard: Inspector,
    places: Sequence[Path],
    write: Write,
    log: GuardLog | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
    poll: float = POLL,
) -> Counter[str]:
    """Inspect the images in folders, and those that arrive later, until `stop` says so.

    An image is taken when its size has not changed between two looks. A file that is written again
    under its name is a new part. A folder that cannot be listed just now is waited for.

    Args:
        guard: a guard.
        places: folders.
        write: as in `inspect_files`.
        log: as in `inspect_files`.
        stop: asked after every look.
        tell: gets why a folder cannot be listed, once.
        poll: seconds between two looks.
    """
    for place in places:
        if not place.is_dir():
            raise SettingsError(f"{place} is no folder; --watch takes folders.")
    counts = Counter(dict.fromkeys((DEFECTIVE, GOOD, RE_INSPECT), 0))
    done: dict[Path, tuple[int, int]] = {}
    before: dict[Path, tuple[int, int]] = {}
    told = ""
    while True:
        try:
            here = _images_here(places)
        except DataError as error:
            if str(error) != told:
                told = str(error)
                tell(told)
        else:
            told = ""
            ready = [
                image
                for image, status in here.items()
                if before.get(image.path) == status and done.get(image.path) != status
            ]
            if ready:
                counts += inspect_files(guard, ready, write, log)
                done |= {image.path: here[image] for image in ready}
            before = {image.path: status for image, status in here.items()}
            done = {path: status for path, status in done.items() if path in before}
        if stop():
            return counts
        time.sleep(poll)


def _images_here(places: Sequence[Path]) -> dict[Found, tuple[int, int]]:
    """The images below some folders, with size and time."""
    named = [Found(place / n, n) for place in places for n in list_files(place) if is_image(n)]
    seen = {image: _status(image.path) for image in named}
    return {image: status for image, status in seen.items() if status}


def _status(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None when it has just gone, or may not be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@contextmanager
def decision_table(path: Path | None) -> Iterator[Write]:
    """A writer of decisions: `.csv`, `.parquet`, or nowhere. CSV appears line by line.

    Raises:
        SettingsError: another kind of file.
        StoreError: it cannot be written.
    """
    if path is None:
        yield lambda _: None
        return
    with file_errors(f"Cannot write {path}"):
        if path.suffix.lower() == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(DECISION_COLUMNS)

                def write(inspections: Sequence[Inspection]) -> None:
                    writer.writerows(map(_row, inspections))
                    file.flush()

                yield write
        elif path.suffix.lower() == ".parquet":
            with pq.ParquetWriter(path, SCHEMA) as parquet:
                yield lambda inspections: parquet.write_table(_table(inspections))
        else:
            raise SettingsError(f"--out {path}: decisions are written as .csv or .parquet.")


def _row(part: Inspection) -> list[object]:
    return [part.name, *(getattr(part, name) for name in DECISION_COLUMNS[1:])]


def _table(inspections: Sequence[Inspection]) -> pa.Table:
    rows = zip(*map(_row, inspections), strict=True)
    return pa.Table.from_arrays(
        [pa.array(values, kind) for values, kind in zip(rows, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )
