"""Uploads and server folders: nothing leaves where it may be."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.data import uploads
from trust_core.errors import DataError, SettingsError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv(uploads.FOLDERS_VARIABLE, str(tmp_path / "project"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def zipped(names, content=b"image"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    file.seek(0)
    return file


@given(st.text())
def test_a_safe_name_is_one_plain_name(name):
    found = uploads.safe_name(name)
    assert found
    assert Path(found).name == found
    assert len(found) <= uploads.LONGEST_NAME + 1
    assert found.isprintable()
    assert not found.startswith((".", "-"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.pth", "model.pth"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Temp\\net work.safetensors", "net_work.safetensors"),
        ("<script>.zip", "script_.zip"),
        ("größe.pt", "größe.pt"),
    ],
)
def test_safe_names(name, expected):
    assert uploads.safe_name(name) == expected


def test_the_same_bytes_are_stored_once_under_their_hash(here):
    first = uploads.store(io.BytesIO(b"weights" * 300_000), "a.pth")
    again = uploads.store(io.BytesIO(b"weights" * 300_000), "a.pth")
    other = uploads.store(io.BytesIO(b"other"), "a.pth")
    assert first == again != other
    assert first.read_bytes() == b"weights" * 300_000
    files = [path for path in (here / "workspace" / "uploads").rglob("*") if path.is_file()]
    assert len(files) == 2


def test_a_failed_upload_leaves_nothing(here):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"a\.pth cannot be stored .*No space left"):
        uploads.store(Broken(), "a.pth")
    assert not any(path.is_file() for path in (here / "workspace").rglob("*"))


def test_an_archive_is_unpacked_once_and_not_kept(here):
    names = ["tiles/good/1.png", "tiles/bad/1.png"]
    root = uploads.unpack(uploads.store(zipped(names), "tiles.zip"))
    assert sorted(path.name for path in root.iterdir()) == ["bad", "good"]
    assert uploads.unpack(uploads.store(zipped(names), "tiles.zip")) == root
    assert not list((here / "workspace").rglob("*.zip"))
    assert uploads.data_folders()[0] == root


def test_a_model_in_a_zip_has_its_weights_beside_it(here):
    names = ["export/net.onnx", "export/net.onnx.data"]
    path = uploads.store_model(zipped(names, b"given"), "net.zip")
    assert path.read_bytes() == path.with_name("net.onnx.data").read_bytes() == b"given"
    assert path in uploads.models()
    assert uploads.store_model(io.BytesIO(b"alone"), "net.pth").read_bytes() == b"alone"
    for inside in (["a.txt"], ["a.pth", "b.pth"]):
        with pytest.raises(DataError, match="drop a zip of one"):
            uploads.store_model(zipped(inside), "many.zip")


def test_an_archive_elsewhere_on_the_server_stays(here):
    archive = here / "project" / "tiles.zip"
    archive.write_bytes(zipped(["good/1.png", "bad/1.png"]).read())
    root = uploads.unpack(archive)
    assert root.is_relative_to(here / "workspace")
    assert archive.exists()


@pytest.mark.parametrize("names", [["../up.png"], ["/top.png"], ["a/../../b.png"]])
def test_a_refused_archive_leaves_nothing(here, names):
    with pytest.raises(DataError):
        uploads.unpack(uploads.store(zipped(names), "bad.zip"))
    assert not any(path.is_file() for path in here.rglob("*"))


def test_a_corrupt_archive_says_so():
    with pytest.raises(DataError, match="intact zip"):
        uploads.unpack(uploads.store(io.BytesIO(b"PK\3\4 nothing"), "bad.zip"))


def test_paths_inside_the_allowed_folders_are_found(here):
    model = here / "project" / "models" / "a.pth"
    model.parent.mkdir()
    model.touch()
    assert uploads.server_path("models/a.pth") == model
    assert uploads.server_path(str(model)) == model
    assert uploads.server_path(f" '{model}' ") == model


@pytest.mark.parametrize("text", ["/etc/passwd", "../../../../../../etc/passwd", "/", "~root"])
def test_paths_outside_are_refused_without_a_look(text):
    with pytest.raises(SettingsError, match="outside of the folders"):
        uploads.server_path(text)


def test_a_link_that_leads_outside_is_refused(here, monkeypatch):
    secret = here / "secret"
    secret.mkdir()
    (here / "project" / "link").symlink_to(secret)
    monkeypatch.setenv(uploads.FOLDERS_VARIABLE, str(here / "project"))
    with pytest.raises(SettingsError, match="outside"):
        uploads.server_path("link")
    (here / "project" / "inner").mkdir()
    (here / "project" / "fine").symlink_to(here / "project" / "inner")
    assert uploads.server_path("fine") == here / "project" / "inner"


def test_a_missing_path_says_where_it_was_looked_for(here):
    with pytest.raises(SettingsError, match=r"nothing at .*project/none\.pth"):
        uploads.server_path("none.pth")


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000])
def test_what_is_no_path_is_said(text):
    with pytest.raises(SettingsError, match="is no path"):
        uploads.server_path(text)


def test_the_variable_replaces_the_default_folders(here, monkeypatch):
    (here / "a").mkdir()
    (here / "b").mkdir()
    monkeypatch.setenv(
        uploads.FOLDERS_VARIABLE, os.pathsep.join([str(here / "a"), str(here / "b")])
    )
    assert uploads.allowed_folders() == (here / "a", here / "b", here / "workspace")
    with pytest.raises(SettingsError):
        uploads.server_path(str(here / "project"))


def test_without_a_named_folder_only_the_workspace_may_be_opened(here, monkeypatch):
    (here / ".env").write_text("SECRET=1")
    (here / "project" / "labels.csv").write_text("path,label")
    monkeypatch.delenv(uploads.FOLDERS_VARIABLE)
    assert uploads.allowed_folders() == (here / "workspace",)
    for text in ("../.env", "labels.csv", str(here / "project" / "labels.csv")):
        with pytest.raises(SettingsError, match=r"outside of the folders|nothing at"):
            uploads.server_path(text)


@pytest.mark.parametrize("text", [".env", ".git/config", "a/.hidden/b.csv", "seen"])
def test_hidden_files_are_never_opened(here, text):
    for name in (".env", ".git/config", "a/.hidden/b.csv"):
        path = here / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("SECRET=1")
    (here / "project" / "seen").symlink_to(here / "project" / ".env")
    with pytest.raises(SettingsError, match="is hidden") as refused:
        uploads.server_path(text)
    assert "SECRET" not in str(refused.value)


def test_an_allowed_folder_may_itself_be_hidden(here, monkeypatch):
    (here / ".cache" / "parts").mkdir(parents=True)
    monkeypatch.setenv(uploads.FOLDERS_VARIABLE, str(here / ".cache"))
    assert uploads.server_path("parts") == here / ".cache" / "parts"


def test_a_table_has_the_ending_of_one(here):
    (here / "project" / "notes.txt").write_text("SECRET,1")
    with pytest.raises(SettingsError, match=r"notes\.txt does not end in \.csv"):
        uploads.server_path("notes.txt", uploads.TABLE_SUFFIXES)


def test_models_and_data_near_the_project_are_listed(here):
    for name in ("models/a.pth", ".hidden/b.pth", "one/two/three/four/c.pth", "data/t/splits.csv"):
        path = here / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stored = uploads.store(io.BytesIO(b"x"), "mine.onnx")
    assert uploads.models() == [stored, here / "project" / "models" / "a.pth"]
    assert uploads.data_folders() == [here / "project" / "data" / "t"]
    assert uploads.tables(here / "project" / "data") == [here / "project/data/t/splits.csv"]
