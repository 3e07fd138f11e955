"""What was audited, in words."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.figures.words import audit as audit_words
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import Manifest


@pytest.fixture
def demo(tmp_path: Path) -> Audit:
    """10 missed defects and 5 good parts on `tune`; others elsewhere; one of each trouble."""
    parts = passed_parts([0.5] * 10, [0.1] * 5)
    parts += [Part(True, 0.9, (0.1,)), Part(False, 0.8, (0.1,)), Part(False, float("nan"), (0.1,))]
    parts += passed_parts([float("nan")], [0.5], role="certify")
    return write_fake_audit(tmp_path / "demo", parts)


def test_what_was_audited(demo: Audit):
    def said(manifest: Manifest) -> dict[str, str]:
        text = audit_words.audit_description(replace(demo, manifest=manifest))
        return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text))

    manifest = demo.manifest
    assert said(manifest)["Detector"] == "000000000000 (resnet18)"
    assert said(manifest)["Calls a part defective"] == "from a defect probability of 0.5"
    assert said(manifest)["Computed"] == "04 May 2026, 03:02, in 12 s"
    other = replace(
        manifest,
        model=replace(manifest.model, path="/models/<tile>.pt"),
        settings=replace(manifest.settings, decision_threshold=None),
    )
    assert said(other)["Detector"] == "&lt;tile&gt;.pt (resnet18)"
    assert said(other)["Calls a part defective"] == "when a kind of defect has the largest output"


def test_roles_stand_in_their_order_with_their_counts(demo: Audit):
    rows = re.findall(r'scope="row">(\w+)<.*?</tr>', told := audit_words.role_table(demo))
    assert rows == ["tune", "certify"]
    assert re.findall(r"<td>(\d+)</td>", told) == ["10", "1", "5", "1", "1", "0", "1", "0"]


def test_what_was_not_scored_is_told_and_listed(demo: Audit):
    assert audit_words.not_scored_sentence(demo) == (
        "Left out, because not readable: 1 photo. "
        "Always re-inspected, for want of a score: 1 photo called good."
    )
    listed = audit_words.not_scored(demo)
    assert sorted(listed["status"]) == ["no score", "unreadable"]
    assert (listed["reason"] != "").all()


def test_that_everything_was_scored_is_told(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "demo", passed_parts([0.5], [0.1]))
    assert "Every photo was read" in audit_words.not_scored_sentence(audit)
