"""Decide, 1: would another layer, map, mask or strength change the verdict? Tried on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

from dashboard.chart import chart
from dashboard.decide.words import called, capital
from dashboard.shell import show_error
from trust_core.errors import TrustError
from trust_core.figures import decide
from trust_core.figures.decide import Contender
from trust_core.storage.audit_files import Audit

AXES = {
    "layer": "Layer",
    "specific": "Map for one class",
    "agnostic": "Map for any class",
    "mask": "Mask of a map",
    "variant": "How the overlap is read",
    "strength": "Adversarial strength",
}
VERDICT_WORDS = {"green": "better", "amber": "not decided", "red": "worse"}


@dataclass(frozen=True)
class Tried:
    """What trying every choice showed.

    Attributes:
        choices: how many there are.
        better: share of them that rank better than threshold shift on `tune`.
        sentence: whether the best of them is worth taking.
        steady: how many choices that differ in one thing share the verdict.
        rows: those choices, axis by axis.
    """

    choices: int
    better: float
    sentence: str
    steady: str
    rows: tuple[Contender, ...]


def show_tried(audit: Audit, role: str) -> None:
    """What trying every choice showed; before that, the way to try them."""
    wanted = f"tried {audit.id} {role}"  # trying writes indicators, which change the key
    if not st.session_state.get(wanted):
        st.html(
            '<p class="quiet">Every layer, map, mask, reading and strength of this audit, scored '
            "again from the stored heatmaps: up to half a minute, once. The best is chosen on the "
            "images for choosing and held to images that had no say.</p>"
        )
        if not st.button("Try every choice", key="try-all"):
            return
    try:
        with st.spinner("Scoring every choice …"):
            found = _tried(audit, audit.id, role)
    except TrustError as problem:
        show_error(problem)
        return
    if not st.session_state.get(wanted):
        st.session_state[wanted] = True
        st.rerun()  # the indicators it found join the chart
    st.html(
        f"<p>{escape(found.sentence)} {_better(found)}</p>"
        f'<p class="quiet">{escape(found.steady)}</p>'
    )
    figure = decide.contenders(found.rows, "")
    chart(
        figure.to_json(validate=False),
        int(figure.layout.height),
        key="tried",
        alt="Lead over just lowering the decision threshold, with 95 % intervals, of every choice "
        "that differs in one thing.",
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _tried(_audit: Audit, key: str, role: str) -> Tried:
    # Brings torch, which the rest of the page has no use for.
    from trust_core.decision.tuning.autotune import autotune, tune
    from trust_core.decision.tuning.candidates import rescore_all
    from trust_core.decision.tuning.sensitivity import sensitivity

    if role == "test":  # its seal is open: the best overlaps become indicators
        told = autotune(_audit)
        near = told["sensitivity"][role]
        count, better, said = (
            told[name] for name in ("choices", "better_than_threshold_shift", "sentence")
        )
        points = near["points"]
    else:
        rescored = rescore_all(_audit)
        tuned = tune(rescored)
        count, said = len(tuned.auroc), tuned.sentence
        better = float((tuned.auroc > tuned.threshold_shift).mean())
        points = [vars(point) for point in sensitivity(rescored, tuned.choice, role).points]
    return Tried(count, better, _plain(said), _steady(points, role), tuple(_rows(points)))


def _better(found: Tried) -> str:
    return (
        f"{round(found.better * found.choices):,} of {found.choices:,} choices rank the images for "
        "choosing better than just lowering the decision threshold."
    )


def _steady(points: Sequence[dict[str, Any]], role: str) -> str:
    mine = next(point["colour"] for point in points if point["chosen"])
    others = [point["colour"] for point in points if not point["chosen"]]
    where = "the sealed images of test" if role == "test" else "the images for choosing"
    return (
        f"On {where} the verdict of the choice is “{VERDICT_WORDS[mine]}”; "
        f"{others.count(mine):,} of {len(others):,} choices that differ in one thing share it."
    )


def _plain(sentence: str) -> str:
    return sentence.replace("threshold shift", "just lowering the decision threshold")


def _rows(points: Sequence[dict[str, Any]]) -> list[Contender]:
    rows: list[Contender] = []
    for axis, name in AXES.items():
        along = [point for point in points if point["axis"] == axis]
        if len(along) < 2:
            continue
        rows.append(Contender(name))
        for point in along:
            value = point["value"]
            low, high = (float("nan") if point[k] is None else point[k] for k in ("low", "high"))
            rows.append(
                Contender(
                    label=capital(called(value)) if axis == "variant" else value,
                    colour=point["colour"],
                    difference=point["difference"],
                    low=low,
                    high=high,
                    chosen=point["chosen"],
                )
            )
    return rows
