"""Room for uploads: how much they may take together, how long they stay, what the disk keeps free.

What an audit or a job of the workspace names stays, however old: its pictures are still looked at.
"""

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trust_core.errors import DataError
from trust_core.messages import share_text
from trust_core.storage.workspace import JOBS, workspace_folder

QUOTA_VARIABLE, QUOTA_GB = "TRUST_CORE_UPLOAD_GB", 20.0
DAYS_VARIABLE, DAYS = "TRUST_CORE_UPLOAD_DAYS", 7.0
FREE_SHARE = 0.05  # of the disk
GB = 10**9


def room(folder: Path) -> int:
    """Bytes that uploads may still take, once those that nothing needs any more are gone."""
    remove_old(folder)
    disk = shutil.disk_usage(folder)
    quota = int(_number(QUOTA_VARIABLE, QUOTA_GB) * GB)
    return min(quota - _size(folder), disk.free - int(FREE_SHARE * disk.total))


def check_room(folder: Path, needed: int) -> None:
    """Refuse what does not fit.

    `needed` is in bytes.

    Raises:
        DataError: with what to do.
    """
    left = room(folder)
    if needed <= left:
        return
    disk = shutil.disk_usage(folder)
    if disk.free - needed < FREE_SHARE * disk.total:
        raise DataError(
            f"The disk is nearly full: {disk.free / GB:.1f} GB are free, and "
            f"{share_text(FREE_SHARE, 0)} of it are kept free. Make room there, or name a folder "
            "on the server at its start."
        )
    raise DataError(
        f"It does not fit: uploads may take {_number(QUOTA_VARIABLE, QUOTA_GB):g} GB together, of "
        f"which {max(0, left) / GB:.1f} are left. Delete audits that are no longer needed, or name "
        "a folder on the server at its start."
    )


def remove_old(folder: Path) -> list[str]:
    """Delete uploads that have lain untouched too long and that nothing in the workspace names.

    Returns:
        What is gone.
    """
    oldest = time.time() - _number(DAYS_VARIABLE, DAYS) * 24 * 3600
    old = []
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # another upload that has just ended
            old += [path] if path.lstat().st_mtime < oldest else []
    if not old:
        return []
    return _remove_unneeded(folder, old)


def remove_upload(folder: Path, path: Path) -> bool:
    """Delete what was uploaded, unless something in the workspace names it; whether it is gone.

    Args:
        folder: the folder of uploads.
        path: what was uploaded, or lies in what was.
    """
    own = [each for each in folder.glob("*") if path.is_relative_to(each)]
    return bool(_remove_unneeded(folder, own))


def _remove_unneeded(folder: Path, paths: Iterable[Path]) -> list[str]:
    """Delete those of some uploads that no audit and no job names; what is gone."""
    home = workspace_folder()
    notes = [*home.glob("*/manifest.json"), *(home / JOBS).glob("*.json")]
    needed = "\n".join(note.read_text(encoding="utf-8", errors="replace") for note in notes)
    gone = [path for path in paths if f"{folder.name}/{path.name}" not in needed]
    for path in gone:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return sorted(path.name for path in gone)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total, waiting = 0, [str(folder)]
    while waiting:
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as scan:
            for entry in scan:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _number(variable: str, usual: float) -> float:
    try:
        return float(os.environ.get(variable, usual))
    except ValueError:
        return usual
