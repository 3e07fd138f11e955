"""Decide, 1: would another layer, map, mask or strength change the verdict? Tried on demand."""

from html import escape
from typing import cast

import streamlit as st

from dashboard.cache import BACKGROUND, WORKER_LIMITS
from dashboard.chart import chart, drawing
from dashboard.shell import errors_shown
from dashboard.terms import write_html
from trust_core.decision.indicators.registry import SHIFT_NAME
from trust_core.decision.tuning.sensitivity import Sensitivity
from trust_core.decision.tuning.trial import Trial
from trust_core.figures import decide
from trust_core.figures.words.markup import quiet
from trust_core.storage.audit_files import Audit

TRIAL = "Trying every choice"
VERDICT_WORDS = {"green": "better", "amber": "cannot be told", "red": "worse"}


def show_trial(audit: Audit, role: str) -> None:
    """What trying every choice showed; before that, the way to try them."""
    wanted = f"tried {audit.id} {role}"  # trying makes indicators, which change the key
    if not st.session_state.get(wanted):
        write_html(
            quiet(
                "Every layer, map, mask, reading and strength of this audit, scored again from the "
                "stored heatmaps: up to half a minute, once. The best is chosen on the photos for "
                "choosing and held to photos that had no say."
            )
        )
        if not st.button("Try every choice", key="try-all"):
            return
    with errors_shown():
        with st.spinner("Scoring every choice …"):
            trial = _trial(audit, str(audit.folder), audit.id, role)
        if not st.session_state.get(wanted):
            if trial.columns is not None:  # what was found joins the chart
                function = "trust_core.decision.indicators.stored:add_indicators"
                BACKGROUND.call(function, audit, trial.columns, what=TRIAL, limits=WORKER_LIMITS)
            st.session_state[wanted] = True
            st.rerun()
        _show(trial)


def _show(trial: Trial) -> None:
    write_html(
        f"<p>{escape(trial.sentence)} {round(trial.better * trial.choices):,} of {trial.choices:,} "
        f"choices rank the photos for choosing better than {SHIFT_NAME}.</p>"
        + quiet(_sensitivity_sentence(trial.sensitivity))
    )
    chart(
        drawing(decide.contenders(decide.neighbour_rows(trial.sensitivity.points), "")),
        key="tried",
        alt="Lead over threshold shift, with 95 % intervals, of every choice "
        "that differs in one thing.",
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _trial(_audit: Audit, folder: str, key: str, role: str) -> Trial:
    function = "trust_core.decision.tuning.trial:try_choices"
    return cast(Trial, BACKGROUND.call(function, _audit, role, what=TRIAL, limits=WORKER_LIMITS))


def _sensitivity_sentence(found: Sensitivity) -> str:
    mine = next(point.colour for point in found.points if point.chosen)
    others = [point.colour for point in found.points if not point.chosen]
    where = "the sealed photos of test" if found.role == "test" else "the photos for choosing"
    return (
        f"On {where} the verdict of the choice is “{VERDICT_WORDS[mine]}”; "
        f"{others.count(mine):,} of {len(others):,} choices that differ in one thing share it."
    )
