"""Trade-off: missed defects caught against good parts re-inspected, and the point between them."""

from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard.sealed_roles import ask_to_open, opened_sentence
from dashboard.shell import audit_page, fragment, show_finding
from dashboard.tradeoff.charts import MOST_KINDS, draw_heat, draw_kinds, draw_tradeoff
from dashboard.tradeoff.controls import choices, click, keep, links, sliders
from dashboard.tradeoff.moves import move
from dashboard.tradeoff.words import detail, proven, table
from dashboard.url_state import read_point
from dashboard.words import caught_sentence
from trust_core.decision.curves import caught_by_kind, roles_of, tradeoff
from trust_core.decision.journal import closed_seals
from trust_core.decision.operating_point import count_flags, slider_stops
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on arrays that are already there."""
    point = read_point(audit)
    roles = roles_of(point.role)
    if sealed := closed_seals(audit, roles):
        ask_to_open(audit, sealed, "the trade-off was looked at")
        back = partial(move, audit, "role", role="tune")
        st.button("Back to the parts for choosing", on_click=back)
        return
    scores = tradeoff(audit, point.indicator, point.role)
    positions, here = slider_stops(scores.curves[point.strength], point.threshold)
    if not positions:
        show_finding("None of these parts has a score.", "There is no threshold to choose on them.")
        choices(audit, point)
        return
    point = replace(point, threshold=here)
    counts = count_flags(scores.curves[point.strength], scores.shift, point)
    told = caught_sentence(counts.flagged_fn, counts.fn, counts.flagged_tn, counts.tn)
    show_finding(f"{told}.", f"{detail(counts, point)} {opened_sentence(audit, roles)}")
    choose = partial(click, audit)

    left, right = st.columns([2, 1], gap="large")
    with left:
        draw_tradeoff(audit, scores, point, choose)
        heading(
            "",
            "Each curve is an adversarial strength, each point on it a threshold; up and left is "
            "better. Dashed: just lowering the decision threshold. Click a point to go there.",
        )
    with right:
        sliders(audit, point, positions)
        st.html(table(counts))
        choices(audit, point)
        links(audit, point, scores)

    heading(
        "Every threshold and strength at once",
        "Each row is an adversarial strength, each column a threshold; further right flags more. "
        "The ring is the cell nearest to your operating point. Click a cell to go there.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        heading("", f"Missed defects caught, of {counts.fn:,}")
        draw_heat(audit, scores, point, choose, missed=True)
    with right:
        heading("", f"Good parts re-inspected, of {counts.tn:,}")
        draw_heat(audit, scores, point, choose, missed=False)

    left, right = st.columns(2, gap="large")
    with left:
        heading("By kind of defect", "Missed defects: caught, and (hatched) still missed.")
        if rows := caught_by_kind(scores, point.strength, point.threshold, MOST_KINDS):
            draw_kinds(rows)
        else:
            st.caption("The data names no kinds for the missed defects.")
    with right:
        heading("Keep this operating point", proven(counts))
        keep(audit, point)


def heading(title: str, sentence: str) -> None:
    """What a chart shows, above it."""
    head = f"<h2>{title}</h2>" if title else ""
    st.html(f'<div class="chart-head">{head}<p>{sentence}</p></div>')


audit_page("Trade-off", show, "tradeoff.css")
