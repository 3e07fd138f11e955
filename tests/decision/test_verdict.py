"""The verdict: AUROC of resamples, colours, words, and how often it is wrong."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import rankdata

from benchmarks.statistics import NULL_SIZES, verdicts
from trust_core.decision.verdict import (
    AMBER,
    GREEN,
    LEAST_GROUPS,
    RED,
    same_ranking,
    verdict,
)

NAN = math.nan


def table(scores, p, missed, groups=None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "indicator": scores,
            "p_defect": p,
            "outcome": np.where(missed, "FN", "TN"),
            "group": [str(g) for g in (range(len(p)) if groups is None else groups)],
        }
    )


def drawn(mine: float, rival: float, missed_parts: int = 60, good: int = 300) -> pd.DataFrame:
    """Passed parts whose indicator and p are shifted by so many standard deviations."""
    draw = np.random.default_rng(0)
    missed = np.arange(missed_parts + good) < missed_parts
    scores = draw.normal(size=len(missed)) + mine * missed
    p = 0.5 / (1 + np.exp(-draw.normal(size=len(missed)) - rival * missed))
    return table(scores, p, missed)


@pytest.mark.parametrize(
    ("mine", "rival", "colour", "head"),
    [
        (2.0, 0.5, GREEN, "Better than moving the decision threshold: AUROC 0.9"),
        (0.5, 2.0, RED, "Worse than moving the decision threshold: AUROC 0.6"),
        (1.0, 1.0, AMBER, "Not decided: 60 missed parts cannot tell the indicator from"),
    ],
)
def test_colours_and_words(mine: float, rival: float, colour: str, head: str):
    judged = verdict(drawn(mine, rival), 0.9)
    assert judged.colour == colour
    assert judged.sentence.startswith(head)
    assert judged.difference == pytest.approx(
        judged.indicator.auroc - judged.threshold_shift.auroc, abs=1e-12
    )
    low, high = judged.interval
    assert low < judged.difference < high
    ours, theirs = (f"{100 * loss:.1f} %" for loss in (judged.tn_loss, judged.tn_loss_shift))
    assert f"at 0.9 recall of missed defects it loses {ours}" in judged.sentence
    assert f"against {theirs}" in judged.sentence
    assert (judged.groups, judged.fn, judged.tn) == (60, 60, 300)


@pytest.mark.parametrize("few", [0, 1, 2, LEAST_GROUPS - 1])
@pytest.mark.parametrize("missed_are_few", [True, False])
def test_too_few_parts_are_amber_however_far_apart(few: int, missed_are_few: bool):
    counts = (few, 50) if missed_are_few else (50, few)
    judged = verdict(drawn(9, 0, *counts))
    assert judged.colour == AMBER
    missed, good = (
        f"{n} {kind} part{'s' * (n != 1)}"
        for n, kind in zip(counts, ("missed", "good"), strict=True)
    )
    assert f"{missed} and {good} are too few" in judged.sentence
    assert math.isnan(judged.difference) == (few == 0)


def test_the_least_number_of_parts_can_decide():
    assert verdict(drawn(9, 0, LEAST_GROUPS, 50)).colour == GREEN


def test_ten_photographs_of_few_parts_decide_nothing():
    data = drawn(9, 0, 50, 200)
    data.loc[:49, "group"] = [f"part {i // 10}" for i in range(50)]
    judged = verdict(data)
    assert (judged.colour, judged.groups, judged.fn) == (AMBER, 5, 50)


def test_nothing_at_all_is_amber():
    assert verdict(drawn(1, 1, 0, 0)).colour == AMBER


def test_threshold_shift_is_not_better_than_itself():
    data = drawn(1, 1)
    judged = verdict(data.assign(indicator=data["p_defect"]))
    assert (judged.colour, judged.difference, judged.interval) == (AMBER, 0, (0, 0))


def test_an_unscored_good_part_counts_against_the_indicator():
    data = drawn(2, 2)
    spoilt = data.assign(indicator=data["indicator"].where(data.index < 300))
    assert verdict(spoilt).indicator.auroc < verdict(data).indicator.auroc - 0.1


def test_the_same_numbers_every_time_and_in_every_order():
    data = drawn(1.2, 1)
    assert verdict(data) == verdict(data)
    shuffled = verdict(data.sample(frac=1, random_state=1))
    assert shuffled.difference == pytest.approx(verdict(data).difference)
    assert shuffled.interval == pytest.approx(verdict(data).interval, abs=1e-12)


RIVALS = {
    "max softmax": lambda z, p: 1 - softmax(z, axis=1).max(axis=1),
    "entropy": lambda z, p: -(p * np.log(p) + (1 - p) * np.log1p(-p)),
    "margin": lambda z, p: -np.abs(z[:, 1] - z[:, 0]),
    "temperature scaling": lambda z, p: 1 - softmax(z / 3.7, axis=1).max(axis=1),
    "DOCTOR alpha": lambda z, p: (1 - (p**2 + (1 - p) ** 2)) / (p**2 + (1 - p) ** 2),
    "DOCTOR beta": lambda z, p: np.minimum(p, 1 - p) / (1 - np.minimum(p, 1 - p)),
    "relative uncertainty": lambda z, p: p * (1 - p),
}


@pytest.mark.parametrize("name", RIVALS)
def test_which_scores_rank_as_p_does(name: str):
    """Two classes, p at most ½: all are increasing functions of p, so their curves are the same."""
    grid = np.linspace(-6, 6, 400)
    z = np.column_stack([np.random.default_rng(0).normal(size=400), np.zeros(400)])
    z[:, 1] = z[:, 0] + np.random.default_rng(1).permutation(grid)
    p = softmax(z, axis=1)[:, 1]

    def ranks(values: np.ndarray) -> np.ndarray:
        return rankdata(np.round(values, 12))

    passed = p <= 0.5
    rival = RIVALS[name](z, p)
    np.testing.assert_array_equal(ranks(rival[passed]), ranks(p[passed]))
    higher = p < 0.9  # a decision threshold above ½ breaks it
    assert (ranks(rival[higher]) != ranks(p[higher])).any()


@pytest.mark.parametrize(
    ("outputs", "threshold", "same"),
    [(2, 0.5, True), (1, 0.2, True), (2, None, True), (2, 0.51, False), (3, 0.5, False)],
)
def test_where_they_rank_the_same(outputs: int, threshold: float | None, same: bool):
    assert same_ranking(outputs, threshold) is same


def test_with_three_outputs_they_rank_differently():
    """Two kinds of defect: a higher p, but a lower entropy and a lower score of DOCTOR."""
    p = np.array([[0.51, 0.489, 0.001], [0.52, 0.24, 0.24]])
    assert np.diff(1 - p[:, 0]) < 0
    assert np.diff(-(p * np.log(p)).sum(axis=1)) > 0
    squares = (p**2).sum(axis=1)
    assert np.diff((1 - squares) / squares) > 0


def test_a_useless_indicator_is_seldom_green():
    assert verdicts(0.75, 0.75, 20, 100, trials=60)["green"] <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "photos"), NULL_SIZES)
def test_a_null_indicator_is_green_in_at_most_29_of_400(groups: int, photos: int):
    found = verdicts(0.75, 0.75, groups, 10 * groups, trials=400, photos=photos)
    assert found["green"] * 400 <= 29
    assert found["red"] * 400 <= 29


@pytest.mark.slow
def test_a_useless_rival_and_a_useless_indicator_are_amber():
    """Labels shuffled among the passed images: neither knows anything."""
    assert verdicts(0.5, 0.5, 50, 500, trials=400)["green"] * 400 <= 29


@pytest.mark.slow
def test_an_indicator_better_by_a_tenth_is_green():
    assert verdicts(0.85, 0.75, 100, 1000, trials=400)["green"] >= 0.8
