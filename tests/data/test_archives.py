import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.pictures import png
from trust_core.data.archives import UnpackLimits, extract, unpacked
from trust_core.data.layouts import read_dataset
from trust_core.errors import DataError

SET = {"good/1.png": png(1), "crack/1.png": png(2), "crack/deep/2.png": png(3)}


def packed(members, compression=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of (name or ZipInfo, content) pairs, in order, with repeats."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return stream.getvalue()


def check_refusal(sentence: str, out: Path):
    assert not list(out.glob("*")), "half-written"
    assert sentence.startswith("set.zip")
    assert "\n" not in sentence


@pytest.fixture
def unpack(tmp_path):
    """Unpacks; on an error, checks that nothing at all was left behind."""

    def unpack(content, **limits):
        archive = tmp_path / "set.zip"
        archive.write_bytes(content if isinstance(content, bytes) else packed(content))
        try:
            return extract(archive, tmp_path / "out" / "set", limits=UnpackLimits(**limits))
        except DataError as error:
            check_refusal(str(error), tmp_path / "out")
            raise

    return unpack


def listed(root: Path):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
)
def test_what_was_packed_comes_out(unpack, tmp_path, compression):
    root = unpack(packed(SET, compression))
    assert root == tmp_path / "out" / "set"
    assert listed(root) == SET
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]
    assert len(read_dataset(root).samples) == 3


def test_a_wrapping_folder_is_entered(unpack, tmp_path):
    root = unpack({f"wrap/more/{name}": content for name, content in SET.items()})
    assert root == tmp_path / "out" / "set" / "wrap" / "more"
    assert listed(root) == SET


@pytest.mark.parametrize("name", ["good", "train", "MT_Free"])
def test_a_folder_that_says_something_is_no_wrapping(unpack, tmp_path, name):
    assert unpack({f"{name}/crack/1.png": b""}) == tmp_path / "out" / "set"


def test_leftovers_are_skipped(unpack):
    junk = ["__MACOSX/good/._1.png", "good/.DS_Store", "crack/Thumbs.db", "crack/thumbs.db"]
    assert listed(unpack(SET | dict.fromkeys(junk, b"x"))) == SET


def test_folders_of_their_own_backslashes_and_letters(unpack):
    members = {"good/": b"", "./": b"", "good\\ü 1.png": b"a", "größe/日本　語.png": b"b"}
    assert listed(unpack(members)) == {"good/ü 1.png": b"a", "größe/日本　語.png": b"b"}


@pytest.mark.parametrize(
    "name", ["../x.png", "good/../../x.png", "/x.png", "C:\\x.png", "c:x.png", "..\\x.png", "//h/x"]
)
def test_names_that_lead_out(unpack, name):
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(SET | {name: b"x"})


def test_dots_inside_names_are_fine(unpack):
    assert "good/..x.png" not in listed(unpack(SET | {"good/a..png": b"x", "good/b...b.png": b"y"}))


def test_control_characters(unpack):
    with pytest.raises(DataError, match="control characters"):
        unpack(SET | {"good/a\nb.png": b"x"})


def special(kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("good/special.png")
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize(("kind", "word"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a special")])
def test_links_and_special_files(unpack, kind, word):
    with pytest.raises(DataError, match=f"'good/special.png' is {word}"):
        unpack([*SET.items(), (special(kind), b"/etc/passwd")])


def test_a_plain_unix_file_passes(unpack):
    assert len(listed(unpack([*SET.items(), (special(stat.S_IFREG), b"x")]))) == 4


def flagged(content: bytes, bit: int) -> bytes:
    """Sets a flag bit of the first member, in both of its headers."""
    changed = bytearray(content)
    changed[6] |= bit
    changed[content.index(b"PK\x01\x02") + 8] |= bit
    return bytes(changed)


def test_encrypted(unpack):
    with pytest.raises(DataError, match=r"'good/1\.png' is encrypted"):
        unpack(flagged(packed(SET), 1))


@pytest.mark.parametrize("name", ["more.zip", "good/more.TAR.GZ", "x.7z"])
def test_nested_archives(unpack, name):
    with pytest.raises(DataError, match="an archive in the archive"):
        unpack(SET | {name: b"x"})


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name", ["good/1.png", "GOOD/1.png", "good//1.png", "good\\1.png", "good/./1.PNG"]
)
def test_names_that_are_one_after_normalisation(unpack, name):
    with pytest.raises(DataError, match="one file on many systems"):
        unpack([*SET.items(), (name, b"other")])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_more_names_that_are_one(unpack):
    with pytest.raises(DataError, match="one file"):
        unpack([("a", b"1"), ("a", b"2")])
    with pytest.raises(DataError, match="one file"):
        unpack([("\u00e9.png", b"1"), ("e\u0301.png", b"2")])
    with pytest.raises(DataError, match="'good' as a file and as a folder"):
        unpack([("good", b"1"), ("Good/1.png", b"2")])


def test_limits_on_members_and_size(unpack):
    with pytest.raises(DataError, match="holds 3 members; 2 are the limit"):
        unpack(SET, members=2)
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(SET, total_bytes=sum(map(len, SET.values())) - 1)
    assert listed(unpack(SET, members=3, total_bytes=sum(map(len, SET.values())))) == SET


def test_a_bomb_is_stopped_by_its_ratio(unpack):
    bomb = SET | {"crack/zeros.png": bytes(3_000_000)}
    with pytest.raises(DataError, match="100 times its own size"):
        unpack(bomb, ratio_from=1_000_000)


def test_small_black_masks_are_no_bomb(unpack):
    assert len(listed(unpack(SET | {"crack/1_label.bmp": bytes(3_000_000)}))) == 4


def lying(content: bytes, size: int, says: int) -> bytes:
    """Replaces an unpacked size in all headers."""
    return content.replace(struct.pack("<I", size), struct.pack("<I", says))


@pytest.mark.parametrize("says", [10, 999_999, 2_000_000])
def test_headers_that_lie_about_the_size(unpack, says):
    content = packed({"good/1.png": bytes(1_000_000), "crack/1.png": b"x"})
    with pytest.raises(DataError, match="not an intact zip"):
        unpack(lying(content, 1_000_000, says))


def test_bytes_are_counted_while_they_are_written(unpack, monkeypatch):
    """Whatever headers and the zip reader say."""
    small = packed({"a.png": b"x"})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(bytes(3_000_000)))
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(small, total_bytes=2_000_000)


@pytest.mark.parametrize("content", [b"", b"no zip", packed(SET)[:-30], packed(SET)[40:]])
def test_what_is_no_zip(unpack, content):
    with pytest.raises(DataError, match="not an intact zip archive"):
        unpack(content)


def test_damaged_content(unpack):
    content = bytearray(packed({"good/1.png": bytes(range(256)) * 9}, zipfile.ZIP_STORED))
    content[500] ^= 1
    with pytest.raises(DataError, match="not an intact zip"):
        unpack(bytes(content))


def test_an_unknown_packing(unpack):
    content = packed({"good/1.png": b"xxxx"}, zipfile.ZIP_STORED)
    start = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    changed[8:10] = changed[start + 10 : start + 12] = struct.pack("<H", 99)
    with pytest.raises(DataError, match="cannot be read"):
        unpack(bytes(changed))


def test_an_empty_zip(unpack):
    for members in ({}, {"good/": b""}, {".DS_Store": b"x"}):
        with pytest.raises(DataError, match="holds no files"):
            unpack(members)


def test_no_archive_and_a_destination_that_is_there(tmp_path):
    with pytest.raises(DataError, match=r"none\.zip is not there"):
        extract(tmp_path / "none.zip", tmp_path / "out")
    (tmp_path / "a.zip").write_bytes(packed(SET))
    with pytest.raises(DataError, match="is there already"):
        extract(tmp_path / "a.zip", tmp_path)


def test_a_destination_that_cannot_be_made(tmp_path):
    (tmp_path / "a.zip").write_bytes(packed(SET))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked into .*file"):
        extract(tmp_path / "a.zip", tmp_path / "file" / "out")


def test_a_full_disk_leaves_nothing(unpack, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(DataError, match="No space left on device"):
        unpack(SET)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), junk=st.binary(min_size=1, max_size=8))
def test_damaged_archives_unpack_whole_or_say_why(tmp_path_factory, at, junk):
    folder = tmp_path_factory.mktemp("zip")
    content = packed(SET)
    at %= len(content)
    (folder / "a.zip").write_bytes(content[:at] + junk + content[at + len(junk) :])
    try:
        extract(folder / "a.zip", folder / "out")
    except DataError:
        assert [path.name for path in folder.iterdir()] == ["a.zip"]


def test_unpacked_once_is_found_again(tmp_path):
    (tmp_path / "a.zip").write_bytes(packed({f"wrap/{name}": data for name, data in SET.items()}))
    first = unpacked(tmp_path / "a.zip", tmp_path / "out")
    (first / "mark").touch()
    again = unpacked(tmp_path / "a.zip", tmp_path / "out")
    assert again == first == tmp_path / "out" / "wrap"
    assert (again / "mark").exists()


def test_folders_in_folders_have_an_end(unpack):
    with pytest.raises(DataError, match="more than 64 deep"):
        unpack({"d/" * 32_000 + "1.png": png(1)})
    root = unpack({"d/" * 63 + "1.png": png(1), "b/1.png": png(2)})
    assert len(list(root.rglob("*.png"))) == 2
