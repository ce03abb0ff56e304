"""Random networks of what people build networks from: layers for vectors, sequences, tokens and images."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class RandomNetwork(NamedTuple):
    """A network, its parameters, its data, and the names of its blocks."""

    apply: object
    params: dict
    x: np.ndarray
    blocks: tuple


class Builder:
    """Draws parameters, and remembers them for sharing."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype, self.params = rng, dtype, {}

    def draw(self, *shape, positive=False):
        """Return the name of a new parameter."""
        name = f"p{len(self.params)}"
        value = self.rng.normal(size=shape) / np.sqrt(max(np.prod(shape[:-1]), 1)) if len(shape) > 1 else None
        if value is None:
            value = self.rng.normal(size=shape) * 0.5 + 1
        self.params[name] = (np.abs(value) + 0.1 if positive else value).astype(self.dtype)
        return name

    def tied(self, *shape):
        """Return the name of a parameter of this shape that another layer has, or of a new one."""
        same = [name for name, value in self.params.items() if value.shape == shape]
        return str(self.rng.choice(same)) if same and self.rng.random() < 0.5 else self.draw(*shape)

    def integer(self, low, high):
        return int(self.rng.integers(low, high))

    def activation(self):
        return [jax.nn.relu, jax.nn.sigmoid, jnp.tanh, jax.nn.gelu, jax.nn.softplus, jax.nn.silu][self.integer(0, 6)]


# --- of the last axis ------------------------------------------------------------------------------------------------


def dense(b, shape):
    W, c, act = b.draw(shape[-1], b.integer(3, 9)), None, b.activation()
    c = b.draw(b.params[W].shape[1])
    return lambda p, h: act(h @ p[W] + p[c])


def residual(b, shape):
    n, m = shape[-1], b.integer(3, 7)
    A, c, B, act = b.draw(n, m), b.draw(m), b.draw(m, n), b.activation()
    return lambda p, h: h + act(h @ p[A] + p[c]) @ p[B]


def normalised_weight(b, shape):
    W, g = b.draw(shape[-1], b.integer(3, 7)), None
    g = b.draw(b.params[W].shape[1])
    return lambda p, h: jnp.tanh(h @ ((p[W] - p[W].mean(0)) / jnp.linalg.norm(p[W], axis=0) * p[g]))


def tied_residual(b, shape):
    n, act = shape[-1], b.activation()
    A, B = b.tied(n, n), b.tied(n, n)
    return lambda p, h: h + act(h @ p[A]) @ p[B].T


def concatenated(b, shape):
    W, act = b.draw(shape[-1], b.integer(2, 5)), b.activation()
    return lambda p, h: jnp.concatenate([h, act(h @ p[W])], -1)


def gated(b, shape):
    W = b.draw(shape[-1], 2 * b.integer(2, 5))

    def block(p, h):
        a, g = jnp.split(h @ p[W], 2, -1)
        return a * jax.nn.sigmoid(g)

    return block


def layer_norm(b, shape):
    g, c = b.draw(shape[-1]), b.draw(shape[-1])

    def block(p, h):
        return (h - h.mean(-1, keepdims=True)) * lax.rsqrt(h.var(-1, keepdims=True) + 1e-2) * p[g] + p[c]

    return block


def rms_norm(b, shape):
    g = b.draw(shape[-1])
    return lambda p, h: h * lax.rsqrt((h * h).mean(-1, keepdims=True) + 1e-2) * p[g]


def unbiased_norm(b, shape):
    return lambda p, h: (h - h.mean(-1, keepdims=True)) / (h.std(-1, keepdims=True, ddof=1) + 0.1)


def batch_norm(b, shape):
    n = shape[-1]
    m, v, g, c = b.draw(n), b.draw(n, positive=True), b.draw(n), b.draw(n)
    return lambda p, h: (h - p[m]) * lax.rsqrt(p[v] + 1e-3) * p[g] + p[c]


def batch_norm_of_the_batch(b, shape):
    axes, g = tuple(range(len(shape) - 1)), b.draw(shape[-1])
    return lambda p, h: (h - h.mean(axes)) * lax.rsqrt(h.var(axes) + 1e-2) * p[g]


def group_norm(b, shape):
    n = shape[-1]
    groups = [d for d in range(2, n) if n % d == 0]
    if not groups:
        return None
    n_groups, g = int(b.rng.choice(groups)), b.draw(n)

    def block(p, h):
        t = h.reshape(*h.shape[:-1], n_groups, n // n_groups)
        t = (t - t.mean(-1, keepdims=True)) * lax.rsqrt(t.var(-1, keepdims=True) + 1e-2)
        return t.reshape(h.shape) * p[g]

    return block


def softmax_over_units(b, shape):
    m = b.integer(3, 7)
    W, V = b.draw(shape[-1], m), b.draw(m, b.integer(3, 6))
    return lambda p, h: jax.nn.softmax(h @ p[W], -1) @ p[V]


def layers_in_a_scan(b, shape):
    n, m = shape[-1], b.integer(3, 6)
    A, B = b.draw(2, n, m), b.draw(2, m, n)
    return lambda p, h: lax.scan(lambda c, w: (c + jnp.tanh(c @ w[0]) @ w[1], None), h, (p[A], p[B]))[0]


def branches(b, shape):
    A, B = b.draw(shape[-1], shape[-1]), b.draw(shape[-1])
    return lambda p, h: lax.cond(h.mean() > 0.2, lambda h: jnp.tanh(h @ p[A]), lambda h: h * p[B], h)


def repeated(b, shape):
    g = b.draw(shape[-1])
    return lambda p, h: lax.fori_loop(0, 3, lambda i, c: jnp.tanh(c * p[g]) + 0.1 * i, h)


def until(b, shape):
    g = b.draw(shape[-1])

    def block(p, h):
        turn = lambda c: (c[0] + 1, jnp.sin(c[1] * p[g]))  # noqa: E731
        return lax.while_loop(lambda c: (c[0] < 3) & (jnp.abs(c[1]).sum() > 0.1), turn, (0, h))[1]

    return block


def checkpointed(b, shape):
    A, act = b.draw(shape[-1], b.integer(3, 7)), b.activation()
    return lambda p, h: jax.checkpoint(lambda h, W: act(h @ W))(h, p[A])


def permuted(b, shape):
    return lambda p, h: jnp.concatenate([h[..., 2:], h[..., :2]], -1)[..., ::-1]


OF_VECTORS = [
    *(dense, dense, residual, residual, tied_residual, concatenated, gated, layer_norm, rms_norm, unbiased_norm),
    *(batch_norm, batch_norm_of_the_batch, group_norm, softmax_over_units, layers_in_a_scan, branches, repeated, until),
    *(checkpointed, permuted, normalised_weight),
]

# --- of sequences ----------------------------------------------------------------------------------------------------


def attention(b, shape):
    d, heads, size = shape[-1], b.integer(2, 4), 2
    q, k, v = (b.draw(d, heads * size) for _ in range(3))
    o = b.draw(heads * size, d)

    def block(p, h):
        split = lambda w: (h @ p[w]).reshape(*h.shape[:2], heads, size)  # noqa: E731
        weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", split(q), split(k)) / size**0.5, -1)
        return h + jnp.einsum("bhst,bthd->bshd", weights, split(v)).reshape(*h.shape[:2], -1) @ p[o]

    return block


def fused_attention(b, shape):
    d, heads, size = shape[-1], b.integer(2, 4), 2
    W, o = b.draw(d, 3 * heads * size), b.draw(heads, size, d)

    def block(p, h):
        q, k, v = jnp.moveaxis((h @ p[W]).reshape(*h.shape[:2], 3, heads, size), 2, 0)
        weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", q, k), -1)
        return h + jnp.einsum("bhst,bthd,hde->bse", weights, v, p[o])

    return block


def grouped_queries(b, shape):
    d, heads, of_each, size = shape[-1], b.integer(2, 4), 2, 2
    q, k, v = b.draw(d, heads * of_each * size), b.draw(d, heads * size), b.draw(d, heads * size)
    o = b.draw(heads * of_each * size, d)

    def block(p, h):
        queries = (h @ p[q]).reshape(*h.shape[:2], heads * of_each, size)
        keys, values = ((h @ p[w]).reshape(*h.shape[:2], heads, size) for w in (k, v))
        keys, values = (jnp.repeat(a, of_each, 2) for a in (keys, values))
        weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", queries, keys), -1)
        return h + jnp.einsum("bhst,bthd->bshd", weights, values).reshape(*h.shape[:2], -1) @ p[o]

    return block


def recurrent(b, shape):
    n = b.integer(3, 6)
    W, U, c = b.draw(shape[-1], 3 * n), b.draw(n, 3 * n), b.draw(3 * n)
    reverse = bool(b.integer(0, 2))

    def block(p, h):
        def turn(carry, x):
            zx, rx, nx = jnp.split(x @ p[W] + p[c], 3, -1)
            zh, rh, nh = jnp.split(carry @ p[U], 3, -1)
            z, r = jax.nn.sigmoid(zx + zh), jax.nn.sigmoid(rx + rh)
            carry = (1 - z) * jnp.tanh(nx + r * nh) + z * carry
            return carry, carry

        start = jnp.zeros((h.shape[0], n), h.dtype)
        return jnp.swapaxes(lax.scan(turn, start, jnp.swapaxes(h, 0, 1), reverse=reverse)[1], 0, 1)

    return block


def over_positions(b, shape):
    A, B = b.draw(shape[1], b.integer(3, 6)), None
    B = b.draw(b.params[A].shape[1], shape[1])
    return lambda p, h: h + jnp.einsum("bsd,st,tu->bud", jax.nn.gelu(h), p[A], p[B])


OF_SEQUENCES = [attention, fused_attention, grouped_queries, recurrent, over_positions, *OF_VECTORS[:12]]

# --- of images -------------------------------------------------------------------------------------------------------


def convolve(h, kernel, **options):
    defaults = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    return lax.conv_general_dilated(h, kernel, **(defaults | options))


def convolution(b, shape):
    n, act = b.integer(3, 7), b.activation()
    K, c, strides = b.draw(3, 3, shape[-1], n), b.draw(n), (b.integer(1, 3),) * 2
    return lambda p, h: act(convolve(h, p[K], window_strides=strides) + p[c])


def residual_convolution(b, shape):
    n, m = shape[-1], b.integer(3, 6)
    K, L, g = b.draw(3, 3, n, m), b.draw(1, 1, m, n), b.draw(m)
    return lambda p, h: jax.nn.relu(h + convolve(jax.nn.relu(convolve(h, p[K]) * p[g]), p[L]))


def depthwise(b, shape):
    n = shape[-1]
    K, L = b.draw(3, 3, 1, n), b.draw(1, 1, n, b.integer(3, 6))
    return lambda p, h: convolve(jax.nn.relu(convolve(h, p[K], feature_group_count=n)), p[L])


def grouped(b, shape):
    n = shape[-1]
    groups = [g for g in (2, 3) if n % g == 0]
    if not groups:
        return None
    g = int(b.rng.choice(groups))
    K = b.draw(3, 3, n // g, g * b.integer(1, 4))
    return lambda p, h: jax.nn.relu(convolve(h, p[K], feature_group_count=g))


def squeeze_and_excite(b, shape):
    n, m = shape[-1], b.integer(2, 5)
    A, B = b.draw(n, m), b.draw(m, n)
    return lambda p, h: h * jax.nn.sigmoid(jax.nn.relu(h.mean((1, 2)) @ p[A]) @ p[B])[:, None, None]


def pooled(b, shape):
    function, start = [(lax.max, -np.inf), (lax.add, 0.0)][b.integer(0, 2)]
    return lambda p, h: lax.reduce_window(h, np.asarray(start, h.dtype), function, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")


def concatenated_convolution(b, shape):
    K = b.draw(3, 3, shape[-1], b.integer(2, 5))
    return lambda p, h: jnp.concatenate([h, jax.nn.relu(convolve(h, p[K]))], -1)


def shuffled(b, shape):
    n = shape[-1]
    if n % 2:
        return None
    return lambda p, h: jnp.swapaxes(h.reshape(*h.shape[:-1], 2, n // 2), -1, -2).reshape(h.shape)


def transposed_convolution(b, shape):
    K = b.draw(2, 2, shape[-1], b.integer(3, 6))
    if shape[1] > 4:
        return None
    return lambda p, h: lax.conv_transpose(h, p[K], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


OF_IMAGES = [
    *(convolution, convolution, residual_convolution, residual_convolution, depthwise, grouped, squeeze_and_excite),
    *(pooled, concatenated_convolution, shuffled, transposed_convolution, group_norm, batch_norm),
    *(batch_norm_of_the_batch, layer_norm, gated, dense),
]


def random_network(seed, dtype="float32"):
    """Return the network of a seed."""
    rng = np.random.default_rng(seed)
    b = Builder(rng, dtype)
    kind = ("vectors", "sequences", "images", "tokens")[seed % 4]
    shape = {"vectors": (4, 5), "sequences": (2, 4, 5), "images": (2, 4, 4, 3), "tokens": (2, 4)}[kind]
    blocks, names = [], []
    if kind == "tokens":
        x = rng.integers(0, 7, shape)
        E, P = b.draw(7, 6), b.draw(4, 6)
        blocks.append(lambda p, t: p[E][t] + p[P])
    else:
        x = rng.normal(size=shape).astype(dtype)
        blocks.append(convolution(b, shape) if kind == "images" else dense(b, shape))
    catalogue = {"vectors": OF_VECTORS, "images": OF_IMAGES}.get(kind, OF_SEQUENCES)

    def run(params, x):
        for block in blocks:
            x = block(params, x)
        return x

    def made():  # a new function, or JAX would remember what it returned before
        return jax.eval_shape(lambda params, x: run(params, x), b.params, x).shape

    wanted = b.integer(2, 6)
    while len(names) < wanted:
        shape = made()
        make = catalogue[b.integer(0, len(catalogue))]
        before = dict(b.params)
        block = make(b, shape)
        if block is None or np.prod(shape) > 4000:
            b.params = before
            if block is not None:
                break
            continue
        blocks.append(block)
        names.append(make.__name__)
    shape = made()
    if len(shape) > 2:
        flat, middle = bool(b.integer(0, 2)), tuple(range(1, len(shape) - 1))
        blocks.append((lambda p, h: h.reshape(h.shape[0], -1)) if flat else (lambda p, h: h.mean(middle)))
        names.append("flatten" if flat else "mean")
        shape = made()
    W, c = b.draw(shape[-1], 3), b.draw(3)
    blocks.append(lambda p, h: h @ p[W] + p[c])
    return RandomNetwork(run, b.params, x, (kind, *names))
