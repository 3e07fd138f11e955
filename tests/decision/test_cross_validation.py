"""Fitting on `tune`: the ridge logistic against scikit-learn, folds of whole groups, scales."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from trust_core.decision.cross_validation import grouped_folds, ridge_logistic, standardised

draw = np.random.default_rng(0)


def test_ridge_logistic_is_that_of_scikit_learn():
    features = draw.normal(size=(120, 5))
    missed = features[:, 0] + draw.normal(size=120) > 0.8
    theirs = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=1000).fit(features, missed)
    mine = ridge_logistic(features, missed, np.zeros(120), 3.0)
    np.testing.assert_allclose(mine, theirs.coef_[0], atol=1e-4)


def test_a_correction_is_needed_only_where_the_offset_is_wrong():
    score = draw.normal(size=4000)
    missed = draw.random(4000) < expit(score - 1)
    right = ridge_logistic(score[:, None], missed, score, 1.0)
    wrong = ridge_logistic(score[:, None], missed, np.zeros(4000), 1.0)
    assert abs(right[0]) < 0.15
    assert wrong[0] == pytest.approx(1, abs=0.15)
    assert abs(ridge_logistic(score[:, None], missed, np.zeros(4000), 1e9)[0]) < 1e-3


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=60))
def test_folds_keep_groups_whole_and_deal_out_misses(rows):
    groups, missed = (np.array(values) for values in zip(*rows, strict=True))
    codes = np.unique(groups, return_inverse=True)[1]
    fold = grouped_folds(codes, missed.astype(bool))
    assert all(len(np.unique(fold[codes == code])) == 1 for code in codes)
    held = [len(np.unique(codes[(fold == k) & missed])) for k in range(5)]
    assert max(held) - min(held) <= 1


def test_standardised_by_hand():
    values = np.array([[1.0, 5.0], [3.0, 5.0], [math.nan, 9.0]])
    usual = np.array([True, True, False])
    np.testing.assert_array_equal(standardised(values, usual), [[-1, 0], [1, 0], [0, 0]])
