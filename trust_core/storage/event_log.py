"""The log of the workspace: a JSON object a line, of audits with their timings and of faults.

Every entry has a short id; a page or a sentence says it, and it finds the entry here.
"""

import json
import logging
import os
import secrets
import time
import traceback
from pathlib import Path

from trust_core.storage.workspace import workspace_folder

LOG, BEFORE = "log.jsonl", "log.before.jsonl"
MOST_BYTES = 10 << 20  # then the log is set aside, and the one before goes


class Stopwatch:
    """Seconds of the stages of a job, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage has ended; the next one begins."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._since, 3)
        self._since = now


def write_event(kind: str, **fields: object) -> str:
    """Append an entry, where there is a workspace.

    `kind` is "audit" or "fault"; what JSON does not know of the fields is written as text.

    Returns:
        Its id, eight hex digits.
    """
    number = secrets.token_hex(4)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    line = json.dumps({"time": when, "id": number, "event": kind, **fields}, default=str) + "\n"
    folder = workspace_folder()
    if folder.is_dir():
        try:
            _append(folder / LOG, line.encode())
        except OSError as error:  # a full disk must not turn a sentence into another fault
            logging.getLogger(__name__).warning("%s cannot be written: %s", folder / LOG, error)
    return number


def write_fault(fault: BaseException, **fields: object) -> str:
    """Append a fault of the program with its traceback; its id."""
    story = "".join(traceback.format_exception(fault))
    return write_event("fault", error=f"{type(fault).__name__}: {fault}", **fields, traceback=story)


def _append(path: Path, line: bytes) -> None:
    if path.exists() and path.stat().st_size + len(line) > MOST_BYTES:
        path.replace(path.with_name(BEFORE))
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)  # whole: several processes write
    finally:
        os.close(file)
