"""What groups do to statistics: photographs of one part are not independent of each other.

Notation: `N` images, `G` groups, `B` resamples.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

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
