"""Ratios of sums over images, with intervals over groups, at any size of an audit.

Notation: `N` images, `B` resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from trust_core.decision.groups import RESAMPLES, Interval, count_groups, percentiles, resample
from trust_core.decision.tradeoff import Counts, Floats

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
