"""The comparison: the pruned network, the unpruned one, and scikit-learn's own estimators, on one split of a table."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
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
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

from skbandit.cli.table import InputError, Table

#: The time of a support vector machine grows with the square of the rows: above this many it is left out.
MOST_ROWS_OF_SVM = 20_000
#: Rows of the batch whose latency is measured.
BATCH = 1000
#: Latency is measured for this long.
LATENCY_SECONDS = 0.3

HIDDEN_LAYER_SIZES = (128, 128)
MAX_ITER = 200


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
    """The table, and what its summary needs: the difference pruned - unpruned with its 95 % interval."""

    task: str
    policy: str
    rows: list[Row]
    n_test: int
    n_units: tuple[int, int]
    difference: float
    interval: tuple[float, float]
    notes: list[str]
    pipeline: Pipeline


def preprocessor(n_columns: int, text: Sequence[int]) -> ColumnTransformer:
    """Make every column numeric and scaled: the recipe that ``--help`` states."""
    numbers = [j for j in range(n_columns) if j not in set(text)]
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=20, sparse_output=False)
    return ColumnTransformer(
        [("numbers", make_pipeline(impute, StandardScaler()), numbers), ("text", encode, list(text))]
    )


def baselines(task: str, n_rows: int, network: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return scikit-learn's estimators by name, with their defaults; its MLP with the parameters ``network``."""
    if task == "regression":
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
    return models


def scaled_target(regressor: Any) -> TransformedTargetRegressor:
    """Standardise the target, for the regressors that need it."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


@threadpool_limits.wrap(limits=1)  # on more, small data take longer, and far longer beside other processes
def compare(table: Table, policy: str, budget: float, ratio: float | str, seed: int) -> Comparison:
    """Train, prune and measure every model on one split of the table; all but JAX on one thread."""
    from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

    classify = table.task == "classification"
    X_train, X_test, y_train, y_test = train_test_split(
        table.X, table.y, test_size=0.25, random_state=seed, stratify=table.y if classify else None
    )
    preprocess = preprocessor(table.X.shape[1], table.text)
    Z_train, Z_test = preprocess.fit_transform(X_train), preprocess.transform(X_test)
    estimator = BanditPrunedMLPClassifier if classify else BanditPrunedMLPRegressor
    network = {
        "hidden_layer_sizes": HIDDEN_LAYER_SIZES,
        "max_iter": MAX_ITER,
        "early_stopping": table.early_stopping,
        "random_state": seed,
    }

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is a choice here, not an accident
        try:
            seconds = -time.perf_counter()
            # The plain network is the one that scikit-learn's MLP can be compared with.
            dense = estimator.from_preset("plain", policy=policy, budget=budget, pruning_ratio=0.0, **network)
            dense.fit(Z_train, y_train)
            seconds += time.perf_counter()
            rows = [measure("skbandit MLP, unpruned", dense, Z_test, y_test, seconds)]
            seconds -= time.perf_counter()
            pruned = dense.prune(Z_train, y_train, policy=policy, budget=budget, pruning_ratio=ratio)
            seconds += time.perf_counter()
            rows.insert(0, measure(f"skbandit MLP, pruned ({policy})", pruned, Z_test, y_test, seconds))
        except ValueError as error:
            raise InputError(str(error)) from error
        for name, model in baselines(table.task, len(y_train), network, seed).items():
            seconds = -time.perf_counter()
            model.fit(Z_train, y_train)
            seconds += time.perf_counter()
            rows.append(measure(name, model, Z_test, y_test, seconds))

    notes = []
    if len(y_train) > MOST_ROWS_OF_SVM:
        notes.append(f"The support vector machine is left out: more than {MOST_ROWS_OF_SVM:,} training rows.")
    difference, interval = paired_difference(table.task, y_test, pruned.predict(Z_test), dense.predict(Z_test))
    return Comparison(
        table.task,
        policy,
        rows,
        len(y_test),
        (sum(dense.hidden_layer_sizes_), sum(pruned.hidden_layer_sizes_)),
        difference,
        interval,
        notes,
        Pipeline([("preprocess", preprocess), ("network", pruned)]),
    )


def measure(name: str, model: Any, X: np.ndarray, y: np.ndarray, fit_seconds: float) -> Row:
    """Score a fitted model on the test rows, and measure what it costs to keep and to call."""
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
    model = getattr(model, "regressor_", model)
    if hasattr(model, "coefs_"):
        return sum(array.size for array in (*model.coefs_, *model.intercepts_))
    if isinstance(model, (Ridge, LogisticRegression)):
        return int(np.size(model.coef_) + np.size(model.intercept_))
    return None


def latency(model: Any, X: np.ndarray) -> float:
    """Return the median seconds of ``predict``, over at least 5 and at most 300 calls."""
    model.predict(X)
    seconds: list[float] = []
    while len(seconds) < 5 or (len(seconds) < 300 and sum(seconds) < LATENCY_SECONDS):
        start = time.perf_counter()
        model.predict(X)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def paired_difference(
    task: str, y: np.ndarray, pruned: np.ndarray, unpruned: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """Return score(pruned) - score(unpruned) and its 95 % interval over the choice of the test rows.

    Both scores are means over rows: of the hits (accuracy), or 1 - (squared error / variance of y) (R²). The
    interval is that of the mean of the rows' differences: ±1.96 standard errors.
    """
    if task == "classification":
        gain = (pruned == y).astype(float) - (unpruned == y)
    else:
        gain = ((unpruned - y) ** 2 - (pruned - y) ** 2) / max(np.var(y), np.finfo(float).tiny)
    mean, half = float(gain.mean()), float(1.96 * gain.std(ddof=1) / np.sqrt(len(gain)))
    return mean, (mean - half, mean + half)
