"""From what a user calls X to an array of floats: which columns hold categories, and the code of each value."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from scipy import sparse

from skbandit._core.addresses import saved
from skbandit._core.constraints import shown
from skbandit._tabular.features.categories import Categories, Found, is_missing, items_of

#: A column of text is read as categories where it has at most so many distinct values, or so many rows for each.
FEW_VALUES, ROWS_PER_VALUE = 10, 3
#: Unknown categories are worth a warning where they are the greater part of a column, and at least so many.
FEWEST_UNKNOWN = 5
#: A column of categories is worth a warning where it has more than this share of as many categories as rows, of which
#: there are at least so many.
ALMOST_ALL, FEWEST_ROWS = 0.8, 20

#: Numbers in ways that `float` does not read: "1,5", "1 234", "$ 3.50", "12%".
_LIKE_A_NUMBER = re.compile(r"[^\w\s]?\s?[+-]?\d[\d.,'\s]*[%€$£]?")


class Reading(NamedTuple):
    """A table as numbers and codes, and what is odd about it."""

    X: Any
    """f[n, n_features], or what was given."""
    remarks: tuple[str, ...] = ()
    """For the user, a sentence or two each."""


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class FeatureReader:
    """Which columns hold categories, and the codes of their values; made by `fit`.

    Attributes
    ----------
    columns : tuple of (Categories or None)
        The categories of each column, None for numbers. Empty where no column holds categories.
    names : tuple or None
        Names of the columns, where X was a frame.
    declared : tuple of int
        Columns whose categories were all named beforehand: there are no others.
    """

    columns: tuple[Categories | None, ...]
    names: tuple[Any, ...] | None
    declared: tuple[int, ...] = ()

    @classmethod
    def fit(
        cls,
        X: Any,
        categorical_features: Any = "from_dtype",
        categories: Mapping[Any, Any] | None = None,
        rows: np.ndarray | None = None,
    ) -> FeatureReader:
        """Find the columns of categories, and the values in them.

        Parameters
        ----------
        X : array-like or frame of shape (n, n_features)
            A frame is what narwhals takes for one, as in scikit-learn: of pandas, polars and others.
        categorical_features : None, "from_dtype" or array-like of bool, int or str
            None: no column. "from_dtype": those of a frame that have a categorical or enum dtype, and those of text
            that have few distinct values (`_holds_categories`). Else a mask over the columns, their numbers, or their
            names in a frame.
        categories : mapping, optional
            From columns, by name or number, to all values that they have: these columns hold categories, too.
        rows : bool[n], optional
            Which rows tell whether text is categories; by default all.

        Raises
        ------
        ValueError
            Where `categorical_features` or `categories` does not fit X, and where a column of a frame is neither of
            numbers nor declared nor of few texts.
        """
        check_eager(X, "X")
        by_dtype = isinstance(categorical_features, str) and categorical_features == "from_dtype"
        is_frame = nw.dependencies.is_into_dataframe(X)
        given = None if by_dtype or categorical_features is None else _as_list(categorical_features)
        if not (is_frame or given or categories):
            return cls((), None)
        if sparse.issparse(X):
            name, value = ("categorical_features", categorical_features) if given else ("categories", categories)
            raise ValueError(
                f"{name!r}={shown(value)} needs a dense X: a sparse one holds numbers. Convert X, or set {name!r} to "
                "None."
            )
        columns, names = _columns(X)
        declared = _declared(categories or {}, names, len(columns))
        if given is None:
            categorical = [
                j in declared or (is_frame and by_dtype and _holds_categories(c, _label(names, j), rows))
                for j, c in enumerate(columns)
            ]
        else:
            categorical = [c or j in declared for j, c in enumerate(_mask(given, names, len(columns)))]
        found: list[Categories | None] = []
        for j, column in enumerate(columns):
            label = _label(names, j)
            if j in declared:
                _check_declared(column, declared[j], label)
                found.append(declared[j])
            else:
                found.append(_categories(column, label) if categorical[j] else None)
            if is_frame and not categorical[j] and not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
                _numbers(column, label)  # raises for text; scikit-learn's own error would not name the column
        return cls(tuple(found) if any(categorical) else (), names, tuple(declared))

    @property
    def is_trivial(self) -> bool:
        """Whether no column holds categories: `convert` returns X itself, and scikit-learn checks it."""
        return not self.columns

    @property
    def categories(self) -> tuple[int, ...]:
        """Number of categories of each column, 0 for numbers; empty if trivial.

        A column of categories that are all missing counts as one of a single category, which never occurs.
        """
        return tuple(0 if column is None else max(len(column.values), 1) for column in self.columns)

    @property
    def values(self) -> tuple[tuple[Any, ...], ...]:
        """The categories of each column, in the order of their codes, none for numbers; empty if trivial."""
        return tuple(() if column is None else column.values for column in self.columns)

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        return tuple(_label(self.names, j) for j in range(len(self.columns)))

    def convert(self, X: Any) -> Any:
        """Return what `read` reads, without the remarks."""
        return self.read(X).X

    def read(self, X: Any) -> Reading:
        """Return numbers and codes; X itself if trivial.

        Values are looked up as they are, so that neither the container nor the order of the categories in a dtype
        plays a part; how a value matches that comes in another type is told in `features.categories`. An unknown
        category is NaN, as is whatever is missing; columns in which unknown ones prevail are remarked on. The array is
        of float32 where all columns of numbers are, else of float64.

        Raises
        ------
        ValueError
            Where columns are missing, too many or in another order, and where one that should holds no numbers.
        """
        check_eager(X, "X")
        if self.is_trivial:
            return Reading(X)
        if sparse.issparse(X):
            raise ValueError("X is sparse, but some columns hold categories since fit. Convert it to a dense array.")
        columns, names = _columns(X)
        if len(columns) != len(self.columns):
            raise ValueError(f"X has {len(columns)} features, but {len(self.columns)} are expected, as in fit.")
        if names is not None and self.names is not None and names != self.names:
            raise ValueError(f"The columns of X must be those of fit, {list(self.names)}. Got {list(names)} instead.")
        floats, remarks = [], []
        for column, known, label in zip(columns, self.columns, self._labels, strict=True):
            if known is None:
                floats.append(_numbers(column, label))
                continue
            found = _found(column, known, label)
            floats.append(found.codes)
            if found.n_unknown >= FEWEST_UNKNOWN and found.n_unknown > (len(found.codes) - found.n_missing) / 2:
                remarks.append(_on_unknown(found, known, label))
        numbers = {array.dtype for array, known in zip(floats, self.columns, strict=True) if known is None}
        out = np.empty((floats[0].size, len(floats)), np.float32 if numbers == {np.dtype(np.float32)} else np.float64)
        for j, array in enumerate(floats):
            out[:, j] = array
        return Reading(out, tuple(remarks))

    def extended(self, X: Any) -> FeatureReader:
        """Return a reader that knows the categories of other rows, too; the codes of those that are known stay.

        What is wrong with X as a table is left to `read`.

        Raises
        ------
        ValueError
            Where a column has values that are not among the categories that were named for it.
        """
        check_eager(X, "X")
        if self.is_trivial or sparse.issparse(X):
            return self
        table, _ = _columns(X)
        if len(table) != len(self.columns):
            return self
        columns = list(self.columns)
        for j, (column, known) in enumerate(zip(table, self.columns, strict=True)):
            if known is not None and j in self.declared:
                _check_declared(column, known, _label(self.names, j))
            elif known is not None:
                unknown = _found(column, known, _label(self.names, j)).unknown
                columns[j] = known.extended(unknown) if unknown else known
        return self if tuple(columns) == self.columns else dataclasses.replace(self, columns=tuple(columns))

    def remarks_on_categories(self, codes: np.ndarray, n_before: int = 0) -> tuple[str, ...]:
        """Remark on the columns of almost as many categories as rows.

        The codes f[n, n_features] are those of the fit; or of a later call, before which there were other rows.
        """
        remarks = []
        for j, known in enumerate(self.columns):
            n_present = 0 if known is None else n_before + int(np.count_nonzero(~np.isnan(codes[:, j])))
            if known is not None and n_present >= FEWEST_ROWS and len(known.values) > ALMOST_ALL * n_present:
                remarks.append(
                    f"{self._labels[j]} has {len(known.values)} categories in {n_present} rows, such as "
                    f"{_some(known.values)}: hardly anything can be learned of one, and new rows will bring others. "
                    "Drop the column if it only names the rows, or make groups of its values."
                )
        return tuple(remarks)

    def restricted(
        self, codes: np.ndarray, rows: np.ndarray, known: tuple[int, ...] | None = None
    ) -> tuple[FeatureReader, np.ndarray]:
        """Forget the categories that none of ``rows``, bool[n], has; codes f[n, n_features] are expressed anew.

        Of column j the first ``known[j]`` categories stay, and all that were named beforehand.
        """
        columns, codes = list(self.columns), codes.copy()
        for j, column in enumerate(self.columns):
            if column is None or j in self.declared:
                continue
            there = codes[:, j] >= 0  # not NaN
            used = np.unique(codes[rows & there, j]).astype(int)
            used = np.union1d(used, np.arange(known[j] if known else 0))
            columns[j] = Categories(tuple(column.values[code] for code in used))
            renumbered = np.full(len(column.values), np.nan)
            renumbered[used] = np.arange(used.size)
            codes[there, j] = renumbered[codes[there, j].astype(int)]
        return dataclasses.replace(self, columns=tuple(columns)), codes


def check_eager(data: Any, name: str) -> None:
    """Raise ValueError for a lazy frame, which has no rows yet."""
    if isinstance(data, nw.LazyFrame) or nw.dependencies.is_polars_lazyframe(data):
        raise ValueError(f"{name} is a LazyFrame, which has no rows yet: call .collect() first.")


def check_no_moments(X: Any) -> None:
    """Raise ValueError for a column of dates or durations: as bare numbers, they would depend on their unit."""
    if not nw.dependencies.is_into_dataframe(X) and getattr(getattr(X, "dtype", None), "kind", "") not in ("m", "M"):
        return
    columns, names = _columns(X)
    for j, column in enumerate(columns):
        if column.dtype.is_temporal() if isinstance(column, nw.Series) else column.dtype.kind in "mM":
            _numbers(column, _label(names, j))  # raises, and names the column


def complaint_on_text(X: Any) -> str | None:
    """Say which column of X, whose columns are all to be numbers, holds text that is none; None if none does."""
    try:
        columns, names = _columns(X)
    except ValueError:  # no table
        return None
    for j, column in enumerate(columns):
        numeric = column.dtype.is_numeric() if isinstance(column, nw.Series) else column.dtype.kind not in "OUS"
        if not numeric and any(isinstance(value, (str, bytes)) for value in items_of(column)):
            try:
                _numbers(column, _label(names, j))
            except ValueError as error:
                return str(error)
    return None


def _columns(X: Any) -> tuple[list[Any], tuple[Any, ...] | None]:
    """Return the columns of X, narwhals' Series or arrays, and their names."""
    if nw.dependencies.is_into_dataframe(X):
        try:
            frame = nw.from_native(X, eager_only=True)
        except nw.exceptions.DuplicateError:
            twice = [name for name, count in Counter(X.columns).items() if count > 1]
            raise ValueError(f"X has several columns of the same name: {_some(twice)}. Give each its own.") from None
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
            f"int (their numbers) or str (their names). Got {shown(categorical_features)} instead."
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
            f"'categorical_features' names columns, {shown(items)}, but X is no data frame. It must hold their "
            "numbers, or be a mask."
        )
    known: Any = range(n_features) if names is None or kind == "int" else names
    unknown = [item for item in items if item not in known]
    if unknown:
        raise ValueError(
            f"'categorical_features' has {shown(unknown)}, which X has not. Its columns are "
            + (f"0 to {n_features - 1}." if kind == "int" else f"{list(known)}.")
        )
    return [column in items for column in known]


def _declared(categories: Mapping[Any, Any], names: tuple[Any, ...] | None, n_features: int) -> dict[int, Categories]:
    """Return the categories that the user names, by the number of their column."""
    declared: dict[int, Categories] = {}
    for key, values in categories.items():
        kind = _kind(key)
        if kind == "str" and names is not None and key in names:
            j = names.index(key)
        elif kind == "int" and 0 <= key < n_features:
            j = int(key)
        else:
            known = f"0 to {n_features - 1}" + ("" if names is None else f", or {list(names)}")
            raise ValueError(f"'categories' has a column {shown(key)}, which X has not. Its columns are {known}.")
        label = _label(names, j)
        listed = _listed(values)
        if listed is None:
            raise ValueError(f"'categories' must give a list of values for {label}. Got {shown(values)} instead.")
        if j in declared:
            raise ValueError(f"'categories' names {label[0].lower()}{label[1:]} twice.")
        if not listed or any(map(is_missing, listed)):
            raise ValueError(
                f"'categories' must give the values of {label}, at least one, and none that is missing: a missing one "
                f"needs no category. Got {shown(listed)}."
            )
        try:
            twice = [value for value, count in Counter(listed).items() if count > 1]
        except TypeError as error:
            raise ValueError(f"'categories' has values of {label} that cannot be categories: {error}.") from None
        if twice:
            raise ValueError(f"'categories' has values of {label} more than once: {_some(twice)}.")
        declared[j] = Categories(tuple(listed))
    return declared


def _listed(values: Any) -> list[Any] | None:
    """Return the values that a column is said to have; None for what is no list of values."""
    if isinstance(values, (str, bytes, Mapping, Iterator)) or not isinstance(values, Iterable):
        return None
    try:
        if getattr(values, "ndim", 1) != 1:
            return None
        if isinstance(values, Set):  # in an order that is the same in every process
            return [*Categories().extended(values).values, *filter(is_missing, values)]
        return items_of(values) if hasattr(values, "dtype") and hasattr(values, "tolist") else list(values)
    except Exception:  # of an object of the user's
        return None


def _found(column: Any, known: Categories, label: str) -> Found:
    """Look up the values of a column."""
    try:
        return known.find(column)
    except TypeError as error:
        raise ValueError(f"{label} cannot hold categories: {error}.") from None


def _check_declared(column: Any, known: Categories, label: str) -> None:
    """Raise ValueError if a column has other values than were named for it."""
    unknown = _found(column, known, label).unknown
    if unknown:
        raise ValueError(
            f"{label} has values that 'categories' does not name, such as {_some(unknown)}. It names "
            f"{_some(known.values)}. Add them, or do not name the column in 'categories': its values are then those of "
            "the training rows."
        )


def _holds_categories(column: nw.Series[Any], label: str, rows: np.ndarray | None = None) -> bool:
    """Return whether a column of a frame holds categories, going by its dtype and, where it is of text, its values.

    Text that is numbers throughout is numbers. Other text is categories where its values repeat themselves: where they
    are at most `FEW_VALUES`, or each has `ROWS_PER_VALUE` rows on average; not where all values look like numbers, or
    most of many, which are rather written in a way that is to be mended.

    Raises
    ------
    ValueError
        If it holds text, and is neither numbers nor categories.
    """
    if column.dtype in (nw.Categorical, nw.Enum):
        return True
    if column.dtype not in (nw.String, nw.Object):
        return False
    try:
        _numbers(column, label)
    except ValueError as error:
        items = items_of(column)
        if rows is not None and len(rows) == len(items):
            items = [item for item, there in zip(items, rows, strict=True) if there]
        values = [value for value in items if not is_missing(value)]
        if not all(isinstance(value, str) for value in values):
            raise
        distinct = dict.fromkeys(values)
        few = len(distinct) <= FEW_VALUES
        n_alike = sum(_LIKE_A_NUMBER.fullmatch(value.strip()) is not None for value in distinct)
        if 0 < n_alike == len(distinct) or (not few and 2 * n_alike > len(distinct)):
            raise ValueError(
                f"{error} Most of its texts look like numbers, such as {_some(distinct)}, so that they are not taken "
                "for categories without being declared."
            ) from None
        if not few and len(distinct) * ROWS_PER_VALUE > len(values):
            raise ValueError(
                f"{error} It has {len(distinct)} distinct texts in {len(values)} rows, too many to be taken for "
                "categories without being declared."
            ) from None
        return True
    return False


def _some(values: Iterable[Any]) -> str:
    """Return a list of values as text, cut short."""
    short = reprlib.Repr()
    short.maxlist, short.maxstring, short.maxother = 4, 40, 40
    return short.repr(list(values))


def _categories(column: Any, label: str) -> Categories:
    """Return the categories of a column."""
    try:
        return Categories.of(column)
    except TypeError as error:
        raise ValueError(f"{label} cannot hold categories: {error}.") from None


def _on_unknown(found: Found, known: Categories, label: str) -> str:
    """Remark on a column whose values are for the greater part unknown."""
    values = f"such as {_some(known.values)}" if known.values else "of which there was none: all were missing"
    return (
        f"{label} has unknown categories in {found.n_unknown} of {len(found.codes) - found.n_missing} rows, such as "
        f"{_some(found.unknown)}: they count as missing. Known are those of the fit, {values}. Give the values that "
        "were given to fit."
    )


def _numbers(column: Any, label: str) -> np.ndarray:
    """Return a column as float32, where it is of that dtype, or float64; NaN for what is missing."""
    array = column.to_numpy() if isinstance(column, nw.Series) else column
    try:
        if array.dtype.kind in "biuf":
            return array if array.dtype == np.float32 else array.astype(np.float64)
        if array.dtype.kind in "OSUT":
            numbers = np.array([np.nan if is_missing(value) else value for value in array.tolist()], np.float64)
            if numbers.ndim == 1:
                return numbers
            problem = "its values are sequences"
        else:
            problem = f"it is of dtype {array.dtype}"
    except (TypeError, ValueError) as error:
        problem = str(error)
    raise ValueError(
        f"{label} must hold numbers, but {problem}. If these are categories, declare the column in "
        "'categorical_features'; else convert it first."
    )
