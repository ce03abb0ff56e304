"""A traced function as a network: its evaluator, activations, costs, and the smaller function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_functions import EXAMPLES, LENET, MLP, cross_entropy, drawn, rows

from skbandit.networks import TracedNetwork, infer_groups
from skbandit.networks import arms as arms_module
from skbandit.networks.damages import damages_by_masking
from skbandit.networks.traced import SmallerFunction

EVERY = pytest.mark.parametrize("name", EXAMPLES)


def network(name):
    example = EXAMPLES[name]
    groups = infer_groups(example.apply, example.params, example.X, verify=False)
    return example, TracedNetwork.of(example.apply, groups, cross_entropy, example.params, example.X)


def rows_of(example, seed=0):
    n = len(example.X)
    rng = np.random.default_rng(seed)
    weight = jnp.asarray(rng.dirichlet(np.ones(n)), "float32")
    return example.X, jnp.asarray(rng.integers(0, 2, n)), weight


def on(groups, off=()):
    gates = np.ones(groups.n_units, "float32")
    gates[list(off)] = 0
    return tuple(map(jnp.asarray, groups.split(gates)))


@EVERY
@pytest.mark.parametrize("whole", [False, True])
def test_damages_are_those_of_masking(name, whole, monkeypatch):
    if whole:  # one program for the units of all groups
        monkeypatch.setattr(arms_module, "MOST_NODES", 0)
    example, net = network(name)
    off = (1, net.groups.n_units - 1)
    gates = on(net.groups, off)
    arms = jnp.asarray(np.concatenate(gates) > 0)
    given = gates, tuple(map(jnp.zeros_like, gates)), *rows_of(example), arms
    fast = jax.jit(lambda p: net.damages(p, *given))(example.params)
    slow = jax.jit(lambda p: damages_by_masking(net, p, *given))(example.params)
    np.testing.assert_allclose(fast, slow, atol=1e-6)
    assert np.abs(slow).max() > 1e-3
    assert (np.asarray(fast)[list(off)] == 0).all()


def test_rows_of_padding_do_not_count():
    example, net = network("mlp")
    X, y, _ = rows_of(example)
    gates, weight = on(net.groups), jnp.array([0.5, 0.5, 0, 0, 0])
    loss = net.batch_loss(example.params, gates, gates, X.at[2:].set(jnp.nan), y, weight)
    expected = cross_entropy(example.apply(example.params, X[:2]), y[:2]).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@EVERY
def test_gates_of_each_row_reach_that_row(name):
    example, net = network(name)
    X, y, weight = rows_of(example)
    if not net.gates_by_row:
        assert name == "encoder"  # whose layer norms count the units that are left, for all rows
        return
    n = len(y)
    rng = np.random.default_rng(1)
    gates = tuple(jnp.asarray(rng.uniform(size=(n, size)), "float32") for size in net.groups.sizes)
    together = net.batch_loss(example.params, gates, gates, X, y, weight)
    alone = [
        net.batch_loss(example.params, tuple(g[i] for g in gates), gates, X, y, jnp.zeros(n).at[i].set(weight[i]))
        for i in range(n)
    ]
    np.testing.assert_allclose(together, sum(alone), rtol=1e-5)


def test_activations_are_what_is_read():
    example, net = network("mlp")
    first, second = net.activations(example.params, on(net.groups, [0]), example.X)
    p = example.params
    h = jax.nn.relu(example.X @ p["A"] + p["a"]).at[:, 0].set(0)
    np.testing.assert_allclose(first, h, rtol=1e-5)
    np.testing.assert_allclose(second, jax.nn.sigmoid(h @ p["B"] + p["b"]), rtol=1e-5)


def test_activations_of_filters_are_means_over_the_picture():
    example, net = network("lenet")
    shown = net.activations(example.params, on(net.groups), example.X)
    by_name = dict(zip([g.name for g in net.groups.groups], shown, strict=True))
    p, x = example.params, example.X
    x = jax.lax.conv_general_dilated(x, p["c1"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = jax.nn.relu(x + p["c1b"])
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    np.testing.assert_allclose(by_name["c1"], x.mean((1, 2)), rtol=1e-5)


def test_activations_inside_a_scan_are_means_over_its_steps():
    example, net = network("lstm")
    (h,) = net.activations(example.params, on(net.groups), example.X)
    states = []

    def keep(p, x):  # the same function, with all its states
        def step(carry, x_t):
            h, c = carry
            states.append(h)
            i, f, g, o = jnp.split(x_t @ p["Wx"] + h @ p["Wh"] + p["b"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        carry = jnp.zeros((4, 5)), jnp.zeros((4, 5))
        for x_t in jnp.swapaxes(x, 0, 1):
            carry, _ = step(carry, x_t)

    keep(example.params, example.X)
    np.testing.assert_allclose(h, np.mean(states, axis=0), rtol=1e-5, atol=1e-7)


def test_macs_are_those_of_products():
    _, net = network("mlp")
    assert net.n_macs((8, 6)) == 3 * 8 + 8 * 6 + 6 * 2
    assert net.n_macs((5, 4)) == 3 * 5 + 5 * 4 + 4 * 2
    _, net = network("lenet")
    names = [group.name for group in net.groups.groups]
    widths = dict(zip(names, net.groups.sizes, strict=True))
    expected = 64 * 9 * 1 * 4 + 16 * 9 * 4 * 6 + 24 * 10 + 10 * 3
    assert net.n_macs([widths[name] for name in names]) == expected


def test_macs_are_of_a_row_whatever_comes_first():
    params = drawn(0, A=(3, 3))
    groups = infer_groups(
        lambda p, scale, x: jax.nn.relu(x @ p["A"] * scale.sum()) @ jnp.ones((3, 1)), params, rows(1, 2), rows(2, 8, 3)
    )
    assert groups.costs[0].macs == 3 + 1


# --- the smaller function --------------------------------------------------------------------------------------------


def smaller(name):
    example, net = network(name)
    rng = np.random.default_rng(3)
    kept = tuple(np.sort(rng.choice(size, size - size // 2, replace=False)) for size in net.groups.sizes)
    specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), example.params)
    function = SmallerFunction(example.apply, net.groups, kept, specs)
    gates = tuple(jnp.zeros(size).at[k].set(1) for size, k in zip(net.groups.sizes, kept, strict=True))
    return example, net, kept, function, net.groups.compact(example.params, kept), gates


@EVERY
def test_the_smaller_function_is_the_gated_one_at_any_batch_size(name):
    example, net, _, function, small, gates = smaller(name)
    gated = jax.jit(lambda p: net.outputs(p, gates, example.X))(example.params)
    np.testing.assert_allclose(jax.jit(function)(small, example.X), gated, atol=1e-6)
    more = jnp.concatenate([example.X, example.X[:1]])
    np.testing.assert_allclose(jax.jit(function)(small, more)[:-1], gated, atol=1e-6)


@EVERY
def test_the_gated_gradient_cut_is_that_of_the_smaller_function(name):
    example, net, kept, function, small, gates = smaller(name)
    full = jax.jit(jax.grad(lambda p: (net.outputs(p, gates, example.X) ** 2).sum()))(example.params)
    cut = jax.jit(jax.grad(lambda p: (function(p, example.X) ** 2).sum()))(small)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * (1 + np.abs(b).max())),
        net.groups.compact(full, kept),
        cut,
    )
    gone = jax.tree.map(np.subtract, full, net.groups.zero(full, [np.flatnonzero(np.asarray(g) == 0) for g in gates]))
    assert max(np.abs(a).max() for a in jax.tree.leaves(gone)) == 0


def test_with_all_units_it_is_the_users_function():
    example, net = network("encoder")
    kept = tuple(map(np.arange, net.groups.sizes))
    specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), example.params)
    function = SmallerFunction(example.apply, net.groups, kept, specs)
    assert (function(example.params, example.X) == example.apply(example.params, example.X)).all()


def test_what_is_removed_may_be_anything():
    # As a variance below 0 may make it: NaN times 0 is NaN.
    example, net, kept, _, _, gates = smaller("encoder")
    gone = [np.setdiff1d(np.arange(size), k) for size, k in zip(net.groups.sizes, kept, strict=True)]
    odd = net.groups.compact(example.params, tuple(map(np.arange, net.groups.sizes)))  # a copy
    for group, units in zip(net.groups.groups, gone, strict=True):
        for s in group.incoming:
            labels = np.arange(odd[s.path[0]].shape[s.axis]) if s.labels is None else s.labels
            np.moveaxis(odd[s.path[0]], s.axis, 0)[np.isin(labels, units)] = np.nan
    outputs = jax.jit(lambda p: net.outputs(p, gates, example.X))
    assert (outputs(odd) == outputs(example.params)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda small: small | {"A": small["A"][:, :2]},
            r"leaf \['A'\] of the smaller parameters has the shape \(3, 4\)",
        ),
        (lambda small: {"A": small["A"]}, "The parameters must be the tree"),
    ],
)
def test_other_parameters_than_the_smaller_ones_are_named(wrong, message):
    example, _, _, function, small, _ = smaller("mlp")
    with pytest.raises(ValueError, match=message):
        function(wrong(small), example.X)


def test_networks_of_one_function_are_equal():
    (_, one), (_, other) = network("mlp"), network("mlp")
    assert one == other
    assert hash(one) == hash(other)


def test_a_module_that_cannot_be_hashed_is_its_own_key():
    class Module:
        __hash__ = None
        __eq__ = object.__eq__

        def __call__(self, params, x):
            return jax.nn.relu(x @ params["A"]) @ params["C"]

    params = drawn(0, A=(3, 8), C=(8, 2))
    module = Module()
    groups = infer_groups(module, params, MLP.X)
    net = TracedNetwork.of(module, groups, cross_entropy, params, MLP.X)
    assert hash(net) == hash(TracedNetwork.of(net.apply, groups, cross_entropy, params, MLP.X))


@pytest.mark.parametrize(
    ("loss", "message"),
    [(3, "'loss' parameter must be callable"), (lambda outputs: outputs, r"callable with \(outputs, y\)")],
)
def test_what_is_no_loss_is_named(loss, message):
    groups = infer_groups(MLP.apply, MLP.params, MLP.X, verify=False)
    with pytest.raises(ValueError, match=message):
        TracedNetwork.of(MLP.apply, groups, loss, MLP.params, MLP.X)


def test_a_loss_that_is_a_mean_is_named():
    groups = infer_groups(LENET.apply, LENET.params, LENET.X, verify=False)
    net = TracedNetwork.of(LENET.apply, groups, lambda o, y: cross_entropy(o, y).mean(), LENET.params, LENET.X)
    with pytest.raises(ValueError, match="must return an array of 4 floats here, one for each row"):
        net.batch_loss(LENET.params, on(groups), (), *rows_of(LENET))
