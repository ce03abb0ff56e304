import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.network import trainable
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.types import Network

#: Three units; inputs that are plain columns, and inputs with all that there is.
PLAIN = Inputs(2)
FULL = Inputs(n_dense=2, n_embedded=1, embedding="periodic", cardinalities=(3,), scaled=True)


@pytest.mark.parametrize("inputs", [PLAIN, FULL], ids=["plain", "full"])
def test_training_computes_what_prediction_computes(inputs):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(7, 2)), rng.integers(3, size=7)])[:, : 2 + len(inputs.cardinalities)]
    params = inputs.init(np.random.RandomState(0), "float64")
    if inputs.scaled:
        params["scale"] = rng.normal(size=inputs.n_features)
    layers = ((rng.normal(size=(inputs.n_features, 3)), rng.normal(size=3)), (rng.normal(size=(3, 1)), np.ones(1)))
    network = Trainable(MLP((inputs.n_features, 3, 1), "tanh", "squared_error"), inputs)
    with jax_scope("float64"):
        z = network.apply((params, layers), jnp.asarray(X), (jnp.ones(3),))
    folded, ((W1, b1), (W2, b2)) = Network(params, layers).folded()
    expected = raw_output(X, [W1, W2], [b1, b2], "tanh", features=lambda X: inputs.features(np, folded, X))
    np.testing.assert_allclose(z, expected, rtol=1e-12)


def test_the_scale_of_a_wide_network_goes_into_its_weights(monkeypatch):
    rng = np.random.default_rng(0)
    X, layers = rng.normal(size=(5, 6)), ((rng.normal(size=(6, 3)), rng.normal(size=3)), (np.ones((3, 1)), np.ones(1)))
    network, params = Trainable(MLP((6, 3, 1), "tanh", "squared_error"), Inputs(6, scaled=True)), {"scale": X[0]}

    def summed(params):
        return jnp.sum(network.apply(params, jnp.asarray(X), (jnp.ones(3),)))

    with jax_scope("float64"):
        narrow = jax.value_and_grad(summed)((params, layers))
        monkeypatch.setattr(trainable, "WIDE", 6)
        wide = jax.value_and_grad(summed)((params, layers))
        rows = str(jax.make_jaxpr(jax.grad(summed))((params, layers)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), wide, narrow)
    # No array of the size of the rows is computed.
    assert "f64[5,6]" not in rows.partition("lambda ; ")[2]


def test_gates_and_dropout_act_on_what_a_layer_emits():
    layers = ((np.ones((2, 3)), np.zeros(3)), (np.array([[1.0], [10.0], [100.0]]), np.zeros(1)))
    network = Trainable(MLP((2, 3, 1), "identity", "squared_error"), PLAIN)
    seen = []

    def drop(layer, a):
        seen.append((layer, np.asarray(a)))
        return a * jnp.array([0.0, 1.0, 1.0])

    with jax_scope("float64"):
        # Each unit emits 1 + 2; the last is masked, and the first drops out.
        z = network.apply(({}, layers), jnp.array([[1.0, 2.0]]), (jnp.array([1.0, 1.0, 0.0]),), drop)
    np.testing.assert_array_equal(z, [[30.0]])
    ((layer, emitted),) = seen
    assert layer == 0
    np.testing.assert_array_equal(emitted, [[3.0, 3.0, 0.0]])
