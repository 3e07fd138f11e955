"""What the evidence view says in numbers: sums for and against, and how far two forms agree."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from trust_core.explanation.evidence.forms import Evidence
from trust_core.explanation.evidence.occlusion import apart

STRONGEST = 10


@dataclass(frozen=True)
class Agreement:
    """Two forms of evidence compared.

    Attributes:
        ranks: Spearman's correlation over pixels; NaN when one of them is constant.
        strongest: how many windows were looked at, the strongest of either form.
        shared: of these, how many are the same and speak for the same side.
        strength: bits of the slow form, regardless of sign, over those of the fast one; NaN when
            the fast one finds nothing.
    """

    ranks: float
    strongest: int
    shared: int
    strength: float


def for_and_against(found: Evidence, window: int) -> tuple[float, float]:
    """Bits of the non-overlapping windows that speak for *defective*, and of those for *good*.

    They add up to `found.total`.

    Args:
        found: the evidence.
        window: its k.
    """
    inside = np.ones(len(found.windows), dtype=bool)
    for axis in (0, 1):
        places = found.windows[:, axis]
        starts = np.unique(places)
        chosen = starts[apart(starts.astype(int).tolist(), window)]
        inside &= np.isin(places, chosen)
    bits = found.windows[inside, 2]
    return float(bits[bits > 0].sum()), float(bits[bits < 0].sum())


def agreement(fast: Evidence, slow: Evidence) -> Agreement:
    """Compare two forms computed with the same window and stride.

    Args:
        fast: the form in question.
        slow: the form it is held to.
    """
    ours, theirs = fast.bits.ravel(), slow.bits.ravel()
    varied = np.ptp(ours) > 0 and np.ptp(theirs) > 0
    ranks = float(spearmanr(ours, theirs).statistic) if varied else math.nan
    count = max(1, min(STRONGEST, len(slow.windows) // 2))
    shared = len(strongest(fast, count) & strongest(slow, count))
    all_ours = float(np.abs(ours).sum())
    strength = float(np.abs(theirs).sum()) / all_ours if all_ours else math.nan
    return Agreement(ranks, count, shared, strength)


def strongest(found: Evidence, count: int) -> set[tuple[int, int, int]]:
    """The windows with the most bits either way: row, column and sign of each."""
    order = np.argsort(-np.abs(found.windows[:, 2]), kind="stable")[:count]
    return {
        (int(row), int(column), int(np.sign(bits))) for row, column, bits in found.windows[order]
    }
