r"""What is computed for one column of X: where it is centred, how it is scaled, and what its categories become.

A dense column is scaled by its own median and quartiles, then clipped smoothly [1]_:

.. math:: z = s (x - \text{median}), \qquad x' = z / \sqrt{1 + (z / 3)^2},

where s is 1 / (q75 - q25), or 2 / (max - min) if that is infinite, or 0. A missing number becomes 0, the median.

Quantiles are weighted, by the averaged inverse of the cumulative distribution. So a weight of 2 is a repeated row, a
weight of 0 is a row that is not there, and the order of the rows does not matter.

Throughout, ``values`` f[m] are the distinct values of a column, ascending and without NaN, and ``mass`` f[m] is the
summed weight of the rows that have each of them. Of a column of categories, ``mass`` f[1 + n_categories] is the summed
weight of the rows where the category is missing, then that of each category.

.. [1] Holzmüller, Grinsztajn, Steinwart: Better by default, NeurIPS 2024 (arXiv:2407.04491).
"""

from __future__ import annotations

import dataclasses

import numpy as np

#: Relative slack of cumulated weights. Sums of a million weights in another order differ by some 1e-13 of the total.
SLACK = 1e-11
#: Beyond this the clipped value no longer changes. It is small enough to be squared.
FAR = 1e150


@dataclasses.dataclass(frozen=True)
class Affine:
    """One output column ``(x - centre) * scale``; by default x itself."""

    column: int
    """The column of X that is x."""
    centre: float = 0.0
    scale: float = 1.0
    fill: float = np.nan
    """What a missing value becomes; NaN where it stays."""


@dataclasses.dataclass(frozen=True)
class OneHot:
    """The one-hot columns of one variable."""

    column: int
    """The column of X that holds the codes."""
    n_categories: int
    missing: bool
    """Whether one more column says that the category is missing."""
    low: np.ndarray
    """f[n_categories + missing]: what stands for 0 in each column."""
    high: np.ndarray
    """f[n_categories + missing]: what stands for 1 in each column."""


def encode_number(column: int, values: np.ndarray, mass: np.ndarray) -> Affine:
    """Scale a column of numbers.

    Parameters
    ----------
    column : int
        Its position in X.
    values, mass : f[m], f[m]
        Its distinct values and their weights; missing values become 0.
    """
    # A column without values has no median: with NaN in its place everything counts as missing.
    centre, scale = median_and_scale(values, mass) if values.size else (np.nan, 0.0)
    return Affine(column, centre, scale, 0.0)


def encode_binary(column: int, mass: np.ndarray, scale: bool, clip: bool) -> Affine:
    """Encode two categories as -1 and 1, missing as 0, and scale that.

    Parameters
    ----------
    column : int
        Position in X of the codes 0 and 1.
    mass : f[3]
        Weight of the rows where it is missing, and of the first and the second category.
    scale : bool
        Whether to scale by median and quartiles.
    clip : bool
        Whether what was scaled is clipped.
    """
    values, mass = np.array([-1.0, 0.0, 1.0]), mass[[1, 0, 2]]
    centre, factor = median_and_scale(values[mass > 0], mass[mass > 0]) if scale else (0.0, 1.0)
    missing = np.array([-centre * factor])
    # (2 code - 1 - centre) factor, as a function of the code
    return Affine(column, (1 + centre) / 2, 2 * factor, float((smooth_clip(missing) if clip else missing)[0]))


def encode_one_hot(column: int, mass: np.ndarray, scale: bool, clip: bool) -> OneHot:
    """Encode categories as one-hot columns, and scale each of them.

    There is a column for missing values where there are some; a single category has one column in any case: where it is
    0, the category is missing.

    Parameters
    ----------
    column : int
        Position in X of the codes 0..n_categories - 1.
    mass : f[1 + n_categories]
        Weight of the rows where the category is missing, and of each category.
    scale : bool
        Whether to scale by median and quartiles.
    clip : bool
        Whether what was scaled is clipped.
    """
    n_categories = mass.size - 1
    missing = bool(mass[0] > 0 and n_categories > 1)
    ends = np.empty((n_categories + missing, 2))
    for i, share in enumerate(np.append(mass[1:], mass[:1] if missing else [])):
        rest = mass.sum() - share if np.count_nonzero(mass) > (share > 0) else 0.0
        both = np.array([rest, share])
        values = np.flatnonzero(both > 0).astype(np.float64)
        centre, factor = median_and_scale(values, both[both > 0]) if scale else (0.0, 1.0)
        ends[i] = (np.array([0.0, 1.0]) - centre) * factor
    low, high = (smooth_clip(ends) if clip else ends).T
    return OneHot(column, n_categories, missing, low, high)


def places(codes: np.ndarray, n_categories: int | np.ndarray) -> np.ndarray:
    """Return category + 1 for each code, 0 for NaN and whatever else is no category, i[...]."""
    return np.where((codes >= 0) & (codes < n_categories), codes + 1, 0).astype(np.intp)


def smooth_clip(z: np.ndarray) -> np.ndarray:
    """Compute z / sqrt(1 + (z / 3)^2) in place: between -3 and 3, about z near 0."""
    z /= 3
    np.minimum(z, FAR, out=z)
    np.maximum(z, -FAR, out=z)
    root = z * z
    root += 1
    np.sqrt(root, out=root)
    z /= root
    z *= 3
    return z


def distinct(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values of x f[n], ascending, without NaN, and the summed weight of each."""
    order = np.argsort(x)
    order = order[: x.size - np.count_nonzero(np.isnan(x))]  # NaN stands last
    x = x[order]
    starts = np.flatnonzero(np.append(True, x[1:] != x[:-1])[: x.size])
    return x[starts], np.add.reduceat(weight[order], starts) if starts.size else np.empty(0)


def median_and_scale(values: np.ndarray, mass: np.ndarray) -> tuple[float, float]:
    """Return the median of a column and its scale s; 0 and 0 where the values do not vary."""
    if values.size < 2:
        return 0.0, 0.0
    low, centre, high = quartiles(values, mass)
    # In halves, which do not overflow.
    width = high / 2 - low / 2
    factor = 0.5 / width if width > 0 else 1 / (values[-1] / 2 - values[0] / 2)
    return float(centre), float(np.nan_to_num(factor))


def quartiles(values: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return the three weighted quartiles f[3] of a column.

    A quantile is where the cumulated weight passes its share of the total, and halfway to the next value where it
    meets it.
    """
    filled = np.cumsum(mass)
    target = np.array([0.25, 0.5, 0.75]) * filled[-1]
    slack = SLACK * filled[-1]
    below = np.searchsorted(filled, target - slack)
    above = np.searchsorted(filled, target + slack, side="right")
    halves: np.ndarray = values[below] / 2 + values[above] / 2
    return halves
