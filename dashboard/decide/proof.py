"""Decide, 3: the certificate, the seals that it takes, and its price on the line."""

from collections.abc import Mapping
from functools import partial
from html import escape

import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.chart import Drawing, chart, drawing
from dashboard.sealed_roles import seal_button
from dashboard.terms import write_html
from trust_core.decision.certificate import Budget, Demand, needed
from trust_core.decision.certify import (
    Certificate,
    ChosenIndicator,
    certify,
    compute_certificate,
    missed_groups,
)
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import indicator_name
from trust_core.decision.journal import SEALED, closed_seals, entries
from trust_core.decision.line_costs import (
    CERTIFIED,
    CHEAPEST,
    OWN,
    Line,
    LineValue,
    audit_on_the_line,
    costs_along,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.figures import decide
from trust_core.figures.decide import CostMark
from trust_core.figures.words.proof import OPTION_NAMES, OVERLOOKED, forecast_sentence
from trust_core.storage.audit_files import Audit

MARKED = (CERTIFIED, CHEAPEST, OWN)


def certificate(
    audit: Audit, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate | None:
    """What is proven; None while a seal is closed."""
    if closed_seals(audit, SEALED):
        return None
    return _certificate(audit, f"{audit.folder} {len(entries(audit))}", wanted, chosen)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _certificate(
    audit: Audit, journal: str, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate:
    return compute_certificate(audit, wanted, chosen)


def ask_for_proof(audit: Audit, demand: Demand, chosen: ChosenIndicator) -> None:
    """What lies sealed, what it could prove, and the deliberate act of opening it."""
    have = missed_groups(audit, "certify")
    roles = " and ".join(closed_seals(audit, SEALED))
    with st.container(border=True, key="seal-proof"):
        write_html(
            f"<p><b>{forecast_sentence(have, needed(demand), demand.recall)}</b></p><p>A proof "
            "holds for the indicator that was chosen before the sealed photos were seen: now "
            f"{escape(indicator_name(chosen.indicator))} at strength {chosen.strength:g}. Opening "
            f"the photos kept for {roles} is noted in the audit, with your name and the time, and "
            "stands on the certificate.</p>"
        )
        sure = f"My choice is made: open the photos of {roles}"
        seal_button("proof", sure, "Prove it", partial(certify, audit, demand, chosen))


def draw_plan(demand: Demand, have: int) -> None:
    """What a number of missed parts proves."""
    chart(
        _plan(demand, have),
        key="plan",
        alt="The share of missed parts that can be proven to be caught, over the number of missed "
        "parts it is proven on. Above the hatched border nothing can be proven.",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _plan(demand: Demand, have: int) -> Drawing:
    return drawing(decide.provable_recall(demand, have, range(OVERLOOKED + 1)))


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=BY_KEY)
def on_the_line(audit: Audit, role: str, point: OperatingPoint, line: Line) -> dict[str, LineValue]:
    """What a threshold does to the line, measured on the images of a role."""
    return audit_on_the_line(audit, role, point, line)


def draw_costs(
    audit: Audit, point: OperatingPoint, options: Mapping[str, OperatingPoint], line: Line
) -> None:
    """Expected cost over re-inspections, with the thresholds named."""
    marks = tuple((OPTION_NAMES[k], o.threshold) for k, o in options.items() if k in MARKED)
    chart(
        _costs(audit, point.indicator, point.strength, marks, line),
        key="costs",
        alt="Expected cost a part over re-inspections a shift; the lowest point is the cheapest "
        "threshold. Dashed: threshold shift.",
    )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _costs(
    audit: Audit,
    indicator: str,
    strength: float,
    marks: tuple[tuple[str, float], ...],
    line: Line,
) -> Drawing:
    scores = tradeoff(audit, indicator)
    ours, shift = scores.curves[strength], scores.shift
    again, cost = costs_along(audit, ours, line)
    labels: dict[int, str] = {}
    for label, threshold in marks:
        index = ours.at(threshold)
        labels[index] = f"{labels[index]}, {label.lower()}" if index in labels else label
    priced = [CostMark(label, float(again[i]), float(cost[i])) for i, label in labels.items()]
    rival = costs_along(audit, shift, line)
    return drawing(decide.costs(_drawn(again, cost, ours), _drawn(*rival, shift), priced))


def _drawn(again: Floats, cost: Floats, points: Curve) -> tuple[Floats, Floats]:
    index = points.representatives()
    return again[index], cost[index]
