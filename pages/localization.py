"""Localization: do the predicted masks, or the heatmaps, mark the defects?"""

from functools import partial

import streamlit as st

from dashboard.localization import sentences
from dashboard.localization.compare import choose_marked, show_mask_comparison
from dashboard.localization.controls import choices, explanation_note, sliders
from dashboard.localization.metrics import (
    draw_sizes,
    draw_thresholds,
    drawn_thresholds,
    masks_at,
    metrics_at,
    swept_metrics,
)
from dashboard.localization.pixel_counting import count_first
from dashboard.localization.url_state import read_mask_settings, write_masks_url
from dashboard.localization.wrong_masks import show_contradictions, show_worst
from dashboard.sealed_roles import ask_to_open, opened_sentence
from dashboard.shell import audit_page, fragment, marks_defects, show_finding
from dashboard.terms import write_html
from trust_core.decision.curves import roles_of
from trust_core.decision.journal import closed_seals
from trust_core.decision.localization.pixel_counts import MASK_HEAD, read_counts, sources
from trust_core.figures.words.markup import section
from trust_core.storage.audit_files import Audit


@fragment
def show(audit: Audit) -> None:
    """All that a control moves; a move runs this alone, on counts that are already there."""
    settings = read_mask_settings(audit)
    roles = roles_of(settings.role)
    if sealed := closed_seals(audit, roles):
        ask_to_open(audit, sealed, "the localization was looked at")
        st.button("Back to the photos for choosing", on_click=partial(write_masks_url, role=None))
        return
    counts = read_counts(audit, settings.source)
    if counts is None:
        count_first(audit, settings.source)
        return
    masks, found = masks_at(audit, counts, settings), metrics_at(audit, counts, settings)
    basis = f"{sentences.basis(masks, found, settings)} {opened_sentence(audit, roles)}"
    show_finding(sentences.masks_sentence(found, settings), basis.strip())
    if note := explanation_note(settings, mask_head=MASK_HEAD in sources(audit)):
        write_html(f'<p class="explained">{note}</p>')
    write_html(sentences.metric_cards(found, settings))
    write_html(f'<p class="quiet">{sentences.why_they_differ(masks.truth)}</p>')

    left, middle, right = st.container(key="beside-localization").columns([5, 5, 3], gap="large")
    with left:
        legend = "Found defects, with counts; the bar is the 95 % interval."
        write_html(section("By size of the defect", legend))
        draw_sizes(found, settings)
    with middle:
        swept, thresholds = (
            swept_metrics(audit, counts, settings),
            drawn_thresholds(audit, settings),
        )
        legend = f"{sentences.best_sentence(swept, thresholds)} Click a line to go there.".strip()
        write_html(section("At every threshold", legend))
        draw_thresholds(audit, counts, settings)
    with right:
        sliders(settings)
        choices(audit, settings)

    write_html(section("Where it goes wrong", "Each picture opens its photo."))
    show_worst(audit, masks, settings)

    if settings.source == MASK_HEAD:
        legend = (
            "Does the mask see what the decision missed? The mask’s alarm is also an indicator, on "
            "Trade-off and Decide."
        )
        write_html(section("Decisions that contradict their own mask", legend))
        show_contradictions(masks, settings)

    write_html(section("Beside another audit", "Two networks on the same photos."))
    if other := choose_marked(audit):
        show_mask_comparison(audit, counts, other, settings)


def draw(audit: Audit) -> None:
    """Draw the page, or say what it needs."""
    if marks_defects(audit):
        show(audit)
    else:
        show_finding(
            "The data of this audit marks no defect, so there is nothing to compare with.",
            "Audit a data set with a mask for each defective part: beside its photo, in a folder "
            "ground_truth, or named in a table.",
        )


audit_page("Localization", draw, "parts.css", "localization.css")
