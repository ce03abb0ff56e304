"""Of few mini-batches, all damages are measured before a bandit begins: one program for all, and the same scores."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.pytree import pytree_dataclass
from skbandit._core.rows import Batches
from skbandit._core.scope import jax_scope
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import Bandit, LeaveOneOut, resolve
from skbandit.policies import POLICIES
from skbandit.pruning import scoring
from skbandit.pruning.scoring import make_problem, score_units


@pytest.fixture
def make():
    """Return a function that makes a problem: a random network, rows, and what of the units is there."""

    def problem(sizes=(4, 7, 5, 2), n=300, pulls=40, loss="squared_error", seed=0):
        rng = np.random.default_rng(seed)
        network = MLP(sizes, "tanh", loss)
        params = tuple(
            (rng.standard_normal((a, b)).astype("f"), rng.standard_normal(b).astype("f")) for a, b in pairwise(sizes)
        )
        X, y = rng.standard_normal((n, sizes[0])), rng.standard_normal((n, sizes[-1]))
        active = np.ones(sum(sizes[1:-1]), bool)
        active[2] = False
        batches = Batches.partition(rng, X, y, rng.exponential(size=n), "float32", 256)
        made = make_problem(network, params, batches, active, None, n_pulls=pulls, n_remove=3, scope="global")
        return made, active

    with jax_scope():
        yield problem


def both_ways(criterion, problem, active, monkeypatch, seed=5):
    found = []
    for at_most in (0, 2):
        monkeypatch.setattr(scoring, "TABLE_BATCHES", at_most)
        found.append(score_units(criterion, np.uint32(seed), None, problem, active)[1])
    return found


@pytest.mark.parametrize("name", [*POLICIES, "warm_racing", "sequential_racing", "warm_top_two_thompson"])
@pytest.mark.parametrize("pulls", [11, 40])
def test_every_policy_pulls_and_scores_the_same(name, pulls, make, monkeypatch):
    problem, active = make(pulls=pulls)
    assert problem.n_batches_max == 2
    pulled, looked_up = both_ways(resolve(name), problem, active, monkeypatch)
    assert pulled.n_pulls == looked_up.n_pulls
    np.testing.assert_array_equal(pulled.info["pulls"], looked_up.info["pulls"])
    # The same arithmetic in another program: XLA may round it in another way.
    for a, b in zip((pulled.value, pulled.damage), (looked_up.value, looked_up.damage), strict=True):
        np.testing.assert_allclose(np.asarray(a)[active], np.asarray(b)[active], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sizes", [(4, 9, 1), (4, 6, 5, 3, 1), (3, 8, 4)])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_networks_of_other_shapes_score_the_same(sizes, loss, make, monkeypatch):
    problem, active = make(sizes=sizes, loss=loss, n=100, pulls=2**20)
    pulled, looked_up = both_ways(Bandit(), problem, active, monkeypatch)
    assert pulled.n_pulls == looked_up.n_pulls == active.sum() * int(problem.batches.n_batches)
    np.testing.assert_allclose(pulled.damage, looked_up.damage, rtol=1e-4, atol=1e-6)


def test_the_damages_are_compiled_once_for_all_policies(make, compilations):
    problem, active = make(sizes=(4, 19, 3, 1))
    for name in POLICIES:
        score_units(resolve(name), np.uint32(0), None, problem, active)
    assert compilations.count("jit(_table)") == 1
    assert compilations.count("jit(_score)") == len(POLICIES)


@pytest.mark.parametrize(
    ("criterion", "n", "most_units"), [(LeaveOneOut(), 300, 1024), (Bandit(), 600, 1024), (Bandit(), 300, 11)]
)
def test_who_does_not_look_up_and_many_rows_or_units_have_no_table(criterion, n, most_units, make, monkeypatch):
    problem, active = make(n=n)
    monkeypatch.setattr(scoring, "_measured", None)
    monkeypatch.setattr(scoring, "TABLE_UNITS", most_units)
    scores = score_units(criterion, np.uint32(0), None, problem, active)[1]
    assert np.isfinite(np.asarray(scores.damage)[active]).all()


@pytree_dataclass
class OfHalfTheNetwork(Bandit):
    """A criterion of a user's that pulls in another network than the one it was given."""

    def step(self, key, state, problem, active):
        state, scores = super().step(key, state, problem, active)
        gates = tuple(gate * 0.5 for gate in problem.gates)
        damage, _ = dataclasses.replace(problem, gates=gates).pull(0, active)
        return state, scores._replace(value=-damage)


def test_a_pull_is_measured_whatever_was_measured_beforehand(make, monkeypatch):
    problem, active = make()
    pulled, looked_up = both_ways(OfHalfTheNetwork(), problem, active, monkeypatch)
    np.testing.assert_allclose(pulled.value, looked_up.value, rtol=1e-4, atol=1e-6)
    assert not np.allclose(looked_up.value, -np.asarray(looked_up.damage), rtol=1e-2)


@pytree_dataclass
class OfNoWeights(Bandit):
    """Ranks the units of another problem than the one that is given."""

    def step(self, key, state, problem, active):
        zeros = jax.tree.map(jnp.zeros_like, problem.params)
        return super().step(key, state, dataclasses.replace(problem, params=zeros), active)


def test_a_subclass_may_change_the_problem(make):
    problem, active = make()
    assert problem.n_batches_max == 2
    _, scores = score_units(OfNoWeights(), np.uint32(5), None, problem, active)
    np.testing.assert_array_equal(scores.damage, 0)


def test_a_damage_that_is_not_finite_stays_its_own(make, monkeypatch):
    problem, active = make()
    (W, b), *others = problem.params
    W = W.copy()
    W[:, 0] = np.nan
    problem = dataclasses.replace(problem, params=((W, b), *others))
    pulled, looked_up = both_ways(Bandit(), problem, active, monkeypatch)
    for a, b in zip(jax.tree.leaves(pulled), jax.tree.leaves(looked_up), strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
