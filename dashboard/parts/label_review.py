"""The labels under review: called wrong, what that changes, and those most worth checking."""

from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.csv_export import csv
from dashboard.parts import sentences
from dashboard.parts.disputes import disputes_csv, take_back
from dashboard.parts.tiles import tile
from dashboard.parts.url_state import LABELS, write_parts_url
from dashboard.shell import PARTS, link, show_finding
from dashboard.terms import write_html
from trust_core.decision.journal import disputes
from trust_core.decision.label_review import (
    LabelledResult,
    corrected_ids,
    corrected_table,
    labels_to_check,
    recount,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures.thumbnails import thumbnails
from trust_core.figures.words.markup import escape_markdown, section
from trust_core.figures.words.numbers import capital, counted
from trust_core.figures.words.point import caught_sentence
from trust_core.figures.words.verdict import badge, verdict_sentence
from trust_core.storage.audit_files import Audit

RECOUNT = "labels-recount"
NEXT = (
    "Labels are never changed here. Ask for a recount to see what the audit would say with these "
    "turned, or download the corrected labels and audit again: the model is not run anew."
)
FIRST = "Open a photo whose label looks wrong, and say so there: it is noted, and listed here."


def show_label_review(audit: Audit, point: OperatingPoint) -> None:
    """Draw the list of wrong labels, the recount on request, and the labels to check first."""
    st.button(
        "All photos",
        key="labels-back",
        icon=":material/grid_view:",
        on_click=partial(write_parts_url, **{LABELS: None}),
    )
    wrong = corrected_ids(audit)
    were = "was" if len(wrong) == 1 else "were"
    show_finding(
        f"{capital(counted(len(wrong), 'labels'))} {were} called wrong.", NEXT if wrong else FIRST
    )
    if wrong:
        _called_wrong(audit)
        _what_changes(audit, point, wrong)
    _to_check(audit, point)


def _called_wrong(audit: Audit) -> None:
    write_html(section("Called wrong", "By whom, when and why. Each can be taken back."))
    entries = disputes(audit)
    table = audit.query(
        "SELECT sample_id, path, label, kind FROM samples WHERE list_contains($1, sample_id)",
        [[entry.sample_id for entry in entries]],
    ).set_index("sample_id")
    for index, entry in enumerate(entries):
        if entry.sample_id not in table.index:
            continue
        row = table.loc[entry.sample_id].to_dict()
        with st.container(key=f"called-{index}", horizontal=True, vertical_alignment="center"):
            name = escape_markdown(Path(row["path"]).name)
            link(name, PARTS, part=entry.sample_id)
            st.html(
                f'<p class="parts-note">{sentences.dispute_text(row, entry)}</p>',
                width="stretch",
            )
            st.button(
                "Take back",
                key=f"called-back-{index}",
                on_click=take_back,
                args=(audit, entry.sample_id),
            )


def _what_changes(audit: Audit, point: OperatingPoint, wrong: list[str]) -> None:
    write_html(section("What would change", "The scores stay; no model runs."))
    with st.container(horizontal=True):
        st.toggle("Recount with these labels turned", key=RECOUNT)
        st.download_button(
            "Corrected labels (CSV)",
            lambda: csv(corrected_table(audit)),
            f"{audit.folder.name}-corrected-labels.csv",
            "text/csv",
            key="labels-corrected",
            on_click="ignore",
        )
        st.download_button(
            "Labels called wrong (CSV)",
            partial(disputes_csv, audit),
            f"{audit.folder.name}-disputed-labels.csv",
            "text/csv",
            key="labels-disputed",
            on_click="ignore",
        )
    if not st.session_state.get(RECOUNT):
        return
    found = _recounted(audit, point, tuple(wrong))
    if not found.corrected:
        write_html('<p class="parts-note">None of these photos is among those chosen here.</p>')
        return
    turned = f"With {counted(found.corrected, 'labels')} turned"
    sides: Mapping[str, LabelledResult] = {"As the data says": found.before, turned: found.after}
    for column, (title, result) in zip(st.columns(2, gap="large"), sides.items(), strict=True):
        with column, st.container(border=True):
            write_html(
                f"<h3>{escape(title)}</h3>{badge(result.verdict, point.role, point.indicator)}"
                f"<p>{escape(verdict_sentence(result.verdict, point.indicator))}</p>"
                f"<p>{escape(capital(caught_sentence(result.counts)))}.</p>"
                f"{sentences.outcome_counts(result.outcomes)}"
            )


def _to_check(audit: Audit, point: OperatingPoint) -> None:
    write_html(
        section(
            "Most worth checking",
            "Labels that the detector and the second reader speak against, and those on which the "
            "two disagree with confidence. A photo that looks like the middle one of the other "
            "label has 50 % against it. A doubt is no proof: look at the photo.",
        )
    )
    doubts = _doubts(audit, point.role)
    if not doubts:
        why = (
            "This audit has no second reader to doubt labels with."
            if doubts is None
            else "Neither reader doubts a label here."
        )
        write_html(f'<p class="parts-note">{why}</p>')
        return
    pictures = thumbnails(audit, [(doubt.sample_id, doubt.path) for doubt in doubts])
    with st.container(key="labels-grid"):
        for index, (doubt, picture) in enumerate(zip(doubts, pictures, strict=True)):
            tile(
                f"doubt-{index}",
                picture,
                sentences.doubt_caption(doubt),
                f"Open photo {Path(doubt.path).name}",
                partial(write_parts_url, **{"part": doubt.sample_id, "view": None, LABELS: None}),
            )


_doubts = st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)(labels_to_check)
_recounted = st.cache_data(max_entries=16, show_spinner="Recounting ...", hash_funcs=BY_KEY)(
    recount
)
