"""An operating point: indicator, strength, threshold; what it flags, and where one begins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Context

import numpy as np

from trust_core.decision.curves import Tradeoff, tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT, available
from trust_core.decision.journal import noted_points
from trust_core.decision.tradeoff import MOST_DECIMALS, Curve
from trust_core.storage.audit_files import Audit

WANTED_RECALL = 0.9  # of the missed defects of `tune`, at the threshold one begins with
SHORT_DIGITS, LONG_DIGITS = 4, 6  # of a threshold that is made short; that is read as it is


@dataclass(frozen=True)
class OperatingPoint:
    """An operating point, and the images it is looked at on.

    Attributes:
        indicator: one of `available`.
        strength: ε, one of the audit's.
        threshold: τ, finite.
        role: `tune`, `certify`, `test` or `all`.
    """

    indicator: str
    strength: float
    threshold: float
    role: str


@dataclass(frozen=True)
class FlagCounts:
    """Images that an operating point flags.

    Attributes:
        fn: missed defects.
        tn: good parts that were passed.
        flagged_fn: missed defects that are flagged.
        flagged_tn: good parts that are flagged.
        shift_tn: good parts that threshold shift flags to catch at least as many missed defects;
            None when that is no comparison: nothing is caught, or the indicator is threshold shift.
        shift_fn: missed defects that threshold shift flags within as many re-inspections.
    """

    fn: int
    tn: int
    flagged_fn: int
    flagged_tn: int
    shift_tn: int | None = None
    shift_fn: int = 0

    @property
    def flagged(self) -> int:
        """Images that go to re-inspection."""
        return self.flagged_fn + self.flagged_tn

    @property
    def random_fn(self) -> float:
        """Missed defects that as many re-inspections of any passed images find, on average."""
        passed = self.fn + self.tn
        return self.flagged * self.fn / passed if passed else 0.0


def count_flags(points: Curve, shift: Curve, point: OperatingPoint) -> FlagCounts:
    """Count what an operating point flags.

    `points` is the trade-off of its indicator at its strength, `shift` that of threshold shift, on
    the same images.
    """
    index = points.at(point.threshold)
    caught, lost = int(points.flagged_fn[index]), int(points.flagged_tn[index])
    same = shift.at_caught(caught) if caught and point.indicator != THRESHOLD_SHIFT else None
    shift_tn = None if same is None else int(shift.flagged_tn[same])
    # Both counts only grow along the curve: the last point within as many is the best of them.
    within = int(np.searchsorted(shift.flagged, caught + lost, "right"))
    shift_fn = int(shift.flagged_fn[within - 1]) if within else 0
    return FlagCounts(points.fn, points.tn, caught, lost, shift_tn, shift_fn)


def counts_along(
    points: Curve, shift: Curve, point: OperatingPoint, stops: Sequence[float]
) -> list[FlagCounts]:
    """`count_flags` at each of some thresholds."""
    return [count_flags(points, shift, replace(point, threshold=stop)) for stop in stops]


def changed_sides(
    now: Tradeoff, before: Tradeoff, point: OperatingPoint, earlier: OperatingPoint
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Images that change side between two operating points on the same images.

    Returns:
        `(missed defects, good parts)` flagged only now, and those flagged only before.
    """
    flagged = now.values[point.strength] >= point.threshold
    was = before.values[earlier.strength] >= earlier.threshold
    gained, lost = (
        (int((part & now.missed).sum()), int((part & ~now.missed).sum()))
        for part in (flagged & ~was, was & ~flagged)
    )
    return gained, lost


def noted_point(audit: Audit) -> OperatingPoint | None:
    """The last operating point noted in the audit for these scores; None when there is none."""
    manifest, known = audit.manifest, available(audit)
    for entry in noted_points(audit):
        noted_on = str(entry.get("audit", "")).split("-")
        if (noted_on[0], noted_on[-1]) != (manifest.model_pass, manifest.mask):
            continue
        indicator, strength, threshold = (
            entry.get(name) for name in ("indicator", "strength", "threshold")
        )
        if (
            indicator in known
            and strength in audit.strengths
            and isinstance(threshold, int | float)
            and math.isfinite(threshold)
        ):
            return OperatingPoint(str(indicator), float(strength), float(threshold), "tune")
    return None


def default_strength(audit: Audit, indicator: str) -> float:
    """The ε with the highest AUROC on `tune`, the lowest of equal ones; 0 where there is none."""
    curves = tradeoff(audit, indicator).curves
    areas = {e: points.auroc for e, points in curves.items() if math.isfinite(points.auroc)}
    return max(areas, key=areas.__getitem__, default=0.0)


def default_threshold(audit: Audit, indicator: str, strength: float) -> float:
    """The τ with the lowest TN loss that catches 90 % of the missed defects on `tune`."""
    points = tradeoff(audit, indicator).curves[strength]
    # The first point is τ = +∞, which no slider can stand on; the next flags the fewest.
    wanted = max(1, points.at_recall(WANTED_RECALL) or 0)
    return short_threshold(points, wanted) if wanted < len(points.thresholds) else 0.0


def slider_stops(points: Curve, threshold: float) -> tuple[list[float], float]:
    """Where a slider for τ can stand: each stop flags other parts than the last, right flags more.

    A stop is the shortest number that flags exactly the parts of a point of the curve; the points
    are those that are drawn, and the one `threshold` leads to.

    Returns:
        The stops, descending, and the one that flags what `threshold` flags: `threshold` itself
        when it has few digits (the first stop, when it flags nothing but the unscored).
        Empty and NaN when no image has a score.
    """
    if len(points.thresholds) < 2:
        return [], math.nan
    here = max(1, points.at(threshold))
    index, stops = points.drawn[1:], points.drawn_short[1:].tolist()
    at = int(np.searchsorted(index, here))
    if at == len(index) or index[at] != here:
        stops.insert(at, short_threshold(points, here))
    # Within the interval that is this point's, since that is how it was found.
    within = points.at(threshold) == here
    if within and float(f"{threshold:.{LONG_DIGITS}g}") == threshold:
        stops[at] = threshold
    return stops, stops[at]


def short_threshold(points: Curve, index: int) -> float:
    """The threshold of fewest decimals that flags exactly what a point of the curve flags."""
    return float(points.short_thresholds(np.array([index]))[0])


def fewest_digits(below: float, upto: float) -> float:
    """The number of fewest digits in (below, upto] that is close to `upto`, which is finite.

    Unlike `fewest_decimals` it keeps `SHORT_DIGITS` digits, so that it is `upto` to a thousandth.
    """
    for digits in range(SHORT_DIGITS, MOST_DECIMALS):
        floor = Context(prec=digits, rounding=ROUND_FLOOR)
        candidate = float(floor.create_decimal_from_float(upto))
        if candidate > below:
            return candidate + 0.0  # -0.0 becomes 0.0
    return upto
