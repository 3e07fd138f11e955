"""The second reading of an open part: where the loudest probe sees a defect, computed on demand."""

from collections.abc import Mapping
from html import escape
from typing import Any, cast

import streamlit as st
from PIL import Image

from dashboard.cache import PART_LOOKS, WORKER, WORKER_LIMITS, remembered
from dashboard.parts import sentences
from dashboard.shell import show_error
from dashboard.terms import write_html
from trust_core.audit.probe_explanation import ProbeExplanation
from trust_core.decision.indicators.probes import PROBES
from trust_core.errors import TrustError
from trust_core.figures.part_maps import photo_panel, probe_panel
from trust_core.model.placement import Mask, audit_box
from trust_core.storage.audit_files import Audit

SHOWN = "part-second-reading"


def second_reading_toggle(audit: Audit) -> bool:
    """The switch that shows it, for all parts; False where the audit has no probes."""
    if not (audit.folder / PROBES).exists():
        return False
    return st.toggle(
        "Second reading",
        key=SHOWN,
        help="Where the network's activations at one depth show a defect, whatever its final "
        "answer is. The model is opened for it once.",
    )


def second_reading_panel(
    audit: Audit,
    row: Mapping[str, Any],
    photo: Image.Image,
    truth: Mask | None,
    opacity: float,
    *,
    bare: bool,
) -> None:
    """The map of the depth that speaks loudest, beside the other maps.

    `row` and `photo` are the part's, at panel size; `truth` is the true mask of that size, if it is
    known. `bare` shows the photograph alone.
    """
    with st.container(key="panel-probe", gap=None):
        write_html('<p class="panel-title">Second reading</p>')
        try:
            found = _explained(audit, str(row["sample_id"]), str(row["path"]))
        except TrustError as problem:
            show_error(problem)
            return
        picture = (
            photo_panel(photo, None)
            if bare
            else probe_panel(photo, audit_box(audit, photo.size), found.map.values, opacity, truth)
        )
        st.image(picture, width="stretch", alt="Second reading")
        told = escape(sentences.probe_words(found.reading))
        write_html(f'<div class="panel-words">{sentences.probe_legend()}<p>{told}</p></div>')


def second_reading_sentence(audit: Audit, row: Mapping[str, Any]) -> None:
    """Whether a depth sees a defect, and whether the final answer does."""
    try:
        found = _explained(audit, str(row["sample_id"]), str(row["path"]))
    except TrustError:
        return  # the panel says why
    said, share = sentences.probe_sentences(found, str(row["predicted"]) == "1")
    note = f'<span class="parts-note">{escape(share)}</span>'
    write_html(f'<p class="part-difference"><b>{escape(said)}</b> {note}</p>')


@remembered(64, "Reading the activations …")
def _explained(audit: Audit, sample_id: str, path: str) -> ProbeExplanation:
    function, what = f"{PART_LOOKS}:second_reading", "The second reading"
    found = WORKER.call(function, audit, sample_id, path, what=what, limits=WORKER_LIMITS)
    return cast(ProbeExplanation, found)
