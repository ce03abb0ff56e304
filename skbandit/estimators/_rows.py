"""The rows of a fit: checked once, weighted, and split."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import _check_sample_weight, validate_data

from skbandit._tabular.features.reader import FeatureReader
from skbandit._tabular.types import Rows

#: Stands for a target that is not asked for; None is one that was left out.
_NO_TARGET = object()


@dataclasses.dataclass(frozen=True)
class FitTask:
    """What a network is fitted to."""

    X: np.ndarray
    """Checked."""
    encoded: np.ndarray
    """What the network's inputs read of X."""
    row_id: np.ndarray | None
    """What dropout knows the rows by, u32[n]; None where nothing drops out."""
    y: np.ndarray
    weight: np.ndarray
    val: tuple[Any, Any, Any]
    """X_val, y_val, sample_weight_val, as the user gave them."""
    criterion: Any
    given: dict[str, Any]
    """X and y as the user gave them."""


def check_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Validate X, y and the weights against ``estimator``; dense arrays come back."""
    if is_regressor(estimator):
        y = as_numbers(y)
    if reset:
        reader = FeatureReader.fit(X, estimator.categorical_features)
        estimator._reader = None if reader.is_trivial else reader
    X, y = check_features(estimator, X, reset=reset, y=y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if reset and estimator._reader is not None and not weight.all():
        # A row of weight 0 is a row that is not there; nor are its categories.
        estimator._reader, X = estimator._reader.restricted(X, weight > 0)
    if sparse.issparse(X):
        X = X.astype(estimator.dtype, copy=False).toarray()
    if sparse.issparse(y):  # a multi-label indicator
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=5,
        )
        y = y.ravel()
    return X, y, weight


def check_features(estimator: Any, X: Any, *, reset: bool, y: Any = _NO_TARGET) -> Any:
    """Validate X, and y where it is given, against ``estimator``; categories become their codes."""
    reader = estimator._reader
    # As it was fitted, whatever the parameter says now.
    allow_nan = estimator.preprocessing is not None if reset else estimator._allow_nan
    finite = "allow-nan" if allow_nan else True
    kinds = {"dtype": (np.float64, np.float32), "accept_sparse": "csr", "ensure_all_finite": finite}
    if reader is None:
        if y is _NO_TARGET:
            return validate_data(estimator, X, reset=reset, **kinds)
        return validate_data(estimator, X, y, reset=reset, multi_output=True, **kinds)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    X = reader.convert(X)
    if not allow_nan:  # a missing category is no missing number
        check_array(X[:, np.asarray(reader.categories) == 0], ensure_min_features=0, input_name="X")
        kinds["ensure_all_finite"] = "allow-nan"
    if y is _NO_TARGET:
        return check_array(X, estimator=estimator, input_name="X", **kinds)
    return check_X_y(X, y, estimator=estimator, multi_output=True, **kinds)


def split_rows(estimator: Any, task: FitTask) -> tuple[Rows, Rows | None, np.ndarray | None]:
    """Cut off the held-out rows, where something needs them; rows and targets come back encoded.

    Returns
    -------
    rows, held_out : Rows
    held : bool[n] or None
        Which rows of the task are held out.
    """
    from skbandit._tabular.features.splitting import held_out_rows

    X, features, y, weight, row_id = task.X, task.encoded, task.y, task.weight, task.row_id
    X_val, y_val, sample_weight_val = task.val
    if (X_val is None) != (y_val is None) or (X_val is None and sample_weight_val is not None):
        raise ValueError("'X_val' and 'y_val' go together, and 'sample_weight_val' needs both.")
    target = estimator._encode_target(y)
    class_weighting = estimator._class_weighting(y, weight)
    there = weight > 0
    if not there.all():
        # A row of weight 0 is a row that is not there.
        X, features, y, target, weight = (a[there] for a in (X, features, y, target, weight))
        row_id = None if row_id is None else row_id[there]
    weight_fit = weight * class_weighting(y)
    _check_total(weight_fit, estimator.dtype, "training")
    rows = Rows(features, target, weight_fit, row_id)
    if X_val is not None:
        X_val, y_val, weight_val = check_rows(estimator, X_val, y_val, sample_weight_val, reset=False)
        estimator._check_target(y_val)
        weight_val = weight_val * class_weighting(y_val)
        ids = row_ids(estimator, X_val, y_val, task.criterion)
        held_out = Rows(estimator._encode(X_val), estimator._encode_target(y_val), weight_val, ids)
        _check_total(held_out.weight, estimator.dtype, "held-out")
        return rows, held_out, None
    needed = (estimator.early_stopping and estimator.solver != "lbfgs") or estimator.pruning_ratio == "auto"
    if not needed:
        return rows, None, None
    mask = held_out_rows(
        X,
        weight,
        estimator.validation_fraction,
        estimator._split_seed,
        estimator._strata(y),
        estimator.dtype,
        estimator._split_start,
        at_least_one=bool(estimator.early_stopping),
    )
    if not mask.any() or not (weight[~mask] > 0).any():
        if estimator.early_stopping:
            raise ValueError(
                f"The validation set is too small: 'validation_fraction'={estimator.validation_fraction} holds out "
                f"{int(mask.sum())} of n_samples={X.shape[0]} rows (copies of a row go together). Increase it, give "
                "X_val and y_val, or set 'early_stopping' to False."
            )
        # So few rows that none can be spared: "auto" is then judged on the training rows.
        return rows, None, None
    train, held_out = rows.take(~mask), rows.take(mask)
    held = np.zeros(there.size, bool)
    held[np.flatnonzero(there)[mask]] = True
    return train, held_out, held


def row_ids(estimator: Any, X: np.ndarray, y: np.ndarray, criterion: Any = None) -> np.ndarray | None:
    """Return what random draws know the rows by, u32[n]: a hash of their features and target.

    None if nothing is drawn by row, neither by dropout nor by the criterion.

    Rows of the same features need masks of their own, unless they are copies: in a table of few distinct rows, the
    noise of few masks would not average out.
    """
    from skbandit._tabular.features.splitting import row_ranks

    drops_out = estimator.dropout > 0 and estimator.solver != "lbfgs"
    if not drops_out and not getattr(criterion, "draws_by_row", False):
        return None
    # Not what the loss wants of a regression target, whose mean depends on the other rows, to the last bit.
    target = (y if is_regressor(estimator) else estimator._encode_target(y)).reshape(len(y), -1)
    return (row_ranks(X, 0, estimator.dtype) ^ row_ranks(target, 1)).astype(np.uint32)


def _check_total(weight: np.ndarray, dtype: str, rows: str) -> None:
    """Raise where the weights of sample_weight and class_weight together cannot weigh anything."""
    with np.errstate(over="ignore", under="ignore"):
        total = weight.astype(dtype).sum()
    if not 0 < total < np.inf:
        raise ValueError(
            f"The weights of the {rows} rows (sample_weight times class_weight) sum up to {total} in {dtype}: "
            "some must be positive, and all of a size that it can hold."
        )


def as_numbers(y: Any) -> Any:
    """Convert a regression target of objects or strings; an error says what stood in the way."""
    array = np.asarray(y)
    if array.dtype.kind in "mM":
        raise ValueError(f"y must hold numbers for regression. It has dtype {array.dtype}: convert it first.")
    if array.dtype.kind not in "OSU" or y is None or sparse.issparse(y):
        return y
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold numbers for regression, but {error}. It has dtype {array.dtype}.") from None
