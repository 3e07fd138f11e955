"""Decide, 3: the same in the line's units. Before, and after each threshold."""

import math
from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.chart import chart
from dashboard.decide.options import (
    CERTIFIED,
    CHEAPEST,
    NAMES,
    OWN,
    RIVAL,
    Option,
    on_line,
    priced,
    rates,
)
from dashboard.decide.words import about, brief, money
from dashboard.words import percent
from trust_core.decision.curves import CHOSEN_POINTS, drawn, load
from trust_core.decision.line_costs import Estimate, Line
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.figures import decide
from trust_core.figures.decide import Priced
from trust_core.storage.audit_files import Audit

MARKED = (CERTIFIED, CHEAPEST, OWN)


def line_sentence(audit: Audit, role: str, options: Mapping[str, Option], line: Line) -> str:
    """What the certified threshold does to the line; without one, the cheapest."""
    key = next(key for key in (CERTIFIED, CHEAPEST, OWN) if key in options)
    told = on_line(audit, role, options[key], line)
    before, after, again = (
        told[name].value for name in ("escapes_before", "escapes_after", "reinspections")
    )
    if math.isnan(after):
        return "Without a missed defect among these images nothing can be said of the line."
    low, high = told["escapes_after"].interval
    return (
        f"{NAMES[key]}: {about(after)} escapes a million parts ({about(low)} to {about(high)}) "
        f"instead of {about(before)}, for {about(again)} re-inspections a shift."
    )


def line_basis(audit: Audit, role: str) -> str:
    """Which images the numbers of the line come from."""
    missed, rejected = rates(audit, role)
    where = "the sealed images of test" if role == "test" else "the images for choosing"
    return (
        f"Measured on {where}, where the detector misses {percent(missed)} of the defects and "
        f"rejects {percent(rejected)} of the good parts, and weighted to your line's defect rate. "
        "Small: 95 % intervals. The chart is drawn on the images for choosing, where the cheapest "
        "threshold comes from; dashed: just lowering the decision threshold."
    )


def line_table(audit: Audit, role: str, options: Mapping[str, Option], line: Line) -> str:
    """The line before, and after each threshold, as HTML; numbers and words of ours."""
    told = {key: on_line(audit, role, option, line) for key, option in options.items()}
    some = next(iter(told.values()))
    heads = "".join(
        f'<th class="{"rival" if key == RIVAL else ""}">{NAMES[key]}<small>'
        f"{_threshold(options[key])}</small></th>"
        for key in told
    )
    rows = [
        ("Escapes a million parts", "escapes_after", some["escapes_before"], about),
        ("Re-inspections a shift", "reinspections", Estimate(0, (0, 0)), about),
        ("Expected cost a part", "cost_after", some["cost_before"], money),
        ("Pays when an escape costs more than", "break_even_cost", None, money),
        ("Pays when more of the parts are defective than", "break_even_rate", None, _rate),
    ]
    body = ""
    for name, key, before, words in rows:
        now = f"<td>{_estimate(before, words)}</td>" if before else "<td>–</td>"
        cells = "".join(
            f'<td class="{"rival" if option == RIVAL else ""}">{_estimate(found[key], words)}</td>'
            for option, found in told.items()
        )
        body += f"<tr><th>{name}</th>{now}{cells}</tr>"
    return (
        '<div class="wide"><table class="numbers"><thead><tr><th></th><th>Without a second look'
        f"</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def draw_costs(
    audit: Audit, point: OperatingPoint, options: Mapping[str, Option], line: Line
) -> None:
    """Expected cost over re-inspections, with the thresholds named."""
    marks = tuple((NAMES[k], o.threshold) for k, o in options.items() if k in MARKED)
    text, height = _costs(audit, audit.key, point.indicator, point.strength, marks, line)
    chart(
        text,
        height,
        key="costs",
        alt="Expected cost a part over re-inspections a shift; the lowest point is the cheapest "
        "threshold. Dashed: just lowering the decision threshold.",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _costs(
    _audit: Audit,
    key: str,
    indicator: str,
    strength: float,
    marks: tuple[tuple[str, float], ...],
    line: Line,
) -> tuple[str, int]:
    scores = load(_audit, "tune", indicator)
    ours, shift = scores.curves[strength], scores.shift
    again, cost = priced(_audit, ours, line)
    at = {label: ours.at(threshold) for label, threshold in marks}
    named: dict[int, str] = {}
    for label, index in at.items():
        named[index] = f"{named[index]}, {label.lower()}" if index in named else label
    figure = decide.costs(
        _drawn(again, cost, ours),
        _drawn(*priced(_audit, shift, line), shift),
        [Priced(label, float(again[i]), float(cost[i])) for i, label in named.items()],
    )
    return figure.to_json(validate=False), int(figure.layout.height)


def _drawn(again: Floats, cost: Floats, points: Curve) -> tuple[Floats, Floats]:
    index = drawn(points, CHOSEN_POINTS)
    return again[index], cost[index]


def _threshold(option: Option) -> str:
    return brief(option.threshold)


def _estimate(estimate: Estimate, words: Callable[[float], str]) -> str:
    low, high = estimate.interval
    if math.isnan(estimate.value):
        return "–"
    if low == high:
        return f"<b>{words(estimate.value)}</b>"
    return f"<b>{words(estimate.value)}</b><small>{words(low)} to {words(high)}</small>"


def _rate(value: float) -> str:
    return "never" if math.isinf(value) else f"{100 * value:.2g} %"
