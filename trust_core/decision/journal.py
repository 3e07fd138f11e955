"""`decisions.jsonl`: what people decided on an audit. Appended to, never changed.

Operating points chosen, seals opened, labels disputed and kept: when, who, what, why.

Every line carries the sha256 of all bytes before it (`previous`), and a file beside the journal the
sha256 of all of them: a line that was changed or removed, by a fault of the disk or by hand, is
noticed. Journals of before there was such a chain are read as they are.
"""

import fcntl
import getpass
import hashlib
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from trust_core.decision.indicators.registry import INDICATORS, check_strength
from trust_core.errors import SettingsError, file_errors
from trust_core.messages import Message
from trust_core.storage.atomic import read_json, write_json
from trust_core.storage.audit_files import Audit

JOURNAL = "decisions.jsonl"
HEAD = "decisions.head.json"  # bytes of the journal after the last entry, and their sha256
SEALED = ("certify", "test")

OPERATING_POINT, SEAL_OPENED = "operating_point", "seal_opened"
LABEL_DISPUTED, LABEL_KEPT = "label_disputed", "label_kept"


@dataclass(frozen=True)
class Seal:
    """A sealed role that was looked at."""

    role: str
    when: str
    who: str
    why: str


def entries(audit: Audit) -> list[dict[str, Any]]:
    """All entries, oldest first. A line that is no JSON (a torn write) is left out.

    The file is read when it has changed, so that a page can ask at every move of a slider.
    """
    path = audit.folder / JOURNAL
    try:
        status = path.stat()
    except FileNotFoundError:
        return []
    return list(_read(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=16)
def _read(path: Path, changed: int, size: int) -> tuple[dict[str, Any], ...]:
    found = (_parsed(line) for line in path.read_bytes().split(b"\n"))
    return tuple(entry for entry in found if entry is not None)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None where it is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def append(audit: Audit, what: str, who: str = "", **content: object) -> dict[str, Any]:
    """Add one entry with the time, the person and the audit's hashes; one write, one line.

    `who` is the account that the program runs under when empty.

    Raises:
        StoreError: the journal cannot be written.
    """
    entry = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "who": who or current_user(),
        "what": what,
        "audit": audit.id,
        **content,
    }
    path = audit.folder / JOURNAL
    failed = f"Cannot write {path}"
    advice = "what is decided on an audit, and every look at a sealed role, is noted there"
    with file_errors(failed, advice), path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed: nobody writes between
        file.seek(0)
        before = file.read()
        if before[-1:] not in (b"", b"\n"):  # a torn line must not swallow this one
            before += b"\n"
        entry["previous"] = hashlib.sha256(before).hexdigest()
        after = before + json.dumps(entry, allow_nan=False).encode() + b"\n"
        _add(file, after)
        head = {"bytes": len(after), "sha256": hashlib.sha256(after).hexdigest()}
        write_json(audit.folder / HEAD, head)
    return entry


def _add(file: IO[bytes], after: bytes) -> None:
    """Append what makes the file `after`, and bring it to disk; all of it or nothing."""
    size = os.fstat(file.fileno()).st_size
    try:
        file.write(after[size:])
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), size)
        raise


def journal_faults(folder: Path) -> list[str]:
    """Sentences on lines of the journal that were changed, removed or cannot be read."""
    path = folder / JOURNAL
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        return [f"{JOURNAL} cannot be read: {error.strerror}."]
    if not content and not (folder / HEAD).exists():
        return []
    found, so_far = [], hashlib.sha256()
    lines = [line + b"\n" for line in content.split(b"\n")]
    for number, line in enumerate(lines[:-1] if content.endswith(b"\n") else lines, 1):
        entry = _parsed(line)
        if entry is None:
            found.append(f"{JOURNAL}: line {number} cannot be read.")
        elif entry.get("previous", so_far.hexdigest()) != so_far.hexdigest():
            found.append(f"{JOURNAL}: a line before line {number} was changed or removed.")
        so_far.update(line)
    head = read_json(folder / HEAD)
    if (folder / HEAD).exists():
        end = head.get("bytes")
        whole = isinstance(end, int) and 0 <= end <= len(content)
        if not whole or hashlib.sha256(content[:end]).hexdigest() != head.get("sha256"):
            found.append(f"{JOURNAL} is not what was written: a line was changed or removed.")
    return found


def seals(audit: Audit) -> tuple[Seal, ...]:
    """The seals that were opened, oldest first."""
    return tuple(
        Seal(*(str(entry.get(key, "")) for key in ("role", "when", "who", "why")))
        for entry in entries(audit)
        if entry.get("what") == SEAL_OPENED
    )


def closed_seals(audit: Audit, roles: Sequence[str]) -> tuple[str, ...]:
    """Those of the roles whose seal nobody has opened yet."""
    opened = {seal.role for seal in seals(audit)}
    return tuple(role for role in roles if role in SEALED and role not in opened)


def require_open(audit: Audit, roles: Sequence[str]) -> None:
    """Refuse to look at a sealed role without a note.

    Raises:
        SettingsError: one of the roles is sealed.
    """
    if closed := closed_seals(audit, roles):
        raise SettingsError(
            f"The photos kept for {' and '.join(closed)} are sealed; open their seals first, which "
            f"is noted in {JOURNAL}."
        )


def open_seals(audit: Audit, roles: Sequence[str], why: str, who: str = "") -> tuple[str, ...]:
    """Log that sealed roles are looked at, and who looks; each seal is opened once.

    Returns:
        The roles whose seal this opened.
    """
    closed = closed_seals(audit, roles)
    for role in closed:
        append(audit, SEAL_OPENED, who, role=role, why=why)
    return closed


def noted_points(audit: Audit) -> list[dict[str, Any]]:
    """The operating points that were chosen, the last one first."""
    return [e for e in reversed(entries(audit)) if e.get("what") == OPERATING_POINT]


def noted_blind(audit: Audit, **values: object) -> bool:
    """Whether a point with these values was chosen before anybody looked at `certify`."""
    for entry in entries(audit):
        if entry.get("what") == SEAL_OPENED and entry.get("role") == "certify":
            return False
        if entry.get("what") == OPERATING_POINT and values.items() <= entry.items():
            return True
    return False


def decide(
    audit: Audit,
    indicator: str,
    threshold: float,
    strength: float,
    why: str,
    who: str = "",
    *,
    recall: float | None = None,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Choose an operating point, for a reason, by somebody.

    `recall` and `confidence` are what was to be proven of it, where somebody said so.

    Raises:
        SettingsError: an indicator or strength that the audit does not have, a threshold that is no
            number, or no reason given.
    """
    INDICATORS.find(indicator)
    if not math.isfinite(threshold):
        raise SettingsError(f"Threshold {threshold:g}: write a finite number.")
    check_strength(audit, strength)
    if not why.strip():
        raise SettingsError(
            Message(
                "An operating point needs a reason; write it after {why}.",
                "An operating point needs a reason.",
            )
        )
    wanted = {"recall": recall, "confidence": confidence}
    return append(
        audit,
        OPERATING_POINT,
        who,
        indicator=indicator,
        threshold=threshold,
        strength=strength,
        why=why.strip(),
        **{name: value for name, value in wanted.items() if value is not None},
    )


@dataclass(frozen=True)
class Dispute:
    """A label that somebody called wrong."""

    when: str
    who: str
    sample_id: str
    note: str


def dispute(audit: Audit, sample_id: str, note: str, who: str = "") -> None:
    """Note that a label is wrong. The label itself stays: only the data set can change it."""
    append(audit, LABEL_DISPUTED, who, sample_id=sample_id, note=note.strip())


def keep_label(audit: Audit, sample_id: str, who: str = "") -> None:
    """Take back that a label is wrong; both stay in the journal."""
    append(audit, LABEL_KEPT, who, sample_id=sample_id)


def disputes(audit: Audit) -> list[Dispute]:
    """Labels that somebody called wrong and nobody took back since, oldest first."""
    found: list[Dispute] = []
    for entry in entries(audit):
        if entry.get("what") == LABEL_DISPUTED:
            names = ("when", "who", "sample_id", "note")
            found.append(Dispute(*(str(entry.get(name, "")) for name in names)))
        elif entry.get("what") == LABEL_KEPT:
            found = [one for one in found if one.sample_id != entry.get("sample_id")]
    return found


def current_user() -> str:
    """Who is at work, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
