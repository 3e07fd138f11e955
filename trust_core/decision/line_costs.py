"""Costs on the line: escapes a million parts, re-inspections a shift, cost a part.

The data set gives four rates: how often the detector misses a defect and rejects a good part, how
many of the misses a threshold flags, and how many passed good parts. They do not depend on how many
defects the data set holds, so they carry over to the line's own defect rate. An image is counted as
a part. What the detector itself rejects costs the same before and after, and is left out.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.bootstrap import Flags, Interval, effective, group_codes, percentiles
from trust_core.decision.certificate import check_share
from trust_core.decision.certify import Certificate
from trust_core.decision.curves import scored, tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint, short_threshold
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import text_column
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import OutcomeCounts

DRAWS = 4000
CERTIFIED, CHEAPEST, OWN, CERTIFIED_SHIFT = "certified", "cheapest", "own", "rival"


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
                raise SettingsError(f"{words} {value:g}: write a number that is not negative.")


@dataclass(frozen=True)
class Rates:
    """Rates of the data set; each a number, or draws `(B,)` of what it could be.

    `missed` of the defective parts the detector calls good, `rejected` of the good ones defective;
    `recall` of the missed defects and `tn_loss` of the passed good parts are flagged.
    """

    missed: npt.ArrayLike
    rejected: npt.ArrayLike
    recall: npt.ArrayLike
    tn_loss: npt.ArrayLike


@dataclass(frozen=True)
class LineValue:
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


def line_values(
    images: pd.DataFrame, flagged: Flags, line: Line, *, seed: int = 0
) -> dict[str, LineValue]:
    """`outcomes` at a threshold, with intervals.

    The rates are drawn independently from Jeffreys' posterior, Beta(k + ½, n − k + ½), on the
    number of independent images that the groups are worth (`bootstrap.effective`). Twelve of twelve
    therefore never becomes "no escape, for certain".

    `images` are the readable ones of the role that reports, with columns `outcome` and `group`;
    `flagged` is True for a passed one at or above τ, `(N,)`.
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
    values, drawn = [], []
    for inside, hits in parts:
        share, size = effective(hits[inside], codes[inside])
        values.append(share)
        hit = share * size if size else 0.0
        drawn.append(draw.beta(hit + 0.5, size - hit + 0.5, DRAWS))
    measured, possible = outcomes(Rates(*values), line), outcomes(Rates(*drawn), line)
    return {name: _line_value(float(value), possible[name]) for name, value in measured.items()}


def threshold_options(
    audit: Audit, point: OperatingPoint, line: Line, certificate: Certificate | None
) -> dict[str, OperatingPoint]:
    """The thresholds one can decide on.

    `certificate` is what is proven, for the indicator and strength of `point`; None while sealed.

    Returns:
        By `CERTIFIED` and `CERTIFIED_SHIFT` (what threshold shift can certify), when they are;
        `CHEAPEST` on the line, where there is something to weigh; and `OWN`, `point` itself. A
        threshold of +∞ flags nothing but the unscored.
    """
    found = {}
    if certificate and certificate.ours.proof.threshold is not None:
        found[CERTIFIED] = replace(point, threshold=certificate.ours.proof.threshold)
    best = cheapest_on_tune(audit, point, line)
    if best is not None:
        found[CHEAPEST] = replace(point, threshold=best)
    found[OWN] = point
    if certificate and point.indicator != THRESHOLD_SHIFT:
        threshold = certificate.threshold_shift.proof.threshold
        if threshold is not None:
            found[CERTIFIED_SHIFT] = OperatingPoint(THRESHOLD_SHIFT, 0.0, threshold, point.role)
    return found


def cheapest_on_tune(audit: Audit, point: OperatingPoint, line: Line) -> float | None:
    """The threshold of least cost on `tune`, made round; None where there is nothing to weigh."""
    points = tradeoff(audit, point.indicator).curves[point.strength]
    if not points.fn or not points.tn:
        return None
    best = cheapest(points, *detector_rates(audit, "tune"), line)
    return best if best == inf else short_threshold(points, points.at(best))


def detector_rates(audit: Audit, role: str) -> tuple[float, float]:
    """Shares of the defects that the detector misses, and of the good parts that it rejects."""
    counts = audit.manifest.counts_by_role.get(role, OutcomeCounts())
    defects, good = counts.fn + counts.tp, counts.fp + counts.tn
    return counts.fn / max(1, defects), counts.fp / max(1, good)


def costs_along(audit: Audit, points: Curve, line: Line) -> tuple[Floats, Floats]:
    """Re-inspections a shift and cost a part at each threshold of a curve of `tune`, `(K + 1,)`."""
    rates = Rates(*detector_rates(audit, "tune"), points.fn_recall, points.tn_loss)
    told = outcomes(rates, line)
    return told["reinspections"], told["cost_after"]


def affordable_threshold(audit: Audit, points: Curve, line: Line, most: float) -> float | None:
    """The threshold that flags most within a number of re-inspections a shift, made round.

    `points` is a trade-off of the audit's `tune`.

    Returns:
        τ; None when even the threshold that flags least asks for more, or none has a score.
    """
    again, _ = costs_along(audit, points, line)
    # The first point flags only the unscored: no threshold leads there. NaN is never within.
    fits = np.flatnonzero(again[1:] <= most)
    return short_threshold(points, int(1 + fits[-1])) if len(fits) else None


def audit_on_the_line(
    audit: Audit, role: str, point: OperatingPoint, line: Line
) -> dict[str, LineValue]:
    """What an operating point does to the line, measured on the images of a role."""
    passed = scored(audit, [role], point.indicator, point.strength)
    again = passed["indicator"].isna() | (passed["indicator"] >= point.threshold)
    outcome, group = (text_column(audit, name) for name in ("outcome", "group"))
    readable = np.flatnonzero(text_column(audit, "role").equal(role) & ~outcome.equal(""))
    flagged = np.isin(readable, passed["place"][again], assume_unique=True)
    images = pd.DataFrame({"outcome": outcome.at(readable), "group": group.codes[readable]})
    return line_values(images, flagged, line)


def cheapest(points: Curve, missed: float, rejected: float, line: Line) -> float:
    """The threshold τ of least expected cost a part; +∞ flags nothing but the unscored.

    Chosen on `tune`, like everything but the certified threshold. `missed` and `rejected` are as in
    `Rates`.

    Raises:
        SettingsError: no missed defect or no good part to weigh.
    """
    if not points.fn or not points.tn:
        raise SettingsError(
            "A cost-optimal threshold needs a missed defect and a passed good part; there are "
            f"{points.fn} and {points.tn}."
        )
    cost = outcomes(Rates(missed, rejected, points.fn_recall, points.tn_loss), line)["cost_after"]
    return float(points.thresholds[np.argmin(cost)])


def _line_value(value: float, possible: Floats) -> LineValue:
    low, high = percentiles(possible)
    # Where all or none were hits, the value is the end of its own interval (Brown, Cai, DasGupta,
    # Statistical Science 16, 2001).
    return LineValue(value, (min(low, value), max(high, value)))


def _ratio(above: Floats, below: Floats) -> Floats:
    never = np.full(np.broadcast(above, below).shape, np.inf)
    with np.errstate(over="ignore"):  # a rate of almost 0 leads to +∞ as 0 does
        return np.divide(above, below, out=never, where=~(below <= 0))
