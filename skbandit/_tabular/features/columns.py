r"""What is computed for one column of X: where it is centred, how it is scaled, and what its categories become.

A dense column is scaled by its own median and quartiles (`skbandit._tabular.features.statistics`), then clipped
smoothly [1]_:

.. math:: z = s (x - \text{median}), \qquad x' = z / \sqrt{1 + (z / 3)^2}.

A missing number becomes 0, the median.

Of a column of categories, ``mass`` f[1 + n_categories] is the summed weight of the rows where the category is missing,
then that of each category.

.. [1] Holzmüller, Grinsztajn, Steinwart: Better by default, NeurIPS 2024 (arXiv:2407.04491).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from skbandit._tabular.features.statistics import inverse_width, quartiles

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


def median_and_scale(values: np.ndarray, mass: np.ndarray) -> tuple[float, float]:
    """Return the median of distinct values f[m], ascending, of weights f[m], and their scale; 0, 0 for a single one."""
    if values.size < 2:
        return 0.0, 0.0
    low, centre, high = quartiles(values[None], mass[None])
    return float(centre[0]), float(inverse_width(low, high, values[:1], values[-1:])[0])
