"""Settings of an audit, checked when made."""

import dataclasses
import math

import pytest

from trust_core.audit.settings import DEFAULT_STRENGTHS, AuditSettings
from trust_core.errors import SettingsError


def test_the_defaults_are_those_of_the_design():
    settings = AuditSettings()
    assert settings.strengths == DEFAULT_STRENGTHS == (0, 0.1, 0.25, 0.5, 1, 2, 4, 8)
    assert (settings.specific, settings.agnostic, settings.mask) == (
        ("gradcam",),
        ("gradient",),
        "half",
    )
    assert (settings.direction, settings.pgd_steps) == ("toward_defect", 1)
    assert settings.decision_threshold == 0.5
    assert settings.map_names == ("defect", "good", "gradient")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((), (0.0,)),
        ((0,), (0.0,)),
        ((4, 1, 1, 0), (0.0, 1.0, 4.0)),
        ((0.5,), (0.0, 0.5)),
        ((255,), (0.0, 255.0)),
    ],
)
def test_strengths_are_ascending_distinct_and_begin_with_the_clean_image(given, made):
    strengths = AuditSettings(strengths=given).strengths
    assert strengths == made
    assert all(type(strength) is float for strength in strengths)


def test_settings_that_mean_the_same_are_the_same():
    assert AuditSettings(strengths=(2, 1)) == AuditSettings(strengths=(0.0, 1.0, 2.0))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"strengths": (-1,)}, "Strength -1: strengths are steps of 1/255"),
        ({"strengths": (0, 256)}, "Strength 256: "),
        ({"strengths": (math.nan,)}, "Strength nan: "),
        ({"strengths": (math.inf,)}, "from 0 to 255"),
        ({"direction": "up"}, "Direction 'up': choose from toward_defect, toward_good"),
        ({"pgd_steps": 0}, "PGD steps 0: write a whole number from 1 to 1000"),
        ({"pgd_steps": 1001}, "PGD steps 1001"),
        ({"decision_threshold": 0.0}, "Decision threshold 0: write a probability"),
        ({"decision_threshold": 1.0}, "without the ends"),
        ({"decision_threshold": math.nan}, "Decision threshold nan"),
        ({"specific": ()}, "Name at least one specific map"),
        ({"specific": ("cam",)}, "no specific map 'cam'"),
        ({"agnostic": ("gradcam",)}, "no agnostic map 'gradcam'"),
        ({"specific": ("gradcam", "hirescam", "hirescam")}, "named twice"),
        ({"agnostic": ("norm", "norm")}, "named twice"),
        ({"mask": "top:2"}, "Mask rule 'top:2'"),
        ({"mask": "half:0.3"}, "'half' takes no number"),
    ],
)
def test_a_value_that_means_nothing_is_refused(setting: dict[str, object], sentence: str):
    with pytest.raises(SettingsError) as caught:
        AuditSettings(**setting)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "setting",
    [
        {"direction": "toward_good"},
        {"pgd_steps": 1000},
        {"decision_threshold": None},
        {"decision_threshold": 0.01},
        {"specific": ("hirescam", "gradcam++", "package-scorecam")},
        {"agnostic": ("eigen", "package-eigencam")},
        {"mask": "top:0.2"},
        {"mask": "otsu"},
    ],
)
def test_the_good_neighbour_is_taken(setting: dict[str, object]):
    settings = AuditSettings(**setting)
    (name, value) = next(iter(setting.items()))
    assert getattr(settings, name) == value


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AuditSettings().mask = "otsu"
