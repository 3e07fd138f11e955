"""Run, step 3: a few images through the detector, beside the settings of its input."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import shell
from dashboard.cache import LOOKS, SANDBOX, remembered
from dashboard.run import cache, form
from dashboard.run.cache import SAMPLE_IMAGES
from dashboard.run.files import choose_table
from dashboard.run.model import bullets, meaning
from dashboard.run.settings import choose_input
from trust_core.audit.options import find
from trust_core.audit.settings import AuditSettings, Identity
from trust_core.audit.subject import Look, Subject
from trust_core.data.duplicates import NearDuplicates
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.figures.words.numbers import count, counted, of, percent
from trust_core.model.checks.findings import Expectation, MaskPreview, Preflight, Preview
from trust_core.model.facts import ModelFacts, ModelOptions
from trust_core.model.outputs import Convention

LABELS = ("good", "defective")
THUMBNAIL = 128
PAIRS, PAIR_WIDTH = 4, 84  # of near duplicates that are shown; pixels of each picture
EXPECT = find("expect")


@dataclass(frozen=True)
class Check:
    """A detector that has run on some images of a data set.

    Attributes:
        subject: model and data, as they will be audited.
        model_options: how it was opened.
        identity: of the audit that would be made.
        convention: what the outputs mean.
        expect: the user's own predictions; None when there are none.
        place: where what it has shown is to be told.
    """

    subject: Subject
    model_options: ModelOptions
    identity: Identity
    convention: Convention
    expect: Path | None
    place: DeltaGenerator


def check(path: Path, facts: ModelFacts, data: Dataset, settings: AuditSettings) -> Check | None:
    """Draw the step.

    Args:
        path: the model file.
        facts: what it is.
        data: the data set.
        settings: of the scores.

    Returns:
        What it has shown; None when it does not run like this.
    """
    fields, seen = st.columns([2, 5], gap="large")
    with fields:
        choose_input(facts.preprocessing)
        choose_table(
            EXPECT,
            "What did your own program say of these images? A wrong crop or normalisation audits "
            "another detector without anyone noticing; a few known answers show it.",
            "Drop a CSV with the columns path and p, the defect probability",
        )
    with seen:
        try:
            options, expect = form.model_options(facts), form.value(EXPECT)
            found = _look(path, options, settings, data)
        except TrustError as problem:
            shell.show_error(problem)
            return None
        if found.architecture != facts.architecture:
            bullets(found.notes[-1:])  # the images chose another
        for label in (0, 1):
            _row(label, [picture for picture in found.previews if picture.label == label])
        _masks(data)
        place = st.container(key="told")
    subject = cache.subject(path, options, data)
    return Check(subject, options, found.identity, found.convention, expect, place)


def show_findings(checked: Check, data: Dataset, settings: AuditSettings) -> None:
    """Say what more images have shown. Drawn last, because it takes longest."""
    with checked.place, shell.errors_shown():
        strengths = len(settings.strengths) - 1
        found = _preflight(checked.identity, strengths, checked.subject)
        bullets(found.warnings, "warnings")
        if found.inverted:
            st.caption(_other_way_round(checked.convention, found.counts))
        bullets(found.findings)
        _near_duplicates(data)
        if checked.expect:  # the user's own predictions: is it really the same detector?
            result = _expectation(checked.identity, checked.expect, checked.subject)
            bullets([result.sentence], "notes" if result.agrees else "warnings")


def _other_way_round(convention: Convention, counts: Mapping[str, int]) -> str:
    """What each reading of the outputs makes of the images that were run."""
    right, wrong = counts["tp"] + counts["tn"], counts["fn"] + counts["fp"]
    return (
        f"{meaning(convention.inverted())}: {of(wrong, right + wrong, 'images')} right. "
        f"{meaning(convention)}, as it is now: {count(right)}. Step 1 has the switch."
    )


@remembered(16, "Opening the model and a few images …")
def _look(path: Path, options: ModelOptions, settings: AuditSettings, data: Dataset) -> Look:
    function, subject = f"{LOOKS}:look", cache.subject(path, options, data)
    limits = cache.working(path, cache.LOOKED_AT)
    return cast(Look, SANDBOX.call(function, subject, settings, what=path.name, limits=limits))


@remembered(16, "Running some images …")
def _preflight(identity: Identity, strengths: int, _subject: Subject) -> Preflight:
    function, model = f"{LOOKS}:trial", _subject.model
    limits = cache.working(model, cache.TRIED)
    return cast(
        Preflight, SANDBOX.call(function, _subject, strengths, what=model.name, limits=limits)
    )


@remembered(16, "Comparing with your predictions …")
def _expectation(identity: Identity, expect: Path, _subject: Subject) -> Expectation:
    function, limits = f"{LOOKS}:compare_expected", cache.working(_subject.model, cache.COMPARED)
    return cast(
        Expectation, SANDBOX.call(function, _subject, expect, what=expect.name, limits=limits)
    )


def _near_duplicates(data: Dataset) -> None:
    """Pictures that are nearly those of another role, side by side."""
    found, pictures = _near_pairs(data)
    if not found.pairs:
        return
    bullets([found.sentence], "warnings")
    for pair, column in zip(pictures, st.columns(PAIRS), strict=False):
        with column.container(horizontal=True, gap="small"):
            for picture in pair:
                st.image(picture, width=PAIR_WIDTH)


@remembered(8, "Looking for copies …")
def _near_pairs(data: Dataset) -> tuple[NearDuplicates, list[list[bytes]]]:
    limits = cache.comparing(len(data.samples))
    found = SANDBOX.call(f"{LOOKS}:near_pairs", data, PAIRS, what=data.root.name, limits=limits)
    return cast("tuple[NearDuplicates, list[list[bytes]]]", found)


def _masks(data: Dataset) -> None:
    """Pictures of what the masks mark, with counts, so that a wrong reading is seen."""
    pictures = _mask_pictures(data)
    if not pictures:
        return
    masked = int((data.samples["mask_path"] != "").sum())
    st.caption(
        f"In red what the masks of some defective parts mark, with its share of the picture; "
        f"{counted(masked, 'images')} of {count(len(data.samples))} have a mask"
    )
    for picture, column in zip(pictures, st.columns(5), strict=False):
        column.image(picture.picture, width=THUMBNAIL)
        with column:
            st.html(f'<p class="answer">{percent(picture.share)}</p>')


@remembered(8)
def _mask_pictures(data: Dataset) -> list[MaskPreview]:
    function = f"{SAMPLE_IMAGES}:mask_previews"
    return cast("list[MaskPreview]", SANDBOX.call(function, data, what=data.root.name))


def _row(label: int, pictures: list[Preview]) -> None:
    st.caption(
        f"{LABELS[label].capitalize()} parts as the network sees them; below, what it calls them, "
        "and p, the probability of a defect"
    )
    for picture, column in zip(pictures, st.columns(5), strict=False):
        called = int(picture.probability >= 0.5)
        column.image(picture.picture, width=THUMBNAIL)
        with column:
            mark, kind = ("✓", "") if called == label else ("✗", " wrong")
            answer = f"{mark} {LABELS[called]}, p {percent(picture.probability)}"
            st.html(f'<p class="answer{kind}">{answer}</p>')
