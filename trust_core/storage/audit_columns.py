"""Columns of an audit's tables as arrays, in the order of `samples.parquet`.

What a slider, a filter or a statistic needs of a million images are a few columns; no table is
joined for them: scores and stored indicators follow the images in the order of `sample_id`.

Notation: `S` images of the audit, `P` of them passed, `N` passed ones of some roles, `E` strengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trust_core.errors import StoreError
from trust_core.storage.audit_files import INDICATORS, SAMPLES, SCORES, Audit
from trust_core.storage.memory_cache import MemoryCache

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BATCH_ROWS = 131_072  # of a column that are read at a time
COLUMN_MEMORY = 160_000_000  # bytes, of all audits together
PASSED_OUTCOMES = ("FN", "TN")
P_DEFECT = "p_defect"  # the one column of the clean image that is an indicator

_cache = MemoryCache(COLUMN_MEMORY)


class Columns(Protocol):
    """Columns by name, each `(N,)`; a data frame is one."""

    def __getitem__(self, name: str) -> npt.ArrayLike: ...

    def __contains__(self, name: object) -> bool: ...


@dataclass(frozen=True)
class TextColumn:
    """A column of text as numbers.

    `codes` are indices into the sorted `names`, `(S,)` int32.
    """

    codes: npt.NDArray[np.int32]
    names: pd.Index

    def equal(self, *wanted: str) -> Flags:
        """Which images have one of these texts, `(S,)`."""
        flags: Flags = np.zeros(len(self.codes), dtype=bool)
        for code in np.flatnonzero(self.names.isin(wanted)):
            flags |= self.codes == code
        return flags

    def at(self, places: Places) -> pd.Categorical:
        """The texts of some images."""
        kind = pd.CategoricalDtype(self.names)
        return pd.Categorical.from_codes(self.codes[places], dtype=kind, validate=False)


def number_column(audit: Audit, name: str) -> Floats:
    """A column of numbers of `samples.parquet`, `(S,)`, NaN where unknown."""
    return _cache.get((*_stamp(audit, SAMPLES), name), lambda: _read_floats(audit, SAMPLES, name))


def text_column(audit: Audit, name: str) -> TextColumn:
    """A column of text of `samples.parquet`."""
    return _cache.get((*_stamp(audit, SAMPLES), name), lambda: _read_text(audit, name))


def passed_rows(audit: Audit, roles: Sequence[str] | None = None) -> Places:
    """The passed images (FN or TN) of these roles, or of all: their places among the images."""
    inside = text_column(audit, "outcome").equal(*PASSED_OUTCOMES)
    if roles is not None:
        inside = inside & text_column(audit, "role").equal(*roles)
    return np.flatnonzero(inside)


class PassedColumns:
    """Columns of the passed images of some roles, each read when it is first used.

    Of all roles, and with scores at all strengths, where these are None.

    Attributes:
        places: of these images among all, `(N,)`.
    """

    def __init__(
        self,
        audit: Audit,
        roles: Sequence[str] | None = None,
        strengths: Sequence[float] | None = None,
    ) -> None:
        self.audit = audit
        self.places = passed_rows(audit, roles)
        self._strengths = audit.strengths if strengths is None else {0.0, *strengths}
        self._read: dict[str, dict[float, Floats]] = {}

    def at(self, strength: float) -> Columns:
        """The columns at one strength: scores there, everything else of the clean image."""
        return _ColumnsAtStrength(self, strength)

    def read(self, name: str, strength: float) -> Floats:
        """One column at one strength, `(N,)`, NaN where unknown."""
        if name not in self._read:
            self._read[name] = self._read_column(name)
        return self._read[name][strength]

    def _read_column(self, name: str) -> dict[float, Floats]:
        """A column at every strength; one array where the strength does not matter."""
        file = _file_of(self.audit, name)
        if file == SCORES:
            first = _clean_rows(self.audit)[self.places]
            steps = {e: step for step, e in enumerate(self.audit.strengths)}
            rows = [first + steps[e] for e in self._strengths]
            return dict(zip(self._strengths, _read_rows(self.audit, file, name, rows), strict=True))
        if file == INDICATORS:
            everyone = passed_rows(self.audit)
            if pq.read_metadata(self.audit.folder / file).num_rows != len(everyone):
                raise _damaged(self.audit, INDICATORS)
            ranks = np.searchsorted(everyone, self.places)
            (values,) = _read_rows(self.audit, file, name, [ranks])
        else:
            values = number_column(self.audit, name)[self.places]
        return dict.fromkeys(self._strengths, values)


@dataclass(frozen=True)
class _ColumnsAtStrength:
    table: PassedColumns
    strength: float

    def __contains__(self, name: object) -> bool:
        return _file_of(self.table.audit, name) is not None

    def __getitem__(self, name: str) -> Floats:
        return self.table.read(name, self.strength)


def _file_of(audit: Audit, name: object) -> str | None:
    """The table that holds a column an indicator may use; what several have is a score."""
    for file in (SCORES, INDICATORS):
        if name in audit.columns(file):
            return file
    return SAMPLES if name == P_DEFECT else None


def _clean_rows(audit: Audit) -> npt.NDArray[np.int64]:
    """Row of each image in `scores.parquet` at ε = 0, the further strengths follow; −1 without one.

    Raises:
        StoreError: the scores are not those of these images.
    """

    def find() -> npt.NDArray[np.int64]:
        strength = _read_floats(audit, SCORES, "strength")
        starts = np.flatnonzero(strength == 0)
        readable = text_column(audit, "outcome").equal("FN", "TN", "TP", "FP")
        if len(starts) != readable.sum():
            raise _damaged(audit, SCORES)
        first = np.full(len(readable), -1, dtype=np.int64)
        first[readable] = starts
        last = first[passed_rows(audit)] + len(audit.strengths) - 1
        if len(last) and (
            last[-1] >= len(strength) or (strength[last] != audit.strengths[-1]).any()
        ):
            raise _damaged(audit, SCORES)
        return first

    return _cache.get((*_stamp(audit, SCORES), *_stamp(audit, SAMPLES), "first row"), find)


def _damaged(audit: Audit, file: str) -> StoreError:
    return StoreError(
        f"{audit.folder / file} does not belong to {SAMPLES} beside it; run the audit again into a "
        "new folder."
    )


def _stamp(audit: Audit, file: str) -> tuple[str, int]:
    """Changes whenever the file does."""
    path = audit.folder / file
    return str(path), path.stat().st_mtime_ns


def _read_floats(audit: Audit, file: str, name: str) -> Floats:
    column = pq.read_table(audit.folder / file, columns=[name]).column(0)
    return column.cast(pa.float64()).to_numpy()


def _read_rows(audit: Audit, file: str, name: str, wanted: Sequence[Places]) -> list[Floats]:
    """Some rows of a column, each of `wanted` ascending; the column is never held as a whole."""
    found = [np.empty(len(rows)) for rows in wanted]
    at = [0] * len(wanted)
    start = 0
    for batch in pq.ParquetFile(audit.folder / file).iter_batches(BATCH_ROWS, columns=[name]):
        values = batch.column(0).cast(pa.float64()).to_numpy(zero_copy_only=False)
        for index, rows in enumerate(wanted):
            end = int(np.searchsorted(rows, start + len(values)))
            found[index][at[index] : end] = values[rows[at[index] : end] - start]
            at[index] = end
        start += len(values)
    return found


def _read_text(audit: Audit, name: str) -> TextColumn:
    table = pq.read_table(audit.folder / SAMPLES, columns=[name], read_dictionary=[name])
    found = table.column(0).unify_dictionaries().combine_chunks()
    order = pc.sort_indices(found.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes = rank[found.indices.to_numpy()]
    return TextColumn(codes, pd.Index(found.dictionary.take(pa.array(order)).to_pandas()))
