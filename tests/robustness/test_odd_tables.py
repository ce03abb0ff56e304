"""Random parameters on tables, targets and weights of every kind.

What is refused is refused in words. What is fitted predicts finite numbers; so does its pickle, the same; and so does
another fit with the same ``random_state``, and one to the same numbers in a plain array.
"""

import pickle

import jax
import numpy as np
import pytest
from odd_tables import (
    ANY_TARGETS,
    CLASSES,
    CONTAINERS,
    FITTED,
    N_COLUMNS,
    N_ROWS,
    NUMBERS,
    OF_CLASSIFIER,
    OF_REGRESSOR,
    PARAMETERS,
    TABLES,
    WEIGHTS,
)
from verdicts import faults, judge

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.presets import preset_params

QUICK = {"hidden_layer_sizes": (4,), "max_iter": 3, "n_rounds": 1, "fine_tune_iter": 1, "random_state": 0}
#: What an error is about, beside parameters.
ABOUT = ("X ", "X:", "X.", "y ", "y:", "y.", "sample_weight", "array", "samples", "class", "label", "Column")


class Case:
    """A fit, drawn by its number."""

    def __init__(self, number):
        self.number, self.classifies = number, bool(number % 2)
        rng = np.random.default_rng(number)
        targets = CLASSES if self.classifies else NUMBERS
        # Most can be fitted.
        tables = [*CONTAINERS, *TABLES] if rng.random() < 0.2 else [*CONTAINERS, *FITTED]
        self.table = str(rng.choice(tables))
        self.target = str(rng.choice([*ANY_TARGETS] if rng.random() < 0.1 else [*targets]))
        self.weight = str(rng.choice([*WEIGHTS])) if rng.random() < 0.2 else None
        self.preset = str(rng.choice(["plain", "fast", "fast"]))
        held_out = ["the same", "another table", "another target"]
        self.held_out = str(rng.choice(held_out)) if rng.random() < 0.15 else None
        self.other_table = str(rng.choice([*CONTAINERS, *TABLES]))
        self.other_target = str(rng.choice([*ANY_TARGETS, *targets]))
        parameters = PARAMETERS | (OF_CLASSIFIER if self.classifies else OF_REGRESSOR)
        names = rng.choice([*parameters], rng.integers(6), replace=False)
        self.params = {str(name): parameters[name][rng.integers(len(parameters[name]))] for name in names}

    def __str__(self):
        held_out = {"another table": self.other_table, "another target": self.other_target}.get(self.held_out, "")
        return (
            f"{self.number}: {'classes' if self.classifies else 'numbers'} {self.target!r} by {self.table!r}, weight "
            f"{self.weight!r}, held out {self.held_out!r} {held_out!r}, {self.preset!r} with {self.params}"
        )

    def given(self, table=None, target=None):
        """Return X, y and the weights, made anew."""
        rng = np.random.default_rng(self.number)
        X = rng.normal(size=(N_ROWS, N_COLUMNS))
        signal = X[:, 0] + 0.3 * np.sin(3 * X[:, 1])
        of_table = {"plain": lambda rng, X: X} | CONTAINERS | TABLES
        of_target = ANY_TARGETS | (CLASSES if self.classifies else NUMBERS)
        weight = None if self.weight is None else WEIGHTS[self.weight](rng, rng.uniform(0.1, 2, N_ROWS))
        return of_table[table or self.table](rng, X), of_target[target or self.target](rng, signal), weight

    def fit(self, table=None):
        """Return a fitted estimator."""
        cls = BanditPrunedMLPClassifier if self.classifies else BanditPrunedMLPRegressor
        task = "classification" if self.classifies else "regression"
        model = cls(**{**preset_params(self.preset, task), **QUICK, **self.params})
        X, y, weight = self.given(table)
        if self.held_out is None:
            return model.fit(X, y, weight)
        X_val, y_val, _ = self.given(
            self.other_table if self.held_out == "another table" else table,
            self.other_target if self.held_out == "another target" else None,
        )
        return model.fit(X, y, weight, X_val=X_val, y_val=y_val)

    def predict(self, model, table=None):
        """Return predictions: of a classifier, probabilities and their logarithms."""
        X = self.given(table)[0]
        if not self.classifies:
            return [model.predict(X)]
        p, log_p = model.predict_proba(X), model.predict_log_proba(self.given(table)[0])
        if p.ndim == 2 and not isinstance(model.predict(self.given(table)[0])[0], np.ndarray):
            np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        return [p, log_p]

    def run(self):
        """Fit, and return what is predicted; raises AssertionError where it is not the same another time."""
        model = self.fit()
        predicted = self.predict(model)
        assert len(predicted[0]) == np.shape(self.given()[0])[0]
        np.testing.assert_array_equal(self.predict(pickle.loads(pickle.dumps(model)))[0], predicted[0])
        if self.number % 8 < 2:
            np.testing.assert_array_equal(self.predict(self.fit())[0], predicted[0])
        if self.number % 4 < 2 and self.table in CONTAINERS and self.held_out is None:
            # To the last bit but for sums over another layout of memory.
            plain = self.predict(self.fit("plain"), "plain")
            np.testing.assert_allclose(plain[0], predicted[0], rtol=1e-4, atol=1e-6 * np.abs(plain[0]).max())
        return predicted


def verdicts_of(numbers):
    """Return what each case comes to."""
    found = {}
    for number in numbers:
        case = Case(number)
        found[str(case)] = judge(case.run, (*ABOUT, *case.params))
        if len(found) % 50 == 0:
            jax.clear_caches()
    return found


def test_odd_tables_are_fitted_or_refused_in_words():
    assert not faults(verdicts_of(range(24)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("portion", range(16))
def test_many_odd_tables_are_fitted_or_refused_in_words(portion):
    assert not faults(verdicts_of(range(250 * portion, 250 * (portion + 1))))
