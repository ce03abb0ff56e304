import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from skbandit._tabular.network import inference
from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit._tabular.network.inference import CHUNK_BYTES, CHUNK_ROWS, Forward, hidden_activations, raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP

SIZES = (3, 5, 4, 2)


@pytest.fixture
def coefs_and_intercepts():
    params = init_params(SIZES, "tanh", np.random.RandomState(0), "float64")
    return [W for W, _ in params], [b for _, b in params]


@pytest.fixture(name="X")
def some_rows():
    return np.random.default_rng(1).normal(size=(11, 3))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_the_network_in_jax(coefs_and_intercepts, X, activation):
    coefs, intercepts = coefs_and_intercepts
    network = MLP(SIZES, activation, "squared_error")
    gates = tuple(jnp.ones(size) for size in SIZES[1:-1])
    params = tuple(zip(map(jnp.asarray, coefs), map(jnp.asarray, intercepts), strict=True))
    expected = network.apply(params, jnp.asarray(X), gates)
    # float32: three layers of sums of at most 5 terms of size 1.
    np.testing.assert_allclose(raw_output(X, coefs, intercepts, activation), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("chunk", [1, 4, 10, 11, 12])
def test_chunks_do_not_show(coefs_and_intercepts, X, activation, chunk, monkeypatch):
    whole = raw_output(X, *coefs_and_intercepts, activation)
    monkeypatch.setattr(inference, "CHUNK_ROWS", chunk)
    # A product of another number of rows may sum in another order: a few eps.
    np.testing.assert_allclose(raw_output(X, *coefs_and_intercepts, activation), whole, rtol=0, atol=2e-15)


@pytest.mark.parametrize("chunk", [4, 100])
def test_sparse_rows_give_what_dense_ones_give(coefs_and_intercepts, X, chunk, monkeypatch):
    monkeypatch.setattr(inference, "CHUNK_ROWS", chunk)
    X[np.abs(X) < 0.7] = 0
    for sparse in (scipy.sparse.csr_array(X), scipy.sparse.csr_matrix(X)):
        z = raw_output(sparse, *coefs_and_intercepts, "relu")
        assert type(z) is np.ndarray
        np.testing.assert_allclose(z, raw_output(X, *coefs_and_intercepts, "relu"), rtol=0, atol=2e-15)


@pytest.mark.parametrize("chunk", [4, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result_has_the_dtype_of_the_rows(coefs_and_intercepts, X, dtype, chunk, monkeypatch):
    monkeypatch.setattr(inference, "CHUNK_ROWS", chunk)
    coefs, intercepts = coefs_and_intercepts
    narrow = [*intercepts[:-1], intercepts[-1].astype("float32")]
    for rows in (X.astype(dtype), scipy.sparse.csr_array(X.astype(dtype))):
        for activation in ACTIVATIONS:
            assert raw_output(rows, coefs, narrow, activation).dtype == dtype
            # A wider last intercept, which carries a target's mean, is not cut down.
            assert raw_output(rows, coefs, intercepts, activation).dtype == "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of_weights", ["float32", "float64"])
def test_all_layers_are_computed_in_the_dtype_of_the_rows(coefs_and_intercepts, X, dtype, of_weights, monkeypatch):
    coefs, intercepts = ([a.astype(of_weights) for a in arrays] for arrays in coefs_and_intercepts)
    slopes = [np.full(len(b), 0.5, of_weights) for b in intercepts[:-1]]
    seen, original = [], inference.activate
    monkeypatch.setattr(
        inference, "activate", lambda xp, name, z, a: seen.append((z.dtype, a.dtype)) or original(xp, name, z, a)
    )
    raw_output(X.astype(dtype), coefs, intercepts, "mish", slopes)
    assert set(seen) == {(np.dtype(dtype),) * 2}


def test_a_large_last_intercept_costs_no_digits(coefs_and_intercepts, X):
    # A target of 10^8 ± 1: in float32 the neighbours of 10^8 are 8 apart.
    coefs, intercepts = coefs_and_intercepts
    far = [*intercepts[:-1], intercepts[-1] + 1e8]
    z = raw_output(X.astype("float32"), coefs, far, "tanh") - 1e8
    np.testing.assert_allclose(z, raw_output(X, coefs, intercepts, "tanh"), rtol=0, atol=2e-6)


def test_nothing_is_written_to_the_inputs(coefs_and_intercepts, X):
    coefs, intercepts = coefs_and_intercepts
    before = [a.copy() for a in (X, *coefs, *intercepts)]
    raw_output(X, coefs, intercepts, "relu")
    for a, b in zip(before, (X, *coefs, *intercepts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_hidden_layers_it_is_a_linear_model(X):
    W, b = np.ones((3, 2)), np.array([0.0, 1.0])
    np.testing.assert_allclose(raw_output(X, [W], [b], "relu"), X.sum(axis=1, keepdims=True) + b)


def test_no_rows_give_no_rows(coefs_and_intercepts):
    assert raw_output(np.empty((0, 3)), *coefs_and_intercepts, "relu").shape == (0, 2)


def test_hidden_activations_by_hand():
    coefs = [np.array([[1.0, -1.0]]), np.array([[1.0], [2.0]]), np.ones((1, 1))]
    intercepts = [np.array([0.0, 1.0]), np.array([-1.0]), np.zeros(1)]
    X = np.array([[2.0], [-3.0]])
    # relu(x, 1 - x) = (2, 0), (0, 4); relu(a + 2b - 1) = 1, 7.
    first, second = hidden_activations(X, coefs, intercepts, "relu")
    np.testing.assert_array_equal(first, [[2, 0], [0, 4]])
    np.testing.assert_array_equal(second, [[1], [7]])
    # Without the second unit: relu(a - 1) = 1, 0.
    first, second = hidden_activations(X, coefs, intercepts, "relu", gates=(np.array([1.0, 0.0]), np.ones(1)))
    np.testing.assert_array_equal(first, [[2, 0], [0, 0]])
    np.testing.assert_array_equal(second, [[1], [0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("sizes", "n_columns"),
    [((20, 128, 128, 1), 20), ((4000, 16, 1), 1000), ((20, 128, 10_000), 20), ((10, 10**5, 1), 10)],
)
def test_a_chunk_is_bounded_by_bytes(sizes, n_columns, dtype):
    coefs = [np.broadcast_to(np.zeros((), dtype), shape) for shape in itertools.pairwise(sizes)]
    forward = Forward.of(dtype, coefs, [], "relu", features=lambda X: X)
    X = np.broadcast_to(np.zeros((), dtype), (10**6, n_columns))
    n = forward.chunk_rows(X)
    assert n == CHUNK_ROWS or n >= 8
    # Encoded columns, features and the widest layer.
    assert n * (n_columns + sizes[0] + max(sizes[1:])) * X.dtype.itemsize <= CHUNK_BYTES
    if sizes[1] == 128 and sizes[-1] == 1:
        assert n == CHUNK_ROWS


def test_a_chunk_has_a_row_at_least():
    forward = Forward.of("float64", [np.broadcast_to(0.0, (10**8, 1))], [np.zeros(1)], "relu", features=lambda X: X)
    assert forward.chunk_rows(np.broadcast_to(0.0, (1, 10**6))) == 1
