"""The options of an audit: each declared once, and what their texts mean."""

import dataclasses

import pytest

from trust_core.audit.options import (
    OPTIONS,
    DataOptions,
    Option,
    audit_settings,
    find,
    numbers,
    size,
    whole,
)
from trust_core.audit.settings import AuditSettings
from trust_core.errors import SettingsError
from trust_core.explanation.perturbation import DIRECTIONS
from trust_core.model.modules import PRECISIONS
from trust_core.model.open import ModelOptions
from trust_core.model.training.network import OBJECTIVES
from trust_core.model.training.settings import TrainingSettings

AUDIT = [option for group in ("model", "input", "data", "score") for option in OPTIONS[group]]


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def names(*groups: str) -> set[str]:
    return {option.name for group in groups for option in OPTIONS[group]}


def test_every_setting_has_an_option_and_every_option_a_setting():
    assert names("model", "input") == fields(ModelOptions)
    assert names("data") == fields(DataOptions)
    assert names("score") == fields(AuditSettings) | {"argmax"}
    assert names("network", "training") == fields(TrainingSettings)


@pytest.mark.parametrize("attribute", ["key", "spelling"])
def test_no_two_options_of_an_audit_share_a_name(attribute: str):
    found = [getattr(option, attribute) for option in AUDIT if getattr(option, attribute)]
    assert len(found) == len(set(found))


def test_choices_are_those_that_the_settings_know():
    assert set(find("direction").choices) == set(DIRECTIONS)
    assert set(find("precision").choices) == set(PRECISIONS)
    assert set(find("objective").choices) == set(OBJECTIVES)


def test_an_option_is_found_by_its_setting_and_by_its_flag():
    assert find("pgd") is find("pgd_steps")
    assert find("decision-threshold").name == "decision_threshold"


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (numbers, "0.5", (0.5,)),
        (numbers, "0.5, 0.4 0.3", (0.5, 0.4, 0.3)),
        (numbers, "0,0.1;2", (0.0, 0.1, 2.0)),
        (size, "224", (224, 224)),
        (size, "192x256", (192, 256)),
        (size, "192 × 256", (192, 256)),
        (whole, "7", 7),
    ],
)
def test_a_text_is_read(parse, text, expected):
    assert Option("size", parse).read(f" {text} ") == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        *(("mean", text, "no list of numbers") for text in ("half", "0.5, x", "0..5")),
        *(("size", text, "no size") for text in ("big", "192x", "-3", "1x2x3")),
        *(("pgd_steps", text, "no whole number") for text in ("x", "2.5", "nan")),
        ("decision_threshold", "0.5, 0.7", "no number"),
        ("workers", "0", "less than 1"),
        ("channels", "cmyk", "none of rgb, bgr, grey"),
    ],
)
def test_what_means_nothing_is_said_with_an_example(name, text, reason):
    option = find(name)
    with pytest.raises(SettingsError, match=f"^{option.spelling}: '{text}' is {reason}") as caught:
        option.read(text)
    assert str(caught.value).endswith(f"write e.g. {option.example}." if option.example else ".")


def test_the_largest_output_decides_when_asked_to():
    assert audit_settings({"argmax": True}).decision_threshold is None
    assert audit_settings({"argmax": False, "decision_threshold": 0.3}).decision_threshold == 0.3
    assert audit_settings({}) == AuditSettings()
