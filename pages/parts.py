"""Parts: every image of the audit, narrowed, sorted, and opened one by one."""

import streamlit as st

from trust_core.dashboard.address import read_point
from trust_core.dashboard.frame import page
from trust_core.dashboard.parts.address import PART, read_filters, write
from trust_core.dashboard.parts.grid import STYLE, show_grid
from trust_core.dashboard.seals import ask_to_open, closed
from trust_core.decision.curves import roles_of

audit = page("Parts")
assert audit is not None  # `page` stops without one
st.html(STYLE)
point = read_point(audit)
filters = read_filters(audit, point)
sealed = closed(audit, roles_of(point.role))
if opened := st.query_params.get(PART):
    from trust_core.dashboard.parts.part import (
        show_part,  # brings torch, which the grid has no use for
    )

    show_part(audit, point, filters, opened)
elif sealed:
    ask_to_open(audit, sealed, "the parts were looked at")
    st.button("Back to the images for choosing", on_click=write, kwargs={"role": None})
else:
    show_grid(audit, point, filters)
