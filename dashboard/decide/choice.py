"""Decide, 4: I choose. The operating point, why, and all that was decided before."""

import math
from collections.abc import Mapping
from html import escape

import streamlit as st

from dashboard.decide.line import NAMES, Options
from dashboard.markup import quiet
from dashboard.shell import errors_shown
from dashboard.url_state import write_point
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import indicator_name
from trust_core.decision.journal import OPERATING_POINT, SEAL_OPENED, decide, entries
from trust_core.decision.line_costs import CHEAPEST, OWN
from trust_core.decision.operating_point import OperatingPoint, count_flags
from trust_core.figures.words import brief_threshold, capital, caught_sentence, moment
from trust_core.storage.audit_files import Audit

SHOWN = 12  # entries of the history


def choose_point(audit: Audit, options: Options) -> None:
    """Choose one of the thresholds, say why, and have it noted."""
    finite = {key: o for key, o in options.items() if key == OWN or math.isfinite(o.threshold)}
    if CHEAPEST in options and CHEAPEST not in finite:
        st.html(quiet("On your line it is cheapest to look at nothing again."))
    with st.form("decide", border=False, clear_on_submit=True):
        key = st.radio(
            "Operating point",
            list(finite),
            format_func=lambda key: f"{NAMES[key]} – {brief_threshold(finite[key].threshold)}",
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


def history(audit: Audit) -> str:
    """What was decided and opened, the latest first, as HTML; what people typed is escaped."""
    rows = [row for entry in reversed(entries(audit)) if (row := _row(entry))]
    if not rows:
        return quiet("Nothing was decided on this audit yet, and no seal was opened.")
    earlier = len(rows) - SHOWN
    more = quiet(f"{earlier} earlier ones in decisions.jsonl.") if earlier > 0 else ""
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
        name = indicator_name(str(entry.get("indicator")))
        rule = f"{name} of {brief_threshold(threshold)} or more, at strength {strength:g}"
        what = f"Operating point: {rule}"
    elif entry.get("what") == SEAL_OPENED:
        what = f"Seal of {entry.get('role')} opened"
    else:
        return ""
    who, why = (str(entry.get(key, "")) for key in ("who", "why"))
    cells = (moment(str(entry.get("when", ""))), who, what, why)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
