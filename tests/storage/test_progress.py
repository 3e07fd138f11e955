"""Progress: its rate, the time that is left, and the file that others read."""

import json
import os
from pathlib import Path

import pytest

from trust_core.storage import progress as module
from trust_core.storage.progress import (
    PROGRESS,
    Progress,
    progress_writer,
    read_progress,
    stopwatch,
)


def test_what_an_earlier_run_had_done_is_no_speed(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    measure = stopwatch(begun=20)
    assert measure(20, 60) == Progress(20, 60, 0.0, 0.0)
    now[0] = 105.0
    state = measure(30, 60)
    assert state == Progress(30, 60, 5.0, 2.0)
    assert state.seconds_left == 15.0
    assert measure(20, 60).seconds_left is None


def test_a_run_that_goes_on_neither_falls_back_nor_forgets_its_time(monkeypatch):
    """20 of 60 are still there of the 30 that 12 s had done; 8 a second, and 2 s on 36 are done."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    measure = stopwatch(20, Progress(30, 60, 12.0, 2.5))
    assert measure(20, 60) == Progress(30, 60, 12.0, 0.0)
    now[0] = 101.0
    assert measure(28, 60) == Progress(30, 60, 13.0, 8.0)
    now[0] = 102.0
    assert measure(36, 60) == Progress(36, 60, 14.0, 8.0)
    assert stopwatch(0, Progress(70, 80))(0, 60).done == 60


def test_the_file_says_what_was_written_last_and_by_whom(tmp_path: Path):
    write = progress_writer(tmp_path)
    write(Progress(3, 9, 1.5, 2.0))
    assert read_progress(tmp_path) == Progress(3, 9, 1.5, 2.0, pid=os.getpid())
    assert json.loads((tmp_path / PROGRESS).read_text()) == {
        "done": 3,
        "total": 9,
        "seconds": 1.5,
        "rate": 2.0,
        "pid": os.getpid(),
        "seconds_left": 3.0,
    }


def test_it_is_written_no_more_often_than_the_interval(tmp_path: Path):
    write = progress_writer(tmp_path, interval=1.0)
    for done, seconds in enumerate((0.5, 1.5, 2.0, 2.6, 3.0)):
        write(Progress(done, 9, seconds))
        if done == 0:
            assert not (tmp_path / PROGRESS).exists()
        else:
            assert read_progress(tmp_path).done == (1 if done < 3 else 3)


@pytest.mark.parametrize("content", [None, "{", '{"history": []}'])
def test_nothing_is_known_without_a_file_that_says_it(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / PROGRESS).write_text(content)
    assert read_progress(tmp_path) == Progress(pid=0)


def test_a_file_that_says_only_how_far_it_is_is_enough(tmp_path: Path):
    (tmp_path / PROGRESS).write_text('{"done": 1, "total": 2}')
    assert read_progress(tmp_path) == Progress(1, 2, pid=0)
