"""A fitted model is plain: it pickles small, loads and predicts without JAX, and is what the constructor said."""

import copy
import dataclasses
import enum
import json
import pickle

import jax
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone

from skbandit.estimators._base import BaseBanditPrunedMLP
from skbandit.policies import UCB1

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "counts", "binary", "multi-class", "multi-label")
#: All that a network may read with, in an ensemble.
TABULAR = {
    "preprocessing": "auto",
    "categorical_features": [3],
    "numeric_embedding": "periodic",
    "input_scaling": True,
    "parametric_activation": True,
    "n_members": 2,
    "max_iter": 3,
}
PLAIN = (int, float, str, bool, type(None), np.ndarray, np.generic, np.dtype)


def outputs(model, X):
    methods = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(model, method)(X) for method in methods if hasattr(model, method)]


def assert_plain(value, path):
    if isinstance(value, BaseBanditPrunedMLP) or dataclasses.is_dataclass(value):
        value = vars(value)  # a member, what reads its inputs: classes that need no JAX
    if isinstance(value, dict):
        for key, item in value.items():
            assert_plain(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        assert type(value) in (list, tuple), path
        for i, item in enumerate(value):
            assert_plain(item, f"{path}[{i}]")
    else:
        assert isinstance(value, PLAIN), f"{path} is a {type(value)}"
        assert not isinstance(value, (jax.Array, enum.Enum)), path


@pytest.mark.filterwarnings("ignore:Column 3 of X has 60 categories in 60 rows")
@pytest.mark.parametrize("kind", KINDS)
def test_fitted_attributes_are_plain(kind, make_data, make_estimator):
    data = make_data(kind)
    for params in ({}, {"pruning_ratio": "auto"}, TABULAR, {"pruning_ratio": 0, "warm_start": True}):
        model = make_estimator(kind, **params).fit(data.X, data.y)
        assert_plain(vars(model), kind)
    assert_plain(vars(model.prune(data.X, data.y, pruning_ratio=0.5)), kind)
    first = {"classes": np.unique(data.y)} if kind in ("binary", "multi-class") else {}
    assert_plain(vars(make_estimator(kind).partial_fit(data.X, data.y, **first)), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_copy_predicts_the_same(kind, how, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind).fit(data.X, data.y)
    for a, b in zip(outputs(how(model), data.X_val), outputs(model, data.X_val), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loaded_model_learns_on(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True, pruning_ratio=0).fit(data.X, data.y)
    loaded = pickle.loads(pickle.dumps(model))
    for m in (model, loaded):
        m.fit(data.X, data.y)
    np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])


def test_models_load_and_predict_where_there_is_no_jax(make_data, make_estimator, python, tmp_path):
    models = {kind: make_estimator(kind).fit(make_data(kind).X, make_data(kind).y) for kind in KINDS}
    recipe = {name: value for name, value in TABULAR.items() if name != "categorical_features"}
    models["tabular"] = make_estimator("multi-class", **recipe).fit(*map(make_data("multi-class").get, ("X", "y")))
    models["gelu"] = make_estimator("regression", activation="gelu").fit(*map(make_data("regression").get, ("X", "y")))
    X = np.where(np.abs(make_data("binary").X_val) < 0.5, 0, make_data("binary").X_val)
    (tmp_path / "models.pkl").write_bytes(pickle.dumps((models, X, sparse.csr_array(X))))
    python(
        "import sys; sys.modules.update(jax=None, jaxlib=None, optax=None)\n"
        "import pickle\n"
        "models, X, X_sparse = pickle.load(open('models.pkl', 'rb'))\n"
        "methods = ('predict', 'predict_proba', 'predict_log_proba')\n"
        "result = {kind: [[getattr(m, f)(X) for X in (X, X_sparse)] for f in methods if hasattr(m, f)]\n"
        "          for kind, m in models.items()}\n"
        "[m.get_params() or repr(m) for m in models.values()]\n"
        "pickle.dump(result, open('result.pkl', 'wb'))"
    )
    result = pickle.loads((tmp_path / "result.pkl").read_bytes())
    for kind, model in models.items():
        for (dense, from_sparse), expected in zip(result[kind], outputs(model, X), strict=True):
            np.testing.assert_array_equal(dense, expected)
            np.testing.assert_allclose(from_sparse, expected, rtol=1e-9)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_are_read_where_there_is_no_jax(library, make_data, regressor, python, tmp_path):
    data = make_data("regression")
    cities, gaps = [f"city {i % 11}" for i in range(60)], np.where(data.X[:, 1] > 1, np.nan, data.X[:, 1])
    if library == "pandas":
        frame = pd.DataFrame({"a": data.X[:, 0], "b": pd.Categorical(cities), "c": gaps})
    else:
        frame = pl.DataFrame({"a": data.X[:, 0], "b": pl.Series(cities, dtype=pl.Categorical), "c": gaps})
    params = {**TABULAR, "categorical_features": "from_dtype", "preprocessing": "auto"}
    model = regressor(**params).fit(frame, data.y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, frame)))
    python(
        "import sys; sys.modules.update(jax=None, jaxlib=None, optax=None)\n"
        "import pickle\n"
        "import numpy as np\n"
        "model, frame = pickle.load(open('model.pkl', 'rb'))\n"
        "np.save('p.npy', model.predict(frame))"
    )
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), model.predict(frame))


def test_the_import_and_the_constructor_do_without_jax(python):
    loaded = python(
        "import sys, json\n"
        "import skbandit\n"
        "first = sorted(sys.modules)\n"
        "from sklearn.base import clone\n"
        "clone(skbandit.BanditPrunedMLPRegressor(policy='thompson')).set_params(budget=4)\n"
        "print(json.dumps([first, sorted(sys.modules)]))"
    )
    for modules in json.loads(loaded):
        assert not {"jax", "jaxlib", "optax"} & set(modules)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_writes_no_constructor_parameter(kind, make_data, make_estimator):
    data = make_data(kind)
    params = {"hidden_layer_sizes": [8], "policy": UCB1(), "random_state": np.random.RandomState(0)}
    model = make_estimator(kind, **params)
    before = model.get_params()
    model.fit(data.X, data.y)
    after = model.get_params()
    assert before.keys() == after.keys()
    assert all(after[name] is before[name] for name in before)
    assert params["hidden_layer_sizes"] == [8]


def test_a_clone_is_unfitted_and_gives_the_same_fit(make_data, classifier):
    data = make_data("multi-class")
    model = classifier().fit(data.X, data.y)
    again = clone(model)
    assert not [name for name in vars(again) if name.endswith("_")]
    np.testing.assert_array_equal(again.fit(data.X, data.y).coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"parametric_activation": True}], ids=str)
def test_weights_are_kept_once(params, make_data, regressor, tmp_path):
    data = make_data("regression")
    model = regressor(hidden_layer_sizes=(500, 100), pruning_ratio=0, max_iter=1, **params).fit(data.X, data.y)
    members = getattr(model, "estimators_", [model])
    size = sum(a.nbytes for m in members for a in [*m.coefs_, *m.intercepts_, *m.kept_units_])
    assert len(pickle.dumps(model)) < 1.2 * size
    joblib.dump(model, tmp_path / "model.joblib")
    assert (tmp_path / "model.joblib").stat().st_size < 1.2 * size
    loaded = pickle.loads(pickle.dumps(model))
    for member in getattr(loaded, "estimators_", [loaded]):
        member.coefs_[-1] = np.zeros_like(member.coefs_[-1])  # what is shown is what predicts
    assert np.ptp(loaded.predict(data.X)) == 0
