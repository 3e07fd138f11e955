"""Room for uploads: quota, free disk, age, and what may not be deleted."""

import io
import json
import os
import time
from collections import namedtuple

import pytest

from trust_core.data import upload_space, uploads
from trust_core.errors import DataError

Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of uploads, on a disk of 100 GB of which 50 are free."""
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    free_disk(monkeypatch, 50)
    folder = tmp_path / uploads.UPLOADS
    folder.mkdir()
    return folder


def free_disk(monkeypatch, gigabytes):
    disk = Disk(100 * upload_space.GB, 0, int(gigabytes * upload_space.GB))
    monkeypatch.setattr(upload_space.shutil, "disk_usage", lambda _: disk)


def grow_old(path, days):
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def test_room_is_what_quota_and_disk_leave(folder, monkeypatch):
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "1.png").write_bytes(b"12345")
    (folder / "a" / "2.png").write_bytes(b"123")
    assert upload_space.room(folder) == 20 * upload_space.GB - 8
    monkeypatch.setenv(upload_space.QUOTA_VARIABLE, "80")
    assert upload_space.room(folder) == 45 * upload_space.GB  # 5 % of the disk stay free


def test_an_upload_over_the_quota_is_refused_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setenv(upload_space.QUOTA_VARIABLE, "1e-6")  # 1,000 bytes
    kept = uploads.store(io.BytesIO(b"x" * 900), "a.pth")
    with pytest.raises(DataError, match="uploads may take 1e-06 GB together"):
        uploads.store(io.BytesIO(b"y" * 101), "b.pth")
    assert [path for path in folder.rglob("*") if path.is_file()] == [kept]
    assert uploads.store(io.BytesIO(b"y" * 100), "b.pth").read_bytes() == b"y" * 100


def test_nothing_is_taken_when_the_disk_is_nearly_full(folder, monkeypatch):
    free_disk(monkeypatch, 4.9)
    with pytest.raises(DataError, match=r"nearly full: 4\.9 GB are free, and 5 % .* kept free"):
        uploads.store(io.BytesIO(b"x"), "a.pth")
    assert not list(folder.rglob("*"))


def test_old_uploads_go_but_for_those_that_audits_and_jobs_name(folder, tmp_path):
    names = ("old", "audited", "queued", "new")
    for name in names:
        (folder / name).mkdir()
        (folder / name / "parts.png").write_bytes(b"1")
        grow_old(folder / name, 6.9 if name == "new" else 7.1)
    (folder / ".half").write_bytes(b"1")  # what a killed upload left
    grow_old(folder / ".half", 8)
    (tmp_path / "an-audit").mkdir()
    manifest = {"data": {"root": str(folder / "audited" / "parts")}}
    (tmp_path / "an-audit" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "jobs").mkdir()
    words = ["audit", str(folder / "queued" / "model.pt")]
    (tmp_path / "jobs" / "x.json").write_text(json.dumps({"arguments": words}))
    assert upload_space.remove_old(folder) == [".half", "old"]
    assert sorted(path.name for path in folder.iterdir()) == ["audited", "new", "queued"]


def test_what_is_uploaded_again_counts_from_now(folder):
    path = uploads.store(io.BytesIO(b"x"), "a.pth")
    grow_old(path.parent, 30)
    uploads.store(io.BytesIO(b"x"), "a.pth")
    assert path.exists()
    assert upload_space.remove_old(folder) == []


def test_an_upload_is_removed_unless_something_names_it(folder):
    gone, kept = (uploads.store(io.BytesIO(b), "m.pth") for b in (b"1", b"2"))
    other = folder.parent / "mine.pth"
    other.write_bytes(b"3")
    job = folder.parent / "jobs" / "a.json"
    job.parent.mkdir()
    job.write_text(json.dumps({"arguments": ["audit", str(kept)]}))
    assert [uploads.remove(path) for path in (gone, kept, other, folder)] == [True, *[False] * 3]
    assert sorted(path for path in folder.rglob("*.pth")) == [kept]
    assert other.exists()
