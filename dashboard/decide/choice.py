"""Decide, 4: choose. The operating point, why, and all that was decided before."""

import math
from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from dashboard.attention import note_change
from dashboard.person import ask_person, signature
from dashboard.shell import errors_shown
from dashboard.terms import write_html
from dashboard.url_state import write_point
from trust_core.decision.certificate import Demand
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import decide
from trust_core.decision.line_costs import CHEAPEST, OWN
from trust_core.decision.operating_point import OperatingPoint, count_flags, noted_point
from trust_core.figures.words.markup import quiet
from trust_core.figures.words.numbers import capital, tau_text
from trust_core.figures.words.point import caught_sentence
from trust_core.figures.words.proof import OPTION_NAMES
from trust_core.storage.audit_files import Audit

DECIDED = "decide-done"


def choose_point(audit: Audit, options: Mapping[str, OperatingPoint], demand: Demand) -> None:
    """Choose one of the thresholds, say why, and have it noted with what was to be proven."""
    finite = {key: o for key, o in options.items() if key == OWN or math.isfinite(o.threshold)}
    thresholds = {key: tau_text(option.threshold) for key, option in finite.items()}
    if CHEAPEST in options and CHEAPEST not in finite:
        write_html(quiet("On your line it is cheapest to look at nothing again."))
    ask_person("decide")
    if st.session_state.pop(DECIDED, False):
        st.session_state["decide-why"] = ""  # the choice itself stays
    noted = noted_point(audit)
    at = [key for key, option in finite.items() if noted and _same(option, noted)]
    with st.form("decide", border=False):
        key = st.radio(
            "Operating point",
            list(finite),
            format_func=lambda key: f"{OPTION_NAMES[key]} – {thresholds[key]}",
            captions=[_caption(audit, option) for option in finite.values()],
            index=list(finite).index(at[0]) if at else 0,
            key="decide-which",
        )
        why = st.text_input(
            "Why this one?", key="decide-why", placeholder="Six re-inspections a shift are fine"
        )
        if st.form_submit_button("Decide on it", type="primary"):
            point = finite[key]
            with errors_shown():
                rule = point.indicator, point.threshold, point.strength
                wanted, sure = demand.recall, demand.confidence
                decide(audit, *rule, why, signature(), recall=wanted, confidence=sure)
                st.session_state[DECIDED] = True
                note_change("decided")
                write_point(point)
                st.rerun()


def _same(one: OperatingPoint, other: OperatingPoint) -> bool:
    """Whether two operating points flag by the same rule, whatever they are looked at on."""
    return replace(one, role=other.role) == other


def _caption(audit: Audit, point: OperatingPoint) -> str:
    scores = tradeoff(audit, point.indicator)
    counts = count_flags(scores.curves[point.strength], scores.shift, point)
    return f"{capital(caught_sentence(counts))} on the photos for choosing."
