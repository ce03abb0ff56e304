"""Modules of nnx come back at the smaller sizes, or not at all."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapting import assert_same, cut_at_random, generic, squares

import skbandit
from skbandit.networks.nnx import _KNOWN, as_function, shrink
from skbandit.pruning import FineTuning

nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
SEQUENCES = np.random.default_rng(1).normal(size=(4, 6, 5)).astype("float32")
IMAGES = np.random.default_rng(2).normal(size=(3, 6, 6, 3)).astype("float32")
TOKENS = np.random.default_rng(3).integers(0, 11, (2, 6), "int32")


def made(make):
    """Return a module with random parameters and state, without the programs that initialise it."""
    graph, variables = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    numbers, randomness = nnx.split_state(variables, nnx.Not(nnx.RngState), ...)
    return nnx.merge(graph, generic(numbers), jax.tree.map(start_of, randomness))


def start_of(spec):
    """Return a key, or a count of 0."""
    return jax.random.key(0) if jnp.issubdtype(spec.dtype, jax.dtypes.prng_key) else jnp.zeros(spec.shape, spec.dtype)


def shrunk(module, *x, **options):
    """Prune a module and return it smaller, with the result."""
    apply, params, state = as_function(module)
    result = cut_at_random(apply, params, *x, state=state, **options)
    return shrink(module, result, x), result


def called(module, *x):
    """Return what a module in inference mode returns."""
    module = nnx.clone(module)
    module.eval()
    return nnx.jit(lambda module, *x: module(*x))(module, *x)


class Attention(nnx.Module):
    """Four heads of four columns: their number is also that of the columns."""

    def __init__(self, rngs):
        self.embed = nnx.Linear(5, 16, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(16, rngs=rngs) for _ in range(2)])
        self.attention = nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs)
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        x = self.embed(x)
        x = x + self.attention(self.norms[0](x))
        return self.head(self.norms[1](x).mean(1))


class Convolutions(nnx.Module):
    def __init__(self, rngs):
        self.convolutions = nnx.List([nnx.Conv(a, b, (3, 3), rngs=rngs) for a, b in ((3, 6), (6, 8))])
        self.norms = nnx.List([nnx.BatchNorm(n, rngs=rngs) for n in (6, 8)])
        self.group_norm = nnx.GroupNorm(8, num_groups=4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
        return self.head(self.drop(self.group_norm(x).mean((1, 2))))


def rotated(x):
    """Rotary positions, over all columns of a head."""
    n = x.shape[-1] // 2
    angles = jnp.arange(x.shape[1])[:, None, None] * 0.5 ** jnp.arange(n)
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate([a * jnp.cos(angles) - b * jnp.sin(angles), a * jnp.sin(angles) + b * jnp.cos(angles)], -1)


class Decoder(nnx.Module):
    """One block of grouped queries, rotary positions and gated units, with a tied embedding."""

    def __init__(self, rngs):
        def linear(a, b):
            return nnx.Linear(a, b, use_bias=False, rngs=rngs)

        self.embed = nnx.Embed(11, 16, rngs=rngs)
        self.norms = nnx.List([nnx.RMSNorm(16, rngs=rngs) for _ in range(3)])
        self.q, self.k, self.v, self.o = linear(16, 16), linear(16, 8), linear(16, 8), linear(16, 16)
        self.gate, self.up, self.down = linear(16, 20), linear(16, 20), linear(20, 16)
        self.dims = 4

    def __call__(self, ids):
        x = self.embed(ids)
        n, length, _ = x.shape
        y = self.norms[0](x)
        q, k, v = (layer(y).reshape(n, length, -1, self.dims) for layer in (self.q, self.k, self.v))
        made = jax.nn.dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.o(made.reshape(n, length, -1))
        y = self.norms[1](x)
        x = x + self.down(nnx.silu(self.gate(y)) * self.up(y))
        return self.embed.attend(self.norms[2](x))


class Recurrent(nnx.Module):
    def __init__(self, rngs, cell=nnx.GRUCell):
        self.reader = nnx.RNN(cell(5, 12, rngs=rngs))
        self.head = nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.reader(x)[:, -1])


class OwnHeads(nnx.Module):
    """Two heads, by a number in the code or by an attribute."""

    def __init__(self, rngs, literal=False, n_heads=2, steps=1):
        self.queries, self.keys, self.values = (nnx.Linear(5, 4 * n_heads, rngs=rngs) for _ in range(3))
        self.out = nnx.Linear(4 * n_heads, 3, rngs=rngs)
        self.n_heads, self.literal, self.steps = n_heads, literal, steps

    def __call__(self, x):
        n = 2 if self.literal else self.n_heads
        q, k, v = (f(x).reshape(*x.shape[:2], n, -1) for f in (self.queries, self.keys, self.values))
        x = jax.nn.dot_product_attention(q, k, v).reshape(*x.shape[:2], -1)
        for _ in range(self.steps):
            x = jnp.tanh(x)
        return self.out(x)


# --- the table of networks --------------------------------------------------------------------------------------------


def test_attention_loses_heads_and_the_stream_loses_channels():
    small, result = shrunk(made(Attention), SEQUENCES, left={"attention": 3, "embed": 10})
    a = small.attention
    assert (a.num_heads, a.num_kv_heads, a.head_dim, a.qkv_features) == (3, 3, 4, 12)
    assert (a.in_features, a.in_kv_features, a.out_features) == (10, 10, 10)
    assert (a.query.in_features, a.query.out_features) == ((10,), (3, 4))
    assert a.out.in_features == (3, 4)
    assert [norm.num_features for norm in small.norms] == [10, 10]
    assert_same(called(small, SEQUENCES), result, SEQUENCES)


def test_convolutions_norms_and_statistics_lose_channels():
    module = made(Convolutions)
    small, result = shrunk(module, IMAGES, left={"convolutions.0": 2, "convolutions.1": 3})
    assert [norm.num_features for norm in small.norms] == [2, 6]
    assert [norm.var.shape for norm in small.norms] == [(2,), (6,)]
    assert [c.kernel_shape for c in small.convolutions] == [(3, 3, 3, 2), (3, 3, 2, 6)]
    norm = small.group_norm
    assert (norm.num_groups, norm.group_size) == (3, 2)
    assert_same(called(small, IMAGES), result, IMAGES)
    # In training mode, as it was given; and that one is as it was.
    assert not small.drop.deterministic
    assert module.norms[0].num_features == 6
    assert small(jnp.asarray(IMAGES)).shape == (3, 3)


def test_a_decoder_with_shapes_from_its_parameters_comes_back():
    """Also where its function was one of one's own, of what split returned."""
    module = made(Decoder)
    graph, params, rest = nnx.split(module, nnx.Param, ...)

    def apply(params, ids):
        return nnx.merge(graph, params, rest, copy=True)(ids)

    result = cut_at_random(apply, params, TOKENS, left={"q.kernel": 1, "o.kernel": 12, "gate.kernel": 9})
    small = shrink(module, result, TOKENS)
    assert (small.dims, small.embed.features, small.k.out_features) == (4, 12, 4)
    assert_same(called(small, TOKENS), result, TOKENS)


@pytest.mark.parametrize("cell", ["GRUCell", "LSTMCell", "OptimizedLSTMCell"])
def test_recurrent_cells_lose_units(cell):
    small, result = shrunk(made(lambda rngs: Recurrent(rngs, getattr(nnx, cell))), SEQUENCES)
    assert (small.reader.cell.in_features, small.reader.cell.hidden_features) == (5, 6)
    assert_same(called(small, SEQUENCES), result, SEQUENCES)


# --- never a wrong module ---------------------------------------------------------------------------------------------


def one_head(**options):
    module = made(lambda rngs: OwnHeads(rngs, **options))
    apply, params, _ = as_function(module)
    return module, cut_at_random(apply, params, SEQUENCES, left={"queries": 1})


def test_a_head_lost_behind_a_number_in_the_code_is_never_silent():
    module, result = one_head(literal=True)
    with pytest.raises(ValueError, match=r"something else at the smaller sizes \([\d.]+ %\): .*'rebuild'"):
        shrink(module, result)


def test_an_attribute_of_ones_own_follows_the_heads():
    module, result = one_head()
    small = shrink(module, result)
    assert small.n_heads == 1
    assert module.n_heads == 2
    assert_same(called(small, SEQUENCES), result, SEQUENCES)
    assert shrink(module, result, attributes={"n_heads": 1}).n_heads == 1


def test_a_number_that_only_looks_like_a_size_stays():
    """It is two, as the heads are, and says how often a function is applied."""
    module, result = one_head(steps=2)
    small = shrink(module, result)
    assert (small.n_heads, small.steps) == (1, 2)
    assert_same(called(small, SEQUENCES), result, SEQUENCES)


def test_a_module_can_be_made_anew():
    module, result = one_head()
    small = shrink(module, result, rebuild=lambda sizes: OwnHeads(nnx.Rngs(1), n_heads=sizes["queries"]))
    assert_same(called(small, SEQUENCES), result, SEQUENCES)
    with pytest.raises(ValueError, match=r"something else.*It is what 'rebuild' made for the sizes"):
        shrink(module, result, rebuild=lambda sizes: OwnHeads(nnx.Rngs(1), literal=True, n_heads=1))


# --- arguments --------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    module, result = one_head()
    with pytest.raises(ValueError, match=r"'module' parameter of networks.nnx.as_function must be an nnx.Module"):
        as_function(nnx.state(module))
    with pytest.raises(ValueError, match=r"has no parameter keys\.bias"):
        shrink(made(Recurrent), result)
    with pytest.raises(ValueError, match=r"'call' parameter must be callable"):
        shrink(module, result, call="call")


def test_known_attributes_are_those_that_layers_have():
    for name, table in _KNOWN.items():
        code = inspect.getsource(getattr(nnx, name).__init__)
        assert [attribute for attribute in table if f"self.{attribute} = " not in code] == []


# --- around it --------------------------------------------------------------------------------------------------------


def test_a_module_is_pruned_fine_tuned_and_trained_on():
    """The state of the optimizer is at the smaller sizes too: a step of nnx's own optimizer goes on from it."""
    module = made(Recurrent)
    apply, params, state = as_function(module)
    assert state is None
    optimizer = optax.adamw(1e-3)
    before = optimizer.init(params)
    y = np.zeros((4, 3), "float32")
    options = {"policy": "magnitude", "n_rounds": 1, "batch_size": 4, "fine_tune": FineTuning(optimizer, batch_size=4)}
    result = skbandit.prune(apply, params, SEQUENCES, y, loss=squares, **options)
    small = shrink(module, result)
    wrapped = nnx.Optimizer(small, optimizer, wrt=nnx.Param)
    expected = sorted(a.shape for a in jax.tree.leaves(nnx.state(wrapped.opt_state)) if a.ndim)
    for tree in (result.cut(before), result.opt_state):
        assert sorted(np.shape(a) for a in jax.tree.leaves(tree) if np.ndim(a)) == expected
    wrapped.update(small, nnx.grad(lambda m: squares(m(SEQUENCES), y).mean())(small))
