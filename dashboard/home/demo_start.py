"""The demo audit, computed on the press of a button: for whoever has no audit yet."""

from html import escape
from types import ModuleType

import streamlit as st

from dashboard import words
from dashboard.shell import fragment, show_error
from dashboard.url_state import AUDIT
from trust_core.errors import TrustError
from trust_core.storage import workspace
from trust_core.storage.workspace import workspace_folder

ARGUMENTS = ["demo", "--json"]
POLL_SECONDS = 1.0


def demo_start() -> None:
    """The button, and while the demo is computed its progress; then the page opens it."""
    if not _asked():
        if st.button("Open the demo audit", type="primary", key="demo"):
            _start()
        st.caption("It is computed once, on this machine; that takes some minutes.")
        return
    fragment(_watch, run_every=POLL_SECONDS)()


def _start() -> None:
    try:
        _worker().start(ARGUMENTS, workspace_folder() / workspace.DEMO)
    except TrustError as problem:
        show_error(problem)
        return
    st.rerun()


def _watch() -> None:
    jobs = _worker()
    state = jobs.state(workspace_folder() / workspace.DEMO)
    if state.phase == jobs.DONE:
        st.query_params[AUDIT] = workspace.DEMO
        st.rerun()
    if state.phase != jobs.RUNNING:
        st.html(f'<div class="problem" role="alert"><p>{escape(state.sentence)}</p></div>')
        if st.button("Go on with the demo", type="primary", key="demo"):
            _start()
        return
    if not state.total:
        st.progress(0.0, "Preparing the demo …")
        return
    left = f", {words.duration(state.seconds_left)} left" if state.seconds_left else ""
    done = f"{words.count(state.done)} of {words.count(state.total)} images"
    st.progress(state.done / state.total, f"Auditing the demo: {done}{left}")


def _asked() -> bool:
    """Whether the demo was started from here before; looked up without loading the engine."""
    return (workspace_folder() / "jobs" / f"{workspace.DEMO}.json").exists()


def _worker() -> ModuleType:
    """The worker module; it loads the engine, which takes seconds that Home need not wait for."""
    from trust_core.audit import jobs

    return jobs
