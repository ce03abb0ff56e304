"""Statistics of blocks of columns, against one column after the other, written plainly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skbandit._tabular.features import statistics as module
from skbandit._tabular.features.statistics import quartiles, statistics

FEW = settings(max_examples=150, deadline=None, derandomize=True)
NAN = np.nan
#: Ties, zeros of both signs, neighbours at either end of the range, and steps that are too small to be halved.
VALUES = (NAN, 0.0, -0.0, 1.0, 1.5, -2.0, 7.0, np.pi, 1e-308, 5e-324, 1.7e308, -1.7e308)


def of_a_column(x, weight):
    """Return n_distinct, missing, centre and scale of one column."""
    values, mass = zip(*sorted((v, weight[x == v].sum()) for v in {*x[~np.isnan(x)] + 0.0}), strict=True) or ((), ())
    values, filled = np.array(values), np.cumsum(mass)
    missing = np.isnan(x).any()
    if len(values) == 1:
        return 1, missing, 0.0, 0.0
    slack = 1e-11 * filled[-1]
    low, centre, high = (
        values[filled >= share * filled[-1] - slack][0] / 2 + values[filled > share * filled[-1] + slack][0] / 2
        for share in (0.25, 0.5, 0.75)
    )
    width = high / 2 - low / 2
    with np.errstate(divide="ignore", over="ignore"):
        scale = 0.5 / width if width > 0 else 1 / (values[-1] / 2 - values[0] / 2)
    return min(len(values), 3), missing, centre, min(scale, np.finfo(float).max)


def column_by_column(X, weight):
    """Return the four arrays of all columns; a column without values has no median."""
    empty = 0, len(X) > 0, NAN, 0.0
    found = [empty if np.isnan(x).all() else of_a_column(x, weight) for x in X.T]
    return [np.array(a) for a in zip(*found, strict=True)]


def assert_equal_statistics(found, X, weight):
    arrays = found.n_distinct, found.missing, found.centre, found.scale
    for array, expected in zip(arrays, column_by_column(X, weight), strict=True):
        np.testing.assert_array_equal(array, expected)


@st.composite
def tables(draw):
    """Rows of some of the values, in float64 or float32, and weights: all alike, integers, or without exact sums."""
    n, m = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X = np.empty((n, m))
    for j in range(m):
        few = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=5))
        X[:, j] = rng.normal(size=n).round(1) if draw(st.booleans()) else rng.choice(few, n)
        X[rng.random(n) < draw(st.sampled_from([0, 0.7])), j] = 0.0
    weight = draw(st.sampled_from([np.ones(n), np.full(n, 0.1), rng.integers(1, 4, n), rng.random(n) + 0.01]))
    with np.errstate(over="ignore"):
        X = X.astype(draw(st.sampled_from([np.float64, np.float32])))
    return np.where(np.isinf(X), 1, X), weight.astype(float)


@FEW
@given(table=tables(), block=st.sampled_from([1, 60, module.BLOCK_VALUES]))
def test_a_block_is_its_columns(table, block):
    X, weight = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_VALUES", block)
        assert_equal_statistics(statistics(X, weight, np.arange(X.shape[1])), X.astype(float), weight)


@FEW
@given(
    table=tables(),
    block=st.sampled_from([1, 60, module.BLOCK_VALUES]),
    form=st.sampled_from([sparse.csr_array, sparse.csc_matrix]),
)
def test_a_sparse_table_has_the_statistics_of_the_dense_one(table, block, form):
    X, weight = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_VALUES", block)
        assert_equal_statistics(statistics(form(X), weight, np.arange(X.shape[1])), X.astype(float), weight)


def test_stored_zeros_are_zeros_and_entries_of_one_place_are_summed():
    # Column 0: 0, 0, 3, of which one zero is stored; column 1: 1 + 2, 0, -0.
    entries = np.array([0.0, 3.0, 1.0, 2.0, -0.0]), np.array([0, 2, 0, 0, 2]), np.array([0, 2, 5])
    X = sparse.csc_array(entries, (3, 2))
    dense = np.array([[0.0, 3], [0, 0], [3, 0]])
    assert_equal_statistics(statistics(X, np.ones(3), np.arange(2)), dense, np.ones(3))
    np.testing.assert_array_equal(X.data, entries[0])  # what the caller gave stays as it was


def test_some_of_the_columns():
    X = np.random.default_rng(0).normal(size=(20, 9))
    for columns in (np.array([1, 2, 3]), np.array([0, 4, 8]), np.array([], np.intp)):
        for table in (X, sparse.csr_array(X)):
            found = statistics(table, np.ones(20), columns)
            np.testing.assert_array_equal(found.centre, np.median(X, axis=0)[columns])


def test_no_rows_are_no_values():
    found = statistics(np.empty((0, 2)), np.empty(0), np.arange(2))
    np.testing.assert_array_equal(found.n_distinct, [0, 0])
    assert np.isnan(found.centre).all()


def test_weighted_quartiles():
    # Cumulated weights 1, 2, 4 of 4: the first quartile meets its share at 1, so it lies halfway to 2; the median meets
    # its share at 2, halfway to 6; the third lies within 6.
    values, mass = np.array([[1.0, 2.0, 6.0]]), np.array([1.0, 1.0, 2.0])
    np.testing.assert_array_equal(quartiles(values, mass)[:, 0], [1.5, 4, 6])
    # The same as rows that are repeated, in any order.
    np.testing.assert_array_equal(quartiles(np.array([[6.0, 1, 6, 2]]), None)[:, 0], [1.5, 4, 6])
