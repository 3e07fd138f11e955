"""Recall from returned labels: by hand, at its limits, and by simulation."""

import math

import numpy as np
import pytest

from trust_core.decision.audited_recall import audited_recall, share_sequence


def test_the_estimate_weights_by_the_chance_to_be_inspected() -> None:
    found = audited_recall(45, 1, 1.0, 0.1)
    assert found.recall == pytest.approx(45 / (45 + 10))
    assert 0 < found.low < found.recall < found.high < 1
    half = audited_recall(45, 1, 0.5, 0.1)
    assert half.recall == pytest.approx(90 / (90 + 10))


def test_nothing_found_says_nothing() -> None:
    found = audited_recall(0, 0, 1.0, 0.1)
    assert math.isnan(found.recall)
    assert (found.low, found.high) == (0, 1)


def test_the_sequence_by_hand() -> None:
    # 1 hit of 1: the mixture is 1/2, the likelihood q; (1/2)/q = 1/δ = 20 at q = 1/40.
    assert share_sequence(1, 1, 0.95) == (pytest.approx(1 / 40), 1)
    assert share_sequence(0, 1, 0.95) == (0, pytest.approx(39 / 40))


def test_more_labels_say_more() -> None:
    few, many = audited_recall(9, 1, 1, 0.2), audited_recall(90, 10, 1, 0.2)
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("labelled", [1.0, 0.5])
def test_the_bounds_hold_at_every_look(labelled: float) -> None:
    """Labels come one by one; the bounds must hold at all of them, in 95 of 100 lines.

    A flagged defect has its label with one chance, one that passed with another: without the
    weights the recall would be told as 0.96 and more.
    """
    recall, audit_rate = 0.9, 0.2
    draw = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        flagged = draw.random(150) < recall
        inspected = draw.random(150) < np.where(flagged, labelled, audit_rate)
        hits = np.cumsum(flagged[inspected])
        bounds = [audited_recall(int(k), n - int(k), labelled, audit_rate)
                  for n, k in enumerate(hits, start=1) if n % 5 == 0]  # fmt: skip
        broken += any(not b.low <= recall <= b.high for b in bounds)
    assert broken <= 10
