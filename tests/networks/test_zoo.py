"""The networks of the zoo are what the tests of groups take them for: traceable, with outputs that depend on all."""

import jax
import numpy as np
import pytest
from zoo import PLAIN
from zoo_equinox import EQUINOX
from zoo_flax import FLAX
from zoo_haiku import HAIKU

MAKERS = {"jax": PLAIN, "flax": FLAX, "equinox": EQUINOX, "haiku": HAIKU}


@pytest.mark.parametrize(
    ("framework", "make"),
    [pytest.param(name, make, id=make.__name__) for name, makers in MAKERS.items() for make in makers],
)
def test_every_network_of_the_zoo_runs_under_jit(framework, make):
    pytest.importorskip(framework)
    network = make()
    state = () if network.state is None else (network.state,)
    outputs = jax.jit(network.apply)(network.params, *state, *network.example)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(outputs)]
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    # No two rows of outputs are alike: nothing is cut off on the way from the inputs.
    assert len(np.unique(leaves[0].reshape(len(leaves[0]), -1), axis=0)) == len(network.example[0])
    assert network.expected is None or network.expected == tuple(sorted(network.expected))
