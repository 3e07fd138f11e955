"""The list of audits on Home: how each stands; open, rename, delete."""

from collections.abc import Callable
from html import escape

import streamlit as st

from dashboard.shell import HOME, RUN, errors_shown, fragment
from dashboard.url_state import AUDIT
from trust_core.figures.words import numbers
from trust_core.figures.words.markup import escape_markdown
from trust_core.storage import workspace
from trust_core.storage.manifest import FINISHED, RUNNING
from trust_core.storage.workspace import DAMAGED, STOPPED, AuditEntry, workspace_folder

COLUMNS = (4, 3, 2.2, 2.6, 1.4, 1.2)
HEADS = ("Audit", "Status", "Photos", "Started", "On disk", "")
SIGNS = {FINISHED: "●", RUNNING: "◐", STOPPED: "○", DAMAGED: "✕"}  # never by colour alone
POLL_SECONDS = 2.0
SHOWN = 8


def audit_list(entries: list[AuditEntry], opened: str | None) -> None:
    """The audits, newest first; looked at again every two seconds while one of them runs."""
    st.subheader("Audits", anchor=False)
    running = any(entry.status == RUNNING for entry in entries)
    shown = st.session_state.get("all_audits") or len(entries) <= SHOWN + 2
    names = {entry.folder for entry in (entries if shown else entries[:SHOWN])}
    fragment(_rows, run_every=POLL_SECONDS if running else None)(names, running, opened)
    if not shown:
        st.button(f"Show all {numbers.count(len(entries))}", key="all_audits")


def _rows(names: set[str], running: bool, opened: str | None) -> None:
    entries = workspace.list_audits()
    if running and not any(entry.status == RUNNING for entry in entries):
        st.rerun()  # the page around has something new to show
    with st.container(key="audit-list", gap=None):
        for cell, head in zip(st.columns(COLUMNS), HEADS, strict=True):
            cell.html(f'<span class="head">{head}</span>')
        for entry in entries:
            if entry.folder in names:
                _row(entry, entry.folder == opened)
    _discarded()
    st.caption(escape_markdown(f"All audits are stored in {workspace_folder().resolve()}."))


def _discarded() -> None:
    """What was deleted a short while ago: a line each, with a way back."""
    for folder, name in workspace.discarded_audits().items():
        with st.container(key=f"gone-{folder}", horizontal=True, vertical_alignment="center"):
            st.html(
                f'<p class="quiet"><b>{escape(name)}</b> was deleted; for an hour it can be '
                "brought back.</p>",
                width="content",
            )
            if st.button("Bring it back", key=f"back-{folder}"):
                _change(workspace.bring_back, folder)
            if st.button("Delete for good", key=f"for-good-{folder}"):
                _change(workspace.delete, folder)


def _row(entry: AuditEntry, here: bool) -> None:
    with st.container(key=f"row-{entry.folder}"):
        name, status, images, started, disk, more = st.columns(COLUMNS, vertical_alignment="center")
    with name:
        if entry.status == FINISHED and not here:
            st.page_link(
                HOME, label=escape_markdown(entry.name), query_params={AUDIT: entry.folder}
            )
        elif entry.status in (RUNNING, STOPPED):
            st.page_link(RUN, label=escape_markdown(entry.name), query_params={"run": entry.folder})
        else:
            note = " <small>open</small>" if here else ""
            st.html(f'<span class="name">{escape(entry.name)}{note}</span>')
    status.html(_status(entry))
    images.html(f"<span>{numbers.count(entry.images) if entry.images else '–'}</span>")
    started.html(f"<span>{escape(numbers.moment(entry.manifest.created or '–'))}</span>")
    disk.html(f"<span>{numbers.size_text(workspace.disk_used(entry.folder))}</span>")
    with more, st.popover("Edit", key=f"edit-{entry.folder}", width="stretch"):
        _edit(entry)


def _status(entry: AuditEntry) -> str:
    text = entry.status
    if entry.status in (RUNNING, STOPPED) and entry.total:
        text += f", {numbers.count(entry.done)} of {numbers.count(entry.total)}"
    share = entry.done / entry.total if entry.total else 0
    bar = f'<progress value="{share:.3f}"></progress>' if entry.status == RUNNING else ""
    return f'<span class="status {entry.status}"><i>{SIGNS[entry.status]}</i> {text}{bar}</span>'


def _edit(entry: AuditEntry) -> None:
    name = st.text_input(
        "Name", entry.name, max_chars=workspace.LONGEST_NAME, key=f"name-{entry.folder}"
    )
    if st.button("Rename", key=f"rename-{entry.folder}"):
        _change(workspace.rename, entry.folder, name)
    sure = st.checkbox("Delete it, with all decisions noted in it", key=f"sure-{entry.folder}")
    if st.button("Delete", key=f"delete-{entry.folder}", disabled=not sure):
        _change(workspace.discard, entry.folder)


def _change(change: Callable[..., None], *arguments: str) -> None:
    """Change something on disk and show the page anew; or say why not."""
    with errors_shown():
        change(*arguments)
        if not (workspace_folder() / st.query_params.get(AUDIT, "")).is_dir():
            st.query_params.clear()
        st.rerun()
