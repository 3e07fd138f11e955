"""How well an indicator separates missed defects from good parts, over all thresholds at once.

All are read off the exact trade-off curve, at distinct scores only: images with equal scores are
flagged together or not at all, so no order among them is invented.
"""

from dataclasses import dataclass

import numpy as np

from trust_core.decision.tradeoff import Curve, Floats


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
    flagged = points.flagged_fn + points.flagged_tn
    precision = np.divide(points.flagged_fn, flagged, out=np.ones(len(flagged)), where=flagged > 0)
    return float((np.diff(points.fn_recall, prepend=0.0) * precision).sum())


def _risk_areas(points: Curve) -> tuple[float, float]:
    """AURC and AUGRC by the trapezoid rule over distinct scores, as the authors' own code does."""
    total = points.fn + points.tn
    if not points.fn or not points.tn:
        return float("nan"), float("nan")
    # Ascending coverage; its last point keeps everything, unscored images too.
    escaped = np.append(points.fn - points.flagged_fn[::-1], points.fn)
    kept = np.append(total - (points.flagged_fn + points.flagged_tn)[::-1], total)
    coverage: Floats = kept / total
    generalised = escaped / total
    risk = np.divide(escaped, kept, out=np.zeros(len(kept)), where=kept > 0)
    risk[kept == 0] = risk[kept > 0][0]  # towards coverage 0 the last defined risk is held
    return float(np.trapezoid(risk, coverage)), float(np.trapezoid(generalised, coverage))
