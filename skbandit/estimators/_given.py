"""How a target and its weights are read: what no later check would name is refused here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from skbandit._core.constraints import NON_NEGATIVE, rounded, shown
from skbandit._tabular.features.categories import is_missing, items_of
from skbandit._tabular.features.reader import check_eager


def as_numbers(y: Any) -> Any:
    """Convert a regression target of objects or strings; an error says what stood in the way."""
    check_labels(y)
    array = np.asarray(y)
    if array.dtype.kind in "mM":
        raise ValueError(f"y must hold numbers for regression. It has dtype {array.dtype}: convert it first.")
    if array.dtype.kind not in "OSU" or y is None or sparse.issparse(y):
        return y
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold numbers for regression, but {error}. It has dtype {array.dtype}.") from None


def as_classes(y: Any) -> Any:
    """Return a classification target as it is."""
    check_labels(y)
    return y


def check_labels(y: Any, name: str = "y") -> None:
    """Raise ValueError for a target, or classes, where y is lazy or values are missing.

    scikit-learn names NaN in an array of floats; of None and pandas' NA beside text it says "Unknown label type", and
    NumPy makes text of NaN beside text.
    """
    check_eager(y, name)
    for values in _columns(y):
        missing = [i for i, value in enumerate(values) if is_missing(value)]
        if missing:
            raise ValueError(
                f"Input {name} contains NaN: {len(missing)} of {len(values)} values are missing, the first one "
                f"({values[missing[0]]!r}) at position {missing[0]}. Leave them out, or fill them in."
            )


def as_weights(weights: Mapping[Any, Any], classes: list[Any], class_weight: Any) -> np.ndarray:
    """Return the weight of each class, f[n_classes]: 1 where none is given.

    Parameters
    ----------
    weights : mapping
        From classes to weights.
    classes : list
    class_weight : dict or list of dict
        The parameter that they are of, for messages.
    """
    unknown = set(weights) - set(classes)
    if unknown:
        raise ValueError(f"class_weight has classes that y has not: {shown(sorted(unknown, key=shown))}.")
    if not all(map(NON_NEGATIVE.accepts, weights.values())):
        refuse_weights(class_weight)
    of_classes = np.array([rounded(weights.get(c, 1.0), "float64") for c in classes])
    if not np.isfinite(of_classes).all():
        refuse_weights(class_weight)
    return of_classes


def refuse_weights(class_weight: Any) -> NoReturn:
    """Raise ValueError for weights of classes that are none."""
    raise ValueError(
        f"class_weight must be non-negative, and positive for some class: finite floats. Got {shown(class_weight)}."
    )


def _columns(y: Any) -> Iterator[list[Any]]:
    """Yield the columns of a target as Python objects, where values may be missing; not those of plain floats."""
    if y is None or sparse.issparse(y):
        return
    try:
        array = np.asarray(y)
    except ValueError:  # rows of different lengths: scikit-learn says so
        return
    if array.dtype.kind in "US" and not hasattr(y, "__array__"):
        array = np.asarray(y, dtype=object)  # NaN in a list of text has become text
    if array.dtype.kind in "OM" and array.ndim in (1, 2):
        yield from map(items_of, array.reshape(len(array), -1).T)
