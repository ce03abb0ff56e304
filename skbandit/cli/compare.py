"""The comparison of one split of a table: the pruned network, the unpruned one, and scikit-learn's own estimators.

Every model reads the columns of the table as they are: skbandit's estimators have their preprocessing inside, those of
scikit-learn get one in a pipeline. So all figures (bytes, seconds, latencies) are those of a whole model.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.cli.table import InputError, Table

Array = NDArray[Any]
Estimator = BanditPrunedMLPClassifier | BanditPrunedMLPRegressor

#: The time of a support vector machine grows with the square of the rows: above this many it is left out.
MOST_ROWS_OF_SVM = 20_000
#: Rows of the batch whose latency is measured.
BATCH = 1000
#: Latency is measured for this long.
LATENCY_SECONDS = 0.2


class Row(NamedTuple):
    """One line of the printed table."""

    model: str
    score: float
    parameters: int | None
    one_row_seconds: float
    batch_seconds: float
    size: int
    fit_seconds: float


class Comparison(NamedTuple):
    """All lines of the printed table, and what its verdict needs."""

    task: str
    policy: str
    rows: list[Row]
    """The pruned network, the unpruned one, and the others."""
    n_test: int
    n_units: tuple[int, int]
    """Hidden units before and after pruning."""
    difference: float
    """The score of the pruned network minus that of the unpruned one."""
    interval: tuple[float, float]
    """The ends of the 95 % interval of this difference."""
    notes: list[str]
    model: Any
    """The pruned estimator."""


def make_estimator(table: Table, policy: str, budget: float, ratio: float | str, seed: int) -> Estimator:
    """Return the estimator for the task: its default parameters, except for those that the command line sets.

    Parameters
    ----------
    table : Table
        Its ``task`` says which estimator, its ``text`` which columns hold categories.
    policy : str
        Who chooses the units to remove.
    budget : float
        Mean number of pulls per hidden unit.
    ratio : float or "auto"
        The ``pruning_ratio``.
    seed : int
        The ``random_state``.

    Returns
    -------
    estimator : BanditPrunedMLPClassifier or BanditPrunedMLPRegressor
        Not fitted.
    """
    make: Callable[..., Estimator] = (
        BanditPrunedMLPClassifier if table.task == "classification" else BanditPrunedMLPRegressor
    )
    params: dict[str, Any] = {
        "categorical_features": table.text,
        "policy": policy,
        "budget": budget,
        "pruning_ratio": ratio,
        "random_state": seed,
    }
    return make(**params)


def preprocessor(n_columns: int, text: Sequence[int], impute: bool = True) -> Any:
    """Return a transformer that makes every column numeric and scaled, for scikit-learn's estimators.

    It has no step that the table does not need: each costs a call of ``predict`` some 0.1 to 0.5 ms.

    Parameters
    ----------
    n_columns : int
        Columns of the table.
    text : sequence of int
        Those that hold text.
    impute : bool, default=True
        Whether numbers may be missing.

    Returns
    -------
    transformer : transformer
        The recipe that ``--help`` states.
    """
    scale: Any = StandardScaler()
    if impute:
        scale = make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), scale)
    if not text:
        return scale
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=20, sparse_output=False)
    numbers = [j for j in range(n_columns) if j not in set(text)]
    return ColumnTransformer([("numbers", scale, numbers), ("text", encode, list(text))])


def baselines(table: Table, n_rows: int, hidden_layer_sizes: Sequence[int], seed: int) -> dict[str, Any]:
    """Return scikit-learn's estimators by name, each behind a preprocessor.

    They have their default parameters, except for the MLP: it has the hidden layers of skbandit's network, and stops
    early where that is better on this table.

    Parameters
    ----------
    table : Table
        The columns and the task.
    n_rows : int
        Training rows.
    hidden_layer_sizes : sequence of int
        Those of the MLP.
    seed : int
        The ``random_state`` of all.

    Returns
    -------
    models : dict of str to Pipeline
        Not fitted.
    """
    network = {
        "hidden_layer_sizes": hidden_layer_sizes,
        "early_stopping": table.early_stopping,
        "random_state": seed,
    }
    if table.task == "regression":
        models: dict[str, Any] = {
            "scikit-learn MLP": scaled_target(MLPRegressor(**network)),
            "ridge": Ridge(),
            "k-nearest neighbours": KNeighborsRegressor(),
            "SVR": scaled_target(SVR()),
            "random forest": RandomForestRegressor(random_state=seed),
            "hist. gradient boosting": HistGradientBoostingRegressor(random_state=seed),
        }
    else:
        models = {
            "scikit-learn MLP": MLPClassifier(**network),
            "logistic regression": LogisticRegression(max_iter=1000),
            "k-nearest neighbours": KNeighborsClassifier(),
            "SVC": SVC(),
            "random forest": RandomForestClassifier(random_state=seed),
            "hist. gradient boosting": HistGradientBoostingClassifier(random_state=seed),
        }
    if n_rows > MOST_ROWS_OF_SVM:
        models = {name: model for name, model in models.items() if name not in ("SVR", "SVC")}
    n_columns = table.X.shape[1]
    return {
        name: make_pipeline(preprocessor(n_columns, table.text, table.lacks_numbers), model)
        for name, model in models.items()
    }


def scaled_target(regressor: Any) -> TransformedTargetRegressor:
    """Standardise the target, for the regressors that need it."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def compare(table: Table, estimator: Estimator) -> Comparison:
    """Train, prune and measure every model on one split of the table.

    Everything but JAX runs on one thread: on more, small data take longer, and far longer beside other processes.

    Parameters
    ----------
    table : Table
        A quarter of its rows, of every class for classification, tests the models that the others train.
    estimator : BanditPrunedMLPClassifier or BanditPrunedMLPRegressor
        It is trained once, without pruning, and then pruned as its parameters say. Its ``random_state`` is that of the
        split and of all models.

    Returns
    -------
    comparison : Comparison
        Scores, sizes and times.

    Raises
    ------
    InputError
        If the estimator refuses a parameter or the data.
    """
    seed: Any = estimator.random_state
    split = train_test_split(
        table.X,
        table.y,
        test_size=0.25,
        random_state=seed,
        stratify=table.y if table.task == "classification" else None,
    )
    X_train, X_test, y_train, y_test = map(np.asarray, split)
    dense: Any = clone(estimator)
    dense.set_params(pruning_ratio=0.0)
    rows = []
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is a choice here, not an accident
        try:
            seconds = -time.perf_counter()
            dense.fit(X_train, y_train)
            seconds += time.perf_counter()
            rows.append(measure("skbandit MLP, unpruned", dense, X_test, y_test, seconds))
            seconds -= time.perf_counter()
            pruned = dense.prune(X_train, y_train, pruning_ratio=estimator.pruning_ratio)
            seconds += time.perf_counter()
            rows.insert(0, measure(f"skbandit MLP, pruned ({estimator.policy})", pruned, X_test, y_test, seconds))
        except ValueError as error:
            raise InputError(str(error)) from error
        for name, model in baselines(table, len(y_train), dense.hidden_layer_sizes, seed).items():
            seconds = -time.perf_counter()
            model.fit(X_train, y_train)
            seconds += time.perf_counter()
            rows.append(measure(name, model, X_test, y_test, seconds))
        difference, interval = paired_difference(table.task, y_test, pruned.predict(X_test), dense.predict(X_test))

    notes = []
    if len(y_train) > MOST_ROWS_OF_SVM:
        notes.append(f"The support vector machine is left out: more than {MOST_ROWS_OF_SVM:,} training rows.")
    return Comparison(
        table.task,
        str(estimator.policy),
        rows,
        len(y_test),
        pruned.n_units_,
        difference,
        interval,
        notes,
        pruned,
    )


def measure(name: str, model: Any, X: Array, y: Array, fit_seconds: float) -> Row:
    """Score a fitted model on the test rows, and measure what it costs to keep and to call.

    Parameters
    ----------
    name : str
        What the table calls it.
    model : estimator
        Fitted; it reads the columns as they are.
    X, y : ndarray of shape (n_rows, n_columns), ndarray of shape (n_rows,)
        The test rows.
    fit_seconds : float
        What the fit took.

    Returns
    -------
    row : Row
        One line of the table.
    """
    batch = np.resize(X, (BATCH, X.shape[1]))
    return Row(
        name,
        float(model.score(X, y)),
        n_parameters(model),
        latency(model, X[:1]),
        latency(model, batch),
        len(pickle.dumps(model)),
        fit_seconds,
    )


def n_parameters(model: Any) -> int | None:
    """Count weights and biases; None for models that have none (trees, neighbours, support vectors)."""
    if hasattr(model, "n_parameters_"):
        return int(model.n_parameters_[1])
    model = model[-1]  # the step behind the preprocessor
    model = getattr(model, "regressor_", model)
    if hasattr(model, "coefs_"):
        return sum(int(array.size) for array in (*model.coefs_, *model.intercepts_))
    if isinstance(model, (Ridge, LogisticRegression)):
        return int(np.size(model.coef_) + np.size(model.intercept_))
    return None


def latency(model: Any, X: Array) -> float:
    """Return the median seconds of ``predict``, over `LATENCY_SECONDS` and at least 5 calls."""
    model.predict(X)
    seconds: list[float] = []
    end = time.perf_counter() + LATENCY_SECONDS
    while len(seconds) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        model.predict(X)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def paired_difference(task: str, y: Array, pruned: Array, unpruned: Array) -> tuple[float, tuple[float, float]]:
    """Return score(pruned) - score(unpruned) and its 95 % interval over the choice of the test rows.

    Both scores are means over rows: of the hits (accuracy), or 1 - (squared error / variance of y) (R²). The
    interval is that of the mean of the rows' differences: ±1.96 standard errors.

    Parameters
    ----------
    task : {"classification", "regression"}
        Says which score.
    y : ndarray of shape (n_rows,)
        The true targets.
    pruned, unpruned : ndarray of shape (n_rows,)
        The predictions of both networks.

    Returns
    -------
    difference : float
        Positive where the pruned network has the higher score.
    interval : tuple of float
        Its lower and its upper end.
    """
    if task == "classification":
        gain = (pruned == y).astype(float) - (unpruned == y)
    else:
        gain = ((unpruned - y) ** 2 - (pruned - y) ** 2) / max(np.var(y), np.finfo(float).tiny)
    mean, half = float(gain.mean()), float(1.96 * gain.std(ddof=1) / np.sqrt(len(gain)))
    return mean, (mean - half, mean + half)
