"""The evidence view of a part: which pixels speak for a defect, which for a good part."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import streamlit as st
from PIL import Image

from dashboard.parts import evidence_words
from dashboard.parts.evidence_cache import (
    found_check,
    found_evidence,
    found_panel,
    found_scale,
    network_size,
    windows_for,
)
from dashboard.parts.evidence_numbers import for_and_against
from dashboard.parts.evidence_panel import STYLE, panel
from dashboard.parts.evidence_slow import show_slow
from dashboard.parts.evidence_words import AT_ONCE, MEANINGS, PATIENT, SIDE_NAMES
from dashboard.parts.heat_view import true_defect
from dashboard.parts.url_state import Asked, read_asked, write
from dashboard.shell import fragment, show_error
from dashboard.url_state import sync_widget
from trust_core.errors import TrustError
from trust_core.explanation.evidence.forms import Evidence
from trust_core.figures.evidence import SIDES
from trust_core.figures.part_maps import photo_panel, seen_by_network
from trust_core.storage.audit_files import Audit


@fragment
def show_evidence(audit: Audit, row: Mapping[str, Any], photo: Image.Image) -> None:
    """Draw photograph, evidence and the slow method beside it, with one cursor for all.

    Only this fragment runs when a control moves; what it showed stays until the new is there.

    Args:
        audit: the audit.
        row: the part's row of the sample table.
        photo: its photograph at panel size.
    """
    st.html(STYLE)
    size = network_size(audit)
    windows = windows_for(size)
    asked = read_asked(list(AT_ONCE), windows, SIDES, list(PATIENT))
    _controls(asked, windows)
    truth, told = true_defect(audit, row, photo)
    box = seen_by_network(audit, photo.size)
    part = str(row["sample_id"]), str(row["path"])
    found: Evidence | None = None
    with st.container(key="evidence-panels"):
        with _column("photo", "Photograph"):
            picture = photo_panel(photo, truth)
            panel(picture, photo.size, size, box, None, key="evidence-of-photo", alt="Photograph")
            st.html(f'<p class="evidence-words">{escape(told)} {evidence_words.CURSOR}</p>')
        with _column("map", AT_ONCE[asked.form]):
            try:
                found = found_evidence(audit, *part, asked.form, asked.window)
                scale = found_scale(audit, asked.form, asked.window)
            except TrustError as problem:
                show_error(problem)
            else:
                key = (audit.key, part, asked.form, asked.window)
                picture, cells = found_panel(
                    audit, photo, found.bits, truth, scale, asked.side, key
                )
                alt = f"Evidence by pixel, {AT_ONCE[asked.form]}"
                panel(picture, photo.size, size, box, cells, scale, key="evidence-of-map", alt=alt)
                st.html(evidence_words.scale_html(scale))
                st.html(f'<p class="evidence-words">{MEANINGS[asked.form]}</p>')
        with _column("slow", PATIENT[asked.against]):
            if found is not None:
                show_slow(audit, row, photo, truth, asked)
    if found is not None:
        sums = for_and_against(found, asked.window)
        st.html(f'<p class="evidence-sentence">{evidence_words.finding(*sums)}</p>')
        try:
            lost = found_check(audit, *part, asked.form, asked.window)
        except TrustError as problem:
            show_error(problem)
        else:
            st.html(f'<p class="evidence-sentence">{evidence_words.check(found.total, lost)}</p>')


def _controls(asked: Asked, windows: list[int]) -> None:
    """Form, window, side, and what it is checked against; the URL holds them."""
    with st.container(key="evidence-controls", horizontal=True, vertical_alignment="bottom"):
        _choice(st.selectbox, "form", "Form", list(AT_ONCE), asked.form, AT_ONCE.__getitem__)
        _choice(st.selectbox, "window", "Window", windows, asked.window, "{0} × {0} pixels".format)
        _choice(
            st.segmented_control, "side", "Show", list(SIDES), asked.side, SIDE_NAMES.__getitem__
        )
        st.space("stretch")
        _choice(
            st.selectbox,
            "against",
            "Check against",
            list(PATIENT),
            asked.against,
            PATIENT.__getitem__,
        )


def _choice(
    widget: Callable[..., Any],
    name: str,
    label: str,
    options: list[Any],
    value: object,
    said: Callable[[Any], str],
) -> None:
    key = f"evidence-{name}"
    sync_widget(key, value)
    widget(
        label,
        options,
        format_func=said,
        key=key,
        on_change=lambda: write(**{name: st.session_state[key]}),
        width="content" if name == "side" else 210,
    )


def _column(name: str, title: str) -> st.delta_generator.DeltaGenerator:
    """One of the three columns, with its title."""
    column = st.container(key=f"evidence-{name}-column", gap=None)
    column.html(f'<p class="panel-title">{escape(title)}</p>')
    return column
