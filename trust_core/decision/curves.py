"""The stored scores of an audit as arrays that a slider can move over: no table, no model.

Notation: `N` passed images, `F` of them missed defects, `E` strengths, `T` thresholds.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import RECALLS, Counts, Curve, Floats, curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import PassedColumns, numbers, text
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import Kept

ALL_ROLES = "all"
CHOSEN_POINTS = 600  # of the curve that is moved over: as many are drawn, and can be stood on

Indices = npt.NDArray[np.int64]


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


DIGITS = 17  # no two floats agree to more decimals than that below 1


def roundest(below: Floats, upto: Floats) -> Floats:
    """The number of fewest decimals in each interval (below, upto], the largest of those."""
    found = upto.copy()
    wanting = np.ones(len(upto), dtype=bool)
    for digits in range(DIGITS):
        scaled = np.floor(upto * 10.0**digits)
        candidate = np.array([round(s / 10.0**digits, digits) for s in scaled.tolist()])
        fits = wanting & (candidate > below) & (candidate <= upto)
        found[fits] = candidate[fits] + 0.0  # -0.0 becomes 0.0
        wanting &= ~fits
        if not wanting.any():
            break
    return found


def readable(points: Curve, index: int) -> float:
    """The roundest threshold that flags exactly what a point of the curve flags."""
    below = np.append(points.thresholds, -np.inf)[index + 1 : index + 2]
    return float(roundest(below, points.thresholds[index : index + 1])[0])


MEMORY = 220_000_000  # bytes of scores that are kept, of all audits together
HEAT_SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75)
POOLED = 50_000  # good parts that the columns of a heat table are laid out by, about
READABLE = 4  # decimals


@dataclass(frozen=True)
class Scores:
    """One indicator over the passed images of some roles. Shared by all sessions: never written to.

    Attributes:
        curves: trade-off by strength ε.
        shift: trade-off of just lowering the decision threshold.
        values: the indicator, +∞ where unscored, by strength, each `(N,)` in one order of images.
        missed: True for a missed defect, `(N,)`.
        kinds: names of the kinds of defect, the most frequent first.
        kind_of: index into `kinds` of each missed defect, `(F,)`.
    """

    curves: dict[float, Curve]
    shift: Curve
    values: dict[float, Floats]
    missed: npt.NDArray[np.bool_]
    kinds: tuple[str, ...]
    kind_of: npt.NDArray[np.int64]


_kept = Kept(MEMORY)


def load(audit: Audit, role: str, indicator: str) -> Scores:
    """The scores of an indicator over the passed images of a role; read once, then kept.

    Raises:
        SettingsError: unknown role or indicator.
    """
    key = str(audit.folder), audit.key, role, indicator
    return _kept.get(key, lambda: _load(audit, role, indicator))


def _load(audit: Audit, role: str, indicator: str) -> Scores:
    passed = PassedColumns(audit, roles_of(role))
    missed = text(audit, "outcome").equal("FN")[passed.places]
    kind = text(audit, "kind").at(passed.places[missed])
    frequency = Counter(kind.tolist())
    kinds = tuple(sorted(frequency, key=lambda name: (-frequency[name], name)))
    score, clean = INDICATORS.find(indicator), passed.at(0.0)
    values: dict[float, Floats] = {}
    curves: dict[float, Curve] = {}
    for strength in audit.strengths:
        found = score(passed.at(strength), clean)
        # An indicator that does not depend on ε is one and the same array.
        same = next((e for e, known in values.items() if known is found), None)
        np.nan_to_num(found, copy=False, nan=np.inf, posinf=np.inf, neginf=-np.inf)
        values[strength] = found
        curves[strength] = curve(found, missed) if same is None else curves[same]
    return Scores(
        curves=curves,
        shift=curve(INDICATORS.find(THRESHOLD_SHIFT)(clean, clean), missed),
        values=values,
        missed=missed,
        kinds=kinds,
        kind_of=kind.set_categories(list(kinds)).codes.astype(np.int64),
    )


def stops(points: Curve, threshold: float) -> tuple[list[float], float]:
    """Where a slider for τ can stand: each stop flags other parts than the last, right flags more.

    A stop is the roundest number that flags exactly the parts of a point of the curve; the points
    are those that are drawn, and the one `threshold` leads to.

    Returns:
        The stops, descending, and the one that flags what `threshold` flags: `threshold` itself
        when it is short enough to read (the first stop, when it flags nothing but the unscored).
        Empty and NaN when no image has a score.
    """
    count = len(points.thresholds)
    if count < 2:
        return [], math.nan
    here = max(1, points.at(threshold))
    index = np.union1d(drawn(points, CHOSEN_POINTS), [here])
    index = index[index > 0]
    below = np.append(points.thresholds, -np.inf)[index + 1]
    found = roundest(below, points.thresholds[index])
    at = int(np.searchsorted(index, here))
    if round(threshold, READABLE) == threshold and below[at] < threshold <= found[at]:
        found[at] = threshold
    return found.tolist(), float(found[at])


def by_kind(
    scores: Scores, strength: float, threshold: float, most: int
) -> list[tuple[str, int, int]]:
    """`(kind, caught, total)` of the missed defects, the most frequent kinds first.

    What is beyond `most` kinds is one row. Empty when the data names no kinds.
    """
    caught = scores.values[strength][scores.missed] >= threshold
    total = np.bincount(scores.kind_of, minlength=len(scores.kinds))
    hits = np.bincount(scores.kind_of[caught], minlength=len(scores.kinds))
    rows = list(zip(scores.kinds, hits.tolist(), total.tolist(), strict=True))
    if not any(scores.kinds):
        return []
    rows = [(kind or "no kind named", k, n) for kind, k, n in rows]
    if len(rows) <= most:
        return rows
    rest = rows[most - 1 :]
    last = (f"{len(rest)} other kinds", sum(k for _, k, _ in rest), sum(n for *_, n in rest))
    return [*rows[: most - 1], last]


def changed(
    now: Scores, before: Scores, point: OperatingPoint, earlier: OperatingPoint
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Images that change side between two operating points on the same images.

    Returns:
        `(missed defects, good parts)` flagged only now, and those flagged only before.
    """
    flagged = now.values[point.strength] >= point.threshold
    was = before.values[earlier.strength] >= earlier.threshold
    gained, lost = flagged & ~was, was & ~flagged
    return tuple(  # type: ignore[return-value]
        (int((part & now.missed).sum()), int((part & ~now.missed).sum())) for part in (gained, lost)
    )


def heat_thresholds(scores: Scores) -> Floats:
    """Round thresholds for the columns of a heat table, descending, `(T,)`.

    They spread over what good parts score at any strength, denser where few are flagged.
    """
    good = np.flatnonzero(~scores.missed)
    if not len(good):
        good = np.arange(len(scores.missed))
    some = good[:: 1 + len(good) // POOLED]  # ids are hashes, so any of them do
    pooled = np.concatenate([v[some] for v in scores.values.values()])
    pooled = pooled[np.isfinite(pooled)]
    if not len(pooled):
        return pooled
    shares = np.quantile(pooled, [1 - share for share in HEAT_SHARES])
    rounded = {float(f"{value:.2g}") for value in shares.tolist()}
    return np.array(sorted(rounded, reverse=True))


def heat_counts(scores: Scores, thresholds: Sequence[float] | Floats) -> tuple[Counts, Counts]:
    """Missed defects and good parts flagged at each strength and threshold, both `(E, T)`."""
    rows = [[points.at(t) for t in thresholds] for points in scores.curves.values()]
    curves = list(scores.curves.values())
    fn = [points.flagged_fn[row] for points, row in zip(curves, rows, strict=True)]
    tn = [points.flagged_tn[row] for points, row in zip(curves, rows, strict=True)]
    return np.stack(fn), np.stack(tn)


def drawn(points: Curve, limit: int) -> Indices:
    """Indices of at most `limit` points that stand for a curve, ascending; all when they are few.

    First come the points that catch one more missed defect at the lowest loss, then points at even
    steps along the curve. Both ends are among them.
    """
    count = len(points.thresholds)
    if count <= limit:
        return np.arange(count)
    gains = np.flatnonzero(np.diff(points.flagged_fn, prepend=-1))
    if len(gains) > limit // 2:
        gains = gains[np.linspace(0, len(gains) - 1, limit // 2).round().astype(int)]
    way = points.flagged_fn / max(1, points.fn) + points.flagged_tn / max(1, points.tn)
    steps = np.linspace(way[0], way[-1], limit - len(gains) - 2)
    even = np.searchsorted(way, steps).clip(0, count - 1)
    return np.unique(np.concatenate(([0, count - 1], gains, even)))
