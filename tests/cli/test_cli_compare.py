"""Which models are compared, their preprocessing, and the difference of two scores."""

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import scale

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.cli import compare, table
from skbandit.cli.parser import parse


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


def test_the_preprocessor_has_no_step_that_the_table_does_not_need():
    X = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, 7.0]])
    whole = X[:, 1:]
    np.testing.assert_array_equal(compare.preprocessor(1, [], impute=False).fit_transform(whole), scale(whole))
    # The median 2.5 and the indicator of the first column, then both are scaled.
    filled = np.array([[1.0, 2.0, 0.0], [2.5, 3.0, 1.0], [4.0, 7.0, 0.0]])
    np.testing.assert_allclose(compare.preprocessor(2, []).fit_transform(X), scale(filled))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_estimator_has_its_defaults_but_for_what_the_command_line_sets(task):
    data = table.bundled("digits")._replace(task=task, text=[3])
    args = parse(["--seed", "7", "--policy", "racing", "--budget", "4", "--ratio", "auto"])
    estimator = compare.make_estimator(data, args.policy, args.budget, args.ratio, args.seed)
    cls = BanditPrunedMLPClassifier if task == "classification" else BanditPrunedMLPRegressor
    named = {"policy": "racing", "budget": 4, "pruning_ratio": "auto", "random_state": 7, "categorical_features": [3]}
    assert type(estimator) is cls
    assert estimator.get_params() == cls().get_params() | named


def test_the_options_have_the_defaults_of_the_estimators():
    args, defaults = parse([]), BanditPrunedMLPClassifier().get_params()
    found = {"policy": args.policy, "budget": args.budget, "pruning_ratio": args.ratio}
    assert found == {name: defaults[name] for name in found}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_scikit_learns_mlp_has_the_layers_of_the_network(early_stopping):
    data = table.bundled("diabetes")._replace(early_stopping=early_stopping)
    mlp = compare.baselines(data, 300, (12, 8), 5)["scikit-learn MLP"][-1].regressor
    named = {"hidden_layer_sizes": (12, 8), "early_stopping": early_stopping, "random_state": 5}
    assert mlp.get_params() == MLPRegressor().get_params() | named


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_are_counted_behind_the_preprocessing():
    data = table.bundled("diabetes")
    models = compare.baselines(data, 300, (12, 8), 0)
    fitted = {name: models[name].fit(data.X, data.y) for name in ("scikit-learn MLP", "ridge", "k-nearest neighbours")}
    # Ten features: 10·12 + 12, 12·8 + 8, 8 + 1; ten weights and an intercept.
    assert [compare.n_parameters(model) for model in fitted.values()] == [132 + 104 + 9, 11, None]


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
