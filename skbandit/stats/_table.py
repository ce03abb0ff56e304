"""What the functions of this package share: a table of scores that is checked, and differences without rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Names = tuple[str, ...]

#: Differences below this share of the scores count as zero. 0.82 - 0.81 and 0.58 - 0.57 must tie, and in floating point
#: they do not: a subtraction leaves some 2e-16 of the larger number.
ROUND_OFF = 1e-12


def check(owner: str, name: str, value: Any, valid: bool | np.bool, allowed: str) -> None:
    """Raise ValueError, which names the parameter ``name`` of the function ``owner``, if it is not valid."""
    if not valid:
        raise ValueError(f"The {name!r} parameter of {owner} must be {allowed}. Got {value!r} instead.")


def as_table(
    owner: str,
    scores: ArrayLike,
    higher_is_better: bool,
    names: Sequence[str] | None,
    decimals: int | None = None,
    least: tuple[int, int] = (1, 2),
) -> tuple[Floats, Names]:
    """Return the scores f[n_data_sets, n_methods], turned so that higher is better, and the methods' names."""
    table = np.asarray(scores, dtype=np.float64)
    fits = table.ndim == 2 and table.shape[0] >= least[0] and table.shape[1] >= least[1]
    check(owner, "scores", table.shape, fits, f"of a shape (n_data_sets, n_methods) of at least {least}")
    k = table.shape[1]
    if names is None:
        names = getattr(scores, "columns", None)
    method_names = tuple(f"method {j}" for j in range(k)) if names is None else tuple(str(name) for name in names)
    check(owner, "names", method_names, len(set(method_names)) == len(method_names) == k, f"{k} different names")
    for row, column in np.argwhere(~np.isfinite(table)):
        where = f"finite, and is not for {method_names[column]!r} on data set {row}"
        check(owner, "scores", table[row, column], False, where)
    if decimals is not None:
        table = table.round(decimals)
    return (table if higher_is_better else -table), method_names


def column_of(owner: str, control: int | str | None, names: Names) -> int:
    """Return the column of the control, which is given by its name or by its number."""
    k = len(names)
    known: list[int | str | None] = [*names, *range(k)]
    check(owner, "control", control, control in known, f"a column (0 to {k - 1}) or one of {names}")
    return known.index(control) % k


def difference(table: Floats, i: int, j: int) -> Floats:
    """Return how much better method i is than method j on each data set, f[n_data_sets], without rounding noise."""
    scale = np.abs(table[:, [i, j]]).max()
    if scale == 0:
        return np.zeros(len(table))
    quantum = ROUND_OFF * 2.0 ** np.ceil(np.log2(scale))
    rounded: Floats = np.rint((table[:, i] - table[:, j]) / quantum) * quantum
    return rounded
