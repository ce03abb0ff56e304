"""Modules of Equinox come back at the smaller sizes, or not at all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapting import assert_same, cut_at_random, generic, squares

import skbandit
from skbandit.networks.equinox import _KNOWN, as_function, shrink
from skbandit.pruning import FineTuning

eqx = pytest.importorskip("equinox", reason="Equinox is not installed")

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
SEQUENCES = np.random.default_rng(1).normal(size=(4, 6, 5)).astype("float32")
IMAGES = np.random.default_rng(2).normal(size=(3, 3, 6, 6)).astype("float32")


def keys(n):
    return jax.random.split(jax.random.key(0), n)


def made(module, *args):
    """Return a module with random parameters, without the programs that initialise it."""
    shapes = eqx.filter_eval_shape(module, *args)
    params, static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    return eqx.combine(generic(params), static)


def shrunk(module, *x, state=None, **options):
    """Prune a module and return it smaller, with the result."""
    apply, params, state = as_function(module, state)
    result = cut_at_random(apply, params, *x, state=state, **options)
    return shrink(module, result, x), result


def mapped(module, x):
    """Return what a module without state returns for each row."""
    return eqx.filter_jit(lambda module, x: jax.vmap(module)(x))(module, x)


def perceptron(depth=1):
    return made(lambda: eqx.nn.MLP(5, 3, 16, depth, key=jax.random.key(0)))


class GRU(eqx.Module):
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self):
        self.cell = eqx.nn.GRUCell(5, 12, key=keys(2)[0])
        self.head = eqx.nn.Linear(12, 3, key=keys(2)[1])

    def __call__(self, x):
        start = jnp.zeros(self.cell.hidden_size)
        return self.head(jax.lax.scan(lambda h, x: (self.cell(x, h), None), start, x)[0])


class Attention(eqx.Module):
    embed: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear

    def __init__(self):
        self.embed = eqx.nn.Linear(5, 16, key=keys(3)[0])
        self.norm = eqx.nn.LayerNorm(16)
        self.attention = eqx.nn.MultiheadAttention(4, 16, key=keys(3)[1])
        self.head = eqx.nn.Linear(16, 3, key=keys(3)[2])

    def __call__(self, x):
        x = jax.vmap(self.embed)(x)
        y = jax.vmap(self.norm)(x)
        return self.head((x + self.attention(y, y, y)).mean(0))


class Depthwise(eqx.Module):
    stem: eqx.nn.Conv2d
    deep: eqx.nn.Conv2d
    norm: eqx.nn.GroupNorm
    point: eqx.nn.Conv2d
    head: eqx.nn.Linear

    def __init__(self):
        self.stem = eqx.nn.Conv2d(3, 8, 3, padding=1, key=keys(4)[0])
        self.deep = eqx.nn.Conv2d(8, 8, 3, padding=1, groups=8, key=keys(4)[1])
        self.norm = eqx.nn.GroupNorm(4, 8)
        self.point = eqx.nn.Conv2d(8, 6, 1, key=keys(4)[2])
        self.head = eqx.nn.Linear(6, 3, key=keys(4)[3])

    def __call__(self, x):
        x = jax.nn.silu(self.norm(self.deep(jax.nn.silu(self.stem(x)))))
        return self.head(jax.nn.silu(self.point(x)).mean((1, 2)))


class Normalised(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, mode="batch"):
        self.conv = eqx.nn.Conv2d(3, 8, 3, key=keys(2)[0])
        self.norm = eqx.nn.BatchNorm(8, "batch", mode=mode)
        self.drop = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(8, 3, key=keys(2)[1])

    def __call__(self, x, state, key=None):
        x, state = self.norm(self.conv(x), state)
        return self.head(self.drop(jax.nn.relu(x), key=key).mean((1, 2))), state


# --- the table of networks --------------------------------------------------------------------------------------------


def test_a_multilayer_perceptron_comes_back_whatever_its_widths_are():
    with pytest.warns(UserWarning, match=r"does not use width_size = 16 \(8 or 7 or 6.*\), and the new value is not"):
        small, result = shrunk(perceptron(3), X)
    assert list(result.sizes.values()) == [8, 7, 6]
    assert [layer.out_features for layer in small.layers] == [8, 7, 6, 3]
    assert [layer.in_features for layer in small.layers] == [5, 8, 7, 6]
    assert_same(mapped(small, X), result, X)


def test_a_recurrent_cell_starts_from_a_state_of_the_new_size():
    small, result = shrunk(made(GRU), SEQUENCES)
    assert (small.cell.input_size, small.cell.hidden_size) == (5, 6)
    assert_same(mapped(small, SEQUENCES), result, SEQUENCES)


def test_attention_loses_heads_and_the_stream_loses_channels():
    """Queries have 16 columns from 16 channels before, and another number of each after."""
    small, result = shrunk(made(Attention), SEQUENCES, left={"attention": 3, "embed": 10})
    a = small.attention
    assert (a.num_heads, a.qk_size, a.vo_size) == (3, 4, 4)
    assert (a.query_size, a.key_size, a.value_size, a.output_size) == (10, 10, 10, 10)
    assert small.norm.shape == (10,)
    assert_same(mapped(small, SEQUENCES), result, SEQUENCES)


def test_depthwise_convolutions_lose_channels_and_norms_lose_groups():
    small, result = shrunk(made(Depthwise), IMAGES, left={"stem": 3, "point": 2})
    assert (small.deep.groups, small.deep.in_channels, small.deep.out_channels) == (6, 6, 6)
    assert (small.norm.groups, small.norm.channels) == (3, 6)
    assert_same(mapped(small, IMAGES), result, IMAGES)


@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_statistics_of_batches_are_cut_too(mode):
    module, state = eqx.nn.make_with_state(Normalised)(mode)
    small, result = shrunk(module, IMAGES, state=generic(state))
    assert small.norm.input_size == result.sizes["conv"] == 4
    assert not small.drop.inference  # as it was given
    # The smaller module trains on, with its state.
    train = jax.vmap(small, axis_name="batch", in_axes=(0, None, 0), out_axes=(0, None))
    _, after = jax.eval_shape(train, IMAGES, result.state, jax.random.split(jax.random.key(0), 3))
    assert [a.shape for a in jax.tree.leaves(after)] == [a.shape for a in jax.tree.leaves(result.state)]


# --- never a wrong module ---------------------------------------------------------------------------------------------


class OwnHeads(eqx.Module):
    """Two heads, by a number in the code, or by an attribute."""

    queries: eqx.nn.Linear
    keys: eqx.nn.Linear
    values: eqx.nn.Linear
    out: eqx.nn.Linear
    n_heads: int
    steps: int

    def __init__(self, steps=1, n_heads=2):
        layers = [eqx.nn.Linear(5, 4 * n_heads, key=key) for key in keys(3)]
        self.queries, self.keys, self.values = layers
        self.out = eqx.nn.Linear(4 * n_heads, 3, key=jax.random.key(1))
        self.n_heads, self.steps = n_heads, steps

    def split(self, x, n_heads):
        return x.reshape(x.shape[0], n_heads, -1)

    def __call__(self, x, literal=False):
        n_heads = 2 if literal else self.n_heads
        q, k, v = (self.split(jax.vmap(f)(x), n_heads) for f in (self.queries, self.keys, self.values))
        made = jax.nn.dot_product_attention(q, k, v).reshape(x.shape[0], -1)
        for _ in range(self.steps):
            made = jnp.tanh(made)
        return jax.vmap(self.out)(made)


def one_head(call=None, **options):
    module = made(lambda: OwnHeads(**options))
    apply, params, _ = as_function(module, call=call)
    return module, cut_at_random(apply, params, SEQUENCES, left={"queries": 1})


def test_a_head_lost_behind_a_number_in_the_code_is_never_silent():
    """It runs: two heads of half the size stand where one was."""

    def call(module, x):
        return jax.vmap(lambda row: module(row, literal=True))(x)

    module, result = one_head(call)
    with pytest.raises(
        ValueError, match=r"computes something else at the smaller sizes \([\d.]+ %\): .*'rebuild'.*A number"
    ):
        shrink(module, result, SEQUENCES)


def test_an_attribute_of_ones_own_follows_the_heads():
    module, result = one_head()
    small = shrink(module, result)
    assert small.n_heads == 1
    assert_same(mapped(small, SEQUENCES), result, SEQUENCES)


def test_a_number_that_only_looks_like_a_size_stays():
    """It is two, as the heads are, and says how often a function is applied."""
    module, result = one_head(steps=2)
    small = shrink(module, result)
    assert (small.n_heads, small.steps) == (1, 2)
    assert_same(mapped(small, SEQUENCES), result, SEQUENCES)


def test_attributes_that_are_given_are_taken_and_checked():
    module, result = one_head(steps=2)
    assert shrink(module, result, attributes={"n_heads": 1, "steps": 2}).n_heads == 1
    with pytest.raises(ValueError, match=r"does not run|computes something else"):
        shrink(module, result, attributes={"n_heads": 2})
    with pytest.raises(ValueError, match=r"names 'heads', which the module has not.*'n_heads'"):
        shrink(module, result, attributes={"heads": 1})


@dataclasses.dataclass(frozen=True)
class Settings:
    width: int
    depth: int


class Configured(eqx.Module):
    layer: eqx.nn.Linear
    head: eqx.nn.Linear
    settings: Settings = eqx.field(static=True)

    def __init__(self, settings):
        self.settings = settings
        self.layer = eqx.nn.Linear(5, settings.width, key=keys(2)[0])
        self.head = eqx.nn.Linear(settings.width, 3, key=keys(2)[1])

    def __call__(self, x):
        return self.head(self.layer(x) + jnp.ones(self.settings.width))


def test_settings_of_a_module_follow_and_those_that_were_shared_stay():
    settings = Settings(8, 3)
    module = made(lambda: Configured(settings))
    small, result = shrunk(module, X)
    assert small.settings == Settings(4, 3)
    assert settings.width == module.settings.width == 8
    assert_same(mapped(small, X), result, X)


def test_a_module_can_be_made_anew():
    module, result = one_head()

    def rebuild(sizes):
        with pytest.raises(KeyError, match=r"No group is called 'heads'.*\['queries'\]"):
            sizes["heads"]
        return OwnHeads(n_heads=sizes["queries"])

    small = shrink(module, result, rebuild=rebuild)
    assert_same(mapped(small, SEQUENCES), result, SEQUENCES)
    wrong = eqx.tree_at(lambda m: m.n_heads, OwnHeads(n_heads=1), 2)
    with pytest.raises(ValueError, match=r"computes something else.*'rebuild' made for the sizes \{'queries': 1\}"):
        shrink(module, result, rebuild=lambda sizes: wrong)


def test_a_branch_that_is_zero_hides_no_difference():
    """The check draws parameters: those of the result make the attention 0."""
    module = made(Attention)
    of_branch = lambda m: (m.attention.output_proj.weight,)  # noqa: E731
    module = eqx.tree_at(of_branch, module, jax.tree.map(jnp.zeros_like, of_branch(module)))
    apply, params, _ = as_function(module)
    result = cut_at_random(apply, params, SEQUENCES)
    with pytest.raises(ValueError, match="computes something else"):
        shrink(module, result, attributes={"attention.num_heads": 4})


# --- arguments --------------------------------------------------------------------------------------------------------


def test_a_function_of_ones_own_is_called_as_it_says():
    module = made(GRU)
    params, static = eqx.partition(module, eqx.is_inexact_array)

    def call(module, x):
        return jax.nn.softmax(jax.vmap(module)(x))

    def apply(params, x):
        return call(eqx.combine(params, static), x)

    result = cut_at_random(apply, params, SEQUENCES)
    assert shrink(module, result, call=call).cell.hidden_size == 6
    with pytest.raises(ValueError, match=r"not the function that was pruned, at the full sizes either.*'call'"):
        shrink(module, result)


def test_wrong_arguments_are_named():
    module = perceptron()
    apply, params, _ = as_function(module)
    result = cut_at_random(apply, params, X)
    with pytest.raises(ValueError, match=r"'module' parameter of networks.equinox.shrink must be an equinox.Module"):
        shrink(params.layers, result)
    with pytest.raises(ValueError, match=r"'result' parameter of networks.equinox.shrink must be what skbandit.prune"):
        shrink(module, params)
    with pytest.raises(ValueError, match=r"'tolerance' parameter of .* must be a number above 0. Got -1"):
        shrink(module, result, tolerance=-1)
    with pytest.raises(ValueError, match=r"'rebuild' parameter of .* must be callable"):
        shrink(module, result, rebuild={"layers.0": 4})
    with pytest.raises(ValueError, match=r"has no parameter layers\.0\.weight"):
        shrink(made(GRU), result)
    with pytest.raises(ValueError, match=r"'call' parameter must be callable"):
        shrink(module, result, call=2)
    result.apply.example = None
    with pytest.raises(ValueError, match=r"'x' parameter of .* is needed"):
        shrink(module, result)


def test_known_attributes_are_those_that_layers_have():
    for name, table in _KNOWN.items():
        fields = {field.name for field in dataclasses.fields(getattr(eqx.nn, name))}
        assert set(table) <= fields


# --- around it --------------------------------------------------------------------------------------------------------


def test_a_module_is_pruned_fine_tuned_and_saved(tmp_path):
    """The state of the optimizer is at the smaller sizes too."""
    module = made(GRU)
    apply, params, _ = as_function(module)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    before = optimizer.init(params)
    result = skbandit.prune(
        apply,
        params,
        SEQUENCES,
        np.zeros((4, 3), "float32"),
        loss=squares,
        policy="magnitude",
        n_rounds=1,
        batch_size=4,
        fine_tune=FineTuning(optimizer, batch_size=4),
    )
    small = shrink(module, result)
    expected = [a.shape for a in jax.tree.leaves(optimizer.init(eqx.filter(small, eqx.is_inexact_array)))]
    assert [np.shape(a) for a in jax.tree.leaves(result.cut(before))] == expected
    assert [np.shape(a) for a in jax.tree.leaves(result.opt_state)] == expected
    eqx.tree_serialise_leaves(tmp_path / "small.eqx", small)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "small.eqx", eqx.filter_eval_shape(lambda: small))
    assert_same(mapped(loaded, SEQUENCES), result, SEQUENCES)
