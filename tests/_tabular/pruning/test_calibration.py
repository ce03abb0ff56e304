"""One forward pass answers all: each answer is that of a network evaluated anew."""

import jax
import numpy as np
import pytest

from skbandit import BanditPrunedMLPRegressor
from skbandit._tabular.network.inference import hidden_activations, raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.pruning import calibration, compensation
from skbandit._tabular.pruning.calibration import Calibration
from skbandit._tabular.pruning.compensation import fold_emissions, reweight

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_UNITS = 12


def setting(activation="tanh", loss="squared_error", seed=0):
    rng = np.random.default_rng(seed)
    network = MLP((3, 5, 4, 3, 2), activation, loss)
    params = init_params(network.layer_sizes, activation, np.random.RandomState(seed), "float64")
    X = rng.normal(size=(50, 3))
    y = rng.normal(size=(50, 2)) if loss == "squared_error" else rng.integers(2, size=(50, 1)).astype(float)
    return network, params, Calibration(X, y, rng.exponential(size=50), network)


def mask(*units):
    out = np.ones(N_UNITS, bool)
    out[list(units)] = False
    return out


def gates_of(network, active):
    return tuple(a.astype(float) for a in network.groups.split(active))


def without(network, params, off):
    """The network whose units ``off`` have left: their slices are zero."""
    return network.groups.zero(params, [np.flatnonzero(part) for part in network.groups.split(off)])


def loss_anew(network, params, on, emitted=None):
    """Loss of the masked network; what is off emits 0 or ``emitted``, which the next bias takes up."""
    off = ~on
    if emitted is not None:
        params = fold_emissions(params, network.groups, off, emitted)
    coefs = [params[0][0]]
    coefs += [W * gate[:, None] for (W, _), gate in zip(params[1:], gates_of(network, on), strict=True)]
    return lambda rows: LOSSES[network.loss].mean(
        raw_output(rows.X, coefs, [b for _, b in params], network.activation), rows.y, rows.weight
    )


CASES = [mask(), mask(1), mask(6, 9), mask(0, 4, 5, 10)]


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("active", CASES)
def test_loss_of_a_gated_network(activation, loss, active):
    network, params, rows = setting(activation, loss)
    params = without(network, params, ~active)
    assert rows.loss(params, gates_of(network, active)) == pytest.approx(
        loss_anew(network, params, active)(rows), rel=1e-12
    )


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
@pytest.mark.parametrize("known", [True, False], ids=["after a pass", "first question"])
@pytest.mark.parametrize("more", CASES)
def test_loss_with_more_units_masked(activation, more, known):
    network, params, rows = setting(activation)
    gone = mask(3, 7)
    params = without(network, params, ~gone)
    if known:
        rows.loss(params, gates_of(network, gone))
    emitted = network.groups.split(np.random.default_rng(1).normal(size=N_UNITS))
    # Only units that leave now emit; those that are gone are in nobody's bias any more.
    emitted = tuple(np.where(on, e, 0) for on, e in zip(network.groups.split(gone), emitted, strict=True))
    on = gone & more
    assert rows.loss(params, gates_of(network, on), emitted) == pytest.approx(
        loss_anew(network, params, on, emitted)(rows), rel=1e-12
    )


def test_mean_activations():
    network, params, rows = setting()
    active = mask(2, 8)
    params = without(network, params, ~active)
    coefs, intercepts = [W for W, _ in params], [b for _, b in params]
    layers = hidden_activations(rows.X, coefs, intercepts, "tanh", gates_of(network, active))
    for got, layer in zip(rows.mean_activations(params, gates_of(network, active)), layers, strict=True):
        np.testing.assert_allclose(got, np.average(layer, axis=0, weights=rows.weight), rtol=1e-12, atol=1e-15)


def test_repair_is_that_of_the_compensation():
    network, params, rows = setting()
    active, removed = mask(2, 8), ~mask(0, 6)
    params = without(network, params, ~active)
    repaired = rows.repair(params, active, removed, ())
    expected = reweight(params, rows.X, rows.weight, "tanh", network.groups, active, removed)
    for a, b in zip(jax.tree.leaves(repaired), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_questions_about_one_network_cost_one_pass(monkeypatch):
    passes = []
    monkeypatch.setattr(calibration, "forward", lambda *args: passes.append(1) or compensation.forward(*args))
    network, params, rows = setting()
    gates = gates_of(network, mask())
    rows.loss(params, gates)
    means = rows.mean_activations(params, gates)
    rows.loss(params, gates_of(network, mask(1)), means)
    rows.repair(params, mask(), ~mask(1), means)
    rows.loss(params, gates)
    assert len(passes) == 1


@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_a_round_costs_one_pass_of_each_network(ablation, monkeypatch):
    passes = []
    monkeypatch.setattr(calibration, "forward", lambda *args: passes.append(1) or compensation.forward(*args))
    X = np.random.default_rng(0).normal(size=(60, 3))
    params = {"n_members": 1, "weight_init": "normal", "early_stopping": False, "max_iter": 2}
    dense = BanditPrunedMLPRegressor((8,), pruning_ratio=0, random_state=0, **params)
    dense.fit(X, X[:, 0])
    passes.clear()
    pruned = dense.prune(X, X[:, 0], pruning_ratio=0.5, n_rounds=3, fine_tune_iter=0, ablation=ablation)
    # The trained network, and the one that each round leaves.
    assert len(passes) == 1 + len(pruned.pruning_history_)


def test_another_network_is_not_mistaken_for_the_last_one():
    network, params, rows = setting()
    gates = gates_of(network, mask())
    first = rows.loss(params, gates)
    other = jax.tree.map(lambda a: 2 * a, params)
    assert rows.loss(other, gates) != first
    # The same arrays with other units on are another network, too.
    assert rows.loss(params, gates_of(network, mask(0, 1))) != rows.loss(params, gates) == first


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_activations_too_large_for_a_gram_matrix_fall_back_to_the_biases():
    network = MLP((1, 3, 1), "identity", "squared_error")
    params = (
        (np.full((1, 3), 1e30, "float32"), np.zeros(3, "float32")),
        (np.ones((3, 1), "float32"), np.zeros(1, "float32")),
    )
    X = np.arange(4, dtype="float32")[:, None]
    rows = Calibration(X, X, np.ones(4, "float32"), network)
    emitted = (np.array([5.0, 0, 0], "float32"),)
    ((_, _), (W, b)) = rows.repair(params, np.ones(3, bool), np.array([True, False, False]), emitted)
    np.testing.assert_array_equal(W, params[1][0])
    assert b == 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [4, 20])
@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e30), ("float64", 1e200), ("float64", 1e300)])
def test_weights_of_any_size_are_repaired_without_a_word(dtype, size, n):
    # Fewer rows than units, and more: squares of the activations overflow in either product.
    network = MLP((1, 8, 1), "identity", "squared_error")
    rng = np.random.default_rng(0)
    params = (
        ((size * rng.normal(size=(1, 8))).astype(dtype), np.zeros(8, dtype)),
        (np.ones((8, 1), dtype), np.zeros(1, dtype)),
    )
    X = rng.normal(size=(n, 1)).astype(dtype)
    rows = Calibration(X, X, np.ones(n, dtype), network)
    emitted = (np.full(8, 0.5, dtype),)
    removed = np.arange(8) < 2
    ((_, _), (W, b)) = rows.repair(params, np.ones(8, bool), removed, emitted)
    np.testing.assert_array_equal(W, params[1][0])
    assert b == 1
