"""Moves the eye to what an act has changed: scrolls there once, and marks it for a moment."""

import streamlit as st

from dashboard.shell import component

CHANGED = "changed"


def note_change(place: str) -> None:
    """Have the next run lead the eye to a place of the page."""
    count = st.session_state.get(CHANGED, ("", 0))[1]
    st.session_state[CHANGED] = (place, count + 1)


def lead_eye(place: str) -> None:
    """Draw the eye to what follows, if a change of it was noted."""
    noted, count = st.session_state.get(CHANGED, ("", 0))
    if noted == place:
        component("eye")(data={"change": count}, key=f"eye-{place}")
