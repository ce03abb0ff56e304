"""Rows that scikit-learn's check would return as they are go past it; all others are checked as ever."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators import _base
from skbandit.estimators._rows import is_checked

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
FITTED = {"n_features_in_": 3}

#: Rows that are fine.
FINE = {
    "float64": X,
    "float32": X.astype(np.float32),
    "one row": X[:1],
    "columns side by side": np.asfortranarray(X),
    "every other row": X[::2],
    "read-only": np.frombuffer(X.tobytes()).reshape(X.shape),
}
#: Rows that are converted, warned of or refused.
ODD = {
    "no row": X[:0],
    "one dimension": X[0],
    "three dimensions": X[None],
    "too few columns": X[:, :2],
    "too many columns": np.tile(X, 2),
    "NaN": np.where(X > 1, np.nan, X),
    "infinite": np.where(X > 1, np.inf, X),
    "of both signs infinite": np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)),
    "a sum that overflows": np.full((4, 3), 1e308),
    "a sum that overflows in float32": np.full((4, 3), 3e38, np.float32),
    "int": np.arange(12).reshape(4, 3),
    "float16": X.astype(np.float16),
    "long double": X.astype(np.longdouble),
    "complex": X.astype(complex),
    "bool": X > 0,
    "objects": X.astype(object),
    "text": X.astype(str),
    "another byte order": X.astype(X.dtype.newbyteorder()),
    "of another class": X.view(type("Rows", (np.ndarray,), {})),
    "masked": np.ma.masked_greater(X, 1),
    "a list": X.tolist(),
    "a frame": pd.DataFrame(X),
    "a frame with names": pd.DataFrame(X, columns=["a", "b", "c"]),
    "sparse": sparse.csr_array(X),
    "none": None,
    "dates": np.full((4, 3), np.datetime64("2024-01-01")),
}


@pytest.fixture(scope="module", params=["numbers", "missing ones too", "names"])
def model(request):
    recipe = {"preprocessing": "auto" if request.param == "missing ones too" else None}
    rows = pd.DataFrame(X, columns=["a", "b", "c"]) if request.param == "names" else X
    return small(**recipe).fit(rows, X[:, 0])


def small(**recipe):
    recipe |= {"hidden_layer_sizes": (8,), "max_iter": 2, "pruning_ratio": 0, "random_state": 0}
    return BanditPrunedMLPRegressor.from_preset("plain", **recipe)


def outcome(model, rows):
    """Return what a call comes to: predictions, or an error's text; and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = model.predict(rows)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
    return result, [str(w.message) for w in caught]


@pytest.mark.parametrize("rows", [*FINE.values(), *ODD.values()], ids=[*FINE, *ODD])
def test_the_outcome_is_that_of_the_check(model, rows, monkeypatch):
    result, warned = outcome(model, rows)
    monkeypatch.setattr(_base, "is_checked", lambda *args: False)
    expected, expected_warnings = outcome(model, rows)
    assert warned == expected_warnings
    if isinstance(expected, str):
        assert result == expected
    else:
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype


@pytest.mark.parametrize("rows", FINE.values(), ids=FINE)
def test_what_is_fine_goes_past_the_check(rows):
    assert is_checked(rows, FITTED)
    assert not is_checked(rows, FITTED | {"feature_names_in_": np.array(["a", "b", "c"])})
    assert not is_checked(rows, FITTED | {"n_features_in_": 4})
    assert not is_checked(rows, {})


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
def test_what_is_odd_does_not(rows):
    assert not is_checked(rows, FITTED)


def test_rows_that_are_said_to_be_finite_are_taken_at_that_word():
    model = small().fit(X, X[:, 0])
    rows = np.where(X > 1, np.nan, X)
    with config_context(assume_finite=True):
        assert np.isnan(model.predict(rows)).any()
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(rows)
