"""What is cache between requests stays within its bytes, and is made once."""

import gc
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from trust_core.storage.memory_cache import MemoryCache, size_of


def test_the_oldest_goes_when_there_is_no_room():
    cache, made = MemoryCache(2000), []

    def make(name: str) -> np.ndarray:
        made.append(name)
        return np.zeros(100)  # 800 bytes

    for name in "aba":
        cache.get(name, lambda name=name: make(name))
    cache.get("c", lambda: make("c"))  # b is the one not asked for longest
    assert made == ["a", "b", "c"]
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    cache.get("d", lambda: np.zeros(50))  # 400 bytes fit beside the two
    assert ("a" in cache, "c" in cache, "d" in cache) == (True, True, True)


def test_one_that_is_larger_than_all_room_is_kept_alone():
    cache = MemoryCache(10)
    first = cache.get("a", lambda: np.zeros(100))
    assert cache.get("a", lambda: pytest.fail("made again")) is first
    cache.get("b", lambda: np.zeros(100))
    assert "a" not in cache


def test_two_who_ask_at_once_make_it_once():
    cache, made = MemoryCache(1000), []

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=lambda: cache.get("a", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_what_fails_is_not_kept():
    cache = MemoryCache(1000)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert cache.get("a", lambda: 2) == 2


def test_of_what_fails_nothing_stays_and_the_next_in_line_tries_itself():
    class Key:
        pass

    cache, key, tries = MemoryCache(1000), Key(), []
    begun, failing = threading.Event(), threading.Event()

    def fail() -> int:
        tries.append(1)
        begun.set()
        failing.wait(10)
        raise ZeroDivisionError

    def ask(key: Key) -> None:
        with suppress(ZeroDivisionError):
            cache.get(key, fail)

    threads = [threading.Thread(target=ask, args=[key]) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    failing.set()
    for thread in threads:
        thread.join(10)
    assert len(tries) == 2
    gone = weakref.ref(key)
    del key, threads, thread
    gc.collect()
    assert gone() is None


def test_reading_columns_leaves_the_memory_pool_of_arrow_to_the_program():
    code = (
        "import pyarrow as pa\n"
        "before = pa.default_memory_pool().backend_name\n"
        "import trust_core.storage.audit_columns\n"
        "assert pa.default_memory_pool().backend_name == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sizes_are_those_of_the_arrays_inside():
    @dataclass
    class Pair:
        first: np.ndarray
        more: dict[str, list[np.ndarray]]

    ten = np.zeros(10)
    assert size_of(ten) == 80
    assert size_of(Pair(ten, {"a": [ten, np.zeros(5)]})) == 120
    assert size_of(pd.DataFrame({"a": ten, "b": ten})) >= 160


def test_what_modules_hold_is_not_walked_through_at_every_move():
    code = (
        "import gc, sys, timeit\n"
        "from trust_core.storage.memory_cache import freeze_loaded\n"
        "seen = len(gc.get_objects())\n"
        "freeze_loaded()\n"
        "assert len(gc.get_objects()) < seen / 10\n"
        "count, kept = gc.get_freeze_count(), [[] for _ in range(1000)]\n"
        "freeze_loaded()\n"
        "assert gc.get_freeze_count() == count, 'what sessions hold stays in sight'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
