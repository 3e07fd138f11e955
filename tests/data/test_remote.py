"""Data sets behind an address: `memory://` stands for a bucket, `file://` for a share."""

import hashlib
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest

from tests.data.pictures import png, write_all
from trust_core.cli.options import dataset
from trust_core.data.images import read_image
from trust_core.data.remote import changed_contents, fetch, is_remote, read_files, shown
from trust_core.errors import DataError, UnreadableImage

SET = {
    "good/1.png": png(1),
    "good/2.png": png(2),
    "crack/1.png": png(3),
    "crack/deep/2.png": png(4),
}
TABLE = b"path,label\ngood/1.png,0\ngood/2.png,0\ncrack/1.png,1\ncrack/deep/2.png,1\n"


@pytest.fixture
def bucket():
    """A fresh `memory://bucket`, written by `put`."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]

    def put(files) -> str:
        for name, content in files.items():
            memory.pipe(f"/bucket/{name}", content)
        return "memory://bucket"

    yield put
    memory.store.clear()


@pytest.fixture
def reads(monkeypatch):
    """The names that are read from the bucket."""
    seen: list[str] = []
    storage = type(fsspec.filesystem("memory"))
    real = storage.get_file

    def get_file(self, name, *more, **options):
        seen.append(name.removeprefix("/bucket/"))
        return real(self, name, *more, **options)

    monkeypatch.setattr(storage, "get_file", get_file)
    return seen


def listed(root):
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def asked(data, **more):
    nothing = dict.fromkeys(("samples", "group_column", "group_pattern", "roles"))
    return dataset(SimpleNamespace(**({"data": data, "good": ()} | nothing | more)))


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    return tmp_path / "workspace"


@pytest.mark.parametrize("text", ["s3://b/x", "gs://b", "memory://a", "file:///a", "http+x://a"])
def test_addresses(text):
    assert is_remote(text)


@pytest.mark.parametrize(
    "text", ["parts", "/parts", "./s3:/b", "C:\\parts", "C://parts", "a/s3://b"]
)
def test_paths(text):
    assert not is_remote(text)


def test_secrets_are_not_shown():
    assert shown("sftp://ann:a@b:c@host/x") == "sftp://ann@host/x"
    assert shown("sftp://ann:secret@host/x") == "sftp://ann@host/x"
    assert shown("https://host/x.zip?Signature=secret") == "https://host/x.zip"
    assert shown("abfs://box@account.net/x") == "abfs://box@account.net/x"


def test_a_bucket_of_class_folders_is_a_data_set(bucket, workspace):
    found = asked(bucket(SET | {".DS_Store": b"x", "__MACOSX/good/1.png": b"x"}) + "/")
    assert found.source == "memory://bucket/"
    assert found.root.parent.parent == workspace / "fetched"
    assert found.root.name == "bucket"
    assert listed(found.root) == SET
    assert found.samples["label"].tolist().count(1) == 2


def test_the_same_images_in_a_folder_are_the_same_data_set(bucket, workspace, tmp_path):
    far, near = asked(bucket(SET)), asked(str(write_all(tmp_path / "parts", SET)))
    assert near.source == ""
    assert far.samples.equals(near.samples)


def test_a_share(workspace, tmp_path):
    uri = write_all(tmp_path / "my parts", SET).as_uri().replace("%20", " ")
    assert listed(asked(uri).root) == SET


def test_a_table_among_the_images_or_on_this_machine(bucket, workspace, tmp_path):
    uri = bucket(SET | {"lists/samples.csv": TABLE})
    (tmp_path / "samples.csv").write_bytes(TABLE)
    inside = asked(uri, samples=Path("lists/samples.csv"))
    outside = asked(uri, samples=tmp_path / "samples.csv")
    assert inside.layout == "CSV"
    assert inside.samples.equals(outside.samples)


def test_a_zip_goes_the_way_of_a_local_zip(bucket, workspace):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in SET.items():
            archive.writestr(f"wrap/{name}", content)
    bucket({"set.zip": stream.getvalue()})
    found = asked("memory://bucket/set.zip")
    assert listed(found.root) == SET
    assert found.root.is_relative_to(workspace / "unpacked")
    assert found.source == "memory://bucket/set.zip"


def test_a_zip_on_a_server_without_listings(bucket, tmp_path, monkeypatch):
    bucket({"set.zip": b"1"})
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", None)
    found = fetch("memory://bucket/set.zip", tmp_path)
    assert (found.name, found.read_bytes()) == ("set.zip", b"1")


def test_what_is_there_is_not_read_again(bucket, reads, tmp_path):
    uri, told = bucket(SET), []
    root = fetch(uri, tmp_path, lambda *counts: told.append(counts))
    assert sorted(reads) == sorted(SET)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    reads.clear()
    assert fetch(uri, tmp_path) == root
    assert reads == []
    (root / "good/1.png").write_bytes(b"cut")  # another size
    os.utime(root / "good/2.png", (1, 1))  # another date
    (root / "crack/1.png").unlink()
    fetch(uri, tmp_path)
    assert sorted(reads) == ["crack/1.png", "good/1.png", "good/2.png"]
    assert listed(root) == SET


def test_what_changed_or_went_away_in_the_storage_does_so_here(bucket, reads, tmp_path):
    root = fetch(bucket(SET | {"old/deep/1.png": png(9)}), tmp_path)
    changed = png(5)
    assert len(changed) == len(SET["good/1.png"])
    fsspec.filesystem("memory").rm("/bucket/old/deep/1.png")
    reads.clear()
    fetch(bucket({"good/1.png": changed}), tmp_path)
    assert reads == ["good/1.png"]
    assert listed(root) == SET | {"good/1.png": changed}
    assert not (root / "old").exists()


def test_a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file(bucket, tmp_path):
    memory = fsspec.filesystem("memory")
    root = fetch(bucket({"a": b"1", "b/c": b"2"}), tmp_path)
    memory.rm("/bucket", recursive=True)
    assert listed(fetch(bucket({"a/d": b"3", "b": b"4"}), tmp_path)) == {"a/d": b"3", "b": b"4"}
    memory.rm("/bucket", recursive=True)
    memory.pipe("/bucket", b"5")
    assert fetch("memory://bucket", tmp_path) == root
    assert root.read_bytes() == b"5"


def test_a_fetch_that_broke_off_goes_on_and_leaves_no_half_file(
    bucket, reads, tmp_path, monkeypatch
):
    uri = bucket(SET)
    storage = type(fsspec.filesystem("memory"))
    counted = storage.get_file

    def broken(self, name, target, **options):
        counted(self, name, target, **options)
        if name.endswith("deep/2.png"):
            Path(target).write_bytes(b"half")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "get_file", broken)
        patch.setattr("trust_core.data.remote.READERS", 1)
        with pytest.raises(
            DataError, match=r"bucket cannot be read \(crack/deep/2.png broke off af"
        ):
            fetch(uri, tmp_path)
    (root,) = tmp_path.glob("*/bucket")
    before = listed(root)
    assert before.items() < SET.items()
    assert not (root.parent / ".unfinished").exists()
    reads.clear()
    assert listed(fetch(uri, tmp_path)) == SET
    assert sorted(reads) == sorted(SET.keys() - before.keys())


@pytest.mark.parametrize(
    "name", ["../x.png", "good/../../x.png", "good//x.png", "..\\x.png", "C:x"]
)
def test_names_that_leave_the_folder(bucket, reads, tmp_path, name):
    uri = bucket(SET)
    memory = fsspec.filesystem("memory")
    memory.store[f"/bucket/{name}"] = memory.store["/bucket/good/1.png"]
    with pytest.raises(DataError, match="is no plain path below it; rename it there"):
        fetch(uri, tmp_path / "fetched")
    assert reads == []
    assert not list(tmp_path.iterdir())


def told_as(monkeypatch, **told):
    """The storage tells these of every file beside its size, and nothing else."""
    storage = type(fsspec.filesystem("memory"))
    find = storage.find

    def other(self, *arguments, **options):
        entries = find(self, *arguments, **options)
        keep = ("name", "size", "type")
        return {n: {key: e[key] for key in keep} | told for n, e in entries.items()}

    monkeypatch.setattr(storage, "find", other)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("ETag", '"a"', '"b"'),
        ("updated", "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06.678Z"),
        ("last_modified", "a text", "another"),
    ],
)
def test_a_tag_or_a_date_tells_versions_apart(
    bucket, reads, tmp_path, monkeypatch, key, one, other
):
    uri = bucket(SET)
    dated = key != "last_modified"
    for told, read in ((one, 4), (one, 0), (other, 4 if dated else 0)):
        with monkeypatch.context() as patch:
            told_as(patch, **{key: told})
            fetch(uri, tmp_path)
        assert len(reads) == read
        reads.clear()


@pytest.mark.parametrize(
    "uri", ["memory://bucket/none", "file:///not/there", "memory://bucket/n.zip"]
)
def test_nothing_there(bucket, tmp_path, uri):
    bucket(SET)
    with pytest.raises(DataError, match=f"^Nothing is at {uri}; check the address.$"):
        fetch(uri, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("uri", "package"),
    [
        ("s3://b/x", "s3fs"),
        ("gs://b/x", "gcsfs"),
        ("abfs://b/x", "adlfs"),
        ("sftp://h/x", r"'fsspec\[sftp\]'"),
    ],
)
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, uri, package):
    def missing(*_):
        raise ImportError("no such package")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(DataError, match=f"^{uri} needs a package: pip install {package}.$"):
        fetch(uri, tmp_path)


def test_a_workspace_that_cannot_be_made(bucket, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be made: Not a directory"):
        fetch(bucket(SET), tmp_path / "file")


def test_a_protocol_that_nobody_knows(tmp_path):
    with pytest.raises(
        DataError, match=r"xyz://a cannot be read \(Protocol not known: xyz\); check"
    ):
        fetch("xyz://a", tmp_path)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError("403"), "bucket may not be read with the rights of this machine"),
        (FileNotFoundError("x"), "Nothing is at memory://bucket"),
        (ConnectionError("no route\nto host"), r"bucket cannot be read \(no route\); check"),
        (RuntimeError(), r"bucket cannot be read \(RuntimeError\); check"),
        (OSError(28, "No space left on device"), "copied into the workspace: No space left on dev"),
    ],
)
def test_what_the_storage_raises_is_one_sentence(bucket, tmp_path, monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    uri = bucket(SET)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", fail)
    with pytest.raises(DataError, match=sentence) as caught:
        fetch(uri, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", [TypeError, AttributeError, KeyError])
def test_a_fault_of_the_program_is_none_of_the_storage(bucket, tmp_path, monkeypatch, fault):
    uri = bucket(SET)

    def broken(*_):
        raise fault("of ours")

    with pytest.raises(fault, match="of ours"):
        fetch(uri, tmp_path, broken)
    for part in ("os.utime", "trust_core.data.remote.is_junk"):
        with monkeypatch.context() as patch:
            patch.setattr(part, broken)
            with pytest.raises(fault, match="of ours"):
                fetch(uri, tmp_path / part)


def test_a_machine_of_a_cluster_takes_its_copy_only_when_it_is_the_same(bucket, tmp_path):
    uri, names = bucket(SET), ["crack/1.png", "good/2.png"]
    contents = [SET[name] for name in names]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    root = write_all(tmp_path / "copy", SET)

    assert changed_contents(root, uri, names, hashes) is None
    assert changed_contents(tmp_path / "none", uri, names, hashes) == contents
    (root / names[0]).write_bytes(png(7))
    assert changed_contents(root, uri, names, hashes) == contents
    bucket({names[0]: png(7)})
    with pytest.raises(DataError, match="memory://bucket has changed since the images"):
        changed_contents(tmp_path / "none", uri, names, hashes)
    for source in ("", "memory://bucket/set.zip"):
        with pytest.raises(DataError, match="none is not there; name a folder that all"):
            changed_contents(tmp_path / "none", source, names, hashes)


def test_images_are_read_from_where_they_are(bucket, tmp_path):
    uri = bucket(SET)
    names = ["crack/1.png", "good/2.png"]
    assert read_files(uri, names) == [SET[name] for name in names]
    path = tmp_path / "not here.png"
    assert read_image(path, SET["crack/1.png"]).getpixel((0, 0)) == 3
    with pytest.raises(UnreadableImage, match=r"not here\.png: not an image"):
        read_image(path, b"")
    with pytest.raises(DataError, match="Nothing is at memory://bucket"):
        read_files(uri, ["good/none.png"])
