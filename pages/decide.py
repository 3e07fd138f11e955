"""Decide: is the indicator worth it, what is wanted, what is proven, and what is chosen."""

import streamlit as st

from dashboard.decide import requirements
from dashboard.decide.choose import choose_point, history, move_own
from dashboard.decide.compare import ALONE, show_beside
from dashboard.decide.indicator_table import (
    badge,
    cached_verdict,
    draw_all,
    left_out,
    table,
    two_costs,
)
from dashboard.decide.line import draw_costs, line_basis, line_sentence, line_table
from dashboard.decide.proof import (
    ask_to_prove,
    certificate,
    choice_of,
    draw_plan,
    plan_sentence,
    price_sentence,
    proof_table,
    seals_sentence,
)
from dashboard.decide.question import TEST, ask_to_judge, choices, judged_on
from dashboard.decide.sensitivity import show_trial
from dashboard.decide.words import costs, headline, ranking
from dashboard.other_audit import choose_other
from dashboard.shell import audit_page, fragment, show_finding
from dashboard.url_state import read_point
from trust_core.decision.certify import missed_groups
from trust_core.decision.journal import closed_seals
from trust_core.decision.line_costs import threshold_options
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on what was already computed."""
    point, wanted = read_point(audit), requirements.read_requirements()
    demand, line = wanted.demand, wanted.line
    role = "tune" if closed_seals(audit, [TEST]) else TEST
    chosen = choice_of(audit, point)
    judged = cached_verdict(audit, audit.key, role, point.indicator, point.strength, demand.recall)
    told = certificate(audit, demand, chosen)
    afforded = certificate(audit, wanted.budget, chosen)

    st.html(badge(judged, role))
    show_finding(headline(judged, point.indicator), f"{costs(judged)} {ranking(judged)}".strip())
    st.html(f'<p class="quiet">{judged_on(audit, role)}</p>')

    act(
        "1 Is it worth it?",
        "Each row is an indicator. Right of the dashed line it tells missed from good parts "
        "better than just lowering the decision threshold; the bar is the 95 % interval.",
    )
    left, right = st.columns([5, 2], gap="large")
    with left:
        draw_all(audit, role, point, demand.recall)
    with right:
        choices(audit, point)
        st.html(two_costs(audit, role, point, demand.recall))
        if role != TEST:
            ask_to_judge(audit)
    with st.expander("All numbers"):
        st.html(table(audit, role, point, demand.recall))
        st.html("".join(f'<p class="quiet">{said}</p>' for said in left_out(audit)))

    with st.expander("Would another layer, mask or strength change the verdict?"):
        show_trial(audit, role)

    act("2 What do you want?", "What must be proven, and what an error costs on your line.")
    requirements.number_fields(requirements.PROOF_FIELDS)
    requirements.number_fields(requirements.LINE_FIELDS)

    act("3 What is proven?", "" if told else "Nothing yet: the proof needs the sealed images.")
    if told and afforded:
        st.html(f'<p class="statement">{told.sentence} <span>{price_sentence(told)}</span></p>')
        st.html(f'<p class="statement second">{afforded.sentence}</p>')
        st.html(f"{proof_table(told)}<p class='quiet'>{seals_sentence(told)}</p>")
    else:
        ask_to_prove(audit, demand, chosen)
    have = missed_groups(audit, "certify")
    found = threshold_options(audit, point, line, told)
    left, right = st.columns(2, gap="large")
    with left:
        act("", plan_sentence(demand, have), "What a number of missed parts proves")
        draw_plan(demand, have)
    with right:
        act("", line_sentence(audit, role, found, line), "What it costs on your line")
        draw_costs(audit, point, found, line)
    st.html(line_table(audit, role, found, line))
    st.html(f'<p class="quiet">{line_basis(audit, role)}</p>')

    act("4 I choose", "The operating point that goes to the line; it is noted with name and time.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        choose_point(audit, found)
        move_own()
    with right:
        st.html(history(audit))

    act(
        "5 Beside another audit",
        "Two models on the same images, or one before and after retraining.",
    )
    if other := choose_other(audit, ALONE):
        show_beside(audit, other, chosen, demand.recall)


def act(title: str, sentence: str, chart: str = "") -> None:
    """The heading of a step, or of a chart, and what it shows."""
    head = f"<h2>{title}</h2>" if title else f"<h3>{chart}</h3>"
    st.html(f'<div class="act">{head}<p>{sentence}</p></div>')


def draw(audit: Audit) -> None:
    """Draw the page."""
    requirements.fill_url()
    show(audit)


audit_page("Decide", draw, "decide.css")
