"""AUROC and its intervals against scikit-learn, plain resampling, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from trust_core.decision.auroc import (
    auroc_of,
    auroc_of_resamples,
    difference_interval,
    held_out_auroc,
    influences,
    resampled_difference,
    wins_by_fold,
)
from trust_core.decision.bootstrap import group_codes, resample
from trust_core.decision.tradeoff import curve

scores = st.one_of(st.sampled_from([0.0, 0.5, math.nan]), st.floats(-1, 1))

RESAMPLES = 4000


def world(misses: int, good: int, photos: int, *, round_to: int | None = None):
    """Two correlated indicators, photos of one part alike, a few unscored."""
    draw = np.random.default_rng(misses)
    parts = (misses + good) // photos
    codes = np.repeat(np.arange(parts), photos)
    missed = codes < max(2, misses // photos)
    if photos > 1:  # parts with a miss have good photos too
        missed &= draw.random(len(codes)) < 0.7
    common = np.repeat(draw.normal(size=(2, parts)), photos, axis=1)
    scores = 0.7 * common + 0.7 * draw.normal(size=common.shape) + [[1.0], [0.8]] * missed
    scores[1] += 0.5 * scores[0]
    if round_to is not None:
        scores = scores.round(round_to)
    scores[0, draw.random(len(codes)) < 0.002] = np.nan
    return scores[0], scores[1], missed, codes


@pytest.mark.parametrize(("misses", "photos"), [(30, 1), (60, 2), (900, 3)])
@pytest.mark.parametrize("round_to", [None, 1])
def test_it_spreads_as_the_plain_bootstrap(misses: int, photos: int, round_to: int | None):
    scores, rival, missed, codes = world(misses, 6000, photos, round_to=round_to)
    first, second = auroc_of_resamples(scores, missed), auroc_of_resamples(rival, missed)
    drawn = resample(codes, RESAMPLES)
    plain = np.concatenate([first(times) - second(times) for times in drawn])
    fast = resampled_difference(scores, rival, missed, codes, RESAMPLES)
    assert fast.std() == pytest.approx(plain.std(), rel=0.07)
    for share in (0.025, 0.5, 0.975):
        gap = np.quantile(fast, share) - np.quantile(plain, share)
        assert abs(gap) < 0.15 * plain.std()


def test_influences_by_hand():
    found, area = influences(np.array([0.5, 0.2, 0.5, np.nan]), np.array([1, 0, 0, 1], dtype=bool))
    assert area == pytest.approx((0.75 + 1.0) / 2)  # the miss without a score is above all
    np.testing.assert_allclose(found + area, [0.75, 1.0, 0.75, 1.0])


def test_the_area_is_that_of_the_rank_sum():
    scores, _, missed, _ = world(40, 500, 1, round_to=1)
    scores = np.nan_to_num(scores, nan=9.0)
    statistic = mannwhitneyu(scores[missed], scores[~missed]).statistic
    pairs = missed.sum() * (~missed).sum()
    assert influences(scores, missed)[1] == pytest.approx(statistic / pairs)


def test_one_indicator_against_itself_does_not_differ():
    scores, _, missed, codes = world(30, 2000, 1)
    assert not resampled_difference(scores, scores, missed, codes, 100).any()


@given(st.lists(st.tuples(scores, st.booleans(), st.integers(0, 9)), min_size=2, max_size=30))
def test_the_auroc_of_a_resample_is_that_of_scikit_learn(rows):
    values, missed, groups = (np.array(column) for column in zip(*rows, strict=True))
    codes = group_codes(groups)
    finite = np.nan_to_num(values, nan=2.0)
    times = np.concatenate(list(resample(codes, 20)))
    for row, area in zip(times, auroc_of_resamples(values, missed)(times), strict=True):
        taken = np.repeat(np.arange(len(row)), row)
        if len(set(missed[taken])) == 2:
            assert area == pytest.approx(roc_auc_score(missed[taken], finite[taken]))
        else:
            assert math.isnan(area)


def test_the_interval_is_that_of_plain_resampling():
    draw, missed, found = np.random.default_rng(0), np.arange(120) < 40, []
    mine, rival = draw.normal(size=120) + 1.5 * missed, draw.normal(size=120) + 0.8 * missed
    above = [np.greater.outer(values, values) for values in (mine, rival)]  # no ties
    draw = np.random.default_rng(5)
    for _ in range(1500):
        taken = draw.integers(0, 120, 120)
        pairs = np.ix_(taken[missed[taken]], taken[~missed[taken]])
        found.append(above[0][pairs].mean() - above[1][pairs].mean())
    low, high = np.quantile(found, [0.025, 0.975])
    interval = difference_interval(mine, rival, missed, np.arange(120))
    assert interval == pytest.approx((low, high), abs=0.02)
    assert interval[1] - interval[0] >= (high - low) * 0.98  # expanded for 40 groups, not shrunk


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, math.nan]), st.booleans()), min_size=2))
def test_wins_of_all_folds_together_are_the_auroc(rows):
    scores, missed = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    fold = np.arange(len(rows)) % 3
    wins, pairs = wins_by_fold(scores[:, None], missed, fold[None])
    if 0 < missed.sum() < len(missed):
        wanted = roc_auc_score(missed, np.nan_to_num(scores, nan=2.0))
        assert wins.sum() / pairs.sum() == pytest.approx(wanted)
    inside = [
        roc_auc_score(missed[fold == k], np.nan_to_num(scores, nan=2.0)[fold == k])
        * missed[fold == k].sum()
        * (~missed[fold == k]).sum()
        for k in range(3)
        if 0 < missed[fold == k].sum() < (fold == k).sum()
    ]
    held = held_out_auroc(scores[:, None], missed, fold)
    total = np.trace(pairs[0])
    assert math.isnan(held[0]) if not total else held[0] == pytest.approx(sum(inside) / total)


def test_aurocs_of_many_are_those_of_one():
    draw = np.random.default_rng(1)
    scores = np.round(draw.normal(size=(50, 700)), 1)
    scores[draw.random(scores.shape) < 0.05] = np.nan
    missed = draw.random(50) < 0.3
    found = auroc_of(scores, missed)
    for index in (0, 511, 512, 699):
        assert found[index] == pytest.approx(curve(scores[:, index], missed).auroc)
    assert np.isnan(auroc_of(scores, np.zeros(50, dtype=bool))).all()
