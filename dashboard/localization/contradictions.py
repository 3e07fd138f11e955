"""Decisions that contradict the network's own mask: counts, and the way to the parts."""

import streamlit as st

from dashboard.localization.url_state import Asked
from dashboard.shell import link
from dashboard.words import count, of
from trust_core.decision.localization.report import (
    DEFECTIVE_EMPTY,
    GOOD_MARKED,
    Judged,
    contradictions,
)

PARTS = "pages/parts.py"
LABELS = {GOOD_MARKED: "Parts called good", DEFECTIVE_EMPTY: "Parts called defective"}


def show_contradictions(judged: Judged, asked: Asked) -> None:
    """Both kinds with their counts, each a link to its parts."""
    found, images = contradictions(judged, asked.min_area), judged.images
    number = {kind: int(flags.sum()) for kind, flags in found.items()}
    missed = int((found[GOOD_MARKED] & images.defective).sum())
    called = int(images.called.sum())
    told = {
        GOOD_MARKED: (
            f"{of(number[GOOD_MARKED], len(images.called) - called, 'parts')} called good have a "
            f"mask nevertheless; {count(missed)} of them are missed defects."
        ),
        DEFECTIVE_EMPTY: (
            f"{of(number[DEFECTIVE_EMPTY], called, 'parts')} called defective have an empty mask: "
            "nothing shows where."
        ),
    }
    for kind, label in (
        (GOOD_MARKED, "Parts called good"),
        (DEFECTIVE_EMPTY, "Parts called defective"),
    ):
        with st.container(horizontal=True, vertical_alignment="center", key=f"against-{kind}"):
            st.html(f"<p>{told[kind]}</p>", width="stretch")
            if number[kind]:
                at = {"mask": asked.threshold, "area": asked.min_area or None}
                link(label, PARTS, primary=False, contra=kind, role=asked.role, **at)
