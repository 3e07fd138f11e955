"""Localization: do the predicted masks, or the heatmaps, mark the defects?"""

from functools import partial

import streamlit as st

from dashboard.localization import words
from dashboard.localization.cache import drawn_thresholds, found, judged, kept_counts, swept
from dashboard.localization.charts import draw_sizes, draw_thresholds
from dashboard.localization.compare import choose_marked, show_beside
from dashboard.localization.contradictions import show_contradictions
from dashboard.localization.controls import choices, explanation_note, sliders
from dashboard.localization.pixel_counting import count_first
from dashboard.localization.url_state import read_asked, write
from dashboard.localization.worst import show_worst
from dashboard.markup import section
from dashboard.sealed_roles import ask_to_open, opened_sentence
from dashboard.shell import audit_page, fragment, marks_defects, show_finding
from trust_core.decision.curves import roles_of
from trust_core.decision.journal import closed_seals
from trust_core.decision.localization.pixel_counts import MASK_HEAD, sources
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on counts that are already there."""
    asked = read_asked(audit)
    roles = roles_of(asked.role)
    if sealed := closed_seals(audit, roles):
        ask_to_open(audit, sealed, "the localization was looked at")
        st.button("Back to the parts for choosing", on_click=partial(write, role=None))
        return
    counts = kept_counts(audit, asked.source)
    if counts is None:
        count_first(audit, asked)
        return
    seen, told = judged(audit, counts, asked), found(audit, counts, asked)
    basis = f"{words.basis(seen, told, asked)} {opened_sentence(audit, roles)}"
    show_finding(words.finding(told, asked), basis.strip())
    if note := explanation_note(asked, mask_head=MASK_HEAD in sources(audit)):
        st.html(f'<p class="explained">{note}</p>')
    st.html(words.cards(told, asked))
    st.html(f'<p class="quiet">{words.why_they_differ(seen.truth)}</p>')

    left, middle, right = st.columns([5, 5, 3], gap="large")
    with left:
        legend = "Found defects, with counts; the bar is the 95 % interval."
        st.html(section("By size of the defect", legend))
        draw_sizes(told, asked)
    with middle:
        best = words.best_sentence(swept(audit, counts, asked), drawn_thresholds(audit, asked))
        st.html(section("At every threshold", f"{best} Click a line to go there.".strip()))
        draw_thresholds(audit, counts, asked)
    with right:
        sliders(asked)
        choices(audit, asked)

    st.html(section("Where it goes wrong", "Each picture opens its part."))
    show_worst(audit, seen, asked)

    if asked.source == MASK_HEAD:
        legend = (
            "Does the mask see what the decision missed? The mask’s alarm is also an indicator, on "
            "Trade-off and Decide."
        )
        st.html(section("Decisions that contradict their own mask", legend))
        show_contradictions(seen, asked)

    st.html(section("Beside another audit", "Two networks on the same images."))
    if other := choose_marked(audit):
        show_beside(audit, counts, other, asked)


def draw(audit: Audit) -> None:
    """Draw the page, or say what it needs."""
    if marks_defects(audit):
        show(audit)
    else:
        show_finding(
            "The data of this audit marks no defect, so there is nothing to compare with.",
            "Audit a data set with a mask for each defective part: beside its image, in a folder "
            "ground_truth, or named in a table.",
        )


audit_page("Localization", draw, "parts.css", "localization.css")
