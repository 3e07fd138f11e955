"""How many missed parts prove what: the exact binomial behind every certificate.

A *part* is a group that holds a missed defect; it is caught when all its misses are flagged. Parts
are drawn independently, so the number overlooked at a threshold whose recall is r is
Binomial(n, 1 − r).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtr, betaincinv

from trust_core.errors import SettingsError

ROUNDING = 1 + 1e-12  # of the binomial distribution function, where it meets δ exactly


@dataclass(frozen=True)
class Demand:
    """A statement that is asked for.

    Attributes:
        recall: r, the share of the parts with a missed defect that must be caught; in (0, 1).
        confidence: 1 − δ, in (0, 1).

    Raises:
        SettingsError: a share that is none, or a certainty that no finite number of parts gives.
    """

    recall: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_inside("recall", self.recall)
        check_inside("confidence", self.confidence)


def check_share(name: str, value: float) -> None:
    """A share lies between 0 and 1.

    Raises:
        SettingsError: it does not.
    """
    if not 0 <= value <= 1:
        raise SettingsError(f"{name} {value:g}: write a share between 0 and 1, such as 0.95")


def check_inside(name: str, value: float) -> None:
    """What is to be proven lies strictly between 0 and 1.

    Raises:
        SettingsError: it does not.
    """
    check_share(name, value)
    if value in (0, 1):
        raise SettingsError(
            f"{name} {value:g} cannot be proven from any number of parts; write a share between "
            "0 and 1, such as 0.95"
        )


@lru_cache(maxsize=4096)
def rank(groups: int, demand: Demand) -> int:
    """Rank k, from below, of the group score that proves the demand; 0 when none does.

    The largest k with P(Binomial(n, 1 − r) ≤ k − 1) ≤ δ: the order statistic of a nonparametric
    tolerance limit (Wilks, Ann. Math. Stat. 12, 1941). It depends on no score.
    """
    at_most = bdtr(np.arange(groups), groups, 1 - demand.recall)
    return int(np.count_nonzero(at_most <= (1 - demand.confidence) * ROUNDING))


def proven(caught: int, groups: int, confidence: float) -> float:
    """The recall that `caught` of `groups` proves: one-sided Clopper–Pearson (Biometrika 26, 1934).

    `caught` must not depend on the scores of these groups beyond a threshold that was fixed
    elsewhere, or be `groups − rank + 1` of an order statistic whose rank was.
    """
    if not caught:
        return 0.0
    return float(betaincinv(caught, groups - caught + 1, 1 - confidence))


def needed(demand: Demand, overlooked: int = 0) -> int:
    """Least number of groups that proves the demand with `overlooked` of them not caught."""

    def enough(groups: int) -> bool:
        return rank(groups, demand) > overlooked

    high = overlooked + 1
    while not enough(high):
        high *= 2
    low = high // 2  # not enough, or below the first that could be
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def plan(demand: Demand, most_overlooked: int = 5) -> dict[int, int]:
    """Groups needed, by how many of them may be overlooked: `{0: 59, 1: 93, …}` for 95 %, 95 %."""
    return {overlooked: needed(demand, overlooked) for overlooked in range(most_overlooked + 1)}
