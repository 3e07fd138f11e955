"""What the evidence view says."""

import math

import pytest

from dashboard.parts import evidence_words
from dashboard.parts.evidence_words import AT_ONCE, MEANINGS, PATIENT, bits_text
from trust_core.explanation.evidence.agreement import Agreement
from trust_core.explanation.evidence.forms import FORMS


def test_every_form_there_is_has_a_name_a_meaning_and_a_place():
    assert {*AT_ONCE, *PATIENT} == set(FORMS) == set(MEANINGS)
    assert not AT_ONCE.keys() & PATIENT.keys()


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
    text = evidence_words.agreement_sentence(
        "first-order", "plug-in", Agreement(ranks, 10, 7, 0.31)
    )
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
    text = evidence_words.sums_sentence(1.0, -4.0)
    assert "a defect add up to <b>+1.0 bits</b>" in text
    assert "a good part to <b>−4.0 bits</b>" in text


def test_the_check_sum_is_one_sentence():
    agrees = evidence_words.check_sentence(-2.0, -2.1)
    assert "give <b>−2.0 bits</b>" in agrees
    assert "moves by <b>−2.1 bits</b>" in agrees
    assert "the sum holds within 5 %" in agrees
    apart = evidence_words.check_sentence(3.0, -1.0)
    assert "a gap of 4.0 bits" in apart
    assert "no evidence either way" in evidence_words.check_sentence(0.0, 0.0)
    for text in (agrees, apart):
        assert text.endswith(".")
        assert text.count(". ") == 0


def test_two_forms_of_which_one_is_constant_cannot_be_ordered():
    text = evidence_words.agreement_sentence("saliency", "plug-in", Agreement(math.nan, 10, 3, 1.0))
    assert text.startswith("<b>Nothing to compare:</b>")
    assert "3 of the 10 strongest windows are the same" in text


def test_what_a_slow_form_costs():
    text = evidence_words.offer_html("prediction-difference", 784, 7840, 125.0)
    assert "784 windows, up to 7,840 passes" in text
    assert "about 2 min" in text


def test_the_legend_names_both_ends_and_both_sides():
    text = evidence_words.legend(0.0234)
    assert "−0.023" in text
    assert "+0.023 bits" in text
    assert text.index("speaks for good") < text.index("speaks for defective")
