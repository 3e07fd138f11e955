"""Moves the eye to what an act has changed: scrolls there once, and marks it for a moment."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.shell import STATIC

CHANGED = "changed"


def note_change(place: str) -> None:
    """Have the next run lead the eye to a place of the page."""
    count = st.session_state.get(CHANGED, ("", 0))[1]
    st.session_state[CHANGED] = (place, count + 1)


def lead_eye(place: str) -> None:
    """Where this stands, is the place: whatever follows it has changed, if it was noted."""
    noted, count = st.session_state.get(CHANGED, ("", 0))
    if noted == place:
        _component()(data={"change": count}, key=f"eye-{place}")


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "trust_core.eye",
        html="<span></span>",
        js=(STATIC / "eye.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )
