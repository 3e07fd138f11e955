"""The mask view of a part: what the network, or its heatmap, marks, beside the true defect."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st
from PIL import Image

from dashboard.cache import BY_KEY
from dashboard.localization.controls import explanation_note, mask_slider, source_choice
from dashboard.localization.sentences import LEGEND, part_numbers, part_sentence
from dashboard.localization.url_state import MaskSettings, read_mask_settings
from dashboard.parts.heatmaps import true_defect
from dashboard.shell import STATIC, fragment, marks_defects
from dashboard.terms import write_html
from trust_core.decision.localization.pixel_counts import (
    MASK_HEAD,
    MaskCounts,
    cells_of,
    count_part,
    sources,
)
from trust_core.figures.overlays import PANEL_LINE
from trust_core.figures.part_maps import MaskedPhoto, masks_picture, photo_panel
from trust_core.model.placement import Mask, Values, audit_box
from trust_core.storage.audit_files import Audit

HEAT = 0.6  # opacity of the probabilities


def has_masks(audit: Audit) -> bool:
    """Whether there is anything to show: a mask head, or true masks to hold a heatmap against."""
    return MASK_HEAD in sources(audit) or marks_defects(audit)


@fragment
def show_mask(audit: Audit, row: Mapping[str, Any], photo: Image.Image) -> None:
    """Draw photograph, predicted mask and numbers; a slider runs this alone.

    `row` is the part's of the sample table, `photo` its photograph at panel size.
    """
    st.html(STATIC / "localization.css")
    settings = read_mask_settings(audit)
    truth, told = true_defect(audit, row, photo)
    cells, counts = _part(audit, settings.source, str(row["sample_id"]))
    picture = _picture(audit, str(row["sample_id"]), photo, truth, cells, settings)
    with st.container(key="mask-panels"):
        with st.container(gap=None, key="mask-photo"):
            write_html('<p class="panel-title">Photograph</p>')
            st.image(photo_panel(photo, truth), width="stretch", alt="Photograph")
            write_html(f'<div class="panel-words"><p>{escape(told)}</p></div>')
        with st.container(gap=None, key="mask-drawn"):
            write_html(f'<p class="panel-title">Predicted mask {LEGEND}</p>')
            st.image(picture, width="stretch", alt="Predicted and true mask")
            write_html(f'<div class="panel-words"><p>{part_sentence(counts, settings)}</p></div>')
        with st.container(key="mask-numbers"):
            mask_slider(settings)
            source_choice(audit, settings)
            if note := explanation_note(settings, mask_head=MASK_HEAD in sources(audit)):
                write_html(f'<p class="parts-note">{note}</p>')
            write_html(part_numbers(counts, settings))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _part(audit: Audit, source: str, sample_id: str) -> tuple[Values | None, MaskCounts | None]:
    return cells_of(audit, source, sample_id), count_part(audit, source, sample_id)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _picture(
    audit: Audit,
    sample_id: str,
    _photo: Image.Image,
    _truth: Mask | None,
    _cells: Values | None,
    settings: MaskSettings,
) -> bytes:
    masked = MaskedPhoto(_photo, audit_box(audit, _photo.size), _cells, _truth)
    return masks_picture(masked, settings.threshold, PANEL_LINE, HEAT)
