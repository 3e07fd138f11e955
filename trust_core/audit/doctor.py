"""What is wrong with audits on disk: what can be repaired is repaired, everything else is named."""

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trust_core.decision.journal import journal_faults
from trust_core.errors import StoreError
from trust_core.storage.atomic import remove_unfinished
from trust_core.storage.audit_files import EVIDENCE, SAMPLES, SCORES
from trust_core.storage.integrity import changed_files, describe_files, is_readable
from trust_core.storage.locks import LOCK, is_locked, writer_lock
from trust_core.storage.manifest import (
    COPY,
    FINISHED,
    MANIFEST,
    Manifest,
    read_manifest,
    restore_manifest,
    write_manifest,
)
from trust_core.storage.shards import SHARDS, count_retries

DELETED = ".*.deleted"  # an audit whose deletion was interrupted


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with an audit.

    `sentence` is what it is, and what was done or is to do; `repaired`: nothing is left to do.
    """

    folder: str
    sentence: str
    repaired: bool


def is_audit(folder: Path) -> bool:
    """Whether an audit lies in a folder, or what is left of one."""
    return any((folder / name).exists() for name in (MANIFEST, COPY, SHARDS))


def examine(place: Path) -> tuple[int, list[Finding]]:
    """Check an audit, or all audits of a workspace; audits that are being written are left alone.

    Returns:
        How many audits were checked, and what was found.

    Raises:
        StoreError: neither an audit nor a workspace with audits lies there.
    """
    if is_audit(place):
        folders = [place]
    else:
        folders = sorted(path for path in place.glob("[!.]*") if path.is_dir() and is_audit(path))
    deleted = [] if is_audit(place) else sorted(place.glob(DELETED))
    if not folders and not deleted:
        raise StoreError(
            f"{place} holds no audit; name the folder of an audit, or of several of them."
        )
    found = []
    for path in deleted:
        shutil.rmtree(path, ignore_errors=True)
        found.append(Finding(str(path), "It was deleted in part; the rest is deleted now.", True))
    for folder in folders:
        found += _examine(folder)
    return len(folders), found


def _examine(folder: Path) -> Iterator[Finding]:
    if is_locked(folder / LOCK):
        return
    try:
        with writer_lock(folder / LOCK, f"{folder} is being written"):
            for sentence, repaired in _faults(folder):
                yield Finding(str(folder), sentence, repaired)
    except OSError as error:
        reason = error.strerror or error
        yield Finding(str(folder), f"It cannot be checked or repaired: {reason}.", False)


def _faults(folder: Path) -> Iterator[tuple[str, bool]]:
    """Sentences, each with whether its fault is repaired."""
    for name in remove_unfinished(folder):
        yield f"{name} was left behind by a run that was killed; it is removed.", True
    if restore_manifest(folder):
        yield f"{MANIFEST} or its copy was damaged; it is as it was again.", True
    try:
        manifest = read_manifest(folder)
    except StoreError:
        yield (
            f"{MANIFEST} is damaged and there is no copy of it; run the audit again into a new "
            "folder.",
            False,
        )
    else:
        yield from _finished(folder, manifest) if manifest.status == FINISHED else _shards(folder)
    if (folder / EVIDENCE).exists() and not is_readable(folder / EVIDENCE):
        (folder / EVIDENCE).unlink()
        yield f"{EVIDENCE} was damaged; it is removed, and made anew when it is needed.", True
    for fault in journal_faults(folder):
        yield fault, False


def _finished(folder: Path, manifest: Manifest) -> Iterator[tuple[str, bool]]:
    if (folder / SHARDS).exists():
        shutil.rmtree(folder / SHARDS)
        yield "Shards were left behind by a run that was killed; they are removed.", True
    gone = [name for name in (SAMPLES, SCORES) if not (folder / name).exists()]
    changed = list(dict.fromkeys([*gone, *changed_files(folder, manifest, full=True)]))
    words = shlex.join(("python", "-m", "trust_core", *manifest.command))
    how = words if manifest.command else "the same call of run_audit"
    for name in changed:
        yield f"{name} is not what the audit wrote; this computes it anew: {how}", False
    if manifest.files and not changed:  # a copy has other times; it is not read again and again
        known = {
            name: replace(record, changed=(folder / name).stat().st_mtime_ns)
            for name, record in manifest.files.items()
        }
        if known != manifest.files:
            write_manifest(folder, replace(manifest, files=describe_files(folder, known)))


def _shards(folder: Path) -> Iterator[tuple[str, bool]]:
    for path in sorted((folder / SHARDS).glob("[0-9]*")):
        if count_retries(folder, int(path.name)) is None:
            shutil.rmtree(path)
            yield (
                f"Shard {path.name} was damaged; it is removed, and the command of the audit "
                "computes it anew.",
                True,
            )
