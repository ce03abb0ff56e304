"""Convolutional networks: 3 × 3 filters and maxima of 2 × 2, then a dense layer.

For derivatives on a CPU, a convolution is written as a product of shifted copies, and the maximum by a reshape:
several times faster there than the derivatives of `jax.lax.conv_general_dilated` and `jax.lax.reduce_window`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes

#: Pixels that an image is moved by at most.
SHIFT = 4


def convolve(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Convolve f[n, height, width, channels] at the same size, and add the bias."""
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, p["kernel"], (1, 1), "SAME", dimension_numbers=layout) + p["bias"]


def convolve_by_copies(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Return what `convolve` returns, for kernels of odd sizes."""
    *window, _, n_out = p["kernel"].shape
    padded = jnp.pad(x, ((0, 0), *(((size - 1) // 2,) * 2 for size in window), (0, 0)))
    h, w = x.shape[1:3]
    copies = [padded[:, i : i + h, j : j + w] for i, j in itertools.product(*map(range, window))]
    return jnp.concatenate(copies, -1) @ p["kernel"].reshape(-1, n_out) + p["bias"]


def halved(x: jax.Array) -> jax.Array:
    """Return the maxima of windows of two positions, along each axis that has more than one."""
    window = (1, *(min(2, size) for size in x.shape[1:3]), 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def halved_by_reshape(x: jax.Array) -> jax.Array:
    """Return what `halved` returns, for even sizes."""
    n, h, w, c = x.shape
    i, j = min(2, h), min(2, w)
    return x.reshape(n, h // i, i, w // j, j, c).max((2, 4))


def shapes(
    parts: Parts, filters: Sequence[int], hidden: int | None, windows: Sequence[tuple[int, int]] | None = None
) -> Shapes:
    """Return the shapes of a network with layers of filters, and a dense one of ``hidden`` units."""
    _, h, w, n_in = parts.fit.X.shape
    found: Shapes = {}
    for i, n in enumerate(filters):
        window = (3, 3) if windows is None else windows[i]
        found[f"conv{i + 1}"] = {"kernel": (*window, n_in, n), "bias": (n,)}
        h, w, n_in = -(-h // 2), -(-w // 2), n
    size = h * w * n_in
    if hidden is not None:
        found["dense"] = layer(size, hidden)
        size = hidden
    return {**found, "out": layer(size, parts.n_classes)}


def _network(params: Params, x: jax.Array, convolution: Callable, maxima: Callable) -> jax.Array:
    for name, p in params.items():
        if name.startswith("conv"):
            x = maxima(jax.nn.relu(convolution(p, x)))
    x = x.reshape(x.shape[0], -1)
    if "dense" in params:
        x = jax.nn.relu(linear(params["dense"], x))
    return linear(params["out"], x)


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of images f[n, height, width, channels]."""
    return _network(params, X, convolve, halved)


def train_apply(params: Params, X: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Return the same logits, in the form that is fast to differentiate."""
    return _network(params, X, convolve_by_copies, halved_by_reshape)


def train_apply_moved(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits of images that are mirrored and moved at random."""
    return train_apply(params, X if key is None else moved(key, X))


def train_apply_rolled(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits of signals f[n, 1, length, 1] that are rolled by up to `SHIFT` points."""
    return train_apply(params, X if key is None else rolled(key, X))


def rolled(key: jax.Array, X: jax.Array) -> jax.Array:
    """Roll each signal by up to `SHIFT` points: what leaves at one end comes in at the other."""
    shift = jax.random.randint(key, (X.shape[0],), -SHIFT, SHIFT + 1)
    return jax.vmap(lambda signal, by: jnp.roll(signal, by, 1))(X, shift)


def moved(key: jax.Array, X: jax.Array) -> jax.Array:
    """Mirror half of the images, and move each by up to `SHIFT` pixels; what comes in is 0."""
    n, h, w, _ = X.shape
    flip, shift = jax.random.split(key)
    X = jnp.where(jax.random.bernoulli(flip, 0.5, (n, 1, 1, 1)), X[:, :, ::-1], X)
    padded = jnp.pad(X, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    first = jax.random.randint(shift, (n, 2), 0, 2 * SHIFT + 1)
    return jax.vmap(lambda image, at: lax.dynamic_slice(image, (*at, 0), (h, w, X.shape[-1])))(padded, first)
