"""Pixel counts of predicted against true masks, made once for an audit and kept beside it.

For each image |P| and |P∩G| at every threshold, at the size of the true mask. A metric at any
threshold is then read off these counts, without a picture.

Notation: `N` images, row for row as `samples.parquet`; `K` thresholds.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trust_core.data.images import image_size
from trust_core.data.mask_decoding import RULE, read_masks
from trust_core.decision.localization.metrics import THRESHOLDS, count_pixels
from trust_core.errors import SettingsError, UnreadableImage, file_errors
from trust_core.model.placement import audit_box, spread
from trust_core.storage.atomic import publish
from trust_core.storage.audit_files import Audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.progress import PROGRESS, progress_writer, read_progress, stopwatch

MASK_HEAD = "mask"
FOLDER = "localisation"  # as audits on disk have it
COUNTS, UNFINISHED = "counts.npy", "counts.unfinished"
CHUNK = 256  # images between two reports of progress
READERS = min(8, os.cpu_count() or 1)
UNKNOWN = -1  # |G| of an image whose true mask is missing or cannot be read
TRUE, AREA = -2, -1  # the last rows of the kept array

Table = npt.NDArray[np.int32]


@dataclass(frozen=True)
class MaskCounts:
    """The counts of one source over an audit.

    Attributes:
        source: `MASK_HEAD`, or the name of a kept map.
        table: memory-mapped `(2 K + 2, N)`: |P| at each threshold, |P∩G| at each, |G| (`UNKNOWN`
            where it is), pixels of the picture (0 where nothing was predicted).
    """

    source: str
    table: Table

    def at(self, threshold: float) -> tuple[Table, Table, Table, Table]:
        """|P|, |P∩G|, |G| and the picture's pixels of all images, `(N,)` each."""
        column = column_of(threshold)
        rows = (column, len(THRESHOLDS) + column, TRUE, AREA)
        predicted, overlap, true, area = (np.asarray(self.table[row]) for row in rows)
        return predicted, overlap, true, area


def column_of(threshold: float) -> int:
    """Place of a threshold among `THRESHOLDS`.

    Raises:
        SettingsError: it is none of them.
    """
    column = int(np.abs(THRESHOLDS - threshold).argmin())
    if not abs(THRESHOLDS[column] - threshold) <= 1e-9:  # NaN is none of them either
        raise SettingsError(
            f"Mask threshold {threshold:g}: choose 0.01, 0.02, … 0.99; a mask head's probabilities "
            "are compared with it, a heatmap's values as shares of its display scale."
        )
    return column


def sources(audit: Audit) -> tuple[str, ...]:
    """What masks can be had from: the mask head when there is one, then every kept map."""
    head = (MASK_HEAD,) if audit.masks() is not None else ()
    return (*head, *(entry.name for entry in audit.manifest.maps))


def find_source(audit: Audit, source: str | None) -> str:
    """The source by name; without one the mask head, or else the map of the defect.

    Raises:
        SettingsError: the audit has no such source.
    """
    known = sources(audit)
    if source is None:
        return known[0]
    if source not in known:
        without = " (the network of this audit has no mask head)" * (source == MASK_HEAD)
        raise SettingsError(f"No masks from '{source}'{without}; choose from {', '.join(known)}.")
    return source


def has_truth(audit: Audit) -> bool:
    """Whether the data marks any defect."""
    found = audit.query("SELECT 1 FROM samples WHERE label = 1 AND mask_path <> '' LIMIT 1")
    return not found.empty


def read_counts(audit: Audit, source: str) -> MaskCounts | None:
    """The kept counts; None when they were not made yet, or for other labels or masks."""
    path = counts_folder(audit, source) / COUNTS
    return MaskCounts(source, np.load(path, mmap_mode="r")) if path.exists() else None


def counts_folder(audit: Audit, source: str) -> Path:
    """Where the counts of this model pass with these labels and masks lie; others lie elsewhere."""
    told = [audit.manifest.model_pass, audit.manifest.table, THRESHOLDS.tolist(), RULE]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
    return audit.folder / FOLDER / f"{source}-{digest}"


def make_counts(
    audit: Audit, source: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> MaskCounts:
    """The counts of an audit; made once, some images at a time. A run that was stopped resumes.

    `progress` is called with the images done and in all.

    Raises:
        SettingsError: no such source, or the data marks nothing.
        StoreError: the folder cannot be written, or another process is counting.
    """
    source = find_source(audit, source)
    if not has_truth(audit):
        raise SettingsError(
            f"The data of {audit.folder} marks no defect, so there is nothing to compare with; "
            "audit data with a mask for each defective part."
        )
    kept = read_counts(audit, source)
    if kept is not None:
        return kept
    folder = counts_folder(audit, source)
    busy = f"the masks of {audit.folder} are being counted already; wait until that ends"
    with file_errors(f"Cannot write the mask counts to {folder}", "see to its room and rights"):
        folder.mkdir(parents=True, exist_ok=True)
        with writer_lock(folder / LOCK, busy):
            if not (folder / COUNTS).exists():  # another process may just have finished
                _count_all(audit, source, folder, progress)
        for other in folder.parent.glob(f"{source}-*"):
            if other != folder:  # of earlier labels or masks
                shutil.rmtree(other, ignore_errors=True)
    return MaskCounts(source, np.load(folder / COUNTS, mmap_mode="r"))


class _Picture(NamedTuple):
    """What counting one image needs."""

    row: int  # of the masks or of the maps; -1 for an image without an answer
    scale: float
    path: str
    mask_path: str
    label: int


def _count_all(
    audit: Audit, source: str, folder: Path, progress: Callable[[int, int], None]
) -> None:
    unfinished = folder / UNFINISHED
    pictures, values = _pictures(audit, source), _values(audit, source)
    total, begun = len(pictures), read_progress(folder).done if unfinished.exists() else 0
    shape = (2 * len(THRESHOLDS) + 2, total)
    table = np.lib.format.open_memmap(
        unfinished, "r+" if begun else "w+", np.int32, None if begun else shape
    )
    measure, note = stopwatch(begun), progress_writer(folder, interval=0)

    def count(picture: _Picture) -> Table:
        return _count(audit, values, picture)

    with ThreadPoolExecutor(READERS) as pool:
        for start in range(begun, total, CHUNK):
            part = pictures[start : start + CHUNK]
            table[:, start : start + len(part)] = np.stack(list(pool.map(count, part)), axis=1)
            table.flush()
            done = start + len(part)
            note(measure(done, total))  # each time: a later run goes on from there
            progress(done, total)
    publish(unfinished, folder / COUNTS)
    (folder / PROGRESS).unlink(missing_ok=True)


def _count(audit: Audit, values: npt.NDArray[np.float16], picture: _Picture) -> Table:
    """A column of the table."""
    column = np.zeros(2 * len(THRESHOLDS) + 2, dtype=np.int32)
    column[TRUE] = UNKNOWN
    try:
        if picture.mask_path:
            truth = read_masks(audit.data_root, picture.mask_path)
            height, width = truth.shape
        else:
            truth = None
            upright = audit.manifest.model.preprocessing.exif == "upright"
            width, height = image_size(audit.data_file(picture.path), upright=upright)
    except UnreadableImage:
        return column
    if truth is None and not picture.label:
        truth = np.zeros((height, width), dtype=np.bool_)
    if truth is not None:
        column[TRUE] = truth.sum()
    cells = _cells(values, picture)
    if cells is None:
        return column
    column[AREA] = width * height
    if cells.max() >= THRESHOLDS[0]:  # what lies between cells is never above the highest of them
        box = audit_box(audit, (width, height))
        marked = np.zeros((height, width), dtype=np.bool_) if truth is None else truth
        counts = count_pixels(spread(cells, box, (height, width)), marked)
        column[: 2 * len(THRESHOLDS)] = counts.ravel()
    return column


def cells_of(audit: Audit, source: str, sample_id: str) -> npt.NDArray[np.float32] | None:
    """What the masks of one image are cut from, `(h, w)`; None where the network gave no answer."""
    pictures = _pictures(audit, source, sample_id)
    return _cells(_values(audit, source), pictures[0]) if pictures else None


def count_part(audit: Audit, source: str, sample_id: str) -> MaskCounts | None:
    """The counts of one image, without those of the others; None for an unknown one."""
    pictures = _pictures(audit, source, sample_id)
    if not pictures:
        return None
    return MaskCounts(source, _count(audit, _values(audit, source), pictures[0])[:, None])


def _cells(values: npt.NDArray[np.float16], picture: _Picture) -> npt.NDArray[np.float32] | None:
    if picture.row < 0:
        return None
    cells = np.asarray(values[picture.row], dtype=np.float32)
    if not np.isfinite(cells).all():
        return None
    return np.asarray(cells * np.float32(picture.scale))


def _values(audit: Audit, source: str) -> npt.NDArray[np.float16]:
    if source != MASK_HEAD:
        return audit.maps(source)
    masks = audit.masks()
    assert masks is not None  # `find_source` has seen them
    return masks


def _pictures(audit: Audit, source: str, sample_id: str | None = None) -> list[_Picture]:
    """All images in the order of `samples.parquet`, or one of them.

    A heatmap is that at ε = 0, in shares of its display scale, one for the whole data set.
    """
    if source == MASK_HEAD:
        row, scale, joined = "file_row_number", "1.0", ""
    else:
        entry = next(e for e in audit.manifest.maps if e.name == source)
        row = "coalesce(row, -1)"
        scale = f'coalesce("scale_{source}", 0) / {entry.display_scale or 1.0}'
        joined = "LEFT JOIN (SELECT * FROM scores WHERE strength = 0) USING (sample_id)"
    found = audit.query(
        f"""SELECT {row} AS row, {scale} AS scale, path, mask_path, label
            FROM places {joined}
            WHERE $1 IS NULL OR sample_id = $1 ORDER BY file_row_number""",  # noqa: S608 (our own names)
        [sample_id],
    )
    return [_Picture(*row) for row in found.itertuples(index=False)]
