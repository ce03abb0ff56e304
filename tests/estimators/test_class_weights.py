"""Weights of the classes of many labels, against scikit-learn's for one label after the other."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from skbandit.estimators import _class_weights
from skbandit.estimators._class_weights import balanced_by_label, weights_of_label_sets

BLOCKS = pytest.mark.parametrize("block", [1, 100, _class_weights.BLOCK_VALUES])


def labels():
    rng = np.random.default_rng(0)
    y = (rng.random((40, 7)) < np.linspace(0.1, 0.9, 7)).astype(int)
    y[:, 2], y[:, 4] = 1, 0  # of one class only
    weight = rng.exponential(size=40)
    weight[:5] = 0
    y[:5, 4] = 1  # only in rows that are not there
    return y, weight


@BLOCKS
@pytest.mark.parametrize("dtype", [int, np.int8, float, bool])
def test_balanced_weights_are_those_of_each_label_by_itself(monkeypatch, block, dtype):
    monkeypatch.setattr(_class_weights, "BLOCK_VALUES", block)
    y, weight = labels()
    there = weight > 0
    expected = np.ones((7, 2))
    for label, column in enumerate(y[there].T):
        present = np.unique(column)
        expected[label, present] = compute_class_weight(
            "balanced", classes=present, y=column, sample_weight=weight[there]
        )
    np.testing.assert_array_equal(balanced_by_label(y.astype(dtype), weight), expected)


@BLOCKS
def test_a_row_has_the_product_over_its_labels(monkeypatch, block):
    monkeypatch.setattr(_class_weights, "BLOCK_VALUES", block)
    weights = np.array([[1.0, 2.0], [3.0, 5.0]])
    y = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    assert weights_of_label_sets(y, weights).tolist() == [3, 6, 5, 10]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("one", [True, np.True_])
def test_bools_are_weights_of_0_and_1_as_among_sample_weights(one, make_data, classifier):
    data = make_data("binary")
    by_bool = classifier(class_weight={0: one, 1: 2}).fit(data.X, data.y)
    by_number = classifier(class_weight={0: 1, 1: 2}).fit(data.X, data.y)
    np.testing.assert_array_equal(by_bool.predict_proba(data.X), by_number.predict_proba(data.X))
    with pytest.raises(ValueError, match="class_weight must be non-negative, and positive for some class"):
        classifier(class_weight={0: False, 1: False}).fit(data.X, data.y)
