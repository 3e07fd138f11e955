"""Sensitivity of the verdict: one change at a time."""

import pytest

from tests.decision.tuning.overlaps import random_overlaps
from trust_core.decision.tradeoff import curve
from trust_core.decision.tuning.candidates import OverlapCandidate, overlap_table
from trust_core.decision.tuning.mask_grid import MASK_RULES, Recipe
from trust_core.decision.tuning.sensitivity import AXES, sensitivity


def test_sensitivity_changes_one_thing_at_a_time(audit):
    overlaps = overlap_table(audit)
    choice = OverlapCandidate(Recipe("1", "layercam", "eigen", "top:0.2"), "iou_difference", 2.0)
    found = sensitivity(overlaps, choice, "tune")
    by_axis = {axis: [p for p in found.points if p.axis == axis] for axis in AXES}
    assert [len(points) for points in by_axis.values()] == [2, 2, 2, len(MASK_RULES), 4, 2]
    assert all(sum(point.chosen for point in points) == 1 for points in by_axis.values())
    other = next(p for p in by_axis["layer"] if not p.chosen)
    wanted = overlaps.scored(
        overlaps.scores(
            OverlapCandidate(Recipe("3", "layercam", "eigen", "top:0.2"), "iou_difference", 2.0)
        ),
        "tune",
    )
    missed = (wanted["outcome"] == "FN").to_numpy()
    assert 0 < missed.sum() < len(missed)
    assert other.auroc == pytest.approx(curve(wanted["indicator"].to_numpy(), missed).auroc)
    rival = curve(wanted["p_defect"].to_numpy(), missed).auroc
    assert other.difference == pytest.approx(other.auroc - rival)
    assert f"of {sum(map(len, by_axis.values())) - len(AXES)} choices" in found.sentence


def test_the_colours_of_sensitivity():
    strong, flat = (
        sensitivity(random_overlaps(signal=s), tuned, "tune")
        for s, tuned in (
            (6.0, OverlapCandidate(random_overlaps().recipes[-1], "iou_defect", 0.0)),
            (0.0, random_overlaps().default),
        )
    )
    colours = {p.value: p.colour for p in strong.points if p.axis == "mask"}
    assert colours["top:0.040"] == "green"
    assert "amber" in colours.values()
    assert next(p.colour for p in flat.points if p.chosen) == "amber"
