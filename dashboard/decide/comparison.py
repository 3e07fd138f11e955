"""Decide, 5: two audits side by side, two models or one before and after retraining."""

from html import escape

import pandas as pd
import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.csv_export import csv
from dashboard.decide.indicators import cached_verdict
from dashboard.shell import PARTS, link
from dashboard.terms import write_html
from trust_core.decision.certify import ChosenIndicator, indicator_to_certify
from trust_core.decision.compare_audits import (
    CHANGES,
    RELABELLED,
    compare_outcomes,
)
from trust_core.decision.journal import SEALED, closed_seals
from trust_core.figures.words.markup import escape_markdown, quiet, table
from trust_core.figures.words.numbers import OUTCOME_NAMES, capital, count, counted
from trust_core.figures.words.verdict import badge, verdict_sentence
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit

ALONE = (
    "This is the only finished audit. Audit the retrained detector on the same photos, and what it "
    "changed stands here, photo by photo."
)
LISTED = 10


def show_comparison(audit: Audit, other: Audit, chosen: ChosenIndicator, recall: float) -> None:
    """Counts, verdicts and the parts that changed side."""
    closed = {*closed_seals(audit, SEALED), *closed_seals(other, SEALED)}
    roles = ["tune", *(role for role in SEALED if role not in closed)]
    found = _compared(audit, other, tuple(roles))
    if not found.shared:
        write_html(
            quiet(
                "The two audits have no photo in common (same path, same content), so no photo can "
                "have changed side."
            )
        )
        return
    here, there = (
        escape(workspace.display_name(one.folder, one.manifest)) for one in (audit, other)
    )
    tally = found.changed["change"].value_counts()
    won, lost = (int(tally.get(CHANGES[pair], 0)) for pair in (("FN", "TP"), ("TP", "FN")))
    write_html(
        f"<p><b>{here}</b> catches {counted(won, 'defects')} that <b>{there}</b> misses, and "
        f"misses {count(lost)} that it catches. Compared on {counted(found.shared, 'photos')} of "
        f"{', '.join(roles)} that both hold byte for byte.</p>"
    )
    role = "test" if "test" in roles else "tune"
    rows = [
        ("", f"{capital(OUTCOME_NAMES[outcome])}s", [count(a), count(b)])
        for outcome, (a, b) in found.counts.items()
    ]
    verdicts = [
        _verdict(other, indicator_to_certify(other), role, recall),
        _verdict(audit, chosen, role, recall),
    ]
    rows.append(("", f"Its indicator, on {role}", verdicts))
    left, right = st.columns([1, 1], gap="large")
    left.html(table("numbers pair", rows, ["", there, here]))
    with right:
        _changed_parts(audit, other, found.changed)


def _verdict(audit: Audit, chosen: ChosenIndicator, role: str, recall: float) -> str:
    judged = cached_verdict(audit, role, chosen.indicator, chosen.strength, recall)
    sentence = escape(verdict_sentence(judged, chosen.indicator))
    return f"{badge(judged, role, chosen.indicator)}<small>{sentence}</small>"


def _changed_parts(audit: Audit, other: Audit, changed: pd.DataFrame) -> None:
    if changed.empty:
        write_html(quiet("No photo changed side."))
        return
    tally = changed["change"].value_counts()
    which = st.selectbox(
        "Photos that changed side",
        [name for name in (*CHANGES.values(), RELABELLED) if name in tally],
        format_func=lambda name: f"{capital(name)} ({tally[name]:,})",
        key="changed-side",
    )
    rows = changed[changed["change"] == which]
    with st.container(key="changed-parts"):
        for row in rows.head(LISTED).itertuples():
            label = f"{row.path} – {row.kind}" if row.kind else row.path
            link(escape_markdown(label), PARTS, part=row.sample_id, role=row.role)
    if len(rows) > LISTED:
        st.caption(f"{len(rows) - LISTED:,} more.")
    signed = {  # what they were measured on, in every row
        f"{name}_{end}": value
        for end, one in (("here", audit), ("there", other))
        for name, value in (("audit", one.id), ("model_sha256", one.manifest.model.sha256))
    }
    st.download_button(
        "Download CSV",
        csv(changed.assign(**signed)),
        "changed-parts.csv",
        "text/csv",
        key="changed-csv",
    )


_compared = st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_KEY)(compare_outcomes)
