"""Decide, 2: what must be proven, and what an error costs on the line; all in the URL.

A link to another page does not carry these, so the session remembers the last ones; what was to be
proven when an operating point was decided on stands in the journal of the audit, for everybody.
"""

from dataclasses import dataclass

import streamlit as st

from dashboard.url_state import query_number, sync_widget
from trust_core.decision.certificate import Budget, Demand
from trust_core.decision.journal import noted_points
from trust_core.decision.line_costs import Line
from trust_core.storage.audit_files import Audit

MEMORY = "decide-requirements"
NOTED = {"recall": "recall", "sure": "confidence"}  # field: as the journal has it, a share


@dataclass(frozen=True)
class Field:
    """One number to fill in; `key` is its name in the URL."""

    key: str
    label: str
    usual: float
    least: float
    most: float
    step: float
    help: str


FIELDS = (
    Field(
        "recall", "Missed parts to catch, %", 95, 50, 99.9, 1,
        "The share of the parts with a missed defect that must be sent to re-inspection. "
        "It must be proven, not just seen.",
    ),
    Field(
        "sure", "How sure, %", 95, 50, 99.9, 1,
        "The confidence of the proof: at 95 %, one proof in twenty may be wrong.",
    ),
    Field(
        "afford", "Good parts you can afford to re-inspect, %", 10, 0, 100, 1,
        "The other way to ask: what can be proven when no more than this share of the good parts "
        "goes to re-inspection?",
    ),
    Field(
        "rate", "Defective parts on the line, %", 1, 0, 100, 0.1,
        "Of all parts that reach the detector. Data sets hold far more defects than a line does.",
    ),
    Field("shift", "Parts a shift", 1000, 0, 1e7, 100, "Parts that reach the detector in a shift."),
    Field(
        "escape", "Cost of an escape", 100, 0, 1e9, 10,
        "What one defective part costs that leaves the building, in your currency.",
    ),
    Field(
        "again", "Cost of a re-inspection", 1, 0, 1e9, 0.5,
        "What it costs to look at one part again, in the same currency.",
    ),
)  # fmt: skip
PROOF_FIELDS, LINE_FIELDS = FIELDS[:3], FIELDS[3:]


@dataclass(frozen=True)
class Requirements:
    """What is required."""

    demand: Demand
    budget: Budget
    line: Line


def read_requirements(audit: Audit | None = None) -> Requirements:
    """What the URL says; where it is silent, what was last filled in, else what is usual.

    Of an audit on which somebody decided, what was to be proven then comes before the usual.
    """
    value = {field.key: _value(field, audit) for field in FIELDS}
    sure = value["sure"] / 100
    return Requirements(
        Demand(value["recall"] / 100, sure),
        Budget(value["afford"] / 100, sure),
        Line(value["rate"] / 100, value["shift"], value["escape"], value["again"]),
    )


def fill_url() -> None:
    """Put what was last filled in into a URL that is silent, so that it can be shared."""
    for key, value in st.session_state.get(MEMORY, {}).items():
        if key not in st.query_params:
            st.query_params[key] = f"{value:.12g}"


def number_fields(fields: tuple[Field, ...], audit: Audit | None = None) -> None:
    """The fields, side by side; they stand at what `read_requirements` says."""
    for column, field in zip(st.columns(len(fields)), fields, strict=True):
        sync_widget(f"want-{field.key}", _value(field, audit))
        column.number_input(
            field.label,
            float(field.least),
            float(field.most),
            step=float(field.step),
            format="%g",
            help=field.help,
            key=f"want-{field.key}",
            on_change=_filled_in,
            args=(field.key,),
        )


def _filled_in(key: str) -> None:
    value = st.session_state[f"want-{key}"]
    st.query_params[key] = f"{value:.12g}"
    st.session_state[MEMORY] = st.session_state.get(MEMORY, {}) | {key: value}


def _value(field: Field, audit: Audit | None = None) -> float:
    value = query_number(field.key)
    if value is None:
        usual = (_noted(field.key, audit) if audit else None) or field.usual
        value = float(st.session_state.get(MEMORY, {}).get(field.key, usual))
    return value if field.least <= value <= field.most else float(field.usual)


def _noted(key: str, audit: Audit) -> float | None:
    """What was to be proven when the last operating point was decided on, in per cent."""
    for entry in noted_points(audit)[:1]:
        share = entry.get(NOTED.get(key, ""))
        if isinstance(share, int | float):
            return round(100 * share, 6)
    return None
