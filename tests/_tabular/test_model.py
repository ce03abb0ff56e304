"""A fitted network in NumPy: what it reads, what it gives out, and the way back to what was trained."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.features import embeddings
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.model import Architecture, Model, raw_outputs
from skbandit._tabular.network.inference import CHUNK_BYTES, CHUNK_ROWS

RNG = np.random.default_rng(0)
#: Mean and scale of two targets.
TARGET = (np.array([100.0, -3.0]), np.array([20.0, 0.5]))


def layers_of(sizes, parametric=False):
    layers = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        slope = (RNG.random(fan_out),) if parametric and i < len(sizes) - 2 else ()
        layers.append((RNG.normal(size=(fan_in, fan_out)), RNG.normal(size=fan_out), *slope))
    return tuple(layers)


def plain(hidden=(5, 3), parametric=False, trained=None):
    architecture = Architecture(None, Inputs(4), trained or hidden, 2, "tanh", parametric, "squared_error")
    return architecture, layers_of((4, *hidden, 2), parametric)


@pytest.mark.parametrize("parametric", [False, True])
def test_the_output_is_that_of_the_layers_on_the_scale_of_the_target(parametric):
    architecture, layers = plain(parametric=parametric)
    model = Model.of_layers(architecture, {}, layers, TARGET, "float64")
    X = RNG.normal(size=(10, 4))
    h = X
    for W, b, *slope in layers[:-1]:
        z = h @ W + b
        h = z + slope[0] * (np.tanh(z) - z) if slope else np.tanh(z)
    expected = (h @ layers[-1][0] + layers[-1][1]) * TARGET[1] + TARGET[0]
    np.testing.assert_allclose(model.raw_output(X), expected, rtol=1e-12)
    np.testing.assert_allclose(model.raw_output(sparse.csr_array(X)), expected, rtol=1e-12)


@pytest.mark.parametrize("parametric", [False, True])
def test_to_layers_is_the_way_back(parametric):
    architecture, layers = plain(parametric=parametric)
    inputs = {"scale": np.array([2.0, 0.5, 1.0, 3.0])}
    (W, *rest), *others = layers
    folded = ((inputs["scale"][:, None] * W, *rest), *others)
    model = Model.of_layers(architecture, inputs, folded, TARGET, "float64")
    again, found = model.to_layers(TARGET, "float64")
    np.testing.assert_array_equal(again["scale"], inputs["scale"])
    for a, b in zip(found, layers, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12)


def test_the_mean_of_the_target_stays_in_float64():
    architecture, layers = plain()
    layers = tuple(tuple(a.astype(np.float32) for a in layer) for layer in layers)
    model = Model.of_layers(architecture, {}, layers, (np.array([1e9, 0.0]), np.array([1e-3, 1.0])), "float32")
    assert model.coefs[-1].dtype == np.float32
    assert model.intercepts[-1].dtype == np.float64
    assert len(np.unique(model.raw_output(RNG.normal(size=(50, 4)).astype(np.float32))[:, 0])) == 50


def test_counts_are_those_of_the_arrays_before_and_after_pruning():
    architecture, layers = plain(hidden=(4, 2), parametric=True, trained=(5, 3))
    model = Model.of_layers(architecture, {}, layers)
    arrays = [*model.coefs, *model.intercepts, *model.slopes]
    assert model.hidden_layer_sizes == (4, 2)
    assert model.n_parameters == sum(a.size for a in arrays)
    assert model.n_macs == sum(W.size for W in model.coefs)
    assert architecture.n_macs() == 4 * 5 + 5 * 3 + 3 * 2
    assert architecture.n_parameters() == architecture.n_macs() + (5 + 3 + 2) + (5 + 3)


def test_models_that_share_an_encoder_encode_once(monkeypatch):
    X = RNG.normal(size=(CHUNK_ROWS + 10, 4))
    encoder = FeatureEncoder.fit(X, np.ones(len(X)), (), embed=False)
    architecture = Architecture(encoder, Inputs(4), (5,), 1, "relu", False, "squared_error")
    models = [Model.of_layers(architecture, {}, layers_of((4, 5, 1))) for _ in range(3)]
    expected = [model.raw_output(X) for model in models]
    calls, original = [], FeatureEncoder.transform
    monkeypatch.setattr(FeatureEncoder, "transform", lambda self, X, dtype: calls.append(len(X)) or original(self, X))
    for found, alone in zip(raw_outputs(models, X).whole(), expected, strict=True):
        np.testing.assert_allclose(found, alone, rtol=1e-12)
    assert calls == [CHUNK_ROWS, 10]


@pytest.mark.parametrize(("dtype", "of_intercepts"), [("float32", "float32"), ("float32", "float64"), ("float64",) * 2])
@pytest.mark.parametrize("n_members", [1, 3])
def test_a_chunk_holds_the_outputs_of_all_members(n_members, dtype, of_intercepts):
    architecture = Architecture(None, Inputs(4), (2,), 2000, "relu", False, "log_loss")
    (hidden, (W, b)) = layers_of((4, 2, 2000))
    models = [Model.of_layers(architecture, {}, (hidden, (W, b.astype(of_intercepts)))) for _ in range(n_members)]
    sizes = []

    def decided(raw):
        # Of each output there are four arrays at a time: raw, a prediction, and what is on the way from one to another.
        sizes.append(4 * sum(z.nbytes for z in raw))
        return raw[0].argmax(axis=1)

    raw_outputs(models, np.ones((3000, 4), dtype)).map(decided)
    assert max(sizes) <= CHUNK_BYTES
    assert sizes[0] > 0.9 * CHUNK_BYTES


def embedded(dtype, scale=True, n_models=1, loss="squared_error"):
    """Networks that embed a time stamp of a few weeks, in nanoseconds, and a small number."""
    X = np.column_stack([1.7e18 + 1e15 * RNG.random(400), RNG.normal(size=400)])
    encoder = FeatureEncoder.fit(X, scale=scale)
    inputs = Inputs(2, 2, "periodic")
    architecture = Architecture(encoder, inputs, (5,), 1, "tanh", False, loss)
    models = []
    for seed in range(n_models):
        layers = tuple(tuple(a.astype(dtype) for a in layer) for layer in layers_of((inputs.n_features, 5, 1)))
        models.append(Model.of_layers(architecture, inputs.init(np.random.RandomState(seed), dtype), layers))
    return models, X


@pytest.mark.parametrize("n_models", [1, 3])
def test_embedded_numbers_are_computed_in_the_precision_of_the_weights(n_models, monkeypatch):
    models, X = embedded("float32", n_models=n_models)
    seen, original = [], embeddings.features_on_host
    recorded = lambda networks, X: seen.append(X.dtype) or original(networks, X)  # noqa: E731
    monkeypatch.setattr(embeddings, "features_on_host", recorded)
    monkeypatch.setattr("skbandit._tabular.model.features_on_host", recorded)
    found = raw_outputs(models, X).whole()
    assert set(seen) == {np.dtype("float32")}
    for z, model in zip(found, models, strict=True):
        assert z.dtype == "float64"  # what is made of it is computed in the precision of the rows
        coefs = [W.astype("float64") for W in model.coefs]
        precise = Model(model.architecture, model.input_params, coefs, model.intercepts)
        # Sums of 16 and of 5 terms of size 1, in float32. Rounded before they are scaled, all stamps were about alike.
        np.testing.assert_allclose(z, precise.raw_output(X), rtol=0, atol=1e-5)
        assert np.ptp(z) > 0.1


def test_weights_of_float64_keep_their_digits():
    (model,), X = embedded("float64")
    inputs, (W1, W2), (b1, b2) = model.architecture.inputs, model.coefs, model.intercepts
    features = inputs.features(np, model.input_params, model.architecture.encode(X))
    assert features.dtype == "float64"
    np.testing.assert_allclose(model.raw_output(X), np.tanh(features @ W1 + b1) @ W2 + b2, rtol=1e-13, atol=1e-13)


def test_embedded_numbers_that_are_not_scaled_keep_the_precision_of_the_rows():
    # float32 cannot tell such stamps apart.
    (model,), X = embedded("float32", scale=False)
    assert model.precision(X.dtype) == "float64"


@pytest.mark.parametrize(("rows", "weights"), [("float32", "float64"), ("float32", "float32"), ("float64", "float64")])
def test_rows_are_never_computed_in_more_than_their_own_precision(rows, weights):
    (model,), X = embedded(weights)
    assert model.precision(np.dtype(rows)) == rows
    assert model.raw_output(X.astype(rows)).dtype == np.result_type(rows, model.intercepts[-1])


def test_other_networks_are_computed_in_the_precision_of_the_rows():
    architecture, layers = plain()
    layers = tuple(tuple(a.astype("float32") for a in layer) for layer in layers)
    model = Model.of_layers(architecture, {}, layers)
    for dtype in ("float32", "float64"):
        assert model.precision(np.dtype(dtype)) == dtype


def test_weights_that_are_changed_are_those_that_predict():
    (model,), X = embedded("float32")
    model.raw_output(X)
    model.coefs[-1][:] = 0
    assert np.ptp(model.raw_output(X)) == 0
    model.intercepts[-1] = np.array([7.0])
    np.testing.assert_array_equal(model.raw_output(X), 7)
