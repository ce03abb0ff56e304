"""Hidden activations, written once for JAX and NumPy.

Each takes the array module ``xp`` (``jax.numpy`` or ``numpy``) and the pre-activations ``z``, any shape, elementwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf as _scipy_erf

Array = Any


def identity(xp: Any, z: Array) -> Array:
    """Z."""
    return z


def relu(xp: Any, z: Array) -> Array:
    """max(z, 0)."""
    return xp.maximum(z, 0)


def tanh(xp: Any, z: Array) -> Array:
    """Tanh z."""
    return xp.tanh(z)


def logistic(xp: Any, z: Array) -> Array:
    """1 / (1 + exp(-z)), in the form that cannot overflow."""
    return 0.5 * (1 + xp.tanh(0.5 * z))


def silu(xp: Any, z: Array) -> Array:
    """Z · logistic(z) (Elfwing et al., 2018)."""
    return z * logistic(xp, z)


def gelu(xp: Any, z: Array) -> Array:
    """Z · Φ(z), exact (Hendrycks and Gimpel, 2016)."""
    if xp is np:
        erf = _scipy_erf
    else:
        from jax.scipy.special import erf
    return 0.5 * z * (1 + erf(z * float(np.sqrt(0.5))))


def selu(xp: Any, z: Array) -> Array:
    """Scaled exponential linear unit (Klambauer et al., 2017)."""
    return 1.0507009873554805 * xp.where(z > 0, z, 1.6732632423543772 * xp.expm1(xp.minimum(z, 0)))


def mish(xp: Any, z: Array) -> Array:
    """Z · tanh(log(1 + e^z)) (Misra, 2019)."""
    # With n = e^z (e^z + 2) the tanh is n / (n + 2): one exponential. Beyond 20 it is 1 in either precision.
    e = xp.exp(xp.minimum(z, 20))
    n = e * (e + 2)
    return z * (n / (n + 2))


ACTIVATIONS: dict[str, Callable[[Any, Array], Array]] = {
    "identity": identity,
    "logistic": logistic,
    "tanh": tanh,
    "relu": relu,
    "gelu": gelu,
    "silu": silu,
    "selu": selu,
    "mish": mish,
}


def activate(xp: Any, name: str, z: Array, slope: Array | None = None) -> Array:
    """Return the activation f(z); with a slope ``a``, z + a (f(z) - z): the identity at a = 0, f at a = 1.

    Parametric activations are those of RealMLP (Holzmüller et al., 2024, arXiv 2407.04491).
    """
    h = ACTIVATIONS[name](xp, z)
    return h if slope is None else z + slope * (h - z)
