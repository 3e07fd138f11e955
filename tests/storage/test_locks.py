"""Locks: writers exclude each other, looks exclude nobody."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trust_core.errors import StoreError
from trust_core.storage.locks import is_locked, writer_lock

CHILD = "import sys; print(flush=True); sys.stdin.read()"


def test_a_second_writer_is_told_so_and_a_third_may_come_later(tmp_path: Path):
    with writer_lock(tmp_path / "lock", "first"):
        assert is_locked(tmp_path / "lock")
        with pytest.raises(StoreError, match="busy"), writer_lock(tmp_path / "lock", "busy"):
            pass
        assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")
    with writer_lock(tmp_path / "lock", "third"):
        assert is_locked(tmp_path / "lock")


def test_who_can_wait_goes_on_when_the_first_has_ended(tmp_path: Path):
    ended = []

    def second() -> None:
        with writer_lock(tmp_path / "lock"):
            ended.append("second")

    with writer_lock(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        ended.append("first")
    thread.join(10)
    assert ended == ["first", "second"]


def test_a_folder_without_a_lock_is_not_locked(tmp_path: Path):
    assert not is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "nothing" / "lock")
    assert list(tmp_path.iterdir()) == []


def test_looks_never_make_a_writer_fail(tmp_path: Path):
    path, end = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not end.is_set():
            is_locked(path)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            with writer_lock(path, "a look was taken for a writer"):
                assert is_locked(path)
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_a_child_holds_the_lock_until_it_ends_however_it_ends(tmp_path: Path):
    path = tmp_path / "lock"
    with writer_lock(path, "") as descriptors:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=descriptors,
        )
    assert child.stdout is not None
    child.stdout.readline()
    assert is_locked(path)
    with pytest.raises(StoreError, match="busy"), writer_lock(path, "busy"):
        pass
    child.kill()
    child.communicate()
    assert not is_locked(path)
