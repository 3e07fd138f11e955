"""AUROC, the chance that a missed defect scores higher than a good part, and its intervals.

Ties count half; an unscored image (NaN) counts as +∞.

Notation: `N` passed images, `C` candidates, `P` partitions into `K` folds, `B` resamples.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trust_core.decision.bootstrap import (
    RESAMPLES,
    Flags,
    Interval,
    expanded_percentiles,
    groups_of_rarer,
    resample,
)
from trust_core.decision.tradeoff import Counts, Floats

CANDIDATES_AT_ONCE = 512
DRAWN_ONE_BY_ONE = 20_000  # images; more are resampled by their influence on the AUROC
RESAMPLES_AT_ONCE = 200  # of them, to bound memory


def auroc_of(scores: Floats, missed: Flags) -> Floats:
    """AUROC of candidates `(N, C)`, `(C,)`; NaN without a missed defect or a good part."""
    return held_out_auroc(scores, missed, np.zeros(len(missed), dtype=np.int64))


def held_out_auroc(scores: Floats, missed: Flags, fold: Counts) -> Floats:
    """AUROC of candidates `(N, C)` over pairs inside one fold, `(C,)`; NaN without a pair.

    Scores made out of fold are so compared with those of the same fit only.
    """
    wins, pairs = wins_by_fold(scores, missed, fold[None])
    inside = np.arange(pairs.shape[1])
    total = pairs[0, inside, inside].sum()
    won: Floats = wins[0, inside, inside].sum(0)
    return won / total if total else np.full(scores.shape[1], np.nan)


def wins_by_fold(scores: Floats, missed: Flags, folds: Counts) -> tuple[Floats, Counts]:
    """How often a missed defect scores above a good part, counted by the folds of the two.

    AUROC over any folds is a ratio of sums of these.

    `scores` of the candidates are `(N, C)`, `missed` is `(N,)`; `folds`, from 0, are `(P, N)`.

    Returns:
        Wins `(P, K, K, C)`, fold of the miss first, and pairs `(P, K, K)`.
    """
    count, partitions = int(folds.max(initial=0)) + 1, np.arange(len(folds))
    member = (folds[:, None, ~missed] == np.arange(count)[:, None]).astype(np.float32)
    flat = member.reshape(len(folds) * count, -1)
    wins = np.zeros((len(folds), count, count, scores.shape[1]))
    for start in range(0, scores.shape[1], CANDIDATES_AT_ONCE):
        part = scores[:, start : start + CANDIDATES_AT_ONCE]
        values = np.where(np.isnan(part), np.inf, part)
        good = values[~missed]
        won = wins[..., start : start + CANDIDATES_AT_ONCE]
        for score, where in zip(values[missed], folds[:, missed].T, strict=True):
            beaten = (score > good).astype(np.float32)
            beaten += 0.5 * (score == good).astype(np.float32)
            won[partitions, where] += (flat @ beaten).reshape(len(folds), count, -1)
    misses = (folds[:, None, missed] == np.arange(count)[:, None]).sum(2)
    goods = member.sum(2).astype(np.int64)
    return wins, misses[:, :, None] * goods[:, None, :]


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

    Args:
        scores: `(N,)`, NaN = unscored.
        rival: the same.
        missed: True for a missed defect, `(N,)`.
        codes: groups as numbers, `(N,)`.
        resamples: B.
        seed: of the draw.

    Returns:
        Lower and upper end; NaN with fewer than two groups of either class.
    """
    fewest = groups_of_rarer(codes, missed)
    if fewest < 2:
        return float("nan"), float("nan")
    values = differences_of_resamples(scores, rival, missed, codes, resamples=resamples, seed=seed)
    return expanded_percentiles(values, fewest)


def differences_of_resamples(
    scores: Floats,
    rival: Floats,
    missed: Flags,
    codes: Counts,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Floats:
    """AUROC(scores) − AUROC(rival) of resamples over groups, `(B,)`; NaN where one has no pair.

    The arguments are those of `difference_interval`. Many images are drawn by their influence.
    """
    if len(scores) > DRAWN_ONE_BY_ONE:
        return resampled_difference(scores, rival, missed, codes, resamples, seed)
    first, second = auroc_of_resamples(scores, missed), auroc_of_resamples(rival, missed)
    drawn = resample(codes, resamples, seed)
    return np.concatenate([first(times) - second(times) for times in drawn])


def auroc_of_resamples(scores: Floats, missed: Flags) -> Callable[[npt.NDArray[np.int32]], Floats]:
    """A function from how often each image is drawn `(b, N)` to the AUROC of each resample `(b,)`.

    NaN where a resample holds no missed defect or no good part.
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


def resampled_difference(
    scores: Floats, rival: Floats, missed: Flags, codes: Counts, resamples: int, seed: int = 0
) -> Floats:
    """AUROC(scores) − AUROC(rival) of resamples of many images, `(B,)`.

    The AUROC is linearised in how often each group is drawn: groups with a missed defect are drawn
    one by one, the many others together from the normal distribution that their sum tends to.

    The arguments are those of `difference_interval`.
    """
    (mine, area), (other, rival_area) = (influences(values, missed) for values in (scores, rival))
    share = mine - other
    total = int(codes.max(initial=-1)) + 1
    misses, missed_part, good_part = (
        np.bincount(codes, weights=weights, minlength=total)
        for weights in (missed, np.where(missed, share, 0), np.where(missed, 0, share))
    )
    held = misses > 0
    goods = float((~missed).sum())
    deviation = np.sqrt((good_part[~held] ** 2).sum())
    drawn = np.stack([missed_part[held], misses[held], good_part[held]], axis=1).astype(np.float32)
    times, normal = _group_draws(int(held.sum()), resamples, seed)
    sums = np.concatenate(
        [
            times[at : at + RESAMPLES_AT_ONCE].astype(np.float32) @ drawn
            for at in range(0, resamples, RESAMPLES_AT_ONCE)
        ]
    ).astype(np.float64)
    of_missed = np.divide(
        sums[:, 0], sums[:, 1], out=np.full(resamples, np.nan), where=sums[:, 1] > 0
    )
    of_good = (sums[:, 2] + good_part[~held].sum() + deviation * normal) / goods
    return area - rival_area + of_missed + of_good


def influences(scores: Floats, missed: Flags) -> tuple[Floats, float]:
    """The influence of each image on the AUROC, `(N,)`, and the AUROC.

    Of a missed defect: the share of good parts that score below it, less the AUROC; of a good part:
    the share of missed defects above it, less the AUROC.
    """
    values = np.where(np.isnan(scores), np.inf, scores)
    defects, goods = np.sort(values[missed]), np.sort(values[~missed])
    result = np.empty(len(values))
    result[missed] = share_below(goods, values[missed])
    result[~missed] = 1 - share_below(defects, values[~missed])
    area = float(result[missed].mean())
    return result - area, area


def share_below(others: Floats, values: Floats) -> Floats:
    """The share of sorted `others` below each value, equal ones half, `(n,)`."""
    order = np.argsort(values)
    ranked = values[order]  # neighbours in order are found in the cache
    found = np.empty(len(values))
    found[order] = np.searchsorted(others, ranked, "left") + np.searchsorted(
        others, ranked, "right"
    )
    return found / (2 * len(others))


@lru_cache(maxsize=1)
def _group_draws(groups: int, resamples: int, seed: int) -> tuple[npt.NDArray[np.uint8], Floats]:
    """How often each group is drawn, `(B, F)`, and a standard normal number, `(B,)`.

    The same for every indicator of a table, so they are kept.
    """
    draw = np.random.default_rng(seed)
    normal = draw.standard_normal(resamples)
    times = np.empty((resamples, groups), dtype=np.uint8)
    for row in times:
        row[:] = draw.poisson(1.0, groups)
    return times, normal
