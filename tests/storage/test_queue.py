"""The queue of jobs: order, bounds, joining, and what the dead leave behind."""

import sqlite3
from contextlib import ExitStack

import pytest

from trust_core.storage import queue
from trust_core.storage.locks import writer_lock
from trust_core.storage.queue import LONG, SHORT, Entry


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(queue.WORKERS_VARIABLE, "2")
    return tmp_path


@pytest.fixture
def living(place):
    """`living(name, ...)` enters a job whose lock is held; `.close()` of its stack ends it."""
    with ExitStack() as everything:

        def enter(name, line=LONG, task=""):
            held = everything.enter_context(ExitStack())
            lock = place / f"{name}.lock"
            held.enter_context(writer_lock(lock, "busy"))
            entry = queue.enter(
                place / queue.QUEUE, Entry(str(place / name), str(lock), line, task)
            )
            return entry, held

        yield enter


def ahead(place, *names):
    return [queue.ahead(place / queue.QUEUE, place / name) for name in names]


def test_two_compute_and_the_others_wait_in_order(place, living):
    runs = [living(name)[0].runs for name in "abcd"]
    assert runs == [True, True, False, False]
    assert ahead(place, *"abcd", "unknown") == [0, 0, 2, 3, 0]


def test_a_short_job_waits_for_short_ones_only(place, living):
    assert [living(name)[0].runs for name in "abc"] == [True, True, False]
    assert [living(name, SHORT)[0].runs for name in "xyz"] == [True, True, False]
    assert ahead(place, "c", "z") == [2, 2]


def test_the_dead_are_before_nobody_and_a_newcomer_does_not_overtake(place, living):
    (_, first), _, (waiting, _) = (living(name) for name in "abc")
    assert not waiting.runs
    first.close()
    assert ahead(place, "c") == [1]
    assert not living("d")[0].runs  # there is room, but c was here before
    assert [entry.folder for entry in queue.entries(place / queue.QUEUE)] == [
        str(place / name) for name in "abcd"
    ]


def test_the_same_audit_is_joined_while_it_lives(place, living):
    first, held = living("a", task="same")
    assert living("b", task="same")[0] == first
    assert living("c", task="other")[0].folder == str(place / "c")
    held.close()
    assert living("d", task="same")[0].folder == str(place / "d")


def test_what_has_left_is_forgotten(place, living):
    living("a")
    queue.leave(place / queue.QUEUE, place / "a")
    assert queue.entries(place / queue.QUEUE) == []
    queue.leave(place / "elsewhere.sqlite", place / "a")
    assert not (place / "elsewhere.sqlite").exists()


def test_a_damaged_database_is_begun_anew(place, living):
    living("a")
    for path in place.glob(f"{queue.QUEUE}*"):
        path.write_bytes(b"no database " * 500)
    assert queue.entries(place / queue.QUEUE) == []
    assert living("b")[0].runs


def test_a_busy_database_is_no_damage(place, living, monkeypatch):
    living("a")
    monkeypatch.setattr(queue, "PATIENCE", 0.0)
    with sqlite3.connect(place / queue.QUEUE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="locked"):
            living("b")
        other.execute("ROLLBACK")
    other.close()
    assert [entry.folder for entry in queue.entries(place / queue.QUEUE)] == [str(place / "a")]


@pytest.mark.parametrize(
    ("given", "memory", "expected"),
    [("", 24, 2), ("", 8, 1), ("", 2, 1), ("", None, 2), ("5", 2, 5), ("0", 24, 2), ("no", 24, 2)],
)
def test_workers_by_memory(place, monkeypatch, given, memory, expected):
    monkeypatch.setenv(queue.WORKERS_VARIABLE, given)
    monkeypatch.setattr(queue.os, "sysconf", {"SC_PHYS_PAGES": 6 << 20, "SC_PAGE_SIZE": 4096}.get)
    monkeypatch.setattr(queue, "MEMORY_LIMIT", place / "memory.max")
    (place / "memory.max").write_text("max\n" if memory is None else f"{memory << 30}\n")
    assert queue.workers(LONG) == expected
