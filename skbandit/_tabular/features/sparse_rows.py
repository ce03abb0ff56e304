"""Rows that stay sparse on the host, CSR, for as long as nobody needs them dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

#: Values of sparse rows that are dense at a time: 16 MB of float32.
DENSE_VALUES = 2**22


def chunk_rows(X: Any, at_most: int) -> int:
    """Return how many rows to take at a time: fewer where they are sparse, and may become dense on the way."""
    return min(at_most, max(DENSE_VALUES // max(X.shape[1], 1), 1)) if sparse.issparse(X) else at_most


def canonical(X: Any) -> Any:
    """Return X with one entry at most for each place; a sparse matrix of the user's is not changed."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def dense(X: Any) -> np.ndarray:
    """Return rows as a dense array."""
    rows: np.ndarray = X.toarray() if sparse.issparse(X) else X
    return rows


def stacked(parts: Sequence[Any]) -> Any:
    """Put rows one below the other, CSR if one of them is."""
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def product(X: Any, W: np.ndarray) -> np.ndarray:
    """Return X @ W, rounded as for dense rows: what training decides by must not depend on how X is stored."""
    if not sparse.issparse(X):
        whole: np.ndarray = X @ W
        return whole
    out = np.empty((X.shape[0], W.shape[1]), np.result_type(X.dtype, W.dtype))
    step = chunk_rows(X, max(X.shape[0], 1))
    for start in range(0, X.shape[0], step):
        np.matmul(X[start : start + step].toarray(), W, out=out[start : start + step])
    return out
