"""The slow method beside the fast one: asked for, computed by a worker, compared, kept."""

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image

from dashboard.parts import evidence_words
from dashboard.parts.evidence_cache import (
    found_evidence,
    found_panel,
    found_scale,
    network_size,
    pass_seconds,
)
from dashboard.parts.evidence_numbers import agreement
from dashboard.parts.evidence_panel import panel
from dashboard.parts.evidence_words import PATIENT
from dashboard.parts.url_state import Asked
from dashboard.shell import fragment, show_error
from dashboard.words import count, counted, duration
from trust_core.audit import evidence_job, jobs
from trust_core.audit.evidence_store import SAMPLES, Task, is_kept, kept
from trust_core.audit.jobs import DONE, FAILED, RUNNING, JobState
from trust_core.errors import StoreError, TrustError
from trust_core.explanation.evidence.occlusion import starts
from trust_core.figures.overlays import Mask
from trust_core.figures.part_maps import seen_by_network
from trust_core.storage.audit_files import Audit
from trust_core.storage.progress import PROGRESS

EVERY = timedelta(seconds=1)
PROGRAM = (sys.executable, "-m", evidence_job.__name__)


def show_slow(
    audit: Audit,
    row: Mapping[str, Any],
    photo: Image.Image,
    truth: Mask | None,
    asked: Asked,
) -> None:
    """Draw the kept map of the slow form, or its progress, or the offer to compute it.

    Args:
        audit: the audit.
        row: the part's row of the sample table.
        photo: its photograph at panel size.
        truth: the ground-truth mask at that size.
        asked: which forms, windows and side.
    """
    stride = max(1, round(0.8 * asked.window))
    task = Task(str(row["sample_id"]), asked.against, asked.window, stride)
    folder = task.folder(audit)
    phase = jobs.state(folder, is_kept).phase

    def look() -> None:
        state = jobs.state(folder, is_kept)
        if state.phase != phase:
            st.rerun()
        if phase == DONE:
            with st.container(gap=None):
                _result(audit, row, photo, truth, asked, task)
            return
        with st.container(key="evidence-check"):
            if phase == RUNNING:
                _progress(state, folder)
            else:
                _offer(audit, task, state)

    # Only a running worker is looked at again and again; its end draws the whole page once more.
    fragment(look, run_every=EVERY if phase == RUNNING else None)()


def _result(
    audit: Audit,
    row: Mapping[str, Any],
    photo: Image.Image,
    truth: Mask | None,
    asked: Asked,
    task: Task,
) -> None:
    try:
        slow = kept(task.folder(audit))
        scale = found_scale(audit, task.form, asked.window)
        part = task.sample_id, str(row["path"])
        same = found_evidence(audit, *part, asked.form, asked.window, task.stride)
    except TrustError as problem:
        show_error(problem)
        return
    key = (audit.key, task)
    picture, cells = found_panel(audit, photo, slow.bits, truth, scale, asked.side, key)
    box, name = seen_by_network(audit, photo.size), PATIENT[task.form]
    alt = f"Evidence by pixel, {name}"
    size = network_size(audit)
    panel(picture, photo.size, size, box, cells, scale, key="evidence-of-slow", alt=alt)
    st.html(evidence_words.scale_html(scale))
    told = evidence_words.verdict(asked.form, task.form, agreement(same, slow))
    took = f"{count(slow.forwards)} passes in {duration(slow.seconds)}."
    st.html(f'<p class="evidence-words" role="status">{told} {took}</p>')


def _progress(state: JobState, folder: Path) -> None:
    left = state.seconds_left
    told = (
        f"{count(state.done)} of {counted(state.total, 'passes')}"
        if state.total
        else "The worker opens the model"
    )
    st.html(
        f"<p><b>{told}.</b> {f'{duration(left)} left.' if left else ''}</p>"
        "<p>It goes on when this page is closed.</p>"
    )
    st.progress(min(1.0, state.done / state.total) if state.total else 0.0)
    if st.button("Cancel", key="evidence-cancel"):
        jobs.cancel(folder)
        st.rerun()


def _offer(audit: Audit, task: Task, state: JobState) -> None:
    rows, columns = (starts(n, task.window, task.stride) for n in network_size(audit))
    windows = len(rows) * len(columns)
    passes = evidence_words.passes(task.form, windows, SAMPLES)
    try:
        seconds = passes * pass_seconds(audit, audit.key)
    except TrustError as problem:
        show_error(problem)
        return
    st.html(evidence_words.offer(task.form, windows, passes, seconds))
    st.button(
        "Check against the slow method",
        key="evidence-start",
        icon=":material/hourglass_top:",
        on_click=_start,
        args=(audit, task),
    )
    if state.phase == FAILED:
        show_error(StoreError(state.sentence))
    elif jobs.read_job(task.folder(audit)):
        st.html('<p class="parts-note">It was stopped before it was complete.</p>')


def _start(audit: Audit, task: Task) -> None:
    folder = task.folder(audit)
    try:
        (folder / PROGRESS).unlink(missing_ok=True)  # of a run that was stopped
        jobs.start(evidence_job.arguments(audit, task), folder, PROGRAM)
    except TrustError as problem:
        st.toast(str(problem))
