"""The conformal test martingale: shares by hand and by definition, and what the gambler earns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest

from trust_core.decision.exchangeability import _payments, conformal_shares, wealth

numbers = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, np.inf]), min_size=0, max_size=12)


def test_shares_by_hand() -> None:
    shares = conformal_shares(np.array([1.0, 2, 3]), np.array([2.5, 2.5]), np.array([0.5, 0.5]))
    # Above 2.5 lies 3; itself counts by half: (1 + 0.5) / 4. Then 3 above, two equal: (1 + 1) / 5.
    assert shares.tolist() == [0.375, 0.4]


@given(numbers, numbers, st.integers(0, 99))
def test_shares_are_those_of_the_definition(before: list, line: list, seed: int) -> None:
    draws = np.random.default_rng(seed).random(len(line))
    found = conformal_shares(np.array(before, dtype=float), np.array(line, dtype=float), draws)
    seen = list(before)
    for value, draw, share in zip(line, draws, found, strict=True):
        seen.append(value)
        above = sum(other > value for other in seen)
        equal = sum(other == value for other in seen)
        assert share == pytest.approx((above + draw * equal) / len(seen))


def test_shares_are_uniform_where_nothing_changed() -> None:
    draw = np.random.default_rng(0)
    last = []
    for _ in range(2000):
        values = draw.integers(0, 4, 30).astype(float)  # with many ties
        last.append(conformal_shares(values[:10], values[10:], draw.random(20))[-1])
    assert kstest(last, "uniform").pvalue > 0.01


def test_every_bet_is_fair() -> None:
    for bet in range(_payments(np.zeros(1)).shape[1]):
        mean, _ = quad(lambda u, b=bet: _payments(np.array([u]))[0, b], 0, 1, points=[0.5])
        assert mean == pytest.approx(1)
    assert _payments(np.linspace(0, 1, 101)).min() > 0


def test_it_seldom_ever_wins_where_nothing_changed() -> None:
    draw = np.random.default_rng(1)
    highest = [wealth(draw.random(400)).max() for _ in range(400)]
    assert np.mean(np.array(highest) >= 20) <= 0.05


@pytest.mark.parametrize("change", ["higher", "lower", "narrower", "wider", "late"])
def test_it_wins_where_something_changed(change: str) -> None:
    draw = np.random.default_rng(2)
    reference = draw.normal(size=300)
    line = {
        "higher": draw.normal(1, 1, 250),
        "lower": draw.normal(-1, 1, 250),
        "narrower": draw.normal(0, 0.3, 250),
        "wider": draw.normal(0, 3, 250),
        "late": np.concatenate([draw.normal(size=800), draw.normal(1, 1, 250)]),
    }[change]
    held = wealth(conformal_shares(reference, line, draw.random(len(line))))
    assert held.max() >= 20
    if change == "late":
        assert held[:800].max() < 20
