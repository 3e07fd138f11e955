"""Uploaded files, and files of the server inside an allow-list of folders."""

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from trust_core.data.archives import UnpackLimits, data_root, unpacked
from trust_core.data.files import file_sha256
from trust_core.data.upload_space import check_room, remove_upload, room
from trust_core.errors import DataError, SettingsError
from trust_core.messages import amount
from trust_core.storage.workspace import NETWORKS, workspace_folder

FOLDERS_VARIABLE = "TRUST_CORE_FOLDERS"
UPLOADS = "uploads"
CHUNK = 1 << 20
LONGEST_NAME = 80
MODEL_SUFFIXES = (".safetensors", ".pt", ".pth", ".onnx")
TABLE_SUFFIXES = (".csv",)
MOST_LISTED = 200
MOST_FOLDERS = 3000  # a home folder can be endless
LOOK_DEPTH = 3  # levels below an allowed folder that are searched for models and tables


def safe_name(name: str) -> str:
    """A file name without folders, control characters or anything that means something to a shell.

    >>> safe_name("../../etc/my tiles (1).zip")
    'my_tiles_1_.zip'
    """
    last = unicodedata.normalize("NFKC", name).replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = re.sub(r"[^\w.-]+", "_", last).lstrip(".-_").rpartition(".")
    return f"{stem[: LONGEST_NAME - len(ending)]}{dot}{ending[:LONGEST_NAME]}" or "unnamed"


def store(upload: BinaryIO, name: str) -> Path:
    """Write an upload to disk, chunk by chunk, under the sha256 of its bytes.

    The same bytes under the same name are stored once, whoever brings them.

    Returns:
        `workspace_folder()/uploads/SHA256[:16]/NAME`.

    Raises:
        DataError: it cannot be written, or there is no room for it (`data/upload_space.py`).
    """
    folder = workspace_folder() / UPLOADS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_room(folder, upload.seek(0, os.SEEK_END))
        upload.seek(0)
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            written = Path(file.name)
            try:
                while chunk := upload.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                file.close()
                target = folder / digest.hexdigest()[:16] / safe_name(name)
                target.parent.mkdir(exist_ok=True)
                written.replace(target)
                os.utime(target.parent)  # its days count from now
            finally:
                written.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{safe_name(name)} cannot be stored in {folder}: {error.strerror or error}; "
            "make room there, or give a path on the server."
        ) from error
    return target.resolve()


def unpack(archive: Path, extract: Callable[[Path, Path, UnpackLimits], Path] = unpacked) -> Path:
    """The data folder that an archive holds, unpacked into the workspace once.

    An upload is deleted when it is unpacked, or refused: its bytes are not kept twice. `extract`
    unpacks an archive to a folder: `archives.unpacked`, or that elsewhere.

    Raises:
        DataError: the archive is refused, with the reason.
    """
    uploads = (workspace_folder() / UPLOADS).resolve()
    folder = uploads / file_sha256(archive)[:16]
    try:
        uploads.mkdir(parents=True, exist_ok=True)
        if not (folder / archive.stem).is_dir():
            check_room(uploads, archive.stat().st_size)
        limits = UnpackLimits(total_bytes=min(UnpackLimits().total_bytes, room(uploads)))
        return extract(archive, folder / archive.stem, limits)
    finally:
        if archive.parent == folder:
            archive.unlink(missing_ok=True)


def store_model(
    upload: BinaryIO, name: str, extract: Callable[[Path, Path, UnpackLimits], Path] = unpacked
) -> Path:
    """Write an uploaded model to disk; a zip is unpacked, for a file whose weights lie beside it.

    `extract` is as of `unpack`.

    Returns:
        The model file.

    Raises:
        DataError: it cannot be written or unpacked, or the zip holds no model file, or several.
    """
    stored = store(upload, name)
    if stored.suffix.lower() != ".zip":
        return stored
    inside = unpack(stored, extract).rglob("*")
    files = sorted(path for path in inside if path.suffix.lower() in MODEL_SUFFIXES)
    if len(files) != 1:
        raise DataError(
            f"{stored.name} holds {amount(len(files), 'model file', 'model files')} "
            f"({', '.join(MODEL_SUFFIXES)}); drop a zip of one, with what lies beside it."
        )
    return files[0].resolve()


def remove(path: Path) -> bool:
    """Delete what was uploaded, unless an audit or a job names it; other files are left alone.

    Args:
        path: as `store`, `store_model` or `unpack` gave it.

    Returns:
        Whether it is gone.
    """
    return remove_upload((workspace_folder() / UPLOADS).resolve(), path.resolve())


def allowed_folders() -> tuple[Path, ...]:
    """Folders whose content may be named: `$TRUST_CORE_FOLDERS` (separated as `$PATH` is).

    The workspace always; without the variable nothing else.
    """
    given = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [*(Path(name) for name in given if name), workspace_folder()]
    return tuple(dict.fromkeys(folder.resolve() for folder in folders))


def server_path(text: str, endings: Sequence[str] = ()) -> Path:
    """A path on the server as typed, made absolute, with its links followed.

    `text` is absolute, or relative to one of the allowed folders; a file has one of the `endings`,
    any when there are none.

    Raises:
        SettingsError: it lies outside of the allowed folders or is hidden there (told before
            anything is looked at), ends otherwise, or nothing is there.
    """
    typed = Path(text.strip().strip("'\""))
    folders = allowed_folders()
    try:
        tried = [(folder / typed.expanduser()).resolve() for folder in folders]
    except (OSError, RuntimeError, ValueError):
        raise SettingsError(f"{text[:200]!r} is no path.") from None
    inside = [path for path in tried if any(path.is_relative_to(folder) for folder in folders)]
    if not inside:
        raise SettingsError(
            f"{typed} lies outside of the folders that may be opened here "
            f"({', '.join(map(str, folders))}); upload it, or name its folder at the start: "
            "python -m dashboard FOLDER."
        )
    if endings and not typed.name.casefold().endswith(tuple(endings)):
        raise SettingsError(f"{typed.name} does not end in {' or '.join(endings)}; choose another.")
    shown = [path for path in inside if any(map(partial(_in_sight, path), folders))]
    try:
        there = [path for path in shown if path.exists()]
    except (OSError, ValueError):
        raise SettingsError(f"{text[:200]!r} is no path.") from None
    if there:
        return there[0]
    if shown != inside:
        raise SettingsError(f"{typed} is hidden (its name begins with a dot); choose another one.")
    raise SettingsError(f"There is nothing at {shown[0]}; check the spelling.")


def _in_sight(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder without being hidden there."""
    return path.is_relative_to(folder) and not any(
        part.startswith(".") for part in path.relative_to(folder).parts
    )


def models() -> list[Path]:
    """Model files uploaded or trained here (the newest first), or in the allowed folders."""
    home = workspace_folder().resolve()
    own = _newest([*(home / UPLOADS).glob("*/*"), *(home / NETWORKS).glob("*.safetensors")])
    for inside in ("*/*/*.onnx", "*/*/*/*.onnx"):  # unpacked, with their weights beside them
        own += sorted((home / UPLOADS).glob(inside))
    files = [path for path in own if path.is_file()] + _near(allowed_folders())
    return list(dict.fromkeys(path for path in files if path.suffix.lower() in MODEL_SUFFIXES))[
        :MOST_LISTED
    ]


def data_folders() -> list[Path]:
    """Data that was uploaded (the newest first), and folders with a table in the allowed ones."""
    uploaded = [
        data_root(path)
        for path in _newest((workspace_folder() / UPLOADS).resolve().glob("*/[!.]*"))
        if path.is_dir()
    ]
    near = [path.parent for path in _near(allowed_folders()) if path.suffix.lower() == ".csv"]
    return list(dict.fromkeys([*uploaded, *near]))[:MOST_LISTED]


def stamp() -> tuple[int, ...]:
    """Changes whenever something has been uploaded or trained here."""
    folders = (workspace_folder() / UPLOADS, workspace_folder() / NETWORKS)
    return tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders)


def tables(folder: Path) -> list[Path]:
    """CSV files in a data folder, near its top."""
    return [path for path in _near([folder]) if path.suffix.lower() == ".csv"][:MOST_LISTED]


def _newest(paths: Iterable[Path]) -> list[Path]:
    """The paths, what was written last first."""
    return sorted(paths, key=lambda path: -path.stat().st_mtime)


def _near(folders: Iterable[Path]) -> list[Path]:
    """Files of some folders and the levels just below, hidden and installed ones left out."""
    found: list[Path] = []
    skipped = ("__", ".", "site-packages", "node_modules", UPLOADS, NETWORKS)
    for folder in folders:
        for here, inner, files in islice(os.walk(folder), MOST_FOLDERS):
            deep = len(Path(here).relative_to(folder).parts) >= LOOK_DEPTH
            inner[:] = [name for name in sorted(inner) if not (deep or name.startswith(skipped))]
            found += [Path(here) / name for name in sorted(files)]
    return found
