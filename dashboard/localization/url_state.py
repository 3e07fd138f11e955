"""What the page Localization keeps in the URL; the part view reads the same."""

from dataclasses import dataclass

import streamlit as st

from dashboard.glossary import ROLE_CHOICES
from dashboard.url_state import TUNE, change_query, one_of, query_number
from trust_core.decision.localization.audit_masks import DEFAULT_THRESHOLD, WORST
from trust_core.decision.localization.pixel_counts import column_of, find_source
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

AREAS = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
LOOSE, STRICT = "loose", "strict"
FORMS = (LOOSE, STRICT)


@dataclass(frozen=True)
class MaskSettings:
    """Which masks are looked at, and on which images.

    `source` is the mask head or a kept map; `form` is that of Seg_Recall, `worst` says which parts
    are shown, "" = the first of which there are any; `other_threshold` is of the audit that is
    compared, that of the open one when None.
    """

    source: str
    threshold: float
    min_area: float
    form: str
    worst: str
    role: str
    other_threshold: float | None = None


DEFAULTS = {"area": "0", "form": LOOSE, "worst": "", "role": TUNE}


def read_mask_settings(audit: Audit) -> MaskSettings:
    """The settings in the URL; what means nothing for this audit is passed over."""
    query = st.query_params
    try:
        source = find_source(audit, query.get("source"))
    except SettingsError:
        source = find_source(audit, None)
    area = query.get("area", "")
    areas = {f"{share:g}": share for share in AREAS}
    return MaskSettings(
        source,
        mask_threshold("mask") or DEFAULT_THRESHOLD,
        areas.get(area, 0.0),
        one_of("form", FORMS, DEFAULTS["form"]),
        one_of("worst", WORST, DEFAULTS["worst"]),
        one_of("role", ROLE_CHOICES, DEFAULTS["role"]),
        mask_threshold("beside"),
    )


def mask_threshold(name: str) -> float | None:
    """The mask threshold of a query parameter; None where it is none of `THRESHOLDS`."""
    threshold = query_number(name)
    if threshold is None:
        return None
    try:
        column_of(threshold)
    except SettingsError:
        return None
    return threshold


def write_masks_url(**changes: object) -> None:
    """Write query parameters of this page; None and what is the default leave the URL."""
    change_query(DEFAULTS, **changes)


def part_query(settings: MaskSettings) -> dict[str, object]:
    """Query parameters of a link to the part view, so that it shows the same masks."""
    return {
        "look": "mask",
        "source": settings.source,
        "mask": settings.threshold,
        "area": settings.min_area or None,
        "role": settings.role,
    }
