"""The overlap profile wins where there is something to win, and steps back where there is not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.decision.tuning.test_autotune import invented
from trust_core.decision.cross_validation import base_score
from trust_core.decision.tuning.autotune import auroc_of
from trust_core.decision.tuning.candidates import Rescored
from trust_core.decision.tuning.overlap_profile import LEAST_PARTS, Profile, overlap_profile


def world(signal: float, *, seed: int = 0, missed_parts: int = 60, parts: int = 240) -> Rescored:
    """Every overlap carries a little of the signal, none carries much."""
    rescored = invented(parts=parts, missed_parts=missed_parts, recipes=30, seed=seed)
    shifted = rescored.iou_defect + 0.1 * signal * rescored.missed[None, :, None]
    own = np.random.default_rng(seed).random(len(rescored.table) // 2) < 0.25
    role = np.where(np.repeat(own, 2), "test", "tune")
    return replace(rescored, iou_defect=shifted, table=rescored.table.assign(role=role))


def base_of(rescored: Rescored) -> np.ndarray:
    delta = rescored.scores(rescored.default)
    return base_score(rescored.log_odds[0], delta, rescored.role("tune"))


def on_test(rescored: Rescored, scores: np.ndarray) -> float:
    inside = rescored.role("test")
    return float(auroc_of(scores[inside][:, None], rescored.missed[inside])[0])


def test_many_weak_overlaps_make_a_strong_profile():
    rescored = world(signal=0.35)
    found = overlap_profile(rescored)
    assert found.fitted
    assert on_test(rescored, found.scores) > on_test(rescored, base_of(rescored)) + 0.1
    assert "Fitted on" in found.sentence


def test_pure_noise_costs_next_to_nothing():
    """Over several worlds without any signal, the profile loses little against what it starts from.

    The starting point itself is no better than a coin here, so give it a signal in z.
    """
    lost = []
    for seed in range(6):
        rescored = world(0.0, seed=seed)
        rescored = replace(rescored, log_odds=rescored.log_odds + 1.0 * rescored.missed)
        found = overlap_profile(rescored)
        lost.append(on_test(rescored, base_of(rescored)) - on_test(rescored, found.scores))
    assert np.mean(lost) < 0.02
    assert max(lost) < 0.08


@pytest.mark.parametrize("missed_parts", [0, 1, 5, LEAST_PARTS - 1])
def test_few_missed_parts_abstain_and_say_so(missed_parts: int):
    rescored = world(2.0, missed_parts=missed_parts)
    rescored = replace(rescored, table=rescored.table.assign(role="tune"))
    found = overlap_profile(rescored)
    assert (found.fitted, found.penalty, found.auroc) == (False, math.inf, {})
    assert found.parts == missed_parts
    np.testing.assert_array_equal(found.scores, base_of(rescored))
    assert found.sentence.startswith(f"Not fitted: {missed_parts} parts with a miss")


def test_many_photographs_of_few_parts_abstain_too():
    rescored = world(2.0)
    groups = np.where(rescored.missed, "part 1", rescored.table["group"])
    found = overlap_profile(replace(rescored, table=rescored.table.assign(group=groups)))
    assert (found.fitted, found.parts) == (False, 1)


def test_enough_parts_are_enough():
    rescored = world(1.0, missed_parts=LEAST_PARTS)
    rescored = replace(rescored, table=rescored.table.assign(role="tune"))
    assert overlap_profile(rescored).auroc


def test_what_does_not_pay_is_not_taken():
    rescored = world(0.0, seed=3)
    rescored = replace(rescored, log_odds=rescored.log_odds + 9.0 * rescored.missed)
    rescored.iou_good[..., 0] = rescored.iou_defect[..., 0]  # z is all there is to know
    found = overlap_profile(rescored)
    assert not found.fitted
    np.testing.assert_array_equal(found.scores, base_of(rescored))
    assert found.auroc[math.inf] == max(found.auroc.values())
    assert found.sentence.startswith("Not taken: ")


def test_only_tune_is_fitted_on():
    rescored = world(0.35)
    turned = rescored.table["outcome"].where(rescored.role("tune"), "FN")
    other = overlap_profile(replace(rescored, table=rescored.table.assign(outcome=turned)))
    np.testing.assert_array_equal(other.scores, overlap_profile(rescored).scores)


def test_images_of_tune_are_scored_without_their_own_part():
    """With labels that mean nothing, scores that had seen them would still look good."""
    areas = []
    for seed in range(6):
        rescored = world(0.0, seed=seed)
        scores: Profile = overlap_profile(rescored)
        inside = rescored.role("tune")
        areas.append(float(auroc_of(scores.scores[inside][:, None], rescored.missed[inside])[0]))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_an_image_without_a_score_stays_without():
    rescored = world(0.35)
    for ious in (rescored.iou_defect, rescored.iou_good):
        ious[:, 7] = np.nan
    found = overlap_profile(rescored)
    assert found.fitted
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == [7]


def test_an_unknown_neighbouring_recipe_is_taken_as_usual():
    rescored = world(0.35)
    rescored.iou_defect[:, 5:9, 3] = np.nan
    assert np.isfinite(overlap_profile(rescored).scores).all()
