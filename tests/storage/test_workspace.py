"""The audits in the workspace."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.fakes import passed_parts, write_fake_audit
from trust_core.errors import SettingsError, StoreError
from trust_core.storage.audit_files import open_audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.manifest import MANIFEST
from trust_core.storage.workspace import (
    DISCARDED,
    JOBS,
    UNDO_SECONDS,
    audit_entry,
    bring_back,
    cache_folder,
    delete,
    discard,
    discarded_audits,
    disk_used,
    finished_audits,
    folder_of,
    list_audits,
    rename,
)

HASHED = "0123456789ab-01234567-half"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def demo(workspace: Path) -> Path:
    write_fake_audit(workspace / "demo", passed_parts([0.5, 0.1], [0.2, 0.0]))
    return workspace / "demo"


def change(folder: Path, **manifest: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest))


def test_no_workspace_holds_no_audit(workspace: Path):
    workspace.rmdir()
    assert list_audits() == []


def test_entries_are_newest_first_and_only_audits(demo: Path):
    write_fake_audit(demo.parent / "later", passed_parts([0.5], [0.2]))
    change(demo.parent / "later", created="2027-01-01T00:00:00+0000")
    (demo.parent / ".demo.deleted").mkdir()
    (demo.parent / ".demo.deleted" / MANIFEST).write_text("{}")
    assert [(e.folder, e.name, e.status, e.images) for e in list_audits()] == [
        ("later", "later", "finished", 2),
        ("demo", "Demo", "finished", 4),
    ]


def test_finished_audits_of_one_name_are_told_apart(demo: Path):
    for name in ("first", "second", "running"):
        write_fake_audit(demo.parent / name, passed_parts([0.5], [0.2]))
        rename(name, "Line 3")
    change(demo.parent / "running", status="running")
    assert finished_audits() == {
        "demo": "Demo",
        "first": "Line 3 (first)",
        "second": "Line 3 (second)",
    }


def test_a_run_that_holds_its_lock_is_running_and_one_that_does_not_was_stopped(demo: Path):
    change(demo, status="running", counts_by_role={})
    (demo / "progress.json").write_text('{"done": 3, "total": 8, "pid": 1}')
    with writer_lock(demo / LOCK, ""):
        running = audit_entry(demo)
    stopped = audit_entry(demo)
    assert (running.status, running.done, running.total) == ("running", 3, 8)
    assert (stopped.status, stopped.images) == ("stopped", 8)


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 99}', "[]", '{"schema_version": 1}'])
def test_a_damaged_audit_is_listed_as_such(demo: Path, text: str):
    (demo / MANIFEST).write_text(text)
    assert audit_entry(demo).status == "damaged"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../demo",
        "/etc",
        "nope",
        "demo/maps",
        "a\0b",
        "x" * 256,
        "ä" * 200,
        "\ud800",
        ".cache",
    ],
)
def test_only_a_plain_name_of_an_audit_opens_a_folder(demo: Path, name: str):
    (demo.parent / ".cache").mkdir()
    with pytest.raises(StoreError, match="There is no audit") as caught:
        folder_of(name)
    assert len(str(caught.value).encode()) < 500  # it can be shown
    assert folder_of("demo") == demo


def test_an_audit_that_nobody_named_is_called_by_what_was_audited(demo: Path):
    demo.rename(demo.parent / HASHED)
    assert list_audits()[0].name == "resnet18 on demo-images"
    change(demo.parent / HASHED, model={"architecture": "x", "path": "/somewhere/tiles.pt"})
    assert list_audits()[0].name == "tiles on demo-images"


def test_rename_keeps_the_folder_and_an_empty_name_takes_it_back(demo: Path):
    rename("demo", "  Line 3, <b>spring</b> ")
    assert audit_entry(demo).name == "Line 3, <b>spring</b>"
    rename("demo", "")
    assert audit_entry(demo).name == "Demo"


@pytest.mark.parametrize("name", ["x" * 81, "two\nlines", "bell\a"])
def test_rename_refuses_what_is_no_name(demo: Path, name: str):
    with pytest.raises(SettingsError, match="80 characters"):
        rename("demo", name)
    rename("demo", "x" * 80)


def test_delete_removes_the_audit_and_leaves_the_images(demo: Path):
    delete("demo")
    assert list_audits() == []
    assert [path.name for path in demo.parent.iterdir()] == ["demo-images"]


def test_delete_takes_the_thumbnails_and_the_jobs_files_along(demo: Path):
    cache = cache_folder(open_audit(demo))
    cache.mkdir(parents=True)
    jobs = demo.parent / JOBS
    jobs.mkdir()
    for name in ("demo.json", "demo.log", "demo-2.json"):
        (jobs / name).write_text("{}")
    delete("demo")
    assert not cache.exists()
    assert [file.name for file in jobs.iterdir()] == ["demo-2.json"]


def test_what_was_discarded_comes_back_whole_with_its_job(demo: Path):
    (demo.parent / JOBS).mkdir()
    (demo.parent / JOBS / "demo.json").write_text("{}")
    rename("demo", "Line 3")
    before = open_audit(demo)
    discard("demo")
    assert list_audits() == []
    assert not list((demo.parent / JOBS).iterdir())
    assert discarded_audits() == {"demo": "Line 3"}
    bring_back("demo")
    assert open_audit(demo) == before
    assert (demo.parent / JOBS / "demo.json").exists()
    assert discarded_audits() == {}
    with pytest.raises(StoreError, match="deleted for good"):
        bring_back("demo")


def test_what_was_discarded_long_ago_is_deleted_for_good(demo: Path):
    discard("demo")
    long_ago = time.time() - UNDO_SECONDS - 60
    os.utime(demo.parent / DISCARDED / "demo", (long_ago, long_ago))
    assert discarded_audits() == {}
    assert [path.name for path in demo.parent.iterdir()] == ["demo-images"]


def test_another_audit_of_the_name_is_not_written_over(demo: Path):
    discard("demo")
    write_fake_audit(demo, passed_parts([0.5], [0.2]))
    with pytest.raises(StoreError, match="Another audit is called demo now"):
        bring_back("demo")
    delete("demo")
    assert discarded_audits() == {}
    assert list_audits() == []


def test_a_running_audit_is_not_deleted(demo: Path):
    with (
        writer_lock(demo / LOCK, ""),
        pytest.raises(StoreError, match=r"Demo is still running; stop"),
    ):
        delete("demo")
    assert audit_entry(demo).status == "finished"


def test_delete_of_what_is_gone_says_so(workspace: Path):
    with pytest.raises(StoreError, match="There is no audit 'demo'"):
        delete("demo")


def test_disk_used_counts_every_file(workspace: Path):
    (workspace / "a" / "maps").mkdir(parents=True)
    (workspace / "a" / "x").write_bytes(b"12345")
    (workspace / "a" / "maps" / "y").write_bytes(b"123")
    assert disk_used("a") == 8


def test_drawing_the_list_never_makes_a_resume_fail(demo: Path):
    change(demo, status="running")
    end = threading.Event()

    def draw() -> None:
        while not end.is_set():
            list_audits()

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            with writer_lock(demo / LOCK, "being written by another run"):
                assert audit_entry(demo).status == "running"
    finally:
        end.set()
        for thread in threads:
            thread.join()
