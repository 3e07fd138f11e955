"""The parts whose masks are wrong: the worst as small pictures, contradictions as counts."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.localization.sentences import LEGEND, contradiction_sentences, iou_text
from dashboard.localization.url_state import MaskSettings, part_query, write_masks_url
from dashboard.shell import PARTS, link
from dashboard.terms import mark, write_html
from dashboard.url_state import link_query, sync_widget
from trust_core.decision.localization.audit_masks import (
    DEFECTIVE_EMPTY,
    FALSE_ALARM,
    GOOD_MARKED,
    LOWEST,
    MISSED,
    WORST,
    ImageMasks,
    contradictions,
    parts_of,
    worst_parts,
)
from trust_core.decision.localization.metrics import Masks
from trust_core.decision.localization.pixel_counts import cells_of
from trust_core.errors import UnreadableImage
from trust_core.figures.part_maps import MaskedPhoto, fitted, masks_picture, truth_mask
from trust_core.figures.thumbnails import PLACEHOLDER
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import count
from trust_core.model.placement import audit_box, audit_picture
from trust_core.storage.audit_files import Audit

SHOWN, SIDE, LINE = 8, 220, 2
READERS = min(SHOWN, os.cpu_count() or 1)
NAMES = {MISSED: "Missed", FALSE_ALARM: "False alarms", LOWEST: "Least agreement"}
ORDER = {
    MISSED: "Defective photos without a predicted mask, the largest defects first.",
    FALSE_ALARM: "Good photos with a predicted mask, the largest masks first.",
    LOWEST: "Defective photos with a predicted mask, the lowest IoU first.",
}
NONE = {
    MISSED: "No defective photo is without a predicted mask.",
    FALSE_ALARM: "No good photo has a predicted mask.",
    LOWEST: "No defective photo has a predicted mask.",
}
CONTRADICTING = {GOOD_MARKED: "Photos called good", DEFECTIVE_EMPTY: "Photos called defective"}


def show_worst(audit: Audit, found: ImageMasks, settings: MaskSettings) -> None:
    """Draw the choice of what is shown, and the pictures."""
    places = {kind: worst_parts(found, kind, settings.min_area) for kind in WORST}
    kind = settings.worst or next((kind for kind in WORST if len(places[kind])), MISSED)
    sync_widget("worst", kind)
    st.segmented_control(
        "Which photos",
        WORST,
        format_func=lambda kind: f"{NAMES[kind]} ({count(len(places[kind]))})",
        key="worst",
        label_visibility="collapsed",
        on_change=lambda: write_masks_url(worst=st.session_state["worst"]),
    )
    shown = places[kind][:SHOWN]
    write_html(f'<p class="parts-note">{(ORDER if len(shown) else NONE)[kind]} {LEGEND}</p>')
    parts = parts_of(audit, found.images.places[shown])
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(lambda part: _picture(audit, part, settings), parts.itertuples()))
    masks = found.masks.without_small(settings.min_area)
    with st.container(key="worst-parts"):
        for place, part, picture in zip(shown, parts.itertuples(), pictures, strict=True):
            _tile(part, picture, _caption(masks, int(place), kind), settings)


def show_contradictions(found: ImageMasks, settings: MaskSettings) -> None:
    """Decisions that contradict the network's own mask: counts, each a link to its parts."""
    flags = contradictions(found, settings.min_area)
    for kind, sentence in contradiction_sentences(found.images, flags).items():
        with st.container(horizontal=True, vertical_alignment="center", key=f"against-{kind}"):
            st.html(mark(f"<p>{sentence}</p>"), width="stretch")
            if flags[kind].any():
                link(
                    CONTRADICTING[kind],
                    PARTS,
                    contra=kind,
                    role=settings.role,
                    mask=settings.threshold,
                    area=settings.min_area or None,
                )


def _tile(part: pd.Series, picture: bytes | None, caption: str, settings: MaskSettings) -> None:
    label = f"Open photo {Path(part.path).name}"
    with st.container(key=f"tile-{part.sample_id}", gap=None):
        st.image(picture or PLACEHOLDER, width="stretch", alt=label)
        write_html(f'<div class="tile-words">{caption}</div>')
        with st.container(key=f"over-{part.sample_id}"):
            query = link_query(part=part.sample_id, **part_query(settings))
            st.page_link(PARTS, label=escape_markdown(label), query_params=query)


def _caption(masks: Masks, place: int, kind: str) -> str:
    area = float(masks.area[place])
    true, predicted = (f"{100 * v[place] / area:.2g} %" for v in (masks.true, masks.predicted))
    overlap = iou_text(float(masks.iou[place]))
    told: Mapping[str, tuple[str, ...]] = {
        MISSED: ("no mask", f"defect {true}"),
        FALSE_ALARM: ("labelled good", f"mask {predicted}"),
        LOWEST: (f"IoU {overlap}", f"defect {true}", f"mask {predicted}"),
    }
    return "".join(f"<span>{escape(line)}</span>" for line in told[kind])


def _picture(audit: Audit, part: pd.Series, settings: MaskSettings) -> bytes | None:
    try:
        masked = _masked(audit, settings.source, part.sample_id, part.path, part.mask_path)
    except UnreadableImage:
        return None
    return masks_picture(masked, settings.threshold, LINE)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=BY_KEY)
def _masked(audit: Audit, source: str, sample_id: str, path: str, mask_path: str) -> MaskedPhoto:
    """A part at the size of a small picture; a slider only cuts its mask anew."""
    original = audit_picture(audit, path)
    photo = fitted(original, SIDE)
    truth = truth_mask(audit.data_root, mask_path, photo.size) if mask_path else None
    box = audit_box(audit, original.size)
    return MaskedPhoto(photo, box, cells_of(audit, source, sample_id), truth)
