"""A place that shows nothing stale: cleared at once when it is about to show something else.

Streamlit leaves what stood in a place until something new is drawn there, however long that takes.
"""

import time
from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

CLEARING = 0.03  # seconds: messages of one place that follow sooner are merged, and nothing clears


def placeholder(key: str, shown: object, told: str = "") -> Callable[[], DeltaGenerator]:
    """Reserve a place here, and clear it when it last showed something else.

    Args:
        key: of the place, in this session.
        shown: what it is about to show; anything that can be compared.
        told: stands in its place until it is filled; "" for nothing.

    Returns:
        Call it when there is something to draw: the container to draw it in.
    """
    if st.session_state.get(key) == shown:
        block = st.container()
        return lambda: block
    st.session_state[key] = shown
    slot = st.empty()
    if told:
        slot.html(f'<p class="waiting" role="status">{told}</p>')
    time.sleep(CLEARING)
    return slot.container
