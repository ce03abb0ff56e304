import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit._tabular.network.inference import hidden_activations, raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.pruning import compensation
from skbandit._tabular.pruning.compensation import _least_squares, fold_emissions, reweight

NETWORK = MLP((3, 5, 4, 2), "tanh", "squared_error")
ALL = np.ones(9, bool)


def setting(seed=0, n=60, network=NETWORK):
    rng = np.random.default_rng(seed)
    params = init_params(network.layer_sizes, network.activation, np.random.RandomState(seed), "float64")
    X = rng.normal(size=(n, 3))
    return params, X, rng.exponential(size=n)


def units(*flat):
    mask = np.zeros(9, bool)
    mask[list(flat)] = True
    return mask


def output(params, X, gates=None, activation="tanh"):
    if gates is not None:
        rows = [np.ones(params[0][0].shape[0]), *gates]
        params = [(W * row[:, None], b) for (W, b), row in zip(params, rows, strict=True)]
    return raw_output(X, [W for W, _ in params], [b for _, b in params], activation)


def repair(params, X, weight, removed, active=ALL, network=NETWORK):
    return reweight(params, X, weight, network.activation, network.groups, active, removed)


def refit(target, B, W_kept, b, weight, ridge):
    """Solve the layer's problem by brute force: rows of sqrt(weight), and of the ridge, which spares the bias."""
    k, m = W_kept.shape
    root = np.sqrt(weight / weight.sum())[:, None]
    A = np.block([[root * B, root], [np.sqrt(ridge) * np.eye(k), np.zeros((k, 1))]])
    solution, *_ = np.linalg.lstsq(A, np.vstack([root * (target - b - B @ W_kept), np.zeros((k, m))]), rcond=None)
    return W_kept + solution[:-1], b + solution[-1]


def mean_variance(B, weight):
    mean = np.average(B, axis=0, weights=weight)
    return np.average((B - mean) ** 2, axis=0, weights=weight).mean()


@pytest.mark.parametrize("ridge", [1e-12, compensation.RIDGE])
@pytest.mark.parametrize("removed", [units(1, 3), units(0, 5, 6), units(7)], ids=["first", "both", "second"])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_least_squares_layer_by_layer(removed, seed, ridge, monkeypatch):
    monkeypatch.setattr(compensation, "RIDGE", ridge)
    params, X, weight = setting(seed)
    (W1, b1), (W2, b2), (W3, b3) = params
    H1 = np.tanh(X @ W1 + b1)
    Z2 = H1 @ W2 + b2
    Z3 = np.tanh(Z2) @ W3 + b3
    # First what follows layer 1; then what follows layer 2, from the repaired activations to the original outputs.
    expected_W2, expected_b2, kept = np.zeros_like(W2), b2, np.flatnonzero(~removed[:5])
    if removed[:5].any():
        B = H1[:, kept]
        expected_W2[kept], expected_b2 = refit(Z2, B, W2[kept], b2, weight, ridge * mean_variance(B, weight))
    else:
        expected_W2 = W2
    expected_W3, kept = np.zeros_like(W3), np.flatnonzero(~removed[5:])
    B = np.tanh(H1 @ expected_W2 + expected_b2)[:, kept]
    expected_W3[kept], expected_b3 = refit(Z3, B, W3[kept], b3, weight, ridge * mean_variance(B, weight))

    repaired = repair(params, X, weight, removed)
    assert repaired[0] is params[0]
    # Normal equations square the condition number, here below 1e4: 1e8·eps.
    np.testing.assert_allclose(repaired[1][0], expected_W2, rtol=0, atol=1e-7)
    np.testing.assert_allclose(repaired[1][1], expected_b2, rtol=0, atol=1e-7)
    np.testing.assert_allclose(repaired[2][0], expected_W3, rtol=0, atol=1e-7)
    np.testing.assert_allclose(repaired[2][1], expected_b3, rtol=0, atol=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_repair_is_never_worse_than_folding_the_mean_into_the_bias(activation):
    # The mean of what has gone, in the bias, is a feasible solution: Δ = 0.
    network = MLP((3, 8, 2), activation, "squared_error")
    params, X, weight = setting(2, network=network)
    removed = np.arange(8) % 2 == 0
    before = output(params, X, activation=activation)
    gates = ((~removed).astype(float),)
    means = tuple(
        np.average(h, axis=0, weights=weight)
        for h in hidden_activations(X, [W for W, _ in params], [b for _, b in params], activation)
    )
    folded = output(fold_emissions(params, network.groups, removed, means), X, gates, activation)
    repaired = output(repair(params, X, weight, removed, np.ones(8, bool), network), X, gates, activation)
    errors = [np.average(((z - before) ** 2).sum(axis=1), weights=weight) for z in (repaired, folded)]
    assert errors[0] < errors[1]


def test_an_integer_weight_is_a_repeated_row():
    params, X, _ = setting(n=20)
    counts = np.arange(20) % 4
    weighted = repair(params, X, counts.astype(float), units(1, 6))
    repeated = repair(params, np.repeat(X, counts, axis=0), np.ones(counts.sum()), units(1, 6))
    for (W, b), (V, c) in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(W, V, rtol=0, atol=1e-11)
        np.testing.assert_allclose(b, c, rtol=0, atol=1e-11)


def test_the_twin_of_a_removed_unit_takes_over(monkeypatch):
    monkeypatch.setattr(compensation, "RIDGE", 1e-13)
    ((W1, b1), *rest), X, weight = setting()
    W1[:, 3], b1[3] = W1[:, 1], b1[1]
    params = ((W1, b1), *rest)
    repaired = NETWORK.groups.zero(repair(params, X, weight, units(3)), [np.array([3]), np.array([], int)])
    # The output of the network is of size 1; the ridge leaves 1e-13·condition number of the Gram matrix.
    np.testing.assert_allclose(output(repaired, X), output(params, X), rtol=0, atol=1e-8)
    # The twin's outgoing weights are the sum of both.
    np.testing.assert_allclose(repaired[1][0][1], params[1][0][1] + params[1][0][3], rtol=0, atol=1e-7)


def test_a_constant_unit_moves_into_the_bias():
    ((W1, b1), *rest), X, weight = setting()
    W1[:, 2] = 0
    params = ((W1, b1), *rest)
    repaired = repair(params, X, weight, units(2))
    # Nothing is left to explain, so that the ridge has nothing to shrink: exact, but for rounding.
    np.testing.assert_allclose(output(repaired, X), output(params, X), rtol=0, atol=1e-13)
    np.testing.assert_allclose(repaired[1][1], rest[0][1] + np.tanh(b1[2]) * rest[0][0][2], rtol=0, atol=1e-13)


def test_units_removed_earlier_do_not_come_back():
    # Logistic units emit ½ at zero: a slice of zeros is not enough to silence them, they must be left out.
    network = MLP((3, 5, 4, 2), "logistic", "squared_error")
    params, X, weight = setting(network=network)
    gone, removed = units(0, 6), units(3, 8)
    parts = [np.flatnonzero(part) for part in network.groups.split(gone)]
    kept = [np.flatnonzero(part) for part in network.groups.split(~gone)]
    zeroed = network.groups.zero(params, parts)
    in_place = repair(zeroed, X, weight, removed, ~gone, network)
    # The oracle: the compact network, which knows nothing of them.
    small = MLP((3, 4, 3, 2), "logistic", "squared_error")
    compact = repair(network.groups.compact(zeroed, kept), X, weight, removed[~gone], np.ones(7, bool), small)
    for (W, b), (V, c) in zip(network.groups.compact(in_place, kept), compact, strict=True):
        np.testing.assert_allclose(W, V, rtol=0, atol=1e-12)
        np.testing.assert_allclose(b, c, rtol=0, atol=1e-12)
    assert not in_place[1][0][[0, 3]].any()
    assert not in_place[2][0][[1, 3]].any()


def test_layers_before_the_first_removal_are_left_alone():
    params, X, weight = setting()
    repaired = repair(params, X, weight, units(6))
    nothing_removed = repair(params, X, weight, units())
    for layer in (0, 1):
        for array, same, same_too in zip(params[layer], repaired[layer], nothing_removed[layer], strict=True):
            assert array is same
            assert array is same_too
    assert nothing_removed[2][0] is params[2][0]


def test_dead_and_collinear_units_give_finite_weights():
    network = MLP((3, 5, 2), "relu", "squared_error")
    ((W1, b1), last), X, weight = setting(network=network)
    W1[:, 0], b1[0] = 0, -1  # dead
    W1[:, 1] = W1[:, 2]
    b1[1] = b1[2]
    for dtype in ("float32", "float64"):
        params = tuple((W.astype(dtype), b.astype(dtype)) for W, b in ((W1, b1), last))
        repaired = repair(params, X.astype(dtype), weight.astype(dtype), np.arange(5) == 4, np.ones(5, bool), network)
        assert repaired[1][0].dtype == repaired[1][1].dtype == dtype
        assert np.isfinite(repaired[1][0]).all()
    # Only dead units are left: their weights explain nothing, and the bias takes the mean.
    repaired = repair(((W1, b1), last), X, weight, np.arange(5) > 0, np.ones(5, bool), network)
    mean = np.average(output(((W1, b1), last), X, activation="relu"), axis=0, weights=weight)
    np.testing.assert_allclose(output(repaired, X, activation="relu"), np.tile(mean, (60, 1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_folded_emissions_are_the_masked_network(activation):
    network = MLP((3, 5, 4, 2), activation, "squared_error")
    params, X, _ = setting(network=network)
    removed = units(0, 2, 7)
    rng = np.random.default_rng(0)
    emissions = tuple(rng.normal(size=size) for size in network.groups.sizes)
    gates = network.groups.split((~removed).astype(float))
    masked = network.apply(params, jnp.asarray(X), gates, emissions)
    folded = fold_emissions(params, network.groups, removed, emissions)
    parts = [np.flatnonzero(part) for part in network.groups.split(~removed)]
    compact = network.groups.compact(folded, parts)
    # float32 on the side of the masked network.
    np.testing.assert_allclose(output(compact, X, activation=activation), masked, rtol=0, atol=2e-6)


def test_folding_by_hand():
    network = MLP((1, 2, 1), "relu", "squared_error")
    params = ((np.ones((1, 2)), np.zeros(2)), (np.array([[3.0], [5.0]]), np.array([1.0])))
    (_, (W, b)) = fold_emissions(params, network.groups, np.array([False, True]), (np.array([7.0, 0.5]),))
    np.testing.assert_array_equal(b, [1 + 0.5 * 5])
    np.testing.assert_array_equal(W, [[3], [5]])


SIZES = (3, 40, 30, 4)
#: More outputs than units before and after the removal.
MANY_OUTPUTS = (3, 40, 30, 200)


def wide(n, kind="plain", dtype="float64", sizes=SIZES, seed=0):
    """Return a network, rows of which there are more or fewer than units, and units to remove."""
    rng = np.random.default_rng(seed)
    params = init_params(sizes, "tanh", np.random.RandomState(seed), dtype)
    W, b = params[0]
    if kind == "duplicates":
        W[:, 1::2], b[1::2] = W[:, ::2], b[::2]
    elif kind == "nearly duplicates":
        W[:, 1::2], b[1::2] = W[:, ::2] * (1 + 1e-6), b[::2]
    elif kind == "constant":
        W[:, ::3] = 0
    elif kind == "all constant":
        W[:] = 0
    elif kind == "dead":
        W[:, ::3], b[::3] = 0, 0
    elif kind == "far from zero":
        W *= 1e-3
        b += 10
    network = MLP(sizes, "tanh", "squared_error")
    removed = rng.random(network.groups.n_units) < 0.3
    return network, params, rng.normal(size=(n, sizes[0])).astype(dtype), rng.exponential(size=n).astype(dtype), removed


KINDS = ("plain", "duplicates", "nearly duplicates", "constant", "all constant", "dead", "far from zero")
#: Fewer and more than the units that are left of either layer.
ROWS = (1, 2, 10, 25, 200)


@pytest.mark.parametrize("sizes", [SIZES, MANY_OUTPUTS], ids=["few outputs", "many outputs"])
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_least_squares_whatever_there_is_more_of(kind, n, sizes):
    network, params, X, weight, removed = wide(n, kind, sizes=sizes)
    (W1, b1), (W2, b2), (W3, b3) = params
    first, second = (np.flatnonzero(~part) for part in network.groups.split(removed))
    H1 = np.tanh(X @ W1 + b1)
    H2 = np.tanh(H1 @ W2 + b2)

    def refitted(B, target, W, b):
        ridge = compensation.RIDGE * max(mean_variance(B, weight), np.finfo("float32").tiny)
        V, c = refit(target, B, W, b, weight, ridge)
        return B @ V + c

    expected = refitted(H1[:, first], H1 @ W2 + b2, W2[first], b2)
    expected = refitted(np.tanh(expected)[:, second], H2 @ W3 + b3, W3[second], b3)
    repaired = repair(params, X, weight, removed, np.ones(removed.size, bool), network)
    gates = network.groups.split((~removed).astype(float))
    # Normal equations square a condition number that the ridge keeps below 4 000: 1.6e7 eps.
    np.testing.assert_allclose(output(repaired, X, gates), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("sizes", [SIZES, MANY_OUTPUTS], ids=["few outputs", "many outputs"])
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_repairs_as_well(kind, n, sizes):
    network, params, X, weight, removed = wide(n, kind, "float32", sizes)
    double = [tuple(a.astype("float64") for a in layer) for layer in params]
    on = np.ones(removed.size, bool)
    repaired = repair(params, X, weight, removed, on, network)
    precise = repair(double, X.astype("float64"), weight.astype("float64"), removed, on, network)
    assert all(a.dtype == "float32" for layer in repaired for a in layer)
    gates = network.groups.split((~removed).astype(float))
    before = output(double, X.astype("float64"))

    def error(params):
        after = output([tuple(a.astype("float64") for a in layer) for layer in params], X.astype("float64"), gates)
        return np.average(((after - before) ** 2).sum(axis=1), weights=weight)

    # Outputs are of size 1. The error is least at the solution, so that it depends on its rounding to second order; a
    # repaired layer's own rounding is that of 40 terms.
    assert error(repaired) <= error(precise) * (1 + 1e-4) + 1e-8


@pytest.mark.parametrize(("n", "smaller"), [(10, {10}), (200, {20, 25})])
def test_the_smaller_matrix_is_factorised(n, smaller, monkeypatch):
    network, params, X, weight, _ = wide(n)
    removed = np.zeros(70, bool)
    removed[:15] = removed[60:] = True  # 25 and 20 stay
    sizes, original = set(), compensation.cho_factor
    monkeypatch.setattr(compensation, "cho_factor", lambda a, **kw: sizes.add(len(a)) or original(a, **kw))
    repair(params, X, weight, removed, np.ones(70, bool), network)
    assert sizes == smaller


@pytest.mark.parametrize("n", [10, 200])
def test_where_the_factorisation_fails_the_solution_is_the_same(n, monkeypatch):
    network, params, X, weight, removed = wide(n)
    expected = repair(params, X, weight, removed, np.ones(70, bool), network)

    def fails(matrix, **how):
        raise np.linalg.LinAlgError("1-th leading minor of the array is not positive definite")

    monkeypatch.setattr(compensation, "cho_factor", fails)
    for layer, same in zip(repair(params, X, weight, removed, np.ones(70, bool), network), expected, strict=True):
        for a, b in zip(layer, same, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [10, 200])
def test_each_output_is_repaired_by_itself(n):
    # More outputs than units that leave, and fewer: the order of the products differs.
    network, params, X, weight, _ = wide(n, sizes=(3, 40, 20))
    (first, (W, b)), removed, on = params, np.arange(40) < 8, np.ones(40, bool)
    (_, (V, c)) = repair(params, X, weight, removed, on, network)
    for k in (0, 19):
        alone = MLP((3, 40, 1), "tanh", "squared_error")
        (_, (v, d)) = repair((first, (W[:, [k]], b[[k]])), X, weight, removed, on, alone)
        np.testing.assert_allclose(V[:, [k]], v, rtol=0, atol=1e-10)
        np.testing.assert_allclose(c[[k]], d, rtol=0, atol=1e-10)


@pytest.mark.parametrize("block", [1, 7, 2**25])
@pytest.mark.parametrize("n", [10, 200])
def test_blocks_of_outputs_do_not_show(n, block, monkeypatch):
    network, params, X, weight, removed = wide(n)
    expected = repair(params, X, weight, removed, np.ones(70, bool), network)
    monkeypatch.setattr(compensation, "MOST_RESIDUALS", block * n)
    for layer, same in zip(repair(params, X, weight, removed, np.ones(70, bool), network), expected, strict=True):
        for a, b in zip(layer, same, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_the_cost_does_not_grow_with_the_cube_of_the_units():
    # The matrix of 20 000 units would take 3.2 GB, and hours to factorise.
    network = MLP((3, 20_000, 1), "relu", "squared_error")
    params, X, weight = setting(n=50, network=network)
    removed = np.arange(20_000) % 8 == 0
    repaired = repair(params, X, weight, removed, np.ones(20_000, bool), network)
    gates = ((~removed).astype(float),)
    before = output(params, X, activation="relu")
    error = np.square(output(repaired, X, gates, "relu") - before)
    assert np.average(error[:, 0], weights=weight) < 1e-6 * before.var()


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-12])
def test_few_rows_of_units_that_hardly_vary_give_numbers(size):
    # Fewer rows than units: what is divided by the squares of such activations is beyond float32.
    rng = np.random.default_rng(0)
    A = (size * rng.normal(size=(4, 8))).astype("float32")
    R = np.full((4, 2), 10, "float32")
    few, many = _least_squares(A)(R), _least_squares(np.repeat(A, 4, axis=0))(np.repeat(R, 4, axis=0))
    assert np.isfinite(few).all()
    if size != 1e-20:  # whose squares are 0 in float32: nothing but the smallest ridge is left of them
        np.testing.assert_allclose(few, many, rtol=1e-3, atol=1e-6 * np.abs(many).max())
