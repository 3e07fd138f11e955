"""Whether the files of an audit are still those that it wrote.

The manifest notes size, time and sha256 of every result file. Opening an audit compares sizes and
times, and reads only small files whose time has changed (a copy of an audit has other times);
`doctor` and a second run of the same command read everything.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trust_core.storage.checksums import file_sha256
from trust_core.storage.manifest import FileRecord, Manifest, read_manifest, write_manifest

RESULTS = ("*.parquet", "*.npy", "probes.npz", "maps/*.npy")
MOST_READ = 64 << 20  # bytes of a file that opening an audit reads to the end


def describe_files(
    folder: Path, known: Mapping[str, FileRecord] | None = None
) -> dict[str, FileRecord]:
    """Size, time and sha256 of every result file.

    `known` was noted of them before; a file of the same size and time is not read again.
    """
    found = {}
    for path in sorted(path for pattern in RESULTS for path in folder.glob(pattern)):
        name, status = path.relative_to(folder).as_posix(), path.stat()
        record = (known or {}).get(name)
        if record is None or (record.size, record.changed) != (status.st_size, status.st_mtime_ns):
            record = FileRecord(
                size=status.st_size, changed=status.st_mtime_ns, sha256=file_sha256(path)
            )
        found[name] = record
    return found


def changed_files(folder: Path, manifest: Manifest, *, full: bool = False) -> list[str]:
    """Result files that are gone or not what the audit wrote, by their names in the folder.

    A manifest that notes no files (of an earlier program) is nothing to compare with. With `full`
    every file is read to the end; where nothing is noted, to see whether it can be read.
    """
    if full and not manifest.files:
        paths = sorted(path for pattern in RESULTS for path in folder.glob(pattern))
        return [path.relative_to(folder).as_posix() for path in paths if not is_readable(path)]
    return [
        name
        for name, record in manifest.files.items()
        if not _is_unchanged(folder / name, record, full)
    ]


@contextmanager
def rewriting(folder: Path, name: str) -> Iterator[None]:
    """Replace one result file of a finished audit; the manifest notes the new one.

    Meanwhile it notes none, so that a run that is killed here leaves an audit that opens.
    """
    manifest = read_manifest(folder)
    if not manifest.files:
        yield
        return
    others = {other: record for other, record in manifest.files.items() if other != name}
    write_manifest(folder, replace(manifest, files=others))
    yield
    write_manifest(folder, replace(manifest, files=describe_files(folder, others)))


def _is_unchanged(path: Path, record: FileRecord, full: bool) -> bool:
    try:
        status = path.stat()
        if status.st_size != record.size:
            return False
        if full:
            return file_sha256(path) == record.sha256
        if status.st_mtime_ns == record.changed or status.st_size > MOST_READ:
            return True
        return _sha256(path, status.st_mtime_ns, status.st_ino) == record.sha256
    except OSError:
        return False


@lru_cache(maxsize=256)
def _sha256(path: Path, changed: int, number: int) -> str:
    return file_sha256(path)


def is_readable(path: Path) -> bool:
    """Whether a table, an array or a file of arrays can be read to its end."""
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:
                for _ in table.iter_batches():
                    pass
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays.files:
                    arrays[name]
        else:
            np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, pa.ArrowException):
        return False
    return True
