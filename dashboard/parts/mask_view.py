"""The mask view of a part: what the network, or its heatmap, marks, beside the true defect."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image

from dashboard.localization.controls import explanation_note, source_choice, threshold_slider
from dashboard.localization.url_state import Asked, read_asked
from dashboard.localization.words import LEGEND, part_numbers, part_sentence
from dashboard.parts.heat_view import true_defect
from dashboard.shell import STATIC, fragment, marks_defects
from trust_core.decision.localization.pixel_counts import (
    MASK_HEAD,
    MaskCounts,
    cells_of,
    count_part,
    sources,
)
from trust_core.figures.overlays import Mask
from trust_core.figures.part_maps import (
    PANEL_LINE,
    Seen,
    masks_picture,
    photo_panel,
    seen_by_network,
)
from trust_core.storage.audit_files import Audit

HEAT = 0.6  # opacity of the probabilities


def has_masks(audit: Audit) -> bool:
    """Whether there is anything to show: a mask head, or true masks to hold a heatmap against."""
    return MASK_HEAD in sources(audit) or marks_defects(audit)


@fragment
def show_mask(audit: Audit, row: Mapping[str, Any], photo: Image.Image) -> None:
    """Draw photograph, predicted mask and numbers; a slider runs this alone.

    Args:
        audit: the audit.
        row: the part's row of the sample table.
        photo: its photograph at panel size.
    """
    st.html(STATIC / "localization.css")
    asked = read_asked(audit)
    truth, told = true_defect(audit, row, photo)
    key = audit.key, asked.source, str(row["sample_id"])
    cells, counts = _part(audit, key)
    picture = _picture(audit, key, photo, truth, cells, asked)
    with st.container(key="mask-panels"):
        with st.container(gap=None, key="mask-photo"):
            st.html('<p class="panel-title">Photograph</p>')
            st.image(photo_panel(photo, truth), width="stretch", alt="Photograph")
            st.html(f'<div class="panel-words"><p>{escape(told)}</p></div>')
        with st.container(gap=None, key="mask-drawn"):
            st.html(f'<p class="panel-title">Predicted mask {LEGEND}</p>')
            st.image(picture, width="stretch", alt="Predicted and true mask")
            st.html(f'<div class="panel-words"><p>{part_sentence(counts, asked)}</p></div>')
        with st.container(key="mask-numbers"):
            threshold_slider(asked)
            source_choice(audit, asked)
            if note := explanation_note(asked, mask_head=MASK_HEAD in sources(audit)):
                st.html(f'<p class="parts-note">{note}</p>')
            st.html(part_numbers(counts, asked))


@st.cache_data(max_entries=64, show_spinner=False)
def _part(
    _audit: Audit, key: tuple[str, str, str]
) -> tuple[npt.NDArray[np.float32] | None, MaskCounts | None]:
    return cells_of(_audit, *key[1:]), count_part(_audit, *key[1:])


@st.cache_data(max_entries=64, show_spinner=False)
def _picture(
    _audit: Audit,
    key: tuple[str, str, str],
    _photo: Image.Image,
    _truth: Mask | None,
    _cells: npt.NDArray[np.float32] | None,
    asked: Asked,
) -> bytes:
    seen = Seen(_photo, seen_by_network(_audit, _photo.size), _cells, _truth)
    return masks_picture(seen, asked.threshold, PANEL_LINE, HEAT)
