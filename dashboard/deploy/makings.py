"""Files that are made on demand, beside the page: a button, then a wait, then a download."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st
from cachetools import LRUCache

from dashboard.shell import fragment, show_error
from dashboard.terms import write_html
from trust_core.errors import TrustError
from trust_core.figures.words.markup import quiet
from trust_core.figures.words.numbers import size_text

POLL_SECONDS = 0.7
KEPT = 8  # files in memory, of all sessions together

_lock = threading.Lock()


@dataclass(frozen=True)
class Making:
    """A file that can be made.

    Attributes:
        key: of what it is made from: other content is another key.
        name: of the element, a part of its keys.
        title: what it is.
        sentence: what it is for.
        button: what makes it.
        file: its name.
        mime: its type.
        make: makes it; runs in a thread of its own.
    """

    key: str
    name: str
    title: str
    sentence: str
    button: str
    file: str
    mime: str
    make: Callable[[], bytes]


def show_making(making: Making) -> None:
    """The card of a file: what it is, and the button, the wait or the download."""
    with st.container(border=True, key=f"making-{making.name}", height="stretch"):
        write_html(f"<h3>{making.title}</h3>{quiet(making.sentence)}")
        begun = _begun(making.key)
        if begun is not None and not begun.done():
            fragment(_wait, run_every=POLL_SECONDS)(making)
        else:
            _settled(making, begun)


def made(making: Making) -> bytes | None:
    """The file, if it is made already."""
    begun = _begun(making.key)
    if begun is None or not begun.done() or begun.exception() is not None:
        return None
    return begun.result()


def is_settled(making: Making) -> bool:
    """Whether it is made, or has failed."""
    begun = _begun(making.key)
    return begun is None or begun.done()


def has_failed(making: Making) -> bool:
    """Whether making it failed."""
    begun = _begun(making.key)
    return begun is not None and _failed(begun)


def begin(making: Making) -> None:
    """Begin to make it, unless that has begun."""
    with _lock:
        if making.key not in _files() or _failed(_files()[making.key]):
            _files()[making.key] = _pool().submit(making.make)


def _wait(making: Making) -> None:
    begun = _begun(making.key)
    if begun is None or begun.done():
        st.rerun()
    write_html('<p class="making" role="status"><i></i>Being made; the page goes on meanwhile.</p>')


def _settled(making: Making, begun: "Future[bytes] | None") -> None:
    if begun is not None and not _failed(begun):
        content = begun.result()
        st.download_button(
            f"Download ({size_text(len(content))})",
            content,
            making.file,
            making.mime,
            key=f"take-{making.name}",
            on_click="ignore",
            type="primary",
        )
        return
    if begun is not None:
        problem = begun.exception()
        if not isinstance(problem, TrustError):
            begun.result()  # the program's own fault: as any other
        else:
            show_error(problem)
    if st.button(making.button, key=f"make-{making.name}"):
        begin(making)
        st.rerun()


def _failed(begun: "Future[bytes]") -> bool:
    return begun.done() and begun.exception() is not None


def _begun(key: str) -> "Future[bytes] | None":
    with _lock:
        return _files().get(key)


@st.cache_resource(show_spinner=False)
def _files() -> "LRUCache[str, Future[bytes]]":
    return LRUCache(KEPT)


@st.cache_resource(show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="deploy")
