"""The page of one run: how far its worker is, how to stop it and to go on, and what it found."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import streamlit as st

from dashboard import shell
from dashboard.run import form
from trust_core.audit import jobs
from trust_core.audit.jobs import DONE, FAILED, RUNNING, JobState
from trust_core.cli.command import shell_command
from trust_core.errors import StoreError
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import count, counted, percent
from trust_core.messages import duration
from trust_core.storage.audit_files import open_audit
from trust_core.storage.workspace import display_name, folder_of

RUN = "run"  # in the URL: the audit folder that is being made
EVERY = timedelta(seconds=1)
LONGEST_LOG = 20_000  # characters


def run_folder(name: str) -> Path:
    """The audit folder of a run in the URL.

    Raises:
        StoreError: not a plain name, or nothing was ever started there.
    """
    return folder_of(
        name, "run", lambda folder: jobs.read_job(folder) is not None or folder.is_dir()
    )


def show_run(name: str) -> None:
    """The page of one run, whoever started it and whenever."""
    with shell.errors_shown():
        folder = run_folder(name)
        phase = jobs.state(folder).phase
        # Only a running job is looked at again and again; its end draws the page once more.
        with st.container(key="run-view"):
            shell.fragment(_view, run_every=EVERY if phase == RUNNING else None)(folder, phase)
        show_command(folder)
        again = jobs.read_job(folder)
        if again and again.arguments[:1] == ("audit",) and phase != RUNNING:
            change = "Run it again with other settings"
            st.button(change, key="again", on_click=_set_up, args=(again.arguments,))
    shell.view_link("Set up another audit", "another-audit", _leave)


def unfinished_runs() -> None:
    """A line for each run that goes on, or could: coming back to the page must not lose it."""
    for job in jobs.unfinished_jobs()[:5]:
        state, name = jobs.state(job.folder), job.folder.name
        called = escape_markdown(display_name(job.folder))
        doing = "is running" if state.phase == RUNNING else "has not finished"
        doing = "waits for its turn" if state.ahead else doing
        show_job(f"job-{name}", f"**{called}** {doing}: {_images(state)}.", open_run, name)


def open_run(name: str) -> None:
    """Show a run; the URL then says so."""
    st.query_params[RUN] = name


def _view(folder: Path, phase: str) -> None:
    state = jobs.state(folder)
    if state.phase != phase:
        st.rerun()
    name = display_name(folder)
    shell.note_in_tab(*_note(state, name))
    if phase == DONE:
        _finished(folder)
        return
    if state.ahead:
        show_running(
            folder,
            state,
            f"It waits for its turn behind {counted(state.ahead, 'jobs')}.",
            f"{name}: it begins by itself, also when this page is closed.",
        )
    elif phase == RUNNING:
        left = state.seconds_left
        show_running(
            folder,
            state,
            f"{_images(state)}." if state.total else "The model and the photos are being read.",
            f"{name}: {state.rate:.1f} photos a second, {so_far(state)}, {duration(left)} left."
            if left
            else f"{name}: it goes on when this page is closed.",
        )
    else:
        how = "Failed" if phase == FAILED else "Stopped"
        spent = f"{name}: {so_far(state)}." if state.seconds else name
        show_ended(folder, state, f"{how} after {_images(state)}.", spent)
    show_log(folder)


def _finished(folder: Path) -> None:
    manifest = open_audit(folder).manifest
    counts = manifest.counts
    passed = counts.fn + counts.tn
    shell.show_finding(
        f"Finished: {counted(counts.fn, 'missed photos')} among "
        f"{counted(passed, 'photos')} called good.",
        f"{display_name(folder)}: {counted(counts.tp, 'defects')} caught, "
        f"{counted(counts.fp, 'false alarms')}. {counted(manifest.timings.images, 'photos')} in "
        f"{duration(manifest.timings.seconds)}.",
    )
    st.progress(1.0)
    with st.container(horizontal=True):
        shell.link(
            "See how many it can catch", "pages/tradeoff.py", primary=True, audit=folder.name
        )
        shell.link("Look at the parts", "pages/parts.py", audit=folder.name)
    show_log(folder)


def _note(state: JobState, name: str) -> tuple[str, str]:
    """What the tab says while the reader is elsewhere: title and sign."""
    if state.phase == RUNNING:
        share = f"{percent(state.done / state.total)} " if state.total else ""
        return f"{share}{name}", ""
    words, sign = {DONE: ("Finished", "✅"), FAILED: ("Failed", "❌")}.get(
        state.phase, ("Stopped", "⏸️")
    )
    return f"{words}: {name}", sign


def so_far(state: JobState) -> str:
    """What a job has taken, all its runs together: one that was resumed tells the whole."""
    return f"{duration(state.seconds)} so far"


def _images(state: JobState) -> str:
    if not state.total:
        return "no photo done yet"
    return f"{count(state.done)} of {counted(state.total, 'photos')} done"


@shell.callback
def _set_up(arguments: Sequence[str]) -> None:
    """The form, filled in as it was for a command."""
    query = form.query_of(arguments)  # first: a command of long ago may say what is no option now
    st.query_params.clear()
    st.query_params.update(query)


def _leave() -> None:
    st.query_params.pop(RUN, None)


def show_job(key: str, text: str, show: Callable[[str], None], name: str) -> None:
    """A job in one line, with a link that shows it."""
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        st.markdown(text, width="content")
        shell.view_link("Show it", f"show-{key}", show, name)


def show_command(folder: Path) -> None:
    """The command that the worker of a folder runs."""
    job = jobs.read_job(folder)
    if job is not None:
        st.caption("The command; in a terminal it does the same")
        st.code(shell_command(job.arguments), language="bash", wrap_lines=True)


def show_running(folder: Path, state: JobState, sentence: str, detail: str) -> None:
    """A job that runs: a sentence, its bar, and a button that stops it."""
    shell.show_finding(sentence, detail)
    _bar(state)
    if st.button("Stop", key="stop"):
        with st.spinner("Stopping …"):
            jobs.cancel(folder)
        st.rerun()


def show_ended(folder: Path, state: JobState, sentence: str, detail: str) -> None:
    """A job that failed or was stopped: why, and a button that goes on."""
    shell.show_finding(sentence, detail)
    _bar(state)
    failed = state.phase == FAILED
    if failed:
        shell.show_error(StoreError(state.sentence))
    else:
        st.caption(state.sentence)
    if jobs.read_job(folder) is not None:
        label = "Try again" if failed else "Resume"
        st.button(label, key="resume", type="primary", on_click=_resume, args=(folder,))


def show_log(folder: Path) -> None:
    """The end of what the worker said, folded."""
    with st.expander("Log of this run"):
        st.code(jobs.log(folder)[-LONGEST_LOG:] or "Nothing yet.", language=None, wrap_lines=True)


def _bar(state: JobState) -> None:
    st.progress(state.done / state.total if state.total else 0.0)


@shell.callback
def _resume(folder: Path) -> None:
    jobs.resume(folder)
