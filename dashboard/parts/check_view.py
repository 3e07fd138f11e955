"""The button "check these maps against grad-cam": both maps side by side, and how far apart."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st
from PIL import Image

from dashboard.shell import show_error
from trust_core.errors import SettingsError, TrustError
from trust_core.figures.part_maps import (
    PartMaps,
    display_scale,
    fitted,
    map_panel,
    maps_of,
    seen_by_network,
    with_map,
)
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:
    from dashboard.parts.crosscheck import Check

SIDE = 360
CHECKED = "part-checked"


def check_button(
    audit: Audit, row: Mapping[str, Any], score: Mapping[str, Any], photo: Image.Image
) -> None:
    """Compute, compare and show on demand; a model that cannot be opened is said in a sentence.

    Args:
        audit: the audit.
        row: the part's row of the sample table.
        score: its row of `scores.parquet` at ε = 0.
        photo: its photograph.
    """
    if st.button(
        "Check these maps against grad-cam",
        key="part-check",
        icon=":material/fact_check:",
        help="Computes the maps of this part again with the package grad-cam, the usual tool for "
        "it, and compares.",
    ):
        st.session_state[CHECKED] = row["sample_id"]
    if st.session_state.get(CHECKED) == row["sample_id"]:
        _show(audit, row, score, photo)


def _show(
    audit: Audit, row: Mapping[str, Any], score: Mapping[str, Any], photo: Image.Image
) -> None:
    # The package takes seconds to import: nobody waits for it who does not ask for it.
    from dashboard.parts.crosscheck import SIGNS, compared_form

    maps = maps_of(audit, score)
    try:
        form = compared_form(audit)
        if form is None:
            raise SettingsError("The package grad-cam has no map of this form to compare with.")
        found = _checks(audit, audit.key, str(row["sample_id"]), str(row["path"]), maps)
    except TrustError as problem:
        show_error(problem)
        return
    st.html(f'<p class="part-check">{_verdict(audit, form, found)}</p>')
    small = fitted(photo, SIDE)
    box = seen_by_network(audit, photo.size)
    with st.container(key="part-check-pictures"):
        for side in SIGNS:
            theirs = with_map(audit, maps, side, found[side].theirs)
            for who, values in (("this audit", maps), ("grad-cam", theirs)):
                picture = map_panel(small, box, values, side, display_scale(audit, side), 0.8)
                st.image(picture, width="stretch", caption=f"{side} map, {who}")


@st.cache_data(max_entries=32, show_spinner="Computing the maps with grad-cam …")
def _checks(
    _audit: Audit, key: str, sample_id: str, path: str, _maps: PartMaps
) -> "dict[str, Check]":
    from dashboard.parts.crosscheck import check
    from dashboard.parts.detector import audited_detector

    return check(_audit, audited_detector(_audit), path, dict(_maps.raw))


def _verdict(audit: Audit, form: str, found: "Mapping[str, Check]") -> str:
    """Whether the maps are the same, as HTML."""
    worst = max(result.difference for result in found.values())
    agree = all(result.agrees for result in found.values())
    told = "Both give the same maps." if agree else "The maps differ."
    apart = "under 0.01 %" if worst < 1e-4 else f"{100 * worst:.2f} %"
    why = " This audit keeps its maps in half precision, which rounds by up to 0.05 %."
    return (
        f"<b>{told}</b> The largest difference of a cell is {apart} of the largest value "
        f"({escape(form)} at ε = 0, layer {escape(str(audit.manifest['layer']))})."
        f"{why if agree else ''}"
    )
