"""What the evidence benchmarks make of their runs."""

import numpy as np
import pytest
import torch

from benchmarks.evidence import FAST, FORMS, summary, table
from benchmarks.faithfulness import Tiles, intervals, judge
from tests.explanation.networks import TinyResNet, make


def told(seed: int, noise: float, **costs: tuple[float, float, float]) -> dict:
    """One image of which every fast form says the same as the slow one, or its opposite."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=(20, 20))
    found: dict = {"log_odds": -1.0 * seed}
    for name in FORMS:
        sign = -1 if name == "saliency" else 1
        bits = sign * truth + noise * draw.normal(size=truth.shape) * name.startswith("pda")
        found[f"{name}_bits"], found[f"{name}_windows"] = bits, bits.ravel()
        found[f"{name}_cost"] = np.array(costs.get(name, (10.0, 0.0, 1.0)))
    return found


def test_speed_is_against_the_mean_slow_run_and_agreement_against_their_own():
    slow = {"pda": (100.0, 0.0, 30.0), "pda_again": (100.0, 0.0, 50.0)}
    found = [told(seed, 0.5, **slow, plugin=(10.0, 0.0, 4.0)) for seed in range(6)]
    result = summary(table(found))
    assert result["images"] == 6
    assert result["plugin_vs_pda"] == {"median": 10, "min": 10, "max": 10}
    assert result["plugin_vs_pda_forwards"] == 10
    ceiling = result["pda_spearman_with_itself"]["median"]
    assert 0.7 < ceiling < 0.9
    assert 1 < result["plugin_spearman"]["median"] < 1.2  # the truth agrees with noisy runs better
    assert result["saliency_spearman"]["median"] < -1
    assert result["plugin_same_sign_of_the_strongest_tenth"]["median"] == 1
    assert result["saliency_same_sign_of_the_strongest_tenth"]["median"] == 0
    assert {f"{name}_spearman" for name in FAST} <= result.keys()
    assert len(result["when"]["first_order"]["log_odds"]) == 3


def test_a_map_is_judged_by_where_it_points_and_what_hangs_on_it():
    torch.manual_seed(0)
    ware = Tiles(make(TinyResNet(), side=48), None, None, None, None)
    mask = np.zeros((48, 48), dtype=bool)
    mask[30:34, 30:34] = True
    pixels, right = torch.rand(3, 48, 48), mask.astype(float)
    pointing, mass, iou, deletion, insertion = judge(ware, right, pixels, mask)
    assert (pointing, mass, iou) == (1, 1, 1)
    assert 0 < deletion < 1
    assert 0 < insertion < 1
    wrong = np.zeros((48, 48))
    wrong[2, 2] = 3
    assert list(judge(ware, wrong, pixels, mask)[:3]) == [0, 0, 0]
    turned = judge(ware, -np.arange(48.0**2).reshape(48, 48), pixels, mask)
    forth = judge(ware, np.arange(48.0**2).reshape(48, 48), pixels, mask)
    assert turned[3] == pytest.approx(forth[4], abs=0.02)  # to take the last first is to add first


def test_intervals_hold_the_mean():
    values = np.random.default_rng(0).random((30, 4))
    for (mean, low, high), column in zip(intervals(values), values.T, strict=True):
        assert mean == pytest.approx(column.mean(), abs=1e-3)
        assert low < mean < high
