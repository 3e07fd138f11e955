"""The log of a guard: one JSON line a part, no images.

`{"time": "2026-05-04T03:02:01.250+00:00", "policy": "9f2c…", "path": "a.png", "decision": "good",
"p_defect": 0.12, "indicator": 0.03, "reason": "", "audit_sample": false, "brightness": 104.2,
"sharpness": 3.1}`. A part without a number has `null` there. The file is opened for every write, so
that it may be rotated meanwhile.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from trust_core.deploy.inspection import Inspection
from trust_core.deploy.policy import POLICY
from trust_core.errors import StoreError, file_errors

LOG_COLUMNS = (
    *("path", "decision", "p_defect", "indicator", "reason", "audit_sample"),
    *("brightness", "sharpness"),
)
NUMBERS = ("p_defect", "indicator", "brightness", "sharpness")
_BEGIN = '{"time": "'  # of every entry


@dataclass(frozen=True)
class GuardLog:
    """Where a guard notes what it decided; any number of threads may write.

    `policy` is the hash of the policy that decided, 12 digits.
    """

    path: Path
    policy: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, inspections: Sequence[Inspection]) -> None:
        """Note some parts, with the time.

        Raises:
            StoreError: the file cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = []
        for part in inspections:
            told = part.as_json()
            entry = {"time": now, "policy": self.policy} | {n: told[n] for n in LOG_COLUMNS}
            lines.append(json.dumps(entry, allow_nan=False) + "\n")
        failed = f"Cannot write the log {self.path}"
        advice = "what the guard decides has to be noted there"
        with file_errors(failed, advice), self._lock, self.path.open("ab") as file:
            file.write((_line_end_missing(self.path) + "".join(lines)).encode())


def guard_log(path: Path, folder: Path) -> GuardLog:
    """The log of the guard in a folder.

    Raises:
        StoreError: it cannot be written; said before the first part comes.
    """
    log = GuardLog(path, policy_hash(folder))
    log.write([])
    return log


def _line_end_missing(path: Path) -> str:
    """The end of a line that a full disk or a kill has torn, so that it tears no other."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return ""
        file.seek(-1, os.SEEK_END)
        return "" if file.read(1) == b"\n" else "\n"


def policy_hash(folder: Path) -> str:
    """The first 12 digits of the sha256 of a guard's policy."""
    return hashlib.sha256((folder / POLICY).read_bytes()).hexdigest()[:12]


def read_log(path: Path) -> pd.DataFrame:
    """The parts of a log, in order.

    Returns:
        `time` (UTC), `policy` and `LOG_COLUMNS`; NaN where a part has no number. Lines that were
        torn are left out.

    Raises:
        StoreError: the file cannot be read, or is no log of a guard.
    """
    table = pd.DataFrame(list(_entries(path)), columns=["time", "policy", *LOG_COLUMNS])
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name])
    table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
    table["audit_sample"] = table["audit_sample"].astype(bool)
    return table


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} cannot be read as the log of a guard; give the log that a guard wrote."
        ) from error
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            entry = json.loads(line)
            yield {name: entry[name] for name in ("time", "policy", *LOG_COLUMNS)}
        except (ValueError, KeyError, TypeError) as error:
            if _BEGIN.startswith(line[: len(_BEGIN)]):
                continue  # torn by a full disk or a killed process
            raise StoreError(
                f"Line {number + 1} of {path} is no entry of a guard's log; give the log that "
                "a guard wrote."
            ) from error
