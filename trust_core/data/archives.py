"""Safe unpacking of zip archives: whole, below one folder, or refused and not at all."""

import errno
import os
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trust_core.data.files import is_junk
from trust_core.data.names import is_good, role_of_split
from trust_core.errors import DataError

_NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar", ".whl")
_CHUNK = 1 << 20
DEEPEST = 64  # folders in each other
_GIGABYTE = 1 << 30


@dataclass(frozen=True)
class UnpackLimits:
    """What an archive may unpack to.

    Attributes:
        members: number of files and folders.
        total_bytes: all files together, unpacked.
        ratio: unpacked bytes for each byte of the archive; it counts once more than `ratio_from`
            bytes are unpacked, because a small set of black masks packs a thousandfold.
        ratio_from: unpacked bytes that need no ratio.
    """

    members: int = 500_000
    total_bytes: int = 50 * _GIGABYTE
    ratio: float = 100.0
    ratio_from: int = 256 << 20


def extract(archive: Path, destination: Path, *, limits: UnpackLimits = UnpackLimits()) -> Path:
    """Unpack a zip archive of images into a new folder, all of it or nothing.

    Everything is checked by name before the first byte is written, and counted while it is
    written, because headers lie about sizes. Files go to a temporary folder beside `destination`
    that is renamed at the end. What operating systems leave behind (`__MACOSX`, `.DS_Store`,
    `Thumbs.db`) is skipped.

    `destination` must not exist.

    Returns:
        The data set's root: `destination`, or the folder in it that wraps everything else.

    Raises:
        DataError: no zip file; a name that leaves the folder, is absolute, or is there twice; a
            link, an encrypted or nested member; a limit exceeded; damaged data; no room.
    """
    if destination.exists():
        raise DataError(f"{destination} is there already; name a new folder to unpack into.")
    with _zip_errors(archive, destination), zipfile.ZipFile(archive) as opened:
        members = _members(archive, opened.infolist(), limits)
        allowed = max(limits.ratio_from, int(limits.ratio * archive.stat().st_size))
        allowed = min(allowed, limits.total_bytes)
        destination.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        try:
            written = 0
            for member, name in members:
                target = scratch / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("xb") as file:
                    while chunk := source.read(_CHUNK):
                        written += len(chunk)
                        if written > allowed:
                            raise DataError(_too_big(archive, allowed, limits))
                        file.write(chunk)
                    if file.tell() != member.file_size:
                        raise zipfile.BadZipFile(f"{name} is not as long as its header says")
            scratch.rename(destination)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return data_root(destination)


def unpacked(archive: Path, destination: Path, limits: UnpackLimits = UnpackLimits()) -> Path:
    """The data set's root in an archive that is unpacked to `destination` unless it is already.

    Raises:
        DataError: as `extract`.
    """
    if destination.is_dir():
        return data_root(destination)
    return extract(archive, destination, limits=limits)


def data_root(folder: Path) -> Path:
    """The folder of a data set: inside of folders that hold one folder and nothing else.

    A folder with the name of a split or of good parts is content, no wrapping.
    """
    while True:
        with os.scandir(folder) as scan:
            entries = list(scan)
        name = entries[0].name
        if len(entries) > 1 or not entries[0].is_dir() or role_of_split(name) or is_good(name):
            return folder
        folder = folder / name


@contextmanager
def _zip_errors(archive: Path, destination: Path) -> Iterator[None]:
    """What the zip reader and the disk raise, as errors for the user."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or archive} is not there.") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # the zip reader sought to where a damaged header pointed
            raise DataError(f"{archive.name} is not an intact zip archive.") from error
        raise DataError(
            f"{archive.name} cannot be unpacked into {destination.parent}: "
            f"{error.strerror or error}."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{archive.name} is not an intact zip archive: {error}.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{archive.name} is packed in a way that cannot be read ({error}); "
            "pack it again as a plain zip."
        ) from error


def _members(
    archive: Path, infos: Sequence[zipfile.ZipInfo], limits: UnpackLimits
) -> list[tuple[zipfile.ZipInfo, str]]:
    """The files to write with their names, after every name and header has been looked at."""
    if len(infos) > limits.members:
        raise DataError(
            f"{archive.name} holds {len(infos):,} members; {limits.members:,} are the limit."
        )
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        raise DataError(_too_big(archive, limits.total_bytes, limits))
    files: list[tuple[zipfile.ZipInfo, str]] = []
    names: dict[str, str] = {}
    folders: set[str] = set()
    for info in infos:
        path = _safe_path(archive, info)
        if not path.parts or any(is_junk(part) for part in path.parts):
            continue
        _refuse_kind(archive, info)
        keys = [_key(parent) for parent in path.parents if parent.parts]
        folders.update(keys)
        if info.is_dir():
            folders.add(_key(path))
            continue
        first = names.get(_key(path))
        if first is not None:
            raise DataError(
                f"{archive.name} holds {first!r} and {info.filename!r}, which are one file on many "
                "systems; rename one."
            )
        names[_key(path)] = info.filename
        files.append((info, path.as_posix()))
    both = folders & names.keys()
    if both:
        raise DataError(f"{archive.name} holds {names[min(both)]!r} as a file and as a folder.")
    if not files:
        raise DataError(f"{archive.name} holds no files.")
    return files


def _safe_path(archive: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    """The member's path below the folder; anything that leads elsewhere is refused."""
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", info.filename):
        raise DataError(
            f"{archive.name} holds {info.orig_filename!a}, which leads out of the folder it is "
            "unpacked into; nothing was unpacked."
        )
    if len(path.parts) > DEEPEST:
        raise DataError(
            f"{archive.name} holds folders more than {DEEPEST} deep; nothing was unpacked. Pack "
            "the images into fewer folders."
        )
    if any(unicodedata.category(letter) == "Cc" for letter in info.orig_filename):
        raise DataError(
            f"{archive.name} holds {info.orig_filename!a}, which is no file name: control "
            "characters; nothing was unpacked."
        )
    return path


def _refuse_kind(archive: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what is neither a plain file nor a folder."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "a special file"
    elif info.flag_bits & 0x1:
        what = "encrypted"
    elif info.filename.lower().endswith(_NESTED):
        what = "an archive in the archive"
    else:
        return
    raise DataError(
        f"{archive.name}: {info.filename!r} is {what}; pack plain files only. Nothing was unpacked."
    )


def _key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", path.as_posix()).casefold()


def _too_big(archive: Path, allowed: int, limits: UnpackLimits) -> str:
    reason = (
        "the limit"
        if allowed == limits.total_bytes
        else f"{limits.ratio:g} times its own size, which images never do"
    )
    return (
        f"{archive.name} unpacks to more than {allowed / _GIGABYTE:.3g} GB, {reason}; "
        "nothing was kept."
    )
