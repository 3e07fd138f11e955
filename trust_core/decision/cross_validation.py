"""Fitting on `tune` without fooling oneself: folds that keep groups whole, and a ridge logistic.

Notation: `N` images, `F` features.
"""

import numpy as np
from scipy.special import expit

from trust_core.decision.bootstrap import Flags
from trust_core.decision.tradeoff import Counts, Floats

FOLDS = 5
NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1e-9
BASE_WEIGHTS = (1.0, 0.5)  # of z and Δ, in standard deviations


def grouped_folds(codes: Counts, missed: Flags, folds: int = FOLDS, seed: int = 0) -> Counts:
    """A fold for each image, `(N,)`; groups stay whole, those with a miss are dealt out evenly.

    Args:
        codes: of `group_codes`, `(N,)`.
        missed: True for a missed defect, `(N,)`.
        folds: how many, at most as many as groups with a miss.
        seed: of the shuffle.
    """
    total = int(codes.max(initial=-1)) + 1
    misses = np.bincount(codes, weights=missed, minlength=total)
    order = np.random.default_rng(seed).permutation(total)
    order = order[np.argsort(misses[order] == 0, kind="stable")]  # those with a miss first
    fold_of = np.empty(total, dtype=np.int64)
    fold_of[order] = np.arange(total) % folds
    result: Counts = fold_of[codes]
    return result


def ridge_logistic(features: Floats, missed: Flags, offset: Floats, penalty: float) -> Floats:
    """Weights that correct a score which is there already, by Newton's method.

    They minimise Σ log(1 + exp(∓(offset + intercept + features·w))) + ½·penalty·|w|², so that with
    few misses, or a large penalty, the score `offset` stands as it is.

    Args:
        features: `(N, F)`.
        missed: `(N,)`, at least one of each.
        offset: the score to start from, in units of log-odds, `(N,)`.
        penalty: above 0.

    Returns:
        The weights `(F,)`; the intercept, which ranks nothing, is left out.
    """
    design = np.column_stack([np.ones(len(features)), features])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-9
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(missed.sum() / (~missed).sum()) - offset.mean()

    def loss(w: Floats) -> float:
        s = offset + design @ w
        return float(np.logaddexp(0, np.where(missed, -s, s)).sum() + 0.5 * (ridge * w**2).sum())

    now = loss(weights)
    for _ in range(NEWTON_STEPS):
        p = expit(offset + design @ weights)
        slope = design.T @ (p - missed) + ridge * weights
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(ridge)
        step, size = np.linalg.solve(curvature, slope), 1.0
        while (new := loss(weights - size * step)) > now and size > NEWTON_TOLERANCE:
            size /= 2
        if now - new < NEWTON_TOLERANCE * (1 + now):
            break
        weights, now = weights - size * step, new
    return weights[1:]


def out_of_fold(
    features: Floats, missed: Flags, offset: Floats, penalty: float, fold: Counts
) -> Floats:
    """`offset` with the corrections of `ridge_logistic` that have not seen an image's fold, `(N,)`.

    Where the other folds hold no miss, or no good part, `offset` stands.
    """
    found = offset.copy()
    for index in np.unique(fold):
        held = fold == index
        if 0 < missed[~held].sum() < (~held).sum():
            weights = ridge_logistic(features[~held], missed[~held], offset[~held], penalty)
            found[held] += features[held] @ weights
    return found


def standardised(features: Floats, usual: Flags) -> Floats:
    """Features `(N, F)` at mean 0 and deviation 1 over the images `usual`; unknown ones are 0."""
    inside = features[usual]
    known = np.isfinite(inside)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, inside, 0).sum(0) / count
    deviation = np.sqrt((np.where(known, inside - mean, 0) ** 2).sum(0) / count)
    scaled = (features - mean) / np.where(deviation > 1e-12, deviation, 1)
    result: Floats = np.where(np.isfinite(scaled) & (deviation > 1e-12), scaled, 0.0)
    return result


def base_score(log_odds: Floats, delta: Floats, usual: Flags) -> Floats:
    """What fitted scores are shrunk towards: z + ½·Δ, `(N,)`.

    Each in standard deviations over the images `usual`, the sum too; the weights are fixed, so
    nothing is fitted to misses. NaN where there is no Δ.
    """
    both = np.column_stack([log_odds, delta])
    total = standardised(both, usual) @ np.array(BASE_WEIGHTS)
    scaled = standardised(total[:, None], usual)[:, 0]
    return np.where(np.isfinite(both).all(1), scaled, np.nan)
