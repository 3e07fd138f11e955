"""Counting the pixels of an audit, as a process of its own, and the page until it is done."""

from datetime import timedelta
from pathlib import Path

import streamlit as st

from dashboard.shell import fragment, show_error, show_finding
from trust_core.audit import jobs
from trust_core.audit.jobs import RUNNING, JobState
from trust_core.decision.localization.pixel_counts import COUNTS, counts_folder, read_counts
from trust_core.errors import StoreError, TrustError
from trust_core.figures.words.numbers import count, counted
from trust_core.messages import time_left
from trust_core.storage.audit_files import Audit

EVERY = timedelta(seconds=0.5)
STARTED = "counting"  # of this session: the folders whose counting was started here


def count_first(audit: Audit, source: str) -> None:
    """Start the counting unless it runs, and show how far it is; the page is drawn at its end."""
    folder = counts_folder(audit, source)
    show_finding(
        "The pixels of these masks are being counted.", "Once for this audit; then it is kept."
    )
    try:
        running = _state(folder).phase == RUNNING
        started = st.session_state.setdefault(STARTED, set())
        if not running and str(folder) not in started:
            started.add(str(folder))
            jobs.start(["localize", str(audit.folder), "--source", source, "--json"], folder)
            running = True
    except TrustError as problem:
        show_error(problem)
        return
    if running:
        fragment(_show, run_every=EVERY)(audit, source)
        return
    show_error(StoreError(_state(folder).sentence or "The counting ended without a word."))
    if st.button("Try again", key="count-again", type="primary"):
        started.discard(str(folder))
        st.rerun()


def _show(audit: Audit, source: str) -> None:
    state = _state(counts_folder(audit, source))
    if state.phase != RUNNING or read_counts(audit, source) is not None:
        st.rerun()
    share = state.done / state.total if state.total else 0.0
    told = f"{count(state.done)} of {counted(state.total, 'photos')}" if state.total else "Starting"
    st.progress(min(1.0, share), f"{told}{time_left(state.seconds_left)}")


def _state(folder: Path) -> JobState:
    return jobs.state(folder, lambda path: (path / COUNTS).exists())
