"""Decide, 4: I choose. The operating point, why, and all that was decided before."""

import math
from collections.abc import Mapping

import streamlit as st

from dashboard.shell import errors_shown
from dashboard.url_state import write_point
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import decide
from trust_core.decision.line_costs import CHEAPEST, OWN
from trust_core.decision.operating_point import OperatingPoint, count_flags
from trust_core.figures.words.markup import quiet
from trust_core.figures.words.numbers import brief_threshold, capital
from trust_core.figures.words.point import caught_sentence
from trust_core.figures.words.proof import OPTION_NAMES
from trust_core.storage.audit_files import Audit


def choose_point(audit: Audit, options: Mapping[str, OperatingPoint]) -> None:
    """Choose one of the thresholds, say why, and have it noted."""
    finite = {key: o for key, o in options.items() if key == OWN or math.isfinite(o.threshold)}
    thresholds = {key: brief_threshold(option.threshold) for key, option in finite.items()}
    if CHEAPEST in options and CHEAPEST not in finite:
        st.html(quiet("On your line it is cheapest to look at nothing again."))
    with st.form("decide", border=False, clear_on_submit=True):
        key = st.radio(
            "Operating point",
            list(finite),
            format_func=lambda key: f"{OPTION_NAMES[key]} – {thresholds[key]}",
            captions=[_caption(audit, option) for option in finite.values()],
            key="decide-which",
        )
        why = st.text_input(
            "Why this one?", key="decide-why", placeholder="Six re-inspections a shift are fine"
        )
        if st.form_submit_button("Decide on it", type="primary"):
            point = finite[key]
            with errors_shown():
                decide(audit, point.indicator, point.threshold, point.strength, why)
                write_point(point)
                st.rerun()


def _caption(audit: Audit, point: OperatingPoint) -> str:
    scores = tradeoff(audit, point.indicator)
    counts = count_flags(scores.curves[point.strength], scores.shift, point)
    return f"{capital(caught_sentence(counts))} on the parts for choosing."
