"""Parts: every image of the audit, narrowed, sorted, and opened one by one."""

from functools import partial

import streamlit as st

from dashboard.cache import WORKER
from dashboard.parts.grid import show_grid
from dashboard.parts.label_review import show_label_review
from dashboard.parts.part import show_part
from dashboard.parts.url_state import LABELS, LOOK, PART, read_filters, write_parts_url
from dashboard.placeholder import placeholder
from dashboard.sealed_roles import ask_to_open
from dashboard.shell import audit_page
from dashboard.url_state import read_point
from trust_core.decision.curves import roles_of
from trust_core.decision.journal import closed_seals
from trust_core.storage.audit_files import Audit


def draw(audit: Audit) -> None:
    """Draw the grid, the open part, the review of labels, or what the seal of these is for."""
    WORKER.start()  # it loads what draws a part while one is being chosen
    point = read_point(audit)
    filters = read_filters(audit, point)
    sealed = closed_seals(audit, roles_of(point.role))
    opened, labels = st.query_params.get(PART), st.query_params.get(LABELS)
    with placeholder("parts-view", (audit.key, opened, labels, st.query_params.get(LOOK)))():
        if opened:
            show_part(audit, point, filters, opened)
        elif sealed:
            ask_to_open(audit, sealed, "the photos were looked at")
            st.button(
                "Back to the photos for choosing", on_click=partial(write_parts_url, role=None)
            )
        elif labels:
            show_label_review(audit, point)
        else:
            show_grid(audit, point, filters)


audit_page("Parts", draw, "parts.css")
