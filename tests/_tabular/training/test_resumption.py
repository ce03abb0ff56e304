"""The optimizer's state follows the parameters: what it knows of old gradients is true of the new ones."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import renewed
from skbandit._tabular.model import Architecture, Model
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.reparametrization import Reparametrization
from skbandit._tabular.training.resumption import resumed_state
from skbandit._tabular.training.solvers import MOMENTS, SOLVERS, init_opt_state
from skbandit._tabular.types import Network

RNG = np.random.default_rng(0)
FEW, MANY = RNG.normal(size=(20, 3)), 5 + 3 * RNG.normal(size=(60, 3))
BOTH = np.concatenate([FEW, MANY])
Y = 10 + 4 * RNG.normal(size=(80, 2))


def architecture_of(encoder):
    inputs = Inputs(encoder.n_dense, scaled=True)
    return Architecture(encoder, inputs, (5,), 2, "tanh", False, "squared_error")


@pytest.fixture
def model():
    architecture = architecture_of(FeatureEncoder.fit(FEW, clip=False, embed=False))
    layers = [(RNG.normal(size=s), RNG.normal(size=s[1])) for s in pairwise(architecture.layer_sizes())]
    return Model.of_layers(architecture, {"scale": np.array([0.5, 1.0, 2.0])}, layers, dtype="float64")


def gradients(model, target):
    """Return the gradient of the loss on the encoded target, as one vector, and the network."""
    architecture, network = model.architecture, Network(*model.to_layers(target, "float64"))
    trainable = Trainable(MLP(architecture.layer_sizes(), "tanh", "squared_error", False), architecture.inputs)
    mean, scale = target

    def loss(params):
        gates = (jnp.ones(5),)
        return jnp.mean(jnp.square(trainable.apply(params, architecture.encode(BOTH), gates) - (Y - mean) / scale))

    with jax.enable_x64(True):
        leaves = jax.tree.leaves(jax.grad(loss)((network.inputs, network.layers)))
    return np.concatenate([np.ravel(leaf) for leaf in leaves]), network


ONE, ANOTHER = (np.zeros(2), np.ones(2)), (np.full(2, 9.0), np.full(2, 4.0))


@pytest.mark.parametrize("solver", ["sgd", "lion", "adam"])
@pytest.mark.parametrize("target", [ONE, ANOTHER])
@pytest.mark.parametrize("rescaled", [False, True])
def test_a_mean_of_gradients_is_that_of_the_new_parameters(solver, target, rescaled, model):
    gradient, before = gradients(model, ONE)
    columns = None
    if rescaled:
        encoder = renewed(model.architecture.encoder, FeatureEncoder.fit(BOTH, clip=False, embed=False))
        after = architecture_of(encoder)
        columns = Reparametrization.of(model.architecture, after, (FEW, np.ones(20)), (BOTH, np.ones(80)))
        model = columns.model(model, np.random.RandomState(0))
    expected, network = gradients(model, target)
    ratio = None if target is ONE else ONE[1] / target[1]
    state = [gradient if order == 1 else gradient**2 if order == 2 else np.int32(7) for order in MOMENTS[solver]]
    found = resumed_state(state, solver, before, network, columns, ratio)
    for leaf, order in zip(found, MOMENTS[solver], strict=True):
        if order == 1:
            np.testing.assert_allclose(leaf, expected, rtol=1e-6, atol=1e-9)
        elif order == 0:
            assert leaf == 7
        elif not rescaled:
            np.testing.assert_allclose(leaf, expected**2, rtol=1e-6, atol=1e-9)
        else:
            assert (leaf >= 0).all()


def test_every_solver_says_what_its_state_is_of():
    params = ({}, ((np.ones((2, 3)), np.ones(3)),))
    assert MOMENTS.keys() == SOLVERS.keys()
    for solver, orders in MOMENTS.items():
        sizes = [np.size(leaf) for leaf in jax.tree.leaves(init_opt_state(params, solver))]
        assert sizes == [9 if order else 1 for order in orders]


def test_the_state_of_a_transformation_of_the_users_stays_where_the_parameters_are_of_the_same_columns(model):
    state, solver = [np.ones(3)], optax.adam(0.1)
    _, network = gradients(model, ONE)
    assert resumed_state(state, solver, network, network, None, np.full(2, 0.5)) is state
    columns = Reparametrization.of(model.architecture, model.architecture, *2 * ((FEW, np.ones(20)),))
    assert resumed_state(state, solver, network, network, columns, None) is None
