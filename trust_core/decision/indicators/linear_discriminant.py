"""Linear discriminant with the covariance of Ledoit and Wolf, also where features outnumber images.

Notation: N images, F features.
"""

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve

from trust_core.decision.tradeoff import Floats

TINY = 1e-12

Labels = npt.NDArray[np.bool_]


def linear_discriminant(features: Floats, defective: Labels) -> tuple[Floats, float]:
    """The discriminant of Fisher between good and defective images, with shrunk covariances.

    What `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")` of scikit-learn computes (a
    test holds the two together): each class's covariance, on features of deviation 1, is shrunk
    towards the identity by the share of Ledoit and Wolf. Here
    the F x F matrix, which takes a minute to solve at a last layer's F = 3,840, is formed only
    where F < N; else what is solved is N x N, by the identity of Woodbury.

    Args:
        features: `(N, F)`.
        defective: `(N,)`, at least one of each.

    Returns:
        Weights `(F,)` and the intercept that makes `features @ weights + intercept` log-odds.
    """
    diagonal = np.zeros(features.shape[1])
    means, rows, priors = [], [], []
    for chosen in (~defective, defective):
        inside = features[chosen]
        count, prior = len(inside), float(chosen.mean())
        mean, deviation = inside.mean(0), inside.std(0)
        deviation[deviation < TINY] = 1.0
        centred = inside - mean
        share, variance = ledoit_wolf(centred / deviation)
        diagonal += prior * share * variance * deviation**2
        rows.append(np.sqrt(prior * (1 - share) / count) * centred)
        means.append(mean)
        priors.append(prior)
    low_rank, between = np.concatenate(rows), means[1] - means[0]
    diagonal = np.maximum(diagonal, TINY)
    root = np.sqrt(diagonal)
    scaled, target = low_rank / root, between / root
    matrix = scaled.T @ scaled if len(root) < len(scaled) else scaled @ scaled.T
    matrix.flat[:: len(matrix) + 1] += 1.0
    if len(root) < len(scaled):
        target = solve(matrix, target, assume_a="pos")
    else:
        target = target - scaled.T @ solve(matrix, scaled @ target, assume_a="pos")
    weights: Floats = target / root
    middle = float((means[0] + means[1]) @ weights) / 2
    return weights, float(np.log(priors[1] / priors[0])) - middle


def ledoit_wolf(centred: Floats) -> tuple[float, float]:
    """How far a covariance is shrunk towards its mean variance times the identity.

    Ledoit and Wolf, Journal of Multivariate Analysis 88, 2004. The covariance is never formed where
    it would be the larger of the two Gram matrices.

    Args:
        centred: features, `(n, F)`.

    Returns:
        The share in [0, 1] and the mean variance.
    """
    count, width = centred.shape
    squared = centred**2
    variance = float(squared.mean())
    gram = centred @ centred.T if count < width else centred.T @ centred
    norm = float((gram**2).sum()) / count**2
    noise = (float((squared.sum(1) ** 2).sum()) / count - norm) / (width * count)
    dispersion = norm / width - variance**2
    noise = min(noise, dispersion)
    return (noise / dispersion if noise > 0 else 0.0), variance
