"""Dense layers, and networks of them alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax

from benchmarks.deep.pairs.pair import Params, Parts, Shapes, dropout, keys

DROPOUT = 0.2


def layer(n_inputs: int, n_outputs: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a dense layer."""
    return {"kernel": (n_inputs, n_outputs), "bias": (n_outputs,)}


def linear(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Apply a dense layer."""
    return x @ p["kernel"] + p["bias"]


def shapes(parts: Parts, hidden: Sequence[int]) -> Shapes:
    """Return the shapes of a network with these hidden layers."""
    sizes = (math.prod(parts.fit.X.shape[1:]), *hidden)
    layers = {f"dense{i}": layer(*pair) for i, pair in enumerate(itertools.pairwise(sizes), 1)}
    return {**layers, "out": layer(sizes[-1], parts.n_classes)}


def train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits; with a key, hidden layers drop a share of their units."""
    x = X.reshape(X.shape[0], -1)
    hidden = [name for name in params if name != "out"]
    for name, own in zip(hidden, keys(key, len(hidden)), strict=True):
        x = dropout(own, jax.nn.relu(linear(params[name], x)), DROPOUT)
    return linear(params["out"], x)


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of rows of any shape."""
    return train_apply(params, X, None)
