"""Modules of linen are made anew for the sizes that are left, and checked."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapting import assert_same, cut_at_random, generic, squares

import skbandit
from skbandit.networks import infer_groups
from skbandit.networks.flax import as_function, shrink
from skbandit.pruning import FineTuning

nn = pytest.importorskip("flax.linen", reason="Flax is not installed")

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
TOKENS = np.random.default_rng(1).integers(0, 11, (2, 6), "int32")
IMAGES = np.random.default_rng(2).normal(size=(3, 8, 8, 3)).astype("float32")


class MLP(nn.Module):
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(3)(x)


class Encoder(nn.Module):
    width: int = 32
    n_heads: int = 4
    head_width: int = 8
    hidden: int = 64

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(11, self.width)(ids)
        x = x + self.param("positions", nn.initializers.normal(), (ids.shape[1], self.width))
        y = nn.LayerNorm()(x)
        attention = nn.MultiHeadDotProductAttention(
            self.n_heads, qkv_features=self.n_heads * self.head_width, out_features=self.width, deterministic=True
        )
        x = x + attention(y, y)
        x = x + nn.Dense(self.width)(nn.gelu(nn.Dense(self.hidden)(nn.LayerNorm()(x))))
        return nn.Dense(3)(nn.LayerNorm()(x).mean(1))


class ResNet(nn.Module):
    """One block, with statistics of batches."""

    stream: int = 8
    inner: int = 8

    @nn.compact
    def __call__(self, x, train):
        def norm(x):
            return nn.BatchNorm(use_running_average=not train)(x)

        x = nn.relu(norm(nn.Conv(self.stream, (3, 3))(x)))
        x = nn.relu(x + norm(nn.Conv(self.stream, (3, 3))(nn.relu(norm(nn.Conv(self.inner, (3, 3))(x))))))
        return nn.Dense(3)(x.mean((1, 2)))


def variables_of(module, *x, **options):
    shapes = jax.eval_shape(lambda key: module.init(key, *x, **options), jax.random.key(0))
    return generic(shapes)


def apply_smaller(module, result, *x, **options):
    return jax.jit(lambda variables, *x: module.apply(variables, *x, **options))(
        {"params": result.params, **(result.state or {})}, *x
    )


# --- the table of networks --------------------------------------------------------------------------------------------


def test_a_multilayer_perceptron_comes_back():
    apply, params, state = as_function(MLP((16, 12)), variables_of(MLP((16, 12)), X))
    assert state is None
    result = cut_at_random(apply, params, X, left={"Dense_0": 7, "Dense_1": 5})
    small = shrink(lambda sizes: MLP((sizes["Dense_0"], sizes["Dense_1"])), result)
    assert_same(apply_smaller(small, result, X), result, X)


def test_an_encoder_loses_channels_heads_and_hidden_units():
    apply, params, _ = as_function(Encoder(), variables_of(Encoder(), TOKENS))
    result = cut_at_random(
        apply, params, TOKENS, left={"MultiHeadDotProductAttention_0": 3, "Embed_0": 16, "Dense_1": 32}
    )
    small = shrink(
        lambda sizes: Encoder(
            width=sizes["Embed_0"], n_heads=sizes["MultiHeadDotProductAttention_0"], hidden=sizes["Dense_1"]
        ),
        result,
        TOKENS,
    )
    assert_same(apply_smaller(small, result, TOKENS), result, TOKENS)


def test_statistics_of_batches_are_cut_too():
    """Also of a function of one's own, whose state is the other collections."""
    module = ResNet()
    variables = variables_of(module, IMAGES, train=False)
    apply, params, state = as_function(module, variables, train=False)
    assert set(state) == {"batch_stats"}
    result = cut_at_random(apply, params, IMAGES, state=state, left={"Conv_0": 5, "Conv_2": 3})

    def rebuild(sizes):
        return ResNet(stream=sizes["Conv_0"], inner=sizes["Conv_2"])

    small = shrink(rebuild, result, IMAGES)
    assert_same(apply_smaller(small, result, IMAGES, train=False), result, IMAGES)
    # It trains on.
    smaller = {"params": result.params, **result.state}
    _, after = jax.eval_shape(lambda v: small.apply(v, IMAGES, train=True, mutable=["batch_stats"]), smaller)
    assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, result.state)

    def own(params, state, x):
        return module.apply({"params": params, "batch_stats": state}, x, train=False)

    result = cut_at_random(own, params, IMAGES, state=state["batch_stats"], left={"Conv_0": 5, "Conv_2": 3})

    def rebuild_own(sizes):
        small = rebuild(sizes)
        return lambda params, state, x: small.apply({"params": params, "batch_stats": state}, x, train=False)

    assert callable(shrink(rebuild_own, result, IMAGES))


def test_all_variables_may_be_the_parameters():
    module = MLP((16, 12))
    result = cut_at_random(module.apply, variables_of(module, X), X, left={"Dense_0": 7, "Dense_1": 5})
    small = shrink(lambda sizes: MLP(tuple(sizes.values())), result)
    assert_same(jax.jit(small.apply)(result.params, X), result, X)


# --- never a wrong module ---------------------------------------------------------------------------------------------


def test_a_wrong_size_is_refused_with_the_message_of_flax():
    apply, params, _ = as_function(MLP((16, 12)), variables_of(MLP((16, 12)), X))
    result = cut_at_random(apply, params, X, left={"Dense_0": 7, "Dense_1": 5})
    with pytest.raises(ValueError, match=r"does not run .*ScopeParamShapeError.*'rebuild' made for the sizes") as info:
        shrink(lambda sizes: MLP((16, 12)), result)
    assert type(info.value.__cause__).__name__ == "ScopeParamShapeError"
    with pytest.raises(KeyError, match=r"No group is called 'Dense_2'.*\['Dense_0', 'Dense_1'\]"):
        shrink(lambda sizes: MLP((sizes["Dense_2"],)), result)


def test_a_head_lost_behind_a_number_in_the_code_is_never_silent():
    class Heads(nn.Module):
        width: int = 8

        @nn.compact
        def __call__(self, x):
            q, k, v = (nn.Dense(self.width)(x).reshape(*x.shape[:2], 2, -1) for _ in range(3))
            return nn.Dense(3)(nn.dot_product_attention(q, k, v).reshape(*x.shape[:2], -1))

    x = np.random.default_rng(3).normal(size=(2, 6, 5)).astype("float32")
    apply, params, _ = as_function(Heads(), variables_of(Heads(), x))
    result = cut_at_random(apply, params, x, left={"Dense_0": 1})
    with pytest.raises(ValueError, match=r"something else at the smaller sizes \([\d.]+ %\)"):
        shrink(lambda sizes: Heads(width=4 * sizes["Dense_0"]), result)


def test_value_dimensions_alone_fit_no_module_of_flax():
    """They are refused by default: the module has one size for queries, keys and values."""
    apply, params, _ = as_function(Encoder(), variables_of(Encoder(), TOKENS))
    reasons = [r.reason for r in infer_groups(apply, params, TOKENS, verify=False).refused if "value" in r.path]
    assert any('include=["inner"]' in reason for reason in reasons)
    groups = infer_groups(apply, params, TOKENS, verify=False, include=["inner"]).groups
    left = {g.name: 5 if "value" in g.name else g.size for g in groups}
    assert 5 in left.values()
    result = cut_at_random(apply, params, TOKENS, include=["inner"], left=left)
    with pytest.raises(ValueError, match="does not run at the smaller sizes"):
        shrink(lambda sizes: Encoder(head_width=5), result)


# --- arguments --------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    module, variables = MLP((16,)), variables_of(MLP((16,)), X)
    with pytest.raises(ValueError, match=r"'module' parameter of networks.flax.as_function must be a linen.Module"):
        as_function(module.apply, variables)
    with pytest.raises(ValueError, match=r"must have the collection 'params'.*Got the keys \['Dense_0', 'Dense_1'\]"):
        as_function(module, variables["params"])
    apply, params, _ = as_function(module, variables)
    result = cut_at_random(apply, params, X)
    with pytest.raises(ValueError, match=r"'rebuild' parameter of networks.flax.shrink must be callable"):
        shrink({"Dense_0": 8}, result)
    with pytest.raises(ValueError, match=r"'rebuild' function of networks.flax.shrink must return a module"):
        shrink(dict, result)
    with pytest.raises(ValueError, match=r"'result' parameter of networks.flax.shrink must be what skbandit.prune"):
        shrink(lambda sizes: module, result.params)


# --- around it --------------------------------------------------------------------------------------------------------


def test_a_module_is_pruned_fine_tuned_and_saved(tmp_path):
    from flax import serialization

    module = MLP((16,))
    apply, params, _ = as_function(module, variables_of(module, X))
    optimizer = optax.adamw(1e-3)
    options = {"policy": "magnitude", "n_rounds": 1, "batch_size": 4, "fine_tune": FineTuning(optimizer, batch_size=4)}
    result = skbandit.prune(apply, params, X, np.zeros((6, 3), "float32"), loss=squares, **options)
    small = shrink(lambda sizes: MLP((sizes["Dense_0"],)), result)
    expected = [a.shape for a in jax.tree.leaves(optimizer.init(result.params))]
    for tree in (result.cut(optimizer.init(params)), result.opt_state):
        assert [np.shape(a) for a in jax.tree.leaves(tree)] == expected
    path = tmp_path / "small.msgpack"
    path.write_bytes(serialization.to_bytes(result.params))
    loaded = serialization.from_bytes(None, path.read_bytes())
    assert_same(jax.jit(small.apply)({"params": loaded}, jnp.asarray(X)), result, X)
