"""The controls of the page Localization; all of them live in the URL."""

from collections.abc import Mapping

import streamlit as st

from dashboard.glossary import ROLE_CHOICES
from dashboard.localization.sentences import source_name
from dashboard.localization.url_state import (
    AREAS,
    FORMS,
    LOOSE,
    STRICT,
    MaskSettings,
    write_masks_url,
)
from dashboard.terms import explain
from dashboard.url_state import sync_widget, url_selectbox
from trust_core.decision.localization.metrics import THRESHOLDS
from trust_core.decision.localization.pixel_counts import MASK_HEAD, sources
from trust_core.storage.audit_files import Audit

FORM_NAMES = {LOOSE: "any mask", STRICT: "a touching mask"}
HELP = {
    "mask": "A pixel belongs to the predicted mask when its value is at least this. Probabilities "
    "of a mask head are taken as they are; a heatmap as share of its colour scale, which is one "
    "for the whole data set.",
    "area": "A predicted mask smaller than this share of the photo counts as empty.",
    "form": "Loose: a defective photo counts as found when its mask is not empty. Strict: only "
    "when the mask and the true defect have a pixel in common.",
}


def mask_slider(settings: MaskSettings) -> None:
    """From which value on a pixel belongs to the mask."""
    sync_widget("mask", settings.threshold)
    st.slider(
        "Mask threshold",
        float(THRESHOLDS[0]),
        float(THRESHOLDS[-1]),
        step=0.01,
        key="mask",
        help=HELP["mask"],
        on_change=_moved,
        args=("mask",),
    )


def sliders(settings: MaskSettings) -> None:
    """Mask threshold, minimum area and the form of the recall."""
    mask_slider(settings)
    sync_widget("area", settings.min_area)
    st.select_slider(
        "Smallest mask that counts",
        AREAS,
        format_func=_area,
        key="area",
        help=HELP["area"],
        on_change=_moved,
        args=("area",),
    )
    sync_widget("form", settings.form)
    st.segmented_control(
        "A defect counts as found by",
        FORMS,
        format_func=FORM_NAMES.__getitem__,
        key="form",
        help=HELP["form"],
        on_change=_moved,
        args=("form",),
    )


def choices(audit: Audit, settings: MaskSettings) -> None:
    """What the masks are made from, and on which parts."""
    source_choice(audit, settings)
    meaning = explain("roles", "seal")
    _choice("role", "On these photos", ROLE_CHOICES, settings.role, meaning)


def source_choice(audit: Audit, settings: MaskSettings) -> None:
    """What the masks are made from: the mask head, or a heatmap but that of the good class."""
    known = [name for name in sources(audit) if name.rpartition(".")[2] != "good"]
    names, meaning = {name: source_name(name) for name in known}, explain("mask", "heatmap")
    _choice("source", "Masks from", names, settings.source, meaning)


def _choice(key: str, label: str, names: Mapping[str, str], here: str, meaning: str) -> None:
    url_selectbox(
        key, label, names, here, lambda value: write_masks_url(**{key: value}), help_text=meaning
    )


def explanation_note(settings: MaskSettings, *, mask_head: bool) -> str:
    """What is judged when it is not a mask head; "" when it is."""
    if settings.source == MASK_HEAD:
        return ""
    why = "" if mask_head else "This network has no mask head. "
    return (
        f"{why}Judged here is the explanation: where the heatmap reaches the threshold. It says "
        "where the network looked, not what it would mark."
    )


def _area(share: float) -> str:
    return f"{100 * share:g} %" if share else "any"


def _moved(key: str) -> None:
    value = st.session_state[key]
    if value is not None:  # a segmented control that is clicked again lets go of its choice
        write_masks_url(**{key: value})
