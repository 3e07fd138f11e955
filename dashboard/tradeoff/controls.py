"""The controls of the Trade-off page: slider, clicks, ways on, and noting the operating point."""

from typing import Any

import streamlit as st

from dashboard.glossary import HELP
from dashboard.parts.url_state import before_in_url
from dashboard.person import ask_person, signature
from dashboard.point_controls import CLICK, field_moved, last_point, move_point
from dashboard.shell import errors_shown, link
from dashboard.url_state import read_point, sync_widget
from trust_core.decision.curves import Tradeoff, tradeoff
from trust_core.decision.indicators.registry import indicator_name
from trust_core.decision.journal import decide
from trust_core.decision.operating_point import (
    OperatingPoint,
    changed_sides,
    noted_point,
    slider_stops,
)
from trust_core.figures.elements import threshold_text
from trust_core.figures.words.point import sides_sentence
from trust_core.storage.audit_files import Audit

PARTS = "pages/parts.py"


def click(audit: Audit, threshold: float, strength: float | None) -> None:
    """A point of a curve or a cell was clicked."""
    now = read_point(audit)
    strength = now.strength if strength is None else strength
    points = tradeoff(audit, now.indicator, now.role).curves[strength]
    move_point(audit, CLICK, threshold=slider_stops(points, threshold)[1], strength=strength)


def threshold_slider(audit: Audit, point: OperatingPoint, stops: list[float]) -> None:
    """The slider of the threshold; it follows the URL, so a click moves it too."""
    sync_widget("threshold", point.threshold)
    st.select_slider(
        "Flagging threshold τ – further right flags more",
        stops,
        format_func=threshold_text,
        key="threshold",
        help=HELP["tau"],
        on_change=field_moved,
        args=(audit, "threshold"),
    )


def part_links(audit: Audit, point: OperatingPoint, scores: Tradeoff) -> None:
    """To the parts behind the counts."""
    at: dict[str, Any] = {"tau": point.threshold}
    before = last_point(audit, point)
    with st.container(horizontal=True, gap="xsmall"):
        link("Flagged parts", PARTS, show="flagged", **at)
        link("Still missed", PARTS, show="overlooked", **at)
        if before:
            link("Changed side", PARTS, show="changed", **at | before_in_url(before, point))
    sentence = "Move the threshold or the strength to see which parts change side."
    if before:
        earlier = tradeoff(audit, before.indicator, before.role)
        moved = sides_sentence(*changed_sides(scores, earlier, point, before))
        start = f"Since τ {threshold_text(before.threshold)}, ε {before.strength:g}"
        sentence = f"{start} – {moved or 'no part changed side'}."
    st.html(f'<p class="moved">{sentence}</p>')  # numbers and words of ours


def note_point(audit: Audit, point: OperatingPoint) -> None:
    """Note the operating point in the audit, with a reason."""
    ask_person("keep")
    with st.form("keep", border=False, clear_on_submit=True):
        why = st.text_input(
            "Why this point?", key="why", placeholder="Six re-inspections a shift are fine"
        )
        if st.form_submit_button("Keep this operating point", type="primary"):
            with errors_shown():
                decide(audit, point.indicator, point.threshold, point.strength, why, signature())
    if noted := noted_point(audit):
        what = f"{indicator_name(noted.indicator)} of {threshold_text(noted.threshold)} or more"
        st.caption(f"Kept so far: {what}, at adversarial strength {noted.strength:g}.")
