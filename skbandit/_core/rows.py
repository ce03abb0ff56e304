"""Rows on the device: padded to buckets, so that fits of similar size share one compiled program.

A row of padding has weight 0 and no batch reaches it: batches are cut from a host-side order of the real rows, and the
number of rows is a traced value. A result does not depend on the bucket.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import sparse

from skbandit._core.memory import extended, require_memory, zeros
from skbandit._core.scope import spread, to_device

SMALLEST_BUCKET = 64
#: Values of sparse rows that are made dense at a time, near the cache.
CHUNK_VALUES = 2**18
#: Rows are processed so many at a time: a processor's vector of float32.
_LANES = 16


def bucket(n: int) -> int:
    """Round up to m · 2^k with m in {4, …, 7}: at most a quarter is padding above the smallest bucket."""
    if n <= SMALLEST_BUCKET:
        return SMALLEST_BUCKET
    step = 1 << max((n - 1).bit_length() - 3, 0)
    return -(-n // step) * step


def bucket_below(size: int) -> int:
    """Return the next smaller bucket than ``size``, which is one; 0 if it is the smallest."""
    return size - (1 << max((size - 1).bit_length() - 3, 0)) if size > SMALLEST_BUCKET else 0


def even_width(n: int, at_most: int) -> int:
    """Return the static width of the fewest batches of nearly equal size that ``n`` rows make.

    Such batches may be narrower than ``at_most``, and what is computed for their padding is lost: of 282 rows, two
    batches of 141 would be 256 wide. The width holds the batches of all numbers of rows of the bucket. They hold the
    same rows as at a width of ``at_most``.
    """
    return _even_width(bucket(n), at_most)


@functools.lru_cache(maxsize=256)
def _even_width(size: int, at_most: int) -> int:
    n = np.arange(1 + bucket_below(size), 1 + size)
    widest = int(np.max(-(-n // -(-n // at_most))))
    return min(-(-widest // _LANES) * _LANES, at_most)


def room(n: int, n_columns: int, dtype: Any) -> np.ndarray:
    """Return an array of zeros for ``n`` rows that `Data.pad` need not copy: behind them there is room for padding."""
    return zeros((bucket(n), n_columns), dtype)[:n]


def in_blocks(of: Callable[..., Any], arrays: tuple[jax.Array, ...], most_rows: int) -> Any:
    """Return ``of(*arrays)``, computed for some rows at a time; inside a compiled function.

    Parameters
    ----------
    of : callable
        From rows of the arrays to a pytree of arrays that have an entry for each row.
    arrays : tuple of arrays of shape (N, ...)
        Padded to a `bucket`: m · 2^k rows.
    most_rows : int
        In a block, but a block has m rows, an odd number, at least.
    """
    n, size = arrays[0].shape[0], arrays[0].shape[0]
    while size > most_rows and size % 2 == 0:
        size //= 2
    if size == n:
        return of(*arrays)
    blocks = tuple(a.reshape(-1, size, *a.shape[1:]) for a in arrays)
    found = lax.map(lambda block: of(*block), blocks)
    return jax.tree.map(lambda a: a.reshape(n, *a.shape[2:]), found)


class Data(NamedTuple):
    """Padded rows: X [N, ...], y [N, ...], weight f[N] (0 on the padding).

    ``row_id`` u32[N] tells rows apart where something is drawn for each; copies of a row may share one.
    """

    X: jax.Array
    y: jax.Array
    weight: jax.Array
    row_id: jax.Array

    @classmethod
    def pad(
        cls,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray,
        dtype: str,
        rows: int | None = None,
        row_id: np.ndarray | None = None,
    ) -> Data:
        """Copy the rows once, into padded arrays on the default device; floats become ``dtype``, integers stay.

        A CSR ``X`` becomes dense here; one that has `room` for the padding is not copied to a CPU. Without ``row_id``,
        it is a row's position.
        """
        n = X.shape[0]
        size = bucket(n) if rows is None else rows
        row_id = np.arange(n, dtype=np.uint32) if row_id is None else row_id

        def padded(array: Any) -> jax.Array:
            on_device: jax.Array = to_device(_placed(array, slice(n), size, dtype))
            return on_device

        return cls(padded(X), padded(y), padded(weight), padded(row_id))


def _placed(array: Any, place: np.ndarray | slice, n_rows: int, dtype: Any) -> np.ndarray:
    """Put rows, dense or CSR, into their places i[n], ascending, among ``n_rows`` of zeros; floats become ``dtype``."""
    dtype = array.dtype if np.issubdtype(array.dtype, np.integer) else np.dtype(dtype)
    if not sparse.issparse(array) and array.dtype == dtype and isinstance(place, slice):
        whole = extended(array, n_rows)
        if whole is not None:
            return whole
    if sparse.issparse(array):
        require_memory(array.shape, n_rows, dtype)
    out = zeros((n_rows, *array.shape[1:]), dtype)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and training says so
        if sparse.issparse(array):
            places, step = np.arange(n_rows)[place], max(CHUNK_VALUES // max(array.shape[1], 1), 1)
            for start in range(0, array.shape[0], step):
                out[places[start : start + step]] = array[start : start + step].toarray()
        else:
            out[place] = array
    return out


class Batches(NamedTuple):
    """A partition of rows, at random, into batches of nearly equal size: each lies in one piece.

    A batch has ``width`` rows, of which the last may be padding; so may whole batches be. Rows are put into their
    places on the host, once: no index is computed, and nothing gathered, when a batch is taken.
    """

    X: Any
    """[D, width, ...], or a pytree of such arrays."""
    y: Any
    """[D, width, ...], or a pytree of such arrays."""
    weight: jax.Array
    """f[D, width]: summing to 1 in each batch; 0 on the padding."""
    total: jax.Array
    """f[D]: the summed weight of each batch's rows, before it was scaled to 1."""
    n_batches: jax.Array
    """i32: number of batches that are not padding."""
    row_id: jax.Array
    """u32[D, width]: tells rows apart where something is drawn for each; copies of a row may share one."""

    @classmethod
    def partition(
        cls,
        rng: np.random.Generator,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray,
        dtype: str,
        width: int,
        row_id: np.ndarray | None = None,
    ) -> Batches:
        """Shuffle the rows and cut them into as few batches of at most ``width`` rows as possible.

        Floats become ``dtype``, integers stay; a CSR ``X`` becomes dense. No batch depends on how many of them are
        padding. Without ``row_id``, it is a row's position.
        """
        n = weight.shape[0]
        size = bucket(n)
        width = min(width, size)
        n_batches = -(-n // width)
        # With n = q·D + r, the first r of the D batches hold q + 1 rows, the others q.
        q, r = divmod(n, n_batches)
        batch = np.arange(n_batches)
        place = np.arange(n) + np.repeat(batch * width - (batch * q + np.minimum(batch, r)), q + (batch < r))
        order = rng.permutation(n)

        def blocks(array: Any) -> np.ndarray:
            out = _placed(array[order], place, -(-size // width) * width, dtype)
            return out.reshape(-1, width, *array.shape[1:])

        weight = blocks(weight)
        total = weight.sum(axis=1)
        scaled = np.divide(weight, total[:, None], out=np.zeros_like(weight), where=total[:, None] > 0)
        row_id = np.arange(n, dtype=np.uint32) if row_id is None else row_id
        X, y = jax.tree.map(blocks, X), jax.tree.map(blocks, y)
        return cls(*to_device((X, y, scaled, total, np.int32(n_batches), blocks(row_id))))

    def take(self, i: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Return X, y, weight and total of batch ``i``, i32 and below ``n_batches``."""
        taken: Any = jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, i, keepdims=False), tuple(self[:4]))
        return taken  # type: ignore[no-any-return]

    def shapes(self) -> tuple[Any, Any, Any]:
        """Return shapes and dtypes of X, y and weight of a batch."""
        shapes: Any = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), tuple(self[:3]))
        return shapes  # type: ignore[no-any-return]

    def fold(self, of: Callable[[Any, jax.Array, jax.Array, jax.Array, jax.Array], Any], start: Any) -> Any:
        """Go once over the mini-batches: ``carry = of(carry, X, y, weight, total)``, from ``start``; compiled."""

        def body(t: jax.Array, carry: Any) -> Any:
            X, y, weight, total = self.take(t)
            X, y, weight = spread(X, y, weight)
            return of(carry, X, y, weight, total)

        return lax.fori_loop(0, self.n_batches, body, start)

    def mean(self, of: Callable[[jax.Array, jax.Array, jax.Array], Any]) -> Any:
        """Return the mean of ``of(X, y, weight)``, a pytree, over the mini-batches, each with its rows' weight.

        The weights that ``of`` gets sum to 1: a weighted mean over a mini-batch's rows becomes that of all rows.
        """
        dtype = self.weight.dtype

        def add(carry: Any, X: jax.Array, y: jax.Array, weight: jax.Array, total: jax.Array) -> Any:
            summed, summed_weight = carry
            return jax.tree.map(lambda a, b: a + total * b, summed, of(X, y, weight)), summed_weight + total

        shapes = jax.eval_shape(of, *self.shapes())
        start = jax.tree.map(lambda a: jnp.zeros(a.shape, jnp.result_type(a.dtype, dtype)), shapes)
        summed, summed_weight = self.fold(add, (start, jnp.zeros((), dtype)))
        return jax.tree.map(lambda a: a / summed_weight, summed)
