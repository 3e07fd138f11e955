"""The controls of the Trade-off page: slider, clicks, ways on, and noting the operating point."""

from typing import Any

import numpy as np
import streamlit as st

from dashboard.decide.requirements import LINE_FIELDS, number_fields, read_requirements
from dashboard.other_audit import choose_other
from dashboard.parts.url_state import before_in_url
from dashboard.person import ask_person, signature
from dashboard.point_controls import CLICK, field_moved, last_point, move_point
from dashboard.shell import PARTS, callback, errors_shown, link
from dashboard.terms import explain, write_html
from dashboard.tradeoff.charts import OtherCurve
from dashboard.url_state import read_point, sync_widget
from trust_core.decision.curves import Tradeoff, roles_of, tradeoff
from trust_core.decision.indicators.registry import available, indicator_name
from trust_core.decision.journal import closed_seals, decide
from trust_core.decision.line_costs import affordable_threshold, costs_along
from trust_core.decision.operating_point import (
    OperatingPoint,
    changed_sides,
    noted_point,
    slider_stops,
)
from trust_core.errors import SettingsError
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import about, counted
from trust_core.figures.words.point import sides_sentence
from trust_core.messages import threshold_text
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit

AFFORD = "afford-shift"


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
        help=explain("tau"),
        on_change=field_moved,
        args=(audit, "threshold"),
    )


def afford_field(audit: Audit, point: OperatingPoint, scores: Tradeoff) -> None:
    """The other way to choose: the threshold that flags most within N re-inspections a shift."""
    if point.role != "tune":  # on the others nothing is chosen
        return
    line = read_requirements().line
    points = scores.curves[point.strength]
    here = points.only(np.array([points.at(point.threshold)]))
    again = float(costs_along(audit, here, line)[0][0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.number_input(
            "I can re-inspect, a shift",
            min_value=0.0,
            value=None,
            step=1.0,
            format="%g",
            placeholder=f"now {about(again)}",
            key=AFFORD,
            help="Goes to the threshold that flags most within this number, on your line.",
            on_change=_afford,
            args=(audit,),
        )
        with st.popover("Your line"):
            number_fields(LINE_FIELDS[:2])
            st.caption("The same numbers as on Decide.")


@callback
def _afford(audit: Audit) -> None:
    """Go to the threshold that can be afforded; say so where there is none."""
    most = st.session_state[AFFORD]
    if most is None:
        return
    now = read_point(audit)
    points = tradeoff(audit, now.indicator, now.role).curves[now.strength]
    threshold = affordable_threshold(audit, points, read_requirements().line, most)
    if threshold is None:
        raise SettingsError(
            f"Even the highest threshold asks for more than {most:g} re-inspections a shift; "
            "afford more, or choose another indicator."
        )
    move_point(audit, CLICK, threshold=threshold)


def other_curve(audit: Audit, point: OperatingPoint) -> OtherCurve | None:
    """The choice of another audit, and its curve for the same indicator and photos."""
    other = choose_other(audit, "To lay the curve of another audit over these, audit once more.")
    if other is None:
        return None
    if closed := closed_seals(other, roles_of(point.role)):
        st.caption(f"Its photos for {' and '.join(closed)} are sealed.")
        return None
    if point.indicator not in available(other):
        st.caption(f"It has no {indicator_name(point.indicator)}.")
        return None
    found = tradeoff(other, point.indicator, point.role)
    strength = point.strength if point.strength in found.curves else 0.0
    points, name = found.curves[strength], workspace.finished_audits()[other.folder.name]
    if not (points.fn and points.tn):
        st.caption("It has no missed or no good photos to draw a curve of.")
        return None
    own = f"{counted(points.fn, 'missed photos')} and {counted(points.tn, 'good photos')}"
    st.caption(f"Dotted: {escape_markdown(name)} at ε {strength:g}, on its own {own}.")
    return OtherCurve(f"{other.key} {strength:g}", name, points)


def part_links(audit: Audit, point: OperatingPoint, scores: Tradeoff) -> None:
    """To the photos behind the counts."""
    at: dict[str, Any] = {"tau": point.threshold}
    before = last_point(audit, point)
    with st.container(horizontal=True, gap="xsmall"):
        link("Flagged photos", PARTS, show="flagged", **at)
        link("Still missed", PARTS, show="overlooked", **at)
        if before:
            link("Changed side", PARTS, show="changed", **at | before_in_url(before, point))
    sentence = "Move the threshold or the strength to see which photos change side."
    if before:
        earlier = tradeoff(audit, before.indicator, before.role)
        moved = sides_sentence(*changed_sides(scores, earlier, point, before))
        start = f"Since τ {threshold_text(before.threshold)}, ε {before.strength:g}"
        sentence = f"{start} – {moved or 'no photo changed side'}."
    write_html(f'<p class="moved">{sentence}</p>')  # numbers and words of ours


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
