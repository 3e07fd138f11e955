"""The overlap profile wins where there is something to win, and steps back where there is not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.decision.tuning.overlaps import random_overlaps
from trust_core.decision.auroc import auroc_of
from trust_core.decision.cross_validation import base_score
from trust_core.decision.tuning.candidates import OverlapTable
from trust_core.decision.tuning.overlap_profile import LEAST_PARTS, overlap_profile


def world(
    signal: float, *, seed: int = 0, missed_parts: int = 60, parts: int = 240
) -> OverlapTable:
    """Every overlap carries a little of the signal, none carries much."""
    overlaps = random_overlaps(parts=parts, missed_parts=missed_parts, recipes=30, seed=seed)
    shifted = overlaps.iou_defect + 0.1 * signal * overlaps.missed[None, :, None]
    own = np.random.default_rng(seed).random(len(overlaps.table) // 2) < 0.25
    role = np.where(np.repeat(own, 2), "test", "tune")
    return replace(overlaps, iou_defect=shifted, table=overlaps.table.assign(role=role))


def base_of(overlaps: OverlapTable) -> np.ndarray:
    delta = overlaps.scores(overlaps.default)
    return base_score(overlaps.log_odds[0], delta, overlaps.role("tune"))


def on_test(overlaps: OverlapTable, scores: np.ndarray) -> float:
    inside = overlaps.role("test")
    return float(auroc_of(scores[inside][:, None], overlaps.missed[inside])[0])


def test_many_weak_overlaps_make_a_strong_profile():
    overlaps = world(signal=0.35)
    found = overlap_profile(overlaps)
    assert found.fitted
    assert on_test(overlaps, found.scores) > on_test(overlaps, base_of(overlaps)) + 0.1
    assert "Fitted on" in found.sentence


def test_pure_noise_costs_next_to_nothing():
    """Over several worlds without any signal, the profile loses little against what it starts from.

    The starting point itself is no better than a coin here, so give it a signal in z.
    """
    lost = []
    for seed in range(6):
        overlaps = world(0.0, seed=seed)
        overlaps = replace(overlaps, log_odds=overlaps.log_odds + 1.0 * overlaps.missed)
        found = overlap_profile(overlaps)
        lost.append(on_test(overlaps, base_of(overlaps)) - on_test(overlaps, found.scores))
    assert np.mean(lost) < 0.02
    assert max(lost) < 0.08


@pytest.mark.parametrize("missed_parts", [0, 1, 5, LEAST_PARTS - 1])
def test_few_missed_parts_abstain_and_say_so(missed_parts: int):
    overlaps = world(2.0, missed_parts=missed_parts)
    overlaps = replace(overlaps, table=overlaps.table.assign(role="tune"))
    found = overlap_profile(overlaps)
    assert (found.fitted, found.penalty, found.auroc) == (False, math.inf, {})
    assert found.parts == missed_parts
    np.testing.assert_array_equal(found.scores, base_of(overlaps))
    parts = "1 part" if missed_parts == 1 else f"{missed_parts} parts"
    assert found.sentence.startswith(f"Not fitted: {parts} with a miss")


def test_many_photographs_of_few_parts_abstain_too():
    overlaps = world(2.0)
    groups = np.where(overlaps.missed, "part 1", overlaps.table["group"])
    found = overlap_profile(replace(overlaps, table=overlaps.table.assign(group=groups)))
    assert (found.fitted, found.parts) == (False, 1)


def test_enough_parts_are_enough():
    overlaps = world(1.0, missed_parts=LEAST_PARTS)
    overlaps = replace(overlaps, table=overlaps.table.assign(role="tune"))
    assert overlap_profile(overlaps).auroc


def test_what_does_not_pay_is_not_taken():
    overlaps = world(0.0, seed=3)
    overlaps = replace(overlaps, log_odds=overlaps.log_odds + 9.0 * overlaps.missed)
    overlaps.iou_good[..., 0] = overlaps.iou_defect[..., 0]  # z is all there is to know
    found = overlap_profile(overlaps)
    assert not found.fitted
    np.testing.assert_array_equal(found.scores, base_of(overlaps))
    assert found.auroc[math.inf] == max(found.auroc.values())
    assert found.sentence.startswith("Not taken: ")


def test_only_tune_is_fitted_on():
    overlaps = world(0.35)
    turned = overlaps.table["outcome"].where(overlaps.role("tune"), "FN")
    other = overlap_profile(replace(overlaps, table=overlaps.table.assign(outcome=turned)))
    np.testing.assert_array_equal(other.scores, overlap_profile(overlaps).scores)


def test_images_of_tune_are_scored_without_their_own_part():
    """With labels that mean nothing, scores that had seen them would still look good."""
    areas = []
    for seed in range(6):
        overlaps = world(0.0, seed=seed)
        scores = overlap_profile(overlaps).scores
        inside = overlaps.role("tune")
        areas.append(float(auroc_of(scores[inside][:, None], overlaps.missed[inside])[0]))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_an_image_without_a_score_stays_without():
    overlaps = world(0.35)
    for ious in (overlaps.iou_defect, overlaps.iou_good):
        ious[:, 7] = np.nan
    found = overlap_profile(overlaps)
    assert found.fitted
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == [7]


def test_an_unknown_neighbouring_recipe_is_taken_as_usual():
    overlaps = world(0.35)
    overlaps.iou_defect[:, 5:9, 3] = np.nan
    assert np.isfinite(overlap_profile(overlaps).scores).all()
