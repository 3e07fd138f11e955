"""Labels that somebody calls wrong: the form on an open part, what was said, taking it back."""

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.csv_export import audit_csv
from dashboard.parts import sentences
from dashboard.parts.url_state import LABELS, write_parts_url
from dashboard.person import ask_person, signature
from dashboard.shell import callback, errors_shown
from dashboard.terms import write_html
from trust_core.decision.journal import Dispute, dispute, disputes, keep_label
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import moment
from trust_core.storage.audit_files import Audit

LONGEST_NOTE = 500


def dispute_button(audit: Audit, row: Mapping[str, Any]) -> None:
    """A form that notes why the label of a part is wrong. The label itself stays."""
    with st.popover("This label is wrong", icon=":material/flag:", width="content"):
        ask_person("dispute")
        with st.form(f"dispute-{row['sample_id']}", border=False, clear_on_submit=True):
            note = st.text_area(
                f"It is labelled {escape_markdown(sentences.label_text(row))}. What is it really?",
                key=f"dispute-note-{row['sample_id']}",
                placeholder="for example: a scratch at the lower edge",
                max_chars=LONGEST_NOTE,
            )
            st.caption("Noted with your name and the time. The label is not changed.")
            sent = st.form_submit_button("Note it", type="primary")
        if sent and note.strip():
            with errors_shown():
                dispute(audit, str(row["sample_id"]), note, signature())
                st.rerun()
        elif sent:
            write_html('<p class="parts-note">Say in a few words what is wrong with it.</p>')


def show_disputes(audit: Audit, sample_id: str) -> None:
    """What was said of the label of this part."""
    found = [entry for entry in disputes(audit) if entry.sample_id == sample_id]
    for entry in found:
        write_html(
            '<p class="part-remark"><b>This label was called wrong</b> on '
            f"{escape(moment(entry.when))} by {escape(entry.who)}: "
            f"“{escape(entry.note)}”. It still counts as it is; the review of the labels shows "
            "what would change.</p>"
        )
    if found:
        with st.container(horizontal=True):
            st.button("Take back", key="dispute-back", on_click=take_back, args=(audit, sample_id))
            st.button(
                "Review of the labels",
                key="dispute-review",
                on_click=lambda: write_parts_url(**{LABELS: 1, "part": None, "view": None}),
            )


@callback
def take_back(audit: Audit, sample_id: str) -> None:
    """The label is right after all; both stay in the journal."""
    keep_label(audit, sample_id, signature())


def disputes_csv(audit: Audit) -> bytes:
    """All disputed labels with the part they are about."""
    table = pd.DataFrame(map(asdict, disputes(audit)), columns=list(Dispute.__annotations__))
    parts = audit.query(
        'SELECT sample_id, path, label, kind, "group", outcome, p_defect AS p FROM samples '
        "WHERE list_contains($1, sample_id)",
        [table["sample_id"].tolist()],
    )
    found = parts.merge(table, on="sample_id").sort_values(["when", "sample_id"])
    return audit_csv(audit, found)
