"""Thumbnails: made once, kept outside the audit, and a reason where there can be none."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.fakes import passed_parts, write_fake_audit
from trust_core.figures import thumbnails as module
from trust_core.figures.thumbnails import PLACEHOLDER, SIDE, scaled, thumbnails
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import cache_folder


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return write_fake_audit(tmp_path / "audit", passed_parts([0.1, 0.2], [0.3]))


def parts(audit: Audit) -> list[tuple[str, str]]:
    table = audit.query("SELECT sample_id, path FROM samples ORDER BY sample_id")
    return list(table.itertuples(index=False, name=None))


def test_a_thumbnail_is_a_small_jpeg_with_the_proportions_of_the_photograph(audit: Audit):
    sample_id, path = parts(audit)[0]
    Image.new("RGB", (1024, 512), (10, 200, 30)).save(audit.data_file(path))
    picture = Image.open(io.BytesIO(thumbnails(audit, [(sample_id, path)])[0].picture or b""))
    assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE // 2))
    red, green, blue = picture.getpixel((5, 5))
    assert max(abs(red - 10), abs(green - 200), abs(blue - 30)) < 8


def test_a_small_photograph_is_not_enlarged_and_a_thin_one_keeps_a_pixel():
    assert scaled(Image.new("L", (40, 30)), SIDE).size == (40, 30)
    assert scaled(Image.new("L", (4000, 2)), SIDE).size == (SIDE, 1)


def test_it_is_made_once_and_not_within_the_audit(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    files = sorted(audit.folder.rglob("*"))
    first = thumbnails(audit, parts(audit))
    assert sorted(audit.folder.rglob("*")) == files
    assert len(list(cache_folder(audit).iterdir())) == len(first) == 3
    monkeypatch.setattr(module, "audit_picture", lambda *_, **__: pytest.fail("decoded again"))
    assert thumbnails(audit, parts(audit)) == first


def test_a_vanished_and_a_broken_photograph_leave_the_others_alone(audit: Audit):
    listed = parts(audit)
    audit.data_file(listed[0][1]).unlink()
    audit.data_file(listed[1][1]).write_bytes(b"not an image")
    gone, broken, whole = thumbnails(audit, listed)
    assert gone.picture is None
    assert gone.reason == f"{Path(listed[0][1]).name}: the file is not there."
    assert broken.picture is None
    assert "not an image" in broken.reason
    assert whole.picture
    assert whole.reason == ""


def test_a_photograph_that_comes_back_is_shown_again(audit: Audit):
    sample_id, path = parts(audit)[0]
    file = audit.data_file(path)
    content = file.read_bytes()
    file.unlink()
    assert thumbnails(audit, [(sample_id, path)])[0].picture is None
    file.write_bytes(content)
    assert thumbnails(audit, [(sample_id, path)])[0].picture


def test_a_disk_that_cannot_be_written_costs_nothing_but_time(audit: Audit):
    cache_folder(audit).parent.write_text("a file where the folder should be")
    assert thumbnails(audit, parts(audit)[:1])[0].picture


def test_the_placeholder_is_a_picture_without_words():
    assert re.fullmatch(r"<svg .*</svg>", PLACEHOLDER)
    assert "<text" not in PLACEHOLDER
