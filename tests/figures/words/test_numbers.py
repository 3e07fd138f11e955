"""Numbers in numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from trust_core.data.roles import ROLES
from trust_core.decision.indicators.registry import INDICATOR_NAMES, INDICATORS
from trust_core.decision.tradeoff import curve
from trust_core.figures.words import numbers


@pytest.mark.parametrize(("n", "text"), [(0, "0"), (74, "74"), (1204, "1,204")])
def test_count(n: int, text: str):
    assert numbers.count(n) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "no parts"), (1, "1 part"), (2, "2 parts"), (1204, "1,204 parts")]
)
def test_counted(n: int, text: str):
    assert numbers.counted(n, "parts") == text


@pytest.mark.parametrize(
    ("k", "n", "text"),
    [
        (11, 12, "11 of 12 missed defects"),
        (1, 1, "1 of 1 missed defect"),
        (0, 1200, "0 of 1,200 missed defects"),
        (0, 0, "no missed defects"),
    ],
)
def test_of(k: int, n: int, text: str):
    assert numbers.of(k, n, "missed defects") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.001, "under 1 %"),
        (0.074, "7 %"),
        (0.996, "over 99 %"),
        (1.0, "100 %"),
        (math.nan, "–"),
    ],
)
def test_percent_never_rounds_to_nothing_or_all(share: float, text: str):
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("k", "n", "text"),
    [
        (10, 10, "at least 74 %, 95 % sure"),
        (59, 59, "at least 95 %, 95 % sure"),
        (58, 58, "at least 94 %, 95 % sure"),
        (0, 10, "at least 0 %, 95 % sure"),
        (0, 0, "nothing to measure it on"),
    ],
)
def test_interval(k: int, n: int, text: str):
    assert numbers.interval(k, n) == text


@given(st.integers(1, 500), st.data())
def test_interval_is_the_one_sided_clopper_pearson_bound_rounded_down(n: int, data: st.DataObject):
    k = data.draw(st.integers(0, n))
    bound = binomtest(k, n, alternative="greater").proportion_ci(0.95, "exact").low
    assert numbers.interval(k, n) == f"at least {math.floor(bound * 100)} %, 95 % sure"


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (18_400, "18.4 kB"),
        (184e6, "184 MB"),
        (2e15, "2,000.0 TB"),
    ],
)
def test_size(n: float, text: str):
    assert numbers.size_text(n) == text


@pytest.mark.parametrize(
    ("stamp", "text"),
    [("2026-04-21T14:03:00+0200", "21 Apr 2026, 14:03"), ("yesterday", "yesterday"), ("", "")],
)
def test_moment(stamp: str, text: str):
    assert numbers.moment(stamp) == text


def test_every_indicator_outcome_and_role_has_a_name():
    assert set(INDICATOR_NAMES) == set(INDICATORS)
    assert set(numbers.OUTCOME_NAMES) == {"TP", "FN", "TN", "FP", ""}
    assert set(numbers.ROLE_NAMES) == set(ROLES)


def test_numbers_carry_no_more_digits_than_they_have() -> None:
    assert [numbers.about(n) for n in (2765.4, 12.3, 0.44, math.nan)] == [
        "2,765",
        "12",
        "0.44",
        "–",
    ]
    assert [numbers.money(n) for n in (12300.0, 1.254, 0.01234, math.inf)] == [
        "12,300",
        "1.25",
        "0.0123",
        "–",
    ]
    assert [numbers.tau_text(t) for t in (-0.0236094, math.inf)] == [
        "τ −0.0236094",
        "nothing",
    ]


def test_good_parts_for_a_recall_are_counts() -> None:
    points = curve(np.array([0.9, 0.5, 0.7, 0.1]), np.array([True, True, False, False]))
    assert numbers.good_parts_at(points, 0.5) == "0 of 2"
    assert numbers.good_parts_at(points, 1.0) == "1 of 2"
    assert numbers.good_parts_at(curve(np.array([0.5]), np.array([True])), 1.0) == "–"
