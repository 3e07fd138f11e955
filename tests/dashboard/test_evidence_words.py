"""What the evidence view says, and the numbers in it."""

import math

import numpy as np
import pytest

from dashboard.parts import evidence_words
from dashboard.parts.evidence_numbers import Agreement, agreement, for_and_against, strongest
from dashboard.parts.evidence_words import AT_ONCE, MEANINGS, PATIENT, bits_text
from trust_core.explanation.evidence.forms import FORMS, Evidence


def evidence(
    windows: list[tuple[float, float, float]] = (),
    bits: object = ((0.0, 1.0), (2.0, 3.0)),
) -> Evidence:
    table = np.array(windows, dtype=np.float32).reshape(-1, 3)
    return Evidence(np.array(bits, np.float32), table, 0.0, 0.0, 2, 1, 0.1)


def test_every_form_there_is_has_a_name_a_meaning_and_a_place():
    assert {*AT_ONCE, *PATIENT} == set(FORMS) == set(MEANINGS)
    assert not AT_ONCE.keys() & PATIENT.keys()


def test_windows_that_do_not_overlap_are_added_up_for_and_against():
    # Starts 0, 1, 2, 4 with a window of 2: those at 0, 2 and 4 do not overlap.
    table = [(row, column, 10 * row + column - 21) for row in (0, 1, 2, 4) for column in (0, 1, 2)]
    rows = {0: (-21, -19), 2: (-1, 1), 4: (19, 21)}
    want = [value for pair in rows.values() for value in pair]
    found = for_and_against(evidence(table), 2)
    assert found == (sum(v for v in want if v > 0), sum(v for v in want if v < 0))
    assert for_and_against(evidence(), 2) == (0.0, 0.0)


def test_agreement_counts_the_strongest_windows_with_their_side():
    ours = [(0, 0, 5.0), (0, 1, -4.0), (0, 2, 0.1), (0, 3, 0.2)]
    theirs = [(0, 0, 3.0), (0, 1, 6.0), (0, 2, 0.1), (0, 3, -0.2)]
    found = agreement(
        evidence(ours, [[4.0, 3.0], [2.0, 1.0]]), evidence(theirs, [[9.0, 8.0], [1.0, 2.0]])
    )
    assert found == Agreement(pytest.approx(0.8), 2, 1, pytest.approx(2.0))
    assert strongest(evidence(ours), 2) == {(0, 0, 1), (0, 1, -1)}


def test_a_form_agrees_with_itself_and_a_constant_one_cannot_be_ordered():
    table = [(0, column, column - 20.0) for column in range(40)]
    same = evidence(table)
    assert agreement(same, same) == Agreement(pytest.approx(1.0), 10, 10, 1.0)
    flat = evidence(table, [[1.0, 1.0], [1.0, 1.0]])
    assert math.isnan(agreement(flat, same).ranks)
    assert "Nothing to compare" in evidence_words.verdict(
        "saliency", "plug-in", agreement(flat, same)
    )


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        (0.95, "They agree closely."),
        (0.75, "They agree in the main."),
        (0.5, "They agree only in part."),
        (-0.2, "They do not agree: believe the slow one."),
    ],
)
def test_the_verdict_in_words(ranks: float, said: str):
    text = evidence_words.verdict("first-order", "plug-in", Agreement(ranks, 10, 7, 0.31))
    assert said in text
    assert "7 of the 10 strongest windows are the same" in text
    assert "Window by window finds 0.31 times the bits of first order" in text
    assert f"{ranks:.2f}".replace("-", "−") in text


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (0.0, "0 bits"),
        (3.14159, "+3.1 bits"),
        (-12.34, "−12.3 bits"),
        (-0.01349, "−0.013 bits"),
        (0.00001, "under 0.0001 bits"),
    ],
)
def test_bits_in_two_digits_with_their_sign(bits: float, said: str):
    assert bits_text(bits) == said


def test_the_sums_for_and_against():
    text = evidence_words.finding(1.0, -4.0)
    assert "a defect add up to <b>+1.0 bits</b>" in text
    assert "a good part to <b>−4.0 bits</b>" in text


def test_the_check_sum_is_one_sentence():
    agrees = evidence_words.check(-2.0, -2.1)
    assert "give <b>−2.0 bits</b>" in agrees
    assert "moves by <b>−2.1 bits</b>" in agrees
    assert "the sum holds within 5 %" in agrees
    apart = evidence_words.check(3.0, -1.0)
    assert "a gap of 4.0 bits" in apart
    assert "no evidence either way" in evidence_words.check(0.0, 0.0)
    for text in (agrees, apart):
        assert text.endswith(".")
        assert text.count(". ") == 0


def test_what_a_slow_form_costs():
    assert evidence_words.passes("prediction-difference", 784, 10) == 7840
    assert evidence_words.passes("plug-in", 784, 10) == 784
    assert evidence_words.passes("corrected-plug-in", 784, 10) == 814
    text = evidence_words.offer("prediction-difference", 784, 7840, 125.0)
    assert "784 windows, up to 7,840 passes" in text
    assert "about 2 min" in text


def test_the_legend_names_both_ends_and_both_sides():
    text = evidence_words.scale_html(0.0234)
    assert "−0.023" in text
    assert "+0.023 bits" in text
    assert text.index("speaks for good") < text.index("speaks for defective")
