"""Decide: is the indicator worth it, what is wanted, what is proven, and what is chosen."""

import streamlit as st

from dashboard.decide.choice import choose_point, history
from dashboard.decide.comparison import ALONE, show_comparison
from dashboard.decide.indicators import (
    absent_sentences,
    cost_table,
    draw_indicators,
    indicator_table,
)
from dashboard.decide.line import draw_costs, line_basis, line_sentence, line_table
from dashboard.decide.proof import (
    ask_for_proof,
    certificate,
    chosen_indicator,
    draw_plan,
    plan_sentence,
    price_sentence,
    proof_table,
    seals_sentence,
)
from dashboard.decide.requirements import (
    LINE_FIELDS,
    PROOF_FIELDS,
    fill_url,
    number_fields,
    read_requirements,
)
from dashboard.decide.sensitivity import show_trial
from dashboard.decide.verdict import (
    TEST,
    ask_for_verdict,
    badge,
    cached_verdict,
    cost_sentence,
    ranking_sentence,
    verdict_basis,
    verdict_sentence,
)
from dashboard.markup import quiet, section
from dashboard.other_audit import choose_other
from dashboard.point_controls import choose_indicator, choose_strength
from dashboard.shell import audit_page, fragment, link, show_finding
from dashboard.url_state import read_point
from trust_core.decision.certify import missed_groups
from trust_core.decision.journal import closed_seals
from trust_core.decision.line_costs import threshold_options
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on what was already computed."""
    point, required = read_point(audit), read_requirements()
    demand, line = required.demand, required.line
    role = "tune" if closed_seals(audit, [TEST]) else TEST
    chosen = chosen_indicator(audit, point)
    judged = cached_verdict(audit, audit.key, role, point.indicator, point.strength, demand.recall)
    proof = certificate(audit, demand, chosen)
    affordable = certificate(audit, required.budget, chosen)

    st.html(badge(judged, role))
    detail = f"{cost_sentence(judged)} {ranking_sentence(judged)}".strip()
    show_finding(verdict_sentence(judged, point.indicator), detail)
    st.html(quiet(verdict_basis(audit, role)))

    legend = (
        "Each row is an indicator. Right of the dashed line it tells missed from good parts "
        "better than just lowering the decision threshold; the bar is the 95 % interval."
    )
    st.html(section("1 Is it worth it?", legend))
    left, right = st.columns([5, 2], gap="large")
    with left:
        draw_indicators(audit, role, point, demand.recall)
    with right:
        choose_indicator(audit, point, "Indicator")
        choose_strength(audit, point, disabled=False)
        st.html(cost_table(audit, role, point, demand.recall))
        if role != TEST:
            ask_for_verdict(audit)
    with st.expander("All numbers"):
        st.html(indicator_table(audit, role, point, demand.recall))
        st.html("".join(map(quiet, absent_sentences(audit))))
    with st.expander("Would another layer, mask or strength change the verdict?"):
        show_trial(audit, role)

    legend = "What must be proven, and what an error costs on your line."
    st.html(section("2 What do you want?", legend))
    number_fields(PROOF_FIELDS)
    number_fields(LINE_FIELDS)

    legend = "" if proof else "Nothing yet: the proof needs the sealed images."
    st.html(section("3 What is proven?", legend))
    if proof and affordable:
        st.html(f'<p class="statement">{proof.sentence} <span>{price_sentence(proof)}</span></p>')
        st.html(f'<p class="statement second">{affordable.sentence}</p>')
        st.html(proof_table(proof) + quiet(seals_sentence(proof)))
    else:
        ask_for_proof(audit, demand, chosen)
    have = missed_groups(audit, "certify")
    options = threshold_options(audit, point, line, proof)
    left, right = st.columns(2, gap="large")
    with left:
        title = "What a number of missed parts proves"
        st.html(section(title, plan_sentence(demand, have), chart=True))
        draw_plan(demand, have)
    with right:
        title = "What it costs on your line"
        st.html(section(title, line_sentence(audit, role, options, line), chart=True))
        draw_costs(audit, point, options, line)
    st.html(line_table(audit, role, options, line))
    st.html(quiet(line_basis(audit, role)))

    legend = "The operating point that goes to the line; it is noted with name and time."
    st.html(section("4 I choose", legend))
    left, right = st.columns([2, 3], gap="large")
    with left:
        choose_point(audit, options)
        link("Move your own on Trade-off", "pages/tradeoff.py")
    right.html(history(audit))

    legend = "Two models on the same images, or one before and after retraining."
    st.html(section("5 Beside another audit", legend))
    if other := choose_other(audit, ALONE):
        show_comparison(audit, other, chosen, demand.recall)


def draw(audit: Audit) -> None:
    """Draw the page."""
    fill_url()
    show(audit)


audit_page("Decide", draw, "decide.css")
