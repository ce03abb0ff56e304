"""Criteria with a training of their own, on a network in which it is known who matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import DAIS, BiP, IterativeSoftShrinkage, MaskDecay, Problem
from skbandit.criteria.gates import _kept, _unit_products

#: Of eight units these three do something; the others have small weights, in and out.
NEEDED = [1, 4, 6]
CRITERIA = [DAIS(), BiP(), IterativeSoftShrinkage(), MaskDecay()]


def make(n_remove=5, room=7, off=()):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype("float32")
    W = (0.05 * rng.normal(size=(4, 8))).astype("float32")
    V = (0.05 * rng.normal(size=(8, 1))).astype("float32")
    W[:, NEEDED], V[NEEDED] = rng.normal(size=(4, 3)), 1.5
    y = np.tanh(X @ W[:, NEEDED]) @ V[NEEDED]
    network = MLP((4, 8, 1), "tanh", "squared_error")
    params = ((W, np.zeros(8, "float32")), (V, np.zeros(1, "float32")))
    gates = np.ones(8, "float32")
    gates[list(off)] = 0
    return Problem(
        params=network.groups.zero(params, [np.array(off, int)]),
        gates=(gates,),
        emissions=(np.zeros(8, "float32"),),
        batches=Batches.partition(rng, X, y, np.ones(200), "float32", 64),
        budget=np.int32(0),
        n_remove=np.int32(n_remove),
        room=np.array([room], np.int32),
        network=network,
        arms_per_step=1,
    )


def run(criterion, problem):
    active = np.concatenate(problem.gates) > 0
    return np.asarray(jax.jit(lambda c, p: c.step(jax.random.key(0), (), p, active)[1].value)(criterion, problem))


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.name)
def test_units_that_do_something_stay(criterion):
    assert sorted(np.argsort(run(criterion, make()))[:3]) == NEEDED


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.name)
def test_the_network_itself_is_not_trained(criterion):
    problem = make()
    before = jax.tree.map(np.copy, problem.params)
    run(criterion, problem)
    jax.tree.map(np.testing.assert_array_equal, before, problem.params)


def test_kept_units_leave_room():
    problem = make(n_remove=5, room=2)
    kept = _kept(problem, jnp.arange(8.0), jnp.ones(8, bool))
    assert kept.tolist() == [False, False] + [True] * 6


def test_outgoing_weights_are_scaled_and_multiplied():
    problem = make()
    factor = jnp.arange(8.0)
    scaled = problem.network.groups.scale_outgoing(problem.params, factor)
    np.testing.assert_allclose(scaled[1][0], problem.params[1][0] * np.arange(8.0)[:, None])
    np.testing.assert_array_equal(scaled[0][0], problem.params[0][0])
    products = _unit_products(problem.network.groups, problem.params, scaled)
    np.testing.assert_allclose(products, (problem.params[1][0][:, 0] ** 2) * np.arange(8.0), rtol=1e-6)


def test_dais_reaches_its_budget():
    """The gates harden around as many open ones as the budget leaves."""
    for n_remove in (2, 5):
        alpha = -run(DAIS(n_steps=2000, budget_weight=1.0), make(n_remove))
        assert abs(np.sum(alpha > 0) - (8 - n_remove)) <= 1


def test_soft_shrinkage_shrinks_the_least():
    norms = -run(IterativeSoftShrinkage(learning_rate=0.0, n_steps=100), make())
    start = -run(IterativeSoftShrinkage(learning_rate=0.0, n_steps=1, shrinkage=0.999999), make())
    others = [u for u in range(8) if u not in NEEDED]
    np.testing.assert_allclose(norms[NEEDED], start[NEEDED], rtol=1e-5)
    np.testing.assert_allclose(norms[others], start[others] * 0.99**100, rtol=1e-3)
