"""Trade-off: missed photos caught against good photos re-inspected, and the point between them."""

from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard.glossary import ROLE_CHOICES
from dashboard.point_controls import choose_field, choose_indicator, choose_strength, move_point
from dashboard.sealed_roles import ask_to_open, opened_sentence
from dashboard.shell import audit_page, fragment, show_finding, show_finding_html
from dashboard.terms import explain, write_html
from dashboard.tradeoff.charts import MOST_KINDS, draw_heat, draw_kinds, draw_tradeoff
from dashboard.tradeoff.controls import (
    afford_field,
    click,
    note_point,
    other_curve,
    part_links,
    threshold_slider,
)
from dashboard.url_state import read_point
from trust_core.decision.curves import caught_by_kind, roles_of, tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import closed_seals
from trust_core.decision.operating_point import OperatingPoint, count_flags, slider_stops
from trust_core.figures.words.markup import section
from trust_core.figures.words.point import (
    caught_html,
    counts_table,
    point_sentence,
    unproven_sentence,
)
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on arrays that are already there."""
    point = read_point(audit)
    roles = roles_of(point.role)
    if sealed := closed_seals(audit, roles):
        ask_to_open(audit, sealed, "the trade-off was looked at")
        back = partial(move_point, audit, "role", role="tune")
        st.button("Back to the photos for choosing", on_click=back)
        return
    scores = tradeoff(audit, point.indicator, point.role)
    stops, here = slider_stops(scores.curves[point.strength], point.threshold)
    if not stops:
        show_finding(
            "None of these photos has a score.", "There is no threshold to choose on them."
        )
        choose_scores(audit, point)
        return
    point = replace(point, threshold=here)
    counts = count_flags(scores.curves[point.strength], scores.shift, point)
    detail = f"{point_sentence(counts, point)} {opened_sentence(audit, roles)}"
    show_finding_html(f"{caught_html(counts)}.", detail)
    choose = partial(click, audit)

    left, right = st.container(key="beside-tradeoff").columns([2, 1], gap="large")
    with left:
        chart = st.container()
        alone = point.indicator == THRESHOLD_SHIFT
        rival = ', <i class="rival">◆</i> what threshold shift asks for the same catch'
        legend = (
            "Each curve is an adversarial strength, each point on it a threshold; up and left is "
            "better. Dashed: threshold shift, that is, just lowering the decision threshold. "
            f'<i class="ours">●</i> is the operating point{"" if alone else rival}. Click a point '
            "to go there."
        )
        write_html(section("", legend))
        other = other_curve(audit, point)
        with chart:
            draw_tradeoff(audit, scores, point, stops, choose, other)
    with right:
        threshold_slider(audit, point, stops)
        if len(audit.strengths) > 1:
            choose_strength(audit, point, disabled=alone)
        afford_field(audit, point, scores)
        write_html(counts_table(counts, rival=not alone))
        choose_scores(audit, point)
        part_links(audit, point, scores)

    legend = (
        "Each row is an adversarial strength, each column a threshold; further right flags more. "
        "The framed column is your threshold, the ringed cell your operating point. Click a cell "
        "to go there, or walk with the arrow keys and press Enter."
    )
    write_html(section("Every threshold and strength at once", legend))
    left, right = st.columns(2, gap="large")
    with left:
        write_html(section("", f"Missed photos caught, of {counts.fn:,}"))
        draw_heat(audit, scores, point, stops, choose, missed=True)
    with right:
        write_html(section("", f"Good photos re-inspected, of {counts.tn:,}"))
        draw_heat(audit, scores, point, stops, choose, missed=False)

    left, right = st.columns(2, gap="large")
    with left:
        legend = "Photos of missed defects: caught, and (hatched) still missed."
        write_html(section("By kind of defect", legend))
        if rows := caught_by_kind(scores, point.strength, point.threshold, MOST_KINDS):
            draw_kinds(rows)
        else:
            st.caption("The data names no kinds for the missed defects.")
    with right:
        write_html(section("Keep this operating point", unproven_sentence(counts)))
        note_point(audit, point)


def choose_scores(audit: Audit, point: OperatingPoint) -> None:
    """Which indicator, and on which photos."""
    choose_indicator(audit, point, "Suspicious by")
    meaning = explain("roles", "seal")
    choose_field(audit, point, "role", "On these photos", ROLE_CHOICES, help_text=meaning)


audit_page("Trade-off", show, "tradeoff.css")
