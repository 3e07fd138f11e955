"""FN recall on the line, from labels that come back for what was inspected.

Flagged parts are inspected; of the parts that are neither called defective nor flagged only a
random share, the audit rate. Each inspected defect is weighted by one over the chance it had to be
inspected (Horvitz and Thompson, J. Am. Stat. Assoc. 47, 1952). Of a defect that was inspected, the
chance that it was a flagged one is

    q = r·b / (r·b + (1 − r)·a)

with r the recall, b the share of flagged parts that are labelled, a that of the others. So a bound
on q, from a binomial count, is one on r.

The bounds hold at every look, however often one looks: they are those of a confidence sequence, the
beta-binomial mixture of Robbins (Ann. Math. Stat. 41, 1970).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln


@dataclass(frozen=True)
class AuditedRecall:
    """The recall on the line.

    Attributes:
        flagged_defects: labelled defects that were flagged.
        audited_defects: labelled defects that were not, found by the audit sample.
        flagged_rate: b, share of the flagged parts that are labelled.
        audit_rate: a, share of the unflagged ones that are sampled and labelled.
        recall: weighted estimate; NaN without a defect.
        low: lower bound of the confidence sequence.
        high: upper bound.
        confidence: that both hold, at every look.
    """

    flagged_defects: int
    audited_defects: int
    flagged_rate: float
    audit_rate: float
    recall: float
    low: float
    high: float
    confidence: float


def audited_recall(
    flagged_defects: int,
    audited_defects: int,
    flagged_rate: float,
    audit_rate: float,
    confidence: float = 0.95,
) -> AuditedRecall:
    """The recall that labels of the line show.

    The arguments are fields of `AuditedRecall`, both rates in (0, 1].
    """
    total = flagged_defects + audited_defects
    weights = flagged_defects / flagged_rate, audited_defects / audit_rate
    recall = weights[0] / sum(weights) if total else np.nan
    low, high = share_sequence(flagged_defects, total, confidence)
    return AuditedRecall(
        flagged_defects,
        audited_defects,
        flagged_rate,
        audit_rate,
        recall,
        low=_recall_of(low, flagged_rate, audit_rate),
        high=_recall_of(high, flagged_rate, audit_rate),
        confidence=confidence,
    )


def share_sequence(hits: int, total: int, confidence: float) -> tuple[float, float]:
    """Bounds of a share that hold at every look: where mixture over likelihood stays below 1/δ.

    There are `hits` of `total` independent trials so far; `confidence` is 1 − δ.
    """
    limit = np.log(1 / (1 - confidence))

    def beyond(share: float) -> float:
        return float(
            betaln(hits + 1, total - hits + 1) - _log_likelihood(hits, total, share) - limit
        )

    best, tiny = (hits / total if total else 0.5), 1e-12
    low = 0.0 if not hits or beyond(tiny) < 0 else brentq(beyond, tiny, best)
    high = 1.0 if hits == total or beyond(1 - tiny) < 0 else brentq(beyond, best, 1 - tiny)
    return float(low), float(high)


def _log_likelihood(hits: int, total: int, share: float) -> float:
    misses = total - hits
    return float(
        (hits * np.log(share) if hits else 0.0) + (misses * np.log1p(-share) if misses else 0.0)
    )


def _recall_of(share: float, flagged_rate: float, audit_rate: float) -> float:
    """The recall r from q: q·a / (q·a + (1 − q)·b)."""
    above, below = share * audit_rate, (1 - share) * flagged_rate
    return above / (above + below) if above + below else 1.0
