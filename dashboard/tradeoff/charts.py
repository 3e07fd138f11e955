"""The charts of the Trade-off page: what they draw, and how it moves with the slider of τ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from dashboard.chart import Drawing, Live, chart, drawing
from dashboard.tradeoff.heat_table import HeatTable, heat_table
from trust_core.decision.curves import Tradeoff, heat_counts, heat_thresholds
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint, counts_along
from trust_core.decision.tradeoff import Curve
from trust_core.figures import tradeoff
from trust_core.figures.elements import OUTCOME_COLOURS, tracks
from trust_core.figures.words.point import moving_numbers
from trust_core.messages import threshold_text
from trust_core.storage.audit_files import Audit

Choose = Callable[[float, float | None], None]
MOST_KINDS = 9
SLIDER = "threshold"  # key of the slider that the charts follow


@dataclass(frozen=True)
class OtherCurve:
    """The curve of another audit, drawn over those of the open one.

    `key` is that of the audit, with all that its curve depends on.
    """

    key: str
    name: str
    points: Curve


def draw_tradeoff(
    audit: Audit,
    scores: Tradeoff,
    point: OperatingPoint,
    stops: list[float],
    choose: Choose,
    other: OtherCurve | None = None,
) -> None:
    """The trade-off curves, with the operating point marked on the chosen one."""
    at = point.role, point.indicator, point.strength
    other_key = other.key if other else ""
    points = scores.curves[point.strength]
    shift = points if point.indicator == THRESHOLD_SHIFT else scores.shift
    chart(
        _tradeoff(scores, other, audit.key, *at, other_key),
        key="tradeoff",
        alt="Missed photos caught over good photos re-inspected: a curve for each strength, and a "
        "dashed one for threshold shift. The operating point is marked.",
        moving=tradeoff.mark_tradeoff(points, point.threshold, shift),
        revision=f"{audit.key} {point.role}",
        on_choose=choose,
        live=_live(scores, stops, audit.key, *at, np.asarray(stops).tobytes()),
        here=stops.index(point.threshold),
    )


def draw_heat(
    audit: Audit,
    scores: Tradeoff,
    point: OperatingPoint,
    stops: list[float],
    choose: Choose,
    *,
    missed: bool,
) -> None:
    """Missed photos caught, or good photos re-inspected, at every threshold and strength."""
    made = np.asarray(stops).tobytes()
    table = _heat(scores, stops, audit.key, point.role, point.indicator, missed, made)
    row = list(audit.strengths).index(point.strength)
    heat_table(
        table,
        key="heat-caught" if missed else "heat-again",
        slider=SLIDER,
        chosen=(row, stops.index(point.threshold)),
        on_choose=choose,
    )


def draw_kinds(rows: list[tuple[str, int, int]]) -> None:
    """Caught and still missed, by kind of defect."""
    alt = "Missed photos caught and still missed, by kind of defect."
    chart(drawing(tradeoff.kind_bars(rows)), key="kinds", alt=alt)


@st.cache_resource(max_entries=64, show_spinner=False)  # text: nothing to copy
def _tradeoff(
    _scores: Tradeoff,
    _other: OtherCurve | None,
    key: str,
    role: str,
    indicator: str,
    strength: float,
    other_key: str,
) -> Drawing:
    alone = indicator == THRESHOLD_SHIFT
    other = (_other.name, _other.points) if _other else None
    figure = tradeoff.tradeoff_chart(
        _scores.curves, _scores.shift, strength, shift_only=alone, other=other
    )
    return drawing(figure)


@st.cache_resource(max_entries=64, show_spinner=False)
def _live(
    _scores: Tradeoff,
    _stops: list[float],
    key: str,
    role: str,
    indicator: str,
    strength: float,
    made: bytes,
) -> str:
    """What moves with the slider, at each of its stops."""
    points = _scores.curves[strength]
    shift = points if indicator == THRESHOLD_SHIFT else _scores.shift
    point = OperatingPoint(indicator, strength, 0.0, role)
    marks = [tradeoff.mark_tradeoff(points, stop, shift) for stop in _stops]
    counts = [moving_numbers(found) for found in counts_along(points, shift, point, _stops)]
    numbers = {name: [one[name] for one in counts] for name in counts[0]}
    texts = [threshold_text(stop) for stop in _stops]
    return Live(SLIDER, texts, tracks(marks), numbers).as_text()


@st.cache_resource(max_entries=32, show_spinner=False)
def _heat(
    _scores: Tradeoff,
    _stops: list[float],
    key: str,
    role: str,
    indicator: str,
    missed: bool,
    made: bytes,
) -> str:
    thresholds = heat_thresholds(_scores)
    side = 0 if missed else 1
    fixed, own = (heat_counts(_scores, at)[side] for at in (thresholds, _stops))
    points = next(iter(_scores.curves.values()))
    about: dict[str, Any] = (
        {
            "total": points.fn,
            "what": "missed photos caught",
            "colour": OUTCOME_COLOURS["TP"],
        }
        if missed
        else {
            "total": points.tn,
            "what": "good photos re-inspected",
            "colour": OUTCOME_COLOURS["FP"],
        }
    )
    return HeatTable(
        strengths=list(_scores.curves),
        thresholds=thresholds.tolist(),
        counts=fixed.tolist(),
        stops=_stops,
        own=own.tolist(),
        **about,
    ).as_text()
