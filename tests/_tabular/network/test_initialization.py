"""Networks before training."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit._tabular.network.initialization import INITIALIZERS, init_params

SIZES = (3, 40, 30, 2)


def features(n=500, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)) * [1, 10, 0.1] + [0, 5, 1]


def start(weight_init, seed=0, sizes=SIZES, activation="mish", dtype="float64", X=None):
    rng = np.random.RandomState(seed)
    return init_params(sizes, activation, rng, dtype, weight_init, features() if X is None else X)


def pre_activations(layers, X, activation="mish"):
    """Return f[n, n_l] of each layer, before the bias."""
    out = []
    for W, b in layers:
        out.append(X @ W)
        X = ACTIVATIONS[activation](np, out[-1] + b)
    return out


@pytest.mark.parametrize("weight_init", INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_dtype_and_seed(weight_init, dtype):
    layers = start(weight_init, dtype=dtype)
    assert [(W.shape, b.shape) for W, b in layers] == [((3, 40), (40,)), ((40, 30), (30,)), ((30, 2), (2,))]
    assert {a.dtype.name for layer in layers for a in layer} == {dtype}
    again, other = start(weight_init, dtype=dtype), start(weight_init, seed=1, dtype=dtype)
    for layer, same, different in zip(layers, again, other, strict=True):
        for a, b in zip(layer, same, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (layer[0] != different[0]).any() or not layer[0].any()


@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh"])
@pytest.mark.parametrize("seed", [0, 7])
def test_initial_weights_are_those_of_scikit_learn(activation, seed):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    for cls, y, n_outputs in [
        (MLPRegressor, rng.normal(size=20), 1),
        (MLPClassifier, np.arange(20) % 2, 1),
        (MLPClassifier, np.arange(20) % 3, 3),
    ]:
        # A step of 1e-300 leaves the weights as they were drawn.
        model = cls(hidden_layer_sizes=(5, 4), activation=activation, solver="sgd", random_state=seed)
        model.set_params(learning_rate_init=1e-300)
        kwargs = {"classes": np.unique(y)} if cls is MLPClassifier else {}
        model.partial_fit(X, y, **kwargs)
        params = init_params((3, 5, 4, n_outputs), activation, np.random.RandomState(seed), "float64")
        for (W, b), coef, intercept in zip(params, model.coefs_, model.intercepts_, strict=True):
            np.testing.assert_array_equal(W, coef)
            np.testing.assert_array_equal(b, intercept)


def test_initial_weights_fill_their_bounds():
    for activation, factor in [("relu", 6), ("logistic", 2)]:
        (W, b), _ = init_params((30, 50, 1), activation, np.random.RandomState(0), "float32")
        bound = np.sqrt(factor / 80)
        assert W.dtype == b.dtype == "float32"
        assert np.abs(W).max() <= bound
        # The largest of 1500 uniform draws is below 99 % of the bound with probability 0.99^1500 = 3e-7.
        assert np.abs(W).max() > 0.99 * bound
        # Mean 0 ± bound/sqrt(3·1500); 5 standard deviations.
        assert abs(W.mean()) < 5 * bound / np.sqrt(3 * 1500)


def test_normal_has_unit_pre_activations_for_unit_inputs_and_a_last_layer_of_0():
    (W1, b1), (W2, b2), (W3, b3) = start("normal", sizes=(100, 400, 300, 2))
    # A standard deviation from N normal draws has a relative error of 1 / sqrt(2N); five of these.
    for weights, std in ((W1, 0.1), (W2, 0.05), (b1, 1.0), (b2, 1.0)):
        assert weights.std() == pytest.approx(std, rel=5 / np.sqrt(2 * weights.size))
        assert weights.mean() == pytest.approx(0, abs=5 * std / np.sqrt(weights.size))
    assert not W3.any()
    assert not b3.any()


@pytest.mark.parametrize("activation", ["mish", "relu", "tanh"])
def test_data_driven_pre_activations_have_standard_deviation_1(activation):
    X = features()
    layers = start("data_driven", activation=activation, X=X)
    for z in pre_activations(layers, X, activation):
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-9)  # of the last layer, too


def test_data_driven_biases_bend_a_unit_where_there_is_data():
    X = features()
    layers = start("data_driven", X=X)
    for z, (_, b) in zip(pre_activations(layers, X), layers, strict=True):
        # z + b is 0 within the range of z; between five rows, and so nearer to its middle than to its ends.
        assert ((z.min(axis=0) <= -b) & (-b <= z.max(axis=0))).all()
        # The mean of 5 draws with Exp(1) weights has variance 2 / (5 + 1) = 1/3 about that of the rows, which is 1.
        n = b.size
        assert np.mean(b + z.mean(axis=0)) == pytest.approx(0, abs=5 * np.sqrt(1 / 3 / n))


def test_data_driven_weights_count_as_copies():
    X, counts = features(60), np.random.default_rng(1).integers(0, 4, 60)
    weighted, copies = (
        init_params(SIZES, "mish", np.random.RandomState(0), "float64", "data_driven", rows, weight)
        for rows, weight in ((X, counts), (np.repeat(X, counts, axis=0), None))
    )
    for layer, other in zip(weighted, copies, strict=True):
        for a, b in zip(layer, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_data_driven_units_without_spread_stay_finite():
    X = np.full((50, 3), 2.0)
    layers = start("data_driven", X=X)
    assert all(np.isfinite(a).all() for layer in layers for a in layer)
    np.testing.assert_allclose(pre_activations(layers, X)[0] + layers[0][1], 0, atol=1e-12)
