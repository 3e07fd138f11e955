"""Decide, 3: the same in the line's units. Before, and after each threshold."""

import math
from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.chart import Drawing, chart, drawing
from dashboard.markup import table
from trust_core.decision.curves import tradeoff
from trust_core.decision.line_costs import (
    CERTIFIED,
    CERTIFIED_SHIFT,
    CHEAPEST,
    OWN,
    Line,
    LineValue,
    audit_on_the_line,
    costs_along,
    detector_rates,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.figures import decide
from trust_core.figures.decide import CostMark
from trust_core.figures.words import about, brief_threshold, money, percent
from trust_core.storage.audit_files import Audit

NAMES = {
    CERTIFIED: "Certified",
    CHEAPEST: "Cheapest on your line",
    OWN: "Your own",
    CERTIFIED_SHIFT: "Lowered decision threshold, certified",
}
MARKED = (CERTIFIED, CHEAPEST, OWN)

Options = Mapping[str, OperatingPoint]


def line_sentence(audit: Audit, role: str, options: Options, line: Line) -> str:
    """What the certified threshold does to the line; without one, the cheapest."""
    key = next(key for key in MARKED if key in options)
    values = _on_the_line(audit, audit.key, role, options[key], line)
    before, after, again = (
        values[name].value for name in ("escapes_before", "escapes_after", "reinspections")
    )
    if math.isnan(after):
        return "Without a missed defect among these images nothing can be said of the line."
    low, high = values["escapes_after"].interval
    return (
        f"{NAMES[key]}: {about(after)} escapes a million parts ({about(low)} to {about(high)}) "
        f"instead of {about(before)}, for {about(again)} re-inspections a shift."
    )


def line_basis(audit: Audit, role: str) -> str:
    """Which images the numbers of the line come from."""
    missed, rejected = detector_rates(audit, role)
    where = "the sealed images of test" if role == "test" else "the images for choosing"
    return (
        f"Measured on {where}, where the detector misses {percent(missed)} of the defects and "
        f"rejects {percent(rejected)} of the good parts, and weighted to your line's defect rate. "
        "Small: 95 % intervals. The chart is drawn on the images for choosing, where the cheapest "
        "threshold comes from; dashed: just lowering the decision threshold."
    )


def line_table(audit: Audit, role: str, options: Options, line: Line) -> str:
    """The line before, and after each threshold, as HTML; numbers and words of ours."""
    values = {key: _on_the_line(audit, audit.key, role, o, line) for key, o in options.items()}
    some = next(iter(values.values()))
    heads = [
        f"{NAMES[key]}<small>{brief_threshold(option.threshold)}</small>"
        for key, option in options.items()
    ]
    quantities = [
        ("Escapes a million parts", "escapes_after", some["escapes_before"], about),
        ("Re-inspections a shift", "reinspections", LineValue(0, (0, 0)), about),
        ("Expected cost a part", "cost_after", some["cost_before"], money),
        ("Pays when an escape costs more than", "break_even_cost", None, money),
        ("Pays when more of the parts are defective than", "break_even_rate", None, _rate),
    ]
    rows = []
    for title, quantity, before, words in quantities:
        after = {key: _value(found[quantity], words) for key, found in values.items()}
        if CERTIFIED_SHIFT in after:
            after[CERTIFIED_SHIFT] = f'<span class="rival">{after[CERTIFIED_SHIFT]}</span>'
        rows.append(("", title, [_value(before, words) if before else "–", *after.values()]))
    return (
        f'<div class="wide">{table("numbers", rows, ["", "Without a second look", *heads])}</div>'
    )


def draw_costs(audit: Audit, point: OperatingPoint, options: Options, line: Line) -> None:
    """Expected cost over re-inspections, with the thresholds named."""
    marks = tuple((NAMES[k], o.threshold) for k, o in options.items() if k in MARKED)
    chart(
        _costs(audit, audit.key, point.indicator, point.strength, marks, line),
        key="costs",
        alt="Expected cost a part over re-inspections a shift; the lowest point is the cheapest "
        "threshold. Dashed: just lowering the decision threshold.",
    )


@st.cache_data(max_entries=128, show_spinner=False)
def _on_the_line(
    _audit: Audit, key: str, role: str, point: OperatingPoint, line: Line
) -> dict[str, LineValue]:
    return audit_on_the_line(_audit, role, point, line)


@st.cache_data(max_entries=64, show_spinner=False)
def _costs(
    _audit: Audit,
    key: str,
    indicator: str,
    strength: float,
    marks: tuple[tuple[str, float], ...],
    line: Line,
) -> Drawing:
    scores = tradeoff(_audit, indicator)
    ours, shift = scores.curves[strength], scores.shift
    again, cost = costs_along(_audit, ours, line)
    labels: dict[int, str] = {}
    for label, threshold in marks:
        index = ours.at(threshold)
        labels[index] = f"{labels[index]}, {label.lower()}" if index in labels else label
    priced = [CostMark(label, float(again[i]), float(cost[i])) for i, label in labels.items()]
    rival = costs_along(_audit, shift, line)
    return drawing(decide.costs(_drawn(again, cost, ours), _drawn(*rival, shift), priced))


def _drawn(again: Floats, cost: Floats, points: Curve) -> tuple[Floats, Floats]:
    index = points.representatives()
    return again[index], cost[index]


def _value(value: LineValue, words: Callable[[float], str]) -> str:
    low, high = value.interval
    if math.isnan(value.value):
        return "–"
    text = f"<b>{words(value.value)}</b>"
    return text if low == high else f"{text}<small>{words(low)} to {words(high)}</small>"


def _rate(value: float) -> str:
    return "never" if math.isinf(value) else f"{100 * value:.2g} %"
