"""The metrics of the page Localization, kept between moves, and their charts.

A slider works on pixel counts alone; figures are kept as text, and only what moves is made anew.
"""

from operator import attrgetter

import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.chart import Drawing, chart, drawing
from dashboard.localization.url_state import STRICT, MaskSettings, write_masks_url
from trust_core.decision.curves import roles_of
from trust_core.decision.localization.audit_masks import (
    ImageMasks,
    Images,
    image_masks,
    images_of,
    sweep,
)
from trust_core.decision.localization.metrics import THRESHOLDS, Localization, localize
from trust_core.decision.localization.pixel_counts import MaskCounts
from trust_core.decision.tradeoff import Floats
from trust_core.figures import localization as figures
from trust_core.storage.audit_files import Audit

MANY = 50_000  # images
# What a result depends on, of all that is kept: the other settings choose what is shown of it.
BY_SOURCE = BY_KEY | {MaskCounts: attrgetter("source")}
AT_THRESHOLD = BY_SOURCE | {MaskSettings: attrgetter("role", "min_area", "threshold")}
AT_ALL = BY_SOURCE | {MaskSettings: attrgetter("role", "min_area")}


def masks_at(audit: Audit, counts: MaskCounts, settings: MaskSettings) -> ImageMasks:
    """The images with their masks at the threshold."""
    return image_masks(counts, _images(audit, settings.role), settings.threshold)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=AT_THRESHOLD)
def metrics_at(audit: Audit, counts: MaskCounts, settings: MaskSettings) -> Localization:
    """The metrics at the threshold."""
    return localize(masks_at(audit, counts, settings).truth, settings.min_area)


def drawn_thresholds(audit: Audit, settings: MaskSettings) -> Floats:
    """All thresholds, or of very many images every tenth, in a second."""
    few = len(_images(audit, settings.role).places) <= MANY
    return THRESHOLDS if few else THRESHOLDS[9::10]


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=AT_ALL)
def swept_metrics(audit: Audit, counts: MaskCounts, settings: MaskSettings) -> dict[str, Floats]:
    """The metrics at each of `drawn_thresholds`."""
    thresholds = drawn_thresholds(audit, settings)
    return sweep(counts, _images(audit, settings.role), settings.min_area, thresholds)


def draw_sizes(found: Localization, settings: MaskSettings) -> None:
    """Recall by size of the defect."""
    chart(
        drawing(figures.recall_by_size(found.by_size, strict=settings.form == STRICT)),
        key="sizes",
        alt="Share of the defects that have a mask, by the size of the defect, with counts.",
    )


def draw_thresholds(audit: Audit, counts: MaskCounts, settings: MaskSettings) -> None:
    """The metrics at every threshold, the chosen one marked; a click moves it."""
    chart(
        _thresholds(audit, counts, settings),
        key="thresholds",
        alt="Agreement, defective photos and good photos with a mask, at every mask threshold.",
        moving=figures.mark_threshold(settings.threshold),
        on_choose=lambda threshold, _: write_masks_url(mask=threshold),
    )


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=AT_ALL)
def _thresholds(audit: Audit, counts: MaskCounts, settings: MaskSettings) -> Drawing:
    values = swept_metrics(audit, counts, settings)
    return drawing(figures.metrics_by_threshold(values, drawn_thresholds(audit, settings)))


# Arrays that nobody changes: no copies.
@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_KEY)
def _images(audit: Audit, role: str) -> Images:
    return images_of(audit, roles_of(role))
