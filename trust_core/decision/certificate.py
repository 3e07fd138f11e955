"""The certificate: a threshold τ, and the recall of missed parts that it is proven to have.

Unit: a group that holds at least one missed defect (FN). It is caught when all its misses are
flagged, that is, when its least suspicious miss scores at least τ. Everything but τ is chosen on
other data. `docs/statistics.md` derives both forms and shows what they cost.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from trust_core.decision.bootstrap import Flags, clopper_pearson, group_codes
from trust_core.decision.tradeoff import Curve, Floats
from trust_core.errors import SettingsError

BINOMIAL_ROUNDING = 1 + 1e-12  # of the binomial distribution function, where it meets δ exactly


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
        raise SettingsError(f"{name} {value:g}: write a share between 0 and 1, such as 0.95.")


def check_inside(name: str, value: float) -> None:
    """What is to be proven lies strictly between 0 and 1.

    Raises:
        SettingsError: it does not.
    """
    check_share(name, value)
    if value in (0, 1):
        raise SettingsError(
            f"{name} {value:g} cannot be proven from any number of parts; write a share between "
            "0 and 1, such as 0.95."
        )


@lru_cache(maxsize=4096)
def rank(groups: int, demand: Demand) -> int:
    """Rank k, from below, of the group score that proves the demand; 0 when none does.

    The largest k with P(Binomial(n, 1 − r) ≤ k − 1) ≤ δ: the order statistic of a nonparametric
    tolerance limit (Wilks, Ann. Math. Stat. 12, 1941). It depends on no score.
    """
    at_most = bdtr(np.arange(groups), groups, 1 - demand.recall)
    return int(np.count_nonzero(at_most <= (1 - demand.confidence) * BINOMIAL_ROUNDING))


def proven(caught: int, groups: int, confidence: float) -> float:
    """The recall that `caught` of `groups` proves: one-sided Clopper–Pearson.

    `caught` must not depend on the scores of these groups beyond a threshold that was fixed
    elsewhere, or be `groups − rank + 1` of an order statistic whose rank was.
    """
    return clopper_pearson(caught, groups, 1 - confidence)[0]


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


@dataclass(frozen=True)
class Budget:
    """The other way to ask: the best recall that can be proven within a TN loss.

    Attributes:
        max_tn_loss: highest TN loss on `tune`, a share.
        confidence: of the statement on recall, in (0, 1).

    Raises:
        SettingsError: a value that means nothing.
    """

    max_tn_loss: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_share("max TN loss", self.max_tn_loss)
        check_inside("confidence", self.confidence)


@dataclass(frozen=True)
class Proof:
    """What the groups with a missed defect prove.

    Attributes:
        certified: whether what was asked for is proven.
        threshold: τ; None when nothing is certified.
        recall_lower_bound: recall of groups proven at τ; without a τ, the most these groups could
            prove, at `lowest`.
        confidence: of that statement.
        groups: n, groups with a missed defect.
        caught: of them, at τ; without a τ, at `lowest`.
        lowest: the lowest group score, below which these groups say nothing; +∞ without a group.
    """

    certified: bool
    threshold: float | None
    recall_lower_bound: float
    confidence: float
    groups: int
    caught: int
    lowest: float


def group_minima(scores: Floats, missed: Flags, groups: npt.ArrayLike) -> Floats:
    """Score of the least suspicious miss of each group that holds one, ascending.

    `scores` of the passed images, NaN = unscored, always flagged, `missed` and `groups` are `(N,)`.
    """
    codes = group_codes(groups)[missed]
    lowest = np.full(int(codes.max(initial=-1)) + 1, np.inf)
    values = np.where(np.isnan(scores), np.inf, scores)[missed]
    np.minimum.at(lowest, codes, values)
    return np.sort(lowest[np.unique(codes)])


def prove_recall(minima: Floats, demand: Demand) -> Proof:
    """The highest τ whose recall is proven to reach the demand.

    τ is the k-th smallest group score, k from `rank`. If the recall at τ were below r,
    fewer than k groups would lie at or below the highest threshold that still has recall r, though
    each does with probability at least 1 − r: that happens with probability at most δ, whatever the
    distribution, ties included.

    `recall_lower_bound` is that of k − 1 overlooked groups even when ties at τ leave fewer: only k
    was fixed before the scores were seen. `minima` are of `group_minima`, on `certify`.
    """
    k = rank(len(minima), demand)
    if not k:
        return _unproven(minima, demand.confidence)
    threshold = float(minima[k - 1])
    return Proof(
        certified=True,
        threshold=threshold,
        recall_lower_bound=proven(len(minima) - k + 1, len(minima), demand.confidence),
        confidence=demand.confidence,
        groups=len(minima),
        caught=int((minima >= threshold).sum()),
        lowest=float(minima[0]),
    )


def prove_at(minima: Floats, threshold: float, confidence: float) -> Proof:
    """The recall that is proven at a τ that was fixed without looking at these groups.

    τ was chosen on other data, for instance `within_budget` on `tune`; `minima` are of
    `group_minima`, on `certify`.
    """
    caught = int((minima >= threshold).sum())
    if not caught:
        return _unproven(minima, confidence)
    bound = proven(caught, len(minima), confidence)
    lowest = float(minima[0])
    return Proof(True, threshold, bound, confidence, len(minima), caught, lowest)


def _unproven(minima: Floats, confidence: float) -> Proof:
    count = len(minima)
    lowest = float(minima[0]) if count else np.inf
    return Proof(False, None, proven(count, count, confidence), confidence, count, count, lowest)


def within_budget(points: Curve, budget: float) -> float | None:
    """The lowest τ, with the highest recall, whose TN loss is within a budget.

    `points` is the trade-off on `tune`, `budget` a share.

    Returns:
        τ; None when the images without a score alone exceed the budget, or there is no TN.
    """
    affordable = np.flatnonzero(points.flagged_tn <= np.floor(budget * points.tn + 1e-9))
    if not points.tn or not len(affordable):
        return None
    return float(points.thresholds[affordable[-1]])


def prove(minima: Floats, tune: Curve, wanted: Demand | Budget) -> Proof:
    """Either form of the certificate.

    `minima` are of `group_minima`, on `certify`; `tune` is the trade-off there, which only a budget
    needs.
    """
    if isinstance(wanted, Demand):
        return prove_recall(minima, wanted)
    threshold = within_budget(tune, wanted.max_tn_loss)
    if threshold is None:
        return _unproven(minima, wanted.confidence)
    return prove_at(minima, threshold, wanted.confidence)


def proof_sentence(proof: Proof, wanted: Demand | Budget) -> str:
    """The statement in words, or what is missing for it."""
    parts = f"{proof.groups:,} missed part{'' if proof.groups == 1 else 's'}"
    promise = (
        "of the parts with a missed defect have all their misses flagged, with "
        f"{percent_floor(proof.confidence)} confidence, from {parts} ({proof.caught:,} caught)."
    )
    if isinstance(wanted, Budget):
        loss = percent_floor(wanted.max_tn_loss)
        if proof.certified:
            proven_recall = percent_floor(proof.recall_lower_bound)
            return (
                f"Proven at the threshold that loses at most {loss} of the good parts on tune: at "
                f"least {proven_recall} {promise}"
            )
        return (
            f"Nothing can be proven within a loss of {loss} of the good parts: either no threshold "
            f"on tune keeps to it, or none of {parts} is caught there."
        )
    if proof.certified:
        return f"Certified: at least {percent_floor(wanted.recall)} {promise}"
    least = needed(wanted)
    most = percent_floor(proof.recall_lower_bound)
    found = f" {proof.groups:,} of {proof.groups:,} prove at most {most}." if proof.groups else ""
    return (
        f"Cannot be certified: {parts}; {least:,} are needed for {percent_floor(wanted.recall)} "
        f"with {percent_floor(wanted.confidence)} confidence even with none overlooked.{found}"
    )


def percent_floor(share: float) -> str:
    """A promised share as a percentage: rounded down, never up."""
    return f"{np.floor(share * 1000 + 1e-6) / 10:.4g} %"
