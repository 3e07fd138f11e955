"""Widgets that follow the URL."""

import streamlit as st


def follow(key: str, value: object) -> None:
    """Let the widget of this key stand at a value; before it is drawn.

    Where it stands already, nothing is said: an assignment is sent to the browser, and would put
    back a slider that a person has moved on in the meantime.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
