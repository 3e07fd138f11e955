"""The trade-off curves of a finished audit, for an indicator and a role, at every strength.

`report` gives what `python -m trust_core tradeoff` prints; the dashboard draws the same curves.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.indicators import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.tradeoff import RECALLS, Curve, curve
from trust_core.errors import SettingsError
from trust_core.store import Audit

ALL_ROLES = "all"


def roles_of(role: str) -> tuple[str, ...]:
    """The roles a choice stands for: `all` is every role but `train`.

    Raises:
        SettingsError: no such role, or `train`, which enters no curve.
    """
    fair = tuple(r for r in ROLES if r != "train")
    if role == ALL_ROLES:
        return fair
    if role not in fair:
        raise SettingsError(
            f"role '{role}': choose from {', '.join(fair)}, {ALL_ROLES}; images the detector has "
            "been trained on enter no curve"
        )
    return (role,)


def indicator_scores(passed: pd.DataFrame, indicator: str, strength: float) -> pd.DataFrame:
    """The passed images with their indicator at one strength.

    Args:
        passed: `Audit.passed`, all strengths.
        indicator: a key of `INDICATORS`.
        strength: ε, one of the audit's.

    Returns:
        The rows at that strength, with a column `indicator` (NaN where unscored).
    """
    at = passed[passed["strength"] == strength].reset_index(drop=True)
    clean = passed[passed["strength"] == 0].reset_index(drop=True)
    return at.assign(indicator=INDICATORS.find(indicator)(at, clean))


def curve_at(passed: pd.DataFrame, indicator: str, strength: float) -> Curve:
    """Trade-off curve of an indicator at one strength over the passed images."""
    table = indicator_scores(passed, indicator, strength)
    missed = (table["outcome"] == "FN").to_numpy()
    return curve(table["indicator"].to_numpy(dtype=np.float64), missed)


def report(audit: Audit, indicator: str = DEFAULT_INDICATOR, role: str = "tune") -> dict[str, Any]:
    """Trade-off curves of one indicator at every strength, with threshold shift beside them.

    Raises:
        SettingsError: unknown indicator or role, or nothing to draw a curve from.
    """
    INDICATORS.find(indicator)
    passed = audit.passed(roles_of(role))
    clean = passed[passed["strength"] == 0]
    counts = {name.lower(): int((clean["outcome"] == name).sum()) for name in ("FN", "TN")}
    if not len(clean):
        raise SettingsError(
            f"no image of role '{role}' was called good, so there is nothing to draw; "
            "try --role all"
        )
    return {
        "audit": str(audit.folder),
        "role": role,
        "indicator": indicator,
        "counts": counts,
        "curves": [as_json(curve_at(passed, indicator, e), e) for e in audit.strengths],
        "threshold_shift": as_json(curve_at(passed, THRESHOLD_SHIFT, 0.0), 0.0),
    }


def as_json(points: Curve, strength: float) -> dict[str, Any]:
    """A curve as JSON: τ = +∞, where only the unscored are flagged, is null; so is NaN."""
    columns = {
        "threshold": points.thresholds,
        "fn_recall": points.fn_recall,
        "tn_loss": points.tn_loss,
        "flagged_fn": points.flagged_fn,
        "flagged_tn": points.flagged_tn,
    }
    rows = zip(*(_plain(values) for values in columns.values()), strict=True)
    return {
        "strength": strength,
        "auroc": _number(points.auroc),
        "tn_loss_at": {str(recall): _number(points.tn_loss_at(recall)) for recall in RECALLS},
        "points": [dict(zip(columns, row, strict=True)) for row in rows],
    }


def _plain(values: npt.NDArray[Any]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
