"""The form and the command line say the same."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.run.command import (
    DataOptions,
    Order,
    arguments,
    audit_name,
    numbers,
    shell_command,
    size_of,
    slug,
)
from trust_core.audit.manifest import Identity
from trust_core.audit.settings import AuditSettings
from trust_core.cli import main
from trust_core.cli import options as cli_options
from trust_core.errors import SettingsError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.model.open import ModelOptions

numbers_3 = st.tuples(*[st.floats(-2, 2, allow_nan=False)] * 3)
words = st.text("abcXYZ_ '\"$;ä", min_size=1).filter(lambda word: word.strip() == word)
options = st.builds(
    ModelOptions,
    arch=st.none() | st.just("timm/resnet18"),
    layers=st.just(()) | st.just(("layer3.1",)),
    size=st.none() | st.tuples(st.integers(1, 512), st.integers(1, 512)),
    resize=st.none() | st.just("crop:256"),
    interpolation=st.none() | st.just("bicubic"),
    channels=st.none() | st.just("bgr"),
    mean=st.none() | numbers_3,
    std=st.none() | numbers_3,
    defect_index=st.none() | st.just((0,)),
)
settings = st.builds(
    AuditSettings,
    strengths=st.lists(st.floats(0, 255), min_size=1, max_size=4).map(tuple),
    direction=st.sampled_from(["toward_defect", "toward_good"]),
    pgd_steps=st.integers(1, 20),
    specific=st.sampled_from(sorted(SPECIFIC)).map(lambda form: (form,)),
    agnostic=st.sampled_from(sorted(AGNOSTIC)).map(lambda form: (form,)),
    mask=st.sampled_from(["half", "otsu", "top:0.2"]),
    decision_threshold=st.none() | st.floats(0.01, 0.99),
)
readings = st.builds(
    DataOptions,
    good=st.lists(words, max_size=3).map(tuple),
    samples=st.none() | st.just(Path("/data/my table.csv")),
    group_pattern=st.none() | st.just(r"-part(\d+)"),
)


@given(options, readings, settings)
def test_the_command_line_reads_back_what_was_said(options, reading, settings):
    order = Order(Path("/m/a b.pth"), Path("/d"), Path("/w/out"), options, reading, settings)
    parsed = main.build_parser().parse_args(arguments(order))
    found = cli_options.model_options(parsed)
    assert found.defect_index in (options.defect_index, ()) or found.defect_index == (0,)
    for name in ("arch", "layers", "size", "resize", "interpolation", "channels", "mean", "std"):
        assert getattr(found, name) == getattr(options, name), name
    assert cli_options.settings(parsed) == settings
    assert (tuple(parsed.good), parsed.samples) == (reading.good, reading.samples)
    assert parsed.group_pattern == reading.group_pattern
    assert (parsed.model, parsed.data, parsed.out) == ("/m/a b.pth", "/d", Path("/w/out"))
    assert parsed.json


def test_defaults_are_left_out_of_the_command():
    order = Order(Path("/m.pth"), Path("/d"), Path("/w/out"))
    assert arguments(order) == ["audit", "/m.pth", "/d", "--out=/w/out", "--json"]


@pytest.mark.parametrize("good_index", [(1,), (0, 2)])
def test_good_outputs_are_passed_on(good_index):
    order = Order(Path("m"), Path("d"), Path("o"), ModelOptions(good_index=good_index))
    parsed = main.build_parser().parse_args(arguments(order))
    assert cli_options.model_options(parsed).good_index == good_index


def test_a_command_survives_a_shell():
    words = arguments(Order(Path("/m/it's $(here).pth"), Path("/d e"), Path("/o")))
    assert shlex.split(shell_command(words)) == ["python", "-m", "trust_core", *words]


def test_the_name_tells_model_and_data_and_changes_with_the_audit():
    names = [
        audit_name(Path("Lite_0.pth"), Path("tiles"), Identity(*identity), mask)
        for identity, mask in [
            (("a", "b", "c"), "half"),
            (("x", "b", "c"), "half"),
            (("a", "x", "c"), "half"),
            (("a", "b", "c"), "otsu"),
        ]
    ]
    assert all(name.startswith("lite-0-tiles-") for name in names)
    assert len(set(names)) == 4
    assert names[0] == audit_name(
        Path("Lite_0.pth"), Path("tiles"), Identity("a", "b", "c"), "half"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ()), ("0.5", (0.5,)), ("0.5, 0.4 0.3", (0.5, 0.4, 0.3)), ("0,0.1;2", (0.0, 0.1, 2.0))],
)
def test_numbers(text, expected):
    assert numbers(text, "Mean") == expected


@pytest.mark.parametrize("text", ["half", "0.5, x", "0..5"])
def test_what_is_no_number_is_said(text):
    with pytest.raises(SettingsError, match=r"Mean: .*no list of numbers"):
        numbers(text, "Mean")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("224", (224, 224)), ("192x256", (192, 256)), ("192 × 256", (192, 256))],
)
def test_size(text, expected):
    assert size_of(text) == expected


@pytest.mark.parametrize("text", ["big", "192x", "-3", "1x2x3"])
def test_what_is_no_size_is_said(text):
    with pytest.raises(SettingsError, match="is no size"):
        size_of(text)


@given(st.text())
def test_a_slug_is_a_plain_folder_name(name):
    found = slug(name)
    assert found
    assert Path(found).name == found
    assert not found.startswith((".", "-"))
