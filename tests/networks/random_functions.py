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
from random_steps import WRITTEN, drawn, random_axes, random_axis, random_permutation, random_shape

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


def _padding(rng, shape):
    return [tuple(int(n) for n in rng.integers(0, 3, 2)) for _ in shape]


def _broadcast_shape(rng, shape):
    return (int(rng.integers(1, 4)), *shape)


ARGUMENTS = {
    **dict.fromkeys(("axis", "dim", "dimension", "axis1", "axis2", "source", "destination", "start"), random_axis),
    **dict.fromkeys(("axes", "dims", "dimensions"), random_axes),
    "permutation": random_permutation,
    **dict.fromkeys(("shape", "newshape", "new_sizes"), random_shape),
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


def _then(step, dtype):
    return lambda pool, own: _array_of(step(pool, own), dtype)


def _fits(array):
    return array is not None and 2 <= array.size <= MOST and array.ndim <= MOST_AXES and 0 not in array.shape


def random_function(seed, dtype="float32", share=0.6):
    """Return the function of a seed; a share of its steps is out of the catalogue."""
    rng = np.random.default_rng(seed)
    shape = [(3, 5), (2, 3, 5), (3, 4, 4, 2)][rng.integers(3)]
    units = int(rng.choice([4, 6, 8]))
    params = {"W0": drawn(rng, shape[-1], units), "b0": drawn(rng, units)}
    if rng.random() < 0.5:
        params["W1"] = drawn(rng, shape[-1], units)
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
        proposal = (_from_catalogue if rng.random() < share else _from_written)(rng, pool)
        if proposal is None:
            continue
        name, step, own = proposal
        own = _typed(own, dtype)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                made = jax.eval_shape(_then(step, dtype), pool, own)
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
    kind, axis = int(rng.integers(4)), random_axis(rng, end.shape)
    if kind:
        params["out"] = drawn(rng, end.shape[axis], 3)
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
