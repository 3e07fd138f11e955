"""Distances in feature space from good reference images: k-th neighbour and Mahalanobis.

Notation: `R` reference images, `N` images that are measured, `F` features, `k` neighbours.
An image is never compared with photographs of its own part, itself least of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trust_core.decision.indicators.linear_discriminant import ledoit_wolf
from trust_core.decision.tradeoff import Counts, Floats

NEIGHBOURS = 10
LEAST_REFERENCES = 2 * NEIGHBOURS
MOST_REFERENCES = 5000
REFERENCE_FOLDS = 5
IMAGES_AT_ONCE = 1024

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureRows:
    """Penultimate features with the part that each image shows; read some at a time.

    Attributes:
        values: of all images, `(all, F)`; may be mapped from a file.
        groups: of `group_codes`, `(N,)`.
        rows: places in `values`, `(N,)`; the first N when None.
    """

    values: npt.NDArray[np.floating[Any]]
    groups: Counts
    rows: Counts | None = None

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, part: slice | Counts) -> Features:
        """The features of some of the N images."""
        rows = np.arange(len(self)) if self.rows is None else self.rows
        return self.values[rows[part]].astype(np.float32)

    def chunks(self) -> Iterator[slice]:
        """The N images, `IMAGES_AT_ONCE` at a time."""
        return (
            slice(start, start + IMAGES_AT_ONCE) for start in range(0, len(self), IMAGES_AT_ONCE)
        )


def knn_distance(images: FeatureRows, reference: FeatureRows, k: int = NEIGHBOURS) -> Floats:
    """Distance to the k-th nearest reference, features at unit length, `(N,)`.

    Sun et al., Out-of-distribution detection with deep nearest neighbors, ICML 2022. NaN where
    fewer than k references show other parts.
    """
    found = np.full(len(images), np.nan)
    if len(reference) < k:
        return found
    others = _unit(reference.take(slice(None)))
    for part in images.chunks():
        squared = 2.0 - 2.0 * (_unit(images.take(part)) @ others.T).astype(np.float64)
        squared[images.groups[part, None] == reference.groups] = np.inf
        nearest = np.partition(squared, k - 1, axis=1)[:, k - 1]
        found[part] = np.sqrt(nearest.clip(0))
    found[np.isinf(found)] = np.nan
    return found


def mahalanobis_distance(images: FeatureRows, reference: FeatureRows) -> Floats:
    """Mahalanobis distance from the references, `(N,)`.

    Lee et al., NeurIPS 2018, for the class *good* alone, with the covariance of Ledoit and Wolf
    (Journal of Multivariate Analysis 88, 2004), because features outnumber images. Parts that are
    references themselves are measured by the other folds of references.
    """
    found = np.full(len(images), np.nan)
    own = np.isin(images.groups, reference.groups)
    names = np.unique(reference.groups)
    fold_of = np.random.default_rng(0).permutation(len(names)) % REFERENCE_FOLDS
    fold = np.where(own, fold_of[np.searchsorted(names, images.groups) % len(names)], -1)
    reference_fold = fold_of[np.searchsorted(names, reference.groups)]
    clouds = {}
    for index in np.unique(fold):
        others = reference.take(np.flatnonzero(reference_fold != index))
        if len(others) > 1:
            clouds[index] = fit_cloud(others)
    for part in images.chunks():
        values, folds = images.take(part), fold[part]
        for index in clouds.keys() & set(folds):
            found[part][folds == index] = clouds[index].distance(values[folds == index])
    return found


@dataclass(frozen=True)
class FeatureCloud:
    """Mean and shrunk covariance of references, by its axes.

    `centre` is `(F,)`; `axes` are the principal ones, `(A, F)`, with the variance along each in
    `inside`, `(A,)`, and `floor` that in every other direction.
    """

    centre: Floats
    axes: Floats
    inside: Floats
    floor: float

    def distance(self, values: Features) -> Floats:
        """Mahalanobis distance of features `(n, F)`, `(n,)`."""
        moved: Floats = values.astype(np.float64) - self.centre
        along: Floats = moved @ self.axes.T
        beside = ((moved**2).sum(1) - (along**2).sum(1)).clip(0)
        outside = beside / self.floor if len(self.axes) < len(self.centre) else 0.0
        return np.sqrt((along**2 / self.inside).sum(1) + outside)


def fit_cloud(reference: Features) -> FeatureCloud:
    """Fit mean and shrunk covariance; the covariance is never formed (F may be thousands)."""
    centre = reference.mean(0, dtype=np.float64)
    centred = reference.astype(np.float64) - centre
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / len(reference)
    share, mean_variance = ledoit_wolf(centred)
    floor = max(share * mean_variance, float(np.finfo(np.float64).tiny))
    return FeatureCloud(centre, axes, (1 - share) * variances + floor, floor)


def _unit(values: Features) -> Features:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(length > 0, length, 1)).astype(np.float32)
