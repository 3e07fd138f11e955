"""What the page of parts keeps in the URL: filters, order, page, and the part that is open."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard.localization.url_state import mask_threshold
from dashboard.url_state import number, strength_of
from trust_core.decision.indicators.registry import available
from trust_core.decision.localization.report import CONTRADICTIONS, Contradiction
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import ORDERS, SHOWN, Filters
from trust_core.storage.audit_files import Audit

PART = "part"
# Query parameter: value when the URL is silent. The audit and the operating point are `address`'s.
DEFAULTS = {
    **{"show": "all", "kind": "", "group": "", "search": "", "sort": "suspicious"},
    "contra": "",
}
BEFORE = ("from", "fromeps", "fromind")  # the operating point that `changed` compares with
HEATMAPS, EVIDENCE, MASK = "heatmaps", "evidence", "mask"
LOOK = "look"  # which of them is open beside the photograph of a part
OPEN_PART = {  # of the open part, as `DEFAULTS`
    LOOK: HEATMAPS,
    "form": "first-order",
    "window": "10",
    "side": "both",
    "against": "prediction-difference",
}


@dataclass(frozen=True)
class Asked:
    """What the evidence view shows.

    Attributes:
        form: of evidence.
        window: pixels along the side of a window.
        side: `both`, `defect` or `good`.
        against: the slow form it is checked against.
    """

    form: str
    window: int
    side: str
    against: str


def read_filters(audit: Audit, point: OperatingPoint) -> Filters:
    """The filters in the URL; what means nothing is passed over."""
    query = st.query_params
    show, sort = query.get("show", "").lower(), query.get("sort", "")
    return Filters(
        show=show if show in SHOWN else DEFAULTS["show"],
        kind=query.get("kind", ""),
        group=query.get("group", ""),
        search=query.get("search", ""),
        sort=sort if sort in ORDERS else DEFAULTS["sort"],
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


def write(**changes: object) -> None:
    """Write query parameters; None and what is the default leave the URL."""
    for name, value in changes.items():
        if value is None or str(value) == (DEFAULTS | OPEN_PART).get(name):
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = str(value)


def read_look() -> str:
    """What is open beside the photograph of a part: `HEATMAPS`, `EVIDENCE` or `MASK`."""
    look = st.query_params.get(LOOK)
    return look if look in (EVIDENCE, MASK) else HEATMAPS


def read_asked(
    forms: Sequence[str], windows: Sequence[int], sides: Sequence[str], slow: Sequence[str]
) -> Asked:
    """The evidence view in the URL; what is not to be had is the default, or the last there is."""
    given = {
        name: _one_of(name, list(map(str, known)))
        for name, known in zip(
            ("form", "window", "side", "against"), (forms, windows, sides, slow), strict=True
        )
    }
    return Asked(given["form"], int(given["window"]), given["side"], given["against"])


def read_page(pages: int) -> int:
    """The page in the URL, counted from 1, brought to those there are."""
    text = st.query_params.get("page", "")
    wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
    return min(max(1, wanted), pages)


def _contradiction() -> Contradiction | None:
    kind = st.query_params.get("contra", "")
    threshold = mask_threshold("mask")
    if kind not in CONTRADICTIONS or threshold is None:
        return None
    return Contradiction(kind, threshold, number("area") or 0.0)


def _one_of(name: str, known: list[str]) -> str:
    for wanted in (st.query_params.get(name), OPEN_PART[name]):
        if wanted in known:
            return wanted
    return known[-1]


def _before(audit: Audit, point: OperatingPoint) -> OperatingPoint | None:
    query = st.query_params
    threshold, strength = number("from"), strength_of("fromeps", audit)
    if threshold is None:
        return None
    indicator = query.get("fromind", "")
    return OperatingPoint(
        indicator if indicator in available(audit) else point.indicator,
        point.strength if strength is None else strength,
        threshold,
        point.role,
    )
