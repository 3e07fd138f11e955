"""The thresholds one can decide on, certified, cheapest, one's own, and what each does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trust_core.decision.curves import load, scored, stops
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.line_costs import Estimate, Line, Rates, cheapest, on_the_line, outcomes
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import text
from trust_core.storage.audit_files import Audit

CERTIFIED, CHEAPEST, OWN, RIVAL = "certified", "cheapest", "own", "rival"
NAMES = {
    CERTIFIED: "Certified",
    CHEAPEST: "Cheapest on your line",
    OWN: "Your own",
    RIVAL: "Lowered decision threshold, certified",
}


@dataclass(frozen=True)
class Option:
    """A threshold that could be decided on.

    Attributes:
        key: of `NAMES`.
        indicator: a key of `INDICATORS`.
        strength: ε.
        threshold: τ; +∞ flags nothing but the unscored.
    """

    key: str
    indicator: str
    strength: float
    threshold: float


def options(
    audit: Audit, point: OperatingPoint, line: Line, certificate: dict[str, Any] | None
) -> dict[str, Option]:
    """The thresholds there are, by key; the certified ones only when they are."""
    found = []
    if certificate and certificate["certified"]:
        tau = certificate["threshold"]
        found.append(
            Option(CERTIFIED, point.indicator, point.strength, np.inf if tau is None else tau)
        )
    best = _cheapest(audit, point, line)
    if best is not None:
        found.append(Option(CHEAPEST, point.indicator, point.strength, best))
    found.append(Option(OWN, point.indicator, point.strength, point.threshold))
    shift = certificate["threshold_shift"] if certificate else None
    if shift and shift["certified"] and point.indicator != THRESHOLD_SHIFT:
        tau = shift["threshold"]
        found.append(Option(RIVAL, THRESHOLD_SHIFT, 0.0, np.inf if tau is None else tau))
    return {option.key: option for option in found}


def on_line(audit: Audit, role: str, option: Option, line: Line) -> dict[str, Estimate]:
    """What a threshold does to the line, measured on the images of a role."""
    at = (option.indicator, option.strength, option.threshold)
    return _on_line(audit, audit.key, role, at, line)


@st.cache_data(max_entries=128, show_spinner=False)
def _on_line(
    _audit: Audit, key: str, role: str, at: tuple[str, float, float], line: Line
) -> dict[str, Estimate]:
    indicator, strength, threshold = at
    passed = scored(_audit, [role], indicator, strength)
    again = passed["indicator"].isna() | (passed["indicator"] >= threshold)
    outcome, group = (text(_audit, name) for name in ("outcome", "group"))
    readable = np.flatnonzero(text(_audit, "role").equal(role) & ~outcome.equal(""))
    flagged = np.isin(readable, passed["place"][again], assume_unique=True)
    images = pd.DataFrame({"outcome": outcome.at(readable), "group": group.codes[readable]})
    return on_the_line(images, flagged, line)


def rates(audit: Audit, role: str) -> tuple[float, float]:
    """Shares of the defects that the detector misses, and of the good parts that it rejects."""
    counts = audit.manifest["counts_by_role"].get(role, {})
    fn, tp, fp, tn = (counts.get(name, 0) for name in ("fn", "tp", "fp", "tn"))
    return fn / max(1, fn + tp), fp / max(1, fp + tn)


def _cheapest(audit: Audit, point: OperatingPoint, line: Line) -> float | None:
    """The threshold of least cost on `tune`, made round; None where there is nothing to weigh."""
    points = load(audit, "tune", point.indicator).curves[point.strength]
    try:
        best = cheapest(points, *rates(audit, "tune"), line)
    except SettingsError:
        return None
    return best if np.isinf(best) else stops(points, best)[1]


def priced(audit: Audit, points: Curve, line: Line) -> tuple[Floats, Floats]:
    """Re-inspections a shift and cost a part at each threshold of a curve of `tune`, `(K + 1,)`."""
    told = outcomes(Rates(*rates(audit, "tune"), points.fn_recall, points.tn_loss), line)
    return told["reinspections"], told["cost_after"]
