"""What the page of parts keeps in the URL: filters, order, page, and the part that is open."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard.localization.url_state import mask_threshold
from dashboard.url_state import change_query, one_of, query_number, strength_of
from trust_core.decision.indicators.registry import available
from trust_core.decision.localization.audit_masks import CONTRADICTIONS, Contradiction
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import ORDERS, SHOWN, Filters
from trust_core.figures.overlays import COLOUR_MAPS, SIDES_OWN
from trust_core.figures.part_maps import DATA_SCALE, OWN_SCALE, PART_SCALE
from trust_core.storage.audit_files import Audit

PART = "part"
LABELS = "labels"  # the review of the labels is open
BEFORE = ("from", "fromeps", "fromind")  # the operating point that `changed` compares with
LOOK = "look"  # what is open beside the photograph of a part
HEATMAPS, EVIDENCE, MASK = "heatmaps", "evidence", "mask"
LOOKS = (HEATMAPS, EVIDENCE, MASK)
CARD_SIZES = ("small", "medium", "large")
# Query parameter: value when the URL is silent. Audit and operating point are those of all pages.
FILTERS = {
    "show": "all",
    "kind": "",
    "group": "",
    "search": "",
    "sort": "suspicious",
    "contra": "",
}
DEFAULTS = FILTERS | {
    LOOK: HEATMAPS,
    "scale": PART_SCALE,
    "colours": SIDES_OWN,
    "cards": "medium",
    "names": "",
    "heat": "",
    LABELS: "",
    "form": "first-order",
    "window": "10",
    "side": "both",
    "against": "prediction-difference",
}


@dataclass(frozen=True)
class EvidenceSettings:
    """What the evidence view shows.

    `window` is in pixels along a side; `side` is `both`, `defect` or `good`; `against` is the slow
    form it is checked against.
    """

    form: str
    window: int
    side: str
    against: str


def read_filters(audit: Audit, point: OperatingPoint) -> Filters:
    """The filters in the URL; what means nothing is passed over."""
    query = st.query_params
    show = query.get("show", "").lower()
    return Filters(
        show=show if show in SHOWN else DEFAULTS["show"],
        kind=query.get("kind", ""),
        group=query.get("group", ""),
        search=query.get("search", ""),
        sort=one_of("sort", ORDERS, DEFAULTS["sort"]),
        before=_before(audit, point),
        contra=_contradiction(),
    )


def before_in_url(before: OperatingPoint, point: OperatingPoint) -> dict[str, object]:
    """Query parameters of an earlier operating point: its threshold, and what else was other."""
    found: dict[str, object] = {"from": before.threshold}
    if before.strength != point.strength:
        found["fromeps"] = before.strength
    if before.indicator != point.indicator:
        found["fromind"] = before.indicator
    return found


def write_parts_url(**changes: object) -> None:
    """Write query parameters of this page; None and what is the default leave the URL."""
    change_query(DEFAULTS, **changes)


def read_look(looks: Sequence[str]) -> str:
    """What is open beside the photograph of a part, one of `looks`; the heatmaps are always."""
    return one_of(LOOK, looks, HEATMAPS)


def read_colours() -> tuple[str, str]:
    """What the colours of the heatmaps end at, and which they are."""
    return (
        one_of("scale", (PART_SCALE, OWN_SCALE, DATA_SCALE), PART_SCALE),
        one_of("colours", (SIDES_OWN, *COLOUR_MAPS), SIDES_OWN),
    )


def read_evidence_settings(
    forms: Sequence[str], windows: Sequence[int], sides: Sequence[str], slow: Sequence[str]
) -> EvidenceSettings:
    """The evidence view in the URL; what is not to be had is the default.

    Where even the usual window is not to be had, it is the last there is.
    """
    known = [str(window) for window in windows]
    usual = DEFAULTS["window"] if DEFAULTS["window"] in known else known[-1]
    return EvidenceSettings(
        one_of("form", forms, DEFAULTS["form"]),
        int(one_of("window", known, usual)),
        one_of("side", sides, DEFAULTS["side"]),
        one_of("against", slow, DEFAULTS["against"]),
    )


@dataclass(frozen=True)
class Cards:
    """How the cards of the grid look.

    `size` is one of `CARD_SIZES`; with `names` there is the file name, with `heat` the defect map
    over the photograph.
    """

    size: str
    names: bool
    heat: bool


def read_cards() -> Cards:
    """The look of the cards in the URL."""
    query = st.query_params
    return Cards(one_of("cards", CARD_SIZES, DEFAULTS["cards"]), "names" in query, "heat" in query)


def read_page(pages: int) -> int:
    """The page in the URL, counted from 1, brought to those there are."""
    text = st.query_params.get("page", "")
    wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
    return min(max(1, wanted), pages)


def _contradiction() -> Contradiction | None:
    kind, threshold = one_of("contra", CONTRADICTIONS, ""), mask_threshold("mask")
    if not kind or threshold is None:
        return None
    return Contradiction(kind, threshold, query_number("area") or 0.0)


def _before(audit: Audit, point: OperatingPoint) -> OperatingPoint | None:
    threshold, strength = query_number("from"), strength_of("fromeps", audit)
    if threshold is None:
        return None
    return OperatingPoint(
        one_of("fromind", available(audit), point.indicator),
        point.strength if strength is None else strength,
        threshold,
        point.role,
    )
