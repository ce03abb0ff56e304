"""The rows of a fit: checked once, weighted, and split."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import _check_sample_weight, validate_data

if TYPE_CHECKING:
    from skbandit._fit import Rows


def check_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Validate X, y and the weights against ``estimator``; dense arrays come back."""
    if is_regressor(estimator):
        y = as_numbers(y)
    X, y = validate_data(
        estimator, X, y, reset=reset, dtype=(np.float64, np.float32), accept_sparse="csr", multi_output=True
    )
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
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


def split_rows(
    estimator: Any, X: Any, y: Any, weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, seed: int
) -> tuple[Rows, Rows | None]:
    """Cut off the held-out rows, where something needs them."""
    from skbandit._fit import Rows
    from skbandit.splitting import held_out_rows

    if (X_val is None) != (y_val is None) or (X_val is None and sample_weight_val is not None):
        raise ValueError("'X_val' and 'y_val' go together, and 'sample_weight_val' needs both.")
    encoded = estimator._encode_target(y)
    class_weighting = estimator._class_weighting(y, weight)
    if not weight.all():
        # A row of weight 0 is a row that is not there.
        X, y, encoded, weight = (a[weight > 0] for a in (X, y, encoded, weight))
    weight_fit = weight * class_weighting(y)
    _check_total(weight_fit, estimator.dtype, "training")
    if X_val is not None:
        X_val, y_val, weight_val = check_rows(estimator, X_val, y_val, sample_weight_val, reset=False)
        estimator._check_target(y_val)
        held = Rows(X_val, estimator._encode_target(y_val), weight_val * class_weighting(y_val))
        _check_total(held.weight, estimator.dtype, "held-out")
        return Rows(X, encoded, weight_fit), held
    needed = (estimator.early_stopping and estimator.solver != "lbfgs") or estimator.pruning_ratio == "auto"
    if not needed:
        return Rows(X, encoded, weight_fit), None
    mask = held_out_rows(X, weight, estimator.validation_fraction, seed, estimator._strata(y), estimator.dtype)
    if not mask.any() or not (weight[~mask] > 0).any():
        if estimator.early_stopping:
            raise ValueError(
                f"The validation set is too small: 'validation_fraction'={estimator.validation_fraction} of "
                f"{X.shape[0]} rows holds out {int(mask.sum())}. Increase it, or give X_val and y_val."
            )
        # So few rows that none can be spared: "auto" is then judged on the training rows.
        return Rows(X, encoded, weight_fit), None
    train, held = (Rows(X[m], encoded[m], weight_fit[m]) for m in (~mask, mask))
    return train, held


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
