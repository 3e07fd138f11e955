"""Listing the files below a folder, reading them with patience, and their sha256."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TypeVar

from trust_core.errors import DataError
from trust_core.storage.checksums import file_sha256 as file_sha256

Content = TypeVar("Content")

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp"))
UNREAD_SUFFIXES = frozenset(
    """.gif .heic .heif .avif .jp2 .jxl .dng .cr2 .nef .arw .raw .exr .dcm .svg .pgm .ppm
    .psd""".split()  # noqa: SIM905 (a list of words)
)
"""Endings of pictures that are not decoded."""

PAUSES = (0.05, 0.25, 1.0)  # seconds, each before another try to read a file
LASTING = frozenset(
    (
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    )
)
"""Errors that waiting does not mend."""

_BATCH = 256
_in_vain = threading.Event()  # the last file failed at every try: the next ones get one each


def is_junk(name: str) -> bool:
    """Whether a file or folder name is left behind by an operating system or is hidden."""
    return name.startswith(".") or name.casefold() in ("__macosx", "thumbs.db", "desktop.ini")


def is_image(path: str) -> bool:
    """Whether the file name ends like an image we decode."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 (100,000 times)


def check_folder(root: Path) -> None:
    """Raise a `DataError` when `root` is no folder."""
    if not root.is_dir():
        raise DataError(
            f"{root} is {'a file, not a folder' if root.exists() else 'not there'}; "
            "give the folder that holds the images."
        )


def list_files(root: Path) -> list[str]:
    """Regular files below `root` as sorted posix paths relative to it, without junk.

    Links to folders are followed, each folder once, so that a loop of links ends.

    Raises:
        DataError: `root` is no folder, a file name is not valid text, or a link to a folder or an
            image leads out of `root`.
    """
    check_folder(root)
    base = os.path.realpath(root)
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as scan:
                entries = [entry for entry in scan if not is_junk(entry.name)]
        except OSError as error:
            raise DataError(
                f"The folder {root / folder} cannot be listed: {error.strerror}."
            ) from error
        for entry in entries:
            if entry.is_symlink() and (entry.is_dir() or is_image(entry.name)):
                _check_link(base, entry.path)
        found += [folder + entry.name for entry in entries if entry.is_file()]
        folders = sorted((entry.name for entry in entries if entry.is_dir()), reverse=True)
        waiting += [f"{folder}{name}/" for name in folders]
    try:
        "".join(found).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"A file name in {root} is not valid UTF-8 text "
            f"(near {error.object[max(0, error.start - 20) : error.end]!a}); rename the file."
        ) from error
    return sorted(found)


def check_links(root: Path, paths: Iterable[str]) -> None:
    """Refuse files that a link takes out of a data folder.

    Raises:
        DataError: one lies elsewhere.
    """
    base = os.path.realpath(root)
    folders = set()
    for path in paths:
        file = os.path.join(root, path)  # noqa: PTH118 (100,000 times)
        folders.add(os.path.dirname(file))  # noqa: PTH120 (100,000 times)
        if os.path.islink(file):  # noqa: PTH114 (100,000 times)
            _check_link(base, file)
    for folder in folders:
        _check_link(base, folder)


def _check_link(base: str, path: str) -> None:
    if os.path.commonpath([base, os.path.realpath(path)]) != base:
        raise DataError(
            f"{path} is reached by a link that leads out of the data folder; put the files "
            "themselves in its place."
        )


def patiently(read: Callable[[], Content]) -> Content:
    """What `read` gives of a file; an error that may pass is followed by a pause and another try.

    Where nothing can be read any more, each file is tried once: a drive that is gone must not cost
    a pause for each of a million images.

    Raises:
        OSError: of the last try.
    """
    pauses = iter(() if _in_vain.is_set() else PAUSES)
    while True:
        try:
            content = read()
        except OSError as error:
            if error.errno in LASTING:
                raise
            pause = next(pauses, None)
            if pause is None:
                _in_vain.set()
                raise
            time.sleep(pause)
        else:
            _in_vain.clear()
            return content


def hash_files(root: Path, paths: Sequence[str]) -> list[str]:
    """The sha256 of each file as hex digits, "" for a file that cannot be read."""
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) * 2)) as pool:
        return list(chain.from_iterable(pool.map(lambda batch: _hash_batch(root, batch), batches)))


def _hash_batch(root: Path, paths: Sequence[str]) -> list[str]:
    return [_hash(os.path.join(root, path)) for path in paths]  # noqa: PTH118 (100,000 times)


def _hash(path: str) -> str:
    try:
        return patiently(lambda: file_sha256(path))
    except OSError:
        return ""
