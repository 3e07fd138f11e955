"""Sealed images: looking at `certify` or `test` is a deliberate act, logged in the audit."""

from collections.abc import Sequence

import streamlit as st

from dashboard.shell import show_finding
from dashboard.words import ROLE_NAMES, moment
from trust_core.decision.journal import open_seals, seals
from trust_core.storage.audit_files import Audit


def opened_sentence(audit: Audit, roles: Sequence[str]) -> str:
    """Who opened the seals of these roles, and when; "" for roles without one."""
    told = [
        f"{seal.role} was opened on {moment(seal.when)} by {seal.who}"
        for seal in seals(audit)
        if seal.role in roles
    ]
    return f"Sealed images: {'; '.join(told)}." if told else ""


def ask_to_open(audit: Audit, roles: Sequence[str], why: str) -> None:
    """Say what a seal is for, and open it on a deliberate click.

    Args:
        audit: the audit; the opening goes into its journal.
        roles: roles whose seal is closed.
        why: what the images would be looked at for; kept in the journal.
    """
    names = " and ".join(roles)
    show_finding(
        f"The images kept for {names} are sealed.",
        "A threshold that is chosen while looking at them proves nothing any more. Opening the "
        "seal is noted in the audit, with your name and the time, and stands on every certificate.",
    )
    for role in roles:
        st.html(f'<p class="parts-note"><b>{role}</b> – {ROLE_NAMES[role]}</p>')
    sure = st.checkbox(
        f"I want to look at the images kept for {names}, and have it noted", key="seal-sure"
    )
    if st.button("Open the seal", disabled=not sure, key="seal-open", type="primary"):
        open_seals(audit, roles, why)
        st.rerun()
