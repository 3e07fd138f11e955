"""AUROC, AUPR, FPR@95 against scikit-learn; AURC, AUGRC by hand and by definition."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from trust_core.decision.tradeoff import curve, metrics

score = st.one_of(st.sampled_from([-0.5, 0.0, 0.25, 0.5, math.nan]), st.floats(-1, 1))
rows = st.lists(st.tuples(score, st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({missed for _, missed in rows}) == 2
)


def arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
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


def test_by_hand():
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


@given(rows)
def test_parity_with_scikit_learn(rows):
    scores, missed = arrays(rows)
    found = metrics(curve(np.where(scores == 2, np.nan, scores), missed))
    assert found.auroc == pytest.approx(roc_auc_score(missed, scores))
    assert found.aupr == pytest.approx(average_precision_score(missed, scores))
    loss, recall, _ = roc_curve(missed, scores, drop_intermediate=False)
    assert found.fpr95 == pytest.approx(loss[recall >= 0.95 - 1e-12].min())


@given(rows)
def test_risk_areas_are_those_of_their_definition(rows):
    scores, missed = arrays(rows)
    found = metrics(curve(np.where(scores == 2, np.nan, scores), missed))
    points = risk_coverage(scores, missed)
    assert (found.aurc, found.augrc) == pytest.approx((area(points, 1), area(points, 2)))


@given(rows)
def test_augrc_follows_from_auroc(rows):
    """arXiv 2407.01032: AUGRC = (1 − AUROC) · acc · (1 − acc) + (1 − acc)² / 2."""
    scores, missed = arrays(rows)
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
def test_without_one_of_both_nothing_is_defined(missed: bool):
    found = metrics(curve(np.array([0.1, 0.2]), np.array([missed, missed])))
    assert all(map(math.isnan, (found.auroc, found.aupr, found.fpr95, found.aurc, found.augrc)))
    nothing = metrics(curve(np.array([]), np.array([], bool)))
    assert math.isnan(nothing.aurc)
