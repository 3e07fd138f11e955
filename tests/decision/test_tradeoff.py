"""The trade-off curve and its metrics against scikit-learn, counting, and their definitions."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from trust_core.decision.tradeoff import RECALLS, Curve, curve, metrics

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


finite_score = st.one_of(st.sampled_from([-0.5, 0.0, 0.25, 0.5, math.nan]), st.floats(-1, 1))
labelled = st.lists(st.tuples(finite_score, st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({missed for _, missed in rows}) == 2
)


def finite_arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, missed = zip(*rows, strict=True)
    return np.nan_to_num(np.array(scores), nan=2.0), np.array(missed, bool)


def risk_coverage(scores: np.ndarray, missed: np.ndarray) -> list[tuple[float, float, float]]:
    """Coverage, selective and generalised risk, counted out at every distinct threshold.

    Towards coverage 0 the last selective risk is held, as in the code of arXiv 2407.01032.
    """
    points = []
    for threshold in sorted(set(scores)):
        kept = scores <= threshold
        points.append((kept.mean(), missed[kept].mean(), (kept & missed).mean()))
    return [(0.0, points[0][1], 0.0), *points]


def area(points: list[tuple[float, float, float]], column: int) -> float:
    return sum((b[0] - a[0]) * (a[column] + b[column]) / 2 for a, b in pairwise(points))


def test_metrics_by_hand():
    found = metrics(curve(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False])))
    assert found.auroc == 0.75
    assert found.aupr == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found.fpr95 == 0.5
    # Kept from the least suspicious: risks 0, 1/2, 1/3, 1/2 at coverages 1/4 … 1.
    assert found.aurc == pytest.approx((0 + (0 + 1 / 2) / 2 + (1 / 2 + 1 / 3) / 2 + 5 / 12) / 4)
    assert found.augrc == pytest.approx(((0 + 1) / 2 + (1 + 1) / 2 + (1 + 2) / 2) / 4 / 4)


def test_a_perfect_and_a_useless_indicator():
    missed = np.array([True] * 2 + [False] * 8)
    perfect = metrics(curve(missed.astype(float), missed))
    useless = metrics(curve(np.zeros(10), missed))
    assert (perfect.auroc, perfect.aupr, perfect.fpr95) == (1, 1, 0)
    assert perfect.augrc == pytest.approx(0.2**2 / 2)
    assert (useless.auroc, useless.aupr, useless.fpr95) == (0.5, 0.2, 1)
    assert (useless.aurc, useless.augrc) == pytest.approx((0.2, 0.1))


@given(labelled)
def test_parity_with_scikit_learn(rows):
    scores, missed = finite_arrays(rows)
    found = metrics(curve(np.where(scores == 2, np.nan, scores), missed))
    assert found.auroc == pytest.approx(roc_auc_score(missed, scores))
    assert found.aupr == pytest.approx(average_precision_score(missed, scores))
    loss, recall, _ = roc_curve(missed, scores, drop_intermediate=False)
    assert found.fpr95 == pytest.approx(loss[recall >= 0.95 - 1e-12].min())


@given(labelled)
def test_risk_areas_are_those_of_their_definition(rows):
    scores, missed = finite_arrays(rows)
    found = metrics(curve(np.where(scores == 2, np.nan, scores), missed))
    points = risk_coverage(scores, missed)
    assert (found.aurc, found.augrc) == pytest.approx((area(points, 1), area(points, 2)))


@given(labelled)
def test_augrc_follows_from_auroc(rows):
    """arXiv 2407.01032: AUGRC = (1 − AUROC) · acc · (1 − acc) + (1 − acc)² / 2."""
    scores, missed = finite_arrays(rows)
    error = missed.mean()
    wanted = (1 - roc_auc_score(missed, scores)) * error * (1 - error) + error**2 / 2
    assert metrics(curve(scores, missed)).augrc == pytest.approx(wanted)


def test_parity_with_torch_uncertainty():
    """Its integral starts at coverage 1/N and is rescaled; without ties nothing else differs."""
    library = pytest.importorskip("torch_uncertainty.metrics.classification")
    import torch

    draw = np.random.default_rng(0)
    p, missed = draw.permutation(np.linspace(0.01, 0.49, 50)), draw.random(50) < 0.3
    found = metrics(curve(p, missed))
    first = float(missed[np.argmin(p)])
    for mine, metric, start in (
        (found.aurc, library.AURC(), first / 50),
        (found.augrc, library.AUGRC(), first / 50 / 100),
    ):
        metric.update(torch.tensor(p), torch.tensor(missed).long())
        assert (mine - start) / (1 - 1 / 50) == pytest.approx(float(metric.compute()), abs=1e-6)


@pytest.mark.parametrize("missed", [True, False])
def test_without_one_of_both_no_metric_is_defined(missed: bool):
    found = metrics(curve(np.array([0.1, 0.2]), np.array([missed, missed])))
    assert all(map(math.isnan, (found.auroc, found.aupr, found.fpr95, found.aurc, found.augrc)))
    nothing = metrics(curve(np.array([]), np.array([], bool)))
    assert math.isnan(nothing.aurc)


def random_curve(count: int, seed: int = 0, unscored: int = 0) -> Curve:
    draw = np.random.default_rng(seed)
    missed = draw.random(count) < 0.2
    missed[:2] = True, False
    scores = draw.normal(missed * 0.8, 1)
    scores[:unscored] = np.nan
    return curve(scores, missed)


@given(st.integers(20, 900), st.integers(20, 200), st.integers(0, 5))
@settings(max_examples=40)
def test_thinned_points_are_points_of_the_curve_with_both_ends(
    count: int, limit: int, seed: int
) -> None:
    points = random_curve(count, seed)
    index = points.representatives(limit)
    last = len(points.thresholds) - 1
    assert len(index) <= max(limit, 0) or len(index) == last + 1 <= limit
    assert (index[0], index[-1]) == (0, last)
    assert (np.diff(index) > 0).all()


def test_thinning_keeps_what_catches_one_more_at_the_lowest_loss() -> None:
    points = random_curve(3000)
    steps = [points.at_recall(k / points.fn) for k in range(1, points.fn + 1)]
    assert len(steps) < 750
    assert set(steps) <= set(points.representatives(1500).tolist())
