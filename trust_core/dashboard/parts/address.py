"""What the page of parts keeps in the URL: filters, order, page, and the part that is open."""

import math

import streamlit as st

from trust_core.dashboard.parts.query import ORDERS, SHOWN, Filters

PART = "part"
# Query parameter: value when the URL is silent. The audit and the operating point are `address`'s.
DEFAULTS = {"show": "all", "kind": "", "group": "", "search": "", "sort": "suspicious"}


def read_filters() -> Filters:
    """The filters in the URL; what means nothing is passed over."""
    query = st.query_params
    show, sort = query.get("show", "").lower(), query.get("sort", "")
    return Filters(
        show=show if show in SHOWN else DEFAULTS["show"],
        kind=query.get("kind", ""),
        group=query.get("group", ""),
        search=query.get("search", ""),
        sort=sort if sort in ORDERS else DEFAULTS["sort"],
        before=_number(query.get("from")),
    )


def write(**changes: object) -> None:
    """Write query parameters; None and what is the default leave the URL."""
    for name, value in changes.items():
        if value is None or value == DEFAULTS.get(name):
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = str(value)


def read_page(pages: int) -> int:
    """The page in the URL, counted from 1, brought to those there are."""
    text = st.query_params.get("page", "")
    wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
    return min(max(1, wanted), pages)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(value) else value
