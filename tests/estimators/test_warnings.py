"""A warning points at the user's line, comes once, and is not lost."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from skbandit._tabular.training import epochs
from skbandit.estimators import _ensemble
from skbandit.pruning.engine import Pruner

MEMBERS = pytest.mark.parametrize("n_members", [1, 2])
#: Ninety-six epochs in three calls, of which the first ends training.
LONG = {"max_iter": 96, "tol": 0.0, "n_iter_no_change": 1000}


@pytest.fixture
def told():
    """Return a function that calls another, and returns its result and the warnings, each as text and category.

    All of them must point at this file.
    """

    def call(function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = function()
        assert {w.filename for w in caught} <= {__file__}
        return result, [(str(w.message), w.category) for w in caught]

    return call


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C in a call of a function of the package; members come one after the other."""
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: 1)

    def at(owner, name, n):
        calls, original = [], getattr(owner, name)

        def interrupted(*args, **kwargs):
            calls.append(1)
            if len(calls) == n:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, interrupted)

    return at


@MEMBERS
def test_training_that_has_not_converged(n_members, told, make_data, regressor):
    data = make_data("regression")
    _, found = told(lambda: regressor(n_members=n_members, max_iter=3).fit(data.X, data.y))
    ((text, category),) = found
    assert category is ConvergenceWarning
    assert text == ("Stochastic Optimizer: Maximum iterations (3) reached and the optimization hasn't converged yet.")


@MEMBERS
@pytest.mark.parametrize("method", ["fit", "prune", "prune_path", "partial_fit"])
def test_a_batch_larger_than_the_rows(n_members, method, told, make_data, regressor):
    data = make_data("regression")
    params = {"n_members": n_members, "max_iter": 3, "pruning_ratio": 0, "n_iter_no_change": float("inf")}
    model = regressor(**params, batch_size=64)
    if method.startswith("prune"):
        told(lambda: model.fit(data.X, data.y))
    _, found = told(lambda: getattr(model, method)(data.X, data.y))
    assert found == [("'batch_size'=64 is larger than the 60 training rows; one batch holds them all.", UserWarning)]


@MEMBERS
@pytest.mark.parametrize("method", ["fit", "prune", "partial_fit"])
def test_a_column_vector_as_y(n_members, method, told, make_data, regressor):
    data = make_data("regression")
    params = {"n_members": n_members, "max_iter": 3, "pruning_ratio": 0, "n_iter_no_change": float("inf")}
    model, held_out = regressor(**params), {}
    if method == "prune":
        told(lambda: model.fit(data.X, data.y))
    if method != "partial_fit":  # of the held-out rows the same is not said again
        held_out = {"X_val": data.X_val, "y_val": data.y_val[:, None]}
    _, found = told(lambda: getattr(model, method)(data.X, data.y[:, None], **held_out))
    ((text, category),) = found
    assert category is DataConversionWarning
    assert text.startswith("A column-vector y was passed when a 1d array was expected.")


@MEMBERS
@pytest.mark.parametrize("method", ["predict", "score", "prune", "prune_path", "X_val"])
def test_a_column_of_unknown_categories(n_members, method, told, make_data, regressor):
    data = make_data("regression")
    X = pd.DataFrame(data.X[:, :2], columns=["a", "b"]).assign(kind=["x", "y", "z"] * 20)
    codes = X.assign(kind=X["kind"].astype("category").cat.codes)  # the numbers of the labels in place of them
    fit = {"n_members": n_members, "max_iter": 3, "pruning_ratio": 0, "n_iter_no_change": float("inf")}
    fit["categorical_features"] = "from_dtype"
    if method == "X_val":
        _, found = told(lambda: regressor(**fit).fit(X, data.y, X_val=codes, y_val=data.y))
    else:
        model, _ = told(lambda: regressor(**fit).fit(X, data.y))
        y = () if method == "predict" else (data.y,)
        _, found = told(lambda: getattr(model, method)(codes, *y))
        assert not told(lambda: model.predict(X))[1]
        assert not told(lambda: [model.predict(codes[i : i + 1]) for i in range(6)])[1]
    text = (
        "Column 'kind' of X has unknown categories in 60 of 60 rows, such as [0, 1, 2]: they count as missing. Known "
        "are those of the fit, such as ['x', 'y', 'z']. Give the values that were given to fit."
    )
    assert found == [(text, UserWarning)]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_a_classifier_on_unknown_categories(method, told, make_data, classifier):
    X = np.column_stack([np.arange(60) % 3, np.arange(60)])
    model, _ = told(lambda: classifier(max_iter=3, categorical_features=[0]).fit(X, np.arange(60) % 2))
    ((text, _),) = told(lambda: getattr(model, method)(np.add(X, [3, 0])))[1]
    assert text.startswith("Column 0 of X has unknown categories in 60 of 60 rows, such as [3, 4, 5]:")


def test_a_column_that_names_the_rows(told, make_data, regressor):
    data = make_data("regression")
    X = pd.DataFrame({"a": data.X[:, 0], "who": pd.Categorical([f"p{i:02}" for i in range(60)])})
    model = regressor(max_iter=3, n_iter_no_change=float("inf"), categorical_features="from_dtype")
    _, ((text, category),) = told(lambda: model.fit(X, data.y))
    assert category is UserWarning
    assert text.startswith("Column 'who' of X has 60 categories in 60 rows, such as ['p00', 'p01', 'p02', 'p03', ...]:")
    # Rows without weight are not there; and of a first batch nobody knows what will come.
    weight = np.arange(60) < 10
    assert not told(lambda: model.fit(X, data.y, sample_weight=weight))[1]
    assert not told(lambda: regressor(categorical_features="from_dtype").partial_fit(X, data.y))[1]


@MEMBERS
def test_an_interrupted_training(n_members, told, interrupt, make_data, regressor):
    data = make_data("regression")
    interrupt(epochs, "run_chunk", 2)
    model, found = told(lambda: regressor(n_members=n_members, **LONG).fit(data.X, data.y))
    assert found == [("Training interrupted by user.", UserWarning)]
    assert model.training_status_ == "interrupted"
    assert type(model.training_status_) is type(model.pruning_status_) is str


@MEMBERS
@pytest.mark.parametrize("method", ["fit", "prune"])
def test_an_interrupted_pruning(n_members, method, told, interrupt, make_data, regressor):
    data = make_data("regression")
    params = {"n_members": n_members, "max_iter": 3, "n_iter_no_change": float("inf")}
    if method == "prune":
        dense, _ = told(lambda: regressor(**params, pruning_ratio=0).fit(data.X, data.y))
        interrupt(Pruner, "score", 2)
        model, found = told(lambda: dense.prune(data.X, data.y, pruning_ratio=0.5))
    else:
        interrupt(Pruner, "score", 2)
        model, found = told(lambda: regressor(**params).fit(data.X, data.y))
    assert found == [("Pruning interrupted by user after 1 rounds.", UserWarning)]
    assert "interrupted by the user" in model.pruning_status_


def test_an_interrupted_partial_fit(told, interrupt, make_data, regressor):
    data = make_data("regression")
    model, _ = told(lambda: regressor().partial_fit(data.X, data.y))
    interrupt(epochs, "run_chunk", 1)
    _, found = told(lambda: model.partial_fit(data.X, data.y))
    assert found == [("Training interrupted by user.", UserWarning)]


@MEMBERS
def test_scores_that_say_nothing(n_members, told, make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=n_members, max_iter=3, n_iter_no_change=float("inf"), policy="apoz", activation="selu")
    # No activation is ever 0.
    _, found = told(lambda: model.fit(data.X, data.y))
    ((_, category),) = found
    assert category is UserWarning


@MEMBERS
def test_several_warnings_come_together(n_members, told, make_data, regressor):
    data = make_data("regression")
    _, found = told(lambda: regressor(n_members=n_members, max_iter=3, batch_size=64).fit(data.X, data.y[:, None]))
    assert [category for _, category in found] == [DataConversionWarning, UserWarning, ConvergenceWarning]


def test_what_was_noticed_is_said_also_where_the_fit_fails(told, make_data, regressor):
    data = make_data("regression")

    def fit():
        with pytest.raises(ValueError, match="Solver produced non-finite"):
            regressor(solver="sgd", learning_rate_init=1e30, batch_size=64).fit(data.X, data.y)

    _, found = told(fit)
    assert [text.partition(" is")[0] for text, _ in found] == ["'batch_size'=64"]


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(data.X, data.y)
    assert not hasattr(model, "coefs_")
    assert not hasattr(model, "_callback_fit_ctx")
