"""A small network, rows to train it on, and a short run of training that the tests change one thing of."""

import dataclasses

import jax
import numpy as np
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.training import fit
from skbandit._tabular.training.settings import TrainSettings
from skbandit._tabular.training.solvers import Hyper
from skbandit._tabular.types import Network, Rows


def plain_network(layer_sizes, activation, loss, **inputs):
    """Return a network whose inputs are plain columns."""
    return Trainable(MLP(layer_sizes, activation, loss), Inputs(layer_sizes[0], **inputs))


NETWORK = plain_network((3, 4, 1), "relu", "squared_error")
SETTINGS = TrainSettings(
    network=NETWORK,
    solver="adam",
    hyper=Hyper(),
    parametrization="standard",
    regularization_schedule="constant",
    learning_rate="constant",
    learning_rate_init=1e-2,
    power_t=0.5,
    batch_size=16,
    balanced_batches=False,
    max_iter=7,
    horizon=7,
    shuffle=True,
    early_stopping=False,
    max_fun=15000,
    dtype="float32",
)


class Listener:
    """Hears of every epoch, after its chunk or one at a time."""

    def __init__(self, every_epoch=False, after=None):
        self.every_epoch = every_epoch
        self.after = after
        self.losses = []

    def epoch(self, n_iter, loss, score, network):
        self.losses.append(loss)
        assert n_iter == len(self.losses)
        return self.after is not None and bool(self.after(n_iter, network))


@pytest.fixture(scope="session")
def trainable():
    """``trainable(layer_sizes, activation, loss, **inputs)``: a network whose inputs are plain columns."""
    return plain_network


@pytest.fixture(scope="session")
def small_network():
    """Three columns, four units, one output."""
    return NETWORK


@pytest.fixture(scope="session")
def base_settings():
    """How the small network is trained."""
    return SETTINGS


@pytest.fixture(scope="session")
def with_dropout():
    """Changes of the settings: a network that learns, with dropout in its program."""
    return {"network": dataclasses.replace(NETWORK, dropout=True), "hyper": Hyper(dropout=0.5), "shuffle": False}


@pytest.fixture(scope="session")
def make_listener():
    """``make_listener(every_epoch, after)``, where ``after(n_iter, network)`` may end training."""
    return Listener


@pytest.fixture(scope="session")
def rows():
    """``rows(n, seed, loss, fractional)``: rows of three columns, with a target for the loss, and their weights."""

    def make(n=50, seed=0, loss="squared_error", fractional=True):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, 3))
        y = {
            "squared_error": X.sum(axis=1) + 0.1 * rng.normal(size=n),
            "poisson": rng.poisson(np.exp(X[:, 0] / 2)),
            "log_loss": np.argsort(X, axis=1)[:, 0],
            "binary_log_loss": X[:, 0] > 0,
        }[loss]
        return Rows(X, y[:, None].astype(float), rng.exponential(size=n) if fractional else np.ones(n))

    return make


@pytest.fixture(scope="session")
def train():
    """Train on rows, by the base settings but for ``changes`` of them."""

    def run(on, start=None, seed=0, held_out=None, listener=None, data=None, opt_leaves=None, n_steps=0, **changes):
        settings = dataclasses.replace(SETTINGS, **changes)
        mlp = settings.network.mlp
        with jax_scope(settings.dtype):
            if start is None:
                start = init_params(mlp.layer_sizes, mlp.activation, np.random.RandomState(0), settings.dtype)
            if not isinstance(start, Network):
                start = Network({}, start)
            if data is not None:
                data = data(settings.dtype)
            listener = listener or Listener()
            return fit.train(start, opt_leaves, on, held_out, settings, seed, n_steps, reporter=listener, data=data)

    return run


#: A number that is embedded, one that is not, and a code of three categories.
TABULAR = {"n_dense": 2, "n_embedded": 1, "cardinalities": (3,), "scaled": True}


@pytest.fixture(scope="session")
def tabular():
    """``tabular(embedding)``: rows, a network of four units with slopes, and its start, where nothing is special."""

    def make(embedding):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.normal(size=(30, 2)), rng.integers(3, size=30)])
        on = Rows(X, X[:, :1] + (X[:, 2:] == 1), rng.exponential(size=30))
        inputs = Inputs(embedding=embedding, **TABULAR)
        network = Trainable(MLP((inputs.n_features, 4, 1), "mish", "squared_error", parametric=True), inputs)
        params = inputs.init(np.random.RandomState(1), "float64", X)
        params["scale"] = rng.normal(size=inputs.n_features)
        (W1, b1), last = init_params(network.mlp.layer_sizes, "mish", np.random.RandomState(1), "float64")
        return on, network, Network(params, ((W1, b1, rng.normal(size=4)), last))

    return make


@pytest.fixture(scope="session")
def assert_equal():
    """Compare the arrays of two trees, bit for bit."""

    def compare(a, b):
        jax.tree.map(np.testing.assert_array_equal, a, b)

    return compare


@pytest.fixture(scope="session")
def assert_close():
    """Compare the arrays of two trees, to ``atol``."""

    def compare(a, b, atol):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol), a, b)

    return compare
