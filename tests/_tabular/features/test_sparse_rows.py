import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.features import sparse_rows
from skbandit._tabular.features.sparse_rows import canonical, chunk_rows, dense, product, stacked

X = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, -3.0]])


def test_entries_of_one_place_are_summed_in_a_copy():
    given = sparse.csr_array(([1.0, 2.0], [1, 1], [0, 2]), (1, 3))
    np.testing.assert_array_equal(canonical(given).toarray(), [[0, 3, 0]])
    assert canonical(given).nnz == 1
    np.testing.assert_array_equal(given.data, [1, 2])
    once = sparse.csr_array(X)
    assert canonical(once) is once


def test_dense_rows_stay_what_they_are():
    assert dense(X) is X
    np.testing.assert_array_equal(dense(sparse.csr_array(X)), X)


def test_stacked_rows_are_sparse_if_some_are():
    assert isinstance(stacked([X, X]), np.ndarray)
    both = stacked([sparse.csr_array(X), X])
    assert both.format == "csr"
    np.testing.assert_array_equal(both.toarray(), np.concatenate([X, X]))


@pytest.mark.parametrize("values", [1, 6, sparse_rows.DENSE_VALUES])
def test_the_product_is_that_of_dense_rows_whatever_the_chunk(monkeypatch, values):
    monkeypatch.setattr(sparse_rows, "DENSE_VALUES", values)
    W = np.arange(6.0).reshape(3, 2).astype("float32")
    for rows in (X.astype("float32"), X):
        found = product(sparse.csr_array(rows), W)
        assert found.dtype == rows.dtype
        np.testing.assert_array_equal(found, product(rows, W))


def test_chunks_of_wide_sparse_rows_are_short():
    wide = sparse.csr_array((10, 2**20))
    assert chunk_rows(wide, 2048) == 4
    assert chunk_rows(sparse.csr_array((10, 2**30)), 2048) == 1
    assert chunk_rows(sparse.csr_array((10, 0)), 2048) == 2048
    assert chunk_rows(np.empty((1, 2**20)), 2048) == 2048
