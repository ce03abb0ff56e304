"""What rows mean, for both estimators: weights, sparse and read-only input."""

import numpy as np
import pytest
from scipy import sparse

from skbandit.criteria import ExpectedGate
from skbandit.estimators._rows import row_ids
from skbandit.estimators._targets import REGRESSION

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-class")


def networks(model):
    return [*model.coefs_, *model.intercepts_]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [{"pruning_ratio": 0.5}, {"pruning_ratio": "auto"}, {"dropout": 0.3}], ids=str)
def test_weight_two_is_the_row_twice(kind, change, make_data, make_estimator):
    data = make_data(kind)
    X, y = data.X[:40], data.y[:40]
    weight = np.where(np.arange(40) < 20, 2.0, 1.0)
    repeated = np.repeat(np.arange(40), weight.astype(int))
    params = {"dtype": "float64", **change}
    weighted = make_estimator(kind, **params).fit(X, y, sample_weight=weight)
    copied = make_estimator(kind, **params).fit(X[repeated], y[repeated])
    assert weighted.hidden_layer_sizes_ == copied.hidden_layer_sizes_
    for a, b in zip(networks(weighted), networks(copied), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("calibration", ["held_out", "all"])
def test_a_weighted_held_out_row_is_repeated_rows_for_what_draws_by_row(calibration, make_data, regressor):
    data = make_data("regression")
    criterion = ExpectedGate(n_steps=400, noise_learning_rate=0.05)
    params = {"hidden_layer_sizes": (32, 24), "dtype": "float64", "policy": criterion, "n_rounds": 1}
    params["calibration"] = calibration
    weight = np.where(np.arange(40) < 20, 3.0, 1.0)
    repeated = np.repeat(np.arange(40), weight.astype(int))
    weighted, copied = (regressor(**params) for _ in range(2))
    weighted.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val, sample_weight_val=weight)
    copied.fit(data.X, data.y, X_val=data.X_val[repeated], y_val=data.y_val[repeated])
    for a, b in zip(networks(weighted), networks(copied), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def ids(model, X, y):
    return row_ids(X, y, model.fit(X, y)._target, model.get_params())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 3, 40])
def test_rows_of_few_values_have_ids_of_their_own(columns, dtype, regressor):
    rng = np.random.default_rng(columns)
    X = rng.integers(2 if columns > 3 else 30, size=(20_000, columns)).astype(float)
    y = rng.integers(1000, size=20_000).astype(float)
    distinct = len(np.unique(np.column_stack([X, y]), axis=0))
    target = REGRESSION.learn(
        y, np.ones(20_000), {"loss": "squared_error", "clip_predictions": False, "dtype": dtype}, ""
    )
    found = row_ids(X, y, target, regressor(dropout=0.1, dtype=dtype).get_params())
    assert found.dtype == np.uint32
    # Of 20 000 numbers of 32 bits, 0.05 pairs coincide on average.
    assert distinct - 2 <= len(np.unique(found)) <= distinct


def test_the_ids_of_rows_follow_features_and_target(make_data, regressor, classifier):
    data = make_data("multi-class")
    X = np.zeros((60, 4))
    found = ids(classifier(dropout=0.1), X, data.y)
    assert len(np.unique(found)) == 3
    np.testing.assert_array_equal(ids(classifier(dropout=0.1), X, np.array(["a", "b", "c"])[data.y]), found)
    y = make_data("regression").y
    assert len(np.unique(ids(regressor(dropout=0.1), X, y))) == len(np.unique(y))
    assert ids(regressor(dropout=0.0), X, y) is None
    assert ids(regressor(dropout=0.1, solver="lbfgs"), X, y) is None


@pytest.mark.parametrize("kind", KINDS)
def test_weight_zero_is_no_row(kind, make_data, make_estimator):
    data = make_data(kind)
    weight = np.where(np.arange(60) < 40, 1.0, 0.0)
    weighted = make_estimator(kind, dtype="float64").fit(data.X, data.y, sample_weight=weight)
    left_out = make_estimator(kind, dtype="float64").fit(data.X[:40], data.y[:40])
    for a, b in zip(networks(weighted), networks(left_out), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_change_what_is_learned(kind, make_data, make_estimator):
    data = make_data(kind)
    plain = make_estimator(kind).fit(data.X, data.y)
    weighted = make_estimator(kind).fit(data.X, data.y, sample_weight=np.linspace(0.01, 1, 60))
    assert not np.allclose(plain.loss_, weighted.loss_, rtol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_rows_equal_dense_rows(kind, container, make_data, make_estimator):
    data = make_data(kind)
    X = np.where(np.abs(data.X) < 0.5, 0, data.X)
    dense = make_estimator(kind).fit(X, data.y)
    from_sparse = make_estimator(kind).fit(container(X), data.y)
    for a, b in zip(networks(dense), networks(from_sparse), strict=True):
        np.testing.assert_array_equal(a, b)
    predict = "predict_proba" if kind == "multi-class" else "predict"
    X_val = np.where(np.abs(data.X_val) < 0.5, 0, data.X_val)
    np.testing.assert_allclose(getattr(dense, predict)(X_val), getattr(dense, predict)(container(X_val)), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_input_trains_the_same_network(kind, make_data, make_estimator):
    data = make_data(kind)
    X = data.X.astype(np.float32)
    single = make_estimator(kind).fit(X, data.y)
    double = make_estimator(kind).fit(X.astype(np.float64), data.y)
    for a, b in zip(networks(single), networks(double), strict=True):
        np.testing.assert_array_equal(a, b)


def test_many_rows_are_predicted_like_few(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    many = np.tile(data.X, (300, 1))  # 18 000 rows: over two chunks of prediction
    np.testing.assert_allclose(
        model.predict(many).reshape(300, 60), np.tile(model.predict(data.X), (300, 1)), rtol=1e-10
    )
