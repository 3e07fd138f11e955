"""What a visitor has told the Run page so far: its widgets, which live in the URL.

A section reads what a section further down was told, so a value may be asked for before its widget
is drawn: then the URL says it.
"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.run.cache import Facts
from dashboard.run.command import DataOptions, numbers, one_number, size_of
from trust_core.audit.settings import AuditSettings
from trust_core.data import uploads
from trust_core.errors import SettingsError
from trust_core.model.open import ModelOptions

MODEL, ARCH, SWAPPED, GOOD_OUTPUTS = "model", "arch", "swap", "outputs"
DATA, GOOD, TABLE, GROUP_PATTERN, GROUP_COLUMN = "data", "good", "table", "group", "groupcolumn"
ROLES, EXPECT = "roles", "expect"
SIZE, RESIZE, INTERPOLATION, CHANNELS, MEAN, STD = (
    "size",
    "resize",
    "interpolation",
    "channels",
    "mean",
    "std",
)
LAYER, STRENGTHS, DIRECTION, PGD = "layer", "strengths", "direction", "pgd"
SPECIFIC, AGNOSTIC, MASK, THRESHOLD, ARGMAX = "specific", "agnostic", "mask", "threshold", "argmax"
INPUT = (SIZE, RESIZE, INTERPOLATION, CHANNELS, MEAN, STD)
FROM_FOLDERS = "the names of the folders"  # the choice of `TABLE` that is no table


def told(key: str) -> str:
    """One value as text; "" when nothing was said."""
    value = st.session_state.get(key, st.query_params.get(key))
    return "" if value is None else str(value).strip()


def told_many(key: str) -> tuple[str, ...]:
    """Several values."""
    value = st.session_state.get(key)
    return tuple(st.query_params.get_all(key)) if value is None else tuple(map(str, value))


def forget_model() -> None:
    """What was said of one model means nothing for another."""
    _forget(ARCH, SWAPPED, GOOD_OUTPUTS, LAYER, EXPECT, *INPUT)


def forget_data() -> None:
    """What was said of one data set means nothing for another."""
    _forget(GOOD, TABLE, GROUP_COLUMN, GROUP_PATTERN, ROLES, EXPECT)


def forget_good() -> None:
    """Ask anew which folders hold good parts."""
    _forget(GOOD)


def _forget(*keys: str) -> None:
    for key in keys:
        st.session_state.pop(key, None)
        st.query_params.pop(key, None)


def model_options(facts: Facts) -> ModelOptions:
    """What was said about the model and its input.

    Raises:
        SettingsError: a text that is no number or size.
    """
    meaning: dict[str, object] = {}
    if facts.outputs > 2 and (good := told_many(GOOD_OUTPUTS)):
        meaning["good_index"] = tuple(sorted(map(int, good)))
    elif facts.convention is not None and told(SWAPPED) in ("True", "true"):
        other = facts.convention.inverted()
        if facts.outputs == 1:
            meaning["one_logit"] = "defect" if other.sign > 0 else "good"
        elif facts.outputs == 2:
            meaning["defect_index"] = other.defect[0]
    layer = told(LAYER)
    return ModelOptions(
        arch=told(ARCH) or None,
        layers=(layer,) if layer and layer != facts.layer else (),
        size=size_of(told(SIZE)),
        resize=told(RESIZE) or None,
        interpolation=told(INTERPOLATION) or None,
        channels=told(CHANNELS) or None,
        mean=numbers(told(MEAN), "Mean") or None,
        std=numbers(told(STD), "Standard deviation") or None,
        **meaning,  # type: ignore[arg-type]
    )


def reading() -> DataOptions:
    """What was said about the data.

    Raises:
        SettingsError: a table outside of the folders that may be opened.
    """
    table = told(TABLE)
    samples = uploads.server_path(table) if table not in ("", FROM_FOLDERS) else None
    return DataOptions(
        good=told_many(GOOD),
        samples=samples,
        group_column=(told(GROUP_COLUMN) or None) if samples else None,
        group_pattern=told(GROUP_PATTERN) or None,
        roles=table_told(ROLES),
    )


def table_told(key: str) -> Path | None:
    """A table that was dropped beside model and data.

    Raises:
        SettingsError: it lies outside of the folders that may be opened, or is gone.
    """
    return uploads.server_path(told(key)) if told(key) else None


def settings() -> AuditSettings:
    """What was said about the scores.

    Raises:
        SettingsError: a value that means nothing.
    """
    usual = AuditSettings()
    threshold = one_number(told(THRESHOLD), "Decision threshold", "0.5")
    pgd = one_number(told(PGD), "Steps of the nudge", "1")
    if pgd is not None and not pgd.is_integer():
        raise SettingsError(f"Steps of the nudge: write a whole number, not {pgd:g}.")
    return AuditSettings(
        strengths=numbers(told(STRENGTHS), "Strengths", "0, 0.5, 1") or usual.strengths,
        direction=told(DIRECTION) or usual.direction,
        pgd_steps=usual.pgd_steps if pgd is None else int(pgd),
        specific=_form(told(SPECIFIC), usual.specific),
        agnostic=_form(told(AGNOSTIC), usual.agnostic),
        mask=told(MASK) or usual.mask,
        decision_threshold=None
        if told(ARGMAX) in ("True", "true")
        else (usual.decision_threshold if threshold is None else threshold),
    )


def _form(wanted: str, usual: Sequence[str]) -> tuple[str, ...]:
    return (wanted,) if wanted else tuple(usual)
