r"""From columns of numbers and category codes to the matrix that a network reads, in NumPy.

The columns of the input are numbers, which may be NaN, or codes 0..C-1 of C categories, where NaN stands for a
missing or an unknown one. The columns of the output, in this order:

1. numbers of more than two distinct values: those that a network may embed;
2. other dense columns: the rest of the numbers, variables of two categories (-1, 1, and 0 for missing), indicators of
   missing numbers, one-hot columns;
3. codes of variables with many categories: 0 for missing or unknown, else the category + 1, the row of an embedding.

What is computed for one column, and by which formulas, is in `skbandit._tabular.features.columns`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from skbandit._core.addresses import saved
from skbandit._tabular.features.columns import (
    Affine,
    OneHot,
    encode_binary,
    encode_one_hot,
    places,
    smooth_clip,
)
from skbandit._tabular.features.sparse_rows import canonical, dense
from skbandit._tabular.features.statistics import statistics

#: Variables of more categories become codes, to be embedded.
MAX_ONE_HOT = 8
#: Share of a category that no row has: less than the slack of a quartile, more than rounding.
RARE = 1e-13
#: Values of the input per chunk: 2 MB of float64, near the cache.
CHUNK_VALUES = 2**18
#: Share of a sparse table that may be entries: each takes 8 bytes in float32, and as much again while it is made.
MOST_ENTRIES = 0.25
ALL = slice(None)


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class FeatureEncoder:
    """What is computed from the columns of X; made by `fit` or `identity`.

    Attributes
    ----------
    n_features : int
        Columns of X.
    n_embeddable : int
        The first columns of the output: numbers that a network may embed.
    n_numbers : int
        The first columns of the output that are numbers; variables of two categories follow.
    columns : i[n_affine]
        The column of X behind each of the first outputs: numbers, then variables of two categories. `fit` writes a
        number once; it may be written on several scales (`skbandit._tabular.features.renewal`).
    centre, scale : f[n_affine]
        Such an output is ``(x - centre) * scale``, clipped if `clip`.
    fill : f[n_affine]
        What a missing value becomes; NaN where it stays.
    clip : bool
    indicators : i[n_indicators]
        Columns of X that get an indicator of missing values.
    one_hot : i[n_one_hot]
        Columns of X that become one-hot.
    one_hot_sizes : i[n_one_hot]
        Their numbers of categories.
    one_hot_missing : bool[n_one_hot]
        Whether another column says that the category is missing.
    low, high : f[n_one_hot_columns]
        What stands for 0 and for 1 in each one-hot column.
    codes : i[n_codes]
        Columns of X that stay codes.
    code_sizes : i[n_codes]
        Their numbers of categories.
    """

    n_features: int
    n_embeddable: int
    n_numbers: int
    columns: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    fill: np.ndarray
    clip: bool
    indicators: np.ndarray
    one_hot: np.ndarray
    one_hot_sizes: np.ndarray
    one_hot_missing: np.ndarray
    low: np.ndarray
    high: np.ndarray
    codes: np.ndarray
    code_sizes: np.ndarray

    @classmethod
    def identity(cls, n_features: int) -> FeatureEncoder:
        """Return the encoder that does nothing: a plain network on raw numbers."""
        return cls.of_columns(n_features, np.arange(n_features), n_embeddable=n_features)

    @classmethod
    def fit(
        cls,
        X: Any,
        weight: np.ndarray | None = None,
        categories: Sequence[int] | None = None,
        *,
        scale: bool = True,
        clip: bool = True,
        embed: bool = True,
        max_one_hot: int = MAX_ONE_HOT,
    ) -> FeatureEncoder:
        """Learn medians, quartiles and which columns have missing values.

        Parameters
        ----------
        X : f[n, n_features]
            Numbers, finite or NaN, and codes of categories. It may be sparse where all columns are numbers.
        weight : f[n], optional
            Non-negative weights of the rows.
        categories : sequence of int, optional
            Per column the number of categories, or 0 for a column of numbers; none given: numbers only.
        scale : bool
            Scale the dense columns. Otherwise numbers pass as they are, NaN too, and categories become 0, 1 and -1.
        clip : bool
            Clip what was scaled.
        embed : bool
            Put numbers of more than two distinct values first, as those to embed. Otherwise numbers keep their order.
        max_one_hot : int
            Variables of more categories become codes.
        """
        n_features = X.shape[1]
        sizes = np.asarray(categories or (0,) * n_features)
        weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, np.float64)
        seen: Any = ALL if weight.all() else weight > 0
        clip = clip and scale

        numbers = np.flatnonzero(sizes == 0)
        centre, factor, fill = np.zeros(numbers.size), np.ones(numbers.size), np.full(numbers.size, np.nan)
        indicators = np.empty(0, np.intp)
        n_embeddable = 0
        if scale or embed:
            found = statistics(X, weight, numbers)
            if scale:
                # A column without values has no median: with NaN in its place everything counts as missing.
                centre, factor, fill = found.centre, found.scale, np.zeros(numbers.size)
                indicators = numbers[found.missing & (found.n_distinct > 0)]
            if embed:
                few = found.n_distinct <= 2
                order = np.argsort(few, kind="stable")
                numbers, centre, factor, n_embeddable = numbers[order], centre[order], factor[order], int(np.sum(~few))

        binary: list[Affine] = []
        one_hot: list[OneHot] = []
        codes: list[tuple[int, int]] = []
        for j in np.flatnonzero(sizes).tolist():
            n_categories = int(sizes[j])
            if n_categories > max(max_one_hot, 2):
                codes.append((j, n_categories))
                continue
            mass = np.bincount(places(X[seen, j], n_categories), weight[seen], minlength=n_categories + 1)
            if n_categories > 1:  # a category that no row has yet is a rare one
                mass[1:] = np.maximum(mass[1:], RARE * mass.sum())
            if n_categories == 2:
                binary.append(encode_binary(j, mass, scale, clip))
            elif n_categories > 2 or mass.all():
                one_hot.append(encode_one_hot(j, mass, scale, clip))
        if not (numbers.size or binary or one_hot or codes):
            binary.append(Affine(0, scale=0.0, fill=0.0))  # a network needs an input, if only a constant
        return cls.of_columns(
            n_features,
            numbers,
            centre,
            factor,
            fill,
            binary,
            indicators,
            one_hot,
            codes,
            clip,
            n_embeddable=n_embeddable,
        )

    @classmethod
    def of_columns(
        cls,
        n_features: int,
        numbers: np.ndarray,
        centre: np.ndarray | float = 0.0,
        scale: np.ndarray | float = 1.0,
        fill: np.ndarray | float = np.nan,
        binary: Sequence[Affine] = (),
        indicators: Sequence[int] | np.ndarray = (),
        one_hot: Sequence[OneHot] = (),
        codes: Sequence[tuple[int, int]] = (),
        clip: bool = False,
        *,
        n_embeddable: int,
    ) -> FeatureEncoder:
        """Put the columns of each kind into arrays.

        Parameters
        ----------
        n_features : int
        numbers : i[n_numbers]
            Columns of X, the embeddable ones first.
        centre, scale, fill : f[n_numbers]
        binary : sequence of Affine
        indicators : i[n_indicators]
        one_hot : sequence of OneHot
        codes : sequence of (column, number of categories)
        clip : bool
        n_embeddable : int
        """

        def affine(of_numbers: np.ndarray | float, of_binary: list[float]) -> np.ndarray:
            return np.append(np.broadcast_to(np.asarray(of_numbers, np.float64), numbers.shape), of_binary)

        return cls(
            n_features=n_features,
            n_embeddable=n_embeddable,
            n_numbers=numbers.size,
            columns=np.append(numbers, [a.column for a in binary]).astype(np.intp),
            centre=affine(centre, [a.centre for a in binary]),
            scale=affine(scale, [a.scale for a in binary]),
            fill=affine(fill, [a.fill for a in binary]),
            clip=clip,
            indicators=np.array(indicators, np.intp),
            one_hot=np.array([o.column for o in one_hot], np.intp),
            one_hot_sizes=np.array([o.n_categories for o in one_hot], np.intp),
            one_hot_missing=np.array([o.missing for o in one_hot], bool),
            low=np.concatenate([np.empty(0), *(o.low for o in one_hot)]),
            high=np.concatenate([np.empty(0), *(o.high for o in one_hot)]),
            codes=np.array([j for j, _ in codes], np.intp),
            code_sizes=np.array([size for _, size in codes], np.intp),
        )

    @property
    def n_dense(self) -> int:
        """Columns of the output that are not codes; the embeddable ones are among them."""
        return self.columns.size + self.indicators.size + self.low.size

    @property
    def n_outputs(self) -> int:
        """Columns of the output."""
        return self.n_dense + self.codes.size

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Rows of the embedding that each code column needs: one per category, and row 0."""
        return tuple(int(size) + 1 for size in self.code_sizes)

    def same_as(self, other: FeatureEncoder) -> bool:
        """Say whether the other one computes the same, from the same columns."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))
        return all(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") for a, b in pairs)

    @cached_property
    def is_identity(self) -> bool:
        """Whether `transform` returns X itself."""
        return (
            self.affine() is not None
            and self._in_order
            and bool((self.scale == 1).all() and (self.centre == 0).all() and np.isnan(self.fill).all())
        )

    @cached_property
    def _in_order(self) -> bool:
        return np.array_equal(self.columns, np.arange(self.n_features))

    @cached_property
    def _only_affine(self) -> bool:
        return self.n_outputs == self.columns.size

    @cached_property
    def _hot(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return low, high, the place before each variable's first column, and the place of its missing values."""
        widths = self.one_hot_sizes + self.one_hot_missing
        starts = np.cumsum(widths) - widths
        # One more column, which is dropped, takes what has no column of its own.
        missing = np.where(self.one_hot_missing, starts + self.one_hot_sizes, self.low.size)
        return np.append(self.low, 0.0), np.append(self.high, 0.0), starts - 1, missing

    def affine(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return ``(centre, scale)``, f[n_outputs] each, if the output is ``(X[:, columns] - centre) * scale``.

        That is so where nothing is clipped, no column holds categories and none had missing values; otherwise the
        result is None. `columns` is a permutation of the columns of X, the identity after ``fit(embed=False)``.
        """
        only_numbers = self._only_affine and self.n_numbers == self.n_features
        if self.clip or not only_numbers or np.isnan(self.centre).any():
            return None
        return self.centre, self.scale

    def names(
        self, feature_names: Sequence[str] | None = None, labels: Sequence[Sequence[Any]] | None = None
    ) -> list[str]:
        """Name the columns of the output as scikit-learn's encoders do: ``age``, ``age_nan``, ``colour_red``.

        Parameters
        ----------
        feature_names : sequence of str, optional
            Names of the columns of X: ``x0``, ``x1``, … by default.
        labels : sequence of sequences, optional
            Per column of X its categories; by default they are numbered.
        """
        named = [f"x{j}" for j in range(self.n_features)] if feature_names is None else [str(f) for f in feature_names]

        def label(j: int, category: int) -> str:
            return f"{named[j]}_{category if labels is None else labels[j][category]}"

        out = [named[j] for j in self.columns] + [f"{named[j]}_nan" for j in self.indicators]
        for j, size, missing in zip(self.one_hot, self.one_hot_sizes, self.one_hot_missing, strict=True):
            out += [label(j, category) for category in range(size)] + [f"{named[j]}_nan"] * bool(missing)
        return out + [named[j] for j in self.codes]

    def write(self, X: Any, out: np.ndarray) -> None:
        """Write what `transform` computes, in the dtype of ``out``, into ``out`` f[n, n_outputs]; X is dense or CSR."""
        with np.errstate(over="ignore"):
            if self.is_identity:
                out[...] = dense(X)
            else:
                self._write_in_chunks(canonical(X) if sparse.issparse(X) else X, out)

    def transform(self, X: Any, dtype: Any = None) -> Any:
        """Compute the network's input f[n, n_outputs] from X f[n, n_features].

        It is computed in float64, cast to ``dtype`` (by default that of X), and C-contiguous. Codes outside the known
        categories count as unknown. The identity returns X itself, whatever the ``dtype``. Of a CSR X the result has
        the same numbers, and is CSR, too, unless it has too few zeros for that.
        """
        if self.is_identity:
            return X
        dtype = X.dtype if dtype is None else dtype
        with np.errstate(over="ignore"):  # a far value may overflow before it is clipped
            if sparse.issparse(X):
                return self._of_sparse(canonical(X), dtype)
            return self._of_dense(X, dtype)

    def _of_dense(self, X: Any, dtype: Any) -> np.ndarray:
        """Transform rows to a dense array; of a CSR X, a chunk of rows is dense at a time."""
        out = np.empty((X.shape[0], self.n_outputs), dtype)
        self._write_in_chunks(X, out)
        return out

    def _write_in_chunks(self, X: Any, out: np.ndarray) -> None:
        n, step = X.shape[0], max(CHUNK_VALUES // max(self.n_features, self.n_outputs), 1)
        if n <= step:
            self._write(dense(X), out)
        else:
            for start in range(0, n, step):
                self._write(dense(X[start : start + step]), out[start : start + step])

    def _of_sparse(self, X: Any, dtype: Any) -> Any:
        """Transform a CSR X of numbers, entry by entry; what becomes of a zero is computed once for each column."""
        n, n_numbers = X.shape[0], self.columns.size
        of_zeros = self._of_dense(np.zeros((1, self.n_features), X.dtype), dtype)[0]
        # Zeros that do not stay zeros are entries, too: whole columns of the result.
        filled = np.flatnonzero(of_zeros)
        written_once = self.columns.size == self.n_features
        if MOST_ENTRIES * n * self.n_outputs < X.nnz + n * filled.size or not written_once:
            return self._of_dense(X, dtype)
        place = np.empty(self.n_features, np.intp)
        place[self.columns] = np.arange(n_numbers)
        row, column = np.repeat(np.arange(n), np.diff(X.indptr)), place[X.indices]
        z = self._scaled(X.data, column).astype(dtype)
        filling = np.tile(of_zeros[filled], (n, 1))
        at = np.full(self.n_outputs, -1)
        at[filled] = np.arange(filled.size)
        inside = at[column] >= 0
        filling[row[inside], at[column[inside]]] = z[inside]
        missing = np.isnan(X.data) & np.isin(X.indices, self.indicators)
        indicator = n_numbers + np.searchsorted(self.indicators, X.indices[missing])
        entries = (
            np.concatenate([z[~inside], filling.ravel(), np.ones(indicator.size, dtype)]),
            (
                np.concatenate([row[~inside], np.repeat(np.arange(n), filled.size), row[missing]]),
                np.concatenate([column[~inside], np.tile(filled, n), indicator]),
            ),
        )
        return sparse.csr_array(entries, (n, self.n_outputs))

    def _scaled(self, x: np.ndarray, column: np.ndarray | slice = ALL) -> np.ndarray:
        """Scale numbers x f[..., m] of the outputs ``column``, i[m]; in float64."""
        z: np.ndarray = x - self.centre[column]
        z *= self.scale[column]
        if self.clip:
            smooth_clip(z)
        np.copyto(z, self.fill[column], where=np.isnan(z))
        return z

    def _write(self, X: np.ndarray, out: np.ndarray) -> None:
        """Transform some rows, X f[n, n_features], into out f[n, n_outputs]."""
        z = self._scaled(X if self._in_order else X.take(self.columns, axis=1))
        if self._only_affine:
            out[...] = z
            return
        at = self.columns.size
        out[:, :at] = z
        if self.indicators.size:
            out[:, at : at + self.indicators.size] = np.isnan(X.take(self.indicators, axis=1))
            at += self.indicators.size
        if self.one_hot.size:
            low, high, starts, missing = self._hot
            hot = np.empty((X.shape[0], low.size))
            hot[...] = low
            place = places(X.take(self.one_hot, axis=1), self.one_hot_sizes)
            place = np.where(place > 0, place + starts, missing)
            hot[np.arange(X.shape[0])[:, None], place] = high[place]
            out[:, at : at + self.low.size] = hot[:, :-1]
        if self.codes.size:
            out[:, self.n_dense :] = places(X.take(self.codes, axis=1), self.code_sizes)
