"""How tables, targets and weights are read: what no later check would name is named here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight

from skbandit._core.constraints import NON_NEGATIVE, rounded, shown
from skbandit._tabular.features.categories import is_missing, items_of
from skbandit._tabular.features.reader import check_eager

Given = TypeVar("Given")

#: Longer complaints of another library's have the array in them: so many characters are passed on.
MOST_SAID, PASSED_ON = 1500, 400


def naming(name: str, check: Callable[[], Given]) -> Given:
    """Return what a check of scikit-learn's returns; its error names what was checked."""
    try:
        return check()
    except Exception as error:
        raise named(error, lambda: name, (name,)) from None


def named(error: Exception, culprit: Callable[[], str], names: Sequence[str]) -> Exception:
    """Return an error of scikit-learn's, or one that says the same of the argument that it is about.

    Where NumPy or pandas cannot convert values, scikit-learn passes on what they say, which names no argument and may
    hold the whole array.

    Parameters
    ----------
    error : Exception
    culprit : callable () → str
        Which argument it is about.
    names : sequence of str
        An error that mentions one of them needs nothing more.
    """
    if isinstance(error, (MemoryError, Warning)):  # a filter makes errors of warnings
        return error
    if not isinstance(error, (TypeError, ValueError, OverflowError)):  # an object of the user's has raised it
        return ValueError(f"{culprit()} cannot be taken: it raised {shown(error)}")
    said = str(error)
    text = " ".join(said.split())  # arrays go over several lines
    if len(said) <= MOST_SAID and any(re.search(rf"\b{name}\b", text) for name in names):
        return error
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{culprit()} cannot be taken: {text if len(text) <= PASSED_ON else f'{text[:PASSED_ON]}...'}")


def without_mask(values: Any) -> Any:
    """Return an array as it is; of one of NumPy's masked arrays, one where NaN stands for what is masked."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return values.data
    floats: Any = values if values.dtype.kind in "fcO" else values.astype(float)
    return floats.filled(np.nan)


def as_numbers(y: Any) -> Any:
    """Convert a regression target of objects or strings; an error says what stood in the way."""
    y = without_mask(y)
    naming("y", lambda: check_labels(y))
    array = naming("y", lambda: np.asarray(y))
    _check_one_per_row(y, array)
    if array.dtype.kind in "mM":
        raise ValueError(f"y must hold numbers for regression. It has dtype {array.dtype}: convert it first.")
    if array.dtype.kind not in "OSU" or y is None or sparse.issparse(y):
        return y
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"y must hold numbers for regression, but {error}. It has dtype {array.dtype}.") from None


def as_classes(y: Any) -> Any:
    """Return a classification target as it is."""
    y = without_mask(y)
    naming("y", lambda: _check_classes(y, "y"))
    try:
        array = np.asarray(y)
    except ValueError:  # rows of different lengths: scikit-learn speaks of them
        return y
    _check_one_per_row(y, array)
    return y


def as_labels(classes: Any) -> np.ndarray:
    """Return the distinct classes, ascending, that `partial_fit` is told of."""

    def labels() -> np.ndarray:
        _check_classes(classes, "classes")
        complaint = complaint_on_complex(classes, "classes")
        if complaint is not None:
            raise ValueError(complaint)
        array = check_array(classes, ensure_2d=False, dtype=cast(Any, None), input_name="classes")
        if array.ndim != 1:
            raise ValueError(f"classes must be a list of classes. Got {shown(classes)}.")
        found: np.ndarray = unique_labels(classes)
        if not found.size:
            raise ValueError(f"classes must hold the classes that will come. Got {shown(classes)}.")
        return found

    return naming("classes", labels)


def check_known(classes: np.ndarray, known: np.ndarray) -> None:
    """Raise ValueError for classes of y that are not among the known ones: those of an earlier fit, or announced."""
    kinds = {array.dtype.kind for array in (classes, known)}
    if len(kinds) > 1 and kinds & {*"mM"}:  # NumPy cannot compare them, or takes times for numbers
        raise ValueError(
            f"y has classes of dtype {classes.dtype}, which are no classes of dtype {known.dtype}, as those of the "
            "earlier fit or of 'classes'."
        )
    unknown = np.setdiff1d(classes, known)
    if unknown.size:
        was, were = (np.array2string(array, threshold=20, max_line_width=10**6) for array in (unknown, known))
        raise ValueError(f"y has classes that the earlier fit did not see: {was}. They were {were}.")


def _check_one_per_row(y: Any, array: np.ndarray) -> None:
    """Raise ValueError for a target, as it was given and as an array, that holds no numbers or classes of rows."""
    if y is None:
        return
    if sparse.issparse(y):
        array = y.data
    if array.ndim == 0:
        raise ValueError(f"y must be an array-like of one value for each row. Got {shown(y)}.")
    complaint = complaint_on_complex(array, "y")
    if complaint is not None:
        raise ValueError(complaint)
    if array.dtype.kind == "V":
        raise ValueError(f"y must hold numbers or classes. It has dtype {array.dtype}.")


def complaint_on_complex(values: Any, name: str) -> str | None:
    """Say that an array or a table holds complex numbers, where it can be read at all and does; not which."""
    try:
        dtypes = list(values.dtypes) if hasattr(values, "dtypes") else [getattr(values, "dtype", None)]
        found = [np.asarray(values).dtype] if dtypes == [None] else dtypes
    except Exception:
        return None
    odd = next((dtype for dtype in found if getattr(dtype, "kind", "") == "c"), None)
    return None if odd is None else f"Complex data not supported: {name} has dtype {odd}."


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


def _check_classes(y: Any, name: str) -> None:
    """Raise ValueError for classes that are missing, and for text beside numbers: NumPy would make text of these."""
    check_labels(y, name)
    for values in _columns(y):
        types = {*map(type, values)}
        kinds = {next((text for text in (str, bytes) if issubclass(kind, text)), None) for kind in types}
        if len(kinds) > 1:
            raise ValueError(
                f"{name} has classes of several kinds, {sorted(kind.__name__ for kind in types)}: text, bytes and "
                "numbers do not mix."
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
    weights = {c: float(w) if isinstance(w, (bool, np.bool_)) else w for c, w in weights.items()}  # as in sample_weight
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


def as_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return the weights of the rows of X, f[n]: 1 where none are given."""
    given = without_mask(sample_weight)

    def checked() -> np.ndarray:
        if np.asarray(given).dtype.kind in "cmM":
            raise ValueError(f"sample_weight must hold real numbers. Got {shown(given)}.")
        weight: np.ndarray = _check_sample_weight(given, X, dtype=np.float64, ensure_non_negative=True)
        return weight

    return naming("sample_weight", checked)


def is_multilabel(y: np.ndarray, params: Mapping[str, Any], owner: str, incremental: bool) -> bool:
    """Say what kind of classes y has; raises ValueError for what no classifier takes."""
    naming("y", lambda: check_classification_targets(y))
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"y has {y.shape[1]} columns of several classes each (multiclass-multioutput), which one {owner} does not "
            "support. Fit one for each column, with MultiOutputClassifier."
        )
    if incremental and params["class_weight"] == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all the data at once and is not supported by partial_fit. Give the weights "
            "as a dict, or as sample_weight."
        )
    return bool(kind == "multilabel-indicator")
