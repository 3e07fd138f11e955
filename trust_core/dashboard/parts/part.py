"""One part opened: its photograph and heatmaps, what they say in words, and its neighbours."""

from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from PIL import Image

from trust_core.dashboard.address import Point
from trust_core.dashboard.frame import error, finding
from trust_core.dashboard.parts import part_words
from trust_core.dashboard.parts.address import write
from trust_core.dashboard.parts.check_view import check_button
from trust_core.dashboard.parts.dispute_view import dispute_button, show_disputes
from trust_core.dashboard.parts.maps import (
    PANEL_SIDE,
    SIDES,
    STRIP_SIDE,
    display_scale,
    fitted,
    map_panel,
    maps_of,
    photo_panel,
    seen_by_network,
    strip_picture,
    truth_mask,
)
from trust_core.dashboard.parts.pictures import RAMPS, Mask, css_gradient
from trust_core.dashboard.parts.query import Filters, Place, part_rows, place_of
from trust_core.dashboard.parts.thumbnails import PLACEHOLDER, Thumbnail, jpeg, source, thumbnails
from trust_core.dashboard.parts.tiles import flag_html, outcome_html, tile
from trust_core.dashboard.seals import ask_to_open, closed
from trust_core.dashboard.words import counted
from trust_core.data.decode import read_image
from trust_core.errors import StoreError, UnreadableImage
from trust_core.store import Audit

OPACITY, BARE = "part-opacity", "part-bare"
GROUP_SHOWN = 24
NO_SUCH_PART = (
    "This audit has no such part. The link may belong to another audit: choose it at the top right."
)


def show_part(audit: Audit, point: Point, filters: Filters, sample_id: str) -> None:
    """Draw the part that the URL names, whatever the filters leave."""
    photos, scores = part_rows(audit, point, sample_id)
    if photos.empty:
        _back()
        error(StoreError(NO_SUCH_PART))
        return
    row = photos[photos["sample_id"] == sample_id].iloc[0]
    sealed = closed(audit, [row["role"]])
    if sealed:
        _back()
        ask_to_open(audit, sealed, f"part {row['path']}")
        return
    with st.container(key="part-steps", horizontal=True, vertical_alignment="center"):
        _steps(_place(audit, audit.key, point, filters, sample_id))
        st.space("stretch")
        dispute_button(audit, row)
    finding(*part_words.finding(row))
    show_disputes(audit, sample_id)
    photo = _photo(audit, row["path"])
    strength = _strength(scores, point)
    if isinstance(photo, str):
        _missing_photo(photo)
    elif scores.empty:
        st.image(jpeg(photo), width=PANEL_SIDE // 2)
    else:
        score = scores[scores["strength"] == strength].iloc[0]
        _panels(audit, row, score, photo)
        _strip(audit, scores, strength, photo, bool(row["passed"]))
    with st.container(key="part-below", horizontal=True, gap="large"):
        st.html(part_words.facts(audit, row, point), width=560)
        with st.container(width="stretch"):
            if not scores.empty and not isinstance(photo, str):
                check_button(audit, row, scores.iloc[0], photo)
    _group(audit, photos, sample_id)


def _steps(place: Place) -> None:
    """Back to the grid, previous and next: buttons with their keys."""
    _back()
    st.button(
        "Previous",
        key="part-previous",
        icon=":material/chevron_left:",
        shortcut="Left",
        disabled=place.previous is None,
        on_click=partial(write, part=place.previous, view=None),
    )
    st.button(
        "Next",
        key="part-next",
        icon=":material/chevron_right:",
        icon_position="right",
        shortcut="Right",
        disabled=place.following is None,
        on_click=partial(write, part=place.following, view=None),
    )
    told = f"{place.number:,} of {counted(place.total, 'parts')} in the grid"
    absent = "not among the parts that the grid's filters leave"
    st.html(f'<p class="parts-note">{told if place.number else absent}</p>')


def _back() -> None:
    st.button(
        "All parts",
        key="part-back",
        icon=":material/grid_view:",
        shortcut="Esc",
        on_click=partial(write, part=None, view=None),
    )


def _strength(scores: pd.DataFrame, point: Point) -> float:
    """The strength in the URL (`view`), else the operating point's, else 0."""
    known = scores["strength"].tolist() if len(scores) else [0.0]
    for wanted in (st.query_params.get("view", ""), f"{point.strength:g}"):
        for strength in known:
            if f"{strength:g}" == wanted:
                return float(strength)
    return 0.0


@st.fragment
def _panels(
    audit: Audit, row: Mapping[str, Any], score: Mapping[str, Any], photo: Image.Image
) -> None:
    """The photograph and the three maps, side by side; only these follow the opacity."""
    st.session_state.setdefault(OPACITY, 70)
    with st.container(key="part-controls", horizontal=True, vertical_alignment="center"):
        st.html(part_words.legend())
        st.toggle("Bare photograph (B)", key=BARE)
        st.button(
            "Switch",
            key="part-bare-key",
            shortcut="B",
            on_click=lambda: st.session_state.update({BARE: not st.session_state.get(BARE)}),
        )
        st.html('<p class="parts-note">Heat</p>', width="content")
        st.slider(
            "Heatmap opacity",
            0,
            100,
            key=OPACITY,
            format="%d %%",
            label_visibility="collapsed",
            width=170,
            disabled=st.session_state.get(BARE, False),
        )
    truth, told = _truth(audit, row, photo)
    pictures = _pictures(
        audit,
        (audit.key, row["sample_id"], score["strength"]),
        score,
        photo,
        truth,
        st.session_state[OPACITY] / 100,
        bool(st.session_state.get(BARE)),
    )
    words = part_words.panels(score, told)
    with st.container(key="part-panels"):
        for side, picture in zip(("photo", *SIDES), pictures, strict=True):
            with st.container(key=f"panel-{side}", gap=None):
                title, text = words[side]
                st.html(f'<p class="panel-title">{escape(title)}</p>')
                st.image(picture, width="stretch", alt=title)
                scale = "" if side == "photo" else _scale(display_scale(audit, side), side)
                st.html(f'<div class="panel-words">{scale}<p>{escape(text)}</p></div>')
    st.html(f'<p class="part-difference">{part_words.difference(score)}</p>')


@st.cache_data(max_entries=48, show_spinner=False)
def _pictures(
    _audit: Audit,
    key: tuple[str, str, float],
    _score: Mapping[str, Any],
    _photo: Image.Image,
    _truth: Mask | None,
    opacity: float,
    bare: bool,
) -> list[bytes]:
    """Photograph, defect, good and agnostic panel of one part at one strength."""
    if bare:
        return [photo_panel(_photo, None)] * (1 + len(SIDES))
    maps, box = maps_of(_audit, _score), seen_by_network(_audit, _photo.size)
    return [
        photo_panel(_photo, _truth),
        *(
            map_panel(_photo, box, maps, side, display_scale(_audit, side), opacity, _truth)
            for side in SIDES
        ),
    ]


def _scale(end: float, side: str) -> str:
    """The colour scale: from nothing to the value that 1 in 200 cells of the data set exceed."""
    told = "One scale for the whole data set: 1 in 200 cells lies above its end."
    return (
        f'<div class="scale" title="{told}"><span>0</span>'
        f'<i style="background:{css_gradient(RAMPS[side])}"></i><span>{end:.2g} and more</span>'
        "</div>"
    )


def _strip(
    audit: Audit, scores: pd.DataFrame, strength: float, photo: Image.Image, passed: bool
) -> None:
    """All strengths side by side."""
    direction = audit.manifest["settings"]["direction"]
    st.html(part_words.strip_heading(passed, len(scores), direction))
    small = fitted(photo, STRIP_SIDE)
    box = seen_by_network(audit, photo.size)
    with st.container(key="part-strengths"):
        for index, score in enumerate(scores.to_dict("records")):
            picture = strip_picture(small, box, maps_of(audit, score))
            here = score["strength"] == strength
            tile(
                f"strength-{index}",
                Thumbnail(picture, ""),
                part_words.strip_caption(score),
                f"Show the maps at adversarial strength {score['strength']:g}",
                partial(write, view=f"{score['strength']:g}"),
                here=here,
            )


def _group(audit: Audit, photos: pd.DataFrame, sample_id: str) -> None:
    """Every photo of the physical part."""
    if len(photos) < 2:
        return
    shown = photos.head(GROUP_SHOWN)
    st.html(part_words.group_heading(photos, len(shown)))
    pictures = thumbnails(audit, shown[["sample_id", "path"]].itertuples(index=False))
    with st.container(key="part-group"):
        for index, (row, picture) in enumerate(
            zip(shown.to_dict("records"), pictures, strict=True)
        ):
            tile(
                f"group-{index}",
                picture,
                outcome_html(row["outcome"]) + flag_html(bool(row["flagged"])),
                f"Open photo {Path(row['path']).name}",
                partial(write, part=row["sample_id"], view=None),
                here=row["sample_id"] == sample_id,
            )
    if len(photos) > len(shown):
        st.button(
            "All photos of this group in the grid",
            key="part-whole-group",
            on_click=partial(
                write, part=None, view=None, page=None, show=None, group=photos["group"].iloc[0]
            ),
        )


def _missing_photo(reason: str) -> None:
    with st.container(key="part-missing"):
        st.image(PLACEHOLDER, width=200, alt="no picture")
        st.html(
            f"<p><b>{escape(reason)}</b></p><p>The scores below were measured when the audit ran; "
            "the picture returns when the file is back in its place.</p>"
        )


def _photo(audit: Audit, path: str) -> Image.Image | str:
    """The photograph at panel size, or the sentence why there is none (never kept)."""
    try:
        return _decoded(audit, audit.key, path)
    except UnreadableImage as problem:
        return str(problem)


@st.cache_data(max_entries=16, show_spinner=False)
def _decoded(_audit: Audit, key: str, path: str) -> Image.Image:
    return fitted(read_image(source(_audit, path)), PANEL_SIDE)


def _truth(audit: Audit, row: Mapping[str, Any], photo: Image.Image) -> tuple[Mask | None, str]:
    """The ground-truth mask, and a sentence on it."""
    if not row["mask_path"]:
        return None, "The data marks no defect here." if row["label"] else "Labelled good."
    try:
        mask = truth_mask(source(audit, row["mask_path"]), photo.size)
    except UnreadableImage as problem:
        return None, f"The mask cannot be shown: {problem}"
    return (
        (mask, "The true defect is outlined.")
        if mask.any()
        else (None, "The mask marks no defect.")
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _place(_audit: Audit, key: str, point: Point, filters: Filters, sample_id: str) -> Place:
    return place_of(_audit, point, filters, sample_id)
