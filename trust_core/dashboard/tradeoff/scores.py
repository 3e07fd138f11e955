"""The stored scores of an audit as arrays that a slider can move over: no table, no model.

Notation: `N` passed images, `F` of them missed defects, `E` strengths, `T` thresholds.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st

from trust_core.dashboard.address import Point
from trust_core.dashboard.thresholds import roundest
from trust_core.decision.curves import roles_of
from trust_core.decision.indicators import INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Counts, Curve, Floats, curve
from trust_core.drawn_curves import CHOSEN_POINTS, drawn
from trust_core.store import Audit

COLUMNS = "strength, scores.log_odds, iou_defect, iou_good, iou_difference, p_defect"
HEAT_SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75)
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


# A resource rather than data: data would be copied for every call, some 30 MB at 100,000 images.
@st.cache_resource(max_entries=6, show_spinner=False)
def _load(_audit: Audit, key: str, role: str, indicator: str) -> Scores:
    roles = [list(roles_of(role))]
    passed = "outcome IN ('FN', 'TN') AND list_contains(?, role)"
    # `row` numbers the scores by image, then strength: an order that needs no comparing of names.
    rival = f", indicators.{indicator}" if indicator in _audit.rivals else ""
    table = _audit.query(
        f"SELECT {COLUMNS}{rival} FROM scores JOIN samples USING (sample_id) "  # noqa: S608
        "LEFT JOIN indicators USING (sample_id) "
        f"WHERE {passed} ORDER BY row",
        roles,
    )
    images = _audit.query(
        f"SELECT outcome = 'FN' AS missed, kind FROM samples WHERE {passed} ORDER BY sample_id",  # noqa: S608
        roles,
    )
    missed = images["missed"].to_numpy(dtype=bool)
    kind = images.loc[images["missed"], "kind"].tolist()
    frequency = Counter(kind)
    kinds = tuple(sorted(frequency, key=lambda name: (-frequency[name], name)))
    number = {name: index for index, name in enumerate(kinds)}
    at = {e: rows.reset_index(drop=True) for e, rows in table.groupby("strength")}
    clean = at.get(0.0, table)
    score = INDICATORS.find(indicator)
    values = {e: score(at.get(e, clean), clean) for e in _audit.strengths}
    shift = INDICATORS.find(THRESHOLD_SHIFT)(clean, clean)
    return Scores(
        curves={e: curve(v, missed) for e, v in values.items()},
        shift=curve(shift, missed),
        values={e: np.where(np.isnan(v), np.inf, v) for e, v in values.items()},
        missed=missed,
        kinds=kinds,
        kind_of=np.array([number[name] for name in kind], dtype=np.int64),
    )


def load(audit: Audit, role: str, indicator: str) -> Scores:
    """The scores of an indicator over the passed images of a role; read once, then kept.

    Raises:
        SettingsError: unknown role or indicator.
    """
    return _load(audit, audit.key, role, indicator)


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
    now: Scores, before: Scores, point: Point, earlier: Point
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
    pooled = np.concatenate([v[~scores.missed] for v in scores.values.values()])
    if not len(pooled):
        pooled = np.concatenate(list(scores.values.values()))
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
