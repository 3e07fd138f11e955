"""Sums of evidence and agreement of two forms, worked out by hand."""

import math

import numpy as np
import pytest

from trust_core.explanation.evidence.agreement import (
    Agreement,
    agreement,
    for_and_against,
    strongest_windows,
)
from trust_core.explanation.evidence.forms import Evidence


def evidence(
    windows: list[tuple[float, float, float]] = (),
    bits: object = ((0.0, 1.0), (2.0, 3.0)),
) -> Evidence:
    table = np.array(windows, dtype=np.float32).reshape(-1, 3)
    return Evidence(np.array(bits, np.float32), table, 0.0, 0.0, 2, 1, 0.1)


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
    assert strongest_windows(evidence(ours), 2) == {(0, 0, 1), (0, 1, -1)}


def test_a_form_agrees_with_itself_and_a_constant_one_cannot_be_ordered():
    table = [(0, column, column - 20.0) for column in range(40)]
    same = evidence(table)
    assert agreement(same, same) == Agreement(pytest.approx(1.0), 10, 10, 1.0)
    flat = evidence(table, [[1.0, 1.0], [1.0, 1.0]])
    assert math.isnan(agreement(flat, same).ranks)
