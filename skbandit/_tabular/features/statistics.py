r"""Medians, quartiles, and how many values there are: of many columns of numbers at once, dense or sparse.

A column is scaled by s, which is 1 / (q75 - q25), or 2 / (max - min) if that is infinite, or 0.

Quantiles are weighted, by the averaged inverse of the cumulative distribution: where the cumulated weight passes its
share of the total, and halfway to the next value where it meets it. So a weight of 2 is a repeated row, a weight of 0
is a row that is not there, and the order of the rows does not matter. Sums of weights are compared with a slack that is
far above their rounding: a quartile is one value of the column, or the mean of two neighbours, to the last bit.

Columns are looked at in blocks of a bounded size, one in each row of a block: what is computed stays near the cache,
and no loop goes over single columns. Of a sparse column a block has the stored values, and one zero that has the weight
of all the zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

#: Relative slack of cumulated weights. Sums of a million weights in another order differ by some 1e-13 of the total.
SLACK = 1e-11
QUARTILES = (0.25, 0.5, 0.75)
#: Values of a block: 2 MB of float64, near the cache.
BLOCK_VALUES = 2**18


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """What is known of m columns of numbers."""

    n_distinct: np.ndarray
    """i[m]: distinct values, a missing one not counted; 3 stands for more, too."""
    missing: np.ndarray
    """bool[m]: whether values are missing."""
    centre: np.ndarray
    """f[m]: median; 0 where values do not vary, NaN where there are none."""
    scale: np.ndarray
    """f[m]: 1 over the distance of the quartiles, or what stands for it; 0 where values do not vary."""

    @classmethod
    def empty(cls, n_columns: int) -> Statistics:
        """Return those of columns without rows."""
        none = np.zeros(n_columns)
        return cls(none.astype(np.intp), none.astype(bool), np.full(n_columns, np.nan), none)


def statistics(X: Any, weight: np.ndarray, columns: np.ndarray) -> Statistics:
    """Look at columns of X.

    Parameters
    ----------
    X : f[n, n_features], dense or sparse
        Finite numbers or NaN.
    weight : f[n]
        Non-negative; rows of weight 0 are not there.
    columns : i[m]
        Columns of X, ascending.
    """
    found = Statistics.empty(columns.size)
    rows = None if weight.all() else np.flatnonzero(weight)
    weight = weight if rows is None else weight[rows]
    if weight.size == 0:
        return found
    equal = bool((weight == weight[0]).all())
    blocks = _sparse_blocks if sparse.issparse(X) else _dense_blocks
    for at, values, mass, missing in blocks(X, rows, None if equal else weight, columns):
        found.n_distinct[at], found.centre[at], found.scale[at] = _of_block(values, mass)
        found.missing[at] = missing
    return found


def _dense_blocks(
    X: np.ndarray, rows: np.ndarray | None, weight: np.ndarray | None, columns: np.ndarray
) -> Iterator[tuple[Any, ...]]:
    """Yield positions in ``columns``, values f[m, n] in memory of their own, weights f[n] or None, and `missing`."""
    width = max(BLOCK_VALUES // X.shape[0], 1)
    for start in range(0, columns.size, width):
        at = slice(start, start + width)
        chosen = columns[at]
        adjacent = chosen[-1] - chosen[0] == chosen.size - 1
        block = X[:, chosen[0] : chosen[-1] + 1] if adjacent else X[:, chosen]
        values = np.array((block if rows is None else block[rows]).T, np.float64, order="C")
        yield at, values, weight, np.isnan(values).any(axis=1)


def _sparse_blocks(
    X: Any, rows: np.ndarray | None, weight: np.ndarray | None, columns: np.ndarray
) -> Iterator[tuple[Any, ...]]:
    """Yield what `_dense_blocks` does, with weights f[m, n] of the stored values and of one zero for all of them."""
    X = (X if rows is None else X[rows]).tocsc(copy=True)
    n = X.shape[0]
    X.sum_duplicates()
    starts, counts = X.indptr[columns], np.diff(X.indptr)[columns]
    order = np.argsort(counts, kind="stable")  # columns of about as many values go together
    begin = 0
    while begin < order.size:
        # As many columns as fit beside the last of them, the longest.
        sizes = np.arange(1, order.size - begin + 1) * (counts[order[begin:]] + 1)
        end = begin + max(int(np.searchsorted(sizes, BLOCK_VALUES, side="right")), 1)
        at, begin = order[begin:end], end
        stored = np.arange(counts[at[-1]]) < counts[at, None]
        place = (starts[at, None] + np.arange(stored.shape[1]))[stored]
        values, mass = np.full((at.size, stored.shape[1] + 1), np.nan), np.zeros((at.size, stored.shape[1] + 1))
        values[:, :-1][stored] = X.data[place]
        values[counts[at] < n, -1] = 0.0
        mass[:, :-1][stored] = 1.0 if weight is None else weight[X.indices[place]]
        mass[:, -1] = (n if weight is None else weight.sum()) - mass.sum(axis=1)
        yield at, values, mass, (np.isnan(values[:, :-1]) & stored).any(axis=1)


def _of_block(values: np.ndarray, mass: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `n_distinct`, `centre` and `scale` of columns f[m, n], whose values may be put into another order.

    Parameters
    ----------
    values : f[m, n]
        NaN is no value.
    mass : f[n] or f[m, n] or None
        Weights of the values; None: all are 1.
    """
    lowest, highest = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
    between = ((values > lowest[:, None]) & (values < highest[:, None])).any(axis=1)
    n_distinct = np.where(between, 3, (lowest < highest) + 1) * (lowest == lowest)
    centre, scale = np.where(n_distinct > 0, 0.0, np.nan), np.zeros(lowest.size)
    vary = n_distinct > 1
    if not vary.all():
        values = values[vary]
        mass = mass if mass is None or mass.ndim == 1 else mass[vary]
    if values.size:
        low, centre[vary], high = quartiles(values, mass)
        scale[vary] = inverse_width(low, high, lowest[vary], highest[vary])
    return n_distinct, centre, scale


def quartiles(values: np.ndarray, mass: np.ndarray | None) -> np.ndarray:
    """Return the three weighted quartiles of columns, f[3, m].

    Parameters
    ----------
    values : f[m, n]
        NaN is no value, but each column has some. They may be put into another order.
    mass : f[n] or f[m, n] or None
        Weights of the values; None: all are 1.
    """
    shares = np.array(QUARTILES)[:, None]
    if mass is None:
        values.sort(axis=1)  # NaN stands last
        total = values.shape[1] - np.count_nonzero(np.isnan(values), axis=1)
        # The k-th value fills k: the first to reach the target, and the first to pass it.
        target, slack = shares * total, SLACK * total
        below, above = np.ceil(target - slack) - 1, np.floor(target + slack)
    else:
        order = np.argsort(values, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        mass = mass[order] if mass.ndim == 1 else np.take_along_axis(mass, order, axis=1)
        np.copyto(mass, 0.0, where=np.isnan(values))
        filled = np.cumsum(mass, axis=1, out=mass)
        target, slack = shares * filled[:, -1], SLACK * filled[:, -1]
        below = np.array([np.count_nonzero(filled < t[:, None], axis=1) for t in target - slack])
        above = np.array([np.count_nonzero(filled <= t[:, None], axis=1) for t in target + slack])
    rows = np.arange(values.shape[0])
    # In halves, which do not overflow.
    halves: np.ndarray = values[rows, below.astype(np.intp)] / 2 + values[rows, above.astype(np.intp)] / 2
    return halves


def inverse_width(low: np.ndarray, high: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Return the scale s of columns, f[m], from their outer quartiles and their ends."""
    with np.errstate(divide="ignore", over="ignore"):  # values that differ by next to nothing
        width = high / 2 - low / 2
        scale: np.ndarray = np.nan_to_num(np.where(width > 0, 0.5 / width, 1 / (highest / 2 - lowest / 2)))
    return scale
