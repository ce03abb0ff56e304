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


ACTIVATIONS: dict[str, Callable[[Any, Array], Array]] = {
    "identity": identity,
    "logistic": logistic,
    "tanh": tanh,
    "relu": relu,
    "gelu": gelu,
    "silu": silu,
}
