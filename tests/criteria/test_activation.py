"""Criteria from activations, against loops over the units and brute-force least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import (
    OBS,
    ActivationVariance,
    APoZ,
    GreedyActivationVariation,
    Problem,
    Submodular,
)
from skbandit.criteria.activation import Layer
from skbandit.criteria.reconstruction import RIDGE

N, SIZES = 11, (3, 6, 5, 2)
#: Units that are on; unit 3 is off.
ACTIVE = np.arange(N) != 3


class Case:
    def __init__(self, activation="tanh"):
        rng = np.random.default_rng(0)
        self.network = MLP(SIZES, activation, "squared_error")
        self.params = init_params(SIZES, activation, np.random.RandomState(0), "float64")
        self.X, self.weight = rng.normal(size=(40, 3)), rng.exponential(size=40)

    def run(self, criterion, network=None):
        split = self.network.groups.split
        with jax.enable_x64(True):
            problem = Problem(
                params=self.params,
                gates=split(ACTIVE.astype(float)),
                emissions=split(np.zeros(N)),
                batches=Batches.partition(
                    np.random.default_rng(1), self.X, np.zeros((40, 2)), self.weight, "float64", 12
                ),
                budget=np.int32(0),
                n_remove=np.int32(1),
                room=np.full(len(self.network.groups.sizes), 99, np.int32),
                network=self.network if network is None else network,
                arms_per_step=1,
            )
            _, scores = jax.jit(lambda p: criterion.step(jax.random.key(0), (), p, ACTIVE))(problem)
            return np.asarray(scores.value)

    def layers(self):
        """Activations f[rows, n_l] and outgoing weights of each layer; the unit that is off emits 0."""
        a, found = self.X, []
        act = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[self.network.activation]
        for i, on in enumerate(np.split(ACTIVE, [6])):
            W, b = self.params[i]
            a = act(a @ W + b) * on
            found.append((a, self.params[i + 1][0], on))
        return found

    def weighted(self, H):
        """Centred and scaled so that products are covariances."""
        share = self.weight / self.weight.sum()
        return (H - share @ H) * np.sqrt(share)[:, None]


@pytest.fixture(scope="module")
def case():
    return Case()


def per_layer(values):
    return np.split(values, [6])


def test_apoz_counts_zeros():
    case = Case("relu")
    share = case.weight / case.weight.sum()
    expected = np.concatenate([share @ (H == 0) for H, _, _ in case.layers()])
    np.testing.assert_allclose(case.run(APoZ()), expected, atol=1e-12)
    assert len(np.unique(expected[ACTIVE])) > 5
    expected = np.concatenate([share @ (np.abs(H) <= 0.3) for H, _, _ in case.layers()])
    np.testing.assert_allclose(case.run(APoZ(threshold=0.3)), expected, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_activation_variance(case, weighted):
    expected = [
        -np.sum(case.weighted(H) ** 2, axis=0) * (np.sum(W**2, axis=1) if weighted else 1) for H, W, _ in case.layers()
    ]
    np.testing.assert_allclose(case.run(ActivationVariance(weighted=weighted)), np.concatenate(expected), atol=1e-12)


def sequence(costs, on):
    """The units that are on, in the order in which they leave."""
    order = np.argsort(costs, kind="stable")
    return [unit for unit in order if on[unit]]


def test_greedy_activation_variation_is_the_loop(case):
    for value, (H, W, on) in zip(per_layer(case.run(GreedyActivationVariation())), case.layers(), strict=True):
        B = case.weighted(H)

        def lost(T, B=B, W=W):
            return np.sum((B[:, T] @ W[T]) ** 2)

        gone, costs, whole = [], np.zeros(len(on)), lost(np.flatnonzero(on))
        for _ in range(on.sum()):
            rest = [u for u in np.flatnonzero(on) if u not in gone]
            gone.append(min(rest, key=lambda u: lost([*gone, u])))
            costs[gone[-1]] = lost(gone) / whole
        order = np.argsort(-value[on])
        np.testing.assert_array_equal(np.flatnonzero(on)[order], gone)
        np.testing.assert_allclose(-value[on], np.maximum.accumulate(costs[gone])[np.argsort(order)], rtol=1e-3)


def test_the_summed_cost_of_obs_is_the_residual_of_least_squares(case):
    for value, (H, W, on) in zip(per_layer(case.run(OBS())), case.layers(), strict=True):
        B = case.weighted(H)[:, on]
        G = B.T @ B
        G += RIDGE * np.trace(G) / on.sum() * np.eye(on.sum())
        W = W[on]

        def residual(gone, G=G, W=W):
            """min over W' with W'[gone] = 0 of tr((W - W')ᵀ G (W - W'))"""
            kept = [u for u in range(len(G)) if u not in gone]
            new = np.zeros_like(W)
            if kept:
                new[kept] = np.linalg.solve(G[np.ix_(kept, kept)], (G @ W)[kept])
            return np.sum((W - new) * (G @ (W - new)))

        gone, costs = [], np.zeros(on.sum())
        for _ in range(on.sum()):
            rest = [u for u in range(on.sum()) if u not in gone]
            gone.append(min(rest, key=lambda u: residual([*gone, u])))
            costs[gone[-1]] = residual(gone) / residual(list(range(on.sum())))
        np.testing.assert_allclose(-value[on], costs, atol=1e-8)


def test_submodular_is_forward_selection_by_least_squares(case):
    for value, (H, W, on) in zip(per_layer(case.run(Submodular())), case.layers(), strict=True):
        B = case.weighted(H)
        target = B @ W

        def missing(kept, B=B, target=target):
            if not kept:
                return np.sum(target**2)
            return np.sum((target - B[:, kept] @ np.linalg.lstsq(B[:, kept], target, rcond=None)[0]) ** 2)

        kept, costs = [], np.zeros(len(on))
        for _ in range(on.sum()):
            before = missing(kept)
            rest = [u for u in np.flatnonzero(on) if u not in kept]
            kept.append(min(rest, key=lambda u: missing([*kept, u])))
            costs[kept[-1]] = before / missing([])
        np.testing.assert_allclose(-value[on], costs[on], atol=1e-8)


def test_units_that_make_up_for_others_leave_after_them():
    """Two units that add up, and one that cancels them: the cost of the set falls when it leaves, too."""
    C = np.full((3, 3), 0.99) + 0.01 * np.eye(3)
    with jax.enable_x64(True):
        layer = Layer(*map(jnp.asarray, (np.zeros(3), C, np.array([[1.0], [1.0], [-2.1]]), np.ones(3, bool))))
        costs = np.asarray(GreedyActivationVariation()._costs(layer))
    assert np.argsort(costs).tolist() == [0, 2, 1]


@pytest.mark.parametrize("criterion", [GreedyActivationVariation(), OBS(), Submodular()])
def test_two_copies_of_a_unit_are_not_both_safe(criterion):
    case = Case()
    (W1, b1), (W2, b2), last = case.params
    W1, b1 = W1.copy(), b1.copy()
    W1[:, 1], b1[1] = W1[:, 0], b1[0]
    W2 = W2.copy()
    W2[:2] = 3.0  # both matter much, the second not where the first can stand in for it
    case.params = ((W1, b1), (W2, b2), last)
    costs = -per_layer(case.run(criterion))[0]
    first, second = sorted(costs[:2])
    assert second == max(costs[ACTIVE[:6]])
    if isinstance(criterion, GreedyActivationVariation):  # which refits nothing: both are missed
        assert first > 0.2
    else:
        assert first < 0.15  # the ridge keeps the other from taking over wholly
