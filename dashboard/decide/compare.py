"""Decide, 5: two audits side by side, two models or one before and after retraining."""

from html import escape

import pandas as pd
import streamlit as st

from dashboard.csv_export import csv
from dashboard.decide.indicator_table import badge, cached_verdict
from dashboard.decide.words import headline
from dashboard.shell import link
from dashboard.words import OUTCOME_NAMES, count, counted
from trust_core.decision.certify import ChosenIndicator, choose_indicator
from trust_core.decision.compare_audits import CHANGES, RELABELLED, Beside, beside
from trust_core.decision.journal import closed_seals
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit

ALONE = (
    "This is the only finished audit. Audit the retrained detector on the same images, and what it "
    "changed stands here, part by part."
)
LISTED = 10
PARTS = "pages/parts.py"


def show_beside(audit: Audit, other: Audit, chosen: ChosenIndicator, recall: float) -> None:
    """Counts, verdicts and the parts that changed side."""
    roles = [
        "tune",
        *(
            r
            for r in ("certify", "test")
            if not closed_seals(audit, [r]) and not closed_seals(other, [r])
        ),
    ]
    found = _beside(audit, other, audit.key, other.key, tuple(roles))
    if not found.shared:
        st.html(
            '<p class="quiet">The two audits have no image in common (same path, same content), so '
            "no part can have changed side.</p>"
        )
        return
    here, there = (workspace.display_name(a.folder, a.manifest) for a in (audit, other))
    role = "test" if "test" in roles else "tune"
    verdicts = []
    for one, its in ((other, choose_indicator(other)), (audit, chosen)):
        judged = cached_verdict(one, one.key, role, its.indicator, its.strength, recall)
        verdicts.append(
            f"{badge(judged, role)}<small>{escape(headline(judged, its.indicator))}</small>"
        )
    st.html(
        f"<p>{_sentence(found, there, here)} Compared on {counted(found.shared, 'images')} of "
        f"{', '.join(roles)} that both hold byte for byte.</p>"
    )
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.html(_counts(found, there, here, verdicts, role))
    with right:
        _changed(audit, other, found)


def _sentence(found: Beside, there: str, here: str) -> str:
    tally = found.changed["change"].value_counts()
    won, lost = (int(tally.get(CHANGES[pair], 0)) for pair in (("FN", "TP"), ("TP", "FN")))
    return (
        f"<b>{escape(here)}</b> catches {counted(won, 'defects')} that "
        f"<b>{escape(there)}</b> misses, and misses {count(lost)} that it catches."
    )


def _counts(found: Beside, there: str, here: str, verdicts: list[str], role: str) -> str:
    body = "".join(
        f"<tr><th>{OUTCOME_NAMES[name].capitalize()}s</th><td>{count(a)}</td><td>{count(b)}</td></tr>"
        for name, (a, b) in found.counts.items()
    )
    judged = "".join(f"<td>{told}</td>" for told in verdicts)
    last = f"<tr><th>Its indicator, on {role}</th>{judged}</tr>"
    return (
        f'<table class="numbers pair"><thead><tr><th></th><th>{escape(there)}</th>'
        f"<th>{escape(here)}</th></tr></thead><tbody>{body}{last}</tbody></table>"
    )


def _changed(audit: Audit, other: Audit, found: Beside) -> None:
    if found.changed.empty:
        st.html('<p class="quiet">No part changed side.</p>')
        return
    tally = found.changed["change"].value_counts()
    names = [name for name in (*CHANGES.values(), RELABELLED) if name in tally]
    which = st.selectbox(
        "Parts that changed side",
        names,
        format_func=lambda name: f"{name[0].upper()}{name[1:]} ({tally[name]:,})",
        key="changed-side",
    )
    rows = found.changed[found.changed["change"] == which]
    with st.container(key="changed-parts"):
        for row in rows.head(LISTED).itertuples():
            label = f"{row.path}" + (f" – {row.kind}" if row.kind else "")
            link(label, PARTS, part=row.sample_id, role=row.role)
    if len(rows) > LISTED:
        st.caption(f"{len(rows) - LISTED:,} more.")
    st.download_button(
        "All of them as CSV",
        _csv(audit, other, found.changed),
        "changed-parts.csv",
        "text/csv",
        key="changed-csv",
    )


def _csv(audit: Audit, other: Audit, table: pd.DataFrame) -> bytes:
    """The changed parts, with what they were measured on in every row."""
    signed = {
        f"{name}_{end}": value
        for end, one in (("here", audit), ("there", other))
        for name, value in (("audit", one.id), ("model_sha256", one.manifest["model"]["sha256"]))
    }
    return csv(table.assign(**signed))


@st.cache_data(max_entries=8, show_spinner=False)
def _beside(
    _audit: Audit, _other: Audit, key: str, other_key: str, roles: tuple[str, ...]
) -> Beside:
    return beside(_audit, _other, roles)
