"""What goes wrong when a network is pruned by its trace, each with its smallest example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from probing import Probe, found

from skbandit.networks import infer_groups

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.normal(size=shape).astype("float32")


def slices_of(groups):
    """Return name, size, and labels by (path, axis) of each group; None for one position a unit."""
    return [
        (g.size, {(*s.path, s.axis): None if s.labels is None else tuple(s.labels.tolist()) for s in g.slices})
        for g in groups.groups
    ]


def layer_norm(h):
    return (h - h.mean(-1, keepdims=True)) * lax.rsqrt(h.var(-1, keepdims=True) + 1e-5)


def relative(a, b):
    return float(np.abs(np.asarray(a) - b).max() / np.abs(np.asarray(b)).max())


def test_zeroing_is_not_removing():
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)
    mask = np.array([1, 1, 0, 1, 0, 1], bool)

    def apply(params, x):
        return layer_norm(jax.nn.sigmoid(x @ params["A"])) @ params["B"]

    removed = apply({"A": params["A"][:, mask], "B": params["B"][mask]}, x)
    h = jax.nn.sigmoid(x @ params["A"])
    assert relative(layer_norm(h * mask) @ params["B"], removed) > 0.05  # gates on the activation
    assert relative(apply({"A": params["A"], "B": params["B"] * mask[:, None]}, x), removed) > 0.05  # zero rows
    probe = Probe(apply, params, [x], found(apply, params, x), 1e-6)
    (gated,) = probe.gated(mask)
    assert relative(gated, removed) < 1e-6


@pytest.mark.parametrize(
    "statistic",
    [
        lambda h: h.mean(-1, keepdims=True),
        lambda h: h.var(-1, keepdims=True),
        lambda h: h.std(-1, keepdims=True, ddof=1),
        lambda h: jnp.sum(h, -1, keepdims=True) / h.shape[-1],
        lambda h: jax.nn.standardize(h),
    ],
    ids=["mean", "variance", "degrees of freedom", "by hand", "standardized"],
)
def test_a_mean_counts_the_units_left(statistic):
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)

    def apply(params, x):
        h = jax.nn.sigmoid(x @ params["A"])
        return (h / statistic(h)) @ params["B"]

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-5)
    mask = np.array([1, 1, 0, 1, 0, 1], bool)
    probe.assert_removed(mask)
    probe.assert_function_follows(mask)


def test_a_count_inside_of_a_loop_is_of_the_units_left():
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)

    def apply(params, x):
        h = jax.nn.sigmoid(x @ params["A"])
        return lax.fori_loop(0, 2, lambda i, h: h / h.mean(-1, keepdims=True), h) @ params["B"]

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-5)
    probe.assert_function_follows(np.array([1, 1, 0, 1, 0, 1], bool))


def test_what_left_may_be_no_number():
    params = {"A": draw(4, 6), "variance": np.array([1, 2, -1, 1, 3, 1], "float32"), "B": draw(6, 3)}
    x, mask = draw(5, 4), np.array([1, 1, 0, 1, 1, 1], bool)

    def apply(params, x):
        return (x @ params["A"]) * lax.rsqrt(params["variance"]) @ params["B"]

    groups = found(apply, params, x)
    probe = Probe(apply, params, [x], groups, 1e-6)
    assert np.isnan(apply(params, x)).all()
    assert np.isfinite(probe.gated(mask)[0]).all()
    probe.assert_removed(mask)


def test_a_weight_of_what_left_may_be_no_number():
    """The reading side, too: what is made of its parameters may be NaN where a unit left."""
    params = {"A": draw(4, 6), "B": np.abs(draw(6, 3)) + 1}
    params["B"][2] = -1
    x, mask = draw(5, 4), np.array([1, 1, 0, 1, 1, 1], bool)

    def apply(params, x):
        return jax.nn.relu(x @ params["A"]) @ jnp.log(params["B"])

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-6)
    assert np.isfinite(probe.gated(mask)[0]).all()
    probe.assert_removed(mask)


def test_no_number_stays_in_its_channel_of_a_grouped_convolution():
    """XLA computes groups as one convolution with zeros between them, on some devices."""
    params = {
        "A": draw(3, 6),
        "variance": np.array([1, 2, -1, 1, 3, 1], "float32"),
        "K": draw(3, 1, 6),
        "B": draw(6, 3),
    }
    x, mask = draw(2, 5, 3), np.array([1, 1, 0, 1, 1, 1], bool)

    def apply(params, x):
        h = (x @ params["A"]) * lax.rsqrt(params["variance"])
        numbers = ("NHC", "HIO", "NHC")
        h = lax.conv_general_dilated(h, params["K"], (1,), "SAME", dimension_numbers=numbers, feature_group_count=6)
        return h.mean(1) @ params["B"]

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-6)
    assert np.isfinite(probe.gated(mask)[0]).all()
    probe.assert_removed(mask)


def heads(params, x, split):
    """Return attention of two heads; ``split`` reshapes (B, S, 8) to heads."""
    q, k, v = (split(x @ params[name]) for name in "qkv")
    weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", q, k), -1)
    return jnp.einsum("bhst,bthd->bshd", weights, v).reshape(*x.shape[:2], -1) @ params["o"]


@pytest.fixture
def attention():
    params = {name: draw(5, 8) for name in "qkv"} | {"o": draw(8, 5)}
    return params, draw(2, 3, 5)


def test_the_same_function_may_be_another_network_at_smaller_shapes(attention):
    params, x = attention

    def apply(params, x):  # always two heads
        return heads(params, x, lambda a: a.reshape(*a.shape[:2], 2, -1))

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-6)
    mask = np.array([False, True])
    small = probe.small(mask)
    assert relative(apply(small, x), probe.removed(mask)[0]) > 0.05  # runs, and is something else
    right = heads(small, x, lambda a: a.reshape(*a.shape[:2], -1, 4))
    assert relative(probe.removed(mask)[0], right) < 1e-6
    probe.assert_removed(mask)


def test_heads_are_blocks_that_a_reshape_shows(attention):
    params, x = attention
    blocks = (0,) * 4 + (1,) * 4

    def apply(params, x):
        return heads(params, x, lambda a: a.reshape(*a.shape[:2], 2, 4))

    ((size, slices),) = slices_of(found(apply, params, x))
    assert size == 2
    assert slices == {("q", 1): blocks, ("k", 1): blocks, ("v", 1): blocks, ("o", 0): blocks}


def test_heads_of_a_fused_projection_are_not_its_parts():
    params, x = {"W": draw(5, 24), "o": draw(2, 4, 5)}, draw(2, 3, 5)

    def apply(params, x):
        qkv = (x @ params["W"]).reshape(*x.shape[:2], 3, 2, 4)
        weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", qkv[:, :, 0], qkv[:, :, 1]), -1)
        return jnp.einsum("bhst,bthd,hde->bse", weights, qkv[:, :, 2], params["o"])

    ((size, slices),) = slices_of(found(apply, params, x))
    assert size == 2
    assert slices == {("W", 1): ((0,) * 4 + (1,) * 4) * 3, ("o", 0): None}


def test_layers_that_are_read_as_one_are_groups_of_their_own():
    params = {"0": draw(4, 8), "1": draw(4, 6), "2": draw(4, 6), "W": draw(40, 3)}
    x = draw(2, 2, 4)

    def apply(params, x):
        h = jnp.concatenate([jax.nn.relu(x @ params[name]) for name in "012"], -1)
        return h.reshape(2, -1) @ params["W"]

    groups = found(apply, params, x)
    assert [size for size, _ in slices_of(groups)] == [8, 6, 6]
    for name, (size, slices) in zip("012", slices_of(groups), strict=True):
        assert slices[name, 1] is None
        labels = np.array(slices["W", 0])
        assert (labels >= 0).sum() == 2 * size
    Probe(apply, params, [x], groups, 1e-5).assert_holds([np.arange(20) % 3 > 0])


def test_calls_of_one_function_do_not_tie_layers():
    params, x = {"A": draw(4, 6), "B": draw(6, 6), "C": draw(6, 3)}, draw(5, 4)
    act = jax.jit(lambda h: jax.nn.relu(h) * 2)

    def apply(params, x):
        return act(act(x @ params["A"]) @ params["B"]) @ params["C"]

    assert slices_of(found(apply, params, x)) == [
        (6, {("A", 1): None, ("B", 0): None}),
        (6, {("B", 1): None, ("C", 0): None}),
    ]


def test_weights_of_layers_in_a_scan_do_not_depend_on_data():
    params, x = {"U": draw(3, 4, 6), "V": draw(3, 6, 4), "o": draw(4, 2)}, draw(5, 4)

    def apply(params, x):
        turn = lambda h, w: (h + jax.nn.relu(h @ w[0]) @ w[1], None)  # noqa: E731
        return lax.scan(turn, x, (params["U"], params["V"]))[0] @ params["o"]

    assert slices_of(found(apply, params, x)) == [(6, {("U", 2): None, ("V", 1): None})]


def test_a_part_of_a_projection_that_is_dropped_stays():
    """A part of three is a position of an axis of one, then dropped: no unit goes through that."""
    params, x = {"W": draw(4, 24), "o": draw(8, 5)}, draw(3, 4)

    def apply(params, x):
        qkv = jnp.moveaxis((x @ params["W"]).reshape(3, 3, 2, 4), 1, 0)
        return (qkv[0] * qkv[1] + qkv[2]).reshape(3, 8) @ params["o"]

    groups = found(apply, params, x)
    ((size, slices),) = slices_of(groups)
    assert size == 2
    assert slices == {("W", 1): ((0,) * 4 + (1,) * 4) * 3, ("o", 0): (0,) * 4 + (1,) * 4}
    Probe(apply, params, [x], groups, 1e-5).assert_holds([np.array([True, False])])


def test_a_part_of_a_flat_axis_waits_until_it_is_a_product():
    params = {"A": draw(4, 4), "B": draw(4, 2), "C": draw(12, 3)}
    x = draw(2, 2, 4)

    def apply(params, x):  # each layer's part of the flat axis is no product of factors before the other is there
        return jnp.concatenate([x @ params["A"], x @ params["B"]], -1).reshape(2, 12) @ params["C"]

    assert slices_of(found(apply, params, x)) == [
        (4, {("A", 1): None, ("C", 0): (0, 1, 2, 3, -1, -1) * 2}),
        (2, {("B", 1): None, ("C", 0): (-1, -1, -1, -1, 0, 1) * 2}),
    ]


def test_dimensions_inside_of_heads_are_asked_for():
    params = {"q": draw(5, 2, 4), "k": draw(5, 2, 4), "v": draw(5, 2, 4), "o": draw(2, 4, 5)}
    x = draw(2, 3, 5)

    def apply(params, x):
        q, k, v = (jnp.einsum("bsd,dhe->bshe", x, params[name]) for name in "qkv")
        weights = jax.nn.softmax(jnp.einsum("bshe,bthe->bhst", q, k), -1)
        return jnp.einsum("bhst,bthe,heo->bso", weights, v, params["o"])

    def axes(groups):
        return [set(slices) for _, slices in slices_of(groups)]

    of_heads = {("q", 1), ("k", 1), ("v", 1), ("o", 0)}
    by_default = found(apply, params, x)
    assert axes(by_default) == [of_heads]
    reasons = {(*r.path, r.axis): r.reason for r in by_default.refused}
    assert 'include=["inner"]' in reasons["v", 2]
    assert 'include=["bilinear"]' in reasons["q", 2]
    assert {("v", 2), ("o", 1)} in axes(found(apply, params, x, include=("inner",)))
    groups = found(apply, params, x, include=("inner", "bilinear"))
    assert {("q", 2), ("k", 2)} in axes(groups)
    Probe(apply, params, [x], groups, 1e-5).assert_holds([np.arange(groups.n_units) % 2 == 0])


def test_what_only_training_reads_leaves_with_its_unit():
    """A statistic that inference never reads would stay at its full size."""
    params, x = {"A": draw(4, 6), "mean": draw(6), "hidden": draw(6), "B": draw(6, 3)}, draw(5, 4)

    def apply(params, x):
        return jax.nn.relu(x @ params["A"] - params["mean"]) @ params["B"]

    def train(params, x):
        h = x @ params["A"]
        kept = 0.9 * params["hidden"] + 0.1 * h.mean(0)
        return jax.nn.relu(h - kept) @ params["B"]

    ((_, alone),) = slices_of(infer_groups(apply, params, x, verify=False))
    assert ("hidden", 0) not in alone
    ((_, slices),) = slices_of(infer_groups(apply, params, x, also=[train]))
    assert slices == {("A", 1): None, ("mean", 0): None, ("hidden", 0): None, ("B", 0): None}


def test_what_is_refused_by_default_stays_refused_beside_another_function(attention):
    params, x = attention

    def apply(params, x):
        return heads(params, x, lambda a: a.reshape(*a.shape[:2], 2, 4))

    def train(params, x):
        return 2 * apply(params, x)

    alone, beside = (slices_of(infer_groups(apply, params, x, also=also)) for also in ((), (train,)))
    assert alone == beside


def test_statistics_of_batches_leave_with_their_channel():
    params, state, x = {"A": draw(4, 6), "B": draw(6, 3)}, {"mean": draw(6)}, draw(5, 4)

    def apply(params, state, x):
        h = x @ params["A"]
        new = {"mean": 0.9 * state["mean"] + 0.1 * h.mean(0)}
        return jax.nn.relu(h - h.mean(0)) @ params["B"], new

    groups = infer_groups(apply, params, x, state=state)
    ((size, slices),) = slices_of(groups)
    assert size == 6
    assert set(slices) == {("params", "A", 1), ("params", "B", 0), ("state", "mean", 0)}


# --- axes that are alike by accident ---------------------------------------------------------------------------------


def test_axes_of_equal_size_are_not_mixed_up():
    """Rows, positions, units of two layers and outputs: all are 4."""
    params, x = {"A": draw(4, 4), "B": draw(4, 4), "C": draw(4, 4), "T": draw(4, 4)}, draw(4, 4, 4)

    def apply(params, x):
        h = jax.nn.relu(jax.nn.relu(x @ params["A"]) @ params["B"])
        return jnp.einsum("bsd,st->btd", h, params["T"]).mean(1) @ params["C"]

    groups = found(apply, params, x)
    assert [slices for _, slices in slices_of(groups)] == [
        {("A", 1): None, ("B", 0): None},
        {("B", 1): None, ("C", 0): None},
        {("T", 1): None},
    ]
    Probe(apply, params, [x], groups, 1e-5).assert_holds([np.arange(12) % 3 > 0])


def test_units_that_one_position_holds_stay_alone():
    """Some units reach the output, and stay: the others of their layer may leave."""
    params, x = {"A": draw(5, 8), "B": draw(8, 3)}, draw(4, 5)

    def apply(params, x):
        h = x @ params["A"]
        return h @ params["B"], h[:, :4]

    ((size, slices),) = slices_of(found(apply, params, x))
    assert size == 4
    assert slices == {("A", 1): (-1,) * 4 + (0, 1, 2, 3), ("B", 0): (-1,) * 4 + (0, 1, 2, 3)}


def test_arrays_without_numbers_pass():
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)

    def apply(params, x):
        h = jax.nn.relu(x @ params["A"])
        nothing = h[:0].sum(0) + h[:, :0].sum()
        return jnp.concatenate([h + nothing, h[:, 6:], jnp.zeros((5, 0))], -1) @ params["B"]

    groups = found(apply, params, x)
    Probe(apply, params, [x], groups, 1e-5).assert_holds([np.arange(groups.n_units) % 2 == 0])


# --- derivatives of one's own ----------------------------------------------------------------------------------------


@jax.custom_vjp
def straight_through(h):
    return jnp.round(h)


straight_through.defvjp(lambda h: (jnp.round(h), None), lambda _, ct: (ct,))


@jax.custom_jvp
def relu(h):  # JAX's name, another derivative
    return jnp.maximum(h, 0)


relu.defjvp(lambda primals, tangents: (relu(*primals), 3 * tangents[0]))


@pytest.mark.parametrize("function", [straight_through, relu, jax.nn.relu, jax.nn.relu6, jax.nn.softplus])
def test_own_derivatives_are_kept_gated_and_removed(function):
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)
    params["A"][:, 1] = 0  # at the kink

    def apply(params, x):
        return function(x @ params["A"]) @ params["B"]

    probe = Probe(apply, params, [x], found(apply, params, x), 1e-6)
    mask = np.array([1, 1, 0, 1, 0, 1], bool)
    small = probe.small(mask)
    expected = jax.grad(lambda p: (apply(p, x) ** 2).sum())(small)
    removed = jax.grad(lambda p: (probe.removed_of(p, mask)[0] ** 2).sum())(small)
    gated = jax.grad(lambda p: (probe.gated_of(p, mask)[0] ** 2).sum())(params)
    for name, axis in (("A", 1), ("B", 0)):
        np.testing.assert_allclose(removed[name], expected[name], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.compress(mask, gated[name], axis), expected[name], rtol=1e-5, atol=1e-5)
        assert not np.compress(~mask, gated[name], axis).any()
