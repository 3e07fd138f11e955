"""Sentences that name options, for a terminal and for a page."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.errors import SettingsError
from trust_core.messages import Message, duration, none_of, option, threshold_text

MESSAGE = Message(
    "Try {choice}; {share:.0%} of {path} need {size:64x64}.",
    "Try {choice}.",
    choice=option("arch", "resnet18"),
    share=0.5,
    path="{mean}",
)


def shout(name: str, value: str) -> str:
    return f"{name.upper()}={value}"


def test_as_text_it_is_what_the_terminal_says():
    assert MESSAGE == "Try --arch resnet18; 50% of {mean} need --size 64x64."
    assert json.loads(json.dumps([MESSAGE])) == [str(MESSAGE)]
    assert str(SettingsError(MESSAGE)) == MESSAGE
    assert Message("Add {group_column:NAME}.") == "Add --group-column NAME."


def test_a_page_says_it_in_words_of_its_own():
    assert MESSAGE.render(shout) == "Try ARCH=resnet18."
    assert Message("{size} and {mean}").render(shout) == "SIZE= and MEAN="
    caught = SettingsError(MESSAGE).args[0]
    assert caught.render(shout) == MESSAGE.render(shout)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_it_travels_between_processes_with_both_its_texts(way):
    there = way(MESSAGE)
    assert (there, there.render(shout)) == (MESSAGE, MESSAGE.render(shout))


def test_what_a_value_may_be():
    assert (
        none_of("channels", "cmyk", ("rgb", "grey"))
        == '--channels is one of rgb, grey, not "cmyk".'
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40, "40 s"), (180, "3 min"), (3570, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_a_duration_is_coarser_the_longer_it_takes(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (-0.25, "−0.25"), (3.0, "3"), (1e-7, "1e−07")]
)
def test_thresholds_are_written_short_with_a_true_minus(value: float, text: str) -> None:
    assert threshold_text(value) == text


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_thresholds_never_read_alike(one: float, other: float) -> None:
    assert (threshold_text(one) == threshold_text(other)) == (repr(one) == repr(other))
    assert float(threshold_text(one).replace("−", "-").replace("∞", "inf")) == one
