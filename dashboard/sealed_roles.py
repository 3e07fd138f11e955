"""Sealed photos: looking at `certify` or `test` is a deliberate act, logged in the audit."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import streamlit as st

from dashboard.attention import note_change
from dashboard.person import ask_person, signature
from dashboard.shell import errors_shown, show_finding
from dashboard.terms import write_html
from trust_core.decision.journal import open_seals, seals
from trust_core.figures.words.numbers import ROLE_NAMES, moment
from trust_core.storage.audit_files import Audit


def opened_sentence(audit: Audit, roles: Sequence[str]) -> str:
    """Who opened the seals of these roles, and when; "" for roles without one."""
    openings = [
        f"{seal.role} was opened on {moment(seal.when)} by {seal.who}"
        for seal in seals(audit)
        if seal.role in roles
    ]
    return f"Sealed photos: {'; '.join(openings)}." if openings else ""


def ask_to_open(audit: Audit, roles: Sequence[str], why: str) -> None:
    """Say what a seal is for, and open it on a deliberate click.

    `why`, what the images would be looked at for, is kept in the journal of the audit.
    """
    names = " and ".join(roles)
    show_finding(
        f"The photos kept for {names} are sealed.",
        "A threshold that is chosen while looking at them proves nothing any more. Opening the "
        "seal is noted in the audit, with your name and the time, and stands on every certificate.",
    )
    for role in roles:
        write_html(f'<p class="parts-note"><b>{role}</b> – {ROLE_NAMES[role]}</p>')
    sure = f"I want to look at the photos kept for {names}, and have it noted"
    seal_button("seal", sure, "Open the seal", partial(open_seals, audit, roles, why))


def seal_button(
    key: str,
    sure: str,
    button: str,
    act: Callable[..., object],
    kind: Literal["primary", "secondary"] = "primary",
) -> None:
    """A button that opens a seal by `act(who=…)`, dead until a box (`sure`) is ticked."""
    ask_person(key)
    ticked = st.checkbox(sure, key=f"{key}-sure")
    if st.button(button, disabled=not ticked, key=f"{key}-open", type=kind):
        with errors_shown():
            act(who=signature())
            note_change(key)
            st.rerun()
