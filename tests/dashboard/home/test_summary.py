"""What Home says of an audit."""

import re
from pathlib import Path

import pytest

from dashboard.home import summary
from tests.dashboard.app import open_page
from tests.fakes import passed_parts, write_fake_audit
from trust_core.decision.operating_point import FlagCounts
from trust_core.storage.audit_files import Audit


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((0, 9, 0, 2, 0), "The detector calls 9 parts good. None of them is a defect."),
        (
            (1, 9, 1, 0, 1),
            "The detector calls 10 parts good. 1 of them is a defect it missed. "
            "Re-inspecting the most suspicious part would catch it.",
        ),
        (
            (87, 1117, 0, 0, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "None is sent to re-inspection yet.",
        ),
        (
            (87, 1117, 0, 5, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "Re-inspecting the 5 most suspicious parts would catch none of the 87.",
        ),
        (
            (87, 1117, 87, 1013, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "Re-inspecting the 1,100 most suspicious parts would catch all 87.",
        ),
    ],
)
def test_sentences(counts: tuple[int, int, int, int, int], sentence: str):
    assert summary.finding_sentence(FlagCounts(*counts)) == sentence


def test_bars_tell_the_counts_and_no_bar_is_drawn_when_nothing_was_missed():
    bars = summary.finding_bars(FlagCounts(87, 1117, 66, 8, 54), "iou_difference")
    assert "✕ 21 still overlooked" in bars
    assert "Good parts re-inspected for that" in bars
    assert re.findall(r"<td>(\d+)</td>", bars) == ["8", "54"]
    assert summary.finding_bars(FlagCounts(0, 9, 0, 2, None), "iou_difference") == ""


@pytest.mark.parametrize(
    ("indicator", "name"),
    [("p_defect", "Lowering the threshold"), ("iou_difference", "Second Look")],
)
def test_without_a_comparison_one_bar_stands_alone(indicator: str, name: str):
    bars = summary.finding_bars(FlagCounts(9, 99, 0, 2, None), indicator)
    assert re.findall(r'<th scope="row">([^<]+)', bars) == [name]


def test_what_was_audited(demo: Audit):
    def said() -> dict[str, str]:
        return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", summary.audit_description(demo)))

    assert said()["Detector"] == "000000000000 (resnet18)"
    assert said()["Calls a part defective"] == "from a defect probability of 0.5"
    assert said()["Computed"] == "04 May 2026, 03:02, in 12 s"
    demo.manifest["model"]["path"] = "/models/<tile>.pt"
    demo.manifest["settings"]["decision_threshold"] = None
    assert said()["Detector"] == "&lt;tile&gt;.pt (resnet18)"
    assert said()["Calls a part defective"] == "when a kind of defect has the largest output"


def test_roles_stand_in_their_order_with_their_counts(demo: Audit):
    rows = re.findall(r'scope="row">(\w+)<.*?</tr>', told := summary.role_table(demo))
    assert rows == ["tune", "certify"]
    assert re.findall(r"<td>(\d+)</td>", told) == ["10", "1", "5", "1", "1", "0", "1", "0"]


def test_what_was_not_scored_is_told_and_listed(demo: Audit):
    assert summary.not_scored_sentence(demo) == (
        "Left out, because not readable: 1 image. "
        "Always re-inspected, for want of a score: 1 part called good."
    )
    listed = summary.not_scored(demo)
    assert sorted(listed["status"]) == ["no score", "unreadable"]
    assert (listed["reason"] != "").all()
    assert open_page().get("download_button")[0].proto.label == "Download the list with reasons"


def test_nothing_is_offered_when_everything_was_scored(workspace: Path):
    audit = write_fake_audit(workspace / "demo", passed_parts([0.5], [0.1]))
    assert "Every image was read" in summary.not_scored_sentence(audit)
    assert len(open_page().get("download_button")) == 0
