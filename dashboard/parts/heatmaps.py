"""The heatmaps of an open part: at one strength, at all of them, and held against grad-cam."""

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any, cast

import pandas as pd
import streamlit as st
from PIL import Image

from dashboard.cache import BY_KEY, PART_LOOKS, WORKER, WORKER_LIMITS, remembered
from dashboard.parts import sentences
from dashboard.parts.second_reading import (
    second_reading_panel,
    second_reading_sentence,
    second_reading_toggle,
)
from dashboard.parts.tiles import tile
from dashboard.parts.url_state import read_colours, write_parts_url
from dashboard.shell import fragment, show_error
from dashboard.terms import write_html
from dashboard.url_state import url_selectbox
from trust_core.audit.gradcam_check import GradcamCheck
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import TrustError, UnreadableImage
from trust_core.figures.part_maps import (
    SIDES,
    STRIP_SIDE,
    PartMaps,
    fitted,
    map_ends,
    map_panel,
    photo_panel,
    strip_picture,
    truth_mask,
)
from trust_core.figures.thumbnails import Thumbnail
from trust_core.model.placement import Mask, audit_box
from trust_core.storage.audit_files import Audit

OPACITY, BARE = "part-opacity", "part-bare"
CHECKED, CHECK_SIDE = "part-checked", 360


def show_heatmaps(
    audit: Audit,
    row: Mapping[str, Any],
    scores: pd.DataFrame,
    photo: Image.Image,
    point: OperatingPoint,
) -> None:
    """Draw the maps at the strength in the URL (`view`), and the strip of all strengths.

    `row` is the part's of the sample table, `scores` its rows of `scores.parquet`, at least one,
    `photo` its photograph at panel size; `point` gives the strength where the URL names none.
    """
    strength = _strength(scores, point)
    try:
        maps = _part_maps(audit, str(row["sample_id"]), scores.to_dict("records"))
    except TrustError as problem:
        show_error(problem)
        return
    score = scores[scores["strength"] == strength].iloc[0]
    _panels(audit, row, score, photo, maps[strength])
    _strip(audit, scores, strength, photo, maps, passed=bool(row["passed"]))


@remembered(16)
def _part_maps(
    audit: Audit, sample_id: str, _scores: Sequence[Mapping[str, Any]]
) -> dict[float, PartMaps]:
    """The maps of a part by strength, with the masks of the score, which PyTorch makes."""
    function, what = f"{PART_LOOKS}:part_heatmaps", "The heatmaps"
    found = WORKER.call(function, audit, _scores, what=what, limits=WORKER_LIMITS)
    return {float(score["strength"]): maps for score, maps in zip(_scores, found, strict=True)}


def true_defect(
    audit: Audit, row: Mapping[str, Any], photo: Image.Image
) -> tuple[Mask | None, str]:
    """The ground-truth mask at the photograph's size, None when none is known; and a sentence."""
    if not row["mask_path"]:
        return None, "The data marks no defect here." if row["label"] else "Labelled good."
    try:
        mask = truth_mask(audit.data_root, row["mask_path"], photo.size)
    except UnreadableImage as problem:
        return None, f"The mask cannot be shown: {problem}"
    return (
        (mask, "The true defect is outlined.")
        if mask.any()
        else (None, "The mask marks no defect.")
    )


def _strength(scores: pd.DataFrame, point: OperatingPoint) -> float:
    """The strength in the URL (`view`), else the operating point's, else 0."""
    known = {f"{strength:g}": float(strength) for strength in scores["strength"]}
    view = st.query_params.get("view", "")
    return known.get(view, known.get(f"{point.strength:g}", 0.0))


@fragment
def _panels(
    audit: Audit,
    row: Mapping[str, Any],
    score: Mapping[str, Any],
    photo: Image.Image,
    maps: PartMaps,
) -> None:
    """The photograph and the three maps, side by side; only these follow the opacity."""
    st.session_state.setdefault(OPACITY, 70)
    with st.container(key="part-controls", horizontal=True, vertical_alignment="center"):
        write_html(sentences.line_legend())
        st.toggle("Bare photograph (B)", key=BARE)
        st.button(
            "Switch",
            key="part-bare-key",
            shortcut="B",
            on_click=lambda: st.session_state.update({BARE: not st.session_state.get(BARE)}),
        )
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.html('<p class="parts-note">Heat</p>', width="content")
            st.slider(
                "Heatmap opacity",
                0,
                100,
                key=OPACITY,
                format="%d\N{NO-BREAK SPACE}%%",
                label_visibility="collapsed",
                width=170,
                disabled=st.session_state.get(BARE, False),
            )
        scale, colours = _colours()
        reading = second_reading_toggle(audit)
    truth, told = true_defect(audit, row, photo)
    pictures, ends = _pictures(
        audit,
        (row["sample_id"], score["strength"]),
        maps,
        photo,
        truth,
        st.session_state[OPACITY] / 100,
        bool(st.session_state.get(BARE)),
        scale,
        colours,
    )
    titles = sentences.panel_words(score, told)
    with st.container(key="part-panels"):
        for side, picture in zip(("photo", *SIDES), pictures, strict=True):
            with st.container(key=f"panel-{side}", gap=None):
                title, text = titles[side]
                write_html(f'<p class="panel-title">{escape(title)}</p>')
                st.image(picture, width="stretch", alt=title)
                legend = (
                    sentences.map_legend(ends[side], side, scale, colours) if side in ends else ""
                )
                write_html(f'<div class="panel-words">{legend}<p>{escape(text)}</p></div>')
        if reading:
            opacity = st.session_state[OPACITY] / 100
            bare = bool(st.session_state.get(BARE))
            second_reading_panel(audit, row, photo, truth, opacity, bare=bare)
    if reading:
        second_reading_sentence(audit, row)
    write_html(f'<p class="part-difference">{sentences.overlap_sentence(score)}</p>')


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=BY_KEY)
def _pictures(
    audit: Audit,
    shown: tuple[str, float],
    _maps: PartMaps,
    _photo: Image.Image,
    _truth: Mask | None,
    opacity: float,
    bare: bool,
    scale: str,
    colours: str,
) -> tuple[list[bytes], dict[str, float]]:
    """Photograph, defect, good and agnostic panel of one part at one strength, `shown`.

    With them the values that the colours of the maps end at.
    """
    box = audit_box(audit, _photo.size)
    ends = map_ends(audit, _maps, scale)
    if bare:
        return [photo_panel(_photo, None)] * (1 + len(SIDES)), ends
    return [
        photo_panel(_photo, _truth),
        *(
            map_panel(_photo, box, _maps, side, ends[side], opacity, _truth, colours)
            for side in SIDES
        ),
    ], ends


def _colours() -> tuple[str, str]:
    """The choice of the colours of the heatmaps."""
    scale, colours = read_colours()
    with st.popover("Colours", width="content"):
        for name, label, names, here in (
            ("scale", "Scale of the colours", sentences.SCALE_NAMES, scale),
            ("colours", "Colours", sentences.COLOUR_NAMES, colours),
        ):
            write = partial(_write, name)
            url_selectbox(f"part-{name}", label, names, here, write, width=220)
    return scale, colours


def _write(name: str, value: str) -> None:
    write_parts_url(**{name: value})


def _strip(
    audit: Audit,
    scores: pd.DataFrame,
    strength: float,
    photo: Image.Image,
    maps: Mapping[float, PartMaps],
    *,
    passed: bool,
) -> None:
    """All strengths side by side."""
    direction = audit.manifest.settings.direction
    write_html(sentences.strip_heading(passed, len(scores), direction))
    small = fitted(photo, STRIP_SIDE)
    box = audit_box(audit, photo.size)
    with st.container(key="part-strengths"):
        for index, score in enumerate(scores.to_dict("records")):
            tile(
                f"strength-{index}",
                Thumbnail(strip_picture(small, box, maps[score["strength"]]), ""),
                sentences.strip_caption(score),
                f"Show the maps at adversarial strength {score['strength']:g}",
                partial(write_parts_url, view=f"{score['strength']:g}"),
                here=score["strength"] == strength,
            )


def check_button(
    audit: Audit, row: Mapping[str, Any], score: Mapping[str, Any], photo: Image.Image
) -> None:
    """Compute the maps again with grad-cam on demand, and compare; what goes wrong is said.

    `row` is the part's of the sample table, `score` that of `scores.parquet` at ε = 0.
    """
    if st.button(
        "Check these maps against grad-cam",
        key="part-check",
        icon=":material/fact_check:",
        help="Computes the maps of this photo again with the package grad-cam, the usual tool for "
        "it, and compares.",
    ):
        st.session_state[CHECKED] = row["sample_id"]
    if st.session_state.get(CHECKED) != row["sample_id"]:
        return
    try:
        check, maps, replaced = _check(audit, str(row["path"]), score)
    except TrustError as problem:
        show_error(problem)
        return
    write_html(f'<p class="part-check">{sentences.gradcam_verdict(audit, check)}</p>')
    small, ends = fitted(photo, CHECK_SIDE), map_ends(audit, maps)
    box = audit_box(audit, photo.size)
    with st.container(key="part-check-pictures"):
        for side, theirs in replaced.items():
            for who, shown in (("this audit", maps), ("grad-cam", theirs)):
                picture = map_panel(small, box, shown, side, ends[side], 0.8)
                st.image(picture, width="stretch", caption=f"{side} map, {who}")


@remembered(32, "Computing the maps with grad-cam …")
def _check(
    audit: Audit, path: str, _score: Mapping[str, Any]
) -> tuple[GradcamCheck, PartMaps, dict[str, PartMaps]]:
    function, what = f"{PART_LOOKS}:compare_gradcam", "The check"
    found = WORKER.call(function, audit, path, dict(_score), what=what, limits=WORKER_LIMITS)
    return cast("tuple[GradcamCheck, PartMaps, dict[str, PartMaps]]", found)
