"""The trade-off curves of a finished audit, for an indicator and a role, at every strength.

`report` gives what `python -m trust_core tradeoff` prints; the dashboard draws the same curves.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.indicators import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.tradeoff import RECALLS, Curve, curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import PassedColumns, numbers, text
from trust_core.storage.audit_files import Audit

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


def scored(audit: Audit, roles: Sequence[str], indicator: str, strength: float) -> pd.DataFrame:
    """The passed images of some roles with an indicator at one strength.

    Only the columns that it takes are read: a million images take some 40 MB.

    Args:
        audit: a finished audit.
        roles: of the images.
        indicator: a key of `INDICATORS`.
        strength: ε, one of the audit's.

    Returns:
        `place` (among all images, in the order of `sample_id`), `outcome`, `kind` (categories),
        `group` (a number), `p_defect` of the clean image and `indicator` (NaN where unscored).

    Raises:
        SettingsError: an indicator that this audit does not have.
    """
    return with_indicator(PassedColumns(audit, roles, [strength]), indicator, strength)


def with_indicator(passed: PassedColumns, indicator: str, strength: float) -> pd.DataFrame:
    """The same from columns that are open already."""
    found = INDICATORS.find(indicator)(passed.at(strength), passed.at(0.0))
    described = {name: text(passed.audit, name).at(passed.places) for name in ("outcome", "kind")}
    described["group"] = text(passed.audit, "group").codes[passed.places]
    rival = numbers(passed.audit, THRESHOLD_SHIFT)[passed.places]
    columns = {"place": passed.places, **described, THRESHOLD_SHIFT: rival, "indicator": found}
    return pd.DataFrame(columns, copy=False)


def curves_of(passed: PassedColumns, indicator: str) -> dict[float, Curve]:
    """Trade-off curve of an indicator at every strength of the columns."""
    score, clean = INDICATORS.find(indicator), passed.at(0.0)
    missed = text(passed.audit, "outcome").equal("FN")[passed.places]
    return {e: curve(score(passed.at(e), clean), missed) for e in passed.audit.strengths}


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
    passed = PassedColumns(audit, roles_of(role))
    if not len(passed.places):
        raise SettingsError(
            f"no image of role '{role}' was called good, so there is nothing to draw; "
            "try --role all"
        )
    shift = curves_of(passed, THRESHOLD_SHIFT)[0.0]
    return {
        "audit": str(audit.folder),
        "role": role,
        "indicator": indicator,
        "counts": {"fn": shift.fn, "tn": shift.tn},
        "curves": [as_json(points, e) for e, points in curves_of(passed, indicator).items()],
        "threshold_shift": as_json(shift, 0.0),
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
