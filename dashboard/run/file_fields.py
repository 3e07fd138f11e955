"""Files of the form: dropped into the page, or chosen on the server.

A file that is dropped is on disk at once, and not lost to the next one. When the browser sends its
next message, a callback or a run of the script ends wherever it is; a second file dropped right
after the first is such a message, and it still carries the choices from before the first. So a file
is taken in the script, where a run that was cut off is made again, and what came of it is brought
back until a run has reached its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from dashboard import shell
from dashboard.run import form
from dashboard.terms import explain
from trust_core.audit.options import Option
from trust_core.data import uploads
from trust_core.errors import TrustError
from trust_core.figures.words.markup import escape_markdown

FRESH = 30.0  # seconds that a list of files is kept; what is made here is in it at once
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


def choose_file(
    key: str,
    *,
    upload: str,
    hint: str,
    server: str,
    known: Callable[[], list[Path]],
    keep: Callable[[BinaryIO, str], Path],
    changed: Callable[[], None] = lambda: None,
    endings: Sequence[str] | None = None,
) -> Path | None:
    """Draw an uploader beside a list of what is on the server, which also takes a typed path.

    Args:
        key: of the choice, in the URL.
        upload: what the uploader says.
        hint: one line below it.
        server: what the list says.
        known: files or folders to offer.
        keep: writes an upload to disk and returns what is then chosen.
        changed: called when another one is chosen.
        endings: file endings that the uploader takes; any when None.

    Returns:
        The chosen path, checked; None when there is none.
    """
    if arrived := arrival(key):
        changed()
        st.session_state[key] = arrived.path  # None, or the audit would be of the choice before

    def other() -> None:
        st.session_state.pop(_problem(key), None)
        changed()

    left, right = st.columns(2, gap="large")
    with left:
        upload_once(key, upload, keep, endings, hint)
        if form.text(key):
            _remove_button(key, changed)
    with right:
        chosen = [_absolute(form.text(key))] if form.text(key) else []
        paths = [str(path) for path in _known(key, uploads.stamp(), known)]
        st.selectbox(
            server,
            list(dict.fromkeys([*chosen, *paths])),
            index=None,
            key=key,
            format_func=short,
            accept_new_options=True,
            placeholder="Choose, or type a path",
            bind="query-params",
            on_change=other,
        )
        st.caption(hint)
    show_problem(key)
    if not form.text(key):
        return None
    try:
        return uploads.server_path(form.text(key))
    except TrustError as refused:
        shell.show_error(refused)
        return None


def choose_table(option: Option, text: str, upload: str, *terms: str) -> None:
    """Draw a popover that takes one table (CSV) beside model and data; its path lives in the URL.

    Args:
        option: what it is for; its label is what the popover says.
        text: the same in a sentence.
        upload: what the uploader says: the columns.
        terms: of the glossary that the text mentions.
    """
    key, title = option.key, option.label
    if (arrived := arrival(key)) and arrived.path:
        st.query_params[key] = arrived.path
    chosen = form.text(key)
    with st.popover(f"{title}: {chosen.rpartition('/')[2]}" if chosen else title):
        st.markdown(text, help=explain(*terms))
        upload_once(key, upload, uploads.store, ["csv"])
        show_problem(key)
        if chosen:
            _remove_button(key)


def upload_once(
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
    before = form.text(key)
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
    if arrived is None or form.text(key) not in (arrived.path or "", arrived.before):
        return None
    st.session_state[_problem(key)] = arrived.refused
    return arrived


def all_arrived() -> None:
    """Say that the run has reached its end: the browser has been told of all that arrived."""
    st.session_state.pop(ARRIVED, None)


def show_problem(key: str) -> None:
    """Draw why the last file was refused, until that was read."""
    if refused := st.session_state.get(_problem(key)):
        shell.show_error(refused)
        forget = partial(st.session_state.pop, _problem(key), None)
        st.button("Leave that file out", key=f"{key}-read", on_click=forget)


def _remove_button(key: str, changed: Callable[[], None] = lambda: None) -> None:
    """The way back from a choice, whether it was dropped here or lies on the server."""
    path = form.text(key)
    st.button(
        f"Remove {escape_markdown(path.rpartition('/')[2])}",
        key=f"{key}-out",
        icon=":material/close:",
        help="From this form. What was dropped here is deleted too, unless an audit or a run needs "
        "it; other files on the server stay as they are.",
        on_click=_remove,
        args=(key, changed),
    )


@shell.callback
def _remove(key: str, changed: Callable[[], None]) -> None:
    path = form.text(key)
    form.forget(key)
    changed()
    uploads.remove(Path(path))


def short(path: str) -> str:
    """A path as short as it can be told apart: relative to the folder it was found in."""
    for folder in uploads.allowed_folders():
        if Path(path).is_relative_to(folder):
            return Path(path).relative_to(folder).as_posix()
    return path


def _absolute(typed: str) -> str:
    """A typed path as the list has it, so that it is not there twice; as typed when refused."""
    try:
        return str(uploads.server_path(typed))
    except TrustError:
        return typed


@st.cache_data(ttl=FRESH, max_entries=8, show_spinner=False)
def _known(key: str, stamp: tuple[int, ...], _known: Callable[[], list[Path]]) -> list[Path]:
    return _known()


def _problem(key: str) -> str:
    return f"{key}-problem"
