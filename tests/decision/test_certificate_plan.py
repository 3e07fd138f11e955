"""How many parts prove what: against scipy, statsmodels and the definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from trust_core.decision.certificate import Demand, needed, plan, proven, rank
from trust_core.errors import SettingsError

share = st.floats(0.3, 0.995)


@pytest.mark.parametrize(
    ("groups", "recall"), [(3, 0.368), (5, 0.549), (10, 0.741), (20, 0.861), (30, 0.905)]
)
def test_what_all_of_few_prove(groups: int, recall: float):
    assert proven(groups, groups, 0.95) == pytest.approx(recall, abs=5e-4)
    assert proven(groups, groups, 0.95) == pytest.approx(0.05 ** (1 / groups))


@pytest.mark.parametrize(("recall", "groups"), [(0.9, 29), (0.95, 59), (0.99, 299)])
def test_parts_needed_with_none_overlooked(recall: float, groups: int):
    assert needed(Demand(recall)) == groups
    assert rank(groups, Demand(recall)) == 1
    assert rank(groups - 1, Demand(recall)) == 0


def test_the_plan_by_hand():
    assert plan(Demand(0.95), 3) == {0: 59, 1: 93, 2: 124, 3: 153}


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), share)
def test_clopper_pearson_is_that_of_scipy(counts: tuple[int, int], confidence: float):
    caught, groups = counts
    interval = binomtest(caught, groups, alternative="greater").proportion_ci(confidence, "exact")
    assert proven(caught, groups, confidence) == pytest.approx(interval.low, abs=1e-9)


@pytest.mark.parametrize(("caught", "groups"), [(0, 4), (1, 1), (9, 12), (58, 59), (300, 300)])
def test_clopper_pearson_is_that_of_statsmodels(caught: int, groups: int):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    # Its interval is two-sided: 90 % has 5 % below.
    low, _ = proportion.proportion_confint(caught, groups, alpha=0.1, method="beta")
    assert proven(caught, groups, 0.95) == pytest.approx(float(low), abs=1e-12)


@given(st.integers(0, 300), share, share)
def test_the_rank_is_the_largest_that_the_binomial_allows(n: int, recall: float, confidence: float):
    k = rank(n, Demand(recall, confidence))
    delta = 1 - confidence
    if k:
        assert binom.cdf(k - 1, n, 1 - recall) <= delta * (1 + 1e-9)
        assert proven(n - k + 1, n, confidence) >= recall - 1e-9
    assert binom.cdf(k, n, 1 - recall) > delta * (1 - 1e-9)


@given(share, share, st.integers(0, 6))
def test_needed_is_the_least(recall: float, confidence: float, overlooked: int):
    demand = Demand(recall, confidence)
    groups = needed(demand, overlooked)
    assert rank(groups, demand) > overlooked
    assert rank(groups - 1, demand) <= overlooked
    if not overlooked:
        assert groups == math.ceil(math.log(1 - confidence) / math.log(recall) - 1e-9)


def test_a_bound_that_is_met_exactly_counts():
    """0.5 ** 2 is 1 − 0.75, whatever the rounding."""
    assert rank(2, Demand(0.5, 0.75)) == 1


@pytest.mark.parametrize("value", [-0.1, 0, 1, 1.5, 95, math.nan, math.inf])
@pytest.mark.parametrize("name", ["recall", "confidence"])
def test_what_cannot_be_proven_is_refused(name: str, value: float):
    with pytest.raises(SettingsError, match=f"^{name} .*write a share between 0 and 1, such as"):
        Demand(**{"recall": 0.9, "confidence": 0.9, name: value})
    Demand(**{"recall": 0.9, "confidence": 0.9, name: 0.001})
