"""How the operating point moves: by a slider, a choice or a click; and where it came from.

The URL holds the point. This session keeps where the last movement began, so that the page can
open exactly the parts that changed side: one slide, however many steps, is one movement.
"""

from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard.url_state import read_point, write_point
from trust_core.decision.operating_point import OperatingPoint, default_threshold
from trust_core.storage.audit_files import Audit

MOVED = "moved"
CLICK = "click"


def move(audit: Audit, by: str, **changes: Any) -> None:  # noqa: ANN401 - fields of OperatingPoint
    """Move the operating point in the URL.

    Args:
        audit: the open audit.
        by: the control; two movements by one slider in a row count as one, two clicks as two.
        changes: fields of `OperatingPoint`. Another indicator without a threshold starts at its own
            default.
    """
    now = read_point(audit)
    if "indicator" in changes and "threshold" not in changes:
        changes["threshold"] = default_threshold(audit, changes["indicator"], now.strength)
    key, last, _ = st.session_state.get(MOVED, ("", "", None))
    if by == CLICK or (key, last) != (audit.key, by):
        st.session_state[MOVED] = (audit.key, by, now)
    write_point(replace(now, **changes))


def moved_from(audit: Audit, point: OperatingPoint) -> OperatingPoint | None:
    """Where the last movement began; None when nothing moved, or on other images since."""
    key, _, before = st.session_state.get(MOVED, ("", "", None))
    return before if key == audit.key and before and before.role == point.role else None


def chosen(audit: Audit, field: str) -> None:
    """Callback of the control named like a field of the operating point: its value goes there."""
    move(audit, field, **{field: st.session_state[field]})
