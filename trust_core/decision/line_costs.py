"""In the line's units: escapes a million parts, re-inspections a shift, cost a part.

The data set gives four rates: how often the detector misses a defect and rejects a good part, how
many of the misses a threshold flags, and how many passed good parts. They do not depend on how many
defects the data set holds, so they carry over to the line's own defect rate. An image is counted as
a part. What the detector itself rejects costs the same before and after, and is left out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.bootstrap import Flags, Interval, effective, group_codes, percentiles
from trust_core.decision.certificate import check_share
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.errors import SettingsError

DRAWS = 4000


@dataclass(frozen=True)
class Line:
    """What the user says of the line.

    Attributes:
        defect_rate: π, share of defective parts among all that reach the detector.
        parts_per_shift: parts that reach the detector in one shift.
        escape_cost: cost of one missed defect that leaves the building, in any currency.
        reinspection_cost: cost of inspecting one part again, in the same currency.

    Raises:
        SettingsError: a value that means nothing.
    """

    defect_rate: float
    parts_per_shift: float
    escape_cost: float
    reinspection_cost: float

    def __post_init__(self) -> None:
        check_share("defect rate", self.defect_rate)
        for name in ("parts_per_shift", "escape_cost", "reinspection_cost"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                words = name.replace("_", " ")
                raise SettingsError(f"{words} {value:g}: write a number that is not negative")


@dataclass(frozen=True)
class Rates:
    """Rates of the data set; each a number, or draws `(B,)` of what it could be.

    Attributes:
        missed: share of defective parts that the detector calls good.
        rejected: share of good parts that it calls defective.
        recall: share of the missed defects that are flagged.
        tn_loss: share of the passed good parts that are flagged.
    """

    missed: npt.ArrayLike
    rejected: npt.ArrayLike
    recall: npt.ArrayLike
    tn_loss: npt.ArrayLike


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where the data say nothing."""

    value: float
    interval: Interval


def outcomes(rates: Rates, line: Line) -> dict[str, Floats]:
    """What the rates mean on the line.

    Returns:
        `escapes_before`, `escapes_after` (a million parts), `reinspections` (a shift),
        `cost_before`, `cost_after` (a part), `break_even_cost` (the cost of an escape above which
        flagging pays) and `break_even_rate` (the defect rate above which it pays); the latter two
        are +∞ where it never does.
    """
    missed, rejected, recall, tn_loss = (
        np.asarray(rate, dtype=np.float64)
        for rate in (rates.missed, rates.rejected, rates.recall, rates.tn_loss)
    )
    escaping = line.defect_rate * missed
    caught = escaping * recall
    lost = (1 - line.defect_rate) * (1 - rejected) * tn_loss
    flagged = caught + lost
    # One defective part saves this much on average; one good part costs that much.
    gain = missed * recall * (line.escape_cost - line.reinspection_cost)
    burden = (1 - rejected) * tn_loss * line.reinspection_cost
    return {
        "escapes_before": 1e6 * escaping,
        "escapes_after": 1e6 * (escaping - caught),
        "reinspections": line.parts_per_shift * flagged,
        "cost_before": escaping * line.escape_cost,
        "cost_after": (escaping - caught) * line.escape_cost + flagged * line.reinspection_cost,
        "break_even_cost": _ratio(line.reinspection_cost * flagged, caught),
        "break_even_rate": np.where(gain <= 0, np.inf, _ratio(burden, gain + burden)),
    }


def on_the_line(
    images: pd.DataFrame, flagged: Flags, line: Line, *, seed: int = 0
) -> dict[str, Estimate]:
    """`outcomes` at a threshold, with intervals.

    The rates are drawn independently from Jeffreys' posterior, Beta(k + ½, n − k + ½), on the
    number of independent images that the groups are worth (`groups.effective`). Twelve of twelve
    therefore never becomes "no escape, for certain".

    Args:
        images: readable images of the role that reports, with columns `outcome` and `group`.
        flagged: True for a passed image at or above τ, `(N,)`.
        line: what the user says of it.
        seed: of the draws.
    """
    draw = np.random.default_rng(seed)
    outcome = images["outcome"].to_numpy(dtype=str)
    codes = group_codes(images["group"])
    parts = [
        (np.isin(outcome, ("FN", "TP")), outcome == "FN"),
        (np.isin(outcome, ("FP", "TN")), outcome == "FP"),
        (outcome == "FN", flagged),
        (outcome == "TN", flagged),
    ]
    values, draws = [], []
    for inside, hits in parts:
        share, size = effective(hits[inside], codes[inside])
        values.append(share)
        hit = share * size if size else 0.0
        draws.append(draw.beta(hit + 0.5, size - hit + 0.5, DRAWS))
    point, spread = outcomes(Rates(*values), line), outcomes(Rates(*draws), line)
    return {name: _estimate(float(value), spread[name]) for name, value in point.items()}


def cheapest(points: Curve, missed: float, rejected: float, line: Line) -> float:
    """The threshold τ of least expected cost a part; +∞ flags nothing but the unscored.

    Chosen on `tune`, like everything but the certified threshold.

    Args:
        points: trade-off with at least one FN and one TN.
        missed: share of defective parts that the detector calls good.
        rejected: share of good parts that it calls defective.
        line: what the user says of it.

    Raises:
        SettingsError: no missed defect or no good part to weigh.
    """
    if not points.fn or not points.tn:
        raise SettingsError(
            "a cost-optimal threshold needs a missed defect and a passed good part; there are "
            f"{points.fn} and {points.tn}"
        )
    cost = outcomes(Rates(missed, rejected, points.fn_recall, points.tn_loss), line)["cost_after"]
    return float(points.thresholds[np.argmin(cost)])


def _estimate(value: float, spread: Floats) -> Estimate:
    low, high = percentiles(spread)
    # Where all or none were hits, the value is the end of its own interval (Brown, Cai, DasGupta,
    # Statistical Science 16, 2001).
    return Estimate(value, (min(low, value), max(high, value)))


def _ratio(above: Floats, below: Floats) -> Floats:
    never = np.full(np.broadcast(above, below).shape, np.inf)
    with np.errstate(over="ignore"):  # a rate of almost 0 leads to +∞ as 0 does
        return np.divide(above, below, out=never, where=~(below <= 0))
