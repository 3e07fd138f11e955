"""Parts: every image of the audit, narrowed, sorted, and opened one by one."""

from functools import partial

import streamlit as st

from dashboard.parts.grid import show_grid
from dashboard.parts.url_state import PART, read_filters, write_parts_url
from dashboard.sealed_roles import ask_to_open
from dashboard.shell import audit_page
from dashboard.url_state import read_point
from trust_core.decision.curves import roles_of
from trust_core.decision.journal import closed_seals
from trust_core.storage.audit_files import Audit


def draw(audit: Audit) -> None:
    """Draw the grid, the part that is open, or what the seal of these images is for."""
    point = read_point(audit)
    filters = read_filters(audit, point)
    sealed = closed_seals(audit, roles_of(point.role))
    if opened := st.query_params.get(PART):
        from dashboard.parts.part import show_part

        show_part(audit, point, filters, opened)
    elif sealed:
        ask_to_open(audit, sealed, "the parts were looked at")
        st.button("Back to the images for choosing", on_click=partial(write_parts_url, role=None))
    else:
        show_grid(audit, point, filters)


audit_page("Parts", draw, "parts.css")
