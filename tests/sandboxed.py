"""Functions that misbehave, for the sandbox to be tried with."""

import ctypes
import os
import socket
import tempfile
import time
from pathlib import Path

from trust_core.errors import LabelsNeeded


def variable(name: str) -> str | None:
    return os.environ.get(name)


def double(number: int) -> int:
    return 2 * number


def whereabouts() -> tuple[int, str]:
    return os.getpid(), tempfile.gettempdir()


def compute_for_ever() -> None:
    """Without letting any other thread of the interpreter run."""
    shared: tuple[object, ...] = ()
    for _ in range(60):
        shared = (shared, shared)
    hash(shared)


def take_memory() -> int:
    return sum(bytearray(6 * 2**30))


def take_far_too_much() -> int:
    return len(bytearray(2**50))


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


def wait() -> None:
    Path(tempfile.gettempdir(), "begun").touch()
    time.sleep(600)


_kept = bytearray()


def keep(size: int) -> int:
    """So many bytes more; how many there are."""
    _kept.extend(b"x" * size)
    return len(_kept)


def ask() -> None:
    raise LabelsNeeded("Which folders are good?", {"a": 3})


def fail() -> None:
    raise KeyError("a fault")


def chatter() -> str:
    print("not an answer", flush=True)
    os.write(1, b"nor this")
    Path(tempfile.gettempdir(), "left").write_text("behind")
    return "x" * 5_000_000


def reach(address: tuple[str, int]) -> str:
    try:
        socket.create_connection(address, 2)
    except OSError as error:
        return type(error).__name__
    return "reached"
