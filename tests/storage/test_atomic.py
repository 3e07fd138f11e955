"""Files that appear whole: the old content or the new one, and nothing left beside it."""

import math
import os
from pathlib import Path

import pytest

from trust_core.storage.atomic import read_json, replacing, write_json

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was brought to disk, in order; the place of a rename is marked."""
    found: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split(".")[-1])
        sync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        found.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    return found


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("locked", [True, False])
def test_a_block_that_fails_changes_nothing(tmp_path: Path, locked: bool):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def stopped() -> None:
        with replacing(path, locked=locked) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_may_write_at_once_and_the_last_one_stays(tmp_path: Path):
    path = tmp_path / "a.txt"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


def test_who_holds_the_lock_writes_over_what_a_killed_process_left(tmp_path: Path):
    with replacing(tmp_path / "a", locked=True) as unfinished:
        name = unfinished.name
        unfinished.write_text("")
    for left in (tmp_path / name, tmp_path / name / "part"):  # as a file, as a folder
        (tmp_path / name).unlink(missing_ok=True)
        left.parent.mkdir(exist_ok=True)
        left.write_text("of a killed process")
        with replacing(tmp_path / "a", locked=True) as unfinished:
            assert not unfinished.exists()
            unfinished.write_text("new")
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path):
    with replacing(tmp_path / "a") as unfinished:
        (unfinished / "b").mkdir(parents=True)
        (unfinished / "b" / "c").write_text("x")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "b" / "c").read_text() == "x"


@ON_LINUX
def test_content_is_on_disk_before_the_rename_and_the_rename_after_it(
    tmp_path: Path, synced: list[str]
):
    with replacing(tmp_path / "a") as unfinished:
        unfinished.mkdir()
        (unfinished / "b").write_text("x")
    assert synced == ["b", "unfinished", "renamed", tmp_path.name]


@ON_LINUX
def test_what_may_be_lost_waits_for_no_disk(tmp_path: Path, synced: list[str]):
    write_json(tmp_path / "a.json", {"a": 1}, durable=False)
    assert synced == ["renamed"]


def test_json_is_written_whole_and_never_nan(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})
    assert read_json(path) == {"a": 1}
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", None])
def test_what_is_no_json_object_reads_as_an_empty_one(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") == {}
    assert read_json(tmp_path / "a.json" / "b.json") == {}
