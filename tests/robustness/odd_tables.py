"""Tables, targets and weights of every kind, right and wrong: of forty rows of four numbers.

Each function takes a random generator and the numbers X f[40, 4], the signal f[40] or the weights f[40] > 0.
"""

import datetime
from decimal import Decimal

import jax
import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

N_ROWS, N_COLUMNS = 40, 4
NAMES = ["a", "b", "c", "d"]


def with_values(X, values, columns=slice(1)):
    """Return a copy in which some entries of some columns are others."""
    X = X.copy()
    X[1:30:4, columns] = values
    return X


def frame(X, **columns):
    """Return a frame with some columns that are others."""
    return pd.DataFrame(X, columns=NAMES).assign(**columns)


def named(X, names):
    """Return a frame with other names."""
    table = pd.DataFrame(X)
    table.columns = names
    return table


def with_wide_indices(X):
    """Return a sparse table whose indices have 64 bits."""
    table = sparse.csr_array(X)
    table.indices, table.indptr = table.indices.astype(np.int64), table.indptr.astype(np.int64)
    return table


def with_duplicates(X):
    """Return a sparse table that has its entries in halves, and in no order."""
    row, column = np.nonzero(np.ones_like(X))
    both = np.tile(X.ravel() / 2, 2), (np.tile(row, 2), np.tile(column, 2))
    return sparse.coo_array(both, X.shape)


def sparsely(X):
    """Return numbers most of which are 0."""
    return np.where(np.abs(X) > 1, X, 0.0)


#: The same numbers in other containers: what is fitted to them is the same.
CONTAINERS = {
    "list": lambda rng, X: X.tolist(),
    "tuple": lambda rng, X: tuple(map(tuple, X.tolist())),
    "list of arrays": lambda rng, X: list(X),
    "columns in a row": lambda rng, X: np.asfortranarray(X),
    "every other row": lambda rng, X: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda rng, X: X[::-1][::-1],
    "read-only": lambda rng, X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "big-endian": lambda rng, X: X.astype(">f8"),
    "objects": lambda rng, X: X.astype(object),
    "text": lambda rng, X: np.array([[repr(float(value)) for value in row] for row in X]),
    "DataFrame": lambda rng, X: pd.DataFrame(X),
    "frame of another index": lambda rng, X: pd.DataFrame(X, index=rng.permutation(len(X))),
    "frame of names of two levels": lambda rng, X: named(X, pd.MultiIndex.from_product([["a", "b"], [0, 1]])),
    "frame of numbers as names": lambda rng, X: named(X, [7, 5, 3, 1]),
    "frame of nullable numbers": lambda rng, X: pd.DataFrame(X, columns=NAMES).astype("Float64"),
    "frame of objects": lambda rng, X: pd.DataFrame(X.astype(object), columns=NAMES),
    "sparse frame": lambda rng, X: pd.DataFrame(X, columns=NAMES).astype(pd.SparseDtype(float, 0.0)),
    "polars": lambda rng, X: pl.DataFrame(X, schema=NAMES),
}
#: Other numbers, or none.
TABLES = {
    "float32": lambda rng, X: X.astype(np.float32),
    "float16": lambda rng, X: X.astype(np.float16),
    "longdouble": lambda rng, X: X.astype(np.longdouble),
    "big-endian float32": lambda rng, X: X.astype(">f4"),
    "array of JAX": lambda rng, X: jax.numpy.asarray(X),
    "int8": lambda rng, X: (10 * X).astype(np.int8),
    "uint64": lambda rng, X: rng.integers(2**63, 2**64, X.shape, np.uint64),
    "bools": lambda rng, X: X > 0,
    "large ints": lambda rng, X: [[10**30 * int(100 * value) for value in row] for row in X],
    "ints beyond floats": lambda rng, X: [[10**400] * N_COLUMNS] * N_ROWS,
    "complex": lambda rng, X: X + 1j,
    "complex without an imaginary part": lambda rng, X: X.astype(complex),
    "NaN": lambda rng, X: with_values(X, np.nan),
    "NaN in all columns": lambda rng, X: with_values(X, np.nan, slice(None)),
    "a column of NaN": lambda rng, X: np.column_stack([np.full(len(X), np.nan), X[:, 1:]]),
    "nothing but NaN": lambda rng, X: np.full_like(X, np.nan),
    "inf": lambda rng, X: with_values(X, np.inf),
    "-inf": lambda rng, X: with_values(X, -np.inf),
    "a constant column": lambda rng, X: np.column_stack([np.full(len(X), 3.0), X[:, 1:]]),
    "constant": lambda rng, X: np.ones_like(X),
    "two values": lambda rng, X: np.sign(X),
    "few values": lambda rng, X: np.round(X),
    "scaled by 1e30": lambda rng, X: 1e30 * X,
    "scaled by 1e150": lambda rng, X: 1e150 * X,
    "scaled by 1e300": lambda rng, X: 1e300 * X,
    "the largest numbers": lambda rng, X: 1.7e308 * np.sign(X),
    "from end to end": lambda rng, X: 1.7e308 * np.clip(X, -1, 1),
    "scaled by 1e-30": lambda rng, X: 1e-30 * X,
    "scaled by 1e-310": lambda rng, X: 1e-310 * X,
    "the smallest numbers": lambda rng, X: 5e-324 * np.sign(X),
    "columns of every scale": lambda rng, X: X * np.array([1e150, 1e-310, 1e300, 1.0]),
    "far values": lambda rng, X: with_values(X, 1e300),
    "farther values": lambda rng, X: with_values(X, -1.7e308),
    "values beyond float32": lambda rng, X: with_values(X, 1e39),
    "far from 0": lambda rng, X: X + 1e9,
    "farther from 0": lambda rng, X: 1e-3 * X + 1e15,
    "negative zeros": lambda rng, X: np.where(X > 0, X, -0.0),
    "masked": lambda rng, X: np.ma.masked_array(X, mask=np.abs(X) > 2),
    "matrix": lambda rng, X: np.asmatrix(X),
    "structured": lambda rng, X: np.array(list(map(tuple, X)), dtype=[(name, float) for name in NAMES]),
    "ragged": lambda rng, X: [row[: 1 + i % 3] for i, row in enumerate(X.tolist())],
    "a generator": lambda rng, X: (row for row in X.tolist()),
    "0-d": lambda rng, X: np.array(1.0),
    "1-d": lambda rng, X: X[:, 0],
    "3-d": lambda rng, X: X[None],
    "no rows": lambda rng, X: X[:0],
    "no columns": lambda rng, X: X[:, :0],
    "one row": lambda rng, X: X[:1],
    "None": lambda rng, X: None,
    "text": lambda rng, X: "a table",
    "dict": lambda rng, X: dict(enumerate(X.T)),
    "objects of text": lambda rng, X: with_values(X.astype(object), "x"),
    "objects of None": lambda rng, X: with_values(X.astype(object), None),
    "objects of NA": lambda rng, X: with_values(X.astype(object), pd.NA),
    "objects of Decimal": lambda rng, X: np.array([[Decimal(float(v)) for v in row] for row in X], object),
    "objects of lists": lambda rng, X: pd.DataFrame({name: [[1, 2]] * len(X) for name in NAMES}).to_numpy(),
    "objects of complex": lambda rng, X: with_values(X.astype(object), 1j),
    "bytes": lambda rng, X: X.astype("S8"),
    "datetimes": lambda rng, X: np.datetime64("2020-01-01") + (100 * X).astype("timedelta64[D]"),
    "durations": lambda rng, X: (100 * X).astype("timedelta64[s]"),
    "frame of names twice": lambda rng, X: named(X, ["a", "a", "b", "b"]),
    "sparse frame filled with NaN": lambda rng, X: pd.DataFrame(X).astype(pd.SparseDtype(float)),
    "frame of mixed names": lambda rng, X: named(X, [1, "a", 2.5, None]),
    "frame of categories": lambda rng, X: frame(X, a=pd.Categorical(rng.choice(["x", "y", "z"], len(X)))),
    "frame of ordered categories": lambda rng, X: frame(X, a=pd.cut(X[:, 0], 3)),
    "frame of missing categories": lambda rng, X: frame(X, a=pd.Categorical(rng.choice(["x", None], len(X)))),
    "frame of no categories": lambda rng, X: frame(X, a=pd.Categorical([None] * len(X), categories=["x", "y"])),
    "frame of many categories": lambda rng, X: frame(X, a=pd.Categorical(np.arange(len(X)) // 3)),
    "frame of text": lambda rng, X: frame(X, a=rng.choice(["x", "y"], len(X))),
    "frame of many texts": lambda rng, X: frame(X, a=[f"x {i}" for i in range(len(X))]),
    "frame of strings": lambda rng, X: frame(X, a=pd.array(rng.choice(["x", "y"], len(X)), dtype="string")),
    "frame of Int64": lambda rng, X: frame(X, a=pd.array(rng.choice([1, 2, None], len(X)), dtype="Int64")),
    "frame of boolean": lambda rng, X: frame(X, a=pd.array(rng.choice([True, False, None], len(X)), dtype="boolean")),
    "frame of dates": lambda rng, X: frame(X, a=pd.date_range("2020-01-01", periods=len(X))),
    "frame of dates with a zone": lambda rng, X: frame(X, a=pd.date_range("2020-01-01", periods=len(X), tz="UTC")),
    "frame of durations": lambda rng, X: frame(X, a=pd.to_timedelta(np.arange(len(X)), unit="D")),
    "frame of periods": lambda rng, X: frame(X, a=pd.period_range("2020-01", periods=len(X), freq="M")),
    "frame of complex": lambda rng, X: frame(X, a=X[:, 0] + 1j),
    "frame of far values": lambda rng, X: frame(X, a=1e300 * X[:, 0], b=pd.Categorical(rng.choice(["x", "y"], len(X)))),
    "frame of inf": lambda rng, X: frame(X, a=np.inf),
    "frame of Python dates": lambda rng, X: frame(X, a=[datetime.date(2020, 1, 1)] * len(X)),
    "sparse frame of NaN": lambda rng, X: pd.DataFrame(with_values(X, np.nan)).astype(pd.SparseDtype(float)),
    "polars of nulls": lambda rng, X: pl.DataFrame({n: [None, *X[1:, j]] for j, n in enumerate(NAMES)}),
    "polars of categories": lambda rng, X: pl.DataFrame(X, schema=NAMES).with_columns(
        a=pl.Series(rng.choice(["x", "y"], len(X)), dtype=pl.Categorical)
    ),
    "polars of dates": lambda rng, X: pl.DataFrame(X, schema=NAMES).with_columns(a=datetime.date(2020, 1, 1)),
    "polars of lists": lambda rng, X: pl.DataFrame(X, schema=NAMES).with_columns(a=pl.Series([[1, 2]] * len(X))),
    "polars of decimals": lambda rng, X: pl.DataFrame(X, schema=NAMES).with_columns(pl.all().cast(pl.Decimal(20, 5))),
    "lazy polars": lambda rng, X: pl.LazyFrame(X, schema=NAMES),
    "Series": lambda rng, X: pd.Series(X[:, 0]),
    "CSR": lambda rng, X: sparse.csr_array(sparsely(X)),
    "CSR matrix": lambda rng, X: sparse.csr_matrix(sparsely(X)),
    "CSC": lambda rng, X: sparse.csc_array(sparsely(X)),
    "COO": lambda rng, X: sparse.coo_array(sparsely(X)),
    "BSR": lambda rng, X: sparse.bsr_array(sparsely(X)),
    "DIA": lambda rng, X: sparse.dia_array(sparsely(X)),
    "LIL": lambda rng, X: sparse.lil_array(sparsely(X)),
    "DOK": lambda rng, X: sparse.dok_array(sparsely(X)),
    "CSR of 64 bits": lambda rng, X: with_wide_indices(sparsely(X)),
    "COO of entries twice": lambda rng, X: with_duplicates(X),
    "CSR of NaN": lambda rng, X: sparse.csr_array(with_values(sparsely(X), np.nan)),
    "CSR of inf": lambda rng, X: sparse.csr_array(with_values(sparsely(X), np.inf)),
    "CSR of far values": lambda rng, X: sparse.csr_array(1e300 * sparsely(X)),
    "CSR of tiny values": lambda rng, X: sparse.csr_array(1e-310 * sparsely(X)),
    "CSR of ints": lambda rng, X: sparse.csr_array(np.round(sparsely(X)).astype(int)),
    "CSR of bools": lambda rng, X: sparse.csr_array(sparsely(X) != 0),
    "CSR of complex": lambda rng, X: sparse.csr_array(sparsely(X).astype(complex)),
    "CSR without entries": lambda rng, X: sparse.csr_array(X.shape),
}

#: Those of the others that both estimators can be fitted to as they are by default.
FITTED = (
    *("float32", "float16", "longdouble", "array of JAX", "int8", "uint64", "bools", "large ints"),
    *("NaN", "NaN in all columns", "a column of NaN", "a constant column", "constant", "two values", "few values"),
    *("scaled by 1e30", "scaled by 1e150", "scaled by 1e300", "the largest numbers", "from end to end"),
    *("scaled by 1e-30", "scaled by 1e-310", "the smallest numbers", "columns of every scale", "far values"),
    *("farther values", "values beyond float32", "far from 0", "farther from 0", "negative zeros", "masked"),
    *("objects of None", "objects of Decimal", "bytes", "frame of categories", "frame of ordered categories"),
    *("frame of missing categories", "frame of no categories", "frame of many categories", "frame of text"),
    *("frame of strings", "frame of Int64", "frame of boolean", "frame of far values", "polars of nulls"),
    *("polars of categories", "polars of decimals", "sparse frame of NaN", "CSR", "CSC", "COO", "BSR", "DIA", "LIL"),
    *("DOK", "CSR of 64 bits", "COO of entries twice", "CSR of NaN", "CSR of far values", "CSR of tiny values"),
    *("CSR of ints", "CSR of bools", "CSR without entries"),
)

#: Targets of both estimators, from a signal.
ANY_TARGETS = {
    "None": lambda rng, s: None,
    "text": lambda rng, s: "a target",
    "a number": lambda rng, s: 3.0,
    "too short": lambda rng, s: (s > 0).astype(int)[1:],
    "3-d": lambda rng, s: (s > 0).astype(int)[:, None, None],
    "complex": lambda rng, s: s + 1j,
    "dicts": lambda rng, s: [{"a": 1}] * len(s),
    "a dict": lambda rng, s: dict(enumerate(s)),
    "objects": lambda rng, s: [object() for _ in s],
    "datetimes": lambda rng, s: np.datetime64("2020-01-01") + (s > 0).astype("timedelta64[D]"),
    "durations": lambda rng, s: (s > 0).astype("timedelta64[D]"),
    "text and None": lambda rng, s: ["a" if v > 0 else None for v in s],
    "text and numbers": lambda rng, s: ["a" if v > 0 else 1 for v in s],
    "text and numbers, objects": lambda rng, s: np.array(["a" if v > 0 else 1 for v in s], object),
    "numbers and None": lambda rng, s: [1 if v > 0 else None for v in s],
    "NaN": lambda rng, s: np.where(s > 0, np.nan, 1.0),
    "inf": lambda rng, s: np.where(s > 0, np.inf, 1.0),
    "ragged": lambda rng, s: [[1] * (1 + i % 2) for i in range(len(s))],
    "a generator": lambda rng, s: (v for v in s),
    "structured": lambda rng, s: np.array([(v,) for v in s], dtype=[("a", float)]),
    "masked": lambda rng, s: np.ma.masked_array((s > 0).astype(int), mask=s > 1),
    "constant": lambda rng, s: np.ones(len(s)),
    "lists": lambda rng, s: pd.Series([[1, 2]] * len(s)),
    "a lazy frame": lambda rng, s: pl.LazyFrame({"y": s}),
    "columns of dates": lambda rng, s: pd.DataFrame({"a": pd.date_range("2020", periods=len(s)), "b": 1}),
    "periods": lambda rng, s: pd.Series(pd.period_range("2020-01", periods=len(s), freq="M")),
    "sparse complex": lambda rng, s: sparse.csr_array((s > 0).astype(complex)[:, None]),
}
NUMBERS = {
    "floats": lambda rng, s: s,
    "float32": lambda rng, s: s.astype(np.float32),
    "float16": lambda rng, s: s.astype(np.float16),
    "longdouble": lambda rng, s: s.astype(np.longdouble),
    "big-endian": lambda rng, s: s.astype(">f8"),
    "read-only": lambda rng, s: np.frombuffer(s.tobytes()),
    "ints": lambda rng, s: np.round(5 * s).astype(int),
    "uint64": lambda rng, s: rng.integers(2**63, 2**64, len(s), np.uint64),
    "ints beyond floats": lambda rng, s: [10**400 if v > 0 else 1 for v in s],
    "large ints": lambda rng, s: [10**30 * int(100 * v) for v in s],
    "bools": lambda rng, s: s > 0,
    "list": lambda rng, s: s.tolist(),
    "column": lambda rng, s: s[:, None],
    "two outputs": lambda rng, s: np.column_stack([s, -(s**2)]),
    "two outputs of other scales": lambda rng, s: np.column_stack([1e30 * s, 1e-30 * s]),
    "one output constant": lambda rng, s: np.column_stack([s, np.ones(len(s))]),
    "objects": lambda rng, s: s.astype(object),
    "Decimal": lambda rng, s: [Decimal(float(v)) for v in s],
    "text of numbers": lambda rng, s: [repr(float(v)) for v in s],
    "Series": lambda rng, s: pd.Series(s, index=rng.permutation(len(s))),
    "frame": lambda rng, s: pd.DataFrame({"y": s}),
    "nullable": lambda rng, s: pd.array(s, dtype="Float64"),
    "polars": lambda rng, s: pl.Series(s),
    "array of JAX": lambda rng, s: jax.numpy.asarray(s),
    "sparse": lambda rng, s: sparse.csr_array(s[:, None]),
    "scaled by 1e30": lambda rng, s: 1e30 * s,
    "scaled by 1e150": lambda rng, s: 1e150 * s,
    "scaled by 1e300": lambda rng, s: 1e300 * s,
    "the largest numbers": lambda rng, s: 1.7e308 * np.sign(s),
    "scaled by 1e-30": lambda rng, s: 1e-30 * s,
    "scaled by 1e-310": lambda rng, s: 1e-310 * s,
    "far from 0": lambda rng, s: s + 1e9,
    "farther from 0": lambda rng, s: s + 1e200,
    "a far value": lambda rng, s: np.append(s[1:], 1e300),
    "not negative": lambda rng, s: np.abs(s),
    "zeros": lambda rng, s: np.zeros(len(s)),
}
CLASSES = {
    "ints": lambda rng, s: (s > 0).astype(int),
    "bools": lambda rng, s: s > 0,
    "text": lambda rng, s: np.where(s > 0, "a", "b"),
    "bytes": lambda rng, s: np.where(s > 0, b"a", b"b"),
    "objects of text": lambda rng, s: np.where(s > 0, "a", "b").astype(object),
    "objects of ints": lambda rng, s: (s > 0).astype(object),
    "objects of bools": lambda rng, s: np.array([bool(v > 0) for v in s], object),
    "objects of floats": lambda rng, s: np.array([float(v > 0) for v in s], object),
    "floats": lambda rng, s: (s > 0).astype(float),
    "float16": lambda rng, s: (s > 0).astype(np.float16),
    "continuous": lambda rng, s: s,
    "three": lambda rng, s: np.digitize(s, [-0.7, 0.7]),
    "three texts": lambda rng, s: np.array(["a", "b", "c"])[np.digitize(s, [-0.7, 0.7])].tolist(),
    "negative": lambda rng, s: -7 * (s > 0),
    "large ints": lambda rng, s: np.where(s > 0, 2**62, 2**62 + 1),
    "uint64": lambda rng, s: np.where(s > 0, 2**64 - 1, 2**64 - 2).astype(np.uint64),
    "ints beyond 64 bits": lambda rng, s: [2**70 if v > 0 else 2**71 for v in s],
    "one class of one row": lambda rng, s: np.append(np.zeros(len(s) - 1, int), 1),
    "a class for each row": lambda rng, s: np.arange(len(s)),
    "column": lambda rng, s: (s > 0).astype(int)[:, None],
    "indicator": lambda rng, s: np.column_stack([s > 0, s > 0.5, s < 0]).astype(int),
    "indicator of bools": lambda rng, s: np.column_stack([s > 0, s > 0.5]),
    "indicator of floats": lambda rng, s: np.column_stack([s > 0, s > 0.5]).astype(float),
    "indicator, a label that none has": lambda rng, s: np.column_stack([s > 0, s > 99]).astype(int),
    "sparse indicator": lambda rng, s: sparse.csr_array(np.column_stack([s > 0, s > 0.5]).astype(int)),
    "sets": lambda rng, s: [{1} if v > 0 else {1, 2} for v in s],
    "Series": lambda rng, s: pd.Series(s > 0, index=rng.permutation(len(s))),
    "categories": lambda rng, s: pd.Categorical(np.where(s > 0, "a", "b"), categories=["b", "a", "c"]),
    "nullable": lambda rng, s: pd.array((s > 0).astype(int), dtype="Int64"),
    "strings": lambda rng, s: pd.array(np.where(s > 0, "a", "b"), dtype="string"),
    "polars": lambda rng, s: pl.Series(np.where(s > 0, "a", "b")),
    "polars of categories": lambda rng, s: pl.Series(np.where(s > 0, "a", "b"), dtype=pl.Categorical),
    "array of JAX": lambda rng, s: jax.numpy.asarray(s > 0).astype(int),
    "tuples": lambda rng, s: pd.Series([("a", 1) if v > 0 else ("b", 2) for v in s]),
    "an empty text": lambda rng, s: np.where(s > 0, "", "b"),
    "large floats": lambda rng, s: np.where(s > 0, 1e300, -1e300),
}

#: Weights, from positive ones.
WEIGHTS = {
    "floats": lambda rng, w: w,
    "ones": lambda rng, w: np.ones(len(w)),
    "ints": lambda rng, w: np.ceil(w).astype(int),
    "bools": lambda rng, w: w > 1,
    "some 0": lambda rng, w: np.where(w > 1, w, 0.0),
    "all but one 0": lambda rng, w: np.append(np.zeros(len(w) - 1), 1.0),
    "list": lambda rng, w: w.tolist(),
    "Series": lambda rng, w: pd.Series(w),
    "polars": lambda rng, w: pl.Series(w),
    "objects": lambda rng, w: w.astype(object),
    "a number": lambda rng, w: 2.0,
    "column": lambda rng, w: w[:, None],
    "too short": lambda rng, w: w[1:],
    "text": lambda rng, w: ["a"] * len(w),
    "text of numbers": lambda rng, w: ["1.5"] * len(w),
    "a text": lambda rng, w: "balanced",
    "None in a list": lambda rng, w: [None, *w[1:]],
    "dicts": lambda rng, w: [{}] * len(w),
    "negative": lambda rng, w: -w,
    "all 0": lambda rng, w: np.zeros(len(w)),
    "NaN": lambda rng, w: np.append(w[1:], np.nan),
    "inf": lambda rng, w: np.append(w[1:], np.inf),
    "complex": lambda rng, w: w + 1j,
    "scaled by 1e30": lambda rng, w: 1e30 * w,
    "scaled by 1e300": lambda rng, w: 1e300 * w,
    "the largest numbers": lambda rng, w: np.full(len(w), 1.7e308),
    "scaled by 1e-30": lambda rng, w: 1e-30 * w,
    "scaled by 1e-300": lambda rng, w: 1e-300 * w,
    "1e-320": lambda rng, w: np.full(len(w), 1e-320),
    "below float32": lambda rng, w: np.full(len(w), 1e-42),
    "of every scale": lambda rng, w: w * 10.0 ** rng.integers(-300, 300, len(w)),
    "ints beyond floats": lambda rng, w: [10**400] * len(w),
    "datetimes": lambda rng, w: np.full(len(w), np.datetime64("2020-01-01")),
}

#: Values of parameters beside those of the base; few that make programs of their own.
PARAMETERS = {
    "hidden_layer_sizes": [(4,), (4, 3)],
    "activation": ["relu", "mish"],
    "parametric_activation": [True],
    "preprocessing": [None, "auto"],
    "categorical_features": [None, [0], [True, False, False, False], ["a"]],
    "categories": [{0: ["x", "y", "z"]}, {"a": ["x", "y"]}],
    "numeric_embedding": ["piecewise_linear", "periodic"],
    "input_scaling": [True],
    "parametrization": ["ntk"],
    "weight_init": ["normal", "data_driven"],
    "solver": ["adam", "sgd", "lbfgs", "adamw"],
    "alpha": [0.0, 1e-40, 1.0, 1e30, np.float16(0.1)],
    "batch_size": [16, 10**18],
    "balanced_batches": [True],
    "learning_rate": ["coslog4", "cosine", "invscaling"],
    "learning_rate_init": [1e-37, 1e-3, 0.1, 10.0, 1e30],
    "power_t": [0.0, 1e30],
    "dropout": [0.0, 0.15, 0.999999, 1e-40],
    "regularization_schedule": ["cosine"],
    "max_iter": [1, 3, 8],
    "shuffle": [False],
    "random_state": [0, 2**32 - 1, np.int64(7)],
    "tol": [0.0, 1e30],
    "momentum": [0.0, 1.0],
    "nesterovs_momentum": [False],
    "early_stopping": [True],
    "validation_fraction": [1e-12, 0.5, 0.9999999],
    "validation_metric": ["loss", "score"],
    "beta_1": [0.0, 0.9999999],
    "beta_2": [0.0, 0.9999999],
    "epsilon": [1e-37, 1e30],
    "n_iter_no_change": [1, 10**18, np.inf],
    "n_members": [2],
    "policy": ["ucb1", "racing", "magnitude", "leave_one_out", "obs"],
    "budget": [1, 1e9],
    "pruning_ratio": [0.0, 0.5, 0.9999999, "auto"],
    "tolerance": [0.0, 1e30],
    "scope": ["layer", "auto"],
    "n_rounds": [1, 10**18],
    "ablation": ["zero"],
    "compensate": [False],
    "fine_tune_iter": [0, 3],
    "calibration": ["held_out", "all"],
    "dtype": ["float64"],
}
OF_REGRESSOR = {"loss": ["poisson"], "clip_predictions": [True]}
OF_CLASSIFIER = {
    "label_smoothing": [0.1, 0.9999999],
    "class_weight": ["balanced", {0: 2.0, 1: 1.0}, {0: 1e-30, 1: 1e-30}, {"a": 0.0}, {0: 1e30, 1: 1e-30}],
}
