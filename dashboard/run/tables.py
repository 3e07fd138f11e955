"""A table (CSV) that comes beside model and data: roles of images, or known predictions."""

from functools import partial

import streamlit as st

from dashboard.run import form
from dashboard.run.upload_once import arrival, drop, show_problem
from trust_core.data import uploads


def drop_table(key: str, title: str, text: str, upload: str) -> None:
    """Draw a popover that takes one table; its path lives in the URL.

    Args:
        key: of the choice, in the URL (`told.told(key)`).
        title: what the popover says while it is closed.
        text: what the table is for.
        upload: what the uploader says: the columns.
    """
    if (arrived := arrival(key)) and arrived.path:
        st.query_params[key] = arrived.path
    chosen = form.told(key)
    with st.popover(f"{title}: {chosen.rpartition('/')[2]}" if chosen else title):
        st.markdown(text)
        drop(key, upload, uploads.store, ["csv"])
        show_problem(key)
        if chosen:
            st.button("Leave it out", key=f"{key}-out", on_click=partial(_leave_out, key))


def _leave_out(key: str) -> None:
    st.query_params.pop(key, None)
