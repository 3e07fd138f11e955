"""A cache of results in memory, bounded by bytes, that all sessions share."""

import atexit
import ctypes
import gc
import platform
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from cachetools import LRUCache, cached

Value = TypeVar("Value")

MODULES = 100  # loaded since the last time that `freeze_loaded` had something to do
_frozen = 0
_C = ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None


class MemoryCache:
    """The latest results of computations, as many as a number of bytes holds.

    Threads that ask for the same at once compute it once. Nobody writes to what is in it.

    The last result stays even when it is larger than the `limit`, in bytes.
    """

    def __init__(self, limit: int) -> None:
        values = LRUCache[Hashable, Any](limit, lambda value: min(size_of(value), limit))
        self._find = cached(values, lambda key, _: key, condition=threading.Condition())(_made)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The result of `make`, which is called when there is none under `key`."""
        return self._find(key, make)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._find.cache


def _made(_: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - any result
    value = make()
    trim_heap()
    return value


def trim_heap() -> None:
    """Return freed memory to the system, which neither Arrow nor glibc does by itself."""
    pa.default_memory_pool().release_unused()
    if _C is not None:
        _C.malloc_trim(0)


def freeze_loaded() -> None:
    """Take what modules hold out of the garbage collector's sight, whenever many were loaded.

    Streamlit collects all garbage after every move; walking through the objects of its own modules
    took most of a move's time. Modules live as long as the process anyway. What else is alive at
    such a moment is given back by reference counts, as most things are.
    """
    global _frozen
    if len(sys.modules) >= _frozen + MODULES:
        if _frozen == 0:
            atexit.register(gc.unfreeze)  # or libraries complain, at the end, of what is left
        _frozen = len(sys.modules)
        gc.collect()
        gc.freeze()


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
