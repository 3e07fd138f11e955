"""Run, step 3: a few images through the detector, beside the settings of its input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import shell
from dashboard.cache import LOOKS, SANDBOX, remembered, subject_key
from dashboard.placeholder import placeholder
from dashboard.run import form, subjects
from dashboard.run.file_fields import choose_table
from dashboard.run.model import bullets, meaning
from dashboard.run.settings import choose_input
from dashboard.run.subjects import COMPARED, LOOKED_AT, NORMALISATIONS, SAMPLE_IMAGES, SIZES, TRIED
from trust_core.audit.options import find
from trust_core.audit.settings import AuditSettings, Identity
from trust_core.audit.subject import Look, Subject
from trust_core.data.duplicates import NearDuplicates
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.figures.words.markup import unbroken
from trust_core.figures.words.numbers import count, counted, of, percent
from trust_core.model.checks.findings import Expectation, MaskLook, Preflight, Preview
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
            "Which defect probability did your own program give these photos? A wrong crop or "
            "normalisation audits another detector without anyone noticing; a few known answers "
            "show it.",
            "Drop a CSV with the columns path and p, the defect probability",
            "probability",
        )
    with seen:
        try:
            options, expect = form.model_options(facts), form.value(EXPECT)
            subject = subjects.subject(path, options, data)
            found, identity = _look(subject), _identity(subject, settings)
        except TrustError as problem:
            shell.show_error(problem)
            return None
        if found.architecture != facts.architecture:
            bullets(found.notes[-1:])  # the images chose another
        for label in (0, 1):
            _row(label, [picture for picture in found.previews if picture.label == label])
        _masks(data)
        place = st.container(key="told")
    return Check(subject, options, identity, found.convention, expect, place)


def show_findings(checked: Check, data: Dataset, settings: AuditSettings) -> None:
    """Say what more images have shown. Drawn last, because it takes longest."""
    subject = checked.subject
    with checked.place:
        fill = placeholder("findings", subject_key(subject), "Running some photos …")
    with fill(), shell.errors_shown():
        found = _preflight(subject)
        bullets(found.warnings, "warnings")
        if found.inverted:
            st.caption(_other_way_round(checked.convention, found.counts))
        bullets([*found.findings, found.pace(len(settings.strengths) - 1)])
        late = st.container()  # tried last: it takes longest
        _near_duplicates(data)
        if checked.expect:  # the user's own predictions: is it really the same detector?
            result = _expectation(subject, checked.expect)
            bullets([result.sentence], "notes" if result.agrees else "warnings")
        with late:
            bullets(_normalisations(subject, found), "warnings")
            bullets(_sizes(subject, found), "warnings")


def _other_way_round(convention: Convention, counts: Mapping[str, int]) -> str:
    """What each reading of the outputs makes of the images that were run."""
    right, wrong = counts["tp"] + counts["tn"], counts["fn"] + counts["fp"]
    return (
        f"{meaning(convention.inverted())}: {of(wrong, right + wrong, 'photos')} right. "
        f"{meaning(convention)}, as it is now: {count(right)}. Step 1 has the switch."
    )


@remembered(16, "Opening the model and a few photos …")
def _look(subject: Subject) -> Look:
    return cast(Look, _ask("look", LOOKED_AT, subject))


@remembered(64)
def _identity(subject: Subject, settings: AuditSettings) -> Identity:
    return cast(Identity, _ask("identity", LOOKED_AT, subject, settings))


@remembered(16)
def _preflight(subject: Subject) -> Preflight:
    return cast(Preflight, _ask("trial", TRIED, subject))


@remembered(16, "Trying other normalisations …")
def _normalisations(subject: Subject, _found: Preflight) -> list[str]:
    return cast("list[str]", _ask("normalisations", TRIED * NORMALISATIONS, subject, _found))


@remembered(16, "Trying other sizes …")
def _sizes(subject: Subject, _found: Preflight) -> list[str]:
    return cast("list[str]", _ask("sizes", TRIED * SIZES, subject, _found))


@remembered(16, "Comparing with your predictions …")
def _expectation(subject: Subject, expect: Path) -> Expectation:
    return cast(Expectation, _ask("expectation", COMPARED, subject, expect))


def _ask(function: str, pictures: int, subject: Subject, *given: object) -> Any:  # noqa: ANN401
    """What a function of `audit/looks.py` says of a detector and so many pictures."""
    limits, name = subjects.working(subject.model, pictures), subject.model.name
    return SANDBOX.call(f"{LOOKS}:{function}", subject, *given, what=name, limits=limits)


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
    limits = subjects.comparing(len(data.samples))
    found = SANDBOX.call(f"{LOOKS}:near_pairs", data, PAIRS, what=data.root.name, limits=limits)
    return cast("tuple[NearDuplicates, list[list[bytes]]]", found)


def _masks(data: Dataset) -> None:
    """Pictures of what the masks mark, with counts, so that a wrong reading is seen."""
    if not (data.samples["mask_path"] != "").any():
        return
    found = _mask_look(data)
    st.caption(unbroken(mask_sentence(found)))
    for picture, column in zip(found.previews, _thumbnails("masks"), strict=False):
        column.image(picture.picture, width=THUMBNAIL)
        with column:
            st.html(f'<p class="answer">{percent(picture.share)} marked</p>')


def mask_sentence(found: MaskLook) -> str:
    """How many images have a mask, and how much of the picture the masks mark."""
    words = f"{of(found.masked, found.defective, 'defective photos')} "
    words += "has a mask" if found.masked == 1 else "have a mask"
    if found.good_masked:
        words += f", and {counted(found.good_masked, 'good photos')}"
    if not found.shares:
        return f"{words}; none of those that may be looked at can be read."
    mean = sum(found.shares) / len(found.shares)
    return (
        f"{words}; what is marked, here in red, is {percent(mean)} of the picture on average, from "
        f"{percent(min(found.shares))} to {percent(max(found.shares))} "
        f"({counted(len(found.shares), 'masks')} looked at)."
    )


@remembered(8)
def _mask_look(data: Dataset) -> MaskLook:
    function = f"{SAMPLE_IMAGES}:look_at_masks"
    return cast(MaskLook, SANDBOX.call(function, data, what=data.root.name))


def _thumbnails(name: str) -> Sequence[DeltaGenerator]:
    """Places for five small pictures in a row, two on a telephone."""
    return st.container(key=f"thumbnails-{name}").columns(5)


def _row(label: int, pictures: list[Preview]) -> None:
    st.caption(
        f"Photos of {LABELS[label]} parts as the network sees them; below, what it calls them, and "
        "p, the probability of a defect"
    )
    for picture, column in zip(pictures, _thumbnails(LABELS[label]), strict=False):
        called = int(picture.probability >= 0.5)
        column.image(picture.picture, width=THUMBNAIL)
        with column:
            mark, kind = ("✓", "") if called == label else ("✗", " wrong")
            answer = f"{mark} {LABELS[called]}, p {percent(picture.probability)}"
            st.html(f'<p class="answer{kind}">{answer}</p>')
