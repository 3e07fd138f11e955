"""Decide, 1: which indicator is asked about, and the seal of the images that judge it."""

import streamlit as st

from dashboard.decide.words import called, capital
from dashboard.sealed_roles import opened_sentence
from dashboard.shell import show_error
from dashboard.tradeoff.moves import chosen
from dashboard.url_state import sync_widget
from dashboard.words import HELP
from trust_core.decision.indicators.registry import available
from trust_core.decision.journal import open_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import TrustError
from trust_core.figures.elements import number
from trust_core.storage.audit_files import Audit

TEST = "test"
PREVIEW = (
    "A preview on the images for choosing: the strength and the threshold were also chosen on "
    "them, which flatters the indicator. The verdict is made on the sealed images of test."
)


def choices(audit: Audit, point: OperatingPoint) -> None:
    """Which indicator, and at which strength; both in the URL."""
    sync_widget("indicator", point.indicator)
    sync_widget("strength", point.strength)
    st.selectbox(
        "Indicator",
        available(audit),
        format_func=lambda name: capital(called(name)),
        key="indicator",
        on_change=chosen,
        args=(audit, "indicator"),
    )
    st.select_slider(
        "Adversarial strength ε",
        audit.strengths if len(audit.strengths) > 1 else (*audit.strengths, *audit.strengths),
        format_func=number,
        key="strength",
        help=HELP["eps"],
        disabled=len(audit.strengths) == 1,
        on_change=chosen,
        args=(audit, "strength"),
    )


def judged_on(audit: Audit, role: str) -> str:
    """Which images the verdict rests on."""
    return opened_sentence(audit, [role]) if role == TEST else PREVIEW


def ask_to_judge(audit: Audit) -> None:
    """Open the seal of the images that judge, on a deliberate click."""
    with st.container(border=True, key="seal-verdict"):
        sure = st.checkbox("I have chosen, and want test opened", key="verdict-sure")
        if st.button("Open the seal for the verdict", disabled=not sure, key="verdict-open"):
            try:
                open_seals(audit, [TEST], "the verdict on the indicator was looked at")
                st.rerun()
            except TrustError as problem:
                show_error(problem)
        st.caption("Opening is noted in the audit, with your name and the time.")
