"""The trade-off curve: recall of missed defects over loss of good parts, as the threshold τ moves.

Notation: `N` passed images, `K` distinct scores. A passed image with score ≥ τ is flagged; an
unscored one counts as +∞ and is always flagged.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trust_core.decision.json_object import json_object, json_value

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

MOST_DECIMALS = 17  # no two floats agree to more decimals than that below 1
RECALLS = (0.8, 0.9, 0.95, 1.0)
DRAWN_POINTS = 600  # of the curve that is moved over: as many are drawn, and can be stood on


@dataclass(frozen=True)
class Curve:
    """Exact trade-off at every distinct score; nothing is interpolated or thinned.

    Attributes:
        thresholds: τ, descending, `(K + 1,)`; the first is +∞, where only the unscored are flagged.
        flagged_fn: missed defects flagged at each τ, `(K + 1,)`.
        flagged_tn: good parts flagged at each τ, `(K + 1,)`.
        fn: missed defects in all.
        tn: good parts in all.
    """

    thresholds: Floats
    flagged_fn: Counts
    flagged_tn: Counts
    fn: int
    tn: int

    @property
    def fn_recall(self) -> Floats:
        """Flagged FN / all FN, `(K + 1,)`; NaN when there is no FN."""
        return _share(self.flagged_fn, self.fn)

    @property
    def tn_loss(self) -> Floats:
        """Flagged TN / all TN, `(K + 1,)`; NaN when there is no TN."""
        return _share(self.flagged_tn, self.tn)

    @cached_property
    def flagged(self) -> Counts:
        """All that is flagged at each τ, `(K + 1,)`."""
        return self.flagged_fn + self.flagged_tn

    @cached_property
    def auroc(self) -> float:
        """Area under the curve from (0, 0); NaN without an FN or a TN."""
        if not self.fn or not self.tn:
            return float("nan")
        recall = np.concatenate(([0.0], self.fn_recall))
        loss = np.concatenate(([0.0], self.tn_loss))
        return float(np.trapezoid(recall, loss))

    def at(self, threshold: float) -> int:
        """Index of the point that a threshold leads to: what has a score ≥ it is flagged."""
        below = int(np.searchsorted(self.thresholds[::-1], threshold))
        return len(self.thresholds) - below - 1

    def at_recall(self, recall: float) -> int | None:
        """Index of the first point, with the lowest TN loss, that reaches an FN recall."""
        # Compared in counts: 0.95 · 20 must be 19, whatever the floating point says.
        return self.at_caught(math.ceil(recall * self.fn - 1e-9))

    def at_caught(self, caught: int) -> int | None:
        """Index of the first point, with the lowest TN loss, that flags so many missed defects."""
        return int(np.searchsorted(self.flagged_fn, min(caught, self.fn))) if self.fn else None

    def gains(self) -> "Curve":
        """The points that catch one more missed defect: all that a wanted recall can lead to."""
        return self.only(np.flatnonzero(np.diff(self.flagged_fn, prepend=-1)))

    def tn_loss_at(self, recall: float) -> float:
        """Lowest TN loss with at least this FN recall; NaN without an FN or a TN."""
        index = self.at_recall(recall)
        return float("nan") if index is None else float(self.tn_loss[index])

    def representatives(self, limit: int = DRAWN_POINTS) -> Counts:
        """Indices of at most `limit` points that stand for the curve, ascending; all when few.

        First come the points that catch one more missed defect at the lowest loss, then points at
        even steps along the curve. Both ends are among them.
        """
        count = len(self.thresholds)
        if count <= limit:
            return np.arange(count)
        gains = np.flatnonzero(np.diff(self.flagged_fn, prepend=-1))
        if len(gains) > limit // 2:
            gains = gains[np.linspace(0, len(gains) - 1, limit // 2).round().astype(int)]
        way = self.flagged_fn / max(1, self.fn) + self.flagged_tn / max(1, self.tn)
        steps = np.linspace(way[0], way[-1], limit - len(gains) - 2)
        even = np.searchsorted(way, steps).clip(0, count - 1)
        return np.unique(np.concatenate(([0, count - 1], gains, even)))

    @cached_property
    def drawn(self) -> Counts:
        """The points that are drawn and can be stood on: `representatives()`, the first is +∞."""
        return self.representatives()

    @cached_property
    def drawn_short(self) -> Floats:
        """`short_thresholds` of the points that are drawn."""
        return self.short_thresholds(self.drawn)

    def short_thresholds(self, index: Counts) -> Floats:
        """The threshold of fewest decimals that flags exactly what each of some points flags."""
        below = np.append(self.thresholds, -np.inf)[index + 1]
        return fewest_decimals(below, self.thresholds[index])

    def only(self, index: Counts) -> "Curve":
        """Some points of the curve."""
        caught, lost = self.flagged_fn[index], self.flagged_tn[index]
        return Curve(self.thresholds[index], caught, lost, self.fn, self.tn)

    def as_json(self) -> dict[str, Any]:
        """A JSON object: τ = +∞, where only the unscored are flagged, is null; so is NaN."""
        names = ("threshold", "fn_recall", "tn_loss", "flagged_fn", "flagged_tn")
        columns = (
            self.thresholds, self.fn_recall, self.tn_loss, self.flagged_fn, self.flagged_tn
        )  # fmt: skip
        rows = zip(*(map(json_value, values.tolist()) for values in columns), strict=True)
        losses = {str(recall): self.tn_loss_at(recall) for recall in RECALLS}
        return {
            **json_object({"auroc": self.auroc, "tn_loss_at": losses}),
            "points": [dict(zip(names, row, strict=True)) for row in rows],
        }


def _share(counts: Counts, total: int) -> Floats:
    return counts / total if total else np.full(len(counts), np.nan)


def curve(scores: Floats, missed: npt.NDArray[np.bool_]) -> Curve:
    """The trade-off of `scores` `(N,)`, higher = more suspicious, NaN = unscored.

    `missed` is True for a missed defect (FN), False for a good part (TN), `(N,)`.
    """
    values = np.where(np.isnan(scores), np.inf, scores).astype(np.float64)
    order = np.argsort(-values)  # equal scores are one point, whatever their order
    values, hits = values[order], missed[order].astype(np.int64)
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    flagged_fn, flagged = np.cumsum(hits)[last], last + 1
    thresholds = values[last]
    if not len(thresholds) or thresholds[0] != np.inf:
        thresholds = np.concatenate(([np.inf], thresholds))
        flagged_fn, flagged = (np.concatenate(([0], a)) for a in (flagged_fn, flagged))
    fn = int(missed.sum())
    return Curve(thresholds, flagged_fn, flagged - flagged_fn, fn, len(values) - fn)


def fewest_decimals(below: Floats, upto: Floats) -> Floats:
    """The number of fewest decimals in each interval (below, upto], the largest of those."""
    found = upto.copy()
    wanting = np.ones(len(upto), dtype=bool)
    for digits in range(MOST_DECIMALS):
        scaled = np.floor(upto * 10.0**digits)
        candidate = np.array([round(s / 10.0**digits, digits) for s in scaled.tolist()])
        fits = wanting & (candidate > below) & (candidate <= upto)
        found[fits] = candidate[fits] + 0.0  # -0.0 becomes 0.0
        wanting &= ~fits
        if not wanting.any():
            break
    return found


@dataclass(frozen=True)
class Metrics:
    """Numbers of one indicator among passed images; NaN where they are not defined.

    Attributes:
        auroc: chance that a missed defect scores higher than a good part, ties half.
        aupr: average precision of finding missed defects.
        fpr95: loss of good parts at 95 % recall of missed defects.
        aurc: area under risk over coverage (Geifman, El-Yaniv, NeurIPS 2017): mean share of missed
            defects among what is not flagged, as less and less is flagged. Lower is better.
        augrc: area under generalised risk over coverage (Traub et al., arXiv 2407.01032): the same
            with escaped defects counted against all passed images. Lower is better.
    """

    auroc: float
    aupr: float
    fpr95: float
    aurc: float
    augrc: float


def metrics(points: Curve) -> Metrics:
    """The metrics of a trade-off curve."""
    return Metrics(
        points.auroc, _average_precision(points), points.tn_loss_at(0.95), *_risk_areas(points)
    )


def _average_precision(points: Curve) -> float:
    if not points.fn or not points.tn:
        return float("nan")
    flagged = points.flagged
    precision = np.divide(points.flagged_fn, flagged, out=np.ones(len(flagged)), where=flagged > 0)
    return float((np.diff(points.fn_recall, prepend=0.0) * precision).sum())


def _risk_areas(points: Curve) -> tuple[float, float]:
    """AURC and AUGRC by the trapezoid rule over distinct scores, as the authors' own code does."""
    total = points.fn + points.tn
    if not points.fn or not points.tn:
        return float("nan"), float("nan")
    # Ascending coverage; its last point keeps everything, unscored images too.
    escaped = np.append(points.fn - points.flagged_fn[::-1], points.fn)
    kept = np.append(total - points.flagged[::-1], total)
    coverage: Floats = kept / total
    generalised = escaped / total
    risk = np.divide(escaped, kept, out=np.zeros(len(kept)), where=kept > 0)
    risk[kept == 0] = risk[kept > 0][0]  # towards coverage 0 the last defined risk is held
    return float(np.trapezoid(risk, coverage)), float(np.trapezoid(generalised, coverage))
