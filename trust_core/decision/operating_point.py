"""An operating point: indicator, strength, threshold; what it flags beside threshold shift."""

from dataclasses import dataclass

from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Curve


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
    """

    fn: int
    tn: int
    flagged_fn: int
    flagged_tn: int
    shift_tn: int | None


def count_flags(points: Curve, shift: Curve, point: OperatingPoint) -> FlagCounts:
    """Count what an operating point flags.

    Args:
        points: trade-off of its indicator at its strength.
        shift: that of threshold shift, on the same images.
        point: the operating point.
    """
    index = points.at(point.threshold)
    caught, lost = int(points.flagged_fn[index]), int(points.flagged_tn[index])
    same = shift.at_caught(caught) if caught and point.indicator != THRESHOLD_SHIFT else None
    shift_tn = None if same is None else int(shift.flagged_tn[same])
    return FlagCounts(points.fn, points.tn, caught, lost, shift_tn)
