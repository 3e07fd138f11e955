"""The files of a finished audit: tables read by SQL, maps and masks memory-mapped.

An audit is a folder: tables as Parquet, arrays as `.npy`, one manifest. `shards` writes it while it
runs.
"""

import atexit
import glob
import mmap
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from trust_core.errors import StoreError, first_line
from trust_core.storage.integrity import changed_files
from trust_core.storage.manifest import FINISHED, Manifest, read_manifest

SAMPLES = "samples.parquet"
SCORES = "scores.parquet"
FEATURES = "features.npy"
ACTIVATIONS = "activations.npy"
MASKS = "masks.npy"
EVIDENCE = "evidence.npz"
INDICATORS = "indicators.parquet"
MAPS = "maps"

# Of DuckDB: what needs more memory goes by way of the disk; files read are kept by the system.
DUCKDB_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "300MB",
    "temp_directory": str(Path(tempfile.gettempdir()) / "trust-core-queries"),
    "enable_external_file_cache": "false",
}


# What DuckDB raises of a query that is wrong; all else it raises of files that are damaged.
OF_THE_QUERY = (
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.OutOfMemoryException,
)


@dataclass(frozen=True)
class Audit:
    """A finished audit, read lazily. Nothing is held but the manifest and the open map files."""

    folder: Path
    manifest: Manifest

    def __getstate__(self) -> dict[str, object]:
        """What crosses to another process: not the arrays that are mapped in this one."""
        return {"folder": self.folder, "manifest": self.manifest}

    @property
    def id(self) -> str:
        """What was audited: model pass, table and mask rule, as journals and exports note it."""
        return f"{self.manifest.model_pass}-{self.manifest.table}-{self.manifest.mask}"

    @property
    def key(self) -> str:
        """Changes whenever anything that a table or a map could show has changed; for caches."""
        path = self.folder / INDICATORS  # may be made anew, or later than the rest
        return f"{self.id}-{path.stat().st_mtime_ns if path.exists() else 0}"

    @property
    def strengths(self) -> tuple[float, ...]:
        """Adversarial strengths ε that were scored, ascending, 0 first."""
        return self.manifest.settings.strengths

    @property
    def data_root(self) -> Path:
        """The folder that paths of the sample table are relative to."""
        return Path(self.manifest.data.root)

    def data_file(self, path: str) -> Path:
        """The file of a photograph, from its path in the sample table."""
        return self.data_root / path

    def listed_sha256(self, path: str) -> str:
        """The sha256 of a photograph when it was audited; "" where that is not known."""
        found = self.query("SELECT sha256 FROM samples WHERE path = ? LIMIT 1", [path])["sha256"]
        return str(found.iloc[0]) if len(found) else ""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pd.DataFrame:
        """Rows of a SQL query over the tables `samples`, `scores` and `indicators`.

        `places` is `samples` with `file_row_number`, the place of an image among all.
        """
        tables = (self.folder / file for file in (SAMPLES, SCORES, INDICATORS))
        files = tuple(file for file in tables if file.exists())
        try:
            connection = _connect(files, tuple(file.stat().st_mtime_ns for file in files))
            with connection.cursor() as cursor:  # a thread's own; connections are shared
                return cursor.execute(sql, list(parameters)).df()
        except OF_THE_QUERY:
            raise
        except duckdb.Error as error:
            raise StoreError(
                f"A table of {self.folder} is damaged ({first_line(error)}); "
                f"`python -m trust_core doctor {self.folder}` says which."
            ) from error

    def passed(self, roles: Sequence[str]) -> pd.DataFrame:
        """A row for each passed image (FN or TN) of these roles and each strength.

        Returns:
            Columns of `scores.parquet` with `label, kind, group, p_defect` of the clean image and
            the stored indicators, sorted by strength and `sample_id`, so that every strength has
            the images in one order.
        """
        return self.query(
            """SELECT scores.*, label, kind, "group", p_defect, outcome,
                      indicators.* EXCLUDE (sample_id)
               FROM scores JOIN samples USING (sample_id) LEFT JOIN indicators USING (sample_id)
               WHERE outcome IN ('FN', 'TN') AND list_contains(?, role)
               ORDER BY strength, sample_id""",
            [list(roles)],
        )

    @property
    def stored_indicators(self) -> tuple[str, ...]:
        """The columns of `indicators.parquet`; none when it is not there."""
        return self.columns(INDICATORS)[1:]

    def columns(self, file: str) -> tuple[str, ...]:
        """Names of the columns of a table; none when it is not there."""
        path = self.folder / file
        return _columns(path, path.stat().st_mtime_ns) if path.exists() else ()

    @cached_property
    def _maps(self) -> dict[str, npt.NDArray[np.float16]]:
        return {
            entry.name: np.load(self.folder / MAPS / entry.file, mmap_mode="r")
            for entry in self.manifest.maps
        }

    def maps(self, name: str) -> npt.NDArray[np.float16]:
        """A kept map of all rows, memory-mapped: `(rows, h, w)` float16, indexed by `row`."""
        return self._maps[name]

    def activations(self) -> npt.NDArray[np.float16] | None:
        """The pooled activations of all depths, memory-mapped.

        Returns:
            `(rows, D)` float16, row for row as `samples.parquet`, NaN for an unreadable image; the
            depths of the manifest one after the other; None in an audit made before they were kept.
        """
        return self._array(ACTIVATIONS)

    def masks(self) -> npt.NDArray[np.float16] | None:
        """What the mask head says, memory-mapped: probabilities of *defective* at ε = 0.

        Returns:
            `(rows, H', W')` float16, row for row as `samples.parquet` (in `sample_id` order), NaN
            for an unreadable image; None when the network has no mask head.
        """
        return self._array(MASKS)

    def _array(self, file: str) -> npt.NDArray[np.float16] | None:
        path = self.folder / file
        return np.load(path, mmap_mode="r") if path.exists() else None


def release_pages(values: npt.NDArray[np.float16]) -> None:
    """Give back the memory of what was read of a mapped array; the array stays as it is.

    The system would do so when memory runs short, but until then a million rows count as memory of
    this process. Nothing happens for an array in memory, or where the system has no such call.
    """
    mapped: object = values.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


@lru_cache(maxsize=64)
def _columns(path: Path, changed: int) -> tuple[str, ...]:
    return tuple(pq.read_schema(path).names)


@lru_cache(maxsize=8)
def _connect(files: tuple[Path, ...], changed: tuple[int, ...]) -> duckdb.DuckDBPyConnection:
    """A connection with the tables as views; kept, because opening one costs more than a query.

    `files` are samples, scores and, once they are made, stored indicators; `changed` is when they
    were written: other files in their place get a connection of their own.
    """
    connection = duckdb.connect(config=DUCKDB_CONFIG)
    for file in files:
        # DuckDB reads a path as a pattern; this one is meant as it stands.
        connection.read_parquet(glob.escape(str(file))).create_view(file.stem)
    numbered = connection.read_parquet(glob.escape(str(files[0])), file_row_number=True)
    numbered.create_view("places")
    if len(files) < 3:
        connection.execute("CREATE VIEW indicators AS SELECT sample_id FROM samples LIMIT 0")
    return connection


atexit.register(_connect.cache_clear)  # DuckDB complains of connections that outlive it


def open_audit(folder: Path) -> Audit:
    """Open the finished audit in `folder`.

    Raises:
        StoreError: no audit there, one that has not finished, or one whose files have changed.
    """
    manifest = read_manifest(folder)
    if manifest.status != FINISHED:
        raise StoreError(
            f"The audit in {folder} has not finished; run the same command again to resume it."
        )
    for file in (SAMPLES, SCORES):
        if not (folder / file).is_file():
            raise StoreError(f"{folder / file} is missing; run the audit again into a new folder.")
    if changed := changed_files(folder, manifest):
        raise StoreError(
            f"{folder / changed[0]} is not what the audit wrote; give the command of the audit "
            f"again, which computes it anew (`python -m trust_core doctor {folder}` says more)."
        )
    return Audit(folder.resolve(), manifest)
