"""An operating point: what it flags, where a slider can stand, what changes side."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fakes import passed_parts, write_fake_audit
from trust_core.decision.curves import tradeoff
from trust_core.decision.operating_point import (
    FlagCounts,
    OperatingPoint,
    changed_sides,
    count_flags,
    fewest_digits,
    slider_stops,
)
from trust_core.decision.tradeoff import curve, fewest_decimals

MISSED = np.array([True, True, True, False, False, False])
POINTS = curve(np.array([0.9, 0.5, 0.1, 0.6, 0.2, np.nan]), MISSED)
SHIFT = curve(np.array([0.1, 0.3, 0.4, 0.35, 0.2, 0.05]), MISSED)


@pytest.mark.parametrize(
    ("threshold", "counts"),
    [
        (0.95, (0, 1, None, 1)),  # only the unscored: nothing is caught, so nothing to compare
        (0.9, (1, 1, 0, 1)),
        (0.5, (2, 2, 1, 2)),
        (0.3, (2, 2, 1, 2)),
        (-1.0, (3, 3, 2, 3)),
    ],
)
def test_good_parts_are_counted_on_both_sides(
    threshold: float, counts: tuple[int, int, int | None, int]
) -> None:
    point = OperatingPoint("iou_difference", 0.0, threshold, "tune")
    assert count_flags(POINTS, SHIFT, point) == FlagCounts(3, 3, *counts)


def test_threshold_shift_is_not_compared_with_itself() -> None:
    counts = count_flags(SHIFT, SHIFT, OperatingPoint("p_defect", 0.0, 0.3, "tune"))
    assert counts == FlagCounts(3, 3, 2, 1, None, 2)


def test_without_a_missed_defect_there_is_no_comparison() -> None:
    points = curve(np.array([0.5, 0.2]), np.array([False, False]))
    counts = count_flags(points, points, OperatingPoint("iou_difference", 0.0, 0.4, "tune"))
    assert counts == FlagCounts(0, 2, 0, 1, None)


@given(
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60),
    st.floats(-25, 25),
    st.integers(0, 3),
)
@example([0.0, -0.0], 0.0, 0)
@example([0.1, 0.1 + 1e-17, 0.1 + 2e-17, math.nextafter(0.1, 1)], 0.1, 0)
def test_each_stop_flags_other_parts_and_the_chosen_one_the_same(
    values: list[float], threshold: float, unscored: int
) -> None:
    scores = np.array([*values, *[np.nan] * unscored])
    points = curve(scores, np.arange(len(scores)) % 3 == 0)
    positions, here = slider_stops(points, threshold)
    flagged = [points.at(stop) for stop in positions]
    assert flagged == list(range(1, len(points.thresholds)))  # few points: all of them
    assert points.at(here) == max(1, points.at(threshold))
    assert here in positions
    assert len({repr(stop) for stop in positions}) == len(positions)


def test_of_many_points_the_chosen_one_is_always_a_stop() -> None:
    points = curve(np.linspace(-1, 1, 5001), np.arange(5001) % 7 == 0)
    for threshold in (-0.123456, 0.0004, 0.999):
        positions, here = slider_stops(points, threshold)
        assert len(positions) <= 601
        assert points.at(here) == points.at(threshold)
        assert positions == sorted(positions, reverse=True)


def test_a_readable_threshold_stays_as_it_is_written() -> None:
    points = curve(np.array([0.123, 0.789]), np.array([True, False]))
    assert slider_stops(points, 0.3001)[1] == 0.3001
    assert slider_stops(points, 0.75)[1] == 0.75
    assert slider_stops(points, 0.30012345)[1] == 0.7  # as any number up to 0.789 flags
    assert slider_stops(points, 5.0)[1] == 0.7  # flags nothing: the nearest that does


def test_without_a_score_there_is_no_stop() -> None:
    positions, here = slider_stops(curve(np.array([np.nan]), np.array([True])), 0.0)
    assert positions == []
    assert math.isnan(here)


@pytest.mark.parametrize(
    ("below", "upto", "number"),
    [(0.31, 0.3249, 0.32), (0.1, 0.95, 0.9), (-0.9, 0.5, 0), (-np.inf, -0.35, -1), (2, 17.9, 17)],
)
def test_the_number_of_fewest_decimals_in_an_interval(
    below: float, upto: float, number: float
) -> None:
    assert fewest_decimals(np.array([below]), np.array([upto])).tolist() == [number]


@pytest.mark.parametrize(
    ("below", "upto", "number"),
    [
        (0.1, 0.23609440028667, 0.236),
        (0.23605, 0.23609440028667, 0.23609),
        (-np.inf, -0.1234567, -0.1235),
        (0.0, 0.5, 0.5),
        (-1.0, 0.0, 0.0),
        (1e-9, 3.456789e-7, 3.456e-7),
    ],
)
def test_a_threshold_made_short_keeps_four_digits(below: float, upto: float, number: float) -> None:
    assert fewest_digits(below, upto) == number


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_threshold_made_short_flags_the_same(one: float, other: float) -> None:
    below, upto = min(one, other), max(one, other)
    if below < upto:
        assert below < fewest_digits(below, upto) <= upto


def test_parts_that_change_side(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "few", passed_parts([0.9, 0.5, math.nan], [0.6, 0.2]))
    scores = tradeoff(audit, "iou_difference")

    def at(threshold: float) -> OperatingPoint:
        return OperatingPoint("iou_difference", 0.0, threshold, "tune")

    assert changed_sides(scores, scores, at(0.5), at(0.8)) == ((1, 1), (0, 0))
    assert changed_sides(scores, scores, at(0.8), at(0.5)) == ((0, 0), (1, 1))
    assert changed_sides(scores, scores, at(0.5), at(0.5)) == ((0, 0), (0, 0))
    p = tradeoff(audit, "p_defect")  # falls from part to part: 0.45, 0.37, 0.29, 0.21, 0.13
    point = OperatingPoint("p_defect", 0.0, 0.2, "tune")
    assert changed_sides(p, scores, point, at(0.8)) == ((1, 1), (0, 0))
