"""What every long job shows on the Run page: how far it is, how to stop it and to go on."""

from pathlib import Path

import streamlit as st

from dashboard import shell
from trust_core.audit import jobs
from trust_core.audit.jobs import FAILED, JobState
from trust_core.errors import StoreError, TrustError

LONGEST_LOG = 20_000  # characters


def show_running(folder: Path, state: JobState, sentence: str, detail: str) -> None:
    """A job that runs: a sentence, its bar, and a button that stops it."""
    shell.show_finding(sentence, detail)
    _bar(state)
    if st.button("Stop", key="stop"):
        with st.spinner("Stopping …"):
            jobs.cancel(folder)
        st.rerun()


def show_ended(folder: Path, state: JobState, sentence: str, detail: str) -> None:
    """A job that failed or was stopped: why, and a button that goes on."""
    shell.show_finding(sentence, detail)
    _bar(state)
    failed = state.phase == FAILED
    if failed:
        shell.show_error(StoreError(state.sentence))
    else:
        st.caption(state.sentence)
    if jobs.read_job(folder) is not None:
        label = "Try again" if failed else "Resume"
        st.button(label, key="resume", type="primary", on_click=_resume, args=(folder,))


def show_log(folder: Path) -> None:
    """The end of what the worker said, folded."""
    with st.expander("What the worker says"):
        st.code(jobs.log(folder)[-LONGEST_LOG:] or "Nothing yet.", language=None, wrap_lines=True)


def _bar(state: JobState) -> None:
    st.progress(state.done / state.total if state.total else 0.0)


def _resume(folder: Path) -> None:
    try:
        jobs.resume(folder)
    except TrustError as problem:
        st.toast(str(problem))
