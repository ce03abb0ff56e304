"""Recurrent networks: an LSTM over words, a GRU over a signal, and the maximum of each unit over time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.deep.pairs.convolutional import rolled
from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes, dropout, keys, vectors

DROPOUT = 0.5
#: Added to the forget gate, which is open at first.
OPEN = 1.0


def shapes(parts: Parts, units: int = 96, dimensions: int = 48) -> Shapes:
    """Return the shapes of an LSTM over word vectors."""
    lstm = {"gates": (dimensions, 4, units), "recurrent": (units, 4, units), "bias": (4, units)}
    words = {"embedding": (parts.n_tokens, dimensions)}
    return {"words": words, "lstm": lstm, "out": layer(units, parts.n_classes)}


def lstm(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Return f[length, n, units], what the units say after each word of f[n, length, dimensions]."""
    inputs = jnp.einsum("nld,dgh->lgnh", x, p["gates"]) + p["bias"][:, None]

    def step(state: tuple[jax.Array, jax.Array], own: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        h, c = state
        enter, forget, leave, new = own + jnp.einsum("nh,hgk->gnk", h, p["recurrent"])
        c = jax.nn.sigmoid(forget + OPEN) * c + jax.nn.sigmoid(enter) * jnp.tanh(new)
        h = jax.nn.sigmoid(leave) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((x.shape[0], p["recurrent"].shape[0]))
    return lax.scan(step, (start, start), inputs)[1]


def train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits; with a key, word vectors and the maxima have dropout."""
    of_words, of_units = keys(key, 2)
    h = lstm(params["lstm"], dropout(of_words, vectors(params["words"]["embedding"], X), DROPOUT))
    h = jnp.where((X > 0).T[..., None], h, -1).max(0)
    return linear(params["out"], dropout(of_units, h, DROPOUT))


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of sentences i32[n, length]."""
    return train_apply(params, X, None)


# --- signals ----------------------------------------------------------------------------------------------------------


def gru_shapes(parts: Parts, units: int = 48) -> Shapes:
    """Return the shapes of a GRU over a signal."""
    gru = {"gates": (1, 3, units), "recurrent": (units, 3, units), "bias": (3, units), "new_bias": (units,)}
    return {"gru": gru, "out": layer(units, parts.n_classes)}


def gru(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Return f[length, n, units], what the units say after each value of f[n, length, inputs]."""
    inputs = jnp.einsum("nld,dgh->lgnh", x, p["gates"]) + p["bias"][:, None]

    def step(h: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array]:
        keep, reset, new = jnp.einsum("nh,hgk->gnk", h, p["recurrent"])
        keep, reset = jax.nn.sigmoid(own[0] + keep), jax.nn.sigmoid(own[1] + reset)
        h = keep * h + (1 - keep) * jnp.tanh(own[2] + reset * (new + p["new_bias"]))
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[0], p["recurrent"].shape[0])), inputs)[1]


def gru_train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits of signals f[n, 1, length, 1]; with a key, they are rolled by a few points."""
    X = X if key is None else rolled(key, X)
    h = gru(params["gru"], X.reshape(X.shape[0], -1, 1))
    return linear(params["out"], h.max(0))


def gru_apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of signals f[n, 1, length, 1]."""
    return gru_train_apply(params, X, None)
