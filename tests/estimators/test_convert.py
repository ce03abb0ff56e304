"""From scikit-learn's own MLP."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-output", "counts", "binary", "multi-class", "multi-label")
CLASSIFICATION = KINDS[3:]


def predictions(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def scikit_learns(kind, **params):
    if kind in CLASSIFICATION:
        return MLPClassifier(**params)
    return MLPRegressor(loss="poisson" if kind == "counts" else "squared_error", **params)


@pytest.mark.parametrize("kind", KINDS)
def test_from_sklearn_predicts_the_same_and_can_be_pruned(kind, make_data, make_estimator):
    data = make_data(kind)
    params = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.05, "random_state": 0}
    plain = scikit_learns(kind, **params).fit(data.X, data.y)
    coefs = [W.copy() for W in plain.coefs_]
    model = type(make_estimator(kind)).from_sklearn(plain, n_rounds=2, fine_tune_iter=2)
    assert (model.hidden_layer_sizes_, model.n_features_in_) == ((8,), 4)
    np.testing.assert_allclose(predictions(model, data.X_val), predictions(plain, data.X_val), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(data.X_val), plain.predict(data.X_val))
    pruned = model.prune(data.X, data.y)
    assert pruned.hidden_layer_sizes_ == (4,)
    assert pruned.score(data.X, data.y) > plain.score(data.X, data.y) - 0.35
    for now, before in zip(plain.coefs_, coefs, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_again(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind).fit(data.X, data.y)
    again = type(model).from_sklearn(model.to_sklearn())
    np.testing.assert_allclose(predictions(again, data.X_val), predictions(model, data.X_val), rtol=1e-6)
    assert again.out_activation_ == model.out_activation_


def test_from_sklearn_carries_parameters(make_data):
    data = make_data("binary")
    plain = MLPClassifier((8,), alpha=0.25, activation="tanh", max_iter=5, random_state=3).fit(data.X, data.y)
    model = BanditPrunedMLPClassifier.from_sklearn(plain, policy="magnitude", alpha=0.5)
    assert (model.activation, model.random_state, model.alpha, model.policy) == ("tanh", 3, 0.5, "magnitude")
    assert model.loss_curve_ == plain.loss_curve_


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_goes_on_from_scikit_learns_network(solver, make_data):
    data = make_data("regression")
    plain = MLPRegressor(hidden_layer_sizes=(8,), solver=solver, max_iter=5, random_state=0).fit(data.X, data.y)
    model = BanditPrunedMLPRegressor.from_sklearn(plain, solver="adam", learning_rate_init=0.01)
    for _ in range(20):
        model.partial_fit(data.X, data.y)
    assert model.score(data.X, data.y) > plain.score(data.X, data.y)
    model = BanditPrunedMLPRegressor.from_sklearn(plain, solver="adam", warm_start=True, learning_rate_init=0.01)
    model.set_params(max_iter=20, n_rounds=2, fine_tune_iter=2).fit(data.X, data.y)
    assert model.score(data.X, data.y) > plain.score(data.X, data.y)
    assert model.hidden_layer_sizes_ == (4,)


def test_from_sklearn_keeps_names_of_features(make_data):
    data = make_data("regression")
    table = pd.DataFrame(data.X, columns=list("abcd"))
    plain = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5).fit(table, data.y)
    model = BanditPrunedMLPRegressor.from_sklearn(plain)
    np.testing.assert_allclose(model.predict(table), plain.predict(table), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[list("dcba")])


def test_from_sklearn_takes_the_right_kind_of_model_only(make_data):
    data = make_data("regression")
    for model in (LinearRegression().fit(data.X, data.y), MLPClassifier()):
        with pytest.raises(ValueError, match=r"takes a fitted MLPRegressor\. Got"):
            BanditPrunedMLPRegressor.from_sklearn(model)
    with pytest.raises(NotFittedError):
        BanditPrunedMLPRegressor.from_sklearn(MLPRegressor())
