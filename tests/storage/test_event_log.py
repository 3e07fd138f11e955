"""The log of the workspace: entries that a short id finds, whole, and never too many."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys

import pytest

from trust_core.storage import event_log
from trust_core.storage.event_log import LOG, Stopwatch, write_event, write_fault


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return tmp_path


def entries(workspace, name=LOG):
    return [json.loads(line) for line in (workspace / name).read_text().splitlines()]


def test_an_entry_is_found_by_its_id(workspace):
    number = write_event("audit", audit="abc", seconds={"data": 0.5}, images=7)
    (entry,) = entries(workspace)
    assert len(number) == 8
    assert entry.pop("time")[:2] == "20"
    assert entry == {
        **{"id": number, "event": "audit", "audit": "abc"},
        **{"seconds": {"data": 0.5}, "images": 7},
    }
    assert stat.S_IMODE((workspace / LOG).stat().st_mode) == 0o600


def test_a_fault_is_written_with_its_story(workspace):
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as fault:
        number = write_fault(fault, audit="demo")
    (entry,) = entries(workspace)
    assert (entry["id"], entry["audit"]) == (number, "demo")
    assert entry["error"] == "ZeroDivisionError: division by zero"
    assert "test_event_log.py" in entry["traceback"]


def many(number):
    for _ in range(50):
        write_event("audit", number=number, filling="x" * 500)


def test_several_processes_write_whole_lines(workspace):
    # Not forked: a fork of a process with threads can wait for ever for a lock of one of them.
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(many, range(4))
    found = [entry["number"] for entry in entries(workspace)]
    assert sorted(found) == sorted([0, 1, 2, 3] * 50)


def test_a_long_log_is_set_aside_once(workspace, monkeypatch):
    monkeypatch.setattr(event_log, "MOST_BYTES", 300)
    numbers = [write_event("audit", filling="x" * 100) for _ in range(5)]
    assert [e["id"] for e in entries(workspace, event_log.BEFORE)] == [numbers[3]]
    assert [e["id"] for e in entries(workspace)] == [numbers[4]]


def test_without_a_workspace_nothing_is_made(workspace, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(workspace / "none"))
    assert write_event("audit")
    assert not (workspace / "none").exists()


def test_stages_add_up(monkeypatch):
    ticks = iter([10.0, 11.5, 14.0])
    monkeypatch.setattr(event_log.time, "perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    watch.lap("data")
    watch.lap("model")
    assert watch.seconds == {"data": 1.5, "model": 2.5}


def test_a_fault_of_a_command_is_a_sentence_with_an_id(workspace):
    code = (
        "import sys\n"
        "from trust_core import __main__ as entry\n"
        "def fail(): raise KeyError('here')\n"
        "entry.main = fail\n"
        "sys.exit(entry.run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (entry,) = entries(workspace)
    assert entry["id"] in done.stderr
    assert "in fail" in entry["traceback"]
