"""The queue of jobs: which may compute and which wait, so that few share memory and processors.

A SQLite table in the workspace says in which order jobs came; whether one still lives, its lock
alone says. A job that has to wait is a small process that becomes the job when its turn comes, so
nothing has to live beside it: neither the death of the server nor that of another job holds it up.
"""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from trust_core.storage.locks import is_locked

QUEUE = "queue.sqlite"
LONG, SHORT = "long", "short"  # two lines: a look at one part does not wait for hours of audits
WORKERS_VARIABLE = "TRUST_CORE_WORKERS"
MOST_WORKERS = 2  # unless the variable says otherwise
WORKER_BYTES = 6 << 30  # memory that one audit is counted with: three times what usual ones take
POLL_SECONDS = 0.25
PATIENCE = 30.0  # seconds that a busy database is waited for
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT UNIQUE, lock TEXT, line TEXT, task TEXT,
    runs INTEGER, tries INTEGER)"""


@dataclass(frozen=True)
class Entry:
    """A job in the queue.

    Attributes:
        folder: what it writes.
        lock: the file that it holds locked as long as it lives, waiting or computing.
        line: `LONG` or `SHORT`.
        task: what it computes; two with the same one would compute the same. "" is like no other.
        runs: whether its turn has come.
        tries: how often it was begun anew because something killed it.
    """

    folder: str
    lock: str
    line: str
    task: str = ""
    runs: bool = False
    tries: int = 0

    @property
    def lives(self) -> bool:
        """Whether its process holds its lock."""
        return is_locked(Path(self.lock))


def enter(queue: Path, entry: Entry) -> Entry:
    """Put a job, whose lock is held, at the end of its line.

    Args:
        queue: the database.
        entry: `runs` is set here.

    Returns:
        The entry; or one of another folder that is computing, or waiting to compute, the same.
    """
    with _transaction(queue) as database:
        others = (other for other in _entries(database) if other.folder != entry.folder)
        living = [other for other in others if other.lives]
        for other in living:
            if entry.task and other.task == entry.task:
                return other
        nobody_waits = all(other.runs for other in _of(entry.line, living))
        runs = nobody_waits and _is_free(entry.line, living)
        database.execute("DELETE FROM jobs WHERE folder = ?", (entry.folder,))
        database.execute(
            "INSERT INTO jobs (folder, lock, line, task, runs, tries) VALUES (?, ?, ?, ?, ?, ?)",
            (entry.folder, entry.lock, entry.line, entry.task, runs, entry.tries),
        )
        return replace(entry, runs=runs)


def leave(queue: Path, folder: Path) -> None:
    """Take a job out of the queue: it is not to be begun again."""
    if queue.exists():
        with _transaction(queue) as database:
            database.execute("DELETE FROM jobs WHERE folder = ?", (str(folder),))


def entries(queue: Path) -> list[Entry]:
    """All that are known, in the order they came; those that have ended among them."""
    if not queue.exists():
        return []
    with _opened(queue) as database:
        return _entries(database)


def ahead(queue: Path, folder: Path) -> int:
    """How many jobs come before one that waits; 0 when it does not wait."""
    known = entries(queue)
    for place, entry in enumerate(known):
        if entry.folder == str(folder):
            before = [] if entry.runs else _of(entry.line, known[:place])
            return sum(other.lives for other in before)
    return 0


def workers(line: str) -> int:
    """How many jobs of a line compute at once: by memory, or as `$TRUST_CORE_WORKERS` says."""
    given = os.environ.get(WORKERS_VARIABLE, "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    if line == SHORT:
        return MOST_WORKERS
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no limit is set, or none that is a number
        memory = min(memory, int(MEMORY_LIMIT.read_text()))
    return max(1, min(MOST_WORKERS, memory // WORKER_BYTES))


def waiting_command(queue: Path, folder: Path, command: Sequence[str]) -> list[str]:
    """The command that waits for the turn of a job in the queue and then becomes it."""
    return [sys.executable, "-m", __name__, str(queue), str(folder), *command]


def _wait(queue: Path, folder: str) -> None:
    """Return when the turn of a job has come."""
    while True:
        with _transaction(queue) as database:
            known = _entries(database)
            mine = next((entry for entry in known if entry.folder == folder), None)
            if mine is None:  # the database was lost: nothing says who is before it
                return
            others = [entry for entry in _of(mine.line, known) if entry is not mine and entry.lives]
            before = known[: known.index(mine)]
            if _is_free(mine.line, others) and all(e.runs for e in others if e in before):
                database.execute("UPDATE jobs SET runs = 1 WHERE folder = ?", (folder,))
                return
        time.sleep(POLL_SECONDS)


def _is_free(line: str, living: Sequence[Entry]) -> bool:
    return sum(entry.runs for entry in _of(line, living)) < workers(line)


def _of(line: str, all_: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in all_ if entry.line == line]


def _entries(database: sqlite3.Connection) -> list[Entry]:
    query = "SELECT folder, lock, line, task, runs, tries FROM jobs ORDER BY number"
    return [
        Entry(folder, lock, line, task, bool(runs), tries)
        for folder, lock, line, task, runs, tries in database.execute(query)
    ]


@contextmanager
def _transaction(queue: Path) -> Iterator[sqlite3.Connection]:
    with _opened(queue) as database:
        database.execute("BEGIN IMMEDIATE")
        with database:
            yield database


@contextmanager
def _opened(queue: Path) -> Iterator[sqlite3.Connection]:
    """The database; a damaged one is begun anew: it holds no more than an order."""
    try:
        try:
            database = _connected(queue)
        except sqlite3.OperationalError:  # busy, or a disk that is full: no damage
            raise
        except sqlite3.DatabaseError:
            for ending in ("", "-wal", "-shm"):
                queue.with_name(queue.name + ending).unlink(missing_ok=True)
            database = _connected(queue)
        with closing(database):
            yield database
    except sqlite3.OperationalError as error:
        raise OSError(f"{queue}: {error}") from error


def _connected(queue: Path) -> sqlite3.Connection:
    database = sqlite3.connect(queue, timeout=PATIENCE, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _stop(*_: object) -> NoReturn:
    print("Stopped. It was still waiting for its turn.", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    _wait(Path(sys.argv[1]), sys.argv[2])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the command of the job, a list, no shell
