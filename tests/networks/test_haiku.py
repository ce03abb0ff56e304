"""Functions of haiku are made anew for the sizes that are left, and checked."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from adapting import assert_same, cut_at_random, generic, squares

import skbandit
from skbandit.networks.haiku import as_function, shrink
from skbandit.pruning import FineTuning

hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
SEQUENCES = np.random.default_rng(1).normal(size=(4, 6, 5)).astype("float32")
IMAGES = np.random.default_rng(2).normal(size=(3, 6, 6, 3)).astype("float32")


def perceptron(*widths):
    return hk.transform(lambda x: hk.nets.MLP([*widths, 3], activation=jnp.tanh)(x))


def reader(units):
    def forward(x):
        core = hk.LSTM(units)
        outputs, _ = hk.dynamic_unroll(core, x, core.initial_state(x.shape[0]), time_major=False)
        return hk.Linear(3)(outputs[:, -1])

    return hk.without_apply_rng(hk.transform(forward))


def attention(n_heads, width):
    def forward(x):
        x = hk.Linear(width)(x)
        y = hk.LayerNorm(-1, True, True)(x)
        start = hk.initializers.VarianceScaling()
        x = x + hk.MultiHeadAttention(n_heads, 4, w_init=start, model_size=width)(y, y, y)
        return hk.Linear(3)(x.mean(1))

    return hk.transform(forward)


def convolution(channels):
    def forward(x, is_training):
        x = hk.BatchNorm(True, True, 0.9)(hk.Conv2D(channels, 3)(x), is_training)
        return hk.Linear(3)(jax.nn.relu(x).mean((1, 2)))

    return hk.without_apply_rng(hk.transform_with_state(forward))


def params_of(transformed, *x):
    return generic(jax.eval_shape(transformed.init, jax.random.key(0), *x))


# --- the table of networks --------------------------------------------------------------------------------------------


def test_a_multilayer_perceptron_comes_back():
    full = perceptron(16, 12)
    apply, params, state = as_function(full, params_of(full, X))
    assert state is None
    result = cut_at_random(apply, params, X, left={"mlp/~/linear_0": 7, "mlp/~/linear_1": 5})
    small = shrink(lambda sizes: perceptron(sizes["mlp/~/linear_0"], sizes["mlp/~/linear_1"]), result)
    assert_same(small.apply(result.params, None, X), result, X)


def test_a_recurrent_network_loses_units():
    apply, params, _ = as_function(reader(12), params_of(reader(12), SEQUENCES))
    result = cut_at_random(apply, params, SEQUENCES, left={"lstm/linear": 7})
    small = shrink(lambda sizes: reader(sizes["lstm/linear"]), result, SEQUENCES)
    assert_same(jax.jit(small.apply)(result.params, SEQUENCES), result, SEQUENCES)


def test_attention_loses_heads_and_the_stream_loses_channels():
    apply, params, _ = as_function(attention(4, 16), params_of(attention(4, 16), SEQUENCES))
    result = cut_at_random(apply, params, SEQUENCES, left={"multi_head_attention/query": 3, "linear": 10})
    small = shrink(lambda sizes: attention(sizes["multi_head_attention/query"], sizes["linear"]), result, SEQUENCES)
    assert_same(jax.jit(small.apply)(result.params, None, SEQUENCES), result, SEQUENCES)


def test_averages_of_batches_are_cut_too():
    full = convolution(8)
    shapes = jax.eval_shape(lambda key, x: full.init(key, x, True), jax.random.key(0), IMAGES)
    params, state = map(generic, shapes)
    apply, params, state = as_function(full, params, state, is_training=False)
    # Training reads leaves that inference does not.
    training, *_ = as_function(full, params, state, is_training=True)
    result = cut_at_random(apply, params, IMAGES, state=state, also=[training], left={"conv2_d": 5})
    small = shrink(lambda sizes: convolution(sizes["conv2_d"]), result, IMAGES)
    outputs, after = jax.jit(lambda *args: small.apply(*args, False))(result.params, result.state, IMAGES)
    assert_same(outputs, result, IMAGES)
    assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, result.state)
    # It trains on.
    _, after = jax.eval_shape(lambda *args: small.apply(*args, True), result.params, result.state, IMAGES)
    assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, result.state)


# --- never a wrong network --------------------------------------------------------------------------------------------


def test_a_wrong_size_is_refused_with_the_message_of_haiku():
    full = perceptron(16)
    result = cut_at_random(lambda params, x: full.apply(params, None, x), params_of(full, X), X)
    with pytest.raises(ValueError, match=r"does not run at the smaller sizes .*retrieved shape.*'rebuild' made for"):
        shrink(lambda sizes: perceptron(16), result)
    assert_same(shrink(lambda sizes: perceptron(*sizes.values()), result).apply(result.params, None, X), result, X)


def test_a_number_of_heads_that_stays_is_never_silent():
    def heads(width):
        def forward(x):
            q, k, v = (hk.Linear(width)(x).reshape(*x.shape[:2], 2, -1) for _ in range(3))
            return hk.Linear(3)(jax.nn.dot_product_attention(q, k, v).reshape(*x.shape[:2], -1))

        return hk.transform(forward)

    apply, params, _ = as_function(heads(8), params_of(heads(8), SEQUENCES))
    result = cut_at_random(apply, params, SEQUENCES, left={"linear": 1})
    with pytest.raises(ValueError, match=r"something else at the smaller sizes \([\d.]+ %\)"):
        shrink(lambda sizes: heads(4 * sizes["linear"]), result)


# --- arguments --------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    full = perceptron(16)
    params = params_of(full, X)
    with pytest.raises(ValueError, match=r"'transformed' parameter of networks.haiku.as_function must be what"):
        as_function(full.apply, params)
    result = cut_at_random(as_function(full, params)[0], params, X)
    with pytest.raises(ValueError, match=r"'rebuild' parameter of networks.haiku.shrink must be callable"):
        shrink(None, result)
    with pytest.raises(ValueError, match=r"'rebuild' function of networks.haiku.shrink must return a module"):
        shrink(lambda sizes: None, result)


# --- around it --------------------------------------------------------------------------------------------------------


def test_a_network_is_pruned_and_fine_tuned():
    full = perceptron(16)
    apply, params, _ = as_function(full, params_of(full, X))
    optimizer = optax.adamw(1e-3)
    options = {"policy": "magnitude", "n_rounds": 1, "batch_size": 4, "fine_tune": FineTuning(optimizer, batch_size=4)}
    result = skbandit.prune(apply, params, X, np.zeros((6, 3), "float32"), loss=squares, **options)
    shrink(lambda sizes: perceptron(*sizes.values()), result)
    expected = [a.shape for a in jax.tree.leaves(optimizer.init(result.params))]
    for tree in (result.cut(optimizer.init(params)), result.opt_state):
        assert [np.shape(a) for a in jax.tree.leaves(tree)] == expected
