"""What is kept in memory between two requests, bounded by bytes; shared by all sessions."""

import ctypes
import platform
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

Value = TypeVar("Value")

_C = ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None


class Kept:
    """The latest results of computations, as many as a number of bytes holds.

    Two threads that ask for the same at once compute it once. Nobody writes to what is kept.

    Args:
        limit: bytes; the last result stays even when it is larger.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._pending: set[Hashable] = set()
        self._change = threading.Condition()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The result of `make`, which is called when it is not kept under `key`."""
        with self._change:
            self._change.wait_for(lambda: key not in self._pending)
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key][0]
            self._pending.add(key)
        try:
            value = make()
            give_back()
            with self._change:
                self._found[key] = value, size_of(value)
                while len(self._found) > 1 and self.size > self.limit:
                    self._found.popitem(last=False)
            return value
        finally:
            with self._change:
                self._pending.remove(key)
                self._change.notify_all()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._found

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(size for _, size in self._found.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._change:
            self._found.clear()


def give_back() -> None:
    """Return freed memory to the system, which neither Arrow nor glibc does by itself."""
    pa.default_memory_pool().release_unused()
    if _C is not None:
        _C.malloc_trim(0)


def size_of(value: object) -> int:
    """Bytes of the arrays in a value: arrays, tables, and whatever holds such; each counts once."""
    return sum({id(array): size for array, size in _arrays(value)}.values())


def _arrays(value: object) -> Iterator[tuple[object, int]]:
    if isinstance(value, np.ndarray):
        yield value, int(value.nbytes)
    elif hasattr(value, "memory_usage"):  # a table or an index of pandas
        yield value, int(np.sum(value.memory_usage(deep=False)))
    elif isinstance(value, Mapping):
        yield from _arrays(value.values())
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays(getattr(value, field.name))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for part in value:
            yield from _arrays(part)
