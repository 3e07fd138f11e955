"""The charts of the Trade-off page: figures kept as text, marks made anew at each move."""

from collections.abc import Callable

import streamlit as st

from dashboard.chart import Drawing, chart, drawing
from trust_core.decision.curves import Tradeoff, heat_counts, heat_thresholds
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import Floats
from trust_core.figures import tradeoff
from trust_core.figures.elements import OUTCOME_COLOURS, Layout
from trust_core.storage.audit_files import Audit

Choose = Callable[[float, float | None], None]
MOST_KINDS = 9


def draw_tradeoff(audit: Audit, scores: Tradeoff, point: OperatingPoint, choose: Choose) -> None:
    """The trade-off curves, with the operating point marked on the chosen one."""
    figure, names = _tradeoff(scores, audit.key, point.role, point.indicator, point.strength)
    points = scores.curves[point.strength]
    shift = points if point.indicator == THRESHOLD_SHIFT else scores.shift
    chart(
        figure,
        key="tradeoff",
        alt="Missed defects caught over good parts re-inspected: a curve for each strength, and a "
        "dashed one for threshold shift. The operating point is marked.",
        moving=tradeoff.mark_tradeoff(points, point.threshold, shift, names),
        revision=f"{audit.key} {point.role}",
        on_choose=choose,
    )


def draw_heat(
    audit: Audit, scores: Tradeoff, point: OperatingPoint, choose: Choose, *, missed: bool
) -> None:
    """Missed defects caught, or good parts re-inspected, at every threshold and strength."""
    figure, thresholds = _heat(scores, audit.key, point.role, point.indicator, missed)
    what = "Missed defects caught" if missed else "Good parts re-inspected"
    chart(
        figure,
        key="heat-caught" if missed else "heat-again",
        alt=f"{what} at each threshold and strength, as a table of counts.",
        moving=tradeoff.mark_count_table(
            audit.strengths, thresholds, point.strength, point.threshold
        ),
        on_choose=choose,
    )


def draw_kinds(rows: list[tuple[str, int, int]]) -> None:
    """Caught and still missed, by kind of defect."""
    alt = "Missed defects caught and still missed, by kind."
    chart(drawing(tradeoff.kind_bars(rows)), key="kinds", alt=alt)


@st.cache_data(max_entries=64, show_spinner=False)
def _tradeoff(
    _scores: Tradeoff, key: str, role: str, indicator: str, strength: float
) -> tuple[Drawing, list[Layout]]:
    alone = indicator == THRESHOLD_SHIFT
    figure = tradeoff.tradeoff_chart(_scores.curves, _scores.shift, strength, shift_only=alone)
    names = [note.to_plotly_json() for note in figure.layout.annotations]
    return drawing(figure), names


@st.cache_data(max_entries=32, show_spinner=False)
def _heat(
    _scores: Tradeoff, key: str, role: str, indicator: str, missed: bool
) -> tuple[Drawing, Floats]:
    thresholds = heat_thresholds(_scores)
    fn, tn = heat_counts(_scores, thresholds)
    points = next(iter(_scores.curves.values()))
    counts, total, what, colour = (
        (fn, points.fn, "missed defects caught", OUTCOME_COLOURS["TP"])
        if missed
        else (tn, points.tn, "good parts re-inspected", OUTCOME_COLOURS["FP"])
    )
    strengths = list(_scores.curves)
    figure = tradeoff.count_table(counts, strengths, thresholds, total, what, colour)
    return drawing(figure), thresholds
