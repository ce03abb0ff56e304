import pickle

import numpy as np
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.types import Ending, Network, Rows

ROWS = Rows(np.arange(8.0).reshape(4, 2), np.arange(4.0)[:, None], np.ones(4), np.array([7, 7, 8, 9], np.uint32))


@pytest.mark.parametrize("chosen", [np.array([2, 0]), np.array([True, False, True, False])])
def test_some_of_the_rows(chosen):
    some = ROWS.take(chosen)
    assert [len(array) for array in some] == [2] * 4
    np.testing.assert_array_equal(some.X, ROWS.X[chosen])
    np.testing.assert_array_equal(some.row_id, ROWS.row_id[chosen])
    assert ROWS._replace(row_id=None).take(chosen).row_id is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_on_the_device_have_the_dtype_asked_for(dtype):
    with jax_scope(dtype):
        data = ROWS.pad(dtype)
        assert {data.X.dtype.name, data.y.dtype.name, data.weight.dtype.name} == {dtype}
        np.testing.assert_array_equal(data.row_id[:4], ROWS.row_id)
        np.testing.assert_array_equal(ROWS._replace(row_id=None).pad(dtype).row_id[:4], np.arange(4))


def test_a_folded_network_computes_the_same():
    rng = np.random.default_rng(0)
    layers = ((rng.normal(size=(3, 2)), rng.normal(size=2)), (rng.normal(size=(2, 1)), np.zeros(1)))
    scale = np.array([2.0, 0.5, -1.0])
    inputs, ((W, b), last) = Network({"scale": scale}, layers).folded()
    X = rng.normal(size=(5, 3))
    np.testing.assert_allclose(X @ W + b, (X * scale) @ layers[0][0] + layers[0][1], rtol=1e-12)
    np.testing.assert_array_equal(inputs["scale"], np.ones(3))
    assert last is layers[1]
    assert Network({}, layers).folded() == Network({}, layers)


def test_an_ending_compares_and_reads_as_its_text():
    assert Ending.LINE_SEARCH_FAILED == "line search failed"
    assert Ending("not finite") is Ending.NOT_FINITE
    assert f"{Ending.MAX_ITER}" == "max_iter"
    # What an estimator keeps names no class of the package.
    assert b"skbandit" not in pickle.dumps(str(Ending.CONVERGED))
