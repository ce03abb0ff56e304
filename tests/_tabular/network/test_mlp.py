import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.network import evaluator
from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit.networks.damages import damages_by_masking, map_chosen, tile_size
from skbandit.networks.gated import GatedNetwork

N_FEATURES, N_OUTPUTS, N_ROWS = 3, 2, 12
#: Hidden widths for 1 to 4 layers; all of one width, so that the layers share compiled operations.
WIDTHS = {depth: (4,) * depth for depth in (1, 2, 3, 4)}


def case(widths, activation, loss, seed=0, dtype="float64", emissions=True):
    """A random network with some gates at 0, a batch with rows of weight 0, and a subset of the units to evaluate."""
    rng = np.random.default_rng(seed)
    network = MLP((N_FEATURES, *widths, N_OUTPUTS), activation, loss)
    params = jax.tree.map(
        lambda a: (rng.normal(size=a.shape) / np.sqrt(a.shape[0])).astype(dtype),
        init_params(network.layer_sizes, activation, np.random.RandomState(0), dtype),
    )
    active = rng.random(sum(widths)) < 0.75
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    y = {
        "squared_error": rng.normal(size=(N_ROWS, N_OUTPUTS)),
        "poisson": rng.poisson(1.0, (N_ROWS, N_OUTPUTS)),
        "log_loss": rng.integers(N_OUTPUTS, size=(N_ROWS, 1)),
        "binary_log_loss": rng.integers(2, size=(N_ROWS, N_OUTPUTS)),
    }[loss]
    weight = rng.exponential(size=N_ROWS)
    weight[:3] = 0
    weight /= weight.sum()
    arms = active & (rng.random(active.size) < 0.75)
    emitted = rng.normal(size=active.size) * emissions
    split = network.groups.split
    gates, emitted = (tuple(a.astype(dtype) for a in split(v)) for v in (active, emitted))
    return network, (params, gates, emitted, X.astype(dtype), y.astype(dtype), weight.astype(dtype), arms)


def loss_in_numpy(network, params, gates, emissions, X, y, weight):
    a = X
    for (W, b), gate, emission in zip(params[:-1], gates, emissions, strict=True):
        a = np.where(gate > 0, ACTIVATIONS[network.activation](np, a @ W + b), emission)
    return LOSSES[network.loss].mean(a @ params[-1][0] + params[-1][1], y, weight)


def damages_in_numpy(network, params, gates, emissions, X, y, weight, arms):
    base = loss_in_numpy(network, params, gates, emissions, X, y, weight)
    flat = np.concatenate(gates)
    damages = np.zeros(flat.size)
    for unit in np.flatnonzero(arms):
        masked = flat.copy()
        masked[unit] = 0
        damages[unit] = loss_in_numpy(network, params, network.groups.split(masked), emissions, X, y, weight) - base
    return damages, base


def evaluate(method, args, dtype="float64", jit=False):
    # Operation by operation: 96 networks share a few small programs, where each would be compiled as a whole.
    with jax.enable_x64(dtype == "float64"), jax.disable_jit(not jit):
        args = jax.tree.map(jnp.asarray, args)
        return np.asarray((jax.jit(method) if jit else method)(*args))


EVERY_NETWORK = [
    pytest.param(widths, activation, loss, id=f"{depth}-{activation}-{loss}")
    for depth, widths in WIDTHS.items()
    for activation in ACTIVATIONS
    for loss in LOSSES
]


@pytest.mark.parametrize(("widths", "activation", "loss"), EVERY_NETWORK)
def test_damages_are_those_of_masking(widths, activation, loss):
    network, args = case(widths, activation, loss, seed=len(widths))
    expected, base = damages_in_numpy(network, *args)
    arms = args[-1]
    assert arms.any()
    assert not arms.all()
    fast = evaluate(network.damages, args)
    # A damage is a difference of losses, each with a few dozen roundings: its own size, and 100 eps of the loss.
    floor = 100 * np.finfo(float).eps * max(base, 1)
    np.testing.assert_allclose(fast, expected, rtol=1e-5, atol=floor)
    assert not fast[~arms].any()


@pytest.mark.parametrize(
    ("widths", "activation", "loss"),
    [(WIDTHS[1], "tanh", "log_loss"), (WIDTHS[2], "relu", "squared_error"), (WIDTHS[3], "gelu", "poisson")],
)
@pytest.mark.parametrize("emissions", [False, True])
def test_compiled_fast_and_masking_evaluators_agree_in_float32(widths, activation, loss, emissions):
    network, args = case(widths, activation, loss, dtype="float32", emissions=emissions)
    expected, base = damages_in_numpy(network, *(jax.tree.map(lambda a: a.astype(float), args[:-1])), args[-1])
    fast = evaluate(network.damages, args, "float32", jit=True)
    slow = evaluate(lambda *a: damages_by_masking(network, *a), args, "float32", jit=True)
    assert fast.dtype == slow.dtype == "float32"
    # Relative to the scale of the losses that are subtracted.
    scale = 1e-5 * max(base, np.abs(expected).max())
    np.testing.assert_allclose(fast, expected, rtol=0, atol=scale)
    np.testing.assert_allclose(slow, expected, rtol=0, atol=scale)


@functools.partial(jax.jit, static_argnames="tile")
def squares(chosen, tile):
    return map_chosen(lambda units: units.astype(jnp.float32) ** 2, chosen, tile)


@pytest.mark.parametrize("tile", [1, 3, 4, 7])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(chosen=st.lists(st.booleans(), min_size=7, max_size=7).map(np.array))
def test_every_unit_chosen_is_evaluated_and_no_other(tile, chosen):
    np.testing.assert_array_equal(squares(chosen, tile), np.where(chosen, np.arange(7) ** 2, 0))


@pytest.mark.parametrize("units_per_tile", [1, 3, 4])
def test_tiles_do_not_show(units_per_tile, monkeypatch):
    network, args = case((7, 4), "tanh", "log_loss")
    gates = tuple(np.ones_like(g) for g in args[1])
    arms = np.isin(np.arange(11), [0, 1, 2, 4, 5, 6, 8])  # six of seven in the first layer: two tiles of 4 are not full
    args = (args[0], gates, *args[2:-1], arms)
    expected, _ = damages_in_numpy(network, *args)
    monkeypatch.setattr(evaluator, "tile_size", lambda floats, n_arms: min(units_per_tile, n_arms))
    for method in (network.damages, lambda *a: damages_by_masking(network, *a, tile=units_per_tile)):
        damages = evaluate(method, args)
        np.testing.assert_allclose(damages, expected, rtol=1e-9, atol=1e-13)
        assert not damages[~arms].any()


@pytest.mark.parametrize(("n_arms", "n_tiles"), [(0, 0), (1, 1), (2, 1), (3, 2), (7, 4)])
def test_work_is_in_proportion_to_the_arms_chosen(n_arms, n_tiles):
    shown = []

    def evaluate(units):
        if not isinstance(units, jax.core.Tracer):  # it is asked for its dtype first
            shown.append(units.tolist())
        return jnp.ones(2)

    with jax.disable_jit():
        map_chosen(evaluate, jnp.arange(7) >= 7 - n_arms, 2)
    assert len(shown) == n_tiles
    if n_arms == 3:
        assert shown == [[4, 5], [6, 6]]  # what fills up the last tile is dropped


def test_tiles_fill_the_cache_and_no_more():
    # 2^19 floats in tiles of 1000 floats per unit are 524 units.
    assert tile_size(1000, 10**6) == 524
    assert tile_size(1000, 100) == 100
    assert tile_size(10**7, 100) == 1


def test_rows_of_weight_zero_do_not_count():
    network, args = case(WIDTHS[2], "relu", "squared_error")
    params, gates, emissions, X, y, weight, arms = args
    X, y = X.copy(), y.copy()
    X[weight == 0], y[weight == 0] = 1e3, -1e3
    changed = evaluate(network.damages, (params, gates, emissions, X, y, weight, arms))
    np.testing.assert_allclose(changed, evaluate(network.damages, args), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_batch_without_weight_has_loss_and_damages_zero(loss):
    network, args = case(WIDTHS[2], "relu", loss)
    params, gates, emissions, X, y, weight, arms = args
    args = (params, gates, emissions, X, y, 0 * weight)
    assert evaluate(network.batch_loss, args) == 0
    np.testing.assert_array_equal(evaluate(network.damages, (*args, arms)), 0)


def test_damage_by_hand():
    # f = 2·relu(x) + 3·relu(-x) + 1, rows x = 1, -2; y = 3, 6: residuals 3 - 3 = 0 and 7 - 6 = 1.
    network = MLP((1, 2, 1), "relu", "squared_error")
    params = ((np.array([[1.0, -1.0]]), np.zeros(2)), (np.array([[2.0], [3.0]]), np.ones(1)))
    X, y, weight = np.array([[1.0], [-2.0]]), np.array([[3.0], [6.0]]), np.array([0.25, 0.75])
    args = (params, (np.ones(2),), (np.zeros(2),), X, y, weight, np.ones(2, bool))
    # Loss: (1·0 + 3·½·1)/4 = 0.375. Without the first unit: residuals 1 - 3 = -2 and 1, (½·4 + 3·½)/4 = 0.875.
    # Without the second: 0 and 1 - 6 = -5, (0 + 3·12.5)/4 = 9.375.
    np.testing.assert_allclose(evaluate(network.damages, args), [0.5, 9.0])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(mask=st.lists(st.booleans(), min_size=9, max_size=9), activation=st.sampled_from(sorted(ACTIVATIONS)))
def test_gated_network_is_the_compacted_one(mask, activation):
    network = MLP((N_FEATURES, 5, 4, N_OUTPUTS), activation, "squared_error")
    params = init_params(network.layer_sizes, activation, np.random.RandomState(1), "float32")
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype("float32")
    kept = [np.flatnonzero(part) for part in network.groups.split(np.array(mask))]
    compact = network.groups.compact(params, kept)
    expected = raw_output(X, [W for W, _ in compact], [b for _, b in compact], activation)
    gates = network.groups.split(np.array(mask, "float32"))
    np.testing.assert_allclose(evaluate(network.apply, (params, X, gates), "float32"), expected, rtol=0, atol=1e-5)


def test_a_masked_unit_emits_what_it_is_told_to():
    network, (params, gates, emissions, X, *_) = case((4,), "logistic", "squared_error")
    hidden = np.where(gates[0] > 0, ACTIVATIONS["logistic"](np, X @ params[0][0] + params[0][1]), emissions[0])
    expected = hidden @ params[1][0] + params[1][1]
    np.testing.assert_allclose(evaluate(network.apply, (params, X, gates, emissions)), expected, rtol=1e-13)
    # Without emissions: nothing.
    silent = np.where(gates[0] > 0, hidden, 0) @ params[1][0] + params[1][1]
    np.testing.assert_allclose(evaluate(network.apply, (params, X, gates)), silent, rtol=1e-13)


def test_any_network_with_a_gated_loss_has_its_damages_measured():
    network, args = case((5, 4), "tanh", "log_loss", emissions=False)

    def loss(params, gates, X, y, weight):
        return network.batch_loss(params, gates, args[2], X, y, weight)

    wrapped = GatedNetwork(loss, network.groups)
    expected, _ = damages_in_numpy(network, *args)
    measured = evaluate(lambda *a: damages_by_masking(wrapped, *a), args)
    np.testing.assert_allclose(measured, expected, rtol=1e-9, atol=1e-13)


def test_a_network_is_part_of_the_key_of_a_compiled_program():
    a, b = MLP((2, 3, 1), "relu", "squared_error"), MLP((2, 3, 1), "relu", "squared_error")
    assert a == b
    assert hash(a) == hash(b)
    assert a != dataclasses.replace(a, activation="tanh")
    assert a.groups is b.groups
