"""What a primitive makes of the units of a layer: cases of every rule, with the labels that are expected."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.random import threefry_2x32

N = 6
"""Units of the layer that a case is about."""
SIX = tuple(range(N))
GONE = -1


class Case(NamedTuple):
    """What is made of the units of a layer.

    Attributes
    ----------
    mid : callable (h, params) → array
        Of activations f[3, 6], or of f[2, 3, 6].
    rows : tuple of int
        Expected: the unit that each position of the last axis of ``mid``'s result belongs to, -1 for none; () where
        every unit is read inside, and (None,) where all stay.
    shape : tuple of int
        Of the data; the last axis is contracted with A.
    params : dict
        Further parameters: shapes.
    follows : bool
        Whether the function itself computes the same on smaller parameters.
    reason : str
        Part of the reason where all units stay.
    left : tuple of int
        Units that may leave; all by default.
    include : tuple of str
        Kinds that are asked for.
    labels : dict of (str, int) to tuple of int
        Expected labels of further parameters, by name and axis.
    """

    mid: object
    rows: tuple = SIX
    shape: tuple = (3, 4)
    params: Mapping = MappingProxyType({})
    follows: bool = True
    reason: str = ""
    left: tuple = SIX
    include: tuple = ()
    labels: Mapping = MappingProxyType({})


def whole(function):
    """Return a ``mid`` from a function of whole numbers."""
    return lambda h, p: function((h * 9).astype("int32"))


UNARY = {
    name: getattr(lax, name)
    for name in (
        *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bessel_i0e", "bessel_i1e", "cbrt", "ceil", "cos"),
        *("cosh", "digamma", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "is_finite", "lgamma", "log"),
        *("log1p", "logistic", "neg", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient"),
        *("tan", "tanh"),
    )
}
BINARY = {
    name: getattr(lax, name)
    for name in (
        *(
            "add",
            "atan2",
            "div",
            "eq",
            "ge",
            "gt",
            "igamma",
            "igammac",
            "igamma_grad_a",
            "le",
            "lt",
            "max",
            "min",
            "mul",
        ),
        *("ne", "nextafter", "polygamma", "pow", "rem", "sub", "zeta"),
    )
}
OF_WHOLE = {
    "and": lambda i: i & 5,
    "or": lambda i: i | 2,
    "xor": lambda i: i ^ 3,
    "not": lambda i: ~i,
    "clz": lax.clz,
    "population_count": lax.population_count,
    "mulhi": lambda i: lax.mulhi(i << 20, i << 20),
    "shift_left": lambda i: lax.shift_left(i, np.int32(1)),
    "shift_right_arithmetic": lambda i: lax.shift_right_arithmetic(i, np.int32(1)),
    "shift_right_logical": lambda i: lax.shift_right_logical(i, np.int32(1)),
}
ELEMENTWISE = {
    **{name: Case(lambda h, p, f=f: f(h)) for name, f in UNARY.items()},
    **{name: Case(lambda h, p, f=f: f(h + 1, 2 - h)) for name, f in BINARY.items()},
    **{name: Case(whole(f)) for name, f in OF_WHOLE.items()},
    "add_any": Case(lambda h, p: jax.grad(lambda h: (h * h + jnp.sin(h) * h).sum())(h)),
    "bitcast_convert_type": Case(lambda h, p: lax.bitcast_convert_type(h, f"int{h.dtype.itemsize * 8}") % 7),
    "clamp": Case(lambda h, p: lax.clamp(0.3, h, 0.6)),
    "complex": Case(lambda h, p: lax.imag(lax.conj(lax.complex(h, h * 2))) + lax.real(lax.complex(h, h))),
    "convert_element_type": Case(lambda h, p: (h * 9).astype("int32").astype("bfloat16")),
    "copy": Case(lambda h, p: jnp.copy(h)),
    "device_put": Case(lambda h, p: jax.device_put(h)),
    "integer_pow": Case(lambda h, p: h**3),
    "name": Case(lambda h, p: checkpoint_name(h, "hidden")),
    "optimization_barrier": Case(lambda h, p: sum(lax.optimization_barrier((h, h.sum(-1, keepdims=True))))),
    "reduce_precision": Case(lambda h, p: lax.reduce_precision(h, 5, 7)),
    "regularized_incomplete_beta": Case(lambda h, p: lax.betainc(h + 1, h + 2, h)),
    "select_n": Case(lambda h, p: jnp.where(h > 0.5, h, -h)),
    "select_n, of a scalar": Case(lambda h, p: lax.select_n(h.sum() > 3, h, -h)),
    "sharding_constraint": Case(
        lambda h, p: lax.with_sharding_constraint(h, jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    ),
    "an axis of size 1 is broadcast": Case(lambda h, p: lax.add_p.bind(h[:1], h)),
    "rank by rank": Case(
        lambda h, p: h * p["g"] + p["b"][:, None], params={"g": (N,), "b": (3,)}, labels={("g", 0): SIX}
    ),
}

SHAPES = {
    "broadcast_in_dim": Case(lambda h, p: jnp.broadcast_to(h[:, None], (3, 2, h.shape[1]))),
    "broadcast_in_dim, of a size-1 axis": Case(lambda h, p: jnp.broadcast_to(h[:1], h.shape)),
    "squeeze": Case(lambda h, p: jnp.squeeze(h[:, None], 1)),
    "reshape, merged": Case(lambda h, p: h.reshape(2, -1), shape=(2, 3, 4), rows=SIX * 3),
    "reshape, split and merged": Case(  # blocks come before positions in them
        lambda h, p: h.reshape(3, 2, 3).reshape(3, N),
        rows=(0, 0, 0, 1, 1, 1),
        follows=False,
        labels={("A", 1): (0, 0, 0, 1, 1, 1)},
    ),
    "reshape, repeated": Case(lambda h, p: jnp.repeat(h, 2, -1), rows=tuple(np.repeat(SIX, 2))),
    "reshape, read by a factor": Case(
        lambda h, p: h.reshape(3, 2, 3).sum(-1), rows=(0, 1), follows=False, labels={("A", 1): (0, 0, 0, 1, 1, 1)}
    ),
    "reshape, of axes that mix": Case(lambda h, p: h.reshape(2, 9), reason="reshape mixes", rows=(None,)),
    "reshape, to a column": Case(lambda h, p: h.reshape(3, -1, 1)[..., 0]),
    "transpose": Case(lambda h, p: (h.T * p["b"][:, None]).T, params={"b": (N,)}, labels={("b", 0): SIX}),
    "transpose, of rows": Case(lambda h, p: jnp.swapaxes(h, 0, 1), shape=(2, 3, 4)),
    "rev": Case(lambda h, p: h[:, ::-1], rows=(5, 4, 3, 2, 1, 0), follows=False),
    "concatenate": Case(lambda h, p: jnp.concatenate([h, h * 2], -1), rows=SIX * 2),
    "concatenate, with others": Case(
        lambda h, p: jnp.concatenate([jnp.ones((3, 2), h.dtype), h], -1), rows=(GONE, GONE, *SIX)
    ),
    "stack": Case(lambda h, p: jnp.stack([h, jnp.sin(h)], 1)),
    "stack, then merged": Case(lambda h, p: jnp.stack([h, jnp.sin(h)], 1).reshape(3, -1), rows=SIX * 2),
    "unstack": Case(lambda h, p: sum(jnp.unstack(h, axis=1)), shape=(2, 3, 4)),
    "unstack, of units": Case(lambda h, p: jnp.stack(jnp.unstack(h, axis=1)[:2], 1), rows=(None,), reason="unstack"),
    "split": Case(
        lambda h, p: (lambda a, b: a * jax.nn.sigmoid(b))(*jnp.split(h, 2, -1)),
        rows=(0, 1, 2),
        labels={("A", 1): (0, 1, 2, 0, 1, 2)},
    ),
    "split, unequal": Case(
        lambda h, p: jnp.concatenate([lax.split(h, [2, 4], 1)[1], lax.split(h, [2, 4], 1)[0]], 1),
        rows=(2, 3, 4, 5, 0, 1),
        follows=False,
    ),
    "slice": Case(lambda h, p: h[:, 1:5], rows=(1, 2, 3, 4), left=(1, 2, 3, 4), follows=False),
    "slice, with strides": Case(lambda h, p: h[:, ::2], rows=(0, 2, 4), left=(0, 2, 4), follows=False),
    "slice, of one position": Case(
        lambda h, p: h + h[:, :1], rows=(GONE, 1, 2, 3, 4, 5), left=(1, 2, 3, 4, 5), follows=False
    ),
    "pad": Case(lambda h, p: jnp.pad(h, ((0, 0), (1, 2))), rows=(GONE, *SIX, GONE, GONE)),
    "pad, then labelled": Case(
        lambda h, p: jnp.pad(h, ((0, 0), (1, 2))) * p["g"],
        params={"g": (N + 3,)},
        rows=(GONE, *SIX, GONE, GONE),
        labels={("g", 0): (GONE, *SIX, GONE, GONE)},
    ),
    "pad, that cuts": Case(
        lambda h, p: lax.pad(h, h[0, 0] * 0, [(0, 0, 0), (-1, 0, 0)]), rows=(None,), reason="padding"
    ),
    "pad, between": Case(lambda h, p: lax.pad(h, h[0, 0] * 0, [(0, 0, 0), (0, 0, 1)]), rows=(None,), reason="padding"),
    "pad, of rows": Case(lambda h, p: jnp.pad(h, ((2, 0), (0, 0)))),
    "tile": Case(lambda h, p: jnp.tile(h, (2, 2)), rows=SIX * 2),
    "roll": Case(lambda h, p: jnp.roll(h, 2, -1), rows=(4, 5, 0, 1, 2, 3), follows=False),
}

READS = {
    "dot_general": Case(lambda h, p: h @ p["W"], params={"W": (N, 3)}, rows=(GONE,) * 3, labels={("W", 0): SIX}),
    "dot_general, with batches": Case(
        lambda h, p: jnp.einsum("bsu,bsv->buv", h, h).sum(1),
        shape=(2, 3, 4),
        rows=SIX,
    ),
    "dot_general, over two axes": Case(
        lambda h, p: jnp.einsum("bsu,suk->bk", h, p["W"]), shape=(2, 3, 4), params={"W": (3, N, 2)}, rows=(GONE, GONE)
    ),
    "dot_general, of itself": Case(lambda h, p: h @ h.T, rows=(None,), reason="bilinear"),
    "dot_general, of itself, asked for": Case(lambda h, p: h @ h.T, rows=(), include=("bilinear",)),
    "dot_general, on the left": Case(lambda h, p: (p["W"] @ h.T).T, params={"W": (3, N)}, rows=(GONE,) * 3),
    "reduce_sum": Case(lambda h, p: h.sum(-1, keepdims=True), rows=(GONE,)),
    "reduce_sum, mean": Case(lambda h, p: h.mean(-1, keepdims=True), rows=(GONE,)),
    "reduce_sum, mean of all axes": Case(lambda h, p: jnp.broadcast_to(h.mean(), (3, 2)), rows=(GONE, GONE)),
    "reduce_sum, mean of means": Case(lambda h, p: h.mean(-1).mean() * jnp.ones((3, 2), h.dtype), rows=(GONE, GONE)),
    "reduce_sum, sum of sums by the number": Case(
        lambda h, p: h.sum(-1).sum(0) / h.size * jnp.ones((3, 2), h.dtype), rows=(GONE, GONE)
    ),
    "reduce_sum, times one over the number": Case(
        lambda h, p: h.sum(-1, keepdims=True) * (1 / h.shape[-1]), rows=(GONE,)
    ),
    "reduce_sum, variance": Case(lambda h, p: h.var(-1, keepdims=True), rows=(GONE,)),
    "reduce_sum, deviation with a degree of freedom": Case(lambda h, p: h.std(-1, keepdims=True, ddof=1), rows=(GONE,)),
    "reduce_sum, mean of some": Case(lambda h, p: h.mean(-1, keepdims=True, where=h > 0.5), rows=(GONE,)),
    "reduce_sum, mean inside a checkpoint": Case(
        lambda h, p: jax.checkpoint(lambda h: h.sum(-1, keepdims=True))(h) / N, rows=(GONE,), follows=False
    ),
    "reduce_sum, mean of bfloat16": Case(lambda h, p: h.astype("bfloat16").mean(-1, keepdims=True), rows=(GONE,)),
    "reduce_sum, layer norm": Case(
        lambda h, p: (h - h.mean(-1, keepdims=True)) * lax.rsqrt(h.var(-1, keepdims=True) + 1e-3) * p["g"] + p["b"],
        params={"g": (N,), "b": (N,)},
        labels={("g", 0): SIX, ("b", 0): SIX},
    ),
    "reduce_sum, standardize": Case(lambda h, p: jax.nn.standardize(h)),
    "reduce_sum, norm": Case(lambda h, p: h / jnp.linalg.norm(h, axis=-1, keepdims=True)),
    "reduce_max": Case(lambda h, p: h.max(-1, keepdims=True), rows=(GONE,)),
    "reduce_max, softmax": Case(lambda h, p: jax.nn.softmax(h * 20, -1)),
    "reduce_max, of log-sum-exp": Case(lambda h, p: jax.nn.logsumexp(h * 20, -1, keepdims=True), rows=(GONE,)),
    "reduce_max, of whole numbers": Case(lambda h, p: (h * -9).astype("int32").max(-1, keepdims=True), rows=(GONE,)),
    "reduce_min": Case(lambda h, p: h.min(-1, keepdims=True), rows=(GONE,)),
    "reduce_prod": Case(lambda h, p: h.prod(-1, keepdims=True), rows=(GONE,)),
    "reduce_and": Case(lambda h, p: (h > 0.2).all(-1, keepdims=True), rows=(GONE,)),
    "reduce_and, bit by bit": Case(
        lambda h, p: lax.reduce_and((h * 99).astype("int32") | 33, (1,))[:, None], rows=(GONE,)
    ),
    "reduce_or": Case(lambda h, p: (h > 0.8).any(-1, keepdims=True), rows=(GONE,)),
    "reduce_xor": Case(lambda h, p: lax.reduce_xor((h * 9).astype("int32"), (1,))[:, None], rows=(GONE,)),
    "cumsum": Case(lambda h, p: jnp.cumsum(h, -1)),
    "cumsum, in reverse": Case(lambda h, p: lax.cumsum(h, 1, reverse=True)),
    "cumsum, then the last": Case(lambda h, p: jnp.cumsum(h, -1)[:, -1:], rows=(GONE,), left=SIX[:5]),
    "cumprod": Case(lambda h, p: jnp.cumprod(h, -1)),
    "cummax": Case(lambda h, p: lax.cummax(h, 1)),
    "cummin": Case(lambda h, p: lax.cummin(h, 1)),
    "cumlogsumexp": Case(lambda h, p: lax.cumlogsumexp(h, 1)),
    "cumsum, of rows": Case(lambda h, p: jnp.cumsum(h, 0)),
    "argmax, of rows": Case(lambda h, p: jnp.argmax(h, 1), shape=(2, 3, 4)),
    "argmax": Case(lambda h, p: jnp.argmax(h, -1)[:, None], rows=(None,), reason="argmax"),
    "argmin": Case(lambda h, p: jnp.argmin(h, -1)[:, None], rows=(None,), reason="argmin"),
    "sort, of rows": Case(lambda h, p: jnp.sort(h, 0)),
    "sort": Case(lambda h, p: jnp.sort(h, -1), rows=(None,), reason="sorted"),
    "sort, median": Case(lambda h, p: jnp.median(h, -1, keepdims=True), rows=(None,), reason="sorted"),
    "top_k, of rows": Case(lambda h, p: lax.top_k(h.T, 2)[0].T),
    "top_k": Case(lambda h, p: lax.top_k(h, 3)[0], rows=(None,), reason="largest"),
    "approx_top_k": Case(lambda h, p: lax.approx_max_k(h.T, 2)[0].T),
}


def _conv(numbers, **options):
    defaults = {"window_strides": (1,), "padding": "SAME", "dimension_numbers": numbers}
    return lambda h, p: lax.conv_general_dilated(h, p["K"], **(defaults | options))


NHC = ("NHC", "HIO", "NHC")
WINDOWS = {
    "conv_general_dilated": Case(
        _conv(NHC), shape=(2, 5, 4), params={"K": (3, N, 4)}, rows=(GONE,) * 4, labels={("K", 1): SIX}
    ),
    "conv_general_dilated, in another order": Case(
        lambda h, p: jnp.moveaxis(
            _conv(("CNH", "OHI", "HCN"), rhs_dilation=(2,), lhs_dilation=(2,), padding=[(1, 2)])(
                jnp.moveaxis(h, -1, 0), p
            ),
            1,
            -1,
        ),
        shape=(2, 5, 4),
        params={"K": (4, 2, N)},
        rows=(GONE,) * 4,
        labels={("K", 2): SIX},
    ),
    "conv_general_dilated, depthwise": Case(
        _conv(NHC, feature_group_count=N),
        shape=(2, 5, 4),
        params={"K": (3, 1, N)},
        follows=False,
        labels={("K", 2): SIX},
    ),
    "conv_general_dilated, depthwise with two each": Case(
        _conv(NHC, feature_group_count=N),
        shape=(2, 5, 4),
        params={"K": (3, 1, 2 * N)},
        rows=tuple(np.repeat(SIX, 2)),
        follows=False,
    ),
    "conv_general_dilated, grouped": Case(
        _conv(NHC, feature_group_count=3),
        shape=(2, 5, 4),
        params={"K": (3, 2, 6)},
        rows=(0, 0, 1, 1, 2, 2),
        left=(0, 1, 2),
        follows=False,
        labels={("A", 1): (0, 0, 1, 1, 2, 2), ("K", 2): (0, 0, 1, 1, 2, 2)},
    ),
    "conv_general_dilated, transposed": Case(
        lambda h, p: lax.conv_transpose(h, p["K"], (2,), "SAME", dimension_numbers=NHC),
        shape=(2, 5, 4),
        params={"K": (2, N, 3)},
        rows=(GONE,) * 3,
    ),
    "conv_general_dilated, with groups of rows": Case(
        lambda h, p: _conv(NHC, batch_group_count=2)(h, p),
        shape=(2, 5, 4),
        params={"K": (3, N, 4)},
        rows=(None,),
        reason="rows",
    ),
    "conv_general_dilated, over units": Case(
        lambda h, p: _conv(("NCH", "OIH", "NCH"))(h, p),
        shape=(2, 5, 4),
        params={"K": (4, 5, 3)},
        rows=(None,),
        reason="window",
    ),
    **{
        f"reduce_window_{name}": Case(
            lambda h, p, f=f, start=start: lax.reduce_window(
                h, np.asarray(start, h.dtype), f, (1, 2, 1), (1, 1, 1), "SAME"
            ),
            shape=(2, 5, 4),
        )
        for name, f, start in (("sum", lax.add, 0), ("max", lax.max, -np.inf), ("min", lax.min, np.inf))
    },
    "reduce_window": Case(
        lambda h, p: lax.reduce_window(
            h, np.asarray(0, h.dtype), lambda a, b: a + 2 * b, (1, 2, 1), (1, 2, 1), "VALID"
        ),
        shape=(2, 5, 4),
    ),
    "reduce_window, over units": Case(
        lambda h, p: lax.reduce_window(h, np.asarray(0, h.dtype), lax.add, (1, 2), (1, 1), "SAME"),
        rows=(None,),
        reason="pooling",
    ),
    "select_and_scatter_add": Case(
        lambda h, p: jax.grad(
            lambda h: (lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 1), (1, 1, 1), "SAME") ** 2).sum()
        )(h),
        shape=(2, 5, 4),
    ),
    "select_and_gather_add": Case(
        lambda h, p: jax.jvp(
            lambda h: lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 1), (1, 1, 1), "SAME"), (h,), (h * h,)
        )[1],
        shape=(2, 5, 4),
    ),
    "fft, of rows": Case(lambda h, p: jnp.abs(jnp.fft.fft(h, axis=0).T).T, shape=(3, 4)),
    "fft, over units": Case(lambda h, p: jnp.abs(jnp.fft.rfft(h)), rows=(None,), reason="Fourier"),
}

INDICES = {
    "gather, of rows": Case(lambda h, p: h[jnp.array([2, 0])]),
    "gather, over units": Case(lambda h, p: h[:, jnp.array([2, 0])], rows=(None,), reason="indexed"),
    "gather, by row": Case(lambda h, p: jax.vmap(lambda t, i: t[i])(h, jnp.argmax(h.sum(-1), 1)), shape=(2, 3, 4)),
    "gather, with batches of units": Case(
        lambda h, p: jnp.take_along_axis(h, jnp.argsort(h, axis=1), axis=1), shape=(2, 3, 4)
    ),
    "gather, a table": Case(
        lambda h, p: h + p["T"][jnp.array([1, 0, 1])],
        params={"T": (4, N)},
        labels={("T", 1): SIX},
    ),
    "dynamic_slice, of rows": Case(lambda h, p: lax.dynamic_slice_in_dim(h, (h.sum() > 0).astype("int32"), 2, 0)),
    "dynamic_slice, over units": Case(
        lambda h, p: lax.dynamic_slice_in_dim(h, (p["b"][0] > 9).astype("int32"), 2, 1),
        params={"b": (3,)},
        rows=(None,),
        reason="dynamic_slice",
    ),
    "dynamic_update_slice": Case(
        lambda h, p: lax.dynamic_update_slice_in_dim(h * 2, h[:1], (h.sum() > 0).astype("int32"), 0)
    ),
    "dynamic_update_slice, over units": Case(
        lambda h, p: lax.dynamic_update_slice_in_dim(h, p["b"][:, None], 2, 1),
        params={"b": (3,)},
        rows=(None,),
        reason="dynamic_update_slice",
    ),
    **{
        f"scatter{'-' * bool(kind)}{kind}": Case(lambda h, p, f=f: getattr(h.at[jnp.array([1, 0])], f)(h[:2] * 2))
        for kind, f in (
            ("", "set"),
            ("add", "add"),
            ("sub", "subtract"),
            ("mul", "multiply"),
            ("min", "min"),
            ("max", "max"),
        )
    },
    "scatter, over units": Case(lambda h, p: h.at[:, jnp.array([1, 3])].set(0), rows=(None,), reason="scatter"),
    "iota": Case(lambda h, p: h * jnp.arange(N), rows=(None,), reason="counted"),
    "iota, asked for": Case(lambda h, p: h * jnp.arange(N), include=("position",), follows=False),
    "random_bits": Case(
        lambda h, p: h * jax.random.bernoulli(jax.random.key(0), 0.5, (3, N)), rows=(None,), reason="random"
    ),
    "random_bits, asked for": Case(
        lambda h, p: h * jax.random.bernoulli(jax.random.key(0), 0.5, (3, N)), include=("random",), follows=False
    ),
    "rng_bit_generator": Case(
        lambda h, p: h * (lax.rng_bit_generator(jnp.zeros(4, "uint32"), (3, N))[1] % 3),
        include=("random",),
        follows=False,
    ),
    "rng_uniform": Case(
        lambda h, p: h + 0 * lax.rng_uniform(np.zeros((), h.dtype), np.ones((), h.dtype), (3, N)),
        rows=(None,),
        reason="random",
    ),
    "threefry2x32": Case(
        lambda h, p: h * (threefry_2x32(jnp.zeros(2, "uint32"), jnp.arange(18, dtype="uint32")).reshape(3, N) % 3),
        include=("random",),
        follows=False,
    ),
}


@jax.custom_jvp
def doubled(h):
    return h * 2


doubled.defjvp(lambda primals, tangents: (doubled(*primals), tangents[0] * 7))


@jax.custom_vjp
def normed(h):
    return h / h.sum(-1, keepdims=True)


normed.defvjp(lambda h: (normed(h), None), lambda _, ct: (ct,))


def _scan(h, p, **options):
    def turn(carry, x):
        carry = jnp.tanh(carry * p["g"] + x)
        return carry, carry.sum()

    return lax.scan(turn, jnp.zeros_like(h[0]), h, **options)


CALLS = {
    "jit": Case(lambda h, p: jax.jit(lambda h: h * 2)(h)),
    "custom_jvp_call": Case(lambda h, p: doubled(h)),
    "custom_vjp_call": Case(lambda h, p: normed(h)),
    "remat2": Case(lambda h, p: jax.checkpoint(lambda h: jnp.sin(h) / h.sum())(h)),
    "scan": Case(lambda h, p: _scan(h, p)[0][None], params={"g": (N,)}, labels={("g", 0): SIX}),
    "scan, in reverse": Case(lambda h, p: _scan(h, p, reverse=True)[1][:, None], params={"g": (N,)}, rows=(GONE,)),
    "scan, over units": Case(lambda h, p: lax.map(jnp.sin, h.T).T, rows=(None,), reason="scan"),
    "scan, without inputs": Case(
        lambda h, p: lax.scan(lambda c, _: (jnp.sin(c) + c.mean(), None), h, None, length=3)[0]
    ),
    "scan, over layers": Case(
        lambda h, p: lax.scan(lambda c, w: (c + jnp.tanh(c @ w[0]) @ w[1], None), h, (p["U"], p["V"]))[0],
        params={"U": (2, N, 4), "V": (2, 4, N)},
        labels={("U", 1): SIX, ("V", 2): SIX},
    ),
    "scan, in a scan": Case(
        lambda h, p: lax.scan(
            lambda c, _: (lax.scan(lambda d, x: (d * p["g"] + x, None), c[0], c)[0][None] + c, None), h, None, length=2
        )[0],
        params={"g": (N,)},
    ),
    "while": Case(
        lambda h, p: lax.while_loop(lambda c: c.sum() < 40, lambda c: c * 1.5 + jnp.abs(p["g"]), h), params={"g": (N,)}
    ),
    "while, counted": Case(lambda h, p: lax.fori_loop(0, 3, lambda i, c: c * 0.5 + i, h)),
    "cond": Case(lambda h, p: lax.cond(h.sum() > 0, lambda h: h / h.sum(), lambda h: -h, h)),
    "cond, of three": Case(
        lambda h, p: lax.switch((h.sum() * 7).astype("int32") % 3, [jnp.sin, jnp.zeros_like, lambda h: h * p["g"]], h),
        params={"g": (N,)},
    ),
    "vmap": Case(lambda h, p: jax.vmap(lambda t: t / t.sum())(h)),
    "vmap, over units": Case(lambda h, p: jax.vmap(lambda t: t - t.mean(), 1, 1)(h)),
}

CASES = {**SHAPES, **READS, **WINDOWS, **INDICES, **CALLS}

#: Primitives without a rule, and why. What reaches them stays, and is named.
REFUSED = {
    **dict.fromkeys(
        (
            *(
                "cholesky",
                "eig",
                "eigh",
                "hessenberg",
                "householder_product",
                "lu",
                "qr",
                "schur",
                "svd",
                "triangular_solve",
            ),
            *("tridiagonal", "tridiagonal_solve", "custom_linear_solve"),
        ),
        "linear algebra mixes the positions of its matrices",
    ),
    **dict.fromkeys(
        (
            *("all_gather", "all_to_all", "axis_index", "pmax", "pmin", "ppermute", "psum", "ragged_all_to_all"),
            *("reduce_scatter",),
        ),
        "inside of shard_map only, whose shapes are those of a device",
    ),
    **dict.fromkeys(("after_all", "create_token"), "of tokens, that have no axes"),
    **dict.fromkeys(("eq_to", "le_to", "lt_to"), "comparisons inside of sort"),
    **dict.fromkeys(("get", "swap"), "of references, that may be written to anywhere"),
    **dict.fromkeys(("random_fold_in", "random_gamma", "random_seed", "random_split"), "of keys of random numbers"),
    **dict.fromkeys(("reduce", "select_and_scatter"), "what its own function does with no unit is not known"),
    "custom_lin": "inside of a derivative that is being made only",
    "empty2": "numbers that nobody set",
}
