"""What y means to a network, and what its output means to the user."""

import numpy as np
import pytest

from skbandit.estimators._targets import CLASSIFICATION, REGRESSION, ClassTarget, LabelTarget

REGRESSOR = {"loss": "squared_error", "clip_predictions": False, "dtype": "float32"}
CLASSIFIER = {"class_weight": None}


def learn(kind, y, params, weight=None, **options):
    return kind.learn(y, np.ones(len(y)) if weight is None else weight, params, "Owner", **options)


def test_numbers_are_standardised_with_their_weights():
    y, weight = np.array([1.0, 3.0, 9.0]), np.array([1.0, 1.0, 0.0])
    target = learn(REGRESSION, y, REGRESSOR, weight)
    # Of 1 and 3 the mean is 2, and each is 1 away from it.
    np.testing.assert_allclose(target.encode(y).ravel(), [-1, 1, 7])
    assert [a.tolist() for a in target.scale] == [[2.0], [1.0]]
    assert target.attributes == {"n_outputs_": 1}


def test_counts_are_left_as_they_are():
    y = np.array([0.0, 3.0])
    target = learn(REGRESSION, y, {**REGRESSOR, "loss": "poisson"})
    np.testing.assert_array_equal(target.encode(y).ravel(), y)
    np.testing.assert_allclose(target.predict([np.zeros((2, 1))]), [1, 1])  # exp(0)
    with pytest.raises(ValueError, match=r"^Some values of y are negative, which loss='poisson' does not allow\.$"):
        target.check(-y)


def test_range_and_scale_are_those_of_all_calls():
    params = {**REGRESSOR, "clip_predictions": True}
    first = learn(REGRESSION, np.array([0.0, 2.0]), params, incremental=True)
    second = first.learn_on(np.array([-5.0, 1.0]), np.ones(2), params, "Owner", incremental=True)
    assert first.predict([np.array([[-9.0], [9.0]])]).tolist() == [0, 2]
    assert second.predict([np.array([[-9.0], [9.0]])]).tolist() == [-5, 2]
    both = [0.0, 2.0, -5.0, 1.0]
    np.testing.assert_allclose(np.ravel(second.scale), [np.mean(both), np.std(both)], rtol=1e-12)


def test_two_classes_are_one_output_and_three_are_three():
    two, three = (learn(CLASSIFICATION, np.array(list(y)), CLASSIFIER) for y in ("abba", "abca"))
    assert (type(two), two.loss, two.n_outputs) == (ClassTarget, "binary_log_loss", 1)
    assert (type(three), three.loss, three.n_outputs) == (ClassTarget, "log_loss", 3)
    assert two.encode(np.array(["b", "a"])).tolist() == [[1], [0]]
    assert two.predict([np.array([[2.0], [-2.0]])]).tolist() == ["b", "a"]
    assert three.predict([np.array([[0.0, 1.0, 2.0]])]).tolist() == ["c"]


def test_labels_are_one_output_each():
    y = np.array([[0, 1], [1, 1]])
    target = learn(CLASSIFICATION, y, CLASSIFIER)
    assert (type(target), target.n_outputs, target.strata(y)) == (LabelTarget, 2, None)
    assert target.predict([np.array([[-1.0, 1.0]])]).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="y is one class per row, but the earlier fit had a multi-label indicator"):
        target.check(np.array([0, 1]))


@pytest.mark.parametrize("y", [np.array([0, 1, 0]), np.array([0, 1, 2]), np.array([[0, 1], [1, 0], [1, 1]])])
def test_log_probabilities_are_those_of_the_mean(y):
    target = learn(CLASSIFICATION, y, CLASSIFIER)
    raw = list(np.random.default_rng(0).normal(size=(3, 5, target.n_outputs)))
    p = target.probabilities(raw)
    np.testing.assert_allclose(np.exp(target.log_probabilities(raw)), p)
    if y.ndim == 1:
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_array_equal(target.predict(raw), p.argmax(axis=1))


def test_a_label_weighs_its_two_classes():
    y = np.array([[0, 1], [1, 1]])
    target = learn(CLASSIFICATION, y, CLASSIFIER)
    weights = target.class_weighting(y, np.ones(2), {"class_weight": [{0: 2.0, 1: 3.0}, {1: 5.0}]})(y)
    assert weights.tolist() == [2 * 5, 3 * 5]
