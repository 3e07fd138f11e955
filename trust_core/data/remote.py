"""Data sets behind an address such as `s3://bucket/parts`: copies of what has changed there.

Storage is reached through fsspec; what a protocol needs beside it (s3fs, gcsfs, adlfs, …) and its
credentials are the user's. Names in a bucket are as untrusted as those in an archive.
"""

import errno
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from trust_core.data.files import hash_files, is_junk
from trust_core.errors import DataError
from trust_core.storage.locks import LOCK, writer_lock

READERS = 16  # files at a time: they wait for the network, not for a processor
_DATES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "sha")
_SAME_TIME = 0.001  # seconds that a date may lose on its way through the local disk
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: `C://` is a drive
_OWN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def is_remote(text: str) -> bool:
    """Whether DATA is an address, not a path of this machine."""
    return _ADDRESS.match(text) is not None


def is_archive(uri: str) -> bool:
    """Whether an address names a zip, whose images cannot be read one by one."""
    return shown(uri).lower().endswith(".zip")


def shown(uri: str) -> str:
    """The address without what opens it: no password, no signature."""
    return re.sub(r"(?<=://)([^/:@]*):[^/]*@", r"\1@", uri).partition("?")[0]


def fetch(
    uri: str, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Make `folder/HASH/NAME` what `uri` is, a folder or a file, reading only what has changed.

    A file that is there with the size and the date (or the tag) of the storage is left alone; every
    other one is written beside and renamed, so that a fetch that was stopped goes on. What is no
    longer in the storage is removed. Hidden files are left out, as in every data set.

    `folder` holds everything that was ever fetched; `progress` is called with the files done and
    all files.

    Returns:
        The local copy.

    Raises:
        DataError: the protocol's package is missing, the storage cannot be reached or read, nothing
            is there, a name leads out of the folder, or the disk is full.
    """
    base = folder / hashlib.sha256(uri.rstrip("/").encode()).hexdigest()[:16]
    storage, path, entries = _listing(uri)
    if not entries:
        raise DataError(f"Nothing is at {shown(uri)}; check the address.")
    last = shown(path).rstrip("/").rpartition("/")[2]
    target = base / ("data" if last.startswith(".") else last or "data")
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{base} cannot be made: {error.strerror}.") from error
    with writer_lock(base / LOCK):
        try:
            _copy(uri, storage, entries, target, base / ".unfinished", progress)
        except OSError as error:  # of this machine's disk: the storage's are `DataError`s by then
            raise _not_copied(uri, error) from error
    return target


def read_files(uri: str, paths: Sequence[str]) -> list[bytes]:
    """The bytes of some files below an address.

    Raises:
        DataError: as `fetch`; a file that is not there, too.
    """
    with _storage_errors(uri), ThreadPoolExecutor(READERS) as pool:
        storage, path = fsspec.core.url_to_fs(uri)
        return list(pool.map(storage.cat_file, [f"{path.rstrip('/')}/{name}" for name in paths]))


def changed_contents(
    root: Path, uri: str, paths: Sequence[str], hashes: Sequence[str]
) -> list[bytes] | None:
    """The bytes of images from their address; None where the files below `root` are the same.

    Beside an address there may be an older copy, or none: the sha256 of the files decide.

    The images lie at `paths` below `root`, where they are at hand, or below the address `uri`, if
    there is one; `hashes` are their sha256.

    Raises:
        DataError: neither is in reach, or the address holds other images by now.
    """
    if is_archive(uri) or not uri:
        if root.is_dir():
            return None
        raise DataError(
            f"{root} is not there; name a folder that all machines share, or an address such as "
            "s3://bucket/parts."
        )
    if hash_files(root, paths) == list(hashes):
        return None
    contents = read_files(uri, paths)
    if [hashlib.sha256(content).hexdigest() for content in contents] != list(hashes):
        raise DataError(
            f"{shown(uri)} has changed since the images were listed; give the same command again."
        )
    return contents


def _listing(uri: str) -> tuple[Any, str, dict[str, Mapping[str, Any]]]:
    """The storage, the path in it, and what it tells of every file by its name below the path.

    A zip is asked for itself, which servers without listings answer.
    """
    with _storage_errors(uri):
        storage, path = fsspec.core.url_to_fs(uri)
        storage.invalidate_cache()  # of listings, which fsspec keeps as long as the process
        if is_archive(path) and storage.isfile(path):
            found = {path: storage.info(path)}
        else:
            found = storage.find(path, detail=True)
    entries = {
        _relative(uri, name, path): entry
        for name, entry in found.items()
        if entry["type"] == "file" and not name.endswith("/")
    }
    kept = {name: e for name, e in entries.items() if not any(map(is_junk, name.split("/")))}
    return storage, path, kept


def _copy(
    uri: str,
    storage: Any,  # noqa: ANN401 - fsspec is not typed
    entries: Mapping[str, Mapping[str, Any]],
    target: Path,
    scratch: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Make `target` hold exactly the entries; the name "" is the target itself."""
    missing = [n for n, entry in entries.items() if not _is_same(target / n, entry)]
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    _remove_others(target, entries)

    def copy(index: int, name: str) -> None:
        entry, unfinished, file = entries[name], scratch / str(index), target / name
        source, announced = entry["name"], entry.get("size")
        with _storage_errors(uri):
            storage.get_file(source, str(unfinished))
            if announced not in (None, size := unfinished.stat().st_size):
                raise OSError(f"{name} broke off after {size:,} of {announced:,} bytes")
        if (date := _date(entry)) is not None:
            os.utime(unfinished, (date, date))
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.replace(file)

    pool = ThreadPoolExecutor(READERS)
    try:
        jobs = [pool.submit(copy, index, name) for index, name in enumerate(missing)]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            progress(len(entries) - len(missing) + done, len(entries))
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_others(target: Path, entries: Mapping[str, object]) -> None:
    """Delete what the storage no longer holds, so that it is not audited."""
    if target.is_dir() and "" in entries:
        shutil.rmtree(target)
    elif target.is_file() and "" not in entries:
        target.unlink()
    for path in sorted(target.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(target).as_posix() not in entries:
            path.unlink()


def _is_same(file: Path, entry: Mapping[str, Any]) -> bool:
    """Whether the local file has the size and the date of the entry."""
    if not file.is_file() or (status := file.stat()).st_size != entry.get("size"):
        return False
    date = _date(entry)
    return date is None or abs(status.st_mtime - date) < _SAME_TIME


def _date(entry: Mapping[str, Any]) -> float | None:
    """What the storage tells versions of a file apart by, as a time the local file can have.

    Where it tells a tag only, that is a number made from the tag; where it tells nothing, None.
    """
    for value in (entry[key] for key in _DATES if entry.get(key)):
        with suppress(ValueError):  # a text that is no date
            told = datetime.fromisoformat(value) if isinstance(value, str) else value
            return told.timestamp() if isinstance(told, datetime) else float(told)
    for value in (entry[key] for key in _TAGS if entry.get(key)):
        return float(zlib.crc32(str(value).encode()) >> 1)
    return None


def _relative(uri: str, name: str, path: str) -> str:
    """The name below `path`; "" is the path itself."""
    below = path.rstrip("/") + "/"
    inner = "" if name == path else name.removeprefix(below)
    steps = {"", ".", ".."} & set(re.split(r"[/\\]", inner)) if inner else ()
    if inner == name or steps or re.match(r"[A-Za-z]:", inner):
        raise DataError(
            f"{shown(uri)} holds {name!a}, which is no plain path below it; rename it there. "
            "Nothing was fetched."
        )
    return inner


@contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    """What fsspec and the packages behind it raise, as errors for the user.

    Every storage package has errors of its own, so all are caught: nothing but calls of the storage
    belongs into this context, or a fault of ours would be taken for one of the network.
    """
    protocol, where = uri.partition("://")[0].lower(), shown(uri)
    try:
        yield
    except ImportError as error:
        package = known_implementations.get(protocol, {"class": ""})["class"].partition(".")[0]
        if package in ("", "fsspec"):
            package = f"'fsspec[{'http' if protocol == 'https' else protocol}]'"
        raise DataError(f"{where} needs a package: pip install {package}.") from error
    except FileNotFoundError as error:
        raise DataError(f"Nothing is at {where}; check the address.") from error
    except PermissionError as error:
        raise DataError(
            f"{where} may not be read with the rights of this machine; check its credentials."
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OWN:
            raise _not_copied(uri, error) from error
        raise DataError(
            f"{where} cannot be read ({_reason(error)}); check the address, the network and the "
            "credentials of this machine."
        ) from error


def _not_copied(uri: str, error: OSError) -> DataError:
    return DataError(f"{shown(uri)} cannot be copied into the workspace: {_reason(error)}.")


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0][:200].rstrip(".")
