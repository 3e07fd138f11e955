"""The verdict: is the indicator better than moving the decision threshold?

One function for page, command line and report.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, stdtrit

from trust_core.decision.bootstrap import (
    MANY,
    RESAMPLES,
    Flags,
    Interval,
    count_groups,
    difference_of_many,
    group_codes,
    percentiles,
    resample,
)
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Counts, Curve, Floats, Metrics, curve, metrics

GREEN, AMBER, RED = "green", "amber", "red"

# Five groups agree by chance in 1 of 32 cases, six in 1 of 64: less than the 2.5 % of a tail.
LEAST_GROUPS = 6

SAME_RANKING = (
    "Max softmax, entropy, margin, temperature scaling and DOCTOR rank the parts called good "
    "exactly as the detector's own probability does, so they are not listed."
)


@dataclass(frozen=True)
class Verdict:
    """The indicator against threshold shift, among the passed images of one role.

    Attributes:
        colour: green, the indicator is better; red, worse; amber, these images cannot tell.
        sentence: the same in words, with the numbers.
        indicator: metrics of the indicator.
        threshold_shift: metrics of `p`.
        difference: AUROC of the indicator − that of `p`; NaN without an FN or a TN.
        interval: 95 % of it, by a bootstrap over groups; NaN as above.
        recall: FN recall that is wanted.
        tn_loss: lowest TN loss of the indicator with that recall on these images; NaN as above.
        tn_loss_shift: the same for `p`.
        groups: groups with a missed defect.
        good_groups: groups with a passed good part.
        fn: missed defects.
        tn: good parts that were passed.
    """

    colour: str
    sentence: str
    indicator: Metrics
    threshold_shift: Metrics
    difference: float
    interval: Interval
    recall: float
    tn_loss: float
    tn_loss_shift: float
    groups: int
    good_groups: int
    fn: int
    tn: int


def same_ranking(outputs: int, decision_threshold: float | None) -> bool:
    """Whether `SAME_RANKING` is true: two classes, and no passed image with p above 0.5.

    Args:
        outputs: of the network.
        decision_threshold: on `p`; None = the largest output decides.
    """
    return outputs <= 2 and (decision_threshold is None or decision_threshold <= 0.5)


def verdict(table: pd.DataFrame, recall: float = 0.95, *, seed: int = 0) -> Verdict:
    """Judge an indicator.

    Args:
        table: passed images of `test`, a row each, with columns `indicator` (NaN = unscored),
            `p_defect` of the clean image, `outcome` and `group`.
        recall: FN recall at which both TN losses are told.
        seed: of the bootstrap.
    """
    missed = (table["outcome"] == "FN").to_numpy(dtype=bool)
    codes = group_codes(table["group"])
    scores, rival = (
        table[name].to_numpy(dtype=np.float64) for name in ("indicator", THRESHOLD_SHIFT)
    )
    mine, shift = curve(scores, missed), curve(rival, missed)
    groups, good_groups = (count_groups(codes, chosen) for chosen in (missed, ~missed))
    interval = difference_interval(scores, rival, missed, codes, seed=seed)
    few = min(groups, good_groups) < LEAST_GROUPS
    colour = AMBER if few or interval[0] <= 0 <= interval[1] else GREEN if interval[0] > 0 else RED
    return Verdict(
        colour=colour,
        sentence=_sentence(colour, mine, shift, interval, recall, (groups, good_groups)),
        indicator=metrics(mine),
        threshold_shift=metrics(shift),
        difference=mine.auroc - shift.auroc,
        interval=interval,
        recall=recall,
        tn_loss=mine.tn_loss_at(recall),
        tn_loss_shift=shift.tn_loss_at(recall),
        groups=groups,
        good_groups=good_groups,
        fn=mine.fn,
        tn=mine.tn,
    )


def difference_interval(
    scores: Floats,
    rival: Floats,
    missed: Flags,
    codes: Counts,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """95 % interval of AUROC(scores) − AUROC(rival), by a bootstrap over groups.

    Expanded percentile interval (Hesterberg, The American Statistician 69, 2015): the percentiles
    are moved outwards for the few groups of the smaller class, without which a useless indicator
    would be green too often.

    Args:
        scores: `(N,)`, NaN = unscored.
        rival: the same.
        missed: True for a missed defect, `(N,)`.
        codes: groups as numbers, `(N,)`.
        resamples: how many.
        seed: of the draw.

    Returns:
        Lower and upper end; NaN with fewer than two groups of either class.
    """
    fewest = min(count_groups(codes, chosen) for chosen in (missed, ~missed))
    if fewest < 2:
        return float("nan"), float("nan")
    if len(scores) > MANY:
        values = difference_of_many(scores, rival, missed, codes, resamples, seed)
    else:
        first, second = auroc_of_resamples(scores, missed), auroc_of_resamples(rival, missed)
        drawn = resample(codes, resamples, seed)
        values = np.concatenate([first(times) - second(times) for times in drawn])
    tail = ndtr(np.sqrt(fewest / (fewest - 1)) * stdtrit(fewest - 1, 0.025))
    return percentiles(values, 1 - 2 * tail)


def auroc_of_resamples(scores: Floats, missed: Flags) -> Callable[[npt.NDArray[np.int32]], Floats]:
    """A function from how often each image is drawn `(b, N)` to the AUROC of each resample `(b,)`.

    Ties count half. NaN where a resample holds no FN or no TN.
    """
    values = np.where(np.isnan(scores), np.inf, scores)
    defects, goods = np.flatnonzero(missed), np.flatnonzero(~missed)
    goods = goods[np.argsort(values[goods])]
    defects = defects[np.argsort(values[defects])]
    lower = np.searchsorted(values[goods], values[defects], "left")
    upper = np.searchsorted(values[goods], values[defects], "right")

    def auroc(times: npt.NDArray[np.int32]) -> Floats:
        below = np.zeros((len(times), len(goods) + 1), dtype=np.int32)
        np.cumsum(times[:, goods], axis=1, out=below[:, 1:])
        drawn = times[:, defects].astype(np.float64)
        wins = (drawn * (below[:, lower] + below[:, upper])).sum(axis=1) / 2
        pairs = drawn.sum(axis=1) * below[:, -1]
        return np.divide(wins, pairs, out=np.full(len(times), np.nan), where=pairs > 0)

    return auroc


def _sentence(
    colour: str,
    mine: Curve,
    shift: Curve,
    interval: Interval,
    recall: float,
    groups: tuple[int, int],
) -> str:
    if min(groups) < LEAST_GROUPS:
        return (
            f"Not decided: {groups[0]:,} missed and {groups[1]:,} good parts are too few to "
            f"compare the indicator with moving the decision threshold; {LEAST_GROUPS} of each "
            "are the least."
        )
    low, high = interval
    areas = f"AUROC {mine.auroc:.3f} against {shift.auroc:.3f}"
    between = f"difference {mine.auroc - shift.auroc:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
    loss, loss_shift = (f"{points.tn_loss_at(recall):.1%}" for points in (mine, shift))
    cost = (
        f"at {recall:.4g} recall of missed defects it loses {loss} of the good parts, "
        f"against {loss_shift}"
    )
    heads = {
        GREEN: "Better than moving the decision threshold",
        RED: "Worse than moving the decision threshold",
        AMBER: f"Not decided: {groups[0]:,} missed parts cannot tell the indicator from moving "
        "the decision threshold",
    }
    return f"{heads[colour]}: {areas} ({between}); {cost}."
