"""A table (CSV) that comes beside model and data: roles of images, or known predictions."""

from functools import partial

import streamlit as st

from trust_core.dashboard import frame
from trust_core.dashboard.run import told, uploads
from trust_core.errors import TrustError


def drop_table(key: str, title: str, text: str, upload: str) -> None:
    """Draw a popover that takes one table; its path lives in the URL.

    Args:
        key: of the choice, in the URL (`told.told(key)`).
        title: what the popover says while it is closed.
        text: what the table is for.
        upload: what the uploader says: the columns.
    """
    count, problem = f"{key}-uploads", f"{key}-problem"
    widget = f"{key}-upload-{st.session_state.get(count, 0)}"

    def keep() -> None:
        dropped = st.session_state[widget]
        st.session_state[problem] = None
        if dropped is None:
            return
        try:
            st.query_params[key] = str(uploads.store(dropped, dropped.name))
        except TrustError as refused:
            st.session_state[problem] = refused
        st.session_state[count] = st.session_state.get(count, 0) + 1  # its bytes are on disk

    chosen = told.told(key)
    with st.popover(f"{title}: {chosen.rpartition('/')[2]}" if chosen else title):
        st.markdown(text)
        st.file_uploader(upload, type=["csv"], key=widget, on_change=keep)
        if st.session_state.get(problem):
            frame.error(st.session_state[problem])
        if chosen:
            st.button("Leave it out", key=f"{key}-out", on_click=partial(_leave_out, key))


def _leave_out(key: str) -> None:
    st.query_params.pop(key, None)
