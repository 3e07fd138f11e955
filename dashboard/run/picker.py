"""One file or folder: dropped into the page, or chosen on the server."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from dashboard import shell
from dashboard.run import form
from dashboard.run.upload_once import arrival, drop, forget_problem, show_problem
from trust_core.data import uploads
from trust_core.errors import TrustError

FRESH = 30.0  # seconds that a list of files is kept; what is made here is in it at once


def pick(
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

    What is dropped is written to disk at once and chosen.

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
        forget_problem(key)
        changed()

    left, right = st.columns(2, gap="large")
    with left:
        drop(key, upload, keep, endings, hint)
    with right:
        chosen = [_absolute(form.told(key))] if form.told(key) else []
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
    if not form.told(key):
        return None
    try:
        return uploads.server_path(form.told(key))
    except TrustError as refused:
        shell.show_error(refused)
        return None


def _absolute(typed: str) -> str:
    """A typed path as the list has it, so that it is not there twice; as typed when refused."""
    try:
        return str(uploads.server_path(typed))
    except TrustError:
        return typed


def short(path: str) -> str:
    """A path as short as it can be told apart: relative to the folder it was found in."""
    for folder in uploads.allowed_folders():
        if Path(path).is_relative_to(folder):
            return Path(path).relative_to(folder).as_posix()
    return path


@st.cache_data(ttl=FRESH, max_entries=8, show_spinner=False)
def _known(key: str, stamp: tuple[int, ...], _known: Callable[[], list[Path]]) -> list[Path]:
    return _known()
