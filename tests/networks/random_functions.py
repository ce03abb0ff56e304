"""Random functions of parameters and data, out of all array functions that JAX has.

A function is: dense layers → a chain of 2 to 5 functions with random arguments on what the layers give → a contraction
with a parameter, or a reduction. What raises by itself is not taken.
"""

import functools
import inspect
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import jax.scipy.special
import jax.scipy.stats
import numpy as np
from jax import lax

#: Most numbers that an array of a chain has, and most axes.
MOST, MOST_AXES = 1500, 5
#: What is no function of arrays, or not one of its arguments only.
LEFT_OUT = {
    *("save", "savez", "load", "fromfile", "frombuffer", "fromstring", "from_dlpack", "fromfunction", "fromiter"),
    *("get_printoptions", "set_printoptions", "printoptions", "array_repr", "array_str", "array2string", "dtype"),
    *(
        "finfo",
        "iinfo",
        "issubdtype",
        "result_type",
        "promote_types",
        "can_cast",
        "isdtype",
        "device_put",
        "einsum_path",
    ),
    *(
        "custom_linear_solve",
        "custom_root",
        "create_token",
        "platform_dependent",
        "infeed",
        "outfeed",
        "empty",
        "ndarray",
    ),
    *(
        "empty_like",
        "empty2",
        "bernoulli_p",
        "jax_config",
        "with_sharding_constraint",
        "after_all",
        "zeros_like_shaped_array",
    ),
}


class RandomFunction(NamedTuple):
    """A function, its parameters, its data, and the names of what it is made of."""

    apply: object
    params: dict
    x: np.ndarray
    steps: tuple


def _catalogue():
    found = {}
    for prefix, module in (
        ("jnp", jnp),
        ("nn", jax.nn),
        ("lax", lax),
        ("linalg", jnp.linalg),
        ("special", jax.scipy.special),
        ("fft", jnp.fft),
        ("slinalg", jax.scipy.linalg),
        ("norm", jax.scipy.stats.norm),
    ):
        for name in sorted(dir(module)):
            function = getattr(module, name)
            if name.startswith("_") or name in LEFT_OUT or isinstance(function, type) or not callable(function):
                continue
            if name.endswith("_p") or type(function).__name__ in ("module", "Primitive", "_ScalarMeta"):
                continue
            try:
                inspect.signature(function)
            except (TypeError, ValueError):
                continue
            found[f"{prefix}.{name}"] = function
    return found


CATALOGUE = _catalogue()

# --- arguments, by their names ---------------------------------------------------------------------------------------


def _axis(rng, shape):
    return int(rng.integers(-len(shape), len(shape))) if shape else 0


def _axes(rng, shape):
    n = int(rng.integers(1, len(shape) + 1)) if shape else 0
    return tuple(int(a) for a in rng.permutation(len(shape))[:n])


def _permutation(rng, shape):
    return tuple(int(a) for a in rng.permutation(len(shape)))


def _new_shape(rng, shape):
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


def _padding(rng, shape):
    return [tuple(int(n) for n in rng.integers(0, 3, 2)) for _ in shape]


def _broadcast_shape(rng, shape):
    return (int(rng.integers(1, 4)), *shape)


ARGUMENTS = {
    **dict.fromkeys(("axis", "dim", "dimension", "axis1", "axis2", "source", "destination", "start"), _axis),
    **dict.fromkeys(("axes", "dims", "dimensions"), _axes),
    "permutation": _permutation,
    **dict.fromkeys(("shape", "newshape", "new_sizes"), _new_shape),
    **dict.fromkeys(("pad_width",), _padding),
    **dict.fromkeys(("k", "n", "N", "num", "deg", "order", "m"), lambda rng, shape: int(rng.integers(1, 4))),
    "shift": lambda rng, shape: int(rng.integers(-3, 4)),
    "repeats": lambda rng, shape: int(rng.integers(1, 4)),
    "reps": lambda rng, shape: tuple(int(n) for n in rng.integers(1, 3, len(shape))),
    "indices": lambda rng, shape: rng.integers(0, min(shape, default=1), 3),
    "indices_or_sections": lambda rng, shape: int(rng.integers(1, 4)),
    "q": lambda rng, shape: float(rng.uniform()),
    "ddof": lambda rng, shape: int(rng.integers(0, 2)),
    **dict.fromkeys(
        ("keepdims", "reverse", "descending", "stable", "include_initial", "bias", "rowvar", "full_matrices"),
        lambda rng, shape: bool(rng.integers(2)),
    ),
    "num_classes": lambda rng, shape: 4,
    "sections": lambda rng, shape: 2,
    "decimals": lambda rng, shape: 1,
    "ord": lambda rng, shape: [1, 2, np.inf, None][rng.integers(4)],
    "condition": lambda rng, shape: rng.integers(0, 2, shape).astype(bool),
    "approximate": lambda rng, shape: bool(rng.integers(2)),
    "y": lambda rng, shape: int(rng.integers(1, 4)),
    "offset": lambda rng, shape: int(rng.integers(-1, 2)),
    "prepend": lambda rng, shape: 0.0,
    "window_strides": lambda rng, shape: (1,) * max(len(shape) - 2, 0),
    "operand_batch_dims": lambda rng, shape: (),
    "size": lambda rng, shape: 5,
    "total_repeat_length": lambda rng, shape: 6,
    "mode": lambda rng, shape: ["edge", "reflect", "same", "full", "valid", "wrap", "symmetric"][rng.integers(7)],
}
ARRAYS = {
    *("a", "x", "arr", "array", "ary", "operand", "lhs", "rhs", "input", "x1", "x2", "y", "z", "b", "A", "B", "m", "v"),
    *("u", "p", "arrays", "tup", "condition", "x_min", "xp", "fp", "values", "val", "logits", "params", "t", "c"),
}


def _call_of(rng, name, pool):
    """Return a call of a function of the catalogue: (arguments that are numbers of the pool or values, keywords)."""
    function = CATALOGUE[name]
    first = _recent(rng, pool)
    shape = pool[first].shape
    positional, keywords, n_arrays = [], {}, 0
    for key, parameter in inspect.signature(function).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            if key in ("arrays", "args", "arys", "operands", "xi"):
                for _ in range(int(rng.integers(1, 4))):
                    positional.append(_Slot(_alike(rng, pool, first)))
                    n_arrays += 1
            continue
        is_array = (
            required and (n_arrays == 0 or key in ARRAYS) and not (n_arrays and key in ARGUMENTS and key not in ARRAYS)
        )
        if is_array and key in ("arrays", "tup"):
            value = _Slot(first), _Slot(_alike(rng, pool, first))
            n_arrays += 2
        elif is_array and not (n_arrays and key in ARGUMENTS and rng.random() < 0.3):
            value = _Slot(first if n_arrays == 0 else _alike(rng, pool, first))
            n_arrays += 1
        elif key in ARGUMENTS and (required or rng.random() < 0.5):
            value = ARGUMENTS[key](rng, shape)
        elif required:
            return None
        else:
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY or not required:
            keywords[key] = value
        else:
            positional.append(value)
    return (positional, keywords) if n_arrays else None


def _recent(rng, pool):
    return len(pool) - 1 if rng.random() < 0.6 else int(rng.integers(len(pool)))


class _Slot(NamedTuple):
    """An array of the pool."""

    number: int


def _alike(rng, pool, first):
    """Return an array of the pool, of the same shape if there is one, mostly."""
    same = [i for i, a in enumerate(pool) if a.shape == pool[first].shape]
    return int(rng.choice(same)) if rng.random() < 0.8 else int(rng.integers(len(pool)))


def _filled(value, pool):
    if isinstance(value, _Slot):
        return pool[value.number]
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(v, pool) for v in value)
    return value


def _from_catalogue(rng, pool):
    name = str(rng.choice(list(CATALOGUE)))
    made = _call_of(rng, name, pool)
    if made is None:
        return None
    positional, keywords = made
    function = CATALOGUE[name]

    def step(pool, params):
        return function(*_filled(positional, pool), **{key: _filled(v, pool) for key, v in keywords.items()})

    shown = [f"#{v.number}" if isinstance(v, _Slot) else repr(v) for v in positional]
    return f"{name}({', '.join([*shown, *(f'{k}={v}' for k, v in keywords.items())])})", step, {}


# --- what takes arguments of a kind of its own -----------------------------------------------------------------------

WRITTEN = {}


def _written(function):
    WRITTEN[function.__name__.strip("_")] = function
    return function


def _draw(rng, *shape):
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
    return {"K": _draw(rng, *shape)}, lambda h, p: lax.conv_general_dilated(h, p["K"].astype(h.dtype), **options)


@_written
def _transposed_convolution(rng, h):
    if h.ndim not in (3, 4):
        return None
    space = [2] * (h.ndim - 2)
    numbers = ("NHC", "HIO", "NHC") if h.ndim == 3 else ("NHWC", "HWIO", "NHWC")
    options = {"strides": (2,) * len(space), "padding": "SAME", "dimension_numbers": numbers}
    kernel = {"K": _draw(rng, *space, h.shape[-1], 3)}
    return kernel, lambda h, p: lax.conv_transpose(h, p["K"].astype(h.dtype), **options)


@_written
def _dense(rng, h):
    if h.ndim < 1:
        return None
    axis = _axis(rng, h.shape)
    return {"W": _draw(rng, h.shape[axis], 4)}, lambda h, p: jnp.tensordot(h, p["W"].astype(h.dtype), ((axis,), (0,)))


@_written
def _scale_and_shift(rng, h):
    if h.ndim < 1:
        return None
    axis = _axis(rng, h.shape) % h.ndim
    shape = [1] * h.ndim
    shape[axis] = h.shape[axis]
    given = {"g": _draw(rng, h.shape[axis]), "b": _draw(rng, h.shape[axis])}
    return given, lambda h, p: h * p["g"].reshape(shape).astype(h.dtype) + p["b"].reshape(shape).astype(h.dtype)


@_written
def _add_parameter(rng, h):
    shape = tuple(n if rng.random() < 0.8 else 1 for n in h.shape)
    return {"b": _draw(rng, *shape)}, lambda h, p: h + p["b"].astype(h.dtype)


@_written
def _normalise(rng, h):
    if h.ndim < 1:
        return None
    axes = _axes(rng, h.shape)
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
    axis = _axis(rng, h.shape) % h.ndim
    reverse, shape = bool(rng.integers(2)), h.shape[:axis] + h.shape[axis + 1 :]
    params = {"a": _draw(rng, *shape)} if rng.random() < 0.5 else {"W": _draw(rng, shape[-1], shape[-1])}

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
    params = {"a": _draw(rng, *h.shape[-1:])}

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
    axis = _axis(rng, h.shape) if h.ndim else 0
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
    axis = _axis(rng, h.shape)
    inner = [jax.nn.softmax, jnp.cumsum, lambda t: t / (1 + jnp.abs(t).sum()), lambda t: t - t.max(), jnp.sort][
        rng.integers(5)
    ]
    return {}, lambda h, p: jax.vmap(inner, axis, axis)(h)


@_written
def _attend(rng, h):
    if h.ndim != 3:
        return None
    d = h.shape[-1]
    names = {name: _draw(rng, d, 4) for name in ("q", "k", "v")}

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
    axis = _axis(rng, h.shape) % h.ndim
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
    axis = _axis(rng, h.shape)
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
    axis = _axis(rng, h.shape) % h.ndim
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
    axis = _axis(rng, h.shape)
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
    axes = _axes(rng, h.shape)
    start, function = [(-np.inf, lax.max), (0.0, lax.add), (0.0, lambda a, b: a + 0.5 * b), (1.0, lax.mul)][
        rng.integers(4)
    ]
    return {}, lambda h, p: lax.reduce(h, np.asarray(start, h.dtype), function, axes)


@_written
def _reshape(rng, h):
    shape = _new_shape(rng, h.shape)
    return {}, lambda h, p: h.reshape(shape)


@_written
def _pad(rng, h):
    config = [tuple(int(n) for n in (*rng.integers(-1, 3, 2), rng.choice([0, 0, 1]))) for _ in h.shape]
    return {}, lambda h, p: lax.pad(h, np.asarray(0.5, h.dtype), config)


@_written
def _concatenate(rng, h):
    if h.ndim < 1:
        return None
    axis = _axis(rng, h.shape)
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
    return {"W": _draw(rng, h.shape[-1], h.shape[-1])}, lambda h, p: jax.checkpoint(
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
    axis = _axis(rng, h.shape) % h.ndim
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


def _from_written(rng, pool):
    name = str(rng.choice(list(WRITTEN)))
    number = _recent(rng, pool)
    made = WRITTEN[name](rng, pool[number])
    if made is None:
        return None
    params, function = made
    return f"{name}(#{number})", lambda pool, params: function(pool[number], params), params


# --- the function ----------------------------------------------------------------------------------------------------


def _array_of(made, dtype):
    """Return one array of floats from what a function returned, None if there is none."""
    arrays = [
        a for a in jax.tree.leaves(made) if hasattr(a, "dtype") and not jnp.issubdtype(a.dtype, jax.dtypes.extended)
    ]
    if not arrays:
        return None
    array = arrays[0]
    if jnp.iscomplexobj(array):
        array = array.real + array.imag
    return array.astype(dtype)


def _fits(array):
    return array is not None and 2 <= array.size <= MOST and array.ndim <= MOST_AXES and 0 not in array.shape


def random_function(seed, dtype="float32"):
    """Return the function of a seed."""
    rng = np.random.default_rng(seed)
    shape = [(3, 5), (2, 3, 5), (3, 4, 4, 2)][rng.integers(3)]
    units = int(rng.choice([4, 6, 8]))
    params = {"W0": _draw(rng, shape[-1], units), "b0": _draw(rng, units)}
    if rng.random() < 0.5:
        params["W1"] = _draw(rng, shape[-1], units)
    activation = [jax.nn.sigmoid, jax.nn.relu, jnp.tanh, jax.nn.softplus, jnp.exp][rng.integers(5)]

    def start(params, x):
        made = [activation(x @ params["W0"] + params["b0"])]
        if "W1" in params:
            made.append(x @ params["W1"])
        return made

    names, steps = [], []

    def run(params, x):
        pool = start(params, x)
        for i, step in enumerate(steps):
            pool.append(_bounded(_array_of(step(pool, params.get(f"p{i}", {})), dtype)))
        return pool

    x = rng.normal(size=shape).astype(dtype)
    wanted = int(rng.integers(2, 6))
    pool = jax.eval_shape(run, _typed(params, dtype), x)
    for _ in range(60):
        if len(steps) == wanted:
            break
        proposal = (_from_catalogue if rng.random() < 0.6 else _from_written)(rng, pool)
        if proposal is None:
            continue
        name, step, own = proposal
        own = _typed(own, dtype)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                made = jax.eval_shape(lambda pool, own: _array_of(step(pool, own), dtype), pool, own)
        except Exception:  # it raises by itself: any error of JAX's
            continue
        if not _fits(made):
            continue
        params[f"p{len(steps)}"] = own
        steps.append(step)
        names.append(name)
        pool.append(made)
    last = int(rng.integers(max(len(pool) - 2, 0), len(pool)))
    end = pool[last]
    kind, axis = int(rng.integers(4)), _axis(rng, end.shape)
    if kind:
        params["out"] = _draw(rng, end.shape[axis], 3)
    extra = int(rng.integers(len(pool)))
    with_extra = rng.random() < 0.3

    def apply(params, x):
        pool = run(params, x)
        if kind:
            out = jnp.tensordot(pool[last], params["out"], ((axis,), (0,)))
        else:
            out = pool[last].mean(axis)
        return (out, pool[extra].sum()) if with_extra else out

    names.append("mean" if not kind else f"tensordot(#{last}, axis {axis})")
    return RandomFunction(apply, _typed(params, dtype), x, tuple(names))


def _bounded(array):
    """Return finite numbers of a moderate size, so that what comes behind is not NaN throughout."""
    return jnp.where(jnp.isfinite(array), jnp.clip(array, -9, 9), jnp.asarray(0.5, array.dtype))


def _typed(params, dtype):
    return jax.tree.map(functools.partial(np.asarray, dtype=dtype), params)
