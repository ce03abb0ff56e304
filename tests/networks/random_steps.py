"""Steps of random functions that take arguments of a kind of their own: convolutions, loops, attention, indexing.

Each is a function (rng, h) → (parameters, step (h, parameters) → array), or None where it does not go with ``h``.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def random_axis(rng, shape):
    return int(rng.integers(-len(shape), len(shape))) if shape else 0


def random_axes(rng, shape):
    n = int(rng.integers(1, len(shape) + 1)) if shape else 0
    return tuple(int(a) for a in rng.permutation(len(shape))[:n])


def random_permutation(rng, shape):
    return tuple(int(a) for a in rng.permutation(len(shape)))


def random_shape(rng, shape):
    """Return a random shape of as many numbers: axes merged, split, or in other sizes."""
    sizes = [n for n in shape if n != 1] or [1]
    for _ in range(int(rng.integers(1, 4))):
        i = int(rng.integers(len(sizes)))
        divisors = [d for d in range(2, sizes[i]) if sizes[i] % d == 0]
        if rng.random() < 0.5 and divisors:
            d = int(rng.choice(divisors))
            sizes[i : i + 1] = [d, sizes[i] // d]
        elif i + 1 < len(sizes):
            sizes[i : i + 2] = [sizes[i] * sizes[i + 1]]
    if rng.random() < 0.2:
        sizes.insert(int(rng.integers(len(sizes) + 1)), 1)
    return tuple(sizes)


# --- what takes arguments of a kind of its own -----------------------------------------------------------------------

WRITTEN = {}


def _written(function):
    WRITTEN[function.__name__.strip("_")] = function
    return function


def drawn(rng, *shape):
    return rng.normal(size=shape) * 0.7


@_written
def _convolve(rng, h):
    """A convolution with any order of axes, strides, dilations, groups."""
    if h.ndim not in (3, 4):
        return None
    order = rng.permutation(h.ndim)
    batch, features, *space = (int(a) for a in order)
    n_space = h.ndim - 2
    n_features = h.shape[features]
    groups = int(rng.choice([g for g in (1, 2, 3, 4, n_features) if n_features % g == 0]))
    out = groups * int(rng.integers(1, 3))
    kernel_order = [int(a) for a in rng.permutation(h.ndim)]
    window = [int(rng.integers(1, min(3, h.shape[a]) + 1)) for a in space]
    shape = [0] * h.ndim
    for axis, size in zip(kernel_order, [out, n_features // groups, *window], strict=True):
        shape[axis] = size
    out_order = [int(a) for a in rng.permutation(h.ndim)]
    numbers = lax.ConvDimensionNumbers((batch, features, *space), tuple(kernel_order), tuple(out_order))
    options = {
        "window_strides": tuple(int(n) for n in rng.integers(1, 3, n_space)),
        "padding": [tuple(int(n) for n in rng.integers(0, 2, 2)) for _ in space],
        "lhs_dilation": tuple(int(n) for n in rng.choice([1, 1, 2], n_space)),
        "rhs_dilation": tuple(int(n) for n in rng.choice([1, 1, 2], n_space)),
        "dimension_numbers": numbers,
        "feature_group_count": groups,
    }
    return {"K": drawn(rng, *shape)}, lambda h, p: lax.conv_general_dilated(h, p["K"].astype(h.dtype), **options)


@_written
def _transposed_convolution(rng, h):
    if h.ndim not in (3, 4):
        return None
    space = [2] * (h.ndim - 2)
    numbers = ("NHC", "HIO", "NHC") if h.ndim == 3 else ("NHWC", "HWIO", "NHWC")
    options = {"strides": (2,) * len(space), "padding": "SAME", "dimension_numbers": numbers}
    kernel = {"K": drawn(rng, *space, h.shape[-1], 3)}
    return kernel, lambda h, p: lax.conv_transpose(h, p["K"].astype(h.dtype), **options)


@_written
def _dense(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape)
    return {"W": drawn(rng, h.shape[axis], 4)}, lambda h, p: jnp.tensordot(h, p["W"].astype(h.dtype), ((axis,), (0,)))


@_written
def _scale_and_shift(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape) % h.ndim
    shape = [1] * h.ndim
    shape[axis] = h.shape[axis]
    given = {"g": drawn(rng, h.shape[axis]), "b": drawn(rng, h.shape[axis])}
    return given, lambda h, p: h * p["g"].reshape(shape).astype(h.dtype) + p["b"].reshape(shape).astype(h.dtype)


@_written
def _add_parameter(rng, h):
    shape = tuple(n if rng.random() < 0.8 else 1 for n in h.shape)
    return {"b": drawn(rng, *shape)}, lambda h, p: h + p["b"].astype(h.dtype)


@_written
def _normalise(rng, h):
    if h.ndim < 1:
        return None
    axes = random_axes(rng, h.shape)
    ddof = int(rng.integers(0, 2))

    def step(h, p):
        return (h - h.mean(axes, keepdims=True)) / (h.std(axes, keepdims=True, ddof=ddof) + 0.1)

    return {}, step


@_written
def _group_norm(rng, h):
    if h.ndim < 2 or h.shape[-1] % 2:
        return None

    def step(h, p):
        t = h.reshape(*h.shape[:-1], 2, h.shape[-1] // 2)
        t = (t - t.mean(-1, keepdims=True)) * lax.rsqrt(t.var(-1, keepdims=True) + 0.1)
        return t.reshape(h.shape)

    return {}, step


@_written
def _scan_over_axis(rng, h):
    if h.ndim < 2:
        return None
    axis = random_axis(rng, h.shape) % h.ndim
    reverse, shape = bool(rng.integers(2)), h.shape[:axis] + h.shape[axis + 1 :]
    params = {"a": drawn(rng, *shape)} if rng.random() < 0.5 else {"W": drawn(rng, shape[-1], shape[-1])}

    def step(h, p):
        def turn(carry, x):
            mixed = carry * p["a"].astype(h.dtype) if "a" in p else carry @ p["W"].astype(h.dtype)
            carry = jnp.tanh(mixed + x)
            return carry, carry

        last, all_ = lax.scan(turn, jnp.zeros(shape, h.dtype), jnp.moveaxis(h, axis, 0), reverse=reverse)
        return all_ if rng_choice else last

    rng_choice = bool(rng.integers(2))
    return params, step


@_written
def _scan_without_inputs(rng, h):
    params = {"a": drawn(rng, *h.shape[-1:])}

    def step(h, p):
        turn = lambda c, _: (jnp.tanh(c * p["a"].astype(h.dtype)), c.sum())  # noqa: E731
        last, sums = lax.scan(turn, h, None, length=3)
        return last + sums.sum()

    return params, step


@_written
def _nested_loops(rng, h):
    def step(h, p):
        def turn(carry, _):
            inner = lax.fori_loop(0, 2, lambda i, c: jnp.tanh(c) + 0.1 * i, carry)
            return lax.cond(inner.sum() > 0, lambda c: c * 0.5, lambda c: c + 1, inner), None

        return lax.scan(turn, h, None, length=2)[0]

    return {}, step


@_written
def _while_loop(rng, h):
    def step(h, p):
        return lax.while_loop(
            lambda c: (c[0] < 3) & (jnp.abs(c[1]).max() < 9), lambda c: (c[0] + 1, c[1] * 1.5), (0, h)
        )[1]

    return {}, step


@_written
def _cond(rng, h):
    axis = random_axis(rng, h.shape) if h.ndim else 0
    if not h.ndim:
        return None

    def step(h, p):
        return lax.cond(h.mean() > 0, lambda h: jnp.flip(h, axis), lambda h: jnp.tanh(h), h)

    return {}, step


@_written
def _switch(rng, h):
    def step(h, p):
        index = (jnp.abs(h).sum() * 10).astype("int32") % 3
        return lax.switch(index, [jnp.sin, jnp.zeros_like, lambda h: h * 2], h)

    return {}, step


@_written
def _vmap(rng, h):
    if h.ndim < 2:
        return None
    axis = random_axis(rng, h.shape)
    inner = [jax.nn.softmax, jnp.cumsum, lambda t: t / (1 + jnp.abs(t).sum()), lambda t: t - t.max(), jnp.sort][
        rng.integers(5)
    ]
    return {}, lambda h, p: jax.vmap(inner, axis, axis)(h)


@_written
def _attend(rng, h):
    if h.ndim != 3:
        return None
    d = h.shape[-1]
    names = {name: drawn(rng, d, 4) for name in ("q", "k", "v")}

    def step(h, p):
        q, k, v = ((h @ p[i].astype(h.dtype)).reshape(*h.shape[:2], 2, 2) for i in "qkv")
        weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", q, k) / 2**0.5, -1)
        return jnp.einsum("bhst,bthd->bshd", weights, v).reshape(*h.shape[:2], 4)

    return names, step


@_written
def _einsum_repeated(rng, h):
    if h.ndim < 2 or h.ndim > 3:
        return None
    pattern = {
        2: ["ij,ij->i", "ij,kj->ik", "ij,ik->jk", "ij,ij->", "ij,ij->ij"],
        3: ["ijk,ijk->ik", "ijk,ilk->ijl", "ijk,ijl->kl"],
    }
    chosen = str(rng.choice(pattern[h.ndim]))
    return {}, lambda h, p: jnp.einsum(chosen, h, jnp.sin(h))


@_written
def _diagonal(rng, h):
    if h.ndim < 1 or h.shape[-1] > 8:
        return None
    chosen = str(rng.choice(["...ii->...i", "...ij->...j", "...ii->..."]))
    return {}, lambda h, p: jnp.einsum(chosen, h[..., :, None] * h[..., None, :])


@_written
def _index(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape) % h.ndim
    n = h.shape[axis]
    a, b = sorted(int(i) for i in rng.integers(0, n + 1, 2))
    item = [
        slice(a, b),
        slice(None, None, -1),
        slice(None, None, 2),
        slice(int(rng.integers(n)), None, 2),
        int(rng.integers(n)),
        -1,
        rng.permutation(n),
        rng.integers(0, n, 3),
        None,
        slice(-2, None),
    ][rng.integers(10)]
    index = (*[slice(None)] * axis, item)
    return {}, lambda h, p: h[index]


@_written
def _index_by_data(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape)
    kind = int(rng.integers(4))

    def step(h, p):
        i = jnp.argmax(jnp.moveaxis(h, axis, -1).reshape(-1, h.shape[axis])[0])
        if kind == 0:
            return jnp.take(h, i[None], axis=axis)
        if kind == 1:
            return lax.dynamic_slice_in_dim(h, i, 1, axis)
        if kind == 2:
            return jnp.take_along_axis(h, jnp.argsort(h, axis=axis), axis=axis)
        return lax.dynamic_update_slice_in_dim(h, jnp.ones_like(lax.slice_in_dim(h, 0, 1, axis=axis)), i, axis)

    return {}, step


@_written
def _scatter(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape) % h.ndim
    rows = rng.integers(0, h.shape[axis], 2)
    method = str(rng.choice(["set", "add", "multiply", "min", "max", "divide", "power"]))
    index = (*[slice(None)] * axis, rows)

    def step(h, p):
        return getattr(h.at[index], method)(jnp.cos(h[index]))

    return {}, step


@_written
def _segment_sum(rng, h):
    if h.ndim < 1:
        return None
    numbers = rng.integers(0, 3, h.shape[0])
    return {}, lambda h, p: jax.ops.segment_sum(h, jnp.asarray(numbers), 3)


@_written
def _one_hot(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape)
    return {}, lambda h, p: jax.nn.one_hot(jnp.argmax(h, axis), h.shape[axis], axis=axis, dtype=h.dtype) * h


@_written
def _reduce_window(rng, h):
    if h.ndim < 1:
        return None
    window = tuple(int(n) for n in rng.integers(1, 3, h.ndim))
    strides = tuple(int(n) for n in rng.integers(1, 3, h.ndim))
    start, function = [(-np.inf, lax.max), (0.0, lax.add), (np.inf, lax.min), (1.0, lax.mul)][rng.integers(4)]
    padding = str(rng.choice(["SAME", "VALID"]))
    return {}, lambda h, p: lax.reduce_window(h, np.asarray(start, h.dtype), function, window, strides, padding)


@_written
def _reduce(rng, h):
    if h.ndim < 1:
        return None
    axes = random_axes(rng, h.shape)
    start, function = [(-np.inf, lax.max), (0.0, lax.add), (0.0, lambda a, b: a + 0.5 * b), (1.0, lax.mul)][
        rng.integers(4)
    ]
    return {}, lambda h, p: lax.reduce(h, np.asarray(start, h.dtype), function, axes)


@_written
def _reshape(rng, h):
    shape = random_shape(rng, h.shape)
    return {}, lambda h, p: h.reshape(shape)


@_written
def _pad(rng, h):
    config = [tuple(int(n) for n in (*rng.integers(-1, 3, 2), rng.choice([0, 0, 1]))) for _ in h.shape]
    return {}, lambda h, p: lax.pad(h, np.asarray(0.5, h.dtype), config)


@_written
def _concatenate(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape)
    return {}, lambda h, p: jnp.concatenate([h, jnp.sin(h), h[:1] if axis % h.ndim == 0 else h], axis)


@_written
def _gated_unit(rng, h):
    if h.ndim < 1 or h.shape[-1] % 2:
        return None
    return {}, lambda h, p: (lambda a, b: a * jax.nn.sigmoid(b))(*jnp.split(h, 2, -1))


@_written
def _dropout(rng, h):
    return {}, lambda h, p: jnp.where(jax.random.bernoulli(jax.random.key(0, impl="unsafe_rbg"), 0.7, h.shape), h, 0)


@_written
def _rotate(rng, h):
    if h.ndim < 1 or h.shape[-1] % 2:
        return None

    def step(h, p):
        a, b = jnp.split(h, 2, -1)
        angles = jnp.arange(h.shape[-1] // 2) * 0.1
        return jnp.concatenate(
            [a * jnp.cos(angles) - b * jnp.sin(angles), a * jnp.sin(angles) + b * jnp.cos(angles)], -1
        )

    return {}, step


@_written
def _own_derivative(rng, h):
    @jax.custom_vjp
    def through(h):
        return jnp.sign(h) * jnp.abs(h).sum(-1, keepdims=True)

    through.defvjp(lambda h: (through(h), None), lambda _, ct: (ct,))
    return ({}, lambda h, p: through(h)) if h.ndim else None


@_written
def _checkpointed(rng, h):
    if h.ndim < 1:
        return None
    return {"W": drawn(rng, h.shape[-1], h.shape[-1])}, lambda h, p: jax.checkpoint(
        lambda h, W: jax.nn.gelu(h @ W.astype(h.dtype))
    )(h, p["W"])


@_written
def _gradient(rng, h):
    return {}, lambda h, p: jax.grad(lambda h: (jnp.tanh(h) ** 2).sum() + jax.nn.logsumexp(h))(h)


@_written
def _integers(rng, h):
    return {}, lambda h, p: (jnp.round(h * 4).astype("int32") // 3 | 1).astype(h.dtype)


@_written
def _associative_scan(rng, h):
    if h.ndim < 1:
        return None
    axis = random_axis(rng, h.shape) % h.ndim
    return {}, lambda h, p: lax.associative_scan(lambda a, b: a * 0.5 + b, h, axis=axis)


@_written
def _map(rng, h):
    return ({}, lambda h, p: lax.map(lambda row: jnp.tanh(row) + row.mean(), h)) if h.ndim > 1 else None


@_written
def _bfloat16(rng, h):
    return {}, lambda h, p: jnp.tanh(h.astype("bfloat16")).astype(h.dtype)


@_written
def _complex(rng, h):
    return {}, lambda h, p: jnp.abs(lax.complex(h, jnp.cos(h)) * (1 + 2j))
