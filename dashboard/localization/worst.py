"""The parts where predicted and true mask agree least, as small pictures that open in Parts."""

import os
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.localization.url_state import (
    FALSE_ALARM,
    LOWEST,
    MISSED,
    WORST,
    Asked,
    part_query,
    write,
)
from dashboard.localization.words import LEGEND, agreement
from dashboard.markup import escape_markdown
from dashboard.url_state import link_query, sync_widget
from dashboard.words import count
from trust_core.data.images import read_image
from trust_core.decision.localization.metrics import Masks
from trust_core.decision.localization.pixel_counts import cells_of
from trust_core.decision.localization.report import Judged, parts_of
from trust_core.errors import UnreadableImage
from trust_core.figures.part_maps import Seen, fitted, masks_picture, seen_by_network, truth_mask
from trust_core.figures.thumbnails import PLACEHOLDER, source
from trust_core.storage.audit_files import Audit

SHOWN, SIDE, LINE = 8, 220, 2
READERS = min(SHOWN, os.cpu_count() or 1)
PARTS = "pages/parts.py"
NAMES = {MISSED: "Missed", FALSE_ALARM: "False alarms", LOWEST: "Least agreement"}
TOLD = {
    MISSED: "Defective parts without a predicted mask, the largest defects first.",
    FALSE_ALARM: "Good parts with a predicted mask, the largest masks first.",
    LOWEST: "Defective parts with a predicted mask, the lowest IoU first.",
}
NONE = {
    MISSED: "No defective part is without a predicted mask.",
    FALSE_ALARM: "No good part has a predicted mask.",
    LOWEST: "No defective part has a predicted mask.",
}


def show_worst(audit: Audit, judged: Judged, asked: Asked) -> None:
    """Draw the choice of what is shown, and the pictures."""
    masks = judged.masks.without_small(asked.min_area)
    rows = {kind: worst(masks, judged, kind) for kind in WORST}
    kind = asked.worst or next((kind for kind in WORST if len(rows[kind])), MISSED)
    sync_widget("worst", kind)
    st.segmented_control(
        "Which parts",
        WORST,
        format_func=lambda kind: f"{NAMES[kind]} ({count(len(rows[kind]))})",
        key="worst",
        label_visibility="collapsed",
        on_change=_chosen,
    )
    chosen = rows[kind][:SHOWN]
    st.html(f'<p class="parts-note">{(TOLD if len(chosen) else NONE)[kind]} {LEGEND}</p>')
    parts = parts_of(audit, judged.images.places[chosen])
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(lambda part: _picture(audit, part, asked), parts.itertuples()))
    with st.container(key="worst-parts"):
        for row, part, picture in zip(chosen, parts.itertuples(), pictures, strict=True):
            _tile(part, picture, _caption(masks, int(row), kind), asked)


def worst(masks: Masks, judged: Judged, kind: str) -> np.ndarray:
    """Images of one kind, the worst first, as places in `masks`."""
    known = judged.judgeable & masks.known
    chosen, order = {
        MISSED: (masks.defective & ~masks.found, -masks.true / masks.area),
        FALSE_ALARM: (~masks.defective & masks.found, -masks.predicted / masks.area),
        LOWEST: (masks.defective & masks.found, masks.iou),
    }[kind]
    places = np.flatnonzero(known & chosen)
    return places[np.argsort(order[places], kind="stable")]


def _tile(part: pd.Series, picture: bytes | None, caption: str, asked: Asked) -> None:
    label = f"Open part {Path(part.path).name}"
    with st.container(key=f"tile-{part.sample_id}", gap=None):
        st.image(picture or PLACEHOLDER, width="stretch", alt=label)
        st.html(f'<div class="tile-words">{caption}</div>')
        with st.container(key=f"over-{part.sample_id}"):
            query = link_query(part=part.sample_id, **part_query(asked))
            st.page_link(PARTS, label=escape_markdown(label), query_params=query)


def _caption(masks: Masks, row: int, kind: str) -> str:
    area = float(masks.area[row])
    true, predicted = (f"{100 * v[row] / area:.2g} %" for v in (masks.true, masks.predicted))
    told = {
        MISSED: ("no mask", f"defect {true}"),
        FALSE_ALARM: ("labelled good", f"mask {predicted}"),
        LOWEST: (f"IoU {agreement(float(masks.iou[row]))}", f"defect {true}", f"mask {predicted}"),
    }[kind]
    return "".join(f"<span>{escape(line)}</span>" for line in told)


def _picture(audit: Audit, part: pd.Series, asked: Asked) -> bytes | None:
    try:
        key = audit.key, part.sample_id, asked.source
        seen = _seen(audit, key, part.path, part.mask_path)
    except UnreadableImage:
        return None
    return masks_picture(seen, asked.threshold, LINE)


@st.cache_data(max_entries=256, show_spinner=False)
def _seen(_audit: Audit, key: tuple[str, str, str], path: str, mask_path: str) -> Seen:
    """A part at the size of a small picture; a slider only cuts it anew."""
    original = read_image(source(_audit, path))
    photo = fitted(original, SIDE)
    truth = truth_mask(source(_audit, mask_path), photo.size) if mask_path else None
    cells = cells_of(_audit, key[2], key[1])
    return Seen(photo, seen_by_network(_audit, original.size), cells, truth)


def _chosen() -> None:
    write(worst=st.session_state["worst"])
