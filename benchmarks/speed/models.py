"""The data, and the two estimators that are set to do the same work: same network, batches and number of epochs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor


def regression(rows: int, features: int, dtype: str = "float64", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Standardised rows and a standardised target: a sum of ridge functions of them, with a tenth of noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features), dtype=dtype)
    directions = (rng.standard_normal((features, 8)) / np.sqrt(features)).astype(dtype)
    y = np.tanh(2 * (X @ directions)).sum(axis=1) + 0.3 * rng.standard_normal(rows, dtype=dtype)
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def ours(hidden: Sequence[int], epochs: int, kind: str = "regressor", **params: Any) -> Any:
    """Our estimator as a plain network, which trains for exactly ``epochs`` epochs."""
    cls = {"regressor": BanditPrunedMLPRegressor, "classifier": BanditPrunedMLPClassifier}[kind]
    return cls.from_preset(
        "plain",
        hidden_layer_sizes=tuple(hidden),
        max_iter=epochs,
        tol=0,
        n_iter_no_change=epochs,
        random_state=0,
        **params,
    )


def theirs(hidden: Sequence[int], epochs: int) -> MLPRegressor:
    """scikit-learn's: Adam, mini-batches of 200 and L2 are the defaults of both."""
    return MLPRegressor(
        hidden_layer_sizes=tuple(hidden), max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=0
    )


def words(rows: int, columns: int, per_row: int, seed: int = 0) -> tuple[sparse.csr_array, np.ndarray]:
    """A bag of words, CSR in float64, and whether most of a row's words are of the first half."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(rows), per_row), rng.integers(0, columns, rows * per_row)
    X = sparse.csr_array((np.ones(rows * per_row), place), (rows, columns))
    return X, X[:, : columns // 2].sum(axis=1) > per_row // 2


def classes(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `regression`, and the sign of its target."""
    X, y = regression(rows, columns, seed=seed)
    return X, y > 0


def classes_of(y: np.ndarray, n_classes: int) -> np.ndarray:
    """The class of each row: equally many rows are in each, by the size of their target."""
    return np.argsort(np.argsort(y)) * n_classes // len(y)


def small_classifier(preset: str, **params: Any) -> BanditPrunedMLPClassifier:
    """Our classifier with a layer of 16 units, which makes all its epochs."""
    params = {"hidden_layer_sizes": (16,), "tol": 0, "n_iter_no_change": float("inf"), "random_state": 0} | params
    return BanditPrunedMLPClassifier.from_preset(preset, **params)


def their_small_classifier(max_iter: int) -> MLPClassifier:
    """scikit-learn's, of the same size."""
    return MLPClassifier((16,), max_iter=max_iter, tol=0, n_iter_no_change=max_iter, random_state=0)


def fit(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit, and make sure that all epochs were run."""
    model.fit(X, y)
    assert model.n_iter_ == model.max_iter, f"{type(model).__name__} stopped after {model.n_iter_} epochs"
    return model


def loss(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Half the mean squared error."""
    return float(0.5 * np.mean(np.square(model.predict(X) - y)))


# ---------------------------------------------------------------------- operations


def forward_macs(sizes: Sequence[int]) -> int:
    """Multiply-adds of one row's forward pass; ``sizes`` are inputs, hidden widths, outputs."""
    return sum(a * b for a, b in pairwise(sizes))


def training_flops(sizes: Sequence[int], rows: int, epochs: int) -> float:
    """Operations of training: a forward pass and two products of its size for the gradients, 2 for a multiply-add."""
    return 6.0 * forward_macs(sizes) * rows * epochs


def arm_macs(sizes: Sequence[int]) -> list[int]:
    """Multiply-adds per row of evaluating one arm of each hidden layer on top of the shared forward pass.

    For a unit of hidden layer l: the rank-one update of the next pre-activation, w[l+1], and the layers above that,
    the sum over i > l of w[i] w[i+1].
    """
    return [sizes[layer + 1] + forward_macs(sizes[layer + 1 :]) for layer in range(1, len(sizes) - 1)]


def sweep_macs(sizes: Sequence[int], rows: int) -> int:
    """Multiply-adds of evaluating every arm on a mini-batch: ``rows · (forward + Σ_l w[l] · arm_macs[l])``."""
    arms = sum(width * macs for width, macs in zip(sizes[1:-1], arm_macs(sizes), strict=True))
    return rows * (forward_macs(sizes) + arms)


def phase_flops(sizes: Sequence[int], rows: int, n_pulls: int) -> float:
    """Operations of a pruning phase at least: those of as many sweeps over all units as its pulls make."""
    return 2.0 * sweep_macs(sizes, rows) * n_pulls / sum(sizes[1:-1])
