"""Decide: is the indicator worth it, what is wanted, what is proven, and what is chosen."""

from html import escape

import streamlit as st

from dashboard.attention import lead_eye
from dashboard.decide.choice import choose_point
from dashboard.decide.comparison import ALONE, show_comparison
from dashboard.decide.indicators import (
    TEST,
    ask_for_verdict,
    cached_verdict,
    chosen_verdicts,
    draw_indicators,
    verdict_basis,
)
from dashboard.decide.proof import (
    MARKED,
    ask_for_proof,
    certificate,
    draw_costs,
    draw_plan,
    on_the_line,
)
from dashboard.decide.requirements import (
    LINE_FIELDS,
    PROOF_FIELDS,
    fill_url,
    number_fields,
    read_requirements,
)
from dashboard.decide.sensitivity import show_trial
from dashboard.other_audit import choose_other
from dashboard.point_controls import choose_indicator, choose_strength
from dashboard.shell import audit_page, fragment, link, show_finding
from dashboard.terms import write_html
from dashboard.url_state import leading_in_url, read_point, write_point
from dashboard.wording import page_text
from trust_core.decision.certify import missed_groups, point_to_certify
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import closed_seals, entries
from trust_core.decision.line_costs import detector_rates, threshold_options
from trust_core.decision.standing import standing
from trust_core.figures.words import proof as words
from trust_core.figures.words import standing as standing_words
from trust_core.figures.words import verdict as verdict_words
from trust_core.figures.words.markup import quiet, section
from trust_core.figures.words.recommendation import recommend
from trust_core.storage.audit_files import Audit

EVERY = "all-indicators"
FEW = (
    "the one shown, the one proposed, the IoU difference, and the best of all others, which is "
    "flattered by being picked here"
)
LEGEND = (
    "Right of the dashed line an indicator tells missed photos from good ones better than "
    "threshold shift; the bar is the 95 % interval."
)


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on what was already computed."""
    point, required = read_point(audit), read_requirements(audit)
    demand, line = required.demand, required.line
    role = "tune" if closed_seals(audit, [TEST]) else TEST
    chosen = point_to_certify(audit, point)
    judged = cached_verdict(audit, role, point.indicator, point.strength, demand.recall)
    proof = certificate(audit, demand, chosen)
    affordable = certificate(audit, required.budget, chosen)

    stands = standing(audit, point)
    lead_eye("decided")
    decided = (
        f'<p class="statement">{escape(said)}</p>'
        if (said := standing_words.chosen_sentence(stands.chosen))
        else ""
    )
    lead_eye("verdict")
    write_html(verdict_words.badge(judged, role, point.indicator))
    detail = f"{verdict_words.cost_sentence(judged)} {verdict_words.ranking_sentence(judged)}"
    detail = "" if point.indicator == THRESHOLD_SHIFT else detail  # it would be beside itself
    show_finding(verdict_words.verdict_sentence(judged, point.indicator), detail.strip())
    advice = recommend(point, judged, proof)
    action = escape(advice.sentence if proof else standing_words.action_sentence(stands))
    why = quiet(escape(advice.reason)) if proof else ""
    write_html(f'<p class="action">{action}</p>{why}{decided}')
    write_html(quiet(escape(standing_words.proposal_sentence(stands))))
    write_html(quiet(verdict_basis(audit, role)))

    every = bool(st.session_state.get(EVERY))
    rows = "" if every else f": {FEW}"
    write_html(section("1 Is it worth it?", f"Each row is an indicator{rows}. {LEGEND}"))
    left, right = st.container(key="beside-decide").columns([5, 2], gap="large")
    with left:
        draw_indicators(audit, role, point, demand.recall, every=every)
        st.toggle("All indicators", key=EVERY)
    with right:
        choose_indicator(audit, point, "Indicator")
        choose_strength(audit, point, disabled=False)
        scores = tradeoff(audit, point.indicator, role)
        write_html(verdict_words.cost_table(scores, point, demand.recall))
        if role != TEST:
            ask_for_verdict(audit)
    with st.expander("All numbers"):
        verdicts = chosen_verdicts(audit, role, point, every=every)
        write_html(verdict_words.indicator_table(verdicts, point.indicator, demand.recall))
        write_html("".join(map(quiet, verdict_words.absent_sentences(audit, page_text))))
    with st.expander("Would another layer, mask or strength change the verdict?"):
        show_trial(audit, role)

    legend = "What must be proven, and what an error costs on your line."
    write_html(section("2 What do you want?", legend))
    number_fields(PROOF_FIELDS, audit)
    number_fields(LINE_FIELDS)

    legend = "" if proof else "Nothing yet: the proof needs the sealed photos."
    write_html(section("3 What is proven?", legend))
    lead_eye("proof")
    if proof and affordable:
        price = words.price_sentence(proof)
        write_html(f'<p class="statement">{proof.sentence} <span>{price}</span></p>')
        write_html(f'<p class="statement second">{affordable.sentence}</p>')
        write_html(words.proof_table(proof) + quiet(words.seals_sentence(proof)))
    else:
        ask_for_proof(audit, demand, chosen)
    have = missed_groups(audit, "certify")
    options = threshold_options(audit, point, line, proof)
    values = {key: on_the_line(audit, role, o, line) for key, o in options.items()}
    shown = next(key for key in MARKED if key in options)
    left, right = st.columns(2, gap="large")
    with left:
        title = "What a number of missed parts proves"
        write_html(section(title, words.plan_sentence(demand, have), chart=True))
        draw_plan(demand, have)
    with right:
        title = "What it costs on your line"
        write_html(section(title, words.line_sentence(shown, values[shown]), chart=True))
        draw_costs(audit, point, options, line)
    write_html(words.line_table(options, values))
    write_html(quiet(words.line_basis(role, *detector_rates(audit, role))))

    legend = "The operating point that goes to the line; it is noted with name and time."
    write_html(section("4 Choose", legend))
    left, right = st.columns([2, 3], gap="large")
    with left:
        choose_point(audit, options, demand)
        link("Move your own on Trade-off", "pages/tradeoff.py")
    with right:
        write_html(words.history(entries(audit)))

    legend = "Two models on the same photos, or one before and after retraining."
    write_html(section("5 Beside another audit", legend))
    if other := choose_other(audit, ALONE):
        show_comparison(audit, other, chosen, demand.recall)


def draw(audit: Audit) -> None:
    """Draw the page."""
    fill_url()
    write_point(leading_in_url(audit))
    show(audit)


audit_page("Decide", draw, "decide.css")
