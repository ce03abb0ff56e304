"""The preprocessing for scikit-learn's estimators, and the difference of two scores."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from skbandit.cli import compare


def test_the_preprocessor_takes_unseen_and_missing_values():
    X = np.array([[1.0, "a"], [np.nan, "b"], [3.0, np.nan], [4.0, "a"]], dtype=object)
    preprocess = compare.preprocessor(2, [1]).fit(X)
    Z = preprocess.transform(np.array([[np.nan, "new"], [3.0, np.nan]], dtype=object))
    # Scaled number, indicator of its absence (scaled too), then one column for each of a, b and missing.
    assert Z.shape == (2, 5)
    # Training: the missing number becomes the median 3, so the column is 1, 3, 3, 4 with mean 2.75.
    np.testing.assert_allclose(Z[:, 0], (3 - 2.75) / np.std([1, 3, 3, 4]))
    assert Z[0, 1] > 0 > Z[1, 1]
    np.testing.assert_array_equal(Z[:, 2:], [[0, 0, 0], [0, 0, 1]])


def test_rare_categories_share_a_column():
    X = np.array([[f"c{i}"] for i in range(50)] + [["often"]] * 50, dtype=object)
    assert compare.preprocessor(1, [0]).fit_transform(X).shape == (100, 20)


def test_the_difference_is_the_difference_of_the_scores():
    rng = np.random.default_rng(0)
    y, a, b = rng.normal(size=(3, 200))
    difference, (low, high) = compare.paired_difference("regression", y, a, b)
    assert difference == pytest.approx(r2_score(y, a) - r2_score(y, b))
    assert low < difference < high
    labels, p, q = rng.integers(0, 3, size=(3, 200))
    difference, interval = compare.paired_difference("classification", labels, p, q)
    assert difference == pytest.approx(np.mean(p == labels) - np.mean(q == labels))
    # Equal predictions: no difference, and no doubt about it.
    assert compare.paired_difference("classification", labels, p, p) == (0, (0, 0))
    # By hand: differences of the hits 1, 0, 0, 0 have mean 1/4 and standard deviation 1/2.
    difference, interval = compare.paired_difference(
        "classification", np.array([1, 1, 1, 1]), np.array([1, 1, 1, 1]), np.array([0, 1, 1, 1])
    )
    assert difference == 0.25
    assert interval == pytest.approx((0.25 - 1.96 * 0.25, 0.25 + 1.96 * 0.25))
