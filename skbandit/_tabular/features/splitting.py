"""The internal held-out split, drawn by the content of the rows.

Each distinct row gets a pseudo-random rank that depends on its values and the seed alone. The rows of lowest rank are
held out, up to the wanted share of the total weight. So copies of a row never stand on both sides (no leak), the
order of the rows does not matter, and an integer weight equals a repeated row, which a split by position cannot give.
"""

from __future__ import annotations

import numpy as np

from skbandit._tabular.features.hashing import row_ranks


def held_out_rows(
    X: np.ndarray,
    weight: np.ndarray,
    fraction: float,
    seed: int,
    strata: np.ndarray | None = None,
    dtype: str = "float64",
    start: float = 0.0,
    at_least_one: bool = False,
) -> np.ndarray:
    """Choose the rows to hold out, bool[n].

    Parameters
    ----------
    X : f[n, n_features]
    weight : f[n]
        Non-negative; rows of weight 0 count on neither side.
    fraction : float
        Share of the total weight to hold out, per stratum.
    seed : int
    strata : i[n], optional
        Class of each row; every class keeps its share, and at least one distinct row for training.
    dtype : {"float64", "float32"}
        The precision in which rows are compared: that of the network, whatever that of ``X``.
    start : float in [0, 1)
        Share of the total weight, in the order of the ranks, at which the window of held-out rows begins. Past the last
        rank it goes on from the first. Windows of k members that begin at 0, 1/k, 2/k, … share the rows evenly.
    at_least_one : bool
        Where the share is too small for any row, hold out the lightest distinct row all the same, unless it would be
        the last of its class.
    """
    ranks = row_ranks(X, seed, dtype)
    held = np.zeros(X.shape[0], bool)
    every = np.arange(X.shape[0])
    parts = [every] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    lightest, spare = np.inf, np.zeros(0, np.intp)
    for rows in parts:
        distinct, inverse = np.unique(ranks[rows], return_inverse=True)
        mass = np.bincount(inverse, weights=weight[rows], minlength=distinct.size)
        present = np.flatnonzero(mass > 0)
        if present.size < 2:
            continue
        filled = np.cumsum(mass[present])
        if start > 0:
            first = int(np.searchsorted(filled - 0.5 * mass[present], start * filled[-1]))
            present = np.roll(present, -first)
            filled = np.cumsum(mass[present])
        # The row that crosses the wanted share is held out if more than half of it lies below.
        n_held = int(np.sum(filled - 0.5 * mass[present] <= fraction * filled[-1]))
        out = np.zeros(distinct.size, bool)
        out[present[: min(n_held, present.size - 1)]] = True
        held[rows] = out[inverse]
        least = present[np.argmin(mass[present])]
        if mass[least] < lightest:
            lightest, spare = mass[least], rows[inverse == least]
    if at_least_one and not held.any():
        held[spare] = True
    return held
