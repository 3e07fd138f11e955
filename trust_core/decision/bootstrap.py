"""Shares and ratios over images, with intervals over groups: the group bootstrap, Clopper–Pearson.

Photos of one part are not independent: a resample draws whole groups.

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
Terms = tuple[Floats, Floats]

RESAMPLES = 2000
CELLS_AT_ONCE = 500_000  # of one batch of resamples, to bound its memory
RATIO_BLOCKS = 1024  # more groups than that are resampled in blocks of groups


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


def groups_of_rarer(codes: npt.NDArray[np.integer], missed: Flags) -> int:
    """Groups with a missed defect, or groups with a good part if those are fewer."""
    return min(count_groups(codes, chosen) for chosen in (missed, ~missed))


def resample(
    codes: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[npt.NDArray[np.int32]]:
    """Bootstrap over groups: how often each image is drawn.

    `codes` are those of `group_codes`, `(N,)`.

    Yields:
        Batches of rows `(b, N)`; every image of a group is drawn as often as its group.
    """
    draw = np.random.default_rng(seed)
    total = int(codes.max(initial=-1)) + 1
    step = max(1, CELLS_AT_ONCE // max(1, len(codes)))
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


def expanded_percentiles(values: Floats, groups: int) -> Interval:
    """95 % expanded percentile interval of resampled values (Hesterberg, Am. Stat. 69, 2015).

    The percentiles are moved outwards for few groups, without which a useless indicator would be
    green too often. NaN with fewer than two groups.
    """
    if groups < 2:
        return float("nan"), float("nan")
    tail = ndtr(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, 0.025))
    return percentiles(values, 1 - 2 * tail)


def clopper_pearson(hits: float, total: float, tail: float) -> Interval:
    """Bounds of a share that are each wrong with probability `tail`, at most.

    Clopper and Pearson, Biometrika 26, 1934. An effective number of hits need not be whole; `total`
    is above 0.
    """
    low = float(betaincinv(hits, total - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, total - hits, 1 - tail)) if hits < total else 1.0
    return low, high


def effective(hits: Flags, codes: Counts) -> tuple[float, float]:
    """A share among grouped images, and the number of independent images that tells as much.

    Linearised variance of a ratio over groups; the effective size of Korn and Graubard (Survey
    Methodology 24, 1998), never more than the images. Where all or none are hits no variance can
    be seen, and each group counts once.

    `hits` and `codes`, of `group_codes`, are `(N,)`.

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
    variance = ((inside - share * sizes_here) ** 2).sum() * count / (count - 1)
    independent = share * (1 - share) * len(hits) ** 2 / variance if variance else np.inf
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
    return clopper_pearson(share * size, size, (1 - confidence) / 2)


@dataclass(frozen=True)
class Estimate:
    """A ratio of sums with its 95 % interval over groups; NaN where there is nothing to divide by.

    `value` is `hits / total`: images, pixels, or the sum of the IoUs, over images or pixels.
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

    `terms` are `hits` and `total` of each image, `(N,)` both, for each ratio; `codes` are groups as
    numbers, `(N,)`. All ratios are drawn the same groups.
    """
    drawn = _resampled(terms, codes, seed)
    return [
        Estimate(
            float(divide(hits.sum(), total.sum())),
            expanded_percentiles(values, count_groups(codes, total > 0)),
            float(hits.sum()),
            int(total.sum()),
        )
        for (hits, total), values in zip(terms, drawn, strict=True)
    ]


def ratio_difference(first: Terms, second: Terms, codes: Counts, seed: int = 0) -> Estimate:
    """The second ratio minus the first, on the same images; both are drawn the same groups.

    `first` and `second` are `hits, total`; `codes` are groups as numbers, `(N,)`.

    Returns:
        `hits` is NaN, `total` the number of images.
    """
    before, after = (float(divide(hits.sum(), total.sum())) for hits, total in (first, second))
    drawn = _resampled((first, second), codes, seed)
    groups = count_groups(codes, np.ones(len(codes), dtype=np.bool_))
    return Estimate(
        after - before, expanded_percentiles(drawn[1] - drawn[0], groups), float("nan"), len(codes)
    )


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
    """Groups as numbers 0 … n − 1, `(N,)`, and n; many are merged at random into `RATIO_BLOCKS`.

    Unions of independent groups are independent: the spread between blocks is that between groups,
    and a resample costs the same however many images an audit has.
    """
    there = np.bincount(codes) > 0
    number = np.cumsum(there) - 1
    groups = int(there.sum())
    if groups > RATIO_BLOCKS:
        number = (np.random.default_rng(seed).permutation(groups) % RATIO_BLOCKS)[number]
    return number[codes], min(groups, RATIO_BLOCKS)


@lru_cache(maxsize=16)
def _draws(blocks: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each block is drawn in each resample, `(B, blocks)`."""
    one_each = np.arange(blocks, dtype=np.int64)
    return np.concatenate(list(resample(one_each, RESAMPLES, seed))).astype(np.float32)
