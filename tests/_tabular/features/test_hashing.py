"""Hashes of rows, against the recurrence, written plainly."""

import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.features import hashing
from skbandit._tabular.features.hashing import row_ranks

#: Values that are equal and look different, or the other way round.
VALUES = np.array([0.0, -0.0, np.nan, -np.nan, 1.0, 0.1, np.float32(0.1), -3.5, 1e300, 5e-324])


def rank(row, seed, dtype):
    """Hash one row with Python's integers."""
    state = (seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64
    for value in row:
        with np.errstate(over="ignore"):
            value = np.float64(np.dtype(dtype).type(value))
        value = np.nan if np.isnan(value) else value + 0.0
        state = (state ^ int(np.float64(value).view(np.uint64))) * 0xBF58476D1CE4E5B9 % 2**64
        state ^= state >> 29
    state = state * 0x94D049BB133111EB % 2**64
    return state ^ state >> 32


def table(n_rows, n_columns):
    rng = np.random.default_rng(n_columns)
    return np.where(rng.random((n_rows, n_columns)) < 0.7, 0.0, rng.choice(VALUES, (n_rows, n_columns)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("given", ["float64", "float32"])
@pytest.mark.parametrize("block", [1, 40, hashing.BLOCK_VALUES])
def test_ranks_are_those_of_the_recurrence_whatever_the_block(monkeypatch, dtype, given, block):
    monkeypatch.setattr(hashing, "BLOCK_VALUES", block)
    monkeypatch.setattr(hashing, "CHUNK_ROWS", max(block // 8, 1))
    for n_columns in (0, 1, 23):
        with np.errstate(over="ignore"):
            X = table(17, n_columns).astype(given)
        expected = [rank(row, 5, dtype) for row in X]
        np.testing.assert_array_equal(row_ranks(X, 5, dtype), np.array(expected, np.uint64))
        np.testing.assert_array_equal(row_ranks(np.asfortranarray(X), 5, dtype), np.array(expected, np.uint64))
        if n_columns:
            np.testing.assert_array_equal(row_ranks(sparse.csr_array(X), 5, dtype), np.array(expected, np.uint64))


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
def test_stored_zeros_are_zeros_and_entries_of_one_place_are_summed(form):
    X = form(sparse.coo_array(([0.0, 3.0, 1.0, 2.0, -0.0], ([0, 2, 0, 0, 2], [0, 0, 1, 1, 1])), (3, 2)))
    given = X.data.copy()
    np.testing.assert_array_equal(row_ranks(X, 1), row_ranks(np.array([[0.0, 3], [0, 0], [3, 0]]), 1))
    np.testing.assert_array_equal(X.data, given)


def test_the_same_seed_gives_the_same_ranks():
    X = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_array_equal(row_ranks(X, 5), row_ranks(X.copy(), 5))


def test_minus_zero_is_zero():
    X = np.array([[0.0, 1.0], [-0.0, 1.0]])
    assert np.unique(row_ranks(X, 0)).size == 1


def test_a_row_ranks_the_same_in_either_precision():
    # Halves are exact in float32: the same rows, whatever the dtype that they came in.
    X = np.arange(12).reshape(6, 2) / 2
    np.testing.assert_array_equal(row_ranks(X, 0), row_ranks(X.astype(np.float32), 0))


def test_ranks_tell_rows_and_columns_apart():
    grid = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), axis=-1).reshape(-1, 2)
    assert np.unique(row_ranks(grid, 0)).size == 64 * 64  # (a, b) is not (b, a)


def test_ranks_are_spread_evenly():
    # Small integers differ in few bits, and those are the high ones of a float64: the hash must still mix them.
    ranks = row_ranks(np.arange(4096.0)[:, None], 0) / 2.0**64
    counts = np.histogram(ranks, bins=16, range=(0, 1))[0]
    # 256 ± 15.5 in each of 16 bins; 5 standard deviations are 78.
    assert np.abs(counts - 256).max() < 78
