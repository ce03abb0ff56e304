import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import BudgetedGreedy, GreedyLeaveOneOut, LeaveOneOut, Problem


@pytest.mark.parametrize("fast", [True, False])
def test_leave_one_out_is_a_loop_over_the_units_on_all_rows(fast):
    network = MLP((3, 5, 4, 1), "tanh", "squared_error")
    rng = np.random.default_rng(0)
    params = init_params(network.layer_sizes, "tanh", np.random.RandomState(0), "float64")
    X, y, weight = rng.normal(size=(43, 3)), rng.normal(size=(43, 1)), rng.exponential(size=43)
    weight[:5] = 0
    active = np.arange(9) != 2

    def loss(mask):
        kept = [np.flatnonzero(part) for part in network.groups.split(mask)]
        compact = network.groups.compact(params, kept)
        return LOSSES["squared_error"].mean(raw_output(X, *zip(*compact, strict=True), "tanh"), y, weight)

    expected = np.zeros(9)
    for unit in np.flatnonzero(active):
        expected[unit] = loss(active & (np.arange(9) != unit)) - loss(active)

    with jax.enable_x64(True):
        problem = Problem(
            params=params,
            gates=network.groups.split(active.astype(float)),
            emissions=network.groups.split(np.zeros(9)),
            batches=Batches.partition(rng, X, y, weight, "float64", 16),  # three batches: 15, 14 and 14 rows
            budget=np.int32(0),
            n_remove=np.int32(1),
            room=np.full(len(network.groups.sizes), 99, np.int32),
            network=network if fast else WithoutEvaluator(network),
            arms_per_step=1,
        )
        _, scores = jax.jit(lambda problem: LeaveOneOut().step(jax.random.key(0), (), problem, jnp.asarray(active)))(
            problem
        )
        scores = jax.tree.map(np.asarray, scores)
    np.testing.assert_allclose(scores.damage, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(scores.value, -scores.damage)
    assert scores.n_pulls == 8 * 3


class WithoutEvaluator:
    """The same network, without its fast way to the damages."""

    def __init__(self, network):
        self.groups, self.batch_loss = network.groups, network.batch_loss
        self.key = network

    def __eq__(self, other):
        return isinstance(other, WithoutEvaluator) and self.key == other.key

    def __hash__(self):
        return hash(self.key)


def test_greedy_is_the_loop_of_leave_one_out():
    network, params, X, y, weight = greedy_case()
    left, order = np.ones(9, bool), []
    for _ in range(4):
        losses = {}
        for unit in np.flatnonzero(left):
            after = left & (np.arange(9) != unit)
            if all(part.any() for part in network.groups.split(after)):
                losses[unit] = masked_loss(network, params, X, y, weight, after)
        order.append(min(losses, key=losses.get))
        left[order[-1]] = False
    scores = run_greedy(GreedyLeaveOneOut(), 4)
    assert np.argsort(-scores.value)[:4].tolist() == order
    assert scores.n_pulls == 3 * (9 + 8 + 7 + 6)


def test_greedy_leaves_a_unit_in_every_layer():
    scores = run_greedy(GreedyLeaveOneOut(), 9)
    assert sorted(np.bincount((np.argsort(-scores.value)[:7] >= 5).astype(int))) == [3, 4]
    assert scores.n_pulls <= 3 * sum(range(3, 10))


@pytest.mark.parametrize("budget", [9, 20, 40])
def test_budgeted_greedy_spends_its_budget(budget):
    scores = run_greedy(BudgetedGreedy(), 4, budget)
    # A removal cannot pull more units than there are.
    shares = [budget // 4 + (i < budget % 4) for i in range(4)]
    assert scores.n_pulls == sum(min(share, 9 - i) for i, share in enumerate(shares))


def greedy_case():
    rng = np.random.default_rng(0)
    network = MLP((3, 5, 4, 2), "tanh", "squared_error")
    params = init_params((3, 5, 4, 2), "tanh", np.random.RandomState(0), "float64")
    return network, params, rng.normal(size=(43, 3)), rng.normal(size=(43, 2)), np.ones(43)


def masked_loss(network, params, X, y, weight, active):
    kept = [np.flatnonzero(part) for part in network.groups.split(active)]
    compact = network.groups.compact(params, kept)
    return LOSSES["squared_error"].mean(raw_output(X, *zip(*compact, strict=True), "tanh"), y, weight)


def run_greedy(criterion, n_remove, budget=0):
    network, params, X, y, weight = greedy_case()
    with jax.enable_x64(True):
        problem = Problem(
            params=params,
            gates=network.groups.split(np.ones(9)),
            emissions=network.groups.split(np.zeros(9)),
            batches=Batches.partition(np.random.default_rng(1), X, y, weight, "float64", 16),
            budget=np.int32(budget),
            n_remove=np.int32(n_remove),
            room=np.array([4, 3], np.int32),
            network=network,
            arms_per_step=1,
        )
        step = jax.jit(lambda p: criterion.step(jax.random.key(0), (), p, np.ones(9, bool))[1])
        return jax.tree.map(np.asarray, step(problem))


@pytest.mark.parametrize("criterion", [GreedyLeaveOneOut(), BudgetedGreedy()])
def test_a_damage_that_is_no_number_is_no_reason_to_leave(criterion, score, bench):
    scores = score(criterion, 0, bench(damage=[np.nan, 3, np.inf, 1, 2, np.nan]).problem(18), np.arange(6) < 5)
    assert set(np.argsort(-np.asarray(scores.value))[:3]) == {1, 3, 4}
