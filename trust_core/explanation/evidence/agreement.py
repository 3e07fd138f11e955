"""Sums of the evidence for and against, and how far two forms of evidence agree."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from trust_core.explanation.evidence.windows import Evidence, disjoint

COMPARED = 10  # windows of either form that are looked at one by one


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
    """
    inside = np.ones(len(found.windows), dtype=bool)
    for places in found.windows[:, :2].T:
        starts = np.unique(places)
        inside &= np.isin(places, starts[disjoint(starts.astype(int).tolist(), window)])
    bits = found.windows[inside, 2]
    return float(bits[bits > 0].sum()), float(bits[bits < 0].sum())


def agreement(fast: Evidence, slow: Evidence) -> Agreement:
    """Compare two forms computed with the same window and stride.

    `slow` is the form that `fast` is held to.
    """
    ours, theirs = fast.bits.ravel(), slow.bits.ravel()
    varied = np.ptp(ours) > 0 and np.ptp(theirs) > 0
    ranks = float(spearmanr(ours, theirs).statistic) if varied else math.nan
    count = max(1, min(COMPARED, len(slow.windows) // 2))
    shared = len(strongest_windows(fast, count) & strongest_windows(slow, count))
    all_ours = float(np.abs(ours).sum())
    strength = float(np.abs(theirs).sum()) / all_ours if all_ours else math.nan
    return Agreement(ranks, count, shared, strength)


def strongest_windows(found: Evidence, count: int) -> set[tuple[int, int, int]]:
    """The windows with the most bits either way: row, column and sign of each."""
    order = np.argsort(-np.abs(found.windows[:, 2]), kind="stable")[:count]
    return {
        (int(row), int(column), int(np.sign(bits))) for row, column, bits in found.windows[order]
    }
