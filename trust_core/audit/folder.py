"""The folder of an audit: its default place, whose it is, and what an earlier run left there."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from trust_core.audit.identity import Identity
from trust_core.audit.settings import AuditSettings
from trust_core.errors import StoreError
from trust_core.messages import Message
from trust_core.storage.audit_files import (
    ACTIVATIONS,
    EVIDENCE,
    FEATURES,
    MAPS,
    MASKS,
    SAMPLES,
    SCORES,
)
from trust_core.storage.integrity import changed_files
from trust_core.storage.locks import LOCK
from trust_core.storage.manifest import (
    FINISHED,
    MANIFEST,
    RUNNING,
    read_manifest,
    restore_manifest,
    write_manifest,
)
from trust_core.storage.progress import PROGRESS
from trust_core.storage.shards import SHARDS
from trust_core.storage.workspace import workspace_folder


def default_folder(identity: Identity, settings: AuditSettings) -> Path:
    """Where an audit lies when it is given no place: in the workspace, named by its hashes."""
    mask = settings.mask.replace(":", "")
    return workspace_folder() / f"{identity.model_pass[:12]}-{identity.table[:8]}-{mask}"


def claim_folder(folder: Path, identity: Identity) -> bool:
    """Make the folder, or make sure that it is this audit's; True when it was made."""
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        return True
    restore_manifest(folder)
    if (folder / MANIFEST).exists():
        if read_manifest(folder).model_pass != identity.model_pass:
            raise StoreError(
                Message(
                    "{folder} holds an audit of another model, data set or setting; choose another "
                    "folder ({out}), or delete this one.",
                    folder=folder,
                )
            )
    elif not (folder / LOCK).exists():
        raise StoreError(
            Message("{folder} holds other files; choose an empty one ({out}).", folder=folder)
        )
    return False


def adopt_model_pass(folder: Path, identity: Identity) -> None:
    """Link the files of the model pass from another finished audit in the workspace, if any."""
    if (folder / MANIFEST).exists() or folder.resolve().parent != workspace_folder().resolve():
        return
    for path in sorted(folder.parent.glob(f"*/{MANIFEST}")):
        try:
            manifest = read_manifest(path.parent)
        except StoreError:
            continue  # a damaged neighbour is no reason to stop
        same = manifest.model_pass == identity.model_pass and manifest.depths
        if (
            same
            and manifest.status == FINISHED
            and not changed_files(path.parent, manifest, full=True)
        ):
            (folder / MAPS).mkdir()
            files = [SAMPLES, SCORES, *(f"{MAPS}/{entry.file}" for entry in manifest.maps)]
            for file in [*files, FEATURES, ACTIVATIONS, MASKS, EVIDENCE]:
                if (path.parent / file).exists():
                    os.link(path.parent / file, folder / file)
            write_manifest(folder, replace(manifest, files={}))
            return


def reopen_damaged(folder: Path) -> None:
    """Make a finished audit whose files are not what it wrote an unfinished one, to be computed."""
    if run_status(folder) == FINISHED:
        manifest = read_manifest(folder)
        if changed_files(folder, manifest, full=True):
            shutil.rmtree(folder / SHARDS, ignore_errors=True)
            (folder / PROGRESS).unlink(missing_ok=True)
            write_manifest(folder, replace(manifest, status=RUNNING, files={}))


def can_resume(folder: Path) -> bool:
    """Whether a run left anything that a later one could go on from."""
    return run_status(folder) == FINISHED or any(folder.glob(f"{SHARDS}/[0-9]*"))


def run_status(folder: Path) -> str | None:
    """What the manifest says of the run; None without one."""
    return read_manifest(folder).status if (folder / MANIFEST).exists() else None
