"""Statistics of images that come in groups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from trust_core.decision.bootstrap import (
    effective,
    group_codes,
    groups_of_rarer,
    percentiles,
    resample,
    share_interval,
)

flags = st.lists(st.booleans(), min_size=1, max_size=60)


def test_codes_are_numbers_of_the_names():
    codes = group_codes(np.array(["b", "a", "b", "c"], dtype=object))
    assert codes.tolist() == [1, 0, 1, 2]
    assert group_codes([]).tolist() == []


def test_a_resample_draws_whole_groups_and_as_many_as_there_are():
    codes = group_codes(["a", "a", "b", "c", "c", "c"])
    times = np.concatenate(list(resample(codes, 500, seed=3)))
    assert times.shape == (500, 6)
    assert (times[:, 0] == times[:, 1]).all()
    assert (times[:, 3] == times[:, 5]).all()
    assert (times[:, [0, 2, 3]].sum(axis=1) == 3).all()
    np.testing.assert_allclose(times.mean(axis=0), 1, atol=0.1)
    again = np.concatenate(list(resample(codes, 500, seed=3)))
    np.testing.assert_array_equal(times, again)


def test_resamples_come_in_batches_of_bounded_size():
    codes = np.arange(3000)
    batches = list(resample(codes, 1000))
    assert sum(map(len, batches)) == 1000
    assert max(batch.size for batch in batches) <= 2_000_000


@given(flags)
def test_without_groups_the_interval_is_that_of_scipy(hits: list[bool]):
    interval = share_interval(np.array(hits), np.arange(len(hits)))
    exact = binomtest(sum(hits), len(hits)).proportion_ci(0.95, "exact")
    assert interval == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_copies_of_one_photograph_prove_no_more_than_one():
    hits, codes = np.repeat([True, False] * 8, 5), np.repeat(np.arange(16), 5)
    share, size = effective(hits, codes)
    assert share == 0.5
    assert size <= 16
    low, high = share_interval(hits, codes)
    once = share_interval(hits[::5], codes[::5])
    assert low <= once[0]
    assert high >= once[1]


def test_independent_images_in_groups_keep_about_their_size():
    draw = np.random.default_rng(0)
    sizes = [effective(draw.random(400) < 0.3, np.repeat(np.arange(200), 2))[1] for _ in range(50)]
    assert 300 < np.mean(sizes) <= 400


@pytest.mark.parametrize("hit", [True, False])
def test_all_or_none_leave_an_interval(hit: bool):
    low, high = share_interval(np.full(30, hit), np.repeat(np.arange(10), 3))
    assert (low, high) == pytest.approx((0.025**0.1, 1) if hit else (0, 1 - 0.025**0.1))


def test_the_interval_of_grouped_shares_covers():
    draw = np.random.default_rng(1)
    codes, held = np.repeat(np.arange(40), 5), 0
    for _ in range(400):
        rate = np.repeat(draw.beta(0.6, 2.4, 40), 5)  # mean 0.2, strongly clustered
        low, high = share_interval(draw.random(200) < rate, codes)
        held += low <= 0.2 <= high
    assert held >= 372  # 93 %


def test_without_images_there_is_no_share():
    assert all(map(math.isnan, share_interval(np.array([], bool), np.array([], int))))


def test_percentiles_leave_out_the_undefined_and_keep_infinity():
    values = np.array([math.nan, 1.0, 2.0, 3.0, math.inf])
    assert percentiles(values, 0.999) == (1.0, math.inf)
    assert all(map(math.isnan, percentiles(np.array([math.nan]))))


def test_the_rarer_class_is_counted_in_groups():
    codes, missed = np.array([0, 0, 1, 2, 3]), np.array([True, True, True, False, False])
    assert groups_of_rarer(codes, missed) == groups_of_rarer(codes, ~missed) == 2
