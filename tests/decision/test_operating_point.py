"""What an operating point flags, counted by hand."""

import numpy as np
import pytest

from trust_core.decision.operating_point import FlagCounts, OperatingPoint, count_flags
from trust_core.decision.tradeoff import curve

MISSED = np.array([True, True, True, False, False, False])
POINTS = curve(np.array([0.9, 0.5, 0.1, 0.6, 0.2, np.nan]), MISSED)
SHIFT = curve(np.array([0.1, 0.3, 0.4, 0.35, 0.2, 0.05]), MISSED)


@pytest.mark.parametrize(
    ("threshold", "counts"),
    [
        (0.95, (0, 1, None)),  # only the unscored: nothing is caught, so nothing to compare
        (0.9, (1, 1, 0)),
        (0.5, (2, 2, 1)),
        (0.3, (2, 2, 1)),
        (-1.0, (3, 3, 2)),
    ],
)
def test_good_parts_are_counted_on_both_sides(
    threshold: float, counts: tuple[int, int, int | None]
) -> None:
    point = OperatingPoint("iou_difference", 0.0, threshold, "tune")
    assert count_flags(POINTS, SHIFT, point) == FlagCounts(3, 3, *counts)


def test_threshold_shift_is_not_compared_with_itself() -> None:
    counts = count_flags(SHIFT, SHIFT, OperatingPoint("p_defect", 0.0, 0.3, "tune"))
    assert counts == FlagCounts(3, 3, 2, 1, None)


def test_without_a_missed_defect_there_is_no_comparison() -> None:
    points = curve(np.array([0.5, 0.2]), np.array([False, False]))
    counts = count_flags(points, points, OperatingPoint("iou_difference", 0.0, 0.4, "tune"))
    assert counts == FlagCounts(0, 2, 0, 1, None)
