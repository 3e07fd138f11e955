"""What is kept between requests stays within its bytes, and is made once."""

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

from trust_core.storage.memory_cache import Kept, size_of


def test_the_oldest_goes_when_there_is_no_room():
    kept, made = Kept(2000), []

    def make(name: str) -> np.ndarray:
        made.append(name)
        return np.zeros(100)  # 800 bytes

    for name in "aba":
        kept.get(name, lambda name=name: make(name))
    kept.get("c", lambda: make("c"))  # b is the one not asked for longest
    assert made == ["a", "b", "c"]
    assert ("a" in kept, "b" in kept, "c" in kept) == (True, False, True)
    assert kept.size == 1600


def test_one_that_is_larger_than_all_room_is_kept_alone():
    kept = Kept(10)
    first = kept.get("a", lambda: np.zeros(100))
    assert kept.get("a", lambda: pytest.fail("made again")) is first
    kept.get("b", lambda: np.zeros(100))
    assert "a" not in kept


def test_two_who_ask_at_once_make_it_once():
    kept, made = Kept(1000), []

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=lambda: kept.get("a", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_what_fails_is_not_kept():
    kept = Kept(1000)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.get("a", lambda: 2) == 2


def test_of_what_fails_nothing_stays_and_the_next_in_line_tries_itself():
    class Key:
        pass

    kept, key, tries = Kept(1000), Key(), []
    begun, failing = threading.Event(), threading.Event()

    def fail() -> int:
        tries.append(1)
        begun.set()
        failing.wait(10)
        raise ZeroDivisionError

    def ask(key: Key) -> None:
        with suppress(ZeroDivisionError):
            kept.get(key, fail)

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
