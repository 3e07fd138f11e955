"""Distances in feature space against scikit-learn, and what an image may not be compared with."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from trust_core.decision.indicators import feature_distance
from trust_core.decision.indicators.feature_distance import (
    FeatureRows,
    knn_distance,
    mahalanobis_distance,
)

draw = np.random.default_rng(0)
REFERENCE = draw.normal(size=(60, 8)).astype(np.float32)
IMAGES = draw.normal(size=(25, 8)).astype(np.float32) + 0.5
OTHERS = np.arange(100, 125)


def test_nearest_neighbours_are_those_of_scikit_learn():
    def unit(values):
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    wanted = (
        NearestNeighbors(n_neighbors=10).fit(unit(REFERENCE)).kneighbors(unit(IMAGES))[0][:, -1]
    )
    found = knn_distance(FeatureRows(IMAGES, OTHERS), FeatureRows(REFERENCE, np.arange(60)))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("width", [8, 200])
def test_mahalanobis_is_that_of_scikit_learn(width: int):
    """With more and with fewer images than features."""
    reference = draw.normal(size=(60, width)).astype(np.float32) * np.linspace(0.2, 3, width)
    images = draw.normal(size=(25, width)).astype(np.float32)
    fitted = LedoitWolf().fit(reference)
    found = mahalanobis_distance(
        FeatureRows(images, OTHERS), FeatureRows(reference.astype(np.float32), np.arange(60))
    )
    np.testing.assert_allclose(found**2, fitted.mahalanobis(images), rtol=1e-3)


def test_an_image_is_never_its_own_reference():
    groups = np.arange(60) // 2
    own = FeatureRows(REFERENCE, groups)
    near = knn_distance(own, own, k=1)
    twins = REFERENCE.copy()
    twins[1::2] = twins[::2]  # two photographs of one part, alike
    assert near.min() > 0.01
    assert knn_distance(FeatureRows(twins, groups), FeatureRows(twins, groups), k=1).min() > 0.01
    # An outlier among the references would pull its own covariance towards itself.
    odd = REFERENCE.copy()
    odd[0] += 40
    own_group = np.arange(60)
    alone = mahalanobis_distance(FeatureRows(odd[:1], own_group[:1]), FeatureRows(odd, own_group))
    included = mahalanobis_distance(FeatureRows(odd[:1], OTHERS[:1]), FeatureRows(odd, own_group))
    assert alone > 2 * included


@pytest.mark.parametrize("distance", [knn_distance, mahalanobis_distance])
def test_some_at_a_time_are_all_at_once(distance, monkeypatch: pytest.MonkeyPatch):
    everything = np.concatenate([IMAGES, REFERENCE]).astype(np.float16)
    groups = np.concatenate([OTHERS, np.arange(60)])
    images, reference = np.arange(50), np.arange(25, 85)  # the last 25 are references too
    rows_of = [FeatureRows(everything, groups[rows], rows) for rows in (images, reference)]
    whole = distance(*rows_of)
    monkeypatch.setattr(feature_distance, "IMAGES_AT_ONCE", 7)
    np.testing.assert_allclose(distance(*rows_of), whole, rtol=1e-6)
    copied = [
        FeatureRows(everything[rows].astype(np.float32), groups[rows])
        for rows in (images, reference)
    ]
    np.testing.assert_allclose(distance(*copied), whole, rtol=1e-6)


def test_too_few_references_of_other_parts_are_no_distance():
    one = FeatureRows(REFERENCE[:12], np.zeros(12, dtype=np.int64))
    assert np.isnan(knn_distance(one, one)).all()
    assert np.isnan(mahalanobis_distance(one, one)).all()
