"""The demo audit, computed on the press of a button: for whoever has no audit yet."""

import streamlit as st

from dashboard.shell import errors_shown, fragment, show_error
from dashboard.url_state import AUDIT
from trust_core.errors import StoreError
from trust_core.figures.words.numbers import count
from trust_core.messages import time_left
from trust_core.storage import workspace
from trust_core.storage.workspace import workspace_folder

ARGUMENTS = ["demo", "--json"]
POLL_SECONDS = 1.0


def demo_start() -> None:
    """The button, and while the demo is computed its progress; then the page opens it."""
    if (workspace_folder() / workspace.JOBS / f"{workspace.DEMO}.json").exists():
        fragment(_progress, run_every=POLL_SECONDS)()
        return
    if st.button("Open the demo audit", type="primary", key="demo"):
        _start()
    st.caption("It is computed once, on this machine; that takes some minutes.")


def _start() -> None:
    from trust_core.audit import jobs  # brings the engine: seconds that Home need not wait for

    with errors_shown():
        jobs.start(ARGUMENTS, workspace_folder() / workspace.DEMO)
        st.rerun()


def _progress() -> None:
    from trust_core.audit import jobs

    state = jobs.state(workspace_folder() / workspace.DEMO)
    if state.phase == jobs.DONE:
        st.query_params[AUDIT] = workspace.DEMO
        st.rerun()
    if state.phase != jobs.RUNNING:
        show_error(StoreError(state.sentence))
        if st.button("Go on with the demo", type="primary", key="demo"):
            _start()
    elif not state.total:
        st.progress(0.0, "Preparing the demo …")
    else:
        done = f"{count(state.done)} of {count(state.total)} photos{time_left(state.seconds_left)}"
        st.progress(state.done / state.total, f"Auditing the demo: {done}")
