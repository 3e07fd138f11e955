"""Indicators from the two tables they are given."""

import math

import numpy as np
import pandas as pd
import pytest

from trust_core.decision.indicators.registry import ABSENT, INDICATORS
from trust_core.errors import SettingsError

CLEAN = pd.DataFrame(
    {
        "iou_defect": [0.5, math.nan],
        "iou_good": [0.25, math.nan],
        "iou_difference": [0.25, math.nan],
        "log_odds": [-2.0, -1.0],
        "p_defect": [0.12, 0.27],
    }
)
for _name in ABSENT:
    CLEAN[_name] = [1.5, math.nan]
AT = pd.DataFrame(
    {
        "iou_defect": [0.75, 0.5],
        "iou_good": [0.125, 0.5],
        "iou_difference": [0.625, 0.0],
        "log_odds": [-0.5, 1.0],
        "p_defect": [0.12, 0.27],
    }
)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("iou_difference", [0.625, 0.0]),
        ("iou_defect", [0.75, 0.5]),
        ("good_disagreement", [0.875, 0.5]),
        ("iou_difference_shift", [0.375, math.nan]),
        ("p_defect", [0.12, 0.27]),
        ("log_odds", [-0.5, 1.0]),
        ("log_odds_shift", [1.5, 2.0]),
        ("iou_difference_clean", [0.25, math.nan]),
        *((name, [1.5, math.nan]) for name in ABSENT),
    ],
)
def test_indicators_by_hand(name: str, wanted: list[float]):
    values = INDICATORS[name](AT, CLEAN)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, wanted)


def test_the_tables_are_left_as_they_are():
    before = AT.copy(), CLEAN.copy()
    for indicator in INDICATORS.values():
        indicator(AT, CLEAN)
    pd.testing.assert_frame_equal(AT, before[0])
    pd.testing.assert_frame_equal(CLEAN, before[1])


@pytest.mark.parametrize("name", ABSENT)
def test_a_rival_that_the_audit_does_not_have_is_refused_with_the_reason(name: str):
    with pytest.raises(SettingsError, match=f"no indicator '{name}': ") as refused:
        INDICATORS[name](AT, CLEAN.drop(columns=name))
    assert ABSENT[name] in str(refused.value)


def test_an_unknown_indicator_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="no indicator 'iou'; choose from iou_difference"):
        INDICATORS.find("iou")
