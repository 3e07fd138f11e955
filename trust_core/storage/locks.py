"""Locks of files: one process writes at a time; asking whether one does never makes it fail.

A lock is two files under `flock`, which the kernel releases however its holder ends. `flock` can be
asked only by taking the lock for a moment, so `is_locked` takes another than the one that writers
compete for.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trust_core.errors import StoreError

LOCK = ".lock"  # of a folder that one process writes at a time


@contextmanager
def writer_lock(path: Path, busy: str | None = None) -> Iterator[tuple[int, int]]:
    """Hold the lock at `path`, whose folder exists.

    `busy` is what to say when another process holds it; None waits until it does not. The lock file
    stays.

    Yields:
        The file descriptors; a child process that inherits them goes on holding the lock.

    Raises:
        StoreError: another process holds it.
    """
    with path.open("ab") as lock, _sign(path).open("ab") as sign:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy is not None else 0))
        except BlockingIOError:
            raise StoreError(busy) from None
        fcntl.flock(sign, fcntl.LOCK_EX)  # at once, or when a look in progress ends
        yield lock.fileno(), sign.fileno()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at `path`."""
    try:
        with _sign(path).open("rb") as sign:
            fcntl.flock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _sign(path: Path) -> Path:
    """The file that a writer locks so that `is_locked` can tell."""
    return path.with_name(f"{path.name}-held")
