"""The heatmaps of an open part: beside its photograph at one strength, and small at all of them."""

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

import pandas as pd
import streamlit as st
from PIL import Image

from dashboard.parts import part_words
from dashboard.parts.tiles import tile
from dashboard.parts.url_state import write
from dashboard.shell import fragment
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import UnreadableImage
from trust_core.figures.overlays import RAMPS, Mask, css_gradient
from trust_core.figures.part_maps import (
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
from trust_core.figures.thumbnails import Thumbnail, source
from trust_core.storage.audit_files import Audit

OPACITY, BARE = "part-opacity", "part-bare"


def show_heatmaps(
    audit: Audit,
    row: Mapping[str, Any],
    scores: pd.DataFrame,
    photo: Image.Image,
    point: OperatingPoint,
) -> None:
    """Draw the maps at the strength in the URL (`view`), and the strip of all strengths.

    Args:
        audit: the audit.
        row: the part's row of the sample table.
        scores: its rows of `scores.parquet`, one a strength; at least one.
        photo: its photograph at panel size.
        point: whose strength is shown when the URL names none.
    """
    strength = _strength(scores, point)
    score = scores[scores["strength"] == strength].iloc[0]
    _panels(audit, row, score, photo)
    _strip(audit, scores, strength, photo, bool(row["passed"]))


def _strength(scores: pd.DataFrame, point: OperatingPoint) -> float:
    """The strength in the URL (`view`), else the operating point's, else 0."""
    known = scores["strength"].tolist()
    for wanted in (st.query_params.get("view", ""), f"{point.strength:g}"):
        for strength in known:
            if f"{strength:g}" == wanted:
                return float(strength)
    return 0.0


@fragment
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
    truth, told = true_defect(audit, row, photo)
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


def true_defect(
    audit: Audit, row: Mapping[str, Any], photo: Image.Image
) -> tuple[Mask | None, str]:
    """The ground-truth mask at the photograph's size, None when none is known; and a sentence."""
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
