"""The controls of the Trade-off page: sliders, choices, clicks, ways on, and keeping a point."""

from typing import Any

import streamlit as st

from dashboard.parts.grid import ROLE_CHOICES
from dashboard.parts.url_state import before_in_url
from dashboard.shell import link, show_error
from dashboard.tradeoff.moves import CLICK, chosen, move, moved_from
from dashboard.tradeoff.words import sides
from dashboard.url_state import read_point, sync_widget
from dashboard.words import HELP, INDICATOR_NAMES
from trust_core.decision.curves import Tradeoff, tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT, available
from trust_core.decision.journal import decide
from trust_core.decision.operating_point import (
    OperatingPoint,
    changed_sides,
    noted_point,
    slider_stops,
)
from trust_core.errors import TrustError
from trust_core.figures.elements import number
from trust_core.storage.audit_files import Audit

PARTS = "pages/parts.py"


def click(audit: Audit, threshold: float, strength: float | None) -> None:
    """A point of a curve or a cell was clicked."""
    now = read_point(audit)
    strength = now.strength if strength is None else strength
    points = tradeoff(audit, now.indicator, now.role).curves[strength]
    move(audit, CLICK, threshold=slider_stops(points, threshold)[1], strength=strength)


def sliders(audit: Audit, point: OperatingPoint, positions: list[float]) -> None:
    """Threshold and strength; they follow the URL, so a click moves them too."""
    sync_widget("threshold", point.threshold)
    sync_widget("strength", point.strength)
    st.select_slider(
        "Flagging threshold τ – further right flags more",
        positions,
        format_func=number,
        key="threshold",
        help=HELP["tau"],
        on_change=chosen,
        args=(audit, "threshold"),
    )
    if len(audit.strengths) > 1:
        st.select_slider(
            "Adversarial strength ε",
            audit.strengths,
            format_func=number,
            key="strength",
            help=HELP["eps"],
            disabled=point.indicator == THRESHOLD_SHIFT,
            on_change=chosen,
            args=(audit, "strength"),
        )


def choices(audit: Audit, point: OperatingPoint) -> None:
    """Which indicator, and on which parts."""
    for field, label, names in (
        ("indicator", "Suspicious by", {n: INDICATOR_NAMES[n] for n in available(audit)}),
        ("role", "On these parts", ROLE_CHOICES),
    ):
        sync_widget(field, getattr(point, field))
        st.selectbox(
            label,
            list(names),
            format_func=lambda key, names=names: names[key][0].upper() + names[key][1:],
            key=field,
            help=HELP.get(point.indicator) if field == "indicator" else None,
            on_change=chosen,
            args=(audit, field),
        )


def links(audit: Audit, point: OperatingPoint, scores: Tradeoff) -> None:
    """To the parts behind the counts."""
    at: dict[str, Any] = {"tau": point.threshold}
    before = moved_from(audit, point)
    with st.container(horizontal=True, gap="xsmall"):
        link("Flagged parts", PARTS, show="flagged", **at)
        link("Still missed", PARTS, show="overlooked", **at)
        if before:
            link("Changed side", PARTS, show="changed", **at | before_in_url(before, point))
    told = "Move the threshold or the strength to see which parts change side."
    if before:
        earlier = tradeoff(audit, before.indicator, before.role)
        moved = sides(*changed_sides(scores, earlier, point, before)) or "no part changed side"
        told = f"Since τ {number(before.threshold)}, ε {before.strength:g} – {moved}."
    st.html(f'<p class="moved">{told}</p>')  # numbers and words of ours


def keep(audit: Audit, point: OperatingPoint) -> None:
    """Note the operating point in the audit, with a reason."""
    with st.form("keep", border=False, clear_on_submit=True):
        why = st.text_input(
            "Why this point?", key="why", placeholder="Six re-inspections a shift are fine"
        )
        if st.form_submit_button("Keep this operating point", type="primary"):
            try:
                decide(audit, point.indicator, point.threshold, point.strength, why)
            except TrustError as problem:
                show_error(problem)
    if kept := noted_point(audit):
        what = f"{INDICATOR_NAMES[kept.indicator]} of {number(kept.threshold)} or more"
        st.caption(f"Kept so far: {what}, at adversarial strength {kept.strength:g}.")
