"""Small networks of many kinds: what must be prunable without a hint.

Each function makes one: `PLAIN` are functions over plain trees of parameters and need JAX alone; those of `FLAX`,
`EQUINOX` and `HAIKU` import their framework when they are called. All compute in inference mode. The values of
parameters are generic: no bias of 0, no scale and no variance of 1, so that a slice that is forgotten shows.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class ZooNetwork(NamedTuple):
    """A network with an example of its inputs.

    ``apply(params, *example)`` gives the outputs; with a state, ``apply(params, state, *example)``. ``expected`` are
    the sizes of its groups as they were worked out by hand, in ascending order; None where they were not.
    """

    name: str
    apply: Callable[..., Any]
    params: Any
    state: Any
    example: tuple[Any, ...]
    expected: tuple[int, ...] | None


def generic(tree: Any, seed: int = 0) -> Any:
    """Return random values for the floating-point leaves of a tree of arrays or shapes; zeros for others.

    Variances are positive, scales near 1; weights of n inputs have a variance of about 1 / n.
    """
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/").lower()
        noise = rng.standard_normal(leaf.shape)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            values = np.zeros(leaf.shape)
        elif re.search(r"(^|[/_~])var(_ema|iance)?($|/)", name):
            values = rng.uniform(0.5, 1.5, leaf.shape)
        elif "scale" in name or (len(leaf.shape) == 1 and name.endswith("weight")):
            values = 1 + 0.2 * noise
        elif len(leaf.shape) < 2:
            values = 0.2 * noise
        else:
            # Outputs come first in some frameworks and last in others: the larger of the two is taken for them.
            values = noise / np.sqrt(max(1, noise.size / max(leaf.shape[0], leaf.shape[-1])))
        return jnp.asarray(values, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, tree)


def inputs(*shape: int, seed: int = 1) -> jax.Array:
    """Return an array of normal numbers."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def tokens(n: int, *shape: int, seed: int = 1) -> jax.Array:
    """Return an array of numbers from 0 to n - 1."""
    return jnp.asarray(np.random.default_rng(seed).integers(n, size=shape), jnp.int32)


def weights(**shapes: Any) -> Any:
    """Return generic parameters of these shapes: tuples, or dicts and lists of them."""

    def array(shape: tuple[int, ...]) -> Any:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    return generic(jax.tree.map(array, shapes, is_leaf=lambda node: isinstance(node, tuple)))


# --- dense and convolutional ------------------------------------------------------------------------------------------


def mlp_sigmoid() -> ZooNetwork:
    params = weights(layers=[{"W": (5, 8), "b": (8,)}, {"W": (8, 6), "b": (6,)}, {"W": (6, 3), "b": (3,)}])

    def apply(params, x):
        *hidden, last = params["layers"]
        for layer in hidden:
            x = jax.nn.sigmoid(x @ layer["W"] + layer["b"])
        return x @ last["W"] + last["b"]

    return ZooNetwork("MLP, sigmoid (plain)", apply, params, None, (inputs(4, 5),), (6, 8))


def convolution(x, W, stride=1, groups=1, padding="SAME"):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, W, (stride, stride), padding, dimension_numbers=numbers, feature_group_count=groups
    )


def mean_pool(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def lenet() -> ZooNetwork:
    """The flattened positions of a filter leave with it: 2 × 2 rows of the first dense matrix."""
    params = weights(c1=(3, 3, 1, 4), b1=(4,), c2=(3, 3, 4, 8), b2=(8,), W1=(32, 10), d1=(10,), W2=(10, 3), d2=(3,))

    def apply(p, x):
        x = mean_pool(jnp.tanh(convolution(x, p["c1"]) + p["b1"]))
        x = mean_pool(jnp.tanh(convolution(x, p["c2"]) + p["b2"]))
        x = jnp.tanh(x.reshape(x.shape[0], -1) @ p["W1"] + p["d1"])
        return x @ p["W2"] + p["d2"]

    return ZooNetwork("LeNet with flatten (plain)", apply, params, None, (inputs(4, 8, 8, 1),), (4, 8, 10))


def depthwise() -> ZooNetwork:
    """A depthwise filter belongs to the channel that it reads."""
    params = weights(stem=(3, 3, 3, 6), b=(6,), deep=(3, 3, 1, 6), point=(1, 1, 6, 8), c=(8,), W=(8, 3))

    def apply(p, x):
        x = jax.nn.relu(convolution(x, p["stem"]) + p["b"])
        x = jax.nn.relu(convolution(x, p["deep"], groups=x.shape[-1]))
        x = jax.nn.relu(convolution(x, p["point"]) + p["c"])
        return x.mean((1, 2)) @ p["W"]

    return ZooNetwork("depthwise convolution (plain)", apply, params, None, (inputs(4, 6, 6, 3),), (6, 8))


def channel_shuffle() -> ZooNetwork:
    """Grouped convolutions with a shuffle between, as in ShuffleNet: a unit is a channel of each of the two groups.

    The channels between the two convolutions change groups in the shuffle, and stay.
    """
    params = weights(stem=(1, 1, 3, 6), b=(6,), g1=(3, 3, 3, 6), g2=(3, 3, 3, 6), c=(6,), W=(6, 3))

    def apply(p, x):
        x = jax.nn.relu(convolution(x, p["stem"]) + p["b"])
        x = convolution(x, p["g1"], groups=2)
        x = jnp.swapaxes(x.reshape(*x.shape[:3], 2, 3), -1, -2).reshape(*x.shape[:3], 6)
        x = jax.nn.relu(convolution(x, p["g2"], groups=2) + p["c"])
        return x.mean((1, 2)) @ p["W"]

    return ZooNetwork(
        "grouped convolution, channel shuffle (plain)", apply, params, None, (inputs(2, 6, 6, 3),), (3, 3)
    )


def softmax_over_units() -> ZooNetwork:
    params = weights(A=(5, 10), a=(10,), B=(10, 3))

    def apply(p, x):
        return jax.nn.softmax(x @ p["A"] + p["a"]) @ p["B"]

    return ZooNetwork("softmax over units (plain)", apply, params, None, (inputs(4, 5),), (10,))


def scan_over_layers() -> ZooNetwork:
    """One array for all layers: a unit leaves all of them; the stream is one group."""
    params = weights(W=(5, 16), layers={"A": (3, 16, 24), "a": (3, 24), "B": (3, 24, 16), "b": (3, 16)}, V=(16, 3))

    def apply(p, x):
        def layer(x, q):
            return x + jnp.tanh(x @ q["A"] + q["a"]) @ q["B"] + q["b"], None

        return lax.scan(layer, x @ p["W"], p["layers"])[0] @ p["V"]

    return ZooNetwork("scan over layers (plain)", apply, params, None, (inputs(4, 5),), (16, 24))


def experts() -> ZooNetwork:
    """Each row takes the two best of four experts; an expert is no unit, its hidden units are, in step."""
    params = weights(router=(6, 4), A=(4, 6, 10), a=(4, 10), B=(4, 10, 3))

    def apply(p, x):
        best, chosen = lax.top_k(x @ p["router"], 2)
        share = (jax.nn.softmax(best)[..., None] * jax.nn.one_hot(chosen, 4)).sum(1)
        hidden = jax.nn.gelu(jnp.einsum("nd,edf->enf", x, p["A"]) + p["a"][:, None])
        return jnp.einsum("enf,efo,ne->no", hidden, p["B"], share)

    return ZooNetwork("mixture of experts, top 2 (plain)", apply, params, None, (inputs(4, 6),), (10,))


def memory_network() -> ZooNetwork:
    """The axis of the memories is read by products of two activations, and by W."""
    params = weights(A=(7, 12), B=(7, 12), C=(7, 12), W=(12, 3))

    def apply(p, story, query):
        u = query @ p["B"]
        share = jax.nn.softmax(jnp.einsum("nsd,nd->ns", story @ p["A"], u))
        return (jnp.einsum("ns,nsd->nd", share, story @ p["C"]) + u) @ p["W"]

    return ZooNetwork("memory network (plain)", apply, params, None, (inputs(4, 5, 7), inputs(4, 7)), (12,))


def linear_lstm() -> ZooNetwork:
    """The four gates of a unit are packed into one axis of 4 H."""
    params = weights(W=(5, 48), U=(12, 48), b=(48,), V=(12, 3), c=(3,))

    def apply(p, x):
        def step(carry, x):
            h, c = carry
            i, f, g, o = jnp.split(x @ p["W"] + h @ p["U"] + p["b"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), None

        zeros = jnp.zeros((x.shape[0], p["U"].shape[0]), x.dtype)
        (h, _), _ = lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1))
        return h @ p["V"] + p["c"]

    return ZooNetwork("LSTM, packed gates (plain)", apply, params, None, (inputs(3, 6, 5),), (12,))


# --- transformers -----------------------------------------------------------------------------------------------------


def layer_norm(x, scale, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + bias


def rms_norm(x, scale):
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def swin_block() -> ZooNetwork:
    """Shifted windows of 2 × 2 in an image of 4 × 4 patches: query, key and value fused, a table of biases, merging.

    A head leaves the table of biases too; merging puts the channels of 2 × 2 patches side by side.
    """
    D, H, size = 16, 4, 2
    norms = {"scale1": (D,), "bias1": (D,), "scale2": (D,), "bias2": (D,), "scale3": (4 * D,), "bias3": (4 * D,)}
    attend = {"qkv": (D, 3 * D), "b": (3 * D,), "table": ((2 * size - 1) ** 2, H), "out": (D, D)}
    hidden = {"A": (D, 24), "a": (24,), "B": (24, D)}
    params = weights(embed=(3, D), **norms, **attend, **hidden, merge=(4 * D, 2 * D), head=(2 * D, 3))
    corners = np.stack(np.meshgrid(range(size), range(size), indexing="ij"), -1).reshape(-1, 2)
    apart = corners[:, None] - corners + size - 1
    index = apart[..., 0] * (2 * size - 1) + apart[..., 1]

    def windows(x):
        n, h, w, d = x.shape
        x = x.reshape(n, h // size, size, w // size, size, d)
        return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, size * size, d)

    def attention(p, x):
        q, k, v = jnp.moveaxis((x @ p["qkv"] + p["b"]).reshape(*x.shape[:2], 3, H, D // H), 2, 0)
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(D // H) + p["table"][index].transpose(2, 0, 1)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
        return mixed.reshape(*x.shape[:2], D) @ p["out"]

    def apply(p, x):
        x = x @ p["embed"]
        n, h, w, _ = x.shape
        shifted = jnp.roll(layer_norm(x, p["scale1"], p["bias1"]), (-1, -1), (1, 2))
        mixed = attention(p, windows(shifted)).reshape(n, h // size, w // size, size, size, D)
        x = x + jnp.roll(mixed.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, w, D), (1, 1), (1, 2))
        x = x + jax.nn.gelu(layer_norm(x, p["scale2"], p["bias2"]) @ p["A"] + p["a"]) @ p["B"]
        x = jnp.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
        x = layer_norm(x, p["scale3"], p["bias3"]) @ p["merge"]
        return x.mean((1, 2)) @ p["head"]

    return ZooNetwork("Swin block (plain)", apply, params, None, (inputs(2, 4, 4, 3),), (4, 16, 24, 32))


def rotary(x, base=100.0):
    """Turn pairs of head dimensions by angles that grow with the position; x: f[n, positions, heads, dims]."""
    positions, dims = x.shape[1], x.shape[-1]
    angles = jnp.arange(positions)[:, None] * base ** (-jnp.arange(0, dims, 2) / dims)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    left, right = jnp.split(x, 2, -1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], -1)


def decoder() -> ZooNetwork:
    """Two blocks: grouped queries, rotary positions, SwiGLU, RMSNorm, the embedding used again for the output.

    A unit of attention is a head of keys and values with the two heads of queries that read it.
    """
    D, Q, K, F, vocabulary = 16, 4, 2, 24, 11
    dims = D // Q
    block = {"scale1": (D,), "q": (D, D), "k": (D, K * dims), "v": (D, K * dims), "o": (D, D)}
    block |= {"scale2": (D,), "gate": (D, F), "up": (D, F), "down": (F, D)}
    params = weights(embed=(vocabulary, D), blocks=[block, block], scale=(D,))

    def attention(p, x):
        n, length, _ = x.shape
        q = rotary((x @ p["q"]).reshape(n, length, Q, dims))
        k = rotary((x @ p["k"]).reshape(n, length, K, dims))
        v = (x @ p["v"]).reshape(n, length, K, dims)
        k, v = (jnp.repeat(a, Q // K, axis=2) for a in (k, v))
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(dims)
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
        return jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v).reshape(n, length, Q * dims) @ p["o"]

    def apply(p, ids):
        x = p["embed"][ids]
        for q in p["blocks"]:
            x = x + attention(q, rms_norm(x, q["scale1"]))
            y = rms_norm(x, q["scale2"])
            x = x + (jax.nn.silu(y @ q["gate"]) * (y @ q["up"])) @ q["down"]
        return rms_norm(x, p["scale"]) @ p["embed"].T

    example = (tokens(vocabulary, 2, 6),)
    return ZooNetwork("decoder, grouped queries (plain)", apply, params, None, example, (2, 2, 16, 24, 24))


PLAIN = (
    *(mlp_sigmoid, lenet, depthwise, channel_shuffle, softmax_over_units, scan_over_layers, experts, memory_network),
    *(linear_lstm, swin_block, decoder),
)
