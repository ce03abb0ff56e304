"""A network's loss and score on held-out rows: in chunks, and with rows that are embedded on the way."""

import numpy as np
import pytest
from scipy import sparse

from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.network import inference
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.pruning import task
from skbandit._tabular.pruning.judge import Judge
from skbandit._tabular.pruning.task import judge_of
from skbandit._tabular.types import Network, Rows


def setting(loss, n_features=3, n=30):
    rng = np.random.default_rng(0)
    network = MLP((n_features, 5, 4, 3), "tanh", loss)
    layers = init_params(network.layer_sizes, "tanh", np.random.RandomState(0), "float64")
    y = rng.integers(0, 3, (n, 1)).astype(float) if loss == "log_loss" else rng.normal(size=(n, 3))
    gates = (np.array([1.0, 0, 1, 1, 1]), np.ones(4))
    return network, layers, gates, y, rng.exponential(size=n), rng.normal(size=(n, 3))


@pytest.mark.parametrize("chunk", [1, 7, 30, 2048])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_chunks_of_rows_give_what_all_rows_give(monkeypatch, loss, chunk):
    network, layers, gates, y, weight, X = setting(loss)
    z = np.asarray(network.apply(layers, X, gates))
    monkeypatch.setattr(inference, "CHUNK_ROWS", chunk)
    for rows in (X, sparse.csr_array(X)):
        judge = Judge(rows, y, weight, network)
        # JAX computes in float32 here.
        assert judge.loss(layers, gates) == pytest.approx(LOSSES[loss].mean(z, y, weight), rel=1e-5)
        assert judge.score(layers, gates) == pytest.approx(float(LOSSES[loss].score(np, z, y, weight)), rel=1e-4)


def test_rows_that_would_be_many_when_embedded_are_embedded_on_the_way(monkeypatch):
    inputs = Inputs(3, 3, "periodic")
    network, layers, gates, y, weight, X = setting("squared_error", inputs.n_features)
    start = Network(inputs.init(np.random.RandomState(0), "float64"), layers)
    training = type("Settings", (), {"network": Trainable(network, inputs), "dtype": "float64"})()
    rows = Rows(X, y, weight)
    once = judge_of(start, rows, training)
    assert once.X.shape == (30, inputs.n_features)
    monkeypatch.setattr(task, "CALIBRATION_VALUES", 30)
    anew = judge_of(start, rows, training)
    assert anew.X.shape == X.shape
    assert anew.loss(layers, gates) == once.loss(layers, gates)
    assert anew.score(layers, gates) == once.score(layers, gates)
