"""What the functions of this package share: a table of scores that is checked, and differences without rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Names = tuple[str, ...]

#: Differences below this share of the scores count as zero. 0.82 - 0.81 and 0.58 - 0.57 must tie, and in floating point
#: they do not: a subtraction leaves some 2e-16 of the larger number.
ROUND_OFF = 1e-12


#: What a level may be. SciPy knows the studentized range to some 1e-12.
LEVEL: tuple[Callable[[float], bool], str] = (lambda level: 1e-10 <= level < 1, "a number in the range [1e-10, 1)")
#: Scores beyond this have differences, and sums of differences, beyond the largest float.
_LARGEST = 1e300
#: Numbers of draws beyond this would not come to an end.
MOST_DRAWS = 10**8


def check(owner: str, name: str, value: Any, valid: bool | np.bool, allowed: str) -> None:
    """Raise ValueError, which names the parameter ``name`` of the function ``owner``, if it is not valid."""
    if not valid:
        raise ValueError(f"The {name!r} parameter of {owner} must be {allowed}. Got {_shown(value)} instead.")


def check_int(owner: str, name: str, value: Any, low: int, high: int) -> None:
    """Raise ValueError if a parameter is no int in [low, high]."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    check(owner, name, value, whole and low <= int(value) <= high, f"an int of at least {low}, and at most {high}")


def check_number(owner: str, name: str, value: Any, inside: Callable[[float], bool], allowed: str) -> None:
    """Raise ValueError if a parameter is no number, or not one that is inside."""
    check(owner, name, value, _is_number(value) and inside(float(value)), allowed)


def check_one_of(owner: str, name: str, value: Any, among: tuple[str, ...]) -> None:
    """Raise ValueError if a parameter is none of a few strings."""
    check(owner, name, value, isinstance(value, str) and value in among, " or ".join(map(repr, among)))


def check_bool(owner: str, name: str, value: Any) -> None:
    """Raise ValueError if a parameter is no bool."""
    check(owner, name, value, isinstance(value, (bool, np.bool)), "a bool")


def as_floats(owner: str, name: str, value: Any) -> Floats:
    """Return an array of floats; raise ValueError for what NumPy would make one of, and is none: text, dates, None."""
    try:
        array = np.asarray(value)
        if array.dtype == object and all(_is_number(entry) for entry in array.flat):
            array = array.astype(np.float64)
    except Exception:  # lists of several lengths, and others that cannot be arrays
        array = np.asarray(None)
    check(owner, name, value, array.dtype.kind in "biuf", "an array of numbers")
    return np.asarray(array, dtype=np.float64)


def generator_of(owner: str, random_state: Any) -> np.random.Generator:
    """Return the source of random numbers."""
    allowed = "an int of at least 0, a Generator or None"
    check(owner, "random_state", random_state, not isinstance(random_state, (bool, np.bool)), allowed)
    try:
        return np.random.default_rng(random_state)
    except Exception:
        raise ValueError(
            f"The 'random_state' parameter of {owner} must be {allowed}. Got {_shown(random_state)} instead."
        ) from None


def _has_length(value: Any) -> bool:
    try:
        return len(value) >= 0
    except Exception:
        return False


def _is_number(value: Any) -> bool:
    """Say whether a value is a real number that a float can hold; NaN and infinity are."""
    if isinstance(value, (bool, np.bool)) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except (OverflowError, ValueError, TypeError):
        return False
    return True


def _shown(value: Any) -> str:
    """Return a value for a message: not all of a long one."""
    try:
        text = repr(value)
    except Exception:  # an int of more digits than Python prints
        return f"a {type(value).__name__}"
    return text if len(text) <= 400 else f"{text[:400]}..."


def as_table(
    owner: str,
    scores: ArrayLike,
    higher_is_better: bool,
    names: Sequence[str] | None,
    decimals: int | None = None,
    least: tuple[int, int] = (1, 2),
) -> tuple[Floats, Names]:
    """Return the scores f[n_data_sets, n_methods], turned so that higher is better, and the methods' names."""
    table = as_floats(owner, "scores", scores)
    fits = table.ndim == 2 and table.shape[0] >= least[0] and table.shape[1] >= least[1]
    check(owner, "scores", table.shape, fits, f"of a shape (n_data_sets, n_methods) of at least {least}")
    check_bool(owner, "higher_is_better", higher_is_better)
    k = table.shape[1]
    # Not a set, which has no order; nor an array of no axis.
    listed = hasattr(names, "__getitem__") and not isinstance(names, (bytes, Mapping)) and _has_length(names)
    check(owner, "names", names, names is None or listed, f"{k} different names, in the order of the columns, or None")
    if names is None:
        names = getattr(scores, "columns", None)
    method_names = tuple(f"method {j}" for j in range(k)) if names is None else tuple(str(name) for name in names)
    check(owner, "names", method_names, len(set(method_names)) == len(method_names) == k, f"{k} different names")
    for row, column in np.argwhere(~np.isfinite(table)):
        where = f"finite, and is not for {method_names[column]!r} on data set {row}"
        check(owner, "scores", table[row, column], False, where)
    largest = np.abs(table).max()
    check(owner, "scores", largest, largest <= _LARGEST, f"of magnitudes up to {_LARGEST:g}")
    if decimals is not None:
        check_int(owner, "decimals", decimals, -300, 300)
        with np.errstate(over="ignore", invalid="ignore"):
            table = table.round(decimals)
        check(owner, "decimals", decimals, np.isfinite(table).all(), f"few enough for scores of up to {largest:g}")
    return (table if higher_is_better else -table), method_names


def column_of(owner: str, control: int | str | None, names: Names) -> int:
    """Return the column of the control, which is given by its name or by its number."""
    k = len(names)
    column = names.index(control) if isinstance(control, str) and control in names else control
    is_column = isinstance(column, Integral) and not isinstance(column, bool) and 0 <= int(column) < k
    check(owner, "control", control, is_column, f"a column (0 to {k - 1}) or one of {names}")
    return int(column)  # type: ignore[arg-type]


def difference(table: Floats, i: int, j: int) -> Floats:
    """Return how much better method i is than method j on each data set, f[n_data_sets], without rounding noise."""
    scale = np.abs(table[:, [i, j]]).max()
    if scale == 0:
        return np.zeros(len(table))
    # The smallest float there is where scores are so small that the quantum would be 0.
    quantum = max(ROUND_OFF * 2.0 ** np.ceil(np.log2(scale)), np.finfo(np.float64).smallest_subnormal)
    rounded: Floats = np.rint((table[:, i] - table[:, j]) / quantum) * quantum
    return rounded
