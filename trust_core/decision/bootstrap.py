"""Ratios of sums over images, with intervals over groups, at any size of an audit.

Notation: `N` images, `B` resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, stdtrit

from trust_core.decision.tradeoff import Counts, Floats

Flags = npt.NDArray[np.bool_]
Interval = tuple[float, float]

RESAMPLES = 2000
CELLS = 500_000  # of one batch of resamples, to bound its memory


def group_codes(groups: npt.ArrayLike) -> Counts:
    """Group names `(N,)`, or numbers that stand for them, as 0 … G − 1 in their order."""
    names = np.asarray(groups)
    if names.dtype.kind in "iu" and names.min(initial=0) >= 0:
        there = np.bincount(names) > 0  # a million numbers are not sorted for that
        return (np.cumsum(there) - 1)[names].astype(np.int64)
    _, codes = np.unique(names.astype(str), return_inverse=True)
    return codes.astype(np.int64)


def count_groups(codes: npt.NDArray[np.integer], chosen: Flags) -> int:
    """How many groups hold a chosen image, of `codes` `(N,)` and flags `(N,)`."""
    return int(np.count_nonzero(np.bincount(codes[chosen])))


def resample(
    codes: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[npt.NDArray[np.int32]]:
    """Bootstrap over groups: how often each image is drawn.

    Args:
        codes: of `group_codes`, `(N,)`.
        resamples: B in all.
        seed: of the draw.

    Yields:
        Batches of rows `(b, N)`; every image of a group is drawn as often as its group.
    """
    draw = np.random.default_rng(seed)
    total = int(codes.max(initial=-1)) + 1
    step = max(1, CELLS // max(1, len(codes)))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = draw.integers(0, total, (rows, total)) + total * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * total).reshape(rows, total)
        yield times.astype(np.int32)[:, codes]


def percentiles(values: Floats, confidence: float = 0.95) -> Interval:
    """Middle part of resampled values, undefined ones (NaN) left out; NaN without any."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail), method="nearest")  # ∞ is a value here
    return float(low), float(high)


def effective(hits: Flags, codes: Counts) -> tuple[float, float]:
    """A share among grouped images, and the number of independent images that tells as much.

    Linearised variance of a ratio over groups; the effective size of Korn and Graubard (Survey
    Methodology 24, 1998), never more than the images. Where all or none are hits no variance can
    be seen, and each group counts once.

    Args:
        hits: `(N,)`.
        codes: of `group_codes`, `(N,)`.

    Returns:
        The share and the effective size; NaN and 0 without an image.
    """
    if not len(hits):
        return float("nan"), 0.0
    sizes = np.bincount(codes)
    sizes_here = sizes[sizes > 0]
    inside = np.bincount(codes, weights=hits)[sizes > 0]
    share, count = float(hits.mean()), len(sizes_here)
    if count == len(hits):
        return share, float(count)
    if share in (0.0, 1.0) or count == 1:
        return share, float(count)
    spread = ((inside - share * sizes_here) ** 2).sum() * count / (count - 1)
    independent = share * (1 - share) * len(hits) ** 2 / spread if spread else np.inf
    # A variance from few groups is itself uncertain: their t quantile stands for the normal one.
    wider = stdtrit(len(hits) - 1, 0.975) / stdtrit(count - 1, 0.975)
    return share, float(min(len(hits), independent * wider**2))


def share_interval(hits: Flags, codes: Counts, confidence: float = 0.95) -> Interval:
    """Two-sided interval of a share: Clopper–Pearson on the effective size.

    Exact when every image is its own group; never collapses to a point when all or none are hits.
    """
    share, size = effective(hits, codes)
    if not size:
        return float("nan"), float("nan")
    tail, k = (1 - confidence) / 2, share * size
    low = float(betaincinv(k, size - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, size - k, 1 - tail)) if share < 1 else 1.0
    return low, high


MANY = 20_000  # images above which they are not drawn one by one
STEP = 200  # resamples at a time, to bound memory


def difference_of_many(
    scores: Floats, rival: Floats, missed: Flags, codes: Counts, resamples: int, seed: int = 0
) -> Floats:
    """Resampled AUROC(scores) − AUROC(rival), `(B,)`.

    Args:
        scores: `(N,)`, NaN = unscored.
        rival: the same.
        missed: True for a missed defect, `(N,)`.
        codes: groups as numbers, `(N,)`.
        resamples: B.
        seed: of the draw.
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
    spread = np.sqrt((good_part[~held] ** 2).sum())
    drawn = np.stack([missed_part[held], misses[held], good_part[held]], axis=1).astype(np.float32)
    times, normal = _group_draws(int(held.sum()), resamples, seed)
    sums = np.concatenate(
        [times[at : at + STEP].astype(np.float32) @ drawn for at in range(0, resamples, STEP)]
    ).astype(np.float64)
    of_missed = np.divide(
        sums[:, 0], sums[:, 1], out=np.full(resamples, np.nan), where=sums[:, 1] > 0
    )
    of_good = (sums[:, 2] + good_part[~held].sum() + spread * normal) / goods
    return area - rival_area + of_missed + of_good


def influences(scores: Floats, missed: Flags) -> tuple[Floats, float]:
    """How much each image tells, `(N,)`, and the AUROC; ties count half, NaN counts as +∞.

    A missed defect: the share of good parts that score below it, less the AUROC; a good part: the
    share of missed defects above it, less the AUROC.
    """
    values = np.where(np.isnan(scores), np.inf, scores)
    defects, goods = np.sort(values[missed]), np.sort(values[~missed])
    result = np.empty(len(values))
    result[missed] = _below(goods, values[missed])
    result[~missed] = 1 - _below(defects, values[~missed])
    area = float(result[missed].mean())
    return result - area, area


def _below(others: Floats, values: Floats) -> Floats:
    """The share of sorted `others` below each value, equal ones half."""
    order = np.argsort(values)
    ranked = values[order]  # neighbours in order are found in the cache
    found = np.empty(len(values))
    found[order] = np.searchsorted(others, ranked, "left") + np.searchsorted(
        others, ranked, "right"
    )
    result: Floats = found / (2 * len(others))
    return result


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


Terms = tuple[Floats, Floats]

BLOCKS = 1024  # more groups than that are resampled in blocks of groups


@dataclass(frozen=True)
class Estimate:
    """A ratio of sums with its 95 % interval over groups; NaN where there is nothing to divide by.

    Attributes:
        value: `hits / total`.
        interval: lower and upper end.
        hits: images, pixels, or the sum of the IoUs.
        total: images or pixels.
    """

    value: float
    interval: Interval
    hits: float
    total: int


def divide(hits: npt.ArrayLike, total: npt.ArrayLike) -> Floats:
    """A ratio, NaN where the denominator is 0."""
    top, bottom = np.asarray(hits, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)


def ratios(terms: Sequence[Terms], codes: Counts, seed: int = 0) -> list[Estimate]:
    """Several Σ hits / Σ total of the same images with bootstrap intervals over groups.

    Args:
        terms: `hits` and `total` of each image, `(N,)` both, for each ratio.
        codes: groups as numbers, `(N,)`.
        seed: of the bootstrap; all ratios are drawn the same groups.
    """
    drawn = _resampled(terms, codes, seed)
    return [
        Estimate(
            float(divide(hits.sum(), total.sum())),
            _spread(values, count_groups(codes, total > 0)),
            float(hits.sum()),
            int(total.sum()),
        )
        for (hits, total), values in zip(terms, drawn, strict=True)
    ]


def ratio_difference(first: Terms, second: Terms, codes: Counts, seed: int = 0) -> Estimate:
    """The second ratio minus the first, on the same images; both are drawn the same groups.

    Args:
        first: `hits, total`.
        second: the same.
        codes: groups as numbers, `(N,)`.
        seed: of the bootstrap.

    Returns:
        `hits` is NaN, `total` the number of images.
    """
    before, after = (float(divide(hits.sum(), total.sum())) for hits, total in (first, second))
    drawn = _resampled((first, second), codes, seed)
    groups = count_groups(codes, np.ones(len(codes), dtype=np.bool_))
    return Estimate(after - before, _spread(drawn[1] - drawn[0], groups), float("nan"), len(codes))


def _resampled(terms: Sequence[Terms], codes: Counts, seed: int) -> list[Floats]:
    """Σ hits / Σ total of each resample, `(B,)` for each ratio; NaN without a denominator."""
    blocks, count = _blocks(codes, seed)
    if not count:
        return [np.full(RESAMPLES, np.nan) for _ in terms]
    sums = [
        np.bincount(blocks, weights=values, minlength=count) / max(1.0, total.max())
        for hits, total in terms  # pixels of large pictures: float32 holds their shares
        for values in (hits, total)
    ]
    drawn = _draws(count, seed) @ np.stack(sums, axis=1).astype(np.float32)
    return [divide(drawn[:, i], drawn[:, i + 1]) for i in range(0, len(sums), 2)]


def _blocks(codes: Counts, seed: int) -> tuple[Counts, int]:
    """Groups as numbers 0 … n − 1, `(N,)`, and n; many are merged at random into `BLOCKS` blocks.

    Unions of independent groups are independent: the spread between blocks is that between groups,
    and a resample costs the same however many images an audit has.
    """
    there = np.bincount(codes) > 0
    number = np.cumsum(there) - 1
    groups = int(there.sum())
    if groups > BLOCKS:
        number = (np.random.default_rng(seed).permutation(groups) % BLOCKS)[number]
    return number[codes], min(groups, BLOCKS)


@lru_cache(maxsize=16)
def _draws(blocks: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each block is drawn in each resample, `(B, blocks)`."""
    one_each = np.arange(blocks, dtype=np.int64)
    return np.concatenate(list(resample(one_each, RESAMPLES, seed))).astype(np.float32)


def _spread(values: Floats, groups: int) -> Interval:
    """95 % expanded percentile interval, wider for few groups, as in `decision.verdict`."""
    if groups < 2:
        return float("nan"), float("nan")
    tail = ndtr(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, 0.025))
    return percentiles(values, 1 - 2 * tail)
