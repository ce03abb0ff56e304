"""BART among the standard models of the tables."""

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.tabular import models, protocol


def table(n=120):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"number": rng.normal(size=n), "word": pd.Categorical(rng.choice(["a", "b", "c"], n))})
    y = 3 * X["number"].to_numpy() + 2.0 * X["word"].cat.codes.to_numpy() + 100
    X.loc[0, "number"], X.loc[1, "word"] = np.nan, None
    return X, y


def test_it_is_a_regressor_and_runs_where_its_library_is():
    assert models.families(["BART"], "classification") == {}
    info = models.Info(10, 2, (1,), None)
    obstacle = models.MODELS["BART"].obstacle(info)
    assert (obstacle is None) == (importlib.util.find_spec("stochtree") is not None)
    X, y = table()
    (fitted,) = protocol.fit_family(["BART"], "regression", X, y, 0)
    assert fitted.skipped == (obstacle is not None)
    assert fitted.error == obstacle


def test_categories_are_numbered_and_gaps_filled():
    X, _ = table()
    codes = models.category_codes(models.Filled().fit(X).transform(X))
    assert np.isfinite(codes).all()
    assert codes[1, 1] == 3  # "missing" is a category of its own, the last
    np.testing.assert_array_equal(np.unique(codes[2:, 1]), [0, 1, 2])


def test_it_predicts_and_can_be_pickled():
    pytest.importorskip("stochtree")
    X, y = table()
    model = models.prepared(models.Bart(n_warm_up=5, n_burn_in=0, n_draws=20, random_state=3), "filled").fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert r2_score(y, predicted) > 0.8
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(X), predicted)
    again = models.prepared(models.Bart(n_warm_up=5, n_burn_in=0, n_draws=20, random_state=3), "filled").fit(X, y)
    np.testing.assert_array_equal(again.predict(X), predicted)
