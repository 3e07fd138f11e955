"""What the page reads of an audit, kept between moves: a slider then works on counts alone."""

import streamlit as st

from dashboard.localization.url_state import Asked
from trust_core.decision.curves import roles_of
from trust_core.decision.localization.metrics import THRESHOLDS, Localization, localize
from trust_core.decision.localization.pixel_counts import MaskCounts, read_counts
from trust_core.decision.localization.report import Images, Judged, images_of, judge, sweep
from trust_core.decision.tradeoff import Floats
from trust_core.storage.audit_files import Audit

MANY = 50_000  # images


def images(audit: Audit, role: str) -> Images:
    """The images of a role."""
    return _images(audit, audit.key, role)


def judged(audit: Audit, counts: MaskCounts, asked: Asked) -> Judged:
    """The images with their masks at the threshold."""
    return judge(counts, images(audit, asked.role), asked.threshold)


def found(audit: Audit, counts: MaskCounts, asked: Asked) -> Localization:
    """The metrics."""
    place = (audit.key, asked.source, asked.threshold, asked.min_area, asked.role)
    return _found(audit, counts, asked, place)


def drawn_thresholds(audit: Audit, asked: Asked) -> Floats:
    """The thresholds of `swept`: all of them, or of very many images every tenth, in a second."""
    few = len(images(audit, asked.role).places) <= MANY
    return THRESHOLDS if few else THRESHOLDS[9::10]


def swept(audit: Audit, counts: MaskCounts, asked: Asked) -> dict[str, Floats]:
    """The metrics at each of `drawn_thresholds`."""
    key = audit.key, asked.source, asked.role, asked.min_area
    return _swept(audit, counts, asked, key)


def kept_counts(audit: Audit, source: str) -> MaskCounts | None:
    """The pixel counts, None when they were not made yet."""
    return read_counts(audit, source)


@st.cache_resource(max_entries=8, show_spinner=False)  # arrays that nobody changes: no copies
def _images(_audit: Audit, key: str, role: str) -> Images:
    return images_of(_audit, roles_of(role))


@st.cache_data(max_entries=256, show_spinner=False)
def _found(
    _audit: Audit, _counts: MaskCounts, _asked: Asked, place: tuple[str, str, float, float, str]
) -> Localization:
    return localize(judged(_audit, _counts, _asked).truth, _asked.min_area)


@st.cache_data(max_entries=32, show_spinner=False)
def _swept(
    _audit: Audit, _counts: MaskCounts, _asked: Asked, key: tuple[str, str, str, float]
) -> dict[str, Floats]:
    thresholds = drawn_thresholds(_audit, _asked)
    return sweep(_counts, images(_audit, _asked.role), _asked.min_area, thresholds)
