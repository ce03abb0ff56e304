"""Rows on the device: padded to buckets, so that fits of similar size share one compiled program.

A row of padding has weight 0 and no batch reaches it: batches are cut from a host-side order of the real rows, and the
number of rows is a traced value. A result does not depend on the bucket.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SMALLEST_BUCKET = 64


def bucket(n: int) -> int:
    """Round up to m · 2^k with m in {4, …, 7}: at most a quarter is padding above the smallest bucket."""
    if n <= SMALLEST_BUCKET:
        return SMALLEST_BUCKET
    step = 1 << max((n - 1).bit_length() - 3, 0)
    return -(-n // step) * step


class Data(NamedTuple):
    """Padded rows: X [N, ...], y [N, ...], weight f[N] (0 on the padding), n = number of real rows."""

    X: jax.Array
    y: jax.Array
    weight: jax.Array
    n: jax.Array

    @classmethod
    def pad(cls, X: np.ndarray, y: np.ndarray, weight: np.ndarray, dtype: str, rows: int | None = None) -> Data:
        """Copy the rows once, into padded arrays on the default device; floats become ``dtype``, integers stay."""
        n = X.shape[0]
        size = bucket(n) if rows is None else rows

        def padded(array: np.ndarray) -> jax.Array:
            integral = np.issubdtype(array.dtype, np.integer)
            out = np.zeros((size, *array.shape[1:]), dtype=array.dtype if integral else dtype)
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and training says so
                out[:n] = array
            return jax.device_put(out)

        return cls(padded(X), padded(y), padded(weight), jax.device_put(np.int32(n)))


class Batches(NamedTuple):
    """A partition of the real rows into ``n_batches`` batches of nearly equal size, in a shared random order."""

    order: jax.Array
    """i32[N + width]: a permutation of the real rows, then zeros."""
    n_batches: jax.Array
    """i32: number of batches."""

    @classmethod
    def partition(cls, rng: np.random.Generator, n: int, size: int, width: int) -> Batches:
        """Shuffle ``n`` rows and cut them into as few batches of at most ``width`` rows as possible."""
        order = np.zeros(size + width, np.int32)
        order[:n] = rng.permutation(n)
        return cls(jax.device_put(order), jax.device_put(np.int32(-(-n // width))))

    def take(self, data: Data, i: jax.Array, width: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return X, y and weight of batch ``i`` (cyclic), ``width`` rows, weight 0 beyond the batch's end.

        With ``n = q·D + r``, the first ``r`` of the ``D`` batches hold ``q + 1`` rows of the order, the others ``q``.
        """
        i = i % self.n_batches
        # No product exceeds n: ⌊i·n/D⌋ would overflow int32 at 10^6 rows.
        q, r = data.n // self.n_batches, data.n % self.n_batches
        start = q * i + jnp.minimum(i, r)
        rows = lax.dynamic_slice(self.order, (start,), (width,))
        inside = jnp.arange(width) < q + (i < r)
        return data.X[rows], data.y[rows], jnp.where(inside, data.weight[rows], 0)
