"""Counting the pixels of an audit as a process of its own, and the page until it is done."""

from datetime import timedelta
from pathlib import Path

import streamlit as st

from dashboard.localization.url_state import Asked
from dashboard.shell import fragment, show_error, show_finding
from dashboard.words import count, counted, duration
from trust_core.audit import jobs
from trust_core.audit.jobs import RUNNING, JobState
from trust_core.decision.localization.pixel_counts import COUNTS, counts_folder, read_counts
from trust_core.errors import StoreError, TrustError
from trust_core.storage.audit_files import Audit

EVERY = timedelta(seconds=0.5)
TRIED = "counting"  # of this session: the folders whose counting was started here


def count_first(audit: Audit, asked: Asked) -> None:
    """Start the counting unless it runs, and show how far it is; the page is drawn at its end."""
    folder = counts_folder(audit, asked.source)
    show_finding(
        "The pixels of these masks are being counted.", "Once for this audit; then it is kept."
    )
    try:
        running = _state(folder).phase == RUNNING
        tried = st.session_state.setdefault(TRIED, set())
        if not running and str(folder) not in tried:
            tried.add(str(folder))
            jobs.start(["localise", str(audit.folder), "--source", asked.source, "--json"], folder)
            running = True
    except TrustError as problem:
        show_error(problem)
        return
    if running:
        fragment(_show, run_every=EVERY)(audit, asked)
        return
    show_error(StoreError(_state(folder).sentence or "The counting ended without a word."))
    if st.button("Try again", key="count-again", type="primary"):
        tried.discard(str(folder))
        st.rerun()


def _show(audit: Audit, asked: Asked) -> None:
    state = _state(counts_folder(audit, asked.source))
    if state.phase != RUNNING or read_counts(audit, asked.source) is not None:
        st.rerun()
    share = state.done / state.total if state.total else 0.0
    told = f"{count(state.done)} of {counted(state.total, 'images')}" if state.total else "Starting"
    left = f", {duration(state.seconds_left)} left" if state.seconds_left else ""
    st.progress(min(1.0, share), f"{told}{left}")


def _state(folder: Path) -> JobState:
    return jobs.state(folder, lambda path: (path / COUNTS).exists())
