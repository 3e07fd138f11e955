"""An audit on disk: writing one. Shards while it runs, so that a killed run resumes; then a merge.

A shard is a folder with the tables and maps of some images, complete or not there at all. The merge
streams the shards, in order, into the files that `trust_core.storage.audit_files` reads.
"""

import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from trust_core.errors import StoreError
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import ACTIVATIONS, FEATURES, MAPS, MASKS, SAMPLES, SCORES
from trust_core.storage.checksums import check_sums, write_sums

SHARDS = "shards"
ARRAYS = "arrays.npz"
# Arrays of a shard with a row an image, which not every network has: where they go in the end.
ARRAY_FILES = {"features": FEATURES, "masks": MASKS, "activations": ACTIVATIONS}
SCALE_ROWS = 20_000  # images that a display scale is taken from, at most
ROW_GROUP = 16_384  # rows of a Parquet file that lie together: one part reads one such group

RETRY = "retry"  # column of a shard: an image that could not be read for a reason that may pass
# A table in which a column is empty has the columns of any other, or the two could not be joined.
COLUMN_TYPES = {
    **dict.fromkeys(("sample_id", "status", "reason"), pa.large_string()),
    **dict.fromkeys(("strength", "log_odds", "p_defect"), pa.float64()),
    **dict.fromkeys(("iou_defect", "iou_good", "iou_difference"), pa.float64()),
    "predicted": pa.int8(),
    "row": pa.int64(),
    RETRY: pa.bool_(),
}

Half = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Shard:
    """What the model pass says of some images, in `sample_id` order.

    Attributes:
        samples: a row an image: `sample_id, log_odds, p_defect, predicted, status, reason` and
            `RETRY`, which is not kept in the end.
        scores: a row an (image, strength), sorted by both; columns of `scores.parquet` but `row`.
        maps: by name, `(rows of scores, h, w)`.
        features: penultimate features `(rows of samples, F)`, or None.
        masks: the mask head's probabilities of defective `(rows of samples, H', W')`, NaN for an
            unreadable image, or None.
        activations: pooled activations of all depths `(rows of samples, D)`, or None.
    """

    samples: pd.DataFrame
    scores: pd.DataFrame
    maps: dict[str, Half]
    features: Half | None
    masks: Half | None = None
    activations: Half | None = None


def shard_path(folder: Path, index: int) -> Path:
    """Where shard `index` of the audit in `folder` lies."""
    return folder / SHARDS / f"{index:06d}"


def write_shard(folder: Path, index: int, shard: Shard) -> None:
    """Write a shard; it appears whole, by one rename, or not at all."""
    arrays = {f"map:{name}": array for name, array in shard.maps.items()}
    kept = {name: getattr(shard, name) for name in ARRAY_FILES}
    arrays |= {name: values for name, values in kept.items() if values is not None}
    target = shard_path(folder, index)
    target.parent.mkdir(exist_ok=True)
    with replacing(target, locked=True) as unfinished:
        unfinished.mkdir()
        pq.write_table(_typed(shard.samples), unfinished / SAMPLES)
        pq.write_table(_typed(shard.scores), unfinished / SCORES)
        np.savez(unfinished / ARRAYS, **arrays)  # type: ignore[arg-type]
        write_sums(unfinished)
        shutil.rmtree(target, ignore_errors=True)  # one whose images are tried again


def read_shard(folder: Path, index: int) -> Shard:
    """Read a shard back.

    Raises:
        StoreError: it is damaged.
    """
    path = shard_path(folder, index)
    with _undamaged(path):
        check_sums(path, (SAMPLES, SCORES, ARRAYS))
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            maps = {n.removeprefix("map:"): arrays[n] for n in arrays.files if n.startswith("map:")}
            kept = {name: arrays.get(name) for name in ARRAY_FILES}
        samples, scores = (pd.read_parquet(path / name) for name in (SAMPLES, SCORES))
    return Shard(samples, scores, maps, **kept)


def read_shard_samples(folder: Path, index: int) -> pd.DataFrame:
    """What the model pass says of the images of one shard.

    Raises:
        StoreError: it is damaged.
    """
    with _undamaged(shard_path(folder, index)) as path:
        check_sums(path, [SAMPLES])
        return pd.read_parquet(path / SAMPLES)


def count_retries(folder: Path, index: int) -> int | None:
    """Images of a shard that another try may read; None where there is no whole shard."""
    if not shard_path(folder, index).is_dir():
        return None
    try:
        samples = read_shard(folder, index).samples
    except StoreError:
        return None
    return int(samples[RETRY].sum()) if RETRY in samples else 0


@contextmanager
def _undamaged(path: Path) -> Iterator[Path]:
    """Whatever reading a damaged shard raises, as an error for the user."""
    try:
        yield path
    except (
        StoreError,
        OSError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        pa.ArrowException,
    ) as error:
        raise StoreError(
            f"{path} is damaged; run the same command again, which computes it anew."
        ) from error


def merge(folder: Path, count: int, map_files: dict[str, str]) -> dict[str, float]:
    """Merge `count` shards into samples, scores, maps, features and masks; the shards stay.

    All `count` shards are complete; `map_files` are file names by map name.

    Returns:
        The display scale of each map: the 99.5th percentile of its raw values at ε = 0.

    Raises:
        StoreError: a shard is damaged.
        OSError: the disk has no room for it, before anything else is written.
    """
    rows = _rows(folder, SCORES, count)
    images = _rows(folder, SAMPLES, count)
    writers: dict[Path, Callable[[Half], object]] = {}

    def append(path: Path, length: int, values: Half) -> None:
        if path not in writers:
            path.parent.mkdir(exist_ok=True)
            shape = (length, *values.shape[1:])
            writers[path] = files.enter_context(array_writer(path, shape))
        writers[path](values)

    row = 0
    clean: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in map_files}
    with ExitStack() as files:
        write_scores = files.enter_context(table_writer(folder / SCORES))
        write_samples = files.enter_context(table_writer(folder / SAMPLES))
        for shard in (read_shard(folder, index) for index in range(count)):
            size = len(shard.scores)
            write_samples(shard.samples.drop(columns=RETRY, errors="ignore"))
            write_scores(shard.scores.assign(row=np.arange(row, row + size)))
            for name, file in map_files.items():
                append(folder / MAPS / file, rows, shard.maps[name])
                if row < SCALE_ROWS:
                    at_zero = (shard.scores["strength"] == 0).to_numpy()
                    scale = shard.scores[f"scale_{name}"].to_numpy()[at_zero, None, None]
                    clean[name].append(shard.maps[name][at_zero] * scale)
            for name, file in ARRAY_FILES.items():
                if (values := getattr(shard, name)) is not None:
                    append(folder / file, images, values)
            row += size
    return {name: _percentile(values) for name, values in clean.items()}


@contextmanager
def array_writer(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[Half], object]]:
    """Write a `.npy` of float16 some rows at a time; it appears at the end.

    Its space is reserved first: a disk that is full says so at once, and not as a signal that kills
    whoever writes to memory that is mapped to it.

    `shape` is that of the whole array, rows first.

    Yields:
        A function that appends rows, `(n, …)`.
    """
    half = np.dtype(np.float16)
    with replacing(path, locked=True) as unfinished, unfinished.open("wb") as file:
        head = {"descr": np.lib.format.dtype_to_descr(half), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        start = file.tell()
        size = math.prod(shape) * half.itemsize
        if size:
            os.posix_fallocate(file.fileno(), start, size)
        yield lambda rows: file.write(np.ascontiguousarray(rows, half).data)
        if file.tell() != start + size:
            raise ValueError(f"{path.name}: {file.tell() - start} bytes of {size} were written")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet table atomically."""
    with replacing(path) as unfinished:
        table.to_parquet(unfinished, index=False, row_group_size=ROW_GROUP)


@contextmanager
def table_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Append tables with the columns of the first one to a Parquet file, which appears at the end.

    Rows are gathered into groups of `ROW_GROUP`, however small the tables are: a group for each of
    thousands of shards would make the file slow to open.

    Yields:
        A function that appends the rows of a table; it has to be called at least once.
    """
    waiting: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    with replacing(path, locked=True) as unfinished, ExitStack() as files:

        def flush() -> None:
            nonlocal writer
            content = pa.concat_tables(waiting)
            waiting.clear()
            if writer is None:
                writer = files.enter_context(pq.ParquetWriter(unfinished, content.schema))
            writer.write_table(content, row_group_size=ROW_GROUP)

        def write(table: pd.DataFrame) -> None:
            waiting.append(_typed(table))
            if sum(len(part) for part in waiting) >= ROW_GROUP:
                flush()

        yield write
        if waiting:
            flush()


def _typed(table: pd.DataFrame) -> pa.Table:
    """The table with `COLUMN_TYPES`, which pandas cannot tell of an empty column of objects."""
    content = pa.Table.from_pandas(table, preserve_index=False)
    fields = [field.with_type(COLUMN_TYPES.get(field.name, field.type)) for field in content.schema]
    return content.cast(pa.schema(fields, content.schema.metadata))


def _rows(folder: Path, file: str, count: int) -> int:
    paths: Iterator[Path] = (shard_path(folder, index) / file for index in range(count))
    return sum(pq.read_metadata(path).num_rows for path in paths)


def _percentile(values: list[npt.NDArray[np.float32]]) -> float:
    everything = np.abs(np.concatenate([v.ravel() for v in values])) if values else np.zeros(1)
    finite = everything[np.isfinite(everything)]
    return float(np.percentile(finite, 99.5)) if len(finite) else 0.0
