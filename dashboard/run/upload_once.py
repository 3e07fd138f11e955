"""A file dropped into the page: on disk at once, and not lost to the next one.

When the browser sends its next message, a callback or a run of the script ends wherever it is; a
second file dropped right after the first is such a message, and it still carries the choices from
before the first. So a file is taken in the script, where a run that was cut off is made again, and
what came of it is brought back until a run has reached its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from dashboard import shell
from dashboard.run import form
from trust_core.errors import TrustError

ARRIVED = "arrived"  # what was dropped in a run that has not reached its end yet, by key


@dataclass(frozen=True)
class Arrival:
    """What came of a file: its path on disk, or why it was refused.

    Attributes:
        path: what is chosen now; None when it was refused.
        refused: the reason.
        before: what was chosen before; "" = nothing.
    """

    path: str | None
    refused: TrustError | None
    before: str


def drop(
    key: str,
    label: str,
    keep: Callable[[BinaryIO, str], Path],
    endings: Sequence[str] | None = None,
    hint: str | None = None,
) -> None:
    """Draw an uploader; a file is kept, the uploader emptied, and the script run again.

    Args:
        key: of the choice; `arrival` then has it.
        label: what the uploader says.
        keep: writes a file to disk and returns what is then chosen; the same path for the same
            bytes, as it may be called twice.
        endings: file endings that the uploader takes; any when None.
        hint: one line of help.
    """
    count = f"{key}-uploads"
    number = st.session_state.get(count, 0)
    file = st.file_uploader(label, type=endings, key=f"{key}-upload-{number}", help=hint)
    if file is None:
        return
    file.seek(0)  # it may have been read in a run that was cut off
    before = form.told(key)
    try:
        arrived = Arrival(str(keep(file, file.name)), None, before)
    except TrustError as refused:
        arrived = Arrival(None, refused, before)
    st.session_state[ARRIVED] = {**st.session_state.get(ARRIVED, {}), key: arrived}
    st.session_state[count] = number + 1  # a new uploader: the bytes are on disk, not in memory
    st.rerun()


def arrival(key: str) -> Arrival | None:
    """What has just been dropped, to be chosen before its widget is drawn.

    None also when something else was chosen since.
    """
    arrived: Arrival | None = st.session_state.get(ARRIVED, {}).get(key)
    if arrived is None or form.told(key) not in (arrived.path or "", arrived.before):
        return None
    st.session_state[_problem(key)] = arrived.refused
    return arrived


def all_arrived() -> None:
    """Say that the run has reached its end: the browser has been told of all that arrived."""
    st.session_state.pop(ARRIVED, None)


def forget_problem(key: str) -> None:
    """Another choice was made: what was refused is of no interest any more."""
    st.session_state.pop(_problem(key), None)


def show_problem(key: str) -> None:
    """Draw why the last file was refused."""
    if refused := st.session_state.get(_problem(key)):
        shell.show_error(refused)


def _problem(key: str) -> str:
    return f"{key}-problem"
