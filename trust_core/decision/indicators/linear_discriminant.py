"""Linear discriminant with the covariance of Ledoit and Wolf, also where features outnumber images.

Notation: N images, F features.
"""

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from trust_core.decision.tradeoff import Counts, Floats

TINY = 1e-12

Labels = npt.NDArray[np.bool_]


def linear_discriminant(features: Floats, defective: Labels) -> tuple[Floats, float]:
    """The discriminant of Fisher between good and defective images, with shrunk covariances.

    What `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")` of scikit-learn computes (a
    test holds the two together): each class's covariance, on features of deviation 1, is shrunk
    towards the identity by the share of Ledoit and Wolf. Here
    the F x F matrix, which takes a minute to solve at a last layer's F = 3,840, is formed only
    where F < N; else what is solved is N x N, by the identity of Woodbury.

    `features` are `(N, F)`; `defective` is `(N,)`, at least one of each.

    Returns:
        Weights `(F,)` and the intercept that makes `features @ weights + intercept` log-odds.
    """
    return linear_discriminants(features, defective, np.full(len(features), -1))[-1]


def linear_discriminants(
    features: Floats, defective: Labels, fold: Counts
) -> list[tuple[Floats, float]]:
    """The discriminants without the images of each fold, and last the one of all images.

    Where F < N the scatter of each fold and class is computed once, and added up for every fit.

    `features` are `(N, F)`, `defective` and `fold` `(N,)`; at least one of each is left without any
    fold. Folds count from 0; -1 where an image is never left out.
    """
    left_out = range(int(fold.max()) + 2)  # the last one is no fold
    if features.shape[1] >= len(features):
        return [_wide(features[fold != index], defective[fold != index]) for index in left_out]
    blocks = [
        [
            (index, *_moments(features[chosen & (fold == index)]))
            for index in np.unique(fold[chosen])
        ]
        for chosen in (~defective, defective)
    ]
    fits = []
    for index in left_out:
        kept = fold != index
        merged = [_merged([block[1:] for block in each if block[0] != index]) for each in blocks]
        diagonal, matrix = np.zeros(features.shape[1]), np.zeros((features.shape[1],) * 2)
        for chosen, (count, mean, scatter) in zip((~defective, defective), merged, strict=True):
            prior = count / int(kept.sum())
            scatter /= count
            squares = _squares(scatter.diagonal())
            inverse = 1 / squares
            energy = (features[kept & chosen] - mean) ** 2 @ inverse
            norm = float(inverse @ scatter**2 @ inverse)
            share, variance = _shrinkage(energy, norm, len(mean))
            diagonal += prior * share * variance * squares
            scatter *= prior * (1 - share)
            matrix += scatter
        matrix.flat[:: len(matrix) + 1] += np.maximum(diagonal, TINY)
        (good, mean, _), (bad, other, _) = merged
        fits.append(_with_intercept(_solved(matrix, other - mean), mean, other, bad / good))
    return fits


def ledoit_wolf(centred: Floats) -> tuple[float, float]:
    """How far a covariance is shrunk towards its mean variance times the identity.

    Ledoit and Wolf, Journal of Multivariate Analysis 88, 2004. The covariance is never formed where
    it would be the larger of the two Gram matrices. `centred` features are `(n, F)`.

    Returns:
        The share in [0, 1] and the mean variance.
    """
    count, width = centred.shape
    gram = centred @ centred.T if count < width else centred.T @ centred
    return _shrinkage((centred**2).sum(1), float((gram**2).sum()) / count**2, width)


def _wide(features: Floats, defective: Labels) -> tuple[Floats, float]:
    """One discriminant where features outnumber images."""
    diagonal = np.zeros(features.shape[1])
    means, rows = [], []
    for chosen in (~defective, defective):
        centred = features[chosen]
        count, prior = len(centred), float(chosen.mean())
        mean = centred.mean(0)
        centred -= mean
        squares = _squares((centred**2).mean(0))
        unit = (centred / np.sqrt(squares)).astype(np.float32)  # for a sum of N x N squares
        gram = unit @ unit.T
        norm = float(np.square(gram, dtype=np.float64).sum()) / count**2
        share, variance = _shrinkage(centred**2 @ (1 / squares), norm, len(mean))
        diagonal += prior * share * variance * squares
        centred *= np.sqrt(prior * (1 - share) / count)
        rows.append(centred)
        means.append(mean)
    root = np.sqrt(np.maximum(diagonal, TINY))
    scaled, target = np.concatenate(rows) / root, (means[1] - means[0]) / root
    matrix = scaled @ scaled.T
    matrix.flat[:: len(matrix) + 1] += 1.0
    target -= scaled.T @ _solved(matrix, scaled @ target)
    odds = float(defective.sum() / (~defective).sum())
    return _with_intercept(target / root, means[0], means[1], odds)


def _moments(features: Floats) -> tuple[int, Floats, Floats]:
    """Count, mean, and scatter about it `(F, F)`."""
    mean = features.mean(0)
    centred = features - mean
    return len(features), mean, centred.T @ centred


def _merged(blocks: list[tuple[int, Floats, Floats]]) -> tuple[int, Floats, Floats]:
    """The moments of several sets of images together."""
    counts, means, scatters = zip(*blocks, strict=True)
    weights = np.array(counts, dtype=np.float64)
    mean = weights @ np.array(means) / weights.sum()
    between = np.sqrt(weights)[:, None] * (np.array(means) - mean)
    scatter = between.T @ between
    for each in scatters:
        scatter += each
    return sum(counts), mean, scatter


def _squares(variances: Floats) -> Floats:
    """Variances to divide by: 1 where a feature is constant."""
    return np.where(variances < TINY**2, 1.0, variances)


def _shrinkage(energy: Floats, norm: float, width: int) -> tuple[float, float]:
    """Ledoit and Wolf's share, and the mean variance.

    Args:
        energy: squared length of each centred image, `(N,)`, on features of deviation 1.
        norm: sum of the squares of their covariance.
        width: F.
    """
    variance = float(energy.mean()) / width
    noise = (float((energy**2).mean()) - norm) / (width * len(energy))
    spread = norm / width - variance**2
    noise = min(noise, spread)
    return (noise / spread if noise > 0 else 0.0), variance


def _solved(matrix: Floats, target: Floats) -> Floats:
    """Solution of a symmetric positive definite system; the matrix is overwritten."""
    factor = cho_factor(matrix.T, overwrite_a=True, check_finite=False)  # LAPACK's order
    return cho_solve(factor, target, check_finite=False)


def _with_intercept(
    weights: Floats, good: Floats, defective: Floats, odds: float
) -> tuple[Floats, float]:
    return weights, float(np.log(odds)) - float((good + defective) @ weights) / 2
