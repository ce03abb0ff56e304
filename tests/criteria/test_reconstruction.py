"""Submodular selection in its other forms: the layers in turn, and budgets per layer."""

import jax
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import Problem, Submodular
from skbandit.criteria.reconstruction import RIDGE

SIZES, N = (3, 7, 6, 2), 13


class Case:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.network = MLP(SIZES, "tanh", "squared_error")
        self.params = init_params(SIZES, "tanh", np.random.RandomState(0), "float64")
        self.X, self.weight = 2 * rng.normal(size=(40, 3)), rng.exponential(size=40)
        self.y = rng.normal(size=(40, 2))
        self.share = self.weight / self.weight.sum()

    def run(self, criterion, n_remove=6, network=None):
        split = self.network.groups.split
        with jax.enable_x64(True):
            problem = Problem(
                params=self.params,
                gates=split(np.ones(N)),
                emissions=split(np.zeros(N)),
                batches=Batches.partition(np.random.default_rng(1), self.X, self.y, self.weight, "float64", 12),
                budget=np.int32(0),
                n_remove=np.int32(n_remove),
                room=np.array([6, 5], np.int32),
                network=network or self.network,
                arms_per_step=1,
            )
            step = jax.jit(lambda p: criterion.step(jax.random.key(0), (), p, np.ones(N, bool))[1].value)
            return np.asarray(step(problem))

    def centred(self, H):
        return (H - self.share @ H) * np.sqrt(self.share)[:, None]

    def refit(self, B, stays, T, T_mean, W_old, b):
        """Weights and bias that rebuild the centred targets T from the columns that stay."""
        C = self.centred(B)
        gram = C.T @ C
        ridge = RIDGE * np.trace(gram) / len(gram)
        S = np.flatnonzero(stays)
        W = np.zeros_like(W_old)
        system = gram[np.ix_(S, S)] + ridge * np.eye(len(S))
        W[S] = np.linalg.solve(system, (C.T @ T)[S] + ridge * W_old[S])
        return W, b + T_mean - self.share @ B @ W

    def greedy(self, B, T, n_stay):
        """Forward selection by least squares, by brute force; returns bool[n]."""
        C, stays = self.centred(B), []

        def missing(S):
            return np.sum((T - C[:, S] @ np.linalg.lstsq(C[:, S], T, rcond=None)[0]) ** 2) if S else np.sum(T**2)

        for _ in range(n_stay):
            stays.append(min((u for u in range(B.shape[1]) if u not in stays), key=lambda u: missing([*stays, u])))
        return np.isin(np.arange(B.shape[1]), stays)


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.mark.parametrize("form", ["sequential", "asymmetric"])
def test_layers_in_turn(case, form):
    """The first layer loses its units and is refitted; what the second one keeps is chosen after that."""
    value = case.run(Submodular(form=form, budgets="equal"))
    leaves = np.isin(np.arange(N), np.argsort(-value)[:6])
    first, second = np.split(leaves, [7])
    assert (first.sum(), second.sum()) == (3, 3)

    (W1, b1), (W2, b2), (W3, _) = case.params
    A1 = np.tanh(case.X @ W1 + b1)
    A2 = np.tanh(A1 @ W2 + b2)
    np.testing.assert_array_equal(~first, case.greedy(A1, case.centred(A1) @ W2, 4))
    new_W2, new_b2 = case.refit(A1, ~first, case.centred(A1) @ W2, case.share @ A1 @ W2, W2, b2)
    B2 = np.tanh(A1 @ new_W2 + new_b2)
    target = case.centred(B2 if form == "sequential" else A2) @ W3
    np.testing.assert_array_equal(~second, case.greedy(B2, target, 3))


def test_budgets_of_equal_accuracy(case):
    """The layer whose losses rise faster loses fewer units; values are the losses of each layer alone."""
    value = case.run(Submodular(budgets="accuracy"))
    shares = np.split(case.run(Submodular()), [7])
    (W1, b1), (W2, b2), (W3, b3) = case.params
    A1 = np.tanh(case.X @ W1 + b1)
    order = np.argsort(-shares[0])  # the first to leave first

    def loss_without(k):
        stays = ~np.isin(np.arange(7), order[:k])
        W, b = case.refit(A1, stays, case.centred(A1) @ W2, case.share @ A1 @ W2, W2, b2)
        z = np.tanh(A1 @ W + b) @ W3 + b3
        return LOSSES["squared_error"].mean(z, case.y, case.weight)

    # Eighths of seven units: up to a level, the units whose place is below level / 8 · 7 have left.
    losses = np.maximum.accumulate([loss_without(int(np.ceil(level / 8 * 7))) for level in range(8)])
    at = 8 * np.arange(1, 8) / 7
    np.testing.assert_allclose(-value[order[:6]], np.interp(at[:6], np.arange(8), losses), rtol=1e-8)
    for part, cost in zip(np.split(value, [7]), shares, strict=True):
        assert np.all(np.diff(part[np.argsort(-cost)]) <= 0)  # the order within a layer stays
