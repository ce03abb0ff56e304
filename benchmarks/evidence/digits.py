"""The pair of the quick run and of tests: a small network on the digits of scikit-learn."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.deep.pairs.pair import Pair, Parts, Rows

#: Widths of the hidden layers.
WIDTHS = (32, 16)


def parts(seed: int) -> Parts:
    """Return the rows of a seed, in four parts: of 1 797 digits, 1 024 would leave too few rows to train on."""
    X, y = load_digits(return_X_y=True)
    X, y = (X / 16).astype(np.float32), y.astype(np.int32)
    rest, found = np.arange(len(y)), []
    for i, size in enumerate((400, 200, 256)):
        rest, part = train_test_split(rest, test_size=size, stratify=y[rest], random_state=seed + i)
        found.append(Rows(X[part], y[part]))
    report, guard, select = found
    return Parts(Rows(X[rest], y[rest]), select, guard, report)


def shapes(parts: Parts) -> Any:
    """Return the shapes of the parameters."""
    sizes = (parts.fit.X.shape[1], *WIDTHS, int(parts.fit.y.max()) + 1)
    pairs = itertools.pairwise(sizes)
    return {f"layer{i}": {"W": (m, n), "b": (n,)} for i, (m, n) in enumerate(pairs)}


def draw(key: Any, shapes: Any) -> Any:
    """Draw parameters of such shapes: variance 2 over the number of inputs, biases of 0."""
    drawn = {}
    for i, (name, shape) in enumerate(shapes.items()):
        noise = jax.random.normal(jax.random.fold_in(key, i), shape["W"], jnp.float32)
        drawn[name] = {
            "W": np.asarray(noise * np.sqrt(2 / shape["W"][0]), np.float32),
            "b": np.zeros(shape["b"], np.float32),
        }
    return drawn


def apply(params: Any, X: Any) -> Any:
    """Return the logits."""
    *hidden, last = params.values()
    for layer in hidden:
        X = jax.nn.relu(X @ layer["W"] + layer["b"])
    return X @ last["W"] + last["b"]


def train_apply(params: Any, X: Any, key: Any) -> Any:
    """Return the logits; there is no dropout."""
    return apply(params, X)


DIGITS = Pair(
    name="mlp-digits",
    number=0,
    data="digits",
    kind="image",
    gate=0.9,
    reference="none",
    parts=parts,
    shapes=shapes,
    draw=draw,
    apply=apply,
    train_apply=train_apply,
    epochs=24,
    rate=2e-2,
    weight_decay=1e-3,
)
