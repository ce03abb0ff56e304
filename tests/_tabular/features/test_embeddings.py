"""What a network reads: embeddings and scales, in JAX and in NumPy."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._tabular.features import embeddings
from skbandit._tabular.features.embeddings import EMBEDDING_DIM, TERMS, WIDTH, Inputs, fold_scale, unit_scale

CASES = {
    "plain": Inputs(3),
    "scaled": Inputs(3, scaled=True),
    "periodic": Inputs(3, 2, "periodic"),
    "piecewise linear": Inputs(3, 2, "piecewise_linear"),
    "tables": Inputs(2, cardinalities=(4, 6)),
    "all": Inputs(3, 2, "periodic", (4, 6), scaled=True),
}
EVERY = pytest.mark.parametrize("inputs", CASES.values(), ids=CASES)


def columns(inputs, n=20, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(size, size=n) for size in inputs.cardinalities]
    return np.column_stack([rng.standard_normal((n, inputs.n_dense)), *codes]).astype(dtype)


def draw(inputs, X=None, seed=0, dtype="float64"):
    return inputs.init(np.random.RandomState(seed), dtype, columns(inputs) if X is None else X)


@EVERY
def test_counts_are_those_of_the_arrays(inputs):
    X, params = columns(inputs), draw(inputs)
    assert inputs.features(np, params, X).shape == (20, inputs.n_features)
    learned = {name: value for name, value in params.items() if name != "scale"}
    assert sum(leaf.size for leaf in jax.tree.leaves(learned)) == inputs.n_parameters
    assert ("scale" in params) == inputs.scaled
    if inputs.scaled:
        np.testing.assert_array_equal(params["scale"], np.ones(inputs.n_features))


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jax_and_numpy_agree(inputs, dtype):
    X, params = columns(inputs, dtype=dtype), draw(inputs, dtype=dtype)
    on_host = inputs.features(np, params, X)
    with jax.enable_x64(dtype == "float64"):
        on_device = np.asarray(inputs.features(jnp, params, jnp.asarray(X)))
    assert on_host.dtype == on_device.dtype == dtype
    # Sums of 16 terms within [-1, 1], with weights below 1/4.
    np.testing.assert_allclose(on_device, on_host, rtol=0, atol=32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("embedding", embeddings.NUMERIC_EMBEDDINGS)
def test_all_but_the_edges_of_bins_is_learned(embedding):
    inputs = Inputs(4, 3, embedding, (5,), scaled=True)
    X, params = columns(inputs), draw(inputs)

    def loss(params):
        return jnp.sum(jnp.square(inputs.features(jnp, params, jnp.asarray(X)) * params["scale"]))

    with jax.enable_x64(True):
        gradient = jax.grad(loss)(params)
    for name, values in gradient.items():
        moved = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(values)]) != 0
        assert moved.any() == (name != "edges"), name


@pytest.mark.parametrize("embedding", embeddings.NUMERIC_EMBEDDINGS)
@pytest.mark.parametrize("name", ["weight", "bias", "frequency", "phase"])
def test_gradients_are_those_of_finite_differences(embedding, name):
    inputs = Inputs(4, 3, embedding)
    X, params = columns(inputs), draw(inputs)
    if name not in params:
        return

    def loss(value, xp):
        return xp.sum(xp.sin(inputs.features(xp, params | {name: value}, xp.asarray(X))))

    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(loss)(jnp.asarray(params[name]), jnp))
    direction = np.random.default_rng(1).normal(size=params[name].shape)
    step = 1e-6 * direction
    slope = (loss(params[name] + step, np) - loss(params[name] - step, np)) / 2e-6
    assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-6)


@EVERY
def test_numpy_computes_in_the_dtype_of_the_rows(inputs):
    params = draw(inputs, dtype="float32")
    assert inputs.features(np, params, columns(inputs)).dtype == np.float64


@EVERY
def test_draws_follow_the_seed(inputs):
    first, again, other = (draw(inputs, seed=seed) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    for name in set(first) - {"scale", "edges"}:
        assert (np.ravel(first[name][0]) != np.ravel(other[name][0])).all()


def test_what_is_not_embedded_passes_untouched():
    X = columns(CASES["plain"])
    for name in ("plain", "scaled"):
        assert CASES[name].features(np, draw(CASES[name]), X) is X


def test_features_are_number_and_embedding_then_numbers_then_tables():
    inputs = CASES["all"]
    X, params = columns(inputs), draw(inputs)
    features = inputs.features(np, params, X)
    np.testing.assert_array_equal(features[:, [0, WIDTH]], X[:, :2])
    np.testing.assert_array_equal(features[:, 2 * WIDTH], X[:, 2])
    for k in range(2):
        at = 2 * WIDTH + 1 + k * EMBEDDING_DIM
        rows = params["tables"][k][X[:, 3 + k].astype(int)]
        np.testing.assert_array_equal(features[:, at : at + EMBEDDING_DIM], rows)


def test_a_periodic_embedding_by_hand():
    inputs = Inputs(1, 1, "periodic")
    frequency, phase, weight = np.zeros((1, TERMS)), np.zeros((1, TERMS)), np.zeros((1, TERMS, 3))
    frequency[0, 1], phase[0, 1] = 0.25, np.pi / 2
    weight[0, 0], weight[0, 1] = [1, 0, 2], [0, 3, 4]
    params = {"frequency": frequency, "phase": phase, "weight": weight, "bias": np.array([[0.5, 0.0, -1.0]])}
    # Term 0 is cos 0 = 1; term 1 at x = 1 is cos(2π·0.25·1 + π/2) = cos π = -1.
    np.testing.assert_allclose(
        inputs.features(np, params, np.array([[1.0]])), [[1, 1 + 0.5, -3, 2 - 4 - 1]], atol=1e-15
    )


def test_a_piecewise_linear_embedding_by_hand():
    inputs = Inputs(1, 1, "piecewise_linear")
    # Quantiles of 0, 1, ..., 16: the edges of 16 bins are these.
    params = draw(inputs, np.arange(TERMS + 1.0)[:, None])
    np.testing.assert_allclose(params["edges"], [np.arange(TERMS + 1)])
    params["weight"] = np.zeros((1, TERMS, 3))
    params["weight"][0, :, 0] = 1
    params["weight"][0, 2, 1] = 1
    params["bias"] = np.array([[0.25, 0.0, 7.0]])
    x = np.array([[-5.0], [0.0], [2.5], [40.0]])
    # The shares of all bins together count the bins below x; of the third one alone 0, 0, ½, 1 lies below.
    expected = [[-5, 0.25, 0, 7], [0, 0.25, 0, 7], [2.5, 2.75, 0.5, 7], [40, 16.25, 1, 7]]
    np.testing.assert_allclose(inputs.features(np, params, x), expected)


def test_bins_between_tied_quantiles_do_no_harm():
    inputs = Inputs(1, 1, "piecewise_linear")
    X = np.array([0.0] * 30 + [1.0, 2.0])[:, None]
    params = draw(inputs, X)
    assert (np.diff(params["edges"]) == 0).any()
    features = inputs.features(np, params, X)  # a division by 0 would be an error
    assert np.isfinite(features).all()
    # At the tied value and below it nothing lies below.
    np.testing.assert_array_equal(inputs.features(np, params, np.array([[0.0], [-3.0]]))[:, 1:], params["bias"][[0, 0]])
    # A number that differs by rounding gives nearly the same: no step at a value that many rows have.
    near = inputs.features(np, params, np.array([[1e-9]]))[:, 1:]
    np.testing.assert_allclose(near, params["bias"], atol=1e-7)


def test_the_scale_folds_into_the_first_layer():
    inputs, rng = CASES["all"], np.random.default_rng(0)
    X, params = columns(inputs), draw(inputs)
    params["scale"] = rng.normal(size=inputs.n_features)
    params["scale"][3] = 0
    layers = tuple(
        (rng.normal(size=(i, j)), rng.normal(size=j), rng.normal(size=j)) for i, j in ((inputs.n_features, 5), (5, 2))
    )
    folded, new = fold_scale(params, layers)
    before = inputs.features(np, params, X) * params["scale"] @ layers[0][0] + layers[0][1]
    np.testing.assert_allclose(inputs.features(np, folded, X) @ new[0][0] + new[0][1], before, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(folded["scale"], np.ones(inputs.n_features))
    assert new[1] is layers[1]
    assert new[0][2] is layers[0][2]
    # Folding it again changes nothing.
    jax.tree.map(np.testing.assert_array_equal, fold_scale(folded, new), (folded, new))


def test_there_may_be_no_scale_to_fold():
    params, layers = draw(CASES["periodic"]), ((np.ones((9, 2)), np.ones(2)),)
    assert fold_scale(params, layers) == (params, layers)
    assert unit_scale(params) is params


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [TERMS, 3 * TERMS, 40 * TERMS])
@pytest.mark.parametrize("embedding", embeddings.NUMERIC_EMBEDDINGS)
def test_blocks_of_rows_and_columns_do_not_show(monkeypatch, embedding, block, dtype):
    inputs = Inputs(9, 7, embedding, (4,))
    X = columns(inputs, n=50, dtype=dtype)
    params = draw(inputs, X, dtype="float32")
    whole = inputs.features(np, params, X)
    monkeypatch.setattr(embeddings, "BLOCK_TERMS", block)
    monkeypatch.setattr(embeddings, "BLOCK_VALUES", block)
    # A product of another number of rows may sum in another order: a few eps.
    np.testing.assert_allclose(inputs.features(np, params, X), whole, rtol=0, atol=4 * np.finfo(dtype).eps)
    jax.tree.map(np.testing.assert_array_equal, draw(inputs, X, dtype="float32"), params)


def test_expansions_of_wide_rows_take_no_more_than_a_block():
    inputs = Inputs(3000, 3000, "periodic")
    X, params = columns(inputs, n=64), draw(inputs)
    tracemalloc.start()
    features = inputs.features(np, params, X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result, and a block with what there is on the way; 60 times as much if all expansions were there at once.
    assert peak < 1.1 * features.nbytes + 4 * 8 * embeddings.BLOCK_TERMS


@pytest.mark.parametrize("n", [0, 1, 2, 255, 256, 257, 1000])
@pytest.mark.parametrize("embedding", embeddings.NUMERIC_EMBEDDINGS)
def test_any_number_of_rows_is_embedded(embedding, n):
    inputs = Inputs(60, 50, embedding, (4,), scaled=True)
    X, params = columns(inputs, n=n), draw(inputs, columns(inputs, n=300))
    features = inputs.features(np, params, X)
    assert features.shape == (n, inputs.n_features)
    for row in {0, n // 2, n - 1} if n else ():
        alone = inputs.features(np, params, X[[row]])
        np.testing.assert_allclose(features[[row]], alone, rtol=0, atol=16 * np.finfo(float).eps)


@pytest.mark.parametrize("embedding", embeddings.NUMERIC_EMBEDDINGS)
def test_nothing_is_written_to_rows_and_parameters(embedding):
    inputs = Inputs(3, 2, embedding, (4,))
    X = columns(inputs)
    params = draw(inputs, X)
    before = jax.tree.map(np.copy, (X, params))
    inputs.features(np, params, X)
    jax.tree.map(np.testing.assert_array_equal, (X, params), before)
