"""Networks that no package ships in this form: the same as those of `benchmarks.deep.torch_models`, in JAX.

Functions over plain trees of parameters, modules of flax.linen and of Equinox.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.deep.networks import Entry, Network, from_equinox, from_linen, plain, shape, tokens

VOCABULARY, CLASSES = 1000, 10


def mlp() -> Network:
    sizes = (784, 512, 256, CLASSES)
    shapes = [{"W": (n, m), "b": (m,)} for n, m in itertools.pairwise(sizes)]

    def apply(params: Any, x: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = jax.nn.relu(x @ layer["W"] + layer["b"])
        return x @ last["W"] + last["b"]

    return plain(apply, shapes, shape(2, 784))


def convolve(x: Any, W: Any, padding: str = "VALID") -> Any:
    return lax.conv_general_dilated(x, W, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def mean_pool(x: Any) -> Any:
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def lenet() -> Network:
    shapes = {
        **{"conv1": (5, 5, 1, 6), "b1": (6,), "conv2": (5, 5, 6, 16), "b2": (16,)},
        **{"W3": (400, 120), "b3": (120,), "W4": (120, 84), "b4": (84,), "W5": (84, CLASSES), "b5": (CLASSES,)},
    }

    def apply(p: Any, x: Any) -> Any:
        x = mean_pool(jnp.tanh(convolve(x, p["conv1"], "SAME") + p["b1"]))
        x = mean_pool(jnp.tanh(convolve(x, p["conv2"]) + p["b2"]))
        x = jnp.tanh(x.reshape(x.shape[0], -1) @ p["W3"] + p["b3"])
        x = jnp.tanh(x @ p["W4"] + p["b4"])
        return x @ p["W5"] + p["b5"]

    return plain(apply, shapes, shape(2, 28, 28, 1))


def unet() -> Network:
    """Two levels down and up, GroupNorm of 8 groups after each convolution but the transposed ones."""
    from flax import linen as nn

    class Twice(nn.Module):
        width: int

        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(2):
                x = nn.relu(nn.GroupNorm(8)(nn.Conv(self.width, (3, 3))(x)))
            return x

    class UNet(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            skips = []
            for width in (64, 128):
                skips.append(Twice(width)(x))
                x = nn.max_pool(skips[-1], (2, 2), (2, 2))
            x = Twice(256)(x)
            for width in (128, 64):
                x = nn.ConvTranspose(width, (2, 2), (2, 2))(x)
                x = Twice(width)(jnp.concatenate([x, skips.pop()], -1))
            return nn.Conv(2, (1, 1))(x)

    return from_linen(UNet(), shape(1, 32, 32, 3))


def encoder() -> Network:
    """Four blocks of 256 channels, 8 heads, 1024 hidden units, normalised before."""
    from flax import linen as nn

    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, ids: Any) -> Any:
            x = nn.Embed(VOCABULARY, 256)(ids)
            x = x + self.param("positions", nn.initializers.normal(), (1, ids.shape[1], 256))
            for _ in range(4):
                y = nn.LayerNorm()(x)
                x = x + nn.MultiHeadDotProductAttention(8, deterministic=True)(y, y)
                x = x + nn.Dense(256)(nn.gelu(nn.Dense(1024)(nn.LayerNorm()(x))))
            return nn.Dense(CLASSES)(nn.LayerNorm()(x).mean(1))

    return from_linen(Encoder(), tokens(2, 32))


def rms_norm(x: Any, scale: Any) -> Any:
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def rotary(x: Any, base: float = 10000.0) -> Any:
    """Turn pairs of head dimensions by angles that grow with the position; x: f[n, positions, heads, dims]."""
    positions, dims = x.shape[1], x.shape[-1]
    angles = jnp.arange(positions)[:, None] * base ** (-jnp.arange(0, dims, 2) / dims)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    left, right = jnp.split(x, 2, -1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], -1)


def decoder() -> Network:
    """Four blocks: 8 heads of queries on 2 of keys and values, rotary positions, SwiGLU, RMSNorm, tied embedding."""
    D, Q, K, F, dims = 256, 8, 2, 688, 32
    block = {"scale1": (D,), "q": (D, Q * dims), "k": (D, K * dims), "v": (D, K * dims), "o": (Q * dims, D)}
    block |= {"scale2": (D,), "gate": (D, F), "up": (D, F), "down": (F, D)}
    shapes = {"embed": (VOCABULARY, D), "blocks": [block] * 4, "scale": (D,)}

    def attention(p: Any, x: Any) -> Any:
        n, length, _ = x.shape
        q = rotary((x @ p["q"]).reshape(n, length, Q, dims))
        k = rotary((x @ p["k"]).reshape(n, length, K, dims))
        v = (x @ p["v"]).reshape(n, length, K, dims)
        k, v = (jnp.repeat(a, Q // K, axis=2) for a in (k, v))
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(dims)
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
        return jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v).reshape(n, length, Q * dims) @ p["o"]

    def apply(p: Any, ids: Any) -> Any:
        x = p["embed"][ids]
        for q in p["blocks"]:
            x = x + attention(q, rms_norm(x, q["scale1"]))
            y = rms_norm(x, q["scale2"])
            x = x + (jax.nn.silu(y @ q["gate"]) * (y @ q["up"])) @ q["down"]
        return rms_norm(x, p["scale"]) @ p["embed"].T

    return plain(apply, shapes, tokens(2, 32))


def windows_of(x: Any, size: int) -> Any:
    """Cut images into windows: f[n, h, w, d] -> f[n * windows, size², d]."""
    n, h, w, d = x.shape
    x = x.reshape(n, h // size, size, w // size, size, d)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, size * size, d)


def image_of(x: Any, size: int, n: int, h: int, w: int) -> Any:
    """Put windows together again."""
    x = x.reshape(n, h // size, w // size, size, size, x.shape[-1])
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, -1)


def position_index(size: int) -> Any:
    """Number the distances between two positions of a window; i[size², size²]."""
    corners = np.stack(np.meshgrid(range(size), range(size), indexing="ij"), -1).reshape(-1, 2)
    apart = corners[:, None] - corners + size - 1
    return apart[..., 0] * (2 * size - 1) + apart[..., 1]


def swin() -> Network:
    """Two stages of two blocks, 96 and 192 channels, windows of 4 × 4 that shift, fused q, k and v, patch merging."""
    from flax import linen as nn

    class Attention(nn.Module):
        heads: int
        size: int = 4

        @nn.compact
        def __call__(self, x: Any) -> Any:
            D, H = x.shape[-1], self.heads
            q, k, v = jnp.moveaxis(nn.Dense(3 * D)(x).reshape(*x.shape[:2], 3, H, D // H), 2, 0)
            table = self.param("table", nn.initializers.normal(), ((2 * self.size - 1) ** 2, H))
            scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(D // H)
            scores = scores + table[position_index(self.size)].transpose(2, 0, 1)
            mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
            return nn.Dense(D)(mixed.reshape(*x.shape[:2], D))

    class Swin(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Conv(96, (2, 2), (2, 2))(x)
            for stage, heads in enumerate((3, 6)):
                if stage:
                    x = jnp.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
                    x = nn.Dense(2 * 96, use_bias=False)(nn.LayerNorm()(x))
                n, h, w, D = x.shape
                for shift in (0, 2):
                    y = jnp.roll(nn.LayerNorm()(x), (-shift, -shift), (1, 2))
                    y = image_of(Attention(heads)(windows_of(y, 4)), 4, n, h, w)
                    x = x + jnp.roll(y, (shift, shift), (1, 2))
                    x = x + nn.Dense(D)(nn.gelu(nn.Dense(4 * D)(nn.LayerNorm()(x))))
            return nn.Dense(CLASSES)(nn.LayerNorm()(x).mean((1, 2)))

    return from_linen(Swin(), shape(2, 32, 32, 3))


def lstm() -> Network:
    """Two layers of 128 units, the last step read by a dense layer."""
    from flax import linen as nn

    class LSTM(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(2):
                x = nn.RNN(nn.OptimizedLSTMCell(128))(x)
            return nn.Dense(CLASSES)(x[:, -1])

    return from_linen(LSTM(), shape(2, 20, 32))


def gru() -> Network:
    """One layer of 128 units in a scan, the last state read by a dense layer."""
    import equinox as eqx

    class GRU(eqx.Module):
        cell: eqx.nn.GRUCell
        head: eqx.nn.Linear

        def __init__(self) -> None:
            self.cell = eqx.nn.GRUCell(32, 128, key=jax.random.key(0))
            self.head = eqx.nn.Linear(128, CLASSES, key=jax.random.key(1))

        def __call__(self, x: Any) -> Any:
            def step(h: Any, x: Any) -> Any:
                return self.cell(x, h), None

            return self.head(lax.scan(step, jnp.zeros(128), x)[0])

    return from_equinox(GRU, lambda module, x: module(x), shape(2, 20, 32))


OWN = (
    Entry("MLP", mlp, "MLP"),
    Entry("LeNet-5", lenet, "LeNet-5"),
    Entry("U-Net, GroupNorm", unet, "U-Net, GroupNorm", needs=("flax",)),
    Entry("encoder", encoder, "encoder", needs=("flax",)),
    Entry("decoder, grouped queries", decoder, "decoder, grouped queries"),
    Entry("Swin", swin, "Swin", needs=("flax",)),
    Entry("LSTM, 2 layers", lstm, "LSTM, 2 layers", needs=("flax",)),
    Entry("GRU", gru, "GRU", needs=("equinox",)),
)
