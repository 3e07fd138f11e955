"""Indicators: any number per passed image; higher = more suspicious, NaN = unscored.

An indicator is a function of two tables with one row a passed image, in one order: `at` the chosen
strength ε and `clean` at ε = 0, with the columns of `scores.parquet` and `p_defect`.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.explanation.registry import Registry

Floats = npt.NDArray[np.float64]
Indicator = Callable[[pd.DataFrame, pd.DataFrame], Floats]

INDICATORS: Registry[Indicator] = Registry("indicator")

DEFAULT_INDICATOR = "iou_difference"
THRESHOLD_SHIFT = "p_defect"


def _column(table: pd.DataFrame, name: str) -> Floats:
    return cast(Floats, table[name].to_numpy(dtype=np.float64))


@INDICATORS.register(DEFAULT_INDICATOR)
def iou_difference(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """Δ = IoU(M_defect, M_agnostic) − IoU(M_good, M_agnostic), on x_ε."""
    return _column(at, "iou_difference")


@INDICATORS.register("iou_defect")
def iou_defect(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """IoU(M_defect, M_agnostic), on x_ε."""
    return _column(at, "iou_defect")


@INDICATORS.register("good_disagreement")
def good_disagreement(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """1 − IoU(M_good, M_agnostic), on x_ε."""
    return 1.0 - _column(at, "iou_good")


@INDICATORS.register("iou_difference_shift")
def iou_difference_shift(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """Δ(x_ε) − Δ(x): what the enhancement moved."""
    return _column(at, "iou_difference") - _column(clean, "iou_difference")


@INDICATORS.register(THRESHOLD_SHIFT)
def p_defect(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """`p` of the clean image: flagging by it is moving the decision threshold. The rival."""
    return _column(clean, "p_defect")


@INDICATORS.register("log_odds")
def log_odds(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """z(x_ε): the enhancement without any heatmap."""
    return _column(at, "log_odds")


@INDICATORS.register("log_odds_shift")
def log_odds_shift(at: pd.DataFrame, clean: pd.DataFrame) -> Floats:
    """z(x_ε) − z(x)."""
    return _column(at, "log_odds") - _column(clean, "log_odds")
