"""A training run: how far it is, what each epoch gave, and the audit of what came out."""

import json
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import shell
from dashboard.run.progress import (
    EVERY,
    open_run,
    show_command,
    show_ended,
    show_job,
    show_log,
    show_running,
    so_far,
)
from trust_core.audit import jobs
from trust_core.audit.jobs import DONE, FAILED, RUNNING
from trust_core.cli.command import (
    network_file,
    slug,
    start_audit_of_trained,
    training_folder,
    training_state,
)
from trust_core.errors import StoreError
from trust_core.figures.words.numbers import counted, of
from trust_core.messages import duration
from trust_core.model.training.epochs import Epoch, best_epoch
from trust_core.storage.progress import PROGRESS
from trust_core.storage.workspace import NETWORKS, workspace_folder

TRAIN, NEW = "train", "new"  # in the URL: the network that is being made
SHOWN = 8  # epochs in the table, the last ones
FEWEST = 5  # photos of a label, below which a share of them or a ranking says nothing


def open_training(name: str) -> None:
    """Show a training run, or the form; the URL then says so."""
    st.query_params[TRAIN] = name


def trainings() -> None:
    """A line for each training run that goes on, or could."""
    for path in sorted((workspace_folder().resolve() / NETWORKS).glob("*.training"))[:5]:
        running = training_state(path).phase == RUNNING
        doing = "is being trained" if running else "has not finished"
        show_job(f"net-{path.stem}", f"**{path.stem}** {doing}.", open_training, path.stem)


def show_training(name: str) -> None:
    """The page of one run, whoever started it and whenever."""
    folder = training_folder(network_file(name))
    if slug(name) != name or jobs.read_job(folder) is None:
        shell.show_error(
            StoreError(f"There is no training run '{name}'; it may have been deleted.")
        )
        return
    phase = training_state(folder).phase
    with st.container(key="training-view"):
        shell.fragment(_view, run_every=EVERY if phase == RUNNING else None)(folder, phase)
    show_command(folder)
    shell.view_link("Train another", "train-another", open_training, NEW)


def _view(folder: Path, phase: str) -> None:
    state = training_state(folder)
    if state.phase != phase:
        st.rerun()
    history = _history(folder)
    if phase == DONE:
        _finished(folder, history)
        return
    if phase == RUNNING:
        left = (
            f", {so_far(state)}, {duration(state.seconds_left)} left" if state.seconds_left else ""
        )
        show_running(
            folder,
            state,
            _last(history) or "The photos are being read, and the first pass begins.",
            f"{folder.stem}: it goes on when this page is closed{left}.",
        )
    else:
        spent = f"{folder.stem}: {so_far(state)}." if state.seconds else folder.stem
        show_ended(folder, state, "Failed." if phase == FAILED else "Stopped.", spent)
    _table(history)
    show_log(folder)


def _finished(folder: Path, history: list[Epoch]) -> None:
    best = best_epoch(history)
    shell.show_finding(
        f"Trained: {_in_words(best)}.",
        f"{folder.stem}, as it was after pass {best.epoch} of {len(history)}. An audit tells "
        "what it misses, and whether that can be found.",
    )
    st.progress(1.0)
    if st.button("Audit this network", type="primary", key="audit-it"):
        with shell.errors_shown():
            out = start_audit_of_trained(folder)
            st.query_params.pop(TRAIN, None)
            open_run(out.name)
            st.rerun()
    _table(history)
    show_log(folder)


def _history(folder: Path) -> list[Epoch]:
    """What each finished epoch gave, of a run that goes on or has ended."""
    kept = folder.with_suffix(".history.csv")
    try:
        if kept.exists():
            return [Epoch(**row) for row in pd.read_csv(kept).to_dict("records")]
        written = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))["history"]
        return [Epoch(**epoch) for epoch in written]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # not written yet


def _in_words(row: Epoch) -> str:
    return (
        f"{_share(row.tune_caught, row.tune_defective, 'defective photos', 'caught')}; "
        f"{_share(row.tune_false_alarms, row.tune_good, 'good photos', 'alarmed')}"
    )


def _share(hits: int, parts: int, what: str, done: str) -> str:
    if parts < FEWEST:
        return (
            f"{counted(parts, what)} among those that choose, too few to tell how many are {done}"
        )
    return f"{of(hits, parts, what)} {done}"


def _ranking(row: Epoch) -> str:
    """How well parts are ranked; with too few of a label any ranking looks perfect."""
    if min(row.tune_defective, row.tune_good) < FEWEST:
        return "too few photos"
    return f"{row.tune_average_precision:.2f}"


def _last(history: list[Epoch]) -> str:
    return f"After pass {len(history)}: {_in_words(history[-1])}." if history else ""


def _table(history: list[Epoch]) -> None:
    """The last epochs, on the parts it does not learn from."""
    if not history:
        return
    best = best_epoch(history).epoch
    rows = history[-SHOWN:]
    st.caption("On the photos that choose the pass; the best ranking is kept")
    st.table(
        {
            "Pass": [f"{row.epoch}{', the best' * (row.epoch == best)}" for row in rows],
            "Defective photos caught": [
                f"{row.tune_caught:,} of {row.tune_defective:,}" for row in rows
            ],
            "Good photos alarmed": [
                f"{row.tune_false_alarms:,} of {row.tune_good:,}" for row in rows
            ],
            "Ranking (1 is perfect)": [_ranking(row) for row in rows],
        },
        border="horizontal",
    )
