"""A convolutional network for sentences: filters of three, four and five words, and the maximum of each.

After Kim 2014 (arXiv:1408.5882), with fewer filters and shorter word vectors, which are learned from scratch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes, dropout, keys, vectors

WINDOWS = (3, 4, 5)
DROPOUT = 0.5


def shapes(parts: Parts, filters: int = 64, dimensions: int = 64) -> Shapes:
    """Return the shapes of a network with so many filters of each window."""
    windows = {f"window{n}": {"kernel": (n, dimensions, filters), "bias": (filters,)} for n in WINDOWS}
    size = filters * len(WINDOWS)
    return {"words": {"embedding": (parts.n_tokens, dimensions)}, **windows, "out": layer(size, parts.n_classes)}


def strongest(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Return the largest response of each filter f[n, filters] to words f[n, length, dimensions]."""
    window, n_in, n_out = p["kernel"].shape
    n = x.shape[1] - window + 1
    copies = jnp.concatenate([x[:, i : i + n] for i in range(window)], -1)
    return jax.nn.relu((copies @ p["kernel"].reshape(window * n_in, n_out)).max(1) + p["bias"])


def train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits; with a key, word vectors and the maxima have dropout."""
    of_words, of_filters = keys(key, 2)
    x = dropout(of_words, vectors(params["words"]["embedding"], X), DROPOUT / 2)
    filters = [strongest(p, x) for name, p in params.items() if name.startswith("window")]
    return linear(params["out"], dropout(of_filters, jnp.concatenate(filters, -1), DROPOUT))


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of sentences i32[n, length]."""
    return train_apply(params, X, None)
