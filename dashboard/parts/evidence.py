"""The evidence view of a part: which pixels speak for a defect, which for a good part.

A form that takes a few gradients is computed at once, a slow one on demand by a worker; both are
kept, and compared.
"""

import sys
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any, cast

import streamlit as st
from PIL import Image

from dashboard.cache import BY_KEY, PART_LOOKS, WORKER, WORKER_LIMITS, remembered
from dashboard.parts import evidence_words
from dashboard.parts.evidence_panel import STYLE, panel
from dashboard.parts.evidence_words import AT_ONCE, MEANINGS, PATIENT, SIDE_NAMES
from dashboard.parts.heatmaps import true_defect
from dashboard.parts.url_state import EvidenceSettings, read_evidence_settings, write_parts_url
from dashboard.placeholder import placeholder
from dashboard.shell import fragment, show_error
from dashboard.terms import write_html
from dashboard.url_state import sync_widget, url_selectbox
from dashboard.wording import page_text
from trust_core.audit import jobs
from trust_core.audit.evidence_store import EvidenceTask, has_result, read_result
from trust_core.audit.jobs import DONE, FAILED, RUNNING, JobState
from trust_core.errors import StoreError, TrustError
from trust_core.explanation.evidence.agreement import agreement, for_and_against
from trust_core.explanation.evidence.windows import Evidence
from trust_core.figures.evidence import SIDES, Cells, evidence_panel
from trust_core.figures.part_maps import photo_panel
from trust_core.figures.words.numbers import count, counted
from trust_core.messages import duration
from trust_core.model.placement import Mask, audit_box
from trust_core.storage.audit_files import Audit
from trust_core.storage.progress import PROGRESS

WINDOWS = (5, 10, 20)  # pixels along the side of a window
EVERY = timedelta(seconds=1)
PROGRAM = (sys.executable, "-m", "trust_core.audit.evidence_job")
COMPUTING = "Computing which pixels speak for what …"
LEARNING = "Once for this audit: learning what to expect in a window from its surroundings …"
MEASURING = "Once for this audit: measuring how strong evidence gets on its photos …"


@fragment
def show_evidence_view(audit: Audit, row: Mapping[str, Any], photo: Image.Image) -> None:
    """Draw photograph, evidence and the slow method beside it, with one cursor for all.

    Only this fragment runs when a control moves; another form or window clears the map first.

    `row` is the part's of the sample table, `photo` its photograph at panel size.
    """
    st.html(STYLE)
    size = network_size(audit)
    windows = windows_for(size)
    settings = read_evidence_settings(list(AT_ONCE), windows, SIDES, list(PATIENT))
    _controls(settings, windows)
    truth, told = true_defect(audit, row, photo)
    path, found = str(row["path"]), None
    with st.container(key="evidence-panels"):
        with _column("photo", "Photograph"):
            picture, box = photo_panel(photo, truth), audit_box(audit, photo.size)
            panel(picture, photo.size, size, box, None, key="evidence-of-photo", alt="Photograph")
            write_html(f'<p class="evidence-words">{escape(told)} {evidence_words.CURSOR}</p>')
        with _column("map", AT_ONCE[settings.form]):
            key = path, settings.form, settings.window
            place = placeholder("evidence-shown", (audit.key, *key), COMPUTING)
            try:
                found = _evidence(audit, path, settings.form, settings.window)
                scale = _scale(audit, settings.form, settings.window)
            except TrustError as problem:
                with place():
                    show_error(problem)
            else:
                name = AT_ONCE[settings.form]
                with place():
                    _map_panel("map", name, audit, photo, truth, found, scale, settings.side, key)
                    write_html(f'<p class="evidence-words">{MEANINGS[settings.form]}</p>')
        with _column("slow", PATIENT[settings.against]):
            if found is not None:
                _slow_method(audit, row, photo, truth, settings)
    if found is not None:
        sums = for_and_against(found, settings.window)
        write_html(f'<p class="evidence-sentence">{evidence_words.sums_sentence(*sums)}</p>')
        try:
            lost = _lost(audit, path, settings.form, settings.window)
        except TrustError as problem:
            show_error(problem)
        else:
            told = evidence_words.check_sentence(found.total, lost)
            write_html(f'<p class="evidence-sentence">{told}</p>')


def network_size(audit: Audit) -> tuple[int, int]:
    """(H, W) of the network's input."""
    height, width = audit.manifest.model.preprocessing.size
    return int(height), int(width)


def windows_for(size: tuple[int, int]) -> list[int]:
    """The windows that leave room for surroundings on an input of (H, W)."""
    return [k for k in WINDOWS if 2 * k <= min(size)] or [max(1, min(size) // 4)]


def _controls(settings: EvidenceSettings, windows: list[int]) -> None:
    """Form, window, side, and what it is checked against; the URL holds them."""
    names = {window: f"{window} × {window} pixels" for window in windows}
    with st.container(key="evidence-controls", horizontal=True, vertical_alignment="bottom"):
        _choice("form", "Form", AT_ONCE, settings.form)
        _choice("window", "Window", names, settings.window)
        key = "evidence-side"
        sync_widget(key, settings.side)
        st.segmented_control(
            "Show",
            SIDES,
            format_func=SIDE_NAMES.__getitem__,
            key=key,
            on_change=lambda: write_parts_url(side=st.session_state[key]),
            width="content",
        )
        st.space("stretch")
        _choice("against", "Check against", PATIENT, settings.against)


def _choice(name: str, label: str, names: Mapping[Any, str], here: object) -> None:
    def write(value: object) -> None:
        write_parts_url(**{name: value})

    url_selectbox(f"evidence-{name}", label, names, here, write, width=210)


def _column(name: str, title: str) -> st.delta_generator.DeltaGenerator:
    """One of the three columns, with its title."""
    column = st.container(key=f"evidence-{name}-column", gap=None)
    column.html(f'<p class="panel-title">{escape(title)}</p>')
    return column


def _map_panel(
    column: str,
    name: str,
    audit: Audit,
    photo: Image.Image,
    truth: Mask | None,
    found: Evidence,
    scale: float,
    side: str,
    key: tuple[object, ...],
) -> None:
    """Evidence by pixel with the legend of its colours."""
    box, size = audit_box(audit, photo.size), network_size(audit)
    picture, cells = _picture(audit, photo, found, truth, scale, side, key)
    alt = f"Evidence by pixel, {name}"
    panel(picture, photo.size, size, box, cells, scale, key=f"evidence-of-{column}", alt=alt)
    write_html(evidence_words.legend(scale))


def _slow_method(
    audit: Audit,
    row: Mapping[str, Any],
    photo: Image.Image,
    truth: Mask | None,
    settings: EvidenceSettings,
) -> None:
    """The kept map of the slow form, or its progress, or the offer to compute it."""
    stride = max(1, round(0.8 * settings.window))
    task = EvidenceTask(str(row["sample_id"]), settings.against, settings.window, stride)
    folder = task.folder(audit)
    phase = jobs.state(folder, has_result).phase

    def look() -> None:
        state = jobs.state(folder, has_result)
        if state.phase != phase:
            st.rerun()
        if phase == DONE:
            with st.container(gap=None):
                _result(audit, str(row["path"]), photo, truth, settings, task)
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
    path: str,
    photo: Image.Image,
    truth: Mask | None,
    settings: EvidenceSettings,
    task: EvidenceTask,
) -> None:
    try:
        slow = read_result(task.folder(audit))
        scale = _scale(audit, task.form, task.window)
        same = _evidence(audit, path, settings.form, task.window, task.stride)
    except TrustError as problem:
        show_error(problem)
        return
    name = PATIENT[task.form]
    _map_panel("slow", name, audit, photo, truth, slow, scale, settings.side, (task,))
    told = evidence_words.agreement_sentence(settings.form, task.form, agreement(same, slow))
    took = f"{count(slow.forwards)} passes in {duration(slow.seconds)}."
    write_html(f'<p class="evidence-words" role="status">{told} {took}</p>')


def _progress(state: JobState, folder: Path) -> None:
    left = state.seconds_left
    told = (
        f"{count(state.done)} of {counted(state.total, 'passes')}"
        if state.total
        else "The model is being opened"
    )
    write_html(
        f"<p><b>{told}.</b> {f'{duration(left)} left.' if left else ''}</p>"
        "<p>It goes on when this page is closed.</p>"
    )
    st.progress(min(1.0, state.done / state.total) if state.total else 0.0)
    if st.button("Cancel", key="evidence-cancel"):
        jobs.cancel(folder)
        st.rerun()


def _offer(audit: Audit, task: EvidenceTask, state: JobState) -> None:
    size = network_size(audit)
    passes = task.passes(size)
    try:
        seconds = passes * _pass_seconds(audit)
    except TrustError as problem:
        show_error(problem)
        return
    write_html(evidence_words.offer_html(task.form, task.windows(size), passes, seconds))
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
        write_html('<p class="parts-note">It was stopped before it was complete.</p>')


def _start(audit: Audit, task: EvidenceTask) -> None:
    folder = task.folder(audit)
    try:
        (folder / PROGRESS).unlink(missing_ok=True)  # of a run that was stopped
        jobs.start(task.arguments(audit), folder, PROGRAM)
    except TrustError as problem:
        st.toast(page_text(problem))


@remembered(12)
def _evidence(
    audit: Audit, path: str, form: str, window: int, stride: int | None = None
) -> Evidence:
    """One form of evidence of one part, without its check; a pass the first time.

    Raises:
        ModelError: the model is gone, or another.
        UnreadableImage: the photograph is.
    """
    _learn(audit, window)
    return cast(Evidence, _computed("part_evidence", audit, path, form, window, stride))


@remembered(48)
def _lost(audit: Audit, path: str, form: str, window: int) -> float:
    """What is lost when all windows of that evidence are replaced at once, in bits."""
    return cast(float, _computed("lost", audit, path, form, window))


@remembered(24, MEASURING)
def _scale(audit: Audit, form: str, window: int) -> float:
    """Bits at the end of the colours of a form and window, one for the audit."""
    return cast(float, _computed("scale", audit, form, window))


@remembered(6, LEARNING)
def _learn(audit: Audit, window: int) -> None:
    _computed("learn", audit, window)


@remembered(16)
def _pass_seconds(audit: Audit) -> float:
    return cast(float, _computed("pass_seconds", audit))


def _computed(function: str, *arguments: object) -> object:
    return WORKER.call(
        f"{PART_LOOKS}:{function}", *arguments, what="The evidence", limits=WORKER_LIMITS
    )


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=BY_KEY)
def _picture(
    audit: Audit,
    _photo: Image.Image,
    _found: Evidence,
    _truth: Mask | None,
    scale: float,
    side: str,
    key: tuple[object, ...],
) -> tuple[bytes, Cells]:
    """Picture and numbers of one panel; `key` tells apart whose they are."""
    box = audit_box(audit, _photo.size)
    return evidence_panel(_photo, box, _found.bits, scale, side, _truth)
