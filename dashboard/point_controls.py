"""What moves the operating point, on Trade-off and Decide, and where the last movement began.

The URL holds the point. This session keeps where the last movement began, so that the page can
open exactly the parts that changed side: one slide, however many steps, is one movement.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard.shell import callback
from dashboard.terms import explain
from dashboard.url_state import read_point, sync_widget, url_selectbox, write_point
from trust_core.decision.indicators.registry import available, indicator_name
from trust_core.decision.operating_point import OperatingPoint, default_threshold
from trust_core.figures.words.numbers import capital
from trust_core.messages import threshold_text
from trust_core.storage.audit_files import Audit

MOVED = "moved"
CLICK = "click"


@callback
def move_point(audit: Audit, by: str, **changes: Any) -> None:  # noqa: ANN401 - fields of the point
    """Move the operating point in the URL.

    `by` is the control: two movements by one slider in a row count as one, two clicks as two.
    `changes` are fields of `OperatingPoint`; another indicator without a threshold starts at its
    own default.
    """
    now = read_point(audit)
    if "indicator" in changes and "threshold" not in changes:
        changes["threshold"] = default_threshold(audit, changes["indicator"], now.strength)
    key, last, _ = st.session_state.get(MOVED, ("", "", None))
    if by == CLICK or (key, last) != (audit.key, by):
        st.session_state[MOVED] = (audit.key, by, now)
    write_point(replace(now, **changes))


def last_point(audit: Audit, point: OperatingPoint) -> OperatingPoint | None:
    """Where the last movement began; None when nothing moved, or on other images since."""
    key, _, before = st.session_state.get(MOVED, ("", "", None))
    return before if key == audit.key and before and before.role == point.role else None


def field_moved(audit: Audit, field: str) -> None:
    """Callback of the control named like a field of the operating point: its value goes there."""
    move_point(audit, field, **{field: st.session_state[field]})


def choose_indicator(audit: Audit, point: OperatingPoint, label: str) -> None:
    """The list of the indicators that the audit has."""
    names = {name: indicator_name(name) for name in available(audit)}
    meaning = explain("indicator", point.indicator)
    choose_field(audit, point, "indicator", label, names, help_text=meaning)


def choose_strength(audit: Audit, point: OperatingPoint, *, disabled: bool) -> None:
    """The slider of the strengths; an only one cannot be moved, but a slider wants two stops."""
    few = len(audit.strengths) < 2
    sync_widget("strength", point.strength)
    st.select_slider(
        "Adversarial strength ε",
        audit.strengths * (1 + few),
        format_func=threshold_text,
        key="strength",
        help=explain("eps"),
        disabled=disabled or few,
        on_change=field_moved,
        args=(audit, "strength"),
    )


def choose_field(
    audit: Audit,
    point: OperatingPoint,
    field: str,
    label: str,
    names: Mapping[str, str],
    help_text: str | None = None,
) -> None:
    """A list of the values of a field of the operating point."""
    shown = {key: capital(name) for key, name in names.items()}
    here = getattr(point, field)
    url_selectbox(
        field, label, shown, here, lambda _: field_moved(audit, field), help_text=help_text
    )
