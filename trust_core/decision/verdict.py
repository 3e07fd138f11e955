"""The verdict: is the indicator better than moving the decision threshold?

One function for page, command line and report.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trust_core.decision.auroc import difference_interval
from trust_core.decision.bootstrap import Interval, count_groups, group_codes
from trust_core.decision.curves import scores_and_misses
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Curve, Metrics, curve, metrics
from trust_core.messages import amount, share_text

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

    Without a `decision_threshold` on `p` the largest output decides.
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
    scores, missed = scores_and_misses(table)
    codes, rival = group_codes(table["group"]), table[THRESHOLD_SHIFT].to_numpy(dtype=np.float64)
    mine, shift = curve(scores, missed), curve(rival, missed)
    groups, good_groups = (count_groups(codes, chosen) for chosen in (missed, ~missed))
    interval = difference_interval(scores, rival, missed, codes, seed=seed)
    colour = colour_of(interval, min(groups, good_groups))
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


def colour_of(interval: Interval, groups: int) -> str:
    """The colour of a difference of AUROC: with too few groups, or 0 inside the interval, amber.

    `groups` are those of the class that has fewer of them.
    """
    if groups < LEAST_GROUPS or interval[0] <= 0 <= interval[1]:
        return AMBER
    return GREEN if interval[0] > 0 else RED


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
            f"Not decided: {amount(groups[0], 'missed part', 'missed parts')} and "
            f"{amount(groups[1], 'good part', 'good parts')} are too few to "
            f"compare the indicator with moving the decision threshold; {LEAST_GROUPS} of each "
            "are the least."
        )
    low, high = interval
    areas = f"AUROC {mine.auroc:.3f} against {shift.auroc:.3f}"
    between = f"difference {mine.auroc - shift.auroc:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
    loss, loss_shift = (share_text(points.tn_loss_at(recall)) for points in (mine, shift))
    cost = (
        f"at {recall:.4g} recall of missed defects it loses {loss} of the good parts, "
        f"against {loss_shift}"
    )
    heads = {
        GREEN: "Better than moving the decision threshold",
        RED: "Worse than moving the decision threshold",
        AMBER: f"Not decided: {amount(groups[0], 'missed part', 'missed parts')} cannot tell the "
        "indicator from moving the decision threshold",
    }
    return f"{heads[colour]}: {areas} ({between}); {cost}."
