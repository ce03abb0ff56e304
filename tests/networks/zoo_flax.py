"""Networks of the zoo in Flax: linen modules and nnx modules. `zoo` says what they are for."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from zoo import ZooNetwork, generic, inputs, tokens


def linen(name: str, model: Any, example: tuple[Any, ...], expected: tuple[int, ...] | None) -> ZooNetwork:
    """Make a network of a module; its batch statistics, if there are any, are the state."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *example)
    variables = generic(shapes)
    if "batch_stats" not in variables:
        return ZooNetwork(f"{name} (linen)", model.apply, variables, None, example, expected)

    def apply(params, state, *x):
        return model.apply({"params": params, "batch_stats": state}, *x)

    return ZooNetwork(f"{name} (linen)", apply, variables["params"], variables["batch_stats"], example, expected)


def nnx_network(
    name: str, make: Callable[[Any], Any], example: tuple[Any, ...], expected: tuple[int, ...] | None
) -> ZooNetwork:
    """Make a network of a module; its batch statistics, if there are any, are the state."""
    from flax import nnx

    shapes = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph, params, state, rest = nnx.split(shapes, nnx.Param, nnx.BatchStat, ...)
    params, state = generic(nnx.to_pure_dict(params)), generic(nnx.to_pure_dict(state))
    if not jax.tree.leaves(state):

        def plain(params, *x):
            return nnx.merge(graph, nnx.State(params), nnx.State({}), rest, copy=True)(*x)

        return ZooNetwork(f"{name} (nnx)", plain, params, None, example, expected)

    def apply(params, state, *x):
        return nnx.merge(graph, nnx.State(params), nnx.State(state), rest, copy=True)(*x)

    return ZooNetwork(f"{name} (nnx)", apply, params, state, example, expected)


# --- linen ------------------------------------------------------------------------------------------------------------


def mlp_norm() -> ZooNetwork:
    from flax import linen as nn

    class MLP(nn.Module):
        @nn.compact
        def __call__(self, x):
            for width in (16, 12):
                x = nn.gelu(nn.LayerNorm()(nn.Dense(width)(x)))
            return nn.Dense(3)(x)

    return linen("MLP with LayerNorm", MLP(), (inputs(4, 5),), (12, 16))


def resnet() -> ZooNetwork:
    """Two stages of two blocks: a stream in each stage, the inner channels in each block."""
    from flax import linen as nn

    class Block(nn.Module):
        width: int
        stride: int = 1

        @nn.compact
        def __call__(self, x):
            y = nn.Conv(self.width, (3, 3), self.stride, use_bias=False)(x)
            y = nn.relu(nn.BatchNorm(use_running_average=True)(y))
            y = nn.BatchNorm(use_running_average=True)(nn.Conv(self.width, (3, 3), use_bias=False)(y))
            if x.shape != y.shape:
                x = nn.BatchNorm(use_running_average=True)(nn.Conv(self.width, (1, 1), self.stride, use_bias=False)(x))
            return nn.relu(x + y)

    class ResNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(8, (3, 3), use_bias=False)(x)))
            for width, stride in ((8, 1), (8, 1), (16, 2), (16, 1)):
                x = Block(width, stride)(x)
            return nn.Dense(3)(x.mean((1, 2)))

    return linen("ResNet with BatchNorm", ResNet(), (inputs(2, 8, 8, 3),), (8, 8, 8, 16, 16, 16))


def densenet() -> ZooNetwork:
    """Each convolution reads all before; the last concatenation is flattened: one axis holds the units of three."""
    from flax import linen as nn

    class DenseNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(6, (3, 3))(x))
            for growth in (4, 5):
                x = jnp.concatenate([x, nn.relu(nn.Conv(growth, (3, 3))(x))], -1)
            x = nn.relu(nn.Dense(8)(x.reshape(x.shape[0], -1)))
            return nn.Dense(3)(x)

    return linen("DenseNet-like, flattened", DenseNet(), (inputs(2, 4, 4, 3),), (4, 5, 6, 8))


def unet() -> ZooNetwork:
    """Where GroupNorm follows, a unit is a whole group of its channels; the transposed convolution has no norm."""
    from flax import linen as nn

    class UNet(nn.Module):
        @nn.compact
        def __call__(self, x):
            skip = nn.relu(nn.GroupNorm(4)(nn.Conv(8, (3, 3))(x)))
            x = nn.max_pool(skip, (2, 2), (2, 2))
            x = nn.relu(nn.GroupNorm(4)(nn.Conv(16, (3, 3))(x)))
            x = nn.relu(nn.ConvTranspose(6, (2, 2), (2, 2))(x))
            x = jnp.concatenate([x, skip], -1)
            x = nn.relu(nn.GroupNorm(2)(nn.Conv(8, (3, 3))(x)))
            return nn.Conv(2, (1, 1))(x)

    return linen("U-Net with GroupNorm", UNet(), (inputs(2, 8, 8, 3),), (2, 4, 4, 6))


def encoder() -> ZooNetwork:
    """Two blocks: the stream, and in each block the heads and the hidden units."""
    from flax import linen as nn

    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, ids):
            x = nn.Embed(11, 16)(ids)
            x = x + self.param("positions", nn.initializers.normal(), (ids.shape[1], 16))
            for _ in range(2):
                y = nn.LayerNorm()(x)
                x = x + nn.MultiHeadDotProductAttention(4, deterministic=True)(y, y)
                x = x + nn.Dense(16)(nn.gelu(nn.Dense(24)(nn.LayerNorm()(x))))
            return nn.Dense(3)(nn.LayerNorm()(x).mean(1))

    return linen("encoder", Encoder(), (tokens(11, 2, 6),), (4, 4, 16, 24, 24))


def seq2seq() -> ZooNetwork:
    """The decoder starts from the carry of the encoder: their units are the same."""
    from flax import linen as nn

    class Translator(nn.Module):
        @nn.compact
        def __call__(self, source, target):
            carry, _ = nn.RNN(nn.OptimizedLSTMCell(16), return_carry=True)(source)
            return nn.Dense(3)(nn.RNN(nn.OptimizedLSTMCell(16))(target, initial_carry=carry))

    return linen("LSTM, encoder and decoder", Translator(), (inputs(2, 5, 4), inputs(2, 6, 3)), (16,))


def bidirectional_gru() -> ZooNetwork:
    from flax import linen as nn

    class Reader(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Bidirectional(nn.RNN(nn.GRUCell(8)), nn.RNN(nn.GRUCell(7)))(x)
            return nn.Dense(3)(nn.tanh(nn.Dense(10)(x)).mean(1))

    return linen("bidirectional GRU", Reader(), (inputs(2, 6, 4),), (7, 8, 10))


def mixer() -> ZooNetwork:
    """Tokens are no units: they are positions of the input."""
    from flax import linen as nn

    class Mixer(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Conv(16, (2, 2), (2, 2))(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1])
            for _ in range(2):
                y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
                x = x + jnp.swapaxes(nn.Dense(x.shape[1])(nn.gelu(nn.Dense(12)(y))), 1, 2)
                x = x + nn.Dense(16)(nn.gelu(nn.Dense(24)(nn.LayerNorm()(x))))
            return nn.Dense(3)(nn.LayerNorm()(x).mean(1))

    return linen("Mixer", Mixer(), (inputs(2, 8, 8, 3),), (12, 12, 16, 24, 24))


# --- nnx --------------------------------------------------------------------------------------------------------------


def nnx_attention() -> ZooNetwork:
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Linear(5, 16, rngs=rngs)
            self.norms = nnx.List([nnx.LayerNorm(16, rngs=rngs) for _ in range(2)])
            self.attention = nnx.MultiHeadAttention(4, 16, decode=False, deterministic=True, rngs=rngs)
            self.head = nnx.Linear(16, 3, rngs=rngs)

        def __call__(self, x):
            x = self.embed(x)
            x = x + self.attention(self.norms[0](x))
            return self.head(self.norms[1](x).mean(1))

    return nnx_network("attention with LayerNorm", Network, (inputs(2, 6, 5),), (4, 16))


def nnx_convolution() -> ZooNetwork:
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs):
            self.convolutions = nnx.List([nnx.Conv(a, b, (3, 3), rngs=rngs) for a, b in ((3, 6), (6, 8))])
            self.norms = nnx.List([nnx.BatchNorm(n, use_running_average=True, rngs=rngs) for n in (6, 8)])
            self.head = nnx.Linear(8, 3, rngs=rngs)

        def __call__(self, x):
            for convolution, norm in zip(self.convolutions, self.norms, strict=True):
                x = nnx.relu(norm(convolution(x)))
            return self.head(x.mean((1, 2)))

    return nnx_network("convolutions with BatchNorm", Network, (inputs(2, 6, 6, 3),), (6, 8))


def nnx_decoder() -> ZooNetwork:
    """Grouped queries with shapes from the parameters: ``reshape(n, length, -1, dims)``."""
    from flax import nnx

    D, Q, K, F, vocabulary = 16, 4, 2, 20, 11
    dims = D // Q

    class Block(nnx.Module):
        def __init__(self, rngs):
            def linear(a, b):
                return nnx.Linear(a, b, use_bias=False, rngs=rngs)

            self.norm1, self.norm2 = nnx.RMSNorm(D, rngs=rngs), nnx.RMSNorm(D, rngs=rngs)
            self.q, self.k, self.v, self.o = (linear(D, n) for n in (D, K * dims, K * dims, D))
            self.gate, self.up, self.down = linear(D, F), linear(D, F), linear(F, D)

        def __call__(self, x):
            n, length, _ = x.shape
            y = self.norm1(x)
            q, k, v = (layer(y).reshape(n, length, -1, dims) for layer in (self.q, self.k, self.v))
            x = x + self.o(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(n, length, -1))
            y = self.norm2(x)
            return x + self.down(nnx.silu(self.gate(y)) * self.up(y))

    class Decoder(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Embed(vocabulary, D, rngs=rngs)
            self.blocks = nnx.List([Block(rngs) for _ in range(2)])
            self.norm = nnx.RMSNorm(D, rngs=rngs)

        def __call__(self, ids):
            x = self.embed(ids)
            for block in self.blocks:
                x = block(x)
            return self.embed.attend(self.norm(x))

    example = (tokens(vocabulary, 2, 6),)
    return nnx_network("decoder, grouped queries", Decoder, example, (2, 2, 16, 20, 20))


FLAX = (
    *(mlp_norm, resnet, densenet, unet, encoder, seq2seq, bidirectional_gru, mixer),
    *(nnx_attention, nnx_convolution, nnx_decoder),
)
