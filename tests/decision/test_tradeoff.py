"""The trade-off curve against scikit-learn and brute-force counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from trust_core.decision.tradeoff import RECALLS, Curve, curve

NAN, INF = math.nan, math.inf

# Few distinct values, so that ties are the rule.
score = st.one_of(st.sampled_from([-1.0, -0.5, -0.0, 0.0, 0.25, 0.5, NAN, INF]), st.floats(-1, 1))
passed = st.lists(st.tuples(score, st.booleans()), max_size=60)
both_kinds = passed.filter(lambda rows: len({missed for _, missed in rows}) == 2)


def arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, missed = zip(*rows, strict=True) if rows else ((), ())
    return np.array(scores, np.float64), np.array(missed, bool)


def counted(scores: np.ndarray, missed: np.ndarray, threshold: float) -> tuple[int, int]:
    """Flagged FN and TN by counting: score ≥ τ, unscored always."""
    flagged = np.isnan(scores) | (scores >= threshold)
    return int((flagged & missed).sum()), int((flagged & ~missed).sum())


def test_by_hand():
    scores = np.array([0.9, 0.5, 0.5, NAN, 0.1, 0.5])
    missed = np.array([True, True, False, False, False, True])
    points = curve(scores, missed)
    assert points.thresholds.tolist() == [INF, 0.9, 0.5, 0.1]
    assert points.flagged_fn.tolist() == [0, 1, 3, 3]
    assert points.flagged_tn.tolist() == [1, 1, 2, 3]
    assert (points.fn, points.tn) == (3, 3)
    assert points.fn_recall.tolist() == [0, 1 / 3, 1, 1]
    assert points.tn_loss.tolist() == [1 / 3, 1 / 3, 2 / 3, 1]
    # 1/3 wide at 0, then 1/3 from 1/3 to 1 high, then 1/3 at 1
    assert points.auroc == pytest.approx((0 + (1 / 3 + 1) / 2 + 1) / 3)
    assert points.tn_loss_at(0.8) == pytest.approx(2 / 3)


@given(both_kinds)
def test_points_are_those_of_roc_curve(rows):
    scores, missed = arrays(rows)
    points = curve(scores, missed)
    finite = np.where(np.isfinite(scores), scores, 2.0)  # scikit-learn refuses what is not finite
    loss, recall, thresholds = roc_curve(missed, finite, drop_intermediate=False)
    if not (np.isfinite(scores)).all():
        loss, recall, thresholds = (
            loss[1:],
            recall[1:],
            thresholds[1:],
        )  # ours begins at the unscored
        thresholds[0] = INF
    np.testing.assert_array_equal(points.thresholds, thresholds)
    np.testing.assert_allclose(points.fn_recall, recall, rtol=0, atol=1e-15)
    np.testing.assert_allclose(points.tn_loss, loss, rtol=0, atol=1e-15)


@given(both_kinds)
def test_auroc_is_that_of_scikit_learn(rows):
    scores, missed = arrays(rows)
    finite = np.where(np.isfinite(scores), scores, 2.0)
    assert curve(scores, missed).auroc == pytest.approx(roc_auc_score(missed, finite), abs=1e-12)


@given(passed, st.one_of(score.filter(lambda t: not math.isnan(t)), st.just(-INF)))
def test_a_threshold_leads_to_what_has_at_least_that_score(rows, threshold: float):
    scores, missed = arrays(rows)
    points = curve(scores, missed)
    index = points.at(threshold)
    assert 0 <= index < len(points.thresholds)
    assert (points.flagged_fn[index], points.flagged_tn[index]) == counted(
        scores, missed, threshold
    )


@given(passed)
def test_every_point_is_what_its_threshold_flags(rows):
    scores, missed = arrays(rows)
    points = curve(scores, missed)
    assert points.thresholds[0] == INF
    assert (np.diff(points.thresholds[1:]) < 0).all()
    for index, threshold in enumerate(points.thresholds):
        assert points.at(threshold) == index
        flagged = points.flagged_fn[index], points.flagged_tn[index]
        assert flagged == counted(scores, missed, threshold)
    assert (points.flagged_fn[-1], points.flagged_tn[-1]) == counted(scores, missed, -INF)


@given(both_kinds, st.one_of(st.sampled_from(RECALLS), st.floats(0, 1)))
def test_tn_loss_at_a_recall_is_the_lowest_there_is(rows, recall: float):
    scores, missed = arrays(rows)
    candidates = [INF, *scores[~np.isnan(scores)]]
    reached = [
        tn / (~missed).sum()
        for fn, tn in (counted(scores, missed, t) for t in candidates)
        if fn >= recall * missed.sum() - 1e-9
    ]
    assert curve(scores, missed).tn_loss_at(recall) == pytest.approx(min(reached))


@pytest.mark.parametrize("count", [20, 40, 60, 100, 1000])
@pytest.mark.parametrize("recall", [*RECALLS, 0.07, 0.55])
def test_a_recall_is_compared_in_counts(count: int, recall: float):
    """0.07 of 100 is 7, though 0.07 * 100 is 7.000000000000001 in floating point."""
    missed = np.array([True] * count + [False])
    points = curve(np.r_[np.arange(count, 0.0, -1), 0.5], missed)
    index = points.at_recall(recall)
    assert points.flagged_fn[index] == math.ceil(round(recall * count, 6))


def test_a_catch_is_reached_at_the_lowest_loss():
    points = curve(np.array([0.9, 0.7, 0.7, 0.5]), np.array([False, True, True, False]))
    assert [points.at_caught(caught) for caught in (0, 1, 2)] == [0, 2, 2]  # ties catch two at once
    assert curve(np.array([0.5]), np.array([False])).at_caught(0) is None


def test_the_highest_recall_is_always_reached_even_when_a_miss_has_no_score():
    points = curve(np.array([NAN, 0.1, 0.9]), np.array([True, True, False]))
    assert points.tn_loss_at(1.0) == 1.0
    assert points.tn_loss_at(0.5) == 0.0


def test_without_a_missed_defect_there_is_no_recall():
    points = curve(np.array([0.2, 0.1]), np.array([False, False]))
    assert np.isnan(points.fn_recall).all()
    assert points.tn_loss.tolist() == [0, 0.5, 1]
    assert math.isnan(points.auroc)
    assert math.isnan(points.tn_loss_at(0.9))
    assert points.at_recall(0.9) is None


def test_without_a_good_part_there_is_no_loss():
    points = curve(np.array([0.2, 0.1]), np.array([True, True]))
    assert points.fn_recall.tolist() == [0, 0.5, 1]
    assert np.isnan(points.tn_loss).all()
    assert math.isnan(points.auroc)
    assert math.isnan(points.tn_loss_at(0.9))


def test_without_any_image_there_is_one_point():
    points = curve(np.array([]), np.array([], bool))
    assert isinstance(points, Curve)
    assert points.thresholds.tolist() == [INF]
    assert (points.fn, points.tn, points.at(0.0)) == (0, 0, 0)


def test_scores_of_zero_tie_whatever_their_sign():
    points = curve(np.array([0.0, -0.0]), np.array([True, False]))
    assert points.thresholds.tolist() == [INF, 0]
    assert points.auroc == 0.5


@given(both_kinds)
def test_the_order_of_the_images_does_not_matter(rows):
    first, second = curve(*arrays(rows)), curve(*arrays(rows[::-1]))
    for name in ("thresholds", "flagged_fn", "flagged_tn"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
