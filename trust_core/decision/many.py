"""The bootstrap over groups for very many images: what it would show, without drawing each image.

An AUROC is a mean over pairs. With thousands of good parts its resamples are, but for a term of the
order 1/√(FN · TN), those of its projection onto single images (Hájek; Obuchowski, Biometrics 53,
1997, for groups): every image has an influence, and a resample sums the influences of the groups it
draws. Groups with a missed defect are drawn, however few they are; of the others only their sum
matters, which is normal.

Notation: `N` images, `F` groups with a missed defect, `B` resamples.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trust_core.decision.groups import Flags
from trust_core.decision.tradeoff import Counts, Floats

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
