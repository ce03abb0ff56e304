"""A number for each row that depends on its values alone: what splits and random draws know rows by."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

#: Values of a block, in columns that lie in one piece: with what is computed of them they stay near the cache.
BLOCK_VALUES = 2**16
#: Rows at a time: each column goes several times over them.
CHUNK_ROWS = 2**13


def row_ranks(X: Any, seed: int, dtype: str = "float64") -> np.ndarray:
    """Hash each row to an integer: multiply and mix, column by column. Not cryptographic.

    Parameters
    ----------
    X : f[n, n_columns], dense or sparse
        NaN is a value like any other. Sparse rows have the ranks that they have as dense ones.
    seed : int
        Another seed gives unrelated hashes.
    dtype : {"float64", "float32"}
        The precision in which rows are compared.

    Returns
    -------
    ranks : u64[n]
        Equal rows have equal ranks.
    """
    state = np.full(X.shape[0], (seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64, np.uint64)
    columns = _sparse_columns if sparse.issparse(X) else _dense_columns
    # As arrays, not as scalars: where rows are few, it is the calls that take time.
    factor, shift = np.array(0xBF58476D1CE4E5B9, np.uint64), np.array(29, np.uint64)
    for start in range(0, X.shape[0], CHUNK_ROWS):
        part = state[start : start + CHUNK_ROWS]
        high = np.empty_like(part)
        for bits in columns(X[start : start + CHUNK_ROWS], dtype):
            if bits is not None:
                np.bitwise_xor(part, bits, part)
            np.multiply(part, factor, part)
            np.right_shift(part, shift, high)
            np.bitwise_xor(part, high, part)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(32)
    return state


def _dense_columns(X: np.ndarray, dtype: str) -> Iterator[np.ndarray]:
    """Yield the columns of X f[n, n_columns] as u64[n]."""
    width = max(BLOCK_VALUES // X.shape[0], 1)
    for start in range(0, X.shape[1], width):
        yield from _as_bits(X[:, start : start + width].T, dtype)


def _sparse_columns(X: Any, dtype: str) -> Iterator[np.ndarray | None]:
    """Yield the columns of a sparse X as u64[n], and None for one of zeros, whose bits are 0."""
    X = X.tocsc(copy=True)
    X.sum_duplicates()
    width = max(BLOCK_VALUES // X.shape[0], 1)
    columns = sparse.csr_array((_as_bits(X.data, dtype), X.indices, X.indptr), X.shape[::-1])
    filled = np.diff(X.indptr) > 0
    columns = columns[filled]
    blocks = (columns[start : start + width].toarray() for start in range(0, columns.shape[0], width))
    bits = itertools.chain.from_iterable(blocks)
    for some in filled.tolist():
        yield next(bits) if some else None


def _as_bits(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return floats as u64 of the same shape, in C order: equal ones as the same number."""
    with np.errstate(over="ignore"):
        values = np.array(values.astype(dtype, copy=False), np.float64, order="C")
    values += 0.0  # makes -0.0 equal to 0.0
    np.copyto(values, np.nan, where=np.isnan(values))  # there are many NaNs, too
    bits: np.ndarray = values.view(np.uint64)
    return bits
