"""What the page Deploy has computed in a sandbox: a try-out of a guard, and the report."""

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.dashboard.ware import write_audit
from tests.fakes import random_parts
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard
from trust_core.deploy.looks import report_page, try_guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.deploy.report.content import ReportSettings
from trust_core.deploy.report.seal import verify
from trust_core.storage.audit_files import Audit

SIDE = 100


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_audit(tmp_path_factory.mktemp("looks") / "audit", random_parts(24, strengths=1))


@pytest.fixture(scope="module")
def guard(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guard") / "guard"
    export_guard(audit, folder, DeployedPoint("iou_difference", 0.0, 0.1, "a test"))
    return folder


def test_a_try_out_says_and_shows_what_the_guard_does(audit: Audit, guard: Path):
    loaded = Guard.load(guard)
    for path in audit.query("SELECT path FROM samples ORDER BY path LIMIT 3")["path"]:
        content = audit.data_file(path).read_bytes()
        inspection, pictures = try_guard(guard, path, content, SIDE)
        (known,) = loaded.inspect([content], [path])
        assert (inspection.decision, inspection.indicator) == (known.decision, known.indicator)
        assert inspection.maps is None
        shown = [Image.open(io.BytesIO(picture)) for picture in pictures]
        assert len(shown) == 4
        assert {max(picture.size) for picture in shown} == {SIDE}


def test_what_is_no_picture_has_a_reason_and_none_is_shown(guard: Path):
    inspection, pictures = try_guard(guard, "no.png", b"no picture", SIDE)
    assert "unreadable" in inspection.reason
    assert pictures == []


def test_the_report_is_a_sealed_page(audit: Audit):
    assert verify(report_page(audit, ReportSettings(person="Ada"))).ok
