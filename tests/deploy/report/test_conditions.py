"""Conditions: read as written, judged against what is known; what is unknown does not pass."""

import math

import pytest

from trust_core.deploy.report.conditions import (
    FAIL,
    PASS,
    WARN,
    Condition,
    judge,
    overall,
    parse_condition,
)
from trust_core.errors import SettingsError

KNOWN = ("verdict", "tn_loss", "unreadable")


def test_a_condition_is_read() -> None:
    assert parse_condition(PASS, " tn_loss<= 0.1", KNOWN) == Condition(PASS, "tn_loss", "<=", 0.1)
    assert parse_condition(FAIL, "verdict == red", KNOWN).text == "verdict = red"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tn_loss", "write a measure, a sign and a value"),
        ("loss < 1", "no measure 'loss'; choose from verdict"),
        ("verdict = blue", "one of green, amber, red"),
        ("verdict < red", "with = or !="),
        ("tn_loss < low", "with a number"),
        ("tn_loss < nan", "with a number"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_condition(PASS, text, KNOWN)


@pytest.mark.parametrize(
    ("level", "text", "found", "then"),
    [
        (PASS, "tn_loss <= 0.1", 0.1, PASS),
        (PASS, "tn_loss <= 0.1", 0.2, WARN),
        (PASS, "tn_loss <= 0.1", None, WARN),
        (WARN, "verdict != green", "amber", WARN),
        (WARN, "verdict != green", "green", PASS),
        (FAIL, "tn_loss > 0.3", 0.31, FAIL),
        (FAIL, "tn_loss > 0.3", 0.3, PASS),
        (FAIL, "tn_loss > 0.3", math.nan, FAIL),
        (FAIL, "unreadable > 0", 0, PASS),
    ],
)
def test_what_follows(level: str, text: str, found: float | str | None, then: str) -> None:
    condition = parse_condition(level, text, KNOWN)
    (outcome,) = judge([condition], {condition.measure: found})
    assert outcome.level == then


def test_the_worst_counts() -> None:
    stated = [(PASS, "tn_loss <= 0.1"), (FAIL, "tn_loss > 0.3")]
    conditions = [parse_condition(level, text, KNOWN) for level, text in stated]
    levels = [overall(judge(conditions, {"tn_loss": loss})) for loss in (0.05, 0.2, 0.4)]
    assert levels == [PASS, WARN, FAIL]
    assert overall(()) == PASS
