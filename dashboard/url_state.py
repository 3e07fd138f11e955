"""What lives in the URL: the open audit and the operating point. Thin, over query parameters.

A reload or a shared link shows the same thing; a value that means nothing for the audit is passed
over, as if it were not there.
"""

import math
from collections.abc import Callable, Container, Mapping
from typing import Literal, TypeVar

import streamlit as st

from dashboard.glossary import ROLE_CHOICES
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, available
from trust_core.decision.operating_point import (
    OperatingPoint,
    default_strength,
    default_threshold,
    noted_point,
)
from trust_core.decision.standing import leading_point
from trust_core.storage.audit_files import Audit

AUDIT = "audit"
TUNE = "tune"
POINT = {"indicator": "ind", "strength": "eps", "threshold": "tau", "role": "role"}

Value = TypeVar("Value")


def sync_widget(key: str, value: object) -> None:
    """Let the widget of this key stand at a value; before it is drawn.

    Where it stands already, nothing is said: an assignment is sent to the browser, and would put
    back a slider that a person has moved on in the meantime.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def url_selectbox(
    key: str,
    label: str,
    names: Mapping[Value, str],
    here: Value,
    write: Callable[[Value], None],
    *,
    width: int | Literal["stretch"] = "stretch",
    help_text: str | None = None,
) -> None:
    """A list whose choice lives in the URL.

    `names` says what each value is called, `here` is the one in the URL, `write` puts a chosen one
    there.
    """
    sync_widget(key, here)
    st.selectbox(
        label,
        list(names),
        format_func=names.__getitem__,
        key=key,
        help=help_text,
        on_change=lambda: write(st.session_state[key]),
        width=width,
    )


def query_number(name: str) -> float | None:
    """The number of a query parameter; None where it is missing, no number or not finite."""
    try:
        found = float(st.query_params.get(name, ""))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def strength_of(name: str, audit: Audit) -> float | None:
    """The strength of a query parameter; None where it is none of the audit's."""
    strength = query_number(name)
    return strength if strength in audit.strengths else None


def one_of(name: str, known: Container[str], default: str) -> str:
    """The value of a query parameter; the default where it is none of the known ones."""
    value = st.query_params.get(name)
    return value if value is not None and value in known else default


def change_query(defaults: Mapping[str, str], **changes: object) -> None:
    """Write query parameters; None and what is the default leave the URL."""
    for name, value in changes.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if value is None or text == defaults.get(name):
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = text


def read_point(audit: Audit) -> OperatingPoint:
    """The operating point in the URL, made whole for this audit.

    What the URL leaves open comes from the last operating point noted in the audit; without one it
    is Δ, at the ε that ranks `tune` best and the τ that catches 90 % of its missed defects.
    """
    noted = noted_point(audit)
    query = st.query_params
    indicator = query.get("ind", "")
    if indicator not in available(audit):
        indicator = noted.indicator if noted else DEFAULT_INDICATOR
    strength = strength_of("eps", audit)
    if strength is None:
        strength = noted.strength if noted else default_strength(audit, indicator)
    threshold = query_number("tau")
    if threshold is None:
        if noted and (noted.indicator, noted.strength) == (indicator, strength):
            threshold = noted.threshold
        else:
            threshold = default_threshold(audit, indicator, strength)
    role = query.get("role", TUNE)
    return OperatingPoint(indicator, strength, threshold, role if role in ROLE_CHOICES else TUNE)


def leading_in_url(audit: Audit) -> OperatingPoint:
    """The operating point in the URL; where it says nothing of one, what the audit leads with.

    That is the last point noted, else what is proposed on `tune`: Home and Decide begin with it.
    """
    silent = not any(key in st.query_params for key in POINT.values())
    return leading_point(audit) if silent else read_point(audit)


def write_point(point: OperatingPoint) -> None:
    """Write the operating point into the URL; only what changed."""
    for name, key in POINT.items():
        text = _text(getattr(point, name))
        if st.query_params.get(key) != text:
            st.query_params[key] = text


def link_query(**changes: object) -> dict[str, str]:
    """Query parameters of a link: the open audit and operating point, changed; None leaves one out.

    Another audit starts at its own operating point.
    """
    keys = () if changes.get(AUDIT) else (AUDIT, *POINT.values())
    query: dict[str, object] = {k: st.query_params[k] for k in keys if k in st.query_params}
    return {k: _text(value) for k, value in (query | changes).items() if value is not None}


def _text(value: object) -> str:
    """Shortest text that reads back as the same value."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
