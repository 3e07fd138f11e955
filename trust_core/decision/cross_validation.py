"""Fitting on `tune` without fooling oneself: folds that keep groups whole, and a ridge logistic.

Notation: `N` images, `F` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from trust_core.decision.bootstrap import Flags
from trust_core.decision.tradeoff import Counts, Floats

FOLDS = 5
NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1e-9
BASE_WEIGHTS = (1.0, 0.5)  # of z and Δ, in standard deviations
CONSTANT = 1e-12  # a feature of this deviation or less tells nothing


def grouped_folds(codes: Counts, missed: Flags, folds: int = FOLDS, seed: int = 0) -> Counts:
    """A fold for each image, `(N,)`; groups stay whole, those with a miss are dealt out evenly.

    There are at most as many `folds` as groups with a miss; `codes`, of `group_codes`, and `missed`
    are `(N,)`.
    """
    total = int(codes.max(initial=-1)) + 1
    misses = np.bincount(codes, weights=missed, minlength=total)
    order = np.random.default_rng(seed).permutation(total)
    order = order[np.argsort(misses[order] == 0, kind="stable")]  # those with a miss first
    fold_of = np.empty(total, dtype=np.int64)
    fold_of[order] = np.arange(total) % folds
    return fold_of[codes]


def ridge_logistic(features: Floats, missed: Flags, offset: Floats, penalty: float) -> Floats:
    """Weights that correct a score which is there already, by Newton's method.

    They minimise Σ log(1 + exp(∓(offset + intercept + features·w))) + ½·penalty·|w|², so that with
    few misses, or a large penalty, the score `offset` stands as it is.

    `features` are `(N, F)`; `missed`, at least one of each, and `offset`, the score to start from
    in units of log-odds, are `(N,)`.

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


def moments(features: Floats, usual: Flags) -> tuple[Floats, Floats]:
    """Mean and deviation of features `(N, F)` over the images `usual`, both `(F,)`."""
    inside = features[usual]
    known = np.isfinite(inside)
    count = np.maximum(known.sum(0), 1)
    mean: Floats = np.where(known, inside, 0).sum(0) / count
    deviation: Floats = np.sqrt((np.where(known, inside - mean, 0) ** 2).sum(0) / count)
    return mean, deviation


def standardised(features: Floats, usual: Flags) -> Floats:
    """Features `(N, F)` at mean 0 and deviation 1 over the images `usual`; unknown ones are 0."""
    mean, deviation = moments(features, usual)
    scaled = (features - mean) / np.where(deviation > CONSTANT, deviation, 1)
    return np.where(np.isfinite(scaled) & (deviation > CONSTANT), scaled, 0.0)


@dataclass(frozen=True)
class LinearScore:
    """A weighted sum of features: what a fit leaves to be applied to images it has not seen.

    `weights` are `(F,)`; `intercept` is added to the sum.
    """

    weights: Floats
    intercept: float

    def __call__(self, features: Floats) -> Floats:
        """The scores `(N,)` of features `(N, F)`; NaN where one of them is unknown."""
        known = np.asarray(np.isfinite(features).all(axis=1), dtype=np.bool_)
        total = np.where(known[:, None], features, 0.0) @ self.weights + self.intercept
        return np.where(known, total, np.nan)

    def plus(self, other: "LinearScore") -> "LinearScore":
        """The sum with another score of the same features."""
        return LinearScore(self.weights + other.weights, self.intercept + other.intercept)


def weighted_sum(features: Floats, usual: Flags, weights: Sequence[float] | Floats) -> LinearScore:
    """The sum of features `(N, F)`, each in standard deviations over `usual`, at these weights."""
    mean, deviation = moments(features, usual)
    fixed = np.asarray(weights, dtype=np.float64)
    slopes = np.where(deviation > CONSTANT, fixed / np.maximum(deviation, CONSTANT), 0.0)
    return LinearScore(slopes, -float(slopes @ mean))


def base_fit(both: Floats, usual: Flags) -> LinearScore:
    """`base_score` as a score of z and Δ, `(N, 2)`."""
    total = weighted_sum(both, usual, BASE_WEIGHTS)
    scale = weighted_sum(total(both)[:, None], usual, [1.0])
    slope = float(scale.weights[0])
    return LinearScore(slope * total.weights, slope * total.intercept + scale.intercept)


def base_score(log_odds: Floats, delta: Floats, usual: Flags) -> Floats:
    """What fitted scores are shrunk towards: z + ½·Δ, `(N,)`.

    Each in standard deviations over the images `usual`, the sum too; the weights are fixed, so
    nothing is fitted to misses. NaN where there is no Δ.
    """
    both = np.column_stack([log_odds, delta])
    return base_fit(both, usual)(both)
