"""Distances in feature space from good reference images: rivals that need no heatmap.

Notation: `R` reference images, `N` images asked about, `F` features, `k` neighbours.
An image is never compared with photographs of its own part, itself least of all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import avg_pool2d

from trust_core.decision.tradeoff import Counts, Floats

NEIGHBOURS = 10
LEAST_REFERENCES = 2 * NEIGHBOURS
MOST_REFERENCES = 5000
FOLDS = 5
CHUNK = 1024

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
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

    def some(self, part: slice | Counts) -> Features:
        """The features of some of the N images."""
        rows = np.arange(len(self)) if self.rows is None else self.rows
        return self.values[rows[part]].astype(np.float32)

    def chunks(self) -> Iterator[slice]:
        """The N images, `CHUNK` at a time."""
        return (slice(start, start + CHUNK) for start in range(0, len(self), CHUNK))


def knn_distance(asked: Pictures, reference: Pictures, k: int = NEIGHBOURS) -> Floats:
    """Distance to the k-th nearest reference, features at unit length, `(N,)`.

    Sun et al., Out-of-distribution detection with deep nearest neighbors, ICML 2022. NaN where
    fewer than k references show other parts.
    """
    found = np.full(len(asked), np.nan)
    if len(reference) < k:
        return found
    others = _unit(reference.some(slice(None)))
    for part in asked.chunks():
        squared = 2.0 - 2.0 * (_unit(asked.some(part)) @ others.T).astype(np.float64)
        squared[asked.groups[part, None] == reference.groups] = np.inf
        nearest = np.partition(squared, k - 1, axis=1)[:, k - 1]
        found[part] = np.sqrt(nearest.clip(0))
    found[np.isinf(found)] = np.nan
    return found


def mahalanobis_distance(asked: Pictures, reference: Pictures) -> Floats:
    """Mahalanobis distance from the references, `(N,)`.

    Lee et al., NeurIPS 2018, for the class *good* alone, with the covariance of Ledoit and Wolf
    (Journal of Multivariate Analysis 88, 2004), because features outnumber images. Parts that are
    references themselves are measured by the other folds of references.
    """
    found = np.full(len(asked), np.nan)
    own = np.isin(asked.groups, reference.groups)
    names = np.unique(reference.groups)
    fold_of = np.random.default_rng(0).permutation(len(names)) % FOLDS
    fold = np.where(own, fold_of[np.searchsorted(names, asked.groups) % len(names)], -1)
    reference_fold = fold_of[np.searchsorted(names, reference.groups)]
    distances = {}
    for index in np.unique(fold):
        kept = reference.some(np.flatnonzero(reference_fold != index))
        if len(kept) > 1:
            distances[index] = _distance_from(kept)
    for part in asked.chunks():
        values, folds = asked.some(part), fold[part]
        for index in distances.keys() & set(folds):
            found[part][folds == index] = distances[index](values[folds == index])
    return found


def _distance_from(reference: Features) -> Callable[[Features], Floats]:
    """Fit mean and shrunk covariance; the covariance is never formed (F may be thousands)."""
    count, width = reference.shape
    centre = reference.mean(0, dtype=np.float64)
    centred = reference.astype(np.float64) - centre
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / count
    mean_variance = variances.sum() / width
    spread = (variances**2).sum() - width * mean_variance**2
    noise = (((centred**2).sum(1) ** 2).sum() / count - (variances**2).sum()) / count
    share = min(noise, spread) / spread if spread > 0 else 1.0
    floor = max(share * mean_variance, np.finfo(np.float64).tiny)
    inside = (1 - share) * variances + floor

    def distance(values: Features) -> Floats:
        moved: Floats = values.astype(np.float64) - centre
        along: Floats = moved @ axes.T
        beside = ((moved**2).sum(1) - (along**2).sum(1)).clip(0)
        outside = beside / floor if len(axes) < width else np.zeros(len(values))
        result: Floats = np.sqrt((along**2 / inside).sum(1) + outside)
        return result

    return distance


def _unit(values: Features) -> Features:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    result: Features = (values / np.where(length > 0, length, 1)).astype(np.float32)
    return result


WINDOW = 32  # windows to a side: one covers 0.1 % of the picture
MASK_CHUNK = 256


def largest_area(masks: npt.NDArray[np.float16], rows: npt.NDArray[np.int64]) -> Floats:
    """The largest mean probability over any small window of each mask, `(n,)`.

    A window is a 1/32 of the height by a 1/32 of the width, at least one cell, at every cell: wide
    enough that one noisy pixel is no alarm, small enough that a small defect is one.

    Args:
        masks: probabilities of *defective*, `(N, H', W')`; read some at a time.
        rows: which of them.

    Returns:
        NaN for a mask that holds one.
    """
    window = [max(1, round(side / WINDOW)) for side in masks.shape[1:]]
    found = [np.empty(0)]
    for start in range(0, len(rows), MASK_CHUNK):
        part = np.asarray(masks[rows[start : start + MASK_CHUNK]], dtype=np.float32)
        means = avg_pool2d(torch.from_numpy(part)[:, None], window, stride=1)
        found.append(means.flatten(1).amax(1).double().numpy())  # a NaN is the largest
    return np.concatenate(found)
