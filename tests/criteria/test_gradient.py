"""Criteria from derivatives, against finite differences."""

import jax
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import OBD, Fisher, LeaveOneOut, Problem, Taylor
from skbandit.networks.gated import GatedNetwork

N, SIZES = 9, (3, 5, 4, 2)
H = 1e-4


class Case:
    """A network with one unit that is off, on thirty weighted rows in batches of at most twelve."""

    def __init__(self, loss, generic=False):
        rng = np.random.default_rng(0)
        self.mlp = MLP(SIZES, "tanh", loss)
        self.params = init_params(SIZES, "tanh", np.random.RandomState(0), "float64")
        self.X, self.weight = rng.normal(size=(30, 3)), rng.exponential(size=30)
        self.y = rng.integers(2, size=(30, 1)).astype(float) if loss == "log_loss" else rng.normal(size=(30, 2))
        self.active = np.arange(N) != 3
        self.emission = rng.normal(size=N)
        if generic:
            self.emission[:] = 0
        self.network = GatedNetwork(generic_loss, self.mlp.groups) if generic else self.mlp
        self.parts = np.array_split(np.random.default_rng(1).permutation(30), 3)

    def run(self, criterion):
        split = self.mlp.groups.split
        with jax.enable_x64(True):
            problem = Problem(
                params=self.params,
                gates=split(self.active.astype(float)),
                emissions=split(self.emission),
                batches=Batches.partition(np.random.default_rng(1), self.X, self.y, self.weight, "float64", 12),
                budget=np.int32(0),
                n_remove=np.int32(1),
                room=np.full(len(self.network.groups.sizes), 99, np.int32),
                network=self.network,
                arms_per_step=1,
            )
            _, scores = jax.jit(lambda p: criterion.step(jax.random.key(0), (), p, self.active))(problem)
            return jax.tree.map(np.asarray, scores)

    def rows(self, gates):
        """f[rows]: the loss of each row at real-valued gates."""
        a = self.X
        for i, (gate, emission) in enumerate(zip(np.split(gates, [5]), np.split(self.emission, [5]), strict=True)):
            W, b = self.params[i]
            a = np.tanh(a @ W + b) * gate + (1 - gate) * emission
        W, b = self.params[-1]
        return LOSSES[self.mlp.loss].rows(np, a @ W + b, self.y)

    def slopes(self):
        """f[rows, n]: derivatives of each row's loss by the gates."""
        at = self.active.astype(float)
        return np.stack([(self.rows(at + H * e) - self.rows(at - H * e)) / (2 * H) for e in np.eye(N)], axis=1)

    def curvatures(self):
        """f[rows, n]: second derivatives."""
        at = self.active.astype(float)
        middle = self.rows(at)
        return np.stack(
            [(self.rows(at + H * e) - 2 * middle + self.rows(at - H * e)) / H**2 for e in np.eye(N)], axis=1
        )


def generic_loss(params, gates, X, y, weight):
    emissions = tuple(0 * g for g in gates)
    return MLP(SIZES, "tanh", "squared_error").batch_loss(params, gates, emissions, X, y, weight)


CASES = {"squared error": ("squared_error", False), "log loss": ("log_loss", False), "any": ("squared_error", True)}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def case(request):
    return Case(*request.param)


def test_fisher_is_half_the_mean_squared_slope_of_a_row(case):
    scores = case.run(Fisher())
    expected = 0.5 * np.average(case.slopes() ** 2, axis=0, weights=case.weight)
    np.testing.assert_allclose(scores.value, -expected, rtol=1e-6)
    assert np.isnan(scores.damage).all()  # a saliency, not a damage
    assert scores.n_pulls == 0


def test_taylor_of_rows_is_the_mean_size_of_their_slopes(case):
    expected = np.average(np.abs(case.slopes()), axis=0, weights=case.weight)
    np.testing.assert_allclose(case.run(Taylor(of="absolute")).value, -expected, rtol=1e-6)


def test_taylor_squares_the_slope_of_each_mini_batch(case):
    slopes = case.slopes()
    of_batches = [np.average(slopes[p], axis=0, weights=case.weight[p]) ** 2 for p in case.parts]
    expected = np.average(of_batches, axis=0, weights=[case.weight[p].sum() for p in case.parts])
    np.testing.assert_allclose(case.run(Taylor()).value, -expected, rtol=1e-6)


def test_obd_is_half_the_second_derivative(case):
    curvature = np.average(case.curvatures(), axis=0, weights=case.weight)
    np.testing.assert_allclose(case.run(OBD()).damage, 0.5 * curvature, atol=1e-6)
    slope = np.average(case.slopes(), axis=0, weights=case.weight)
    np.testing.assert_allclose(case.run(OBD(first_order=True)).damage, 0.5 * curvature - slope, atol=1e-6)


def test_to_second_order_the_last_layer_is_exact_under_squared_error():
    case = Case("squared_error")
    exact = case.run(LeaveOneOut()).damage
    np.testing.assert_allclose(case.run(OBD(first_order=True)).damage[5:], exact[5:], atol=1e-12)
