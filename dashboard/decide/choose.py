"""Decide, 4: I choose. The operating point, why, and all that was decided before."""

import math
from collections.abc import Mapping
from html import escape

import streamlit as st

from dashboard.decide.line import NAMES
from dashboard.decide.words import brief, capital, caught_and_lost, flags
from dashboard.shell import link, show_error
from dashboard.url_state import write_point
from dashboard.words import moment
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import (
    OPERATING_POINT,
    SEAL_OPENED,
    decide,
    entries,
)
from trust_core.decision.line_costs import CHEAPEST, OWN
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import TrustError
from trust_core.storage.audit_files import Audit

SHOWN = 12  # entries of the history


def choose_point(audit: Audit, options: Mapping[str, OperatingPoint]) -> None:
    """Choose one of the thresholds, say why, and have it noted."""
    open_to = {key: o for key, o in options.items() if key == OWN or math.isfinite(o.threshold)}
    scores = {o.indicator: tradeoff(audit, o.indicator) for o in open_to.values()}
    if CHEAPEST in options and CHEAPEST not in open_to:
        st.html('<p class="quiet">On your line it is cheapest to look at nothing again.</p>')
    with st.form("decide", border=False, clear_on_submit=True):
        chosen = st.radio(
            "Operating point",
            list(open_to),
            format_func=lambda key: f"{NAMES[key]} – {brief(open_to[key].threshold)}",
            captions=[
                capital(caught_and_lost(scores[o.indicator].curves[o.strength], o.threshold))
                + " on the parts for choosing."
                for o in open_to.values()
            ],
            key="decide-which",
        )
        why = st.text_input(
            "Why this one?", key="decide-why", placeholder="Six re-inspections a shift are fine"
        )
        if st.form_submit_button("Decide on it", type="primary"):
            option = open_to[chosen]
            try:
                decide(audit, option.indicator, option.threshold, option.strength, why)
                write_point(option)
                st.rerun()
            except TrustError as problem:
                show_error(problem)


def move_own() -> None:
    """The way to where one's own threshold is chosen."""
    link("Move your own on Trade-off", "pages/tradeoff.py")


def history(audit: Audit) -> str:
    """What was decided and opened, the latest first, as HTML; what people typed is escaped."""
    rows = [row for entry in reversed(entries(audit)) if (row := _row(entry))]
    if not rows:
        return '<p class="quiet">Nothing was decided on this audit yet, and no seal was opened.</p>'
    more = (
        f'<p class="quiet">{len(rows) - SHOWN} earlier ones in decisions.jsonl.</p>'
        if len(rows) > SHOWN
        else ""
    )
    return (
        '<table class="history"><thead><tr><th>When</th><th>Who</th><th>What</th><th>Why</th></tr>'
        f"</thead><tbody>{''.join(rows[:SHOWN])}</tbody></table>{more}"
    )


def _row(entry: Mapping[str, object]) -> str:
    if entry.get("what") == OPERATING_POINT:
        try:
            threshold, strength = float(entry["threshold"]), float(entry["strength"])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return ""
        what = f"Operating point: {flags(str(entry.get('indicator')), threshold, strength)}"
    elif entry.get("what") == SEAL_OPENED:
        what = f"Seal of {entry.get('role')} opened"
    else:
        return ""
    when = moment(str(entry.get("when", "")))
    cells = (when, str(entry.get("who", "")), what, str(entry.get("why", "")))
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
