"""One part opened: its photograph and heatmaps, what they say in words, and its neighbours."""

from functools import partial
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st
from PIL import Image

from dashboard.cache import BY_KEY
from dashboard.parts import sentences
from dashboard.parts.disputes import dispute_button, show_disputes
from dashboard.parts.evidence import show_evidence_view
from dashboard.parts.heatmaps import check_button, show_heatmaps
from dashboard.parts.masks import has_masks, show_mask
from dashboard.parts.tiles import tile
from dashboard.parts.url_state import (
    EVIDENCE,
    HEATMAPS,
    LOOK,
    LOOKS,
    MASK,
    read_look,
    write_parts_url,
)
from dashboard.parts.zoom import zoom_buttons
from dashboard.sealed_roles import ask_to_open
from dashboard.shell import show_error, show_finding
from dashboard.terms import mark, write_html
from dashboard.url_state import sync_widget
from dashboard.wording import page_text
from trust_core.decision.journal import closed_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, GridPosition, grid_position, part_rows
from trust_core.errors import StoreError, UnreadableImage
from trust_core.figures.part_maps import PANEL_SIDE, fitted
from trust_core.figures.thumbnails import PLACEHOLDER, jpeg, thumbnails
from trust_core.figures.words.numbers import counted
from trust_core.model.placement import audit_picture
from trust_core.storage.audit_files import Audit

GROUP_SHOWN = 24
LOOK_NAMES = {HEATMAPS: "Heatmaps", EVIDENCE: "Evidence, pixel by pixel", MASK: "Predicted mask"}
NO_SUCH_PART = (
    "This audit has no such photo. The link may belong to another audit: choose it at the top "
    "right."
)


def show_part(audit: Audit, point: OperatingPoint, filters: Filters, sample_id: str) -> None:
    """Draw the part that the URL names, whatever the filters leave."""
    photos, scores = part_rows(audit, point, sample_id)
    if photos.empty:
        _back()
        show_error(StoreError(NO_SUCH_PART))
        return
    row = photos[photos["sample_id"] == sample_id].iloc[0]
    sealed = closed_seals(audit, [row["role"]])
    if sealed:
        _back()
        ask_to_open(audit, sealed, f"the photo {row['path']} was looked at")
        return
    with st.container(key="part-steps", horizontal=True, vertical_alignment="center"):
        _steps(_position(audit, point, filters, sample_id))
        st.space("stretch")
        look = _look(audit)
        zoom_buttons(sample_id)
        dispute_button(audit, row)
    show_finding(*sentences.part_finding(row))
    show_disputes(audit, sample_id)
    photo = _photo(audit, row["path"])
    if isinstance(photo, str):
        _missing_photo(photo)
    elif scores.empty:
        st.image(jpeg(photo), width=PANEL_SIDE // 2)
    elif look == EVIDENCE:
        show_evidence_view(audit, row, photo)
    elif look == MASK:
        show_mask(audit, row, photo)
    else:
        show_heatmaps(audit, row, scores, photo, point)
    with st.container(key="part-below", horizontal=True, gap="large"):
        st.html(mark(sentences.part_facts(audit, row, point)), width=560)
        with st.container(width="stretch"):
            if look == HEATMAPS and not scores.empty and not isinstance(photo, str):
                check_button(audit, row, scores.iloc[0], photo)
    _group(audit, photos, sample_id)


def _steps(position: GridPosition) -> None:
    """Back to the grid, previous and next: buttons with their keys."""
    _back()
    st.button(
        "Previous",
        key="part-previous",
        icon=":material/chevron_left:",
        shortcut="Left",
        disabled=position.previous is None,
        on_click=partial(write_parts_url, part=position.previous, view=None),
    )
    st.button(
        "Next",
        key="part-next",
        icon=":material/chevron_right:",
        icon_position="right",
        shortcut="Right",
        disabled=position.following is None,
        on_click=partial(write_parts_url, part=position.following, view=None),
    )
    told = f"{position.number:,} of {counted(position.total, 'photos')} in the grid"
    absent = "not among the photos that the grid's filters leave"
    write_html(f'<p class="parts-note">{told if position.number else absent}</p>')


def _back() -> None:
    st.button(
        "All photos",
        key="part-back",
        icon=":material/grid_view:",
        shortcut="Esc",
        on_click=partial(write_parts_url, part=None, view=None),
    )


def _group(audit: Audit, photos: pd.DataFrame, sample_id: str) -> None:
    """Every photo of the physical part."""
    if len(photos) < 2:
        return
    shown = photos.head(GROUP_SHOWN)
    write_html(sentences.group_heading(photos, len(shown)))
    pictures = thumbnails(audit, shown[["sample_id", "path"]].itertuples(index=False))
    with st.container(key="part-group"):
        for index, (row, picture) in enumerate(
            zip(shown.to_dict("records"), pictures, strict=True)
        ):
            tile(
                f"group-{index}",
                picture,
                sentences.outcome_html(row["outcome"]) + sentences.flag_html(bool(row["flagged"])),
                f"Open photo {Path(row['path']).name}",
                partial(write_parts_url, part=row["sample_id"], view=None),
                here=row["sample_id"] == sample_id,
            )
    if len(photos) > len(shown):
        st.button(
            "All photos of this group in the grid",
            key="part-whole-group",
            on_click=partial(
                write_parts_url,
                part=None,
                view=None,
                page=None,
                show=None,
                group=photos["group"].iloc[0],
            ),
        )


def _look(audit: Audit) -> str:
    """What stands beside the photograph, and the choice of it."""
    key = "part-look"
    looks = [name for name in LOOKS if name != MASK or has_masks(audit)]
    look = read_look(looks)
    sync_widget(key, look)
    st.segmented_control(
        "Beside the photograph",
        looks,
        format_func=LOOK_NAMES.__getitem__,
        key=key,
        on_change=lambda: write_parts_url(**{LOOK: st.session_state[key]}),
        label_visibility="collapsed",
        width="content",
    )
    return look


def _missing_photo(reason: str) -> None:
    with st.container(key="part-missing"):
        st.image(PLACEHOLDER, width=200, alt="no picture")
        write_html(
            f"<p><b>{escape(reason)}</b></p><p>The scores below were measured when the audit ran; "
            "the picture returns when the file is back in its place.</p>"
        )


def _photo(audit: Audit, path: str) -> Image.Image | str:
    """The photograph at panel size, or the sentence why there is none (never kept)."""
    try:
        return _decoded(audit, path)
    except UnreadableImage as problem:
        return page_text(problem)


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)
def _decoded(audit: Audit, path: str) -> Image.Image:
    return fitted(audit_picture(audit, path), PANEL_SIDE)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=BY_KEY)
def _position(
    audit: Audit, point: OperatingPoint, filters: Filters, sample_id: str
) -> GridPosition:
    return grid_position(audit, point, filters, sample_id)
