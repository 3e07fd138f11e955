"""Deploy, 4: the log of a line dropped in, compared with the audit."""

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import streamlit as st

from dashboard.cache import BY_KEY, SANDBOX, opening
from dashboard.chart import chart, drawing
from dashboard.shell import errors_shown
from dashboard.terms import write_html
from trust_core.decision.operating_point import OperatingPoint
from trust_core.deploy.drift import Drift
from trust_core.deploy.reference import Reference, line_reference
from trust_core.figures.drift import evidence_chart
from trust_core.figures.words.markup import bold_numbers, quiet, table
from trust_core.figures.words.numbers import number_text, percent
from trust_core.storage.audit_files import Audit


def show_line(audit: Audit, point: OperatingPoint) -> None:
    """The uploaders, and what the log shows."""
    left, right = st.columns(2, gap="large")
    with left:
        log = st.file_uploader(
            "Log of the guard, or its decisions", ["jsonl", "log", "csv", "parquet"],
            key="deploy-log",
        )  # fmt: skip
    with right:
        labels = st.file_uploader(
            "Labels that came back (path, label)", ["csv"], key="deploy-labels"
        )
    if log is None:
        return
    with errors_shown(), st.spinner("Comparing the line with the audit …"):
        _draw(_compare(audit, point, log, labels))


def _compare(audit: Audit, point: OperatingPoint, log: BinaryIO, labels: BinaryIO | None) -> Drift:
    reference = _reference(audit, point.indicator, point.strength)
    with tempfile.TemporaryDirectory() as place:
        kept = _kept(log, Path(place), "log")
        returned = _kept(labels, Path(place), "labels") if labels else None
        found = SANDBOX.call(
            "trust_core.deploy.drift:drift_of_files",
            *(reference, kept, returned, point.threshold),
            what=log.name,
            limits=opening(kept),
        )
    return cast(Drift, found)


def _kept(upload: BinaryIO, place: Path, stem: str) -> Path:
    path = place / f"{stem}{Path(upload.name).suffix.lower()}"
    path.write_bytes(upload.read())
    upload.seek(0)
    return path


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_KEY)
def _reference(audit: Audit, indicator: str, strength: float) -> Reference:
    return line_reference(audit, indicator, strength)


def _draw(found: Drift) -> None:
    kind = "drifted" if found.alarm else "steady"
    sign = "▼" if found.alarm else "●"
    write_html(f'<p class="line {kind}"><i>{sign}</i> {bold_numbers(found.sentence)}</p>')
    if found.recall_sentence:
        write_html(f"<p>{bold_numbers(found.recall_sentence)}</p>")
    if not found.path:
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart(
            drawing(evidence_chart(found.path, found.limit, found.called_at)),
            key="drift-evidence",
            alt="Evidence that the line is no longer what was audited, over its photos.",
        )
    with right:
        write_html(_table(found))


def _table(found: Drift) -> str:
    middle = 2
    rows = [
        ("", "Called defective", [percent(found.defective_audit), percent(found.defective)]),
        ("", "Of the rest, re-inspected", [percent(found.flagged_audit), percent(found.flagged)]),
        *(
            ("", f"Median of {shift.name}", [_short(q[middle]) for q in (shift.audit, shift.line)])
            for shift in found.shifts
        ),
    ]
    unread = f"{found.unreadable:,} could not be read. " if found.unreadable else ""
    note = (
        f"{unread}Of every {found.every} photos in a row, one counts."
        if found.every > 1
        else unread
    )
    return table("numbers", rows, ("", "Audit", "Line")) + (quiet(note) if note else "")


def _short(value: float) -> str:
    return number_text(float(f"{value:.3g}"))
