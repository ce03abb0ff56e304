"""A convolutional network of ten thousand units, most of them in two wide layers.

Two small layers of filters lead to 4 × 4 positions. The first wide layer is a convolution of 2 × 2 positions in steps
of two; a narrow layer over its filters, and all positions together, lead to the second one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax

from benchmarks.deep.pairs.convolutional import convolve, convolve_by_copies, halved, halved_by_reshape
from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes

FILTERS, WIDE, NARROW, DENSE = (32, 64), 4928, 64, 4912


def shapes(parts: Parts) -> Shapes:
    """Return the shapes for images f[n, height, width, channels], of sizes that can be halved three times."""
    _, h, w, n_in = parts.fit.X.shape
    first, second = FILTERS
    return {
        "conv1": {"kernel": (3, 3, n_in, first), "bias": (first,)},
        "conv2": {"kernel": (3, 3, first, second), "bias": (second,)},
        "wide": {"kernel": (2, 2, second, WIDE), "bias": (WIDE,)},
        "narrow": layer(WIDE, NARROW),
        "dense": layer(math.prod((h // 8, w // 8, NARROW)), DENSE),
        "out": layer(DENSE, parts.n_classes),
    }


def patched(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Convolve with windows that do not overlap, and add the bias."""
    i, j, n_in, n_out = p["kernel"].shape
    n, h, w, _ = x.shape
    x = x.reshape(n, h // i, i, w // j, j, n_in).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // i, w // j, i * j * n_in) @ p["kernel"].reshape(i * j * n_in, n_out) + p["bias"]


def _network(params: Params, x: jax.Array, convolution: Callable, maxima: Callable) -> jax.Array:
    for name in ("conv1", "conv2"):
        x = maxima(jax.nn.relu(convolution(params[name], x)))
    x = jax.nn.relu(patched(params["wide"], x))
    x = jax.nn.relu(linear(params["narrow"], x))
    x = jax.nn.relu(linear(params["dense"], x.reshape(x.shape[0], -1)))
    return linear(params["out"], x)


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of images f[n, height, width, channels]."""
    return _network(params, X, convolve, halved)


def train_apply(params: Params, X: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Return the same logits, in the form that is fast to differentiate."""
    return _network(params, X, convolve_by_copies, halved_by_reshape)
