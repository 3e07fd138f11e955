"""How far a long computation is, in memory and as a file that other processes read."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from trust_core.storage.atomic import read_json, write_json

PROGRESS = "progress.json"
INTERVAL = 0.5  # seconds from one writing to the next


@dataclass(frozen=True)
class Progress:
    """How far a computation is.

    Of `total` images (or steps, or passes), 0 while unknown, so many are `done`, those of earlier
    runs included: it never falls. `seconds` are of all runs together; `rate`, images a second, is
    of this run, in the process `pid`.
    """

    done: int = 0
    total: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    pid: int = field(default_factory=os.getpid, kw_only=True)

    @property
    def seconds_left(self) -> float | None:
        """Estimated; None while nothing is known."""
        return (self.total - self.done) / self.rate if self.rate else None


UNKNOWN = Progress(pid=0)


def stopwatch(begun: int = 0, earlier: Progress = UNKNOWN) -> Callable[[int, int], Progress]:
    """Start the time; the function that comes back makes progress of what is `done` of a `total`.

    What is there of an earlier run, `begun`, is no speed of this one. `earlier` is how far that run
    was and what it took: some of it may be done anew (steps since a checkpoint, a damaged shard);
    until this run is as far, progress stands where it was.
    """
    start = time.monotonic()

    def at(done: int, total: int) -> Progress:
        seconds = time.monotonic() - start
        rate = (done - begun) / seconds if done > begun else 0.0
        furthest = min(max(done, earlier.done), total)
        return Progress(furthest, total, earlier.seconds + seconds, rate)

    return at


def progress_writer(folder: Path, interval: float = INTERVAL) -> Callable[[Progress], None]:
    """A function that writes to `folder/progress.json`, unless it did less than `interval` ago.

    Where it has ended is always written.
    """
    written = 0.0

    def write(progress: Progress) -> None:
        nonlocal written
        if progress.seconds - written > interval or progress.done == progress.total:
            written = progress.seconds
            content = asdict(progress) | {"seconds_left": progress.seconds_left}
            write_json(folder / PROGRESS, content, durable=False)

    return write


def read_progress(folder: Path) -> Progress:
    """What a process wrote last; its `pid` is 0 where none did."""
    names = {field.name for field in fields(Progress)}
    known = {key: value for key, value in read_json(folder / PROGRESS).items() if key in names}
    return replace(UNKNOWN, **known)
