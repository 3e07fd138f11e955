"""Run, step 3: a few images through the detector, beside the settings of its input."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import shell
from dashboard.run import cache, form
from dashboard.run.cache import HOUR, Facts, data_key
from dashboard.run.model import bullets, meaning
from dashboard.run.tables import drop_table
from dashboard.words import percent
from trust_core.audit.manifest import Identity, identify
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.model.checks.predictions import try_expected
from trust_core.model.checks.preflight import Preflight, preflight
from trust_core.model.checks.sample_images import Preview, previews
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions
from trust_core.model.preprocessing import CHANNELS, INTERPOLATIONS, Preprocessing

LABELS = ("good", "defective")
THUMBNAIL = 128


@dataclass(frozen=True)
class Checked:
    """A detector that has run on some images of a data set.

    Attributes:
        detector: as it will be audited.
        options: how it was opened.
        identity: of the audit that would be made.
        expect: the user's own predictions; None when there are none.
        place: where what it has shown is to be told.
    """

    detector: Detector
    options: ModelOptions
    identity: Identity
    expect: Path | None
    place: DeltaGenerator


def check(path: Path, facts: Facts, data: Dataset, settings: AuditSettings) -> Checked | None:
    """Draw the step.

    Args:
        path: the model file.
        facts: what it is.
        data: the data set.
        settings: of the scores.

    Returns:
        What it has shown; None when it does not run like this.
    """
    asked, seen = st.columns([2, 5], gap="large")
    with asked:
        _ask_input(facts.preprocessing)
    with seen:
        try:
            options, expect = form.model_options(facts), form.table_told(form.EXPECT)
            detector = cache.audit_detector(path, options, data)
            pictures, identity = _looked(path, options, settings, data_key(data), detector, data)
        except TrustError as problem:
            shell.show_error(problem)
            return None
        if detector.architecture != facts.architecture:
            bullets(detector.notes[-1:])  # the images chose another
        for label in (0, 1):
            _row(label, [glance for glance in pictures if glance.label == label])
        said = st.container(key="told")
    return Checked(detector, options, identity, expect, said)


def tell(checked: Checked, data: Dataset, settings: AuditSettings) -> None:
    """Say what more images have shown. Drawn last, because it takes longest."""
    with checked.place:
        try:
            strengths = len(settings.strengths) - 1
            found = _checked(checked.identity, strengths, checked.detector, data)
        except TrustError as problem:
            shell.show_error(problem)
            return
        bullets(found.warnings, "warnings")
        if found.inverted:
            st.caption(f"{meaning(checked.detector.convention)}: step 1 has the switch.")
        bullets(found.findings)
        if checked.expect:
            _compare(checked.expect, checked.detector, data)


def _compare(file: Path, detector: Detector, data: Dataset) -> None:
    """The user's own predictions on a few images: is it really the same detector?"""
    try:
        result = try_expected(file, detector, data)
    except TrustError as problem:
        shell.show_error(problem)
        return
    bullets([result.sentence], "notes" if result.reproduced == result.compared else "warnings")


@st.cache_data(max_entries=16, ttl=HOUR, show_spinner="Opening a few images …")
def _looked(
    path: Path,
    options: ModelOptions,
    settings: AuditSettings,
    data: str,
    _detector: Detector,
    _data: Dataset,
) -> tuple[list[Preview], Identity]:
    return previews(_detector, _data), identify(_detector, _data, settings)


@st.cache_data(max_entries=16, ttl=HOUR, show_spinner="Running some images …")
def _checked(identity: Identity, strengths: int, _detector: Detector, _data: Dataset) -> Preflight:
    return preflight(_detector, _data, strengths=strengths)


def _ask_input(rule: Preprocessing) -> None:
    """The settings of the network's input; what is left open is by rule."""
    st.markdown("**How were images prepared when the network was trained?**")
    usual = {
        name: ", ".join(f"{value:g}" for value in getattr(rule, name)) for name in ("mean", "std")
    }
    size, channels = st.columns(2)
    size.text_input(
        "Size",
        placeholder=f"{rule.size[0]}x{rule.size[1]}",
        key=form.SIZE,
        bind="query-params",
        help="Height x width in pixels, as 224 or 192x256.",
    )
    channels.selectbox(
        "Channels",
        CHANNELS,
        index=None,
        placeholder=rule.channels,
        key=form.CHANNELS,
        bind="query-params",
    )
    mean, std = st.columns(2)
    mean.text_input(
        "Mean",
        placeholder=usual["mean"],
        key=form.MEAN,
        bind="query-params",
        help="One number or three, of pixels between 0 and 1.",
    )
    std.text_input(
        "Standard deviation",
        placeholder=usual["std"],
        key=form.STD,
        bind="query-params",
    )
    resize, between = st.columns(2)
    resize.text_input(
        "Resize",
        placeholder=rule.resize,
        key=form.RESIZE,
        bind="query-params",
        help="stretch: the whole image, stretched. crop:256: the short side to 256, then the "
        "centre. letterbox: the whole image with bars.",
    )
    between.selectbox(
        "Interpolation",
        list(INTERPOLATIONS),
        index=None,
        placeholder=rule.interpolation,
        key=form.INTERPOLATION,
        bind="query-params",
    )
    st.caption(
        "Grey text is what is taken unless you say otherwise. Whoever trained the network knows."
    )
    drop_table(
        form.EXPECT,
        "Compare with your own predictions",
        "What did your own program say of these images? A wrong crop or normalisation audits "
        "another detector without anyone noticing; a few known answers show it.",
        "Drop a CSV with the columns path and p, the defect probability",
    )


def _row(label: int, pictures: list[Preview]) -> None:
    st.caption(
        f"{LABELS[label].capitalize()} parts as the network sees them; below, what it calls them, "
        "with the defect probability"
    )
    for glance, column in zip(pictures, st.columns(5), strict=False):
        called = int(glance.probability >= 0.5)
        column.image(glance.picture, width=THUMBNAIL)
        with column:
            mark, kind = ("✓", "") if called == label else ("✗", " wrong")
            said = f"{mark} {LABELS[called]}, {percent(glance.probability)}"
            st.html(f'<p class="answer{kind}">{said}</p>')
