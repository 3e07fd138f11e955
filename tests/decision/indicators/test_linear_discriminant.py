"""The discriminant is scikit-learn's."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from trust_core.decision.indicators.linear_discriminant import linear_discriminant


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
