"""The bootstrap for very many images against the one that draws each of them."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from trust_core.decision.bootstrap import difference_of_many, influences, resample
from trust_core.decision.verdict import auroc_of_resamples

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
    fast = difference_of_many(scores, rival, missed, codes, RESAMPLES)
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
    assert not difference_of_many(scores, scores, missed, codes, 100).any()
