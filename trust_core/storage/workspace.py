"""The workspace: its audits listed, renamed and deleted, with their status and size on disk.

All of it is read from disk, so that an audit started on the command line is listed like one that
was started on a page.
"""

import glob
import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from trust_core.errors import SettingsError, StoreError, file_errors
from trust_core.storage.atomic import read_json, write_json
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.locks import LOCK, is_locked, writer_lock
from trust_core.storage.manifest import (
    FINISHED,
    MANIFEST,
    RUNNING,
    SCHEMA_VERSION,
    Manifest,
    read_manifest,
)
from trust_core.storage.progress import read_progress

DEMO = "demo"
STOPPED, DAMAGED = "stopped", "damaged"
NAME_FILE = "name.json"  # the display name; the folder keeps its own
JOBS, CACHE, NETWORKS = "jobs", "cache", "networks"  # folders of the workspace without audits
DISCARDED = ".deleted"  # a folder of the workspace: what was deleted a short while ago
UNDO_SECONDS = 3600.0  # for which it can be brought back
LONGEST_NAME = 80
UNNAMED = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}-\w+")  # a folder that nobody gave a name

WORKSPACE_VARIABLE = "TRUST_CORE_WORKSPACE"


def workspace_folder() -> Path:
    """The folder of audits that were given no place of their own.

    `$TRUST_CORE_WORKSPACE`, or `workspace` in the current folder.
    """
    return Path(os.environ.get(WORKSPACE_VARIABLE, "workspace"))


@dataclass(frozen=True)
class AuditEntry:
    """An audit in the list.

    `folder` is its name in the workspace, which the URL carries, `name` what people call it;
    `status` is `finished`, `running`, `stopped` or `damaged`, `manifest` empty when damaged.
    """

    folder: str
    name: str
    status: str
    manifest: Manifest
    done: int = 0
    total: int = 0

    @property
    def images(self) -> int:
        """Images in the data set; 0 while unknown."""
        roles = self.manifest.counts_by_role.values()
        readable = sum(counts.total for counts in roles)
        return readable + self.manifest.unreadable if roles else self.total


def folder_of(name: str, what: str = "audit", there: Callable[[Path], bool] = Path.is_dir) -> Path:
    """The folder of an audit, or of `what` else, by its name in the workspace.

    Raises:
        StoreError: not a plain name, a hidden one, or nothing is `there`.
    """
    folder = workspace_folder() / name
    try:
        hidden = name.startswith(".")  # half a folder, or a discarded one
        found = bool(name) and Path(name).name == name and not hidden and there(folder)
    except (OSError, ValueError):  # longer than a name may be, or of no letters
        found = False
    if not found:
        shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:80])
        raise StoreError(
            f"There is no {what} '{shown}' in {workspace_folder()}; it may have been deleted. "
            "Choose another one."
        )
    return folder


def list_audits() -> list[AuditEntry]:
    """The audits of the workspace, the newest first."""
    found = [audit_entry(path.parent) for path in workspace_folder().glob(f"*/{MANIFEST}")]
    visible = [e for e in found if not e.folder.startswith(".")]
    return sorted(visible, key=lambda e: (e.manifest.created, e.folder), reverse=True)


def finished_audits() -> dict[str, str]:
    """Names of the finished audits by their folders, the newest first; no two are the same."""
    finished = [entry for entry in list_audits() if entry.status == FINISHED]
    times = Counter(entry.name for entry in finished)
    return {
        e.folder: e.name if times[e.name] == 1 else f"{e.name} ({e.folder[:6]})" for e in finished
    }


def audit_entry(folder: Path) -> AuditEntry:
    """How one audit stands."""
    try:
        manifest = read_manifest(folder)
        name = display_name(folder, manifest)
        if manifest.status == FINISHED:
            return AuditEntry(folder.name, name, FINISHED, manifest)
    except StoreError:
        empty = Manifest(schema_version=SCHEMA_VERSION, status=DAMAGED)
        return AuditEntry(folder.name, display_name(folder), DAMAGED, empty)
    progress = read_progress(folder)
    status = RUNNING if is_locked(folder / LOCK) else STOPPED
    return AuditEntry(folder.name, name, status, manifest, progress.done, progress.total)


def display_name(folder: Path, manifest: Manifest | None = None) -> str:
    """What the audit is called: as it was renamed, or after its folder, or by what was audited."""
    given = str(read_json(folder / NAME_FILE).get("name") or "")
    given = given or str(read_json(_first_name(folder)).get("name") or "")
    if given or folder.name == DEMO:
        return given or "Demo"
    if manifest and UNNAMED.fullmatch(folder.name):
        model, data = manifest.model, manifest.data
        detector = PurePath(model.path).stem or model.architecture
        return f"{detector} on {PurePath(data.root).name}"
    return folder.name


def name_new(folder: Path, name: str) -> None:
    """Give an audit that a worker is about to make the name that was typed for it.

    Its folder has to be empty still, so the name lies beside it until it is renamed.

    Raises:
        SettingsError: as `rename`.
        StoreError: it cannot be written.
    """
    checked, file = _checked(name), _first_name(folder)
    with file_errors(f"{folder.name} cannot be named"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"name": checked})


def _first_name(folder: Path) -> Path:
    return folder.parent / JOBS / f"{folder.name}.name"


def _checked(name: str) -> str:
    name = name.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(f"A name has up to {LONGEST_NAME} characters, all on one line.")
    return name


def rename(folder: str, name: str) -> None:
    """Give an audit a display name; an empty one gives the folder's name back.

    Raises:
        SettingsError: the name is too long or holds control characters.
        StoreError: no such audit, or it cannot be written.
    """
    checked = _checked(name)
    with file_errors(f"{folder} cannot be renamed"):
        write_json(folder_of(folder) / NAME_FILE, {"name": checked})


def cache_folder(audit: Audit) -> Path:
    """Where the thumbnails of an audit lie. It may be deleted at any time."""
    return workspace_folder() / CACHE / hashlib.sha256(audit.id.encode()).hexdigest()[:16]


def discard(folder: str) -> None:
    """Put an audit, with all that was decided on it, where it can be brought back for a while.

    Raises:
        StoreError: no such audit, one that is being written, or no right to move it.
    """
    path, kept = folder_of(folder), _discarded_folder(folder)
    job_files = list((workspace_folder() / JOBS).glob(f"{glob.escape(folder)}.*"))
    with file_errors(f"{folder} cannot be deleted"):
        with writer_lock(path / LOCK, f"{display_name(path)} is still running; stop it first."):
            if kept.exists():  # an earlier one of this name
                shutil.rmtree(kept)
            kept.mkdir(parents=True)
            path.rename(kept / folder)
        for file in job_files:
            file.rename(kept / file.name)


def bring_back(folder: str) -> None:
    """Undo `discard`.

    Raises:
        StoreError: it is gone for good, another audit has its name, or it cannot be moved.
    """
    kept, path = _discarded_folder(folder), workspace_folder() / folder
    if Path(folder).name != folder or not (kept / folder).is_dir():
        raise StoreError(f"{folder} was deleted for good; it cannot be brought back.")
    if path.exists():
        raise StoreError(f"Another audit is called {folder} now; delete that one first.")
    with file_errors(f"{folder} cannot be brought back"):
        (kept / folder).rename(path)
        for file in kept.iterdir():
            file.rename(workspace_folder() / JOBS / file.name)
        kept.rmdir()


def discarded_audits() -> dict[str, str]:
    """What can be brought back: names by their folders, the last one first.

    What was discarded more than `UNDO_SECONDS` ago is deleted for good.
    """
    found = sorted((workspace_folder() / DISCARDED).glob("*"), key=_age)
    for kept in found:
        if _age(kept) > UNDO_SECONDS:
            _delete_discarded(kept.name)
    return {kept.name: display_name(kept / kept.name) for kept in found if kept.exists()}


def delete(folder: str) -> None:
    """Delete an audit for good, also a discarded one; model and images are not touched.

    Raises:
        StoreError: no such audit, one that is being written, or no right to delete it.
    """
    if (workspace_folder() / folder).exists() or not _discarded_folder(folder).is_dir():
        discard(folder)
    _delete_discarded(folder)


def _delete_discarded(folder: str) -> None:
    kept = _discarded_folder(folder)
    with suppress(StoreError):  # an unfinished one has no thumbnails
        shutil.rmtree(cache_folder(open_audit(kept / folder)), ignore_errors=True)
    with file_errors(f"{folder} cannot be deleted"):
        shutil.rmtree(kept)
        with suppress(OSError):  # there are others
            kept.parent.rmdir()


def _discarded_folder(folder: str) -> Path:
    return workspace_folder() / DISCARDED / folder


def _age(kept: Path) -> float:
    return time.time() - kept.stat().st_mtime


def disk_used(folder: str) -> int:
    """Bytes of all files of an audit."""
    files = (path.lstat() for path in (workspace_folder() / folder).rglob("*") if not path.is_dir())
    return sum(status.st_size for status in files)
