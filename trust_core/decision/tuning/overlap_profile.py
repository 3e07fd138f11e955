"""The overlap profile: all overlaps of an image together, when the misses can carry that.

A ridge logistic on every IoU of an image (layers × pairs × masks × strengths) and its log-odds,
fitted on `tune` as a correction to z + ½·Δ. Grouped cross-validation chooses how strong it may be;
where it does not pay, or too few parts hold a miss, z + ½·Δ stands, and the profile says so.
"""

from dataclasses import dataclass

import numpy as np

from trust_core.decision.auroc import held_out_auroc
from trust_core.decision.bootstrap import Flags, group_codes, groups_of_rarer
from trust_core.decision.cross_validation import (
    LinearScore,
    base_fit,
    grouped_folds,
    moments,
    out_of_fold,
    ridge_logistic,
    standardised,
    weighted_sum,
)
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.tuning.candidates import OverlapTable
from trust_core.messages import amount

LEAST_PARTS = 20  # with a miss; fewer cannot tell a hundred directions from noise
PENALTIES = (3.0, 10.0, 30.0, 100.0)
PRINCIPAL_DIRECTIONS = 100  # the ridge leaves nothing of further ones
PROFILE_PARTITIONS = 3  # into folds


@dataclass(frozen=True)
class OverlapProfile:
    """Scores of the passed images, and how they came about.

    Attributes:
        scores: `(N,)`; those of `tune` come from fits without their own fold; NaN without a Δ.
        fitted: False when z + ½·Δ stands.
        penalty: of the ridge; ∞ when not fitted.
        parts: parts with a miss in `tune`.
        auroc: by penalty, inside held-out folds of `tune`; ∞ is z + ½·Δ.
        sentence: the same in words.
        base: z + ½·Δ, of z and Δ `(N, 2)`.
        correction: of `profile_features`, added to it for images that are not of `tune`; None when
            not fitted.
        usual: mean of each feature, which stands for one that is unknown.
    """

    scores: Floats
    fitted: bool
    penalty: float
    parts: int
    auroc: dict[float, float]
    sentence: str
    base: LinearScore
    correction: LinearScore | None = None
    usual: Floats | None = None


def overlap_profile(overlaps: OverlapTable) -> OverlapProfile:
    """Fit the overlap profile of an audit on its `tune` images."""
    delta = overlaps.scores(overlaps.default)
    tune = overlaps.role("tune") & np.isfinite(delta)
    missed, codes = overlaps.missed[tune], group_codes(overlaps.table["group"][tune])
    usual = tune if tune.any() else np.isfinite(delta)
    both = np.column_stack([overlaps.log_odds[0], delta])
    fit = base_fit(both, usual)
    base = fit(both)
    parts = groups_of_rarer(codes, missed)
    if parts < LEAST_PARTS:
        sentence = (
            f"Not fitted: {amount(parts, 'part', 'parts')} with a miss (or without) in tune, "
            f"{LEAST_PARTS} are needed; evidence plus half the IoU difference stands in."
        )
        return OverlapProfile(base, False, np.inf, parts, {}, sentence, fit)
    features = profile_features(overlaps.iou_defect, overlaps.iou_good, overlaps.log_odds)
    scaled = standardised(features, tune)
    axes = _axes(scaled[tune])
    inside, start = scaled[tune] @ axes, base[tune]
    auroc = _cross_validated(inside, missed, start, codes)
    penalty = max(auroc, key=lambda p: (auroc[p], p))
    if penalty == np.inf:
        best = max(value for p, value in auroc.items() if p < np.inf)
        sentence = (
            f"Not taken: fitted overlaps reach AUROC {best:.3f} in held-out parts of tune, "
            f"evidence plus half the IoU difference {auroc[np.inf]:.3f}, which stands in."
        )
        return OverlapProfile(base, False, penalty, parts, auroc, sentence, fit)
    weights = axes @ ridge_logistic(inside, missed, start, penalty)
    scores = base + scaled @ weights
    scores[tune] = out_of_fold(inside, missed, start, penalty, grouped_folds(codes, missed))
    sentence = (
        f"Fitted on {parts} parts with a miss, ridge {penalty:g}: AUROC {auroc[penalty]:.3f} in "
        f"held-out parts of tune, {auroc[np.inf]:.3f} without it."
    )
    return OverlapProfile(
        scores,
        True,
        penalty,
        parts,
        auroc,
        sentence,
        fit,
        weighted_sum(features, tune, weights),
        moments(features, tune)[0],
    )


def profile_features(iou_defect: Floats, iou_good: Floats, log_odds: Floats) -> Floats:
    """All IoUs `(E, N, R)` and log-odds `(E, N)` of each image in a row, `(N, F)`."""
    count = log_odds.shape[1]
    ious = (a.transpose(1, 0, 2).reshape(count, -1) for a in (iou_defect, iou_good))
    return np.column_stack([*ious, log_odds.T])


def _axes(inside: Floats) -> Floats:
    """Principal directions of features `(n, F)`, as columns that give total variance 1, `(F, D)`.

    A ridge sees no difference between features and their directions; fewer are faster.
    """
    if inside.shape[1] <= inside.shape[0]:
        _, axes = np.linalg.eigh(inside.T @ inside)
        axes = axes[:, ::-1][:, :PRINCIPAL_DIRECTIONS]
    else:
        values, left = np.linalg.eigh(inside @ inside.T)
        kept = np.flatnonzero(values > values[-1] * 1e-10)[::-1][:PRINCIPAL_DIRECTIONS]
        axes = inside.T @ left[:, kept] / np.sqrt(values[kept])
    return axes / np.sqrt(inside.shape[1])


def _cross_validated(
    features: Floats, missed: Flags, start: Floats, codes: Counts
) -> dict[float, float]:
    """AUROC inside held-out folds for each penalty, mean over repeated partitions."""
    found = []
    for seed in range(PROFILE_PARTITIONS):
        fold = grouped_folds(codes, missed, seed=seed)
        columns = [out_of_fold(features, missed, start, p, fold) for p in PENALTIES]
        found.append(held_out_auroc(np.column_stack([*columns, start]), missed, fold))
    return dict(zip((*PENALTIES, np.inf), np.mean(found, axis=0).tolist(), strict=True))
