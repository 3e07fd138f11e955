"""What the page of one part says."""

import math
import re
from pathlib import Path

import pytest

from dashboard.parts import sentences
from tests.fakes import Part, write_fake_audit
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, page_of_parts, part_rows

POINT = OperatingPoint("iou_difference", 0.0, 0.25, "tune")


@pytest.mark.parametrize(
    ("part", "threshold", "said"),
    [
        (Part(True, 0.03, (0.5,), kind="crack"), 0.2, r"missed defect \(crack\) that is flagged"),
        (Part(True, 0.03, (0.1,)), 0.2, r"missed defect that stays missed.* 3 %"),
        (Part(False, 0.2, (0.5,)), 0.2, "good part that is flagged"),
        (Part(False, 0.2, (0.1,)), 0.2, "good part that passes"),
        (Part(True, 0.9, (0.1,)), 0.2, "caught defect: called defective"),
        (Part(False, 0.9, (0.1,)), 0.2, "false alarm: a good part called defective"),
        (Part(False, math.nan, (0.1,)), 0.2, "could not be read"),
    ],
)
def test_the_sentence_on_top(tmp_path: Path, part: Part, threshold: float, said: str):
    audit = write_fake_audit(tmp_path / "audit", [part, Part(False, 0.1, (0.0,))])
    point = OperatingPoint("iou_difference", 0.0, threshold, "tune")
    path = f"{part.kind or 'defective' if part.defective else 'good'}/0000.png"
    row = page_of_parts(audit, point, Filters(search=path), 1).iloc[0]
    sentence, below = sentences.part_finding(row)
    assert below == path
    assert re.search(said, sentence)


def test_overlaps_in_words():
    score = {"iou_defect": 0.41, "iou_good": 0.78, "iou_difference": -0.37, "strength": 0.5}
    told = sentences.overlap_sentence(score | {"status": "scored"})
    assert "overlaps <b>41 %</b> with where the network looks; the good map <b>78 %</b>" in told
    assert "Δ = 0.41 − 0.78 = <b>−0.37</b>" in told
    assert "ε = 0.5" in told
    none = dict.fromkeys(("iou_defect", "iou_good", "iou_difference"), math.nan)
    told = sentences.overlap_sentence(
        none | {"strength": 0.0, "status": "the agnostic map is constant"}
    )
    assert "the agnostic map is constant" in told
    assert "always flagged" in told


def test_names_from_outside_stay_text(tmp_path: Path):
    hostile = "<img src=x onerror=alert(1)>"
    parts = [Part(True, 0.2, (0.5,), kind="<b>", group=hostile)] * 2
    audit = write_fake_audit(tmp_path / "audit", parts)
    row = page_of_parts(audit, POINT, Filters(), 1).iloc[0]
    photos, _ = part_rows(audit, POINT, row["sample_id"])
    for html in (
        sentences.part_facts(audit, row, POINT),
        sentences.group_heading(photos, 2),
    ):
        assert "<img" not in html
        assert "&lt;img" in html
