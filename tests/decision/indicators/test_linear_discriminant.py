"""The discriminant is scikit-learn's."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from trust_core.decision.indicators.linear_discriminant import (
    linear_discriminant,
    linear_discriminants,
)


@pytest.mark.parametrize(("count", "width"), [(60, 8), (60, 150), (150, 60)])
def test_the_fit_is_that_of_scikit_learn(count: int, width: int):
    draw = np.random.default_rng(count + width)
    features = draw.normal(size=(count, width)) @ draw.normal(size=(width, width))
    defective = draw.random(count) < 0.25
    features[defective] += 1.0
    features[:, 0] = 3.0  # a dead channel
    wanted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features, defective)
    weights, intercept = linear_discriminant(features, defective)
    asked = features + draw.normal(size=features.shape)
    found = asked @ weights + intercept
    np.testing.assert_allclose(found, wanted.decision_function(asked), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [8, 150])
def test_without_a_fold_is_the_fit_to_the_others(width: int):
    draw = np.random.default_rng(width)
    features = draw.normal(size=(90, width)) + 20 * draw.random(width)
    fold = draw.integers(-1, 3, 90)
    defective = draw.random(90) < 0.4
    fits = linear_discriminants(features, defective, fold)
    assert len(fits) == 4
    for index, (weights, intercept) in enumerate(fits):
        kept = fold != index
        wanted, offset = linear_discriminant(features[kept], defective[kept])
        np.testing.assert_allclose(weights, wanted, rtol=1e-6, atol=1e-8)
        assert intercept == pytest.approx(offset, rel=1e-6)
