"""Sealed images: looking at `certify` or `test` is a deliberate act, logged in the audit."""

from collections.abc import Sequence

import streamlit as st

from dashboard.shell import show_finding
from dashboard.words import ROLE_NAMES, moment
from trust_core.decision.journal import SEAL_OPENED, SEALED, entries, open_seals
from trust_core.storage.audit_files import Audit


def closed(audit: Audit, roles: Sequence[str]) -> tuple[str, ...]:
    """Those of the roles whose seal nobody has opened yet."""
    opened = {e.get("role") for e in entries(audit) if e.get("what") == SEAL_OPENED}
    return tuple(role for role in roles if role in SEALED and role not in opened)


def opened_sentence(audit: Audit, roles: Sequence[str]) -> str:
    """Who opened the seals of these roles, and when; "" for roles without one."""
    told = [
        f"{entry.get('role')} was opened on {moment(str(entry.get('when', '')))} "
        f"by {entry.get('who', 'unknown')}"
        for entry in entries(audit)
        if entry.get("what") == SEAL_OPENED and entry.get("role") in roles
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
