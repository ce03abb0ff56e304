"""From what a user calls X to an array of floats: which columns hold categories, and the code of each value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
from scipy import sparse


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureReader:
    """Which columns hold categories, and the codes of their values; made by `fit`.

    scikit-learn's ``OrdinalEncoder`` would do for the codes, but for a single row it takes 0.3 ms per column, a
    dictionary 1 µs, and it takes neither ``pd.NA`` nor values of several types in one column.

    Attributes
    ----------
    tables : tuple of (dict or None)
        Per column of categories the code of each value, in ascending order; None for a column of numbers. Empty where
        no column holds categories.
    names : tuple or None
        Names of the columns, where X was a frame.
    """

    tables: tuple[dict[Any, int] | None, ...]
    names: tuple[Any, ...] | None

    @classmethod
    def fit(cls, X: Any, categorical_features: Any = "from_dtype") -> FeatureReader:
        """Find the columns of categories, and the values in them.

        Parameters
        ----------
        X : array-like or frame of shape (n, n_features)
            A frame is what narwhals takes for one, as in scikit-learn: of pandas, polars and others.
        categorical_features : None, "from_dtype" or array-like of bool, int or str
            None: no column. "from_dtype": those of a frame that have a categorical or enum dtype. Else a mask over the
            columns, their numbers, or their names in a frame.

        Raises
        ------
        ValueError
            Where `categorical_features` does not fit X, and where a column of a frame is neither of numbers nor
            declared.
        """
        by_dtype = isinstance(categorical_features, str) and categorical_features == "from_dtype"
        is_frame = nw.dependencies.is_into_dataframe(X)
        if not is_frame and (by_dtype or categorical_features is None):
            return cls((), None)
        if by_dtype or categorical_features is None:
            columns, names = _columns(X)
            categorical = [by_dtype and column.dtype in (nw.Categorical, nw.Enum) for column in columns]
        else:
            given = _as_list(categorical_features)
            if not (is_frame or given):
                return cls((), None)
            if sparse.issparse(X):
                raise ValueError(
                    f"'categorical_features'={categorical_features!r} needs a dense X: a sparse one holds numbers. "
                    "Convert X, or set 'categorical_features' to None."
                )
            columns, names = _columns(X)
            categorical = _mask(given, names, len(columns))
        tables: list[dict[Any, int] | None] = []
        for j, column in enumerate(columns):
            label = _label(names, j)
            tables.append(_table(column, label) if categorical[j] else None)
            if is_frame and not categorical[j] and not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
                _numbers(column, label)  # raises for text; scikit-learn's own error would not name the column
        return cls(tuple(tables) if any(categorical) else (), names)

    @property
    def is_trivial(self) -> bool:
        """Whether no column holds categories: `convert` returns X itself, and scikit-learn checks it."""
        return not self.tables

    @property
    def categories(self) -> tuple[int, ...]:
        """Number of categories of each column, 0 for numbers; empty if trivial.

        A column of categories that are all missing counts as one of a single category, which never occurs.
        """
        return tuple(0 if table is None else max(len(table), 1) for table in self.tables)

    @property
    def values(self) -> tuple[tuple[Any, ...], ...]:
        """The categories of each column, in the order of their codes, none for numbers; empty if trivial."""
        return tuple(() if table is None else tuple(table) for table in self.tables)

    def convert(self, X: Any) -> Any:
        """Return numbers and codes, f[n, n_features]; X itself if trivial.

        Values are looked up as they are, so that neither the container nor the order of the categories in a dtype
        plays a part. An unknown category is NaN, as is whatever is missing. The array is of float32 where all columns
        of numbers are, else of float64.

        Raises
        ------
        ValueError
            Where columns are missing, too many or in another order, and where one that should holds no numbers.
        """
        if self.is_trivial:
            return X
        if sparse.issparse(X):
            raise ValueError("X is sparse, but some columns hold categories since fit. Convert it to a dense array.")
        columns, names = _columns(X)
        if len(columns) != len(self.tables):
            raise ValueError(f"X has {len(columns)} features, but {len(self.tables)} are expected, as in fit.")
        if names is not None and self.names is not None and names != self.names:
            raise ValueError(f"The columns of X must be those of fit, {list(self.names)}. Got {list(names)} instead.")
        floats = []
        for j, (column, table) in enumerate(zip(columns, self.tables, strict=True)):
            label = _label(self.names, j)
            floats.append(_numbers(column, label) if table is None else _codes(column, table, label))
        numbers = {array.dtype for array, table in zip(floats, self.tables, strict=True) if table is None}
        out = np.empty((floats[0].size, len(floats)), np.float32 if numbers == {np.dtype(np.float32)} else np.float64)
        for j, array in enumerate(floats):
            out[:, j] = array
        return out

    def restricted(self, codes: np.ndarray, rows: np.ndarray) -> tuple[FeatureReader, np.ndarray]:
        """Forget the categories that none of ``rows``, bool[n], has; codes f[n, n_features] are expressed anew."""
        tables, codes = list(self.tables), codes.copy()
        for j, table in enumerate(self.tables):
            if table is None:
                continue
            known = codes[:, j] >= 0  # not NaN
            values = np.array([*table, None], dtype=object)[:-1]
            used = np.unique(codes[rows & known, j]).astype(int)
            tables[j] = {value: code for code, value in enumerate(values[used])}
            renumbered = np.full(values.size, np.nan)
            renumbered[used] = np.arange(used.size)
            codes[known, j] = renumbered[codes[known, j].astype(int)]
        return dataclasses.replace(self, tables=tuple(tables)), codes


def _columns(X: Any) -> tuple[list[Any], tuple[Any, ...] | None]:
    """Return the columns of X, narwhals' Series or arrays, and their names."""
    if nw.dependencies.is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        return list(frame.iter_columns()), tuple(frame.columns)
    # A list of rows of text and numbers must not become an array of text.
    array = np.asarray(X, dtype=None if hasattr(X, "dtype") else object)
    if array.ndim != 2:
        raise ValueError(
            f"Expected a 2D X, got an array of shape {array.shape}. Reshape it to (n_samples, n_features)."
        )
    return list(array.T), None


def _label(names: tuple[Any, ...] | None, j: int) -> str:
    """Name column ``j`` of X, for a message."""
    return f"Column {j} of X" if names is None else f"Column {names[j]!r} of X"


def _kind(item: Any) -> str:
    """Name the type of an item of `categorical_features`."""
    if isinstance(item, (bool, np.bool_)):
        return "bool"
    return "int" if isinstance(item, Integral) else "str" if isinstance(item, str) else "other"


def _as_list(categorical_features: Any) -> list[Any]:
    """Return the items of `categorical_features`, an array-like; they are all bool, or all int, or all str."""
    scalar = isinstance(categorical_features, (str, bytes)) or not isinstance(categorical_features, Iterable)
    items = [] if scalar else list(categorical_features)
    kinds = {_kind(item) for item in items}
    if scalar or len(kinds) > 1 or "other" in kinds:
        raise ValueError(
            "'categorical_features' must be None, 'from_dtype', or an array-like of bool (a mask over the columns), "
            f"int (their numbers) or str (their names). Got {categorical_features!r} instead."
        )
    return items


def _mask(items: list[Any], names: tuple[Any, ...] | None, n_features: int) -> list[bool]:
    """Return for each column whether `categorical_features`, as a list, names it."""
    kind = _kind(items[0]) if items else "int"
    if kind == "bool":
        if len(items) != n_features:
            raise ValueError(
                f"'categorical_features' is a mask of {len(items)} columns, but X has {n_features}. It must have one "
                "item per column."
            )
        return [bool(item) for item in items]
    if kind == "str" and names is None:
        raise ValueError(
            f"'categorical_features' names columns, {items}, but X is no data frame. It must hold their numbers, or be "
            "a mask."
        )
    known: Any = range(n_features) if names is None or kind == "int" else names
    unknown = [item for item in items if item not in known]
    if unknown:
        raise ValueError(
            f"'categorical_features' has {unknown}, which X has not. Its columns are "
            + (f"0 to {n_features - 1}." if kind == "int" else f"{list(known)}.")
        )
    return [column in items for column in known]


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pd.NA is neither equal to itself nor unequal
        return True


def _items(column: Any) -> list[Any]:
    """Return the values of a column as Python objects."""
    return column.to_list() if isinstance(column, nw.Series) else column.tolist()


def _table(column: Any, label: str) -> dict[Any, int]:
    """Number the distinct values of a column in ascending order; those of several types by type, then as text."""
    try:
        values = [value for value in set(_items(column)) if not _is_missing(value)]
    except TypeError as error:
        raise ValueError(f"{label} cannot hold categories: {error}.") from None
    try:
        values.sort()
    except TypeError:
        values.sort(key=lambda value: (type(value).__name__, str(value)))
    return {value: code for code, value in enumerate(values)}


def _codes(column: Any, table: dict[Any, int], label: str) -> np.ndarray:
    """Look up the code of each value, NaN for those that are missing or unknown."""
    try:
        return np.array([table.get(value, np.nan) for value in _items(column)], np.float64)
    except TypeError as error:
        raise ValueError(f"{label} cannot hold categories: {error}.") from None


def _numbers(column: Any, label: str) -> np.ndarray:
    """Return a column as float32, where it is of that dtype, or float64; NaN for what is missing."""
    array = column.to_numpy() if isinstance(column, nw.Series) else column
    try:
        if array.dtype.kind in "biuf":
            return array if array.dtype == np.float32 else array.astype(np.float64)
        if array.dtype.kind in "OSUT":
            return np.array([np.nan if _is_missing(value) else value for value in array.tolist()], np.float64)
        problem = f"it is of dtype {array.dtype}"
    except (TypeError, ValueError) as error:
        problem = str(error)
    raise ValueError(
        f"{label} must hold numbers, but {problem}. If these are categories, declare the column in "
        "'categorical_features'; else convert it first."
    )
