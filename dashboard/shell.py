"""The frame that every page stands in: theme, top bar, which audit is open, the finding, errors.

A page may be the very first request to a fresh server, so `page` sets everything up by itself.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, ParamSpec

import streamlit as st

from dashboard import access, terms
from dashboard.cache import BY_KEY, warm_worker
from dashboard.glossary import TERMS
from dashboard.tour import STOPS, TOUR, current_stop, leave_tour
from dashboard.url_state import AUDIT, link_query, sync_widget
from dashboard.wording import page_text
from trust_core.decision.localization.pixel_counts import has_truth
from trust_core.errors import StoreError, TrustError
from trust_core.figures.words.markup import bold_numbers
from trust_core.figures.words.numbers import counted
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.event_log import write_fault
from trust_core.storage.manifest import RUNNING
from trust_core.storage.memory_cache import freeze_loaded, trim_heap

PRODUCT = "Second Look"
STATIC = Path(__file__).parents[1] / "static"
ICON = str(STATIC / "icon.png")
HOME, RUN, LOCALIZATION = "app.py", "pages/run.py", "pages/localization.py"
PARTS = "pages/parts.py"
PAGES = {  # file: what the link says
    HOME: "Home",
    "pages/tradeoff.py": "Trade-off",
    PARTS: "Parts",
    "pages/decide.py": "Decide",
    LOCALIZATION: "Localization",
    "pages/deploy.py": "Deploy",
    RUN: "Run",
}
LAST_OPENED, SWITCHER, PROBLEM = "last_opened", "open_audit", "problem"
FAULT = "Uncaught app execution"  # how Streamlit, too, begins what it logs of one

Given = ParamSpec("Given")


class Unfinished(StoreError):
    """The audit is still running, or was stopped."""


class ProgramFault(TrustError):
    """Something that only whoever writes the program can mend."""


def audit_page(title: str, draw: Callable[[Audit], None], *styles: str) -> None:
    """Set up and draw a page that shows an audit: the one that the URL names.

    Without an audit in the URL it is the one this session opened last, the only one, the demo, or
    the newest. When none can be opened, the page says why and where to go.

    `styles` are style sheets in `STATIC`, after the frame's.
    """
    with errors_shown():
        audit, problem = _open_page(title, styles)
        if audit:
            draw(audit)
            warm_worker()
            return
        if problem:
            show_error(problem)
        else:
            show_finding(
                "No audit is open yet.", "This page shows what an audit found. Open one first."
            )
        with st.container(horizontal=True):
            link("Go to Home", HOME, audit=None)
            if isinstance(problem, Unfinished):
                link("See how it stands", RUN, audit=None, run=st.query_params.get(AUDIT))
            else:
                link("Audit your own model", RUN, audit=None)


def page(title: str, draw: Callable[[Audit | None], None], *styles: str) -> None:
    """Set up and draw a page that has something to say without an audit too; as `audit_page`."""
    with errors_shown():
        audit, problem = _open_page(title, styles)
        if problem:
            show_error(problem)
        draw(audit)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show what goes wrong where it does, and let the page live on: all is drawn inside of this.

    What fails because the open audit was deleted or moved meanwhile says so; a fault of the program
    says that it is one, and the terminal has the whole story. Streamlit's own box shows neither.
    """
    before = st.session_state.pop(PROBLEM, None)  # of the callback that led here
    if before:
        show_error(before)
    try:
        yield
    except Exception as fault:
        problem = _problem_of(fault)
        if str(problem) != str(before):
            show_error(problem)


def fragment(
    draw: Callable[Given, None], run_every: float | timedelta | None = None
) -> Callable[Given, None]:
    """`st.fragment`, with its errors shown; it runs alone, without the page around it.

    An audit that it draws may have gone since; what is in memory of it is none.
    """

    @wraps(draw)
    def shown(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with errors_shown():
            terms.begin_fragment(draw.__qualname__)
            for given in args:
                if isinstance(given, Audit):
                    workspace.folder_of(given.folder.name)
            draw(*args, **kwargs)

    return st.fragment(shown, run_every=run_every)


def callback(change: Callable[Given, None]) -> Callable[Given, None]:
    """A callback of a widget whose error is shown by the run that follows it."""

    @wraps(change)
    def tried(*args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            change(*args, **kwargs)
        except Exception as fault:
            st.session_state[PROBLEM] = _problem_of(fault)

    return tried


def _problem_of(fault: Exception) -> TrustError:
    """What to tell of it; what is the program's own fault goes to the log, whole."""
    try:
        if name := st.query_params.get(AUDIT):
            open_audit(workspace.folder_of(name))
    except TrustError as gone:  # whatever else failed, failed because of this
        return gone
    if isinstance(fault, TrustError):
        return fault
    if isinstance(fault, OSError) and fault.filename:
        return StoreError(
            f"{fault.filename} cannot be read or written: {fault.strerror or fault}. "
            "Put it back where it was, or mend that, and load this page again."
        )
    logging.getLogger(__name__).error(FAULT, exc_info=fault)
    number = write_fault(fault, audit=st.query_params.get(AUDIT))
    return ProgramFault(
        f"This part of the page failed, by a fault of the program ({type(fault).__name__}). No "
        f"audit is harmed. Load the page again; if it fails again, report it as {number}: the log "
        "of the workspace tells the whole story."
    )


def show_finding(sentence: str, detail: str = "") -> None:
    """The one sentence on top of a page: the finding in words with its counts, numbers marked."""
    show_finding_html(bold_numbers(sentence), detail)


def show_finding_html(sentence: str, detail: str = "") -> None:
    """`show_finding` of a sentence that is HTML already."""
    below = f"<p>{escape(detail)}</p>" if detail else ""
    terms.write_html(f'<div class="finding"><h1>{sentence}</h1>{below}</div>')


def show_error(problem: TrustError) -> None:
    """A problem the reader can do something about; the page lives on."""
    kinds = {Unfinished: "problem unfinished", ProgramFault: "problem fault"}
    kind = kinds.get(type(problem), "problem")
    st.html(f'<div class="{kind}" role="alert"><p>{escape(page_text(problem))}</p></div>')


def link(
    label: str,
    file: str,
    *,
    primary: bool = False,
    query: Mapping[str, object] | None = None,
    **changes: object,
) -> None:
    """A link to a page that keeps the open audit and operating point.

    `file` is a key of `PAGES`; `query` and `changes` are query parameters to change, None leaves
    one out.
    """
    kind = "primary" if primary else "secondary"
    slug = Path(file).stem
    with st.container(key=f"go-{kind}-{slug}-{_slug(label)}", width="content"):
        st.page_link(file, label=label, query_params=link_query(**dict(query or {}), **changes))


def view_link(label: str, key: str, show: Callable[..., None], *given: object) -> None:
    """What shows another view of the same page, drawn as a link: a button that changes the URL.

    A link to the page itself would leave the browser's address as it was.
    """
    with st.container(key=f"view-{key}", width="content"):
        st.button(label, type="tertiary", key=key, on_click=show, args=given)


def note_in_tab(title: str, sign: str = "") -> None:
    """Say something where the browser shows its tabs, for who is looking elsewhere.

    `sign` is an emoji in the place of the icon; "" leaves that.
    """
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=sign or ICON)


@st.cache_resource(show_spinner=False)
def component(
    name: str, html: str = "<span></span>", *, isolated: bool = False
) -> Callable[..., Any]:
    """A component of our own: its script is `NAME.js` in `STATIC`, its style that of the page."""
    script = (STATIC / f"{name}.js").read_text(encoding="utf-8")
    return st.components.v2.component(
        f"trust_core.{name}", html=html, js=script, isolate_styles=isolated
    )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def marks_defects(audit: Audit) -> bool:
    """Whether the data of an audit has true masks."""
    return has_truth(audit)


def _open_page(title: str, styles: Sequence[str]) -> tuple[Audit | None, TrustError | None]:
    """Set the page up, with the open audit in the URL; the audit, or why it cannot be opened."""
    st.set_page_config(
        page_title=f"{title} · {PRODUCT}",
        page_icon=ICON,
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    if not access.is_guarded():
        show_error(StoreError("Anybody could read along here; start it with: python -m dashboard."))
        st.stop()
    terms.begin_page()
    trim_heap()  # what the page before needed
    freeze_loaded()
    for style in ("frame.css", *styles):
        st.html(STATIC / style)
    finished = workspace.finished_audits()
    name = st.query_params.get(AUDIT) or _usual(finished)
    audit, problem = _open(name)
    _top_bar(title, finished, name if audit else None, masks=bool(audit and marks_defects(audit)))
    if audit:
        if audit.folder.name == workspace.DEMO:
            _tour_stop(title)
        st.session_state[LAST_OPENED] = name
        if st.query_params.get(AUDIT) != audit.folder.name:
            st.query_params[AUDIT] = audit.folder.name
    return audit, problem


def _usual(finished: Collection[str]) -> str | None:
    known = (st.session_state.get(LAST_OPENED), workspace.DEMO, *finished)
    return next((name for name in known if name in finished), None)


def _open(name: str | None) -> tuple[Audit | None, TrustError | None]:
    if name is None:
        return None, None
    try:
        folder = workspace.folder_of(name)
        entry = workspace.audit_entry(folder)
        if entry.status == RUNNING:
            images = counted(entry.total, "photos") if entry.total else "its photos"
            raise Unfinished(
                f"{entry.name} is still running: {entry.done:,} of {images} are done. "
                "What it found appears here when it has finished."
            )
        if entry.status == workspace.STOPPED:
            raise Unfinished(
                f"{entry.name} was stopped before it finished; resume it to see what it found."
            )
        return open_audit(folder), None
    except TrustError as problem:
        return None, problem


def _top_bar(title: str, finished: Mapping[str, str], name: str | None, *, masks: bool) -> None:
    with st.container(
        key="topbar", horizontal=True, vertical_alignment="center", gap="medium", wrap=False
    ):
        with st.container(key="brand", width="content"):
            st.page_link(HOME, label=PRODUCT, query_params=link_query())
        with st.container(key="nav", horizontal=True, gap="xsmall", width="stretch"):
            for file, label in PAGES.items():
                if file == LOCALIZATION and not masks and label != title:  # nothing to see there
                    continue
                here = "-here" if label == title else ""
                with st.container(key=f"nav-{Path(file).stem}{here}", width="content"):
                    st.page_link(file, label=label, query_params=link_query())
        with st.popover("Glossary", type="tertiary", width="content", key="words"):
            words = "".join(f"<dt>{t.name}</dt><dd>{t.meaning}</dd>" for t in TERMS.values())
            st.html(f'<dl class="words">{words}</dl>')
        if finished:
            sync_widget(SWITCHER, name)
            st.selectbox(
                "Open audit",
                list(finished),
                format_func=finished.__getitem__,
                key=SWITCHER,
                on_change=_switch,
                label_visibility="collapsed",
                placeholder="Choose an audit",
                width=240,
            )


def _tour_stop(title: str) -> None:
    """The stop of the tour that this page is, when somebody takes it."""
    number = current_stop(next(file for file, label in PAGES.items() if label == title))
    if number is None:
        return
    with st.container(key="tour", border=True):
        words = escape(STOPS[number - 1].text)
        st.html(f'<p class="tour"><b>Stop {number} of {len(STOPS)}</b> {words}</p>')
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            last = number == len(STOPS)
            if last:
                link("Audit your own model", RUN, primary=True)
            else:
                stop = STOPS[number]
                link(f"Next: {stop.name}", stop.page, primary=True, query={TOUR: number + 1})
            words = "End the tour" if last else "Skip the tour"
            st.button(words, key="tour-end", on_click=leave_tour)


def _switch() -> None:
    """Open the chosen audit; point, part and filters of another one would mean nothing here."""
    for key in [k for k in st.query_params if k != AUDIT]:
        del st.query_params[key]
    st.query_params[AUDIT] = st.session_state[SWITCHER]


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower())
