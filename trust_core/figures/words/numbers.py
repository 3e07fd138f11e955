"""Numbers as a quality engineer would say them: counts first, plain words, no spare digits."""

import math
import time

from trust_core.decision.certificate import proven
from trust_core.decision.tradeoff import Curve
from trust_core.messages import threshold_text

OUTCOME_NAMES = {
    "TP": "caught defect",
    "FN": "missed defect",
    "TN": "passed good photo",
    "FP": "false alarm",
    "": "not readable",
}

CONTRADICTION_NAMES = {
    "good_marked": "Good, yet marked",
    "defective_empty": "Defective, mask empty",
}

ROLE_NAMES = {
    "train": "seen by the detector in training",
    "tune": "for choosing the threshold",
    "certify": "sealed: for proving the threshold",
    "test": "sealed: for the final report",
}

CONFIDENCE = 0.95


def count(n: int) -> str:
    """A whole number with thousands separated: `1,204`."""
    return f"{n:,}"


def counted(n: int, what: str) -> str:
    """A number of things: `1 part`, `1,204 parts`, `no parts`. `what` is a plural in -s."""
    name = what.removesuffix("s") if n == 1 else what
    return f"{count(n) if n else 'no'} {name}"


def of(k: int, n: int, what: str) -> str:
    """A part of a whole: `11 of 12 missed defects`. `what` is a plural in -s."""
    return f"{count(k)} of {counted(n, what)}" if n else f"no {what}"


def capital(text: str) -> str:
    """The first letter in upper case, the others as they are."""
    return text[:1].upper() + text[1:]


def percent(share: float) -> str:
    """A share as a whole percentage, never rounded to 0 or 100 when it is not that: `7 %`."""
    if math.isnan(share):
        return "–"
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share * 100:.0f} %"


def share(value: float) -> str:
    """A share as a percentage with the digits it was given with: `95 %`, `99.5 %`."""
    return f"{100 * value:.4g} %"


def money(value: float) -> str:
    """A cost, three digits: `0.0123`, `1.25`, `12,300`."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def about(value: float) -> str:
    """A count that was computed, not counted: `1,230`, `12`, `0.4`."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def interval(k: int, n: int) -> str:
    """What k of n proves of the share behind it: `at least 74 %, 95 % sure`, rounded down.

    The lower bound is Clopper and Pearson's, one-sided.
    """
    if not n:
        return "nothing to measure it on"
    return f"at least {math.floor(100 * proven(k, n, CONFIDENCE))} %, {share(CONFIDENCE)} sure"


def number_text(value: float) -> str:
    """A measured number with six digits at most, and a true minus sign."""
    return f"{value:.6g}".replace("-", "−").replace("inf", "∞")


def tau_text(threshold: float) -> str:
    """A threshold after its letter, `τ 0.791`; `nothing` where only the unscored are flagged."""
    return "nothing" if math.isinf(threshold) else f"τ {threshold_text(threshold)}"


def good_parts_at(points: Curve, recall: float) -> str:
    """Good parts re-inspected to catch a share of the missed defects: `310 of 376`."""
    index = points.at_recall(recall)
    if index is None or not points.tn:
        return "–"
    return f"{count(int(points.flagged_tn[index]))} of {count(points.tn)}"


def size_text(n: float) -> str:
    """Bytes on disk in decimal units: `18.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:,.1f} TB"


def moment(stamp: str) -> str:
    """A time of the manifest (`2026-04-21T14:03:00+0200`) as `21 Apr 2026, 14:03`."""
    try:
        return time.strftime("%d %b %Y, %H:%M", time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return stamp
