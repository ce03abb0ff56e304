"""Hidden activations, written once for JAX and NumPy.

A new one is one entry of `ACTIVATIONS`: its function, and its shape, which bounds over an interval go by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf as _scipy_erf

Array = Any


def identity(xp: Any, z: Array) -> Array:
    """Return z."""
    return z


def relu(xp: Any, z: Array) -> Array:
    """Return max(z, 0)."""
    return xp.maximum(z, 0)


def tanh(xp: Any, z: Array) -> Array:
    """Return tanh(z)."""
    return xp.tanh(z)


def logistic(xp: Any, z: Array) -> Array:
    """Return 1 / (1 + exp(-z)), in the form that cannot overflow."""
    return 0.5 * (1 + xp.tanh(0.5 * z))


def silu(xp: Any, z: Array) -> Array:
    """Return z · logistic(z) (Elfwing et al., 2018)."""
    return z * logistic(xp, z)


def gelu(xp: Any, z: Array) -> Array:
    """Return z · Φ(z), exact (Hendrycks and Gimpel, 2016)."""
    if xp is np:
        erf = _scipy_erf
    else:
        from jax.scipy.special import erf
    return 0.5 * z * (1 + erf(z * float(np.sqrt(0.5))))


def selu(xp: Any, z: Array) -> Array:
    """Return the scaled exponential linear unit (Klambauer et al., 2017)."""
    return 1.0507009873554805 * xp.where(z > 0, z, 1.6732632423543772 * xp.expm1(xp.minimum(z, 0)))


def mish(xp: Any, z: Array) -> Array:
    """Return z · tanh(log(1 + e^z)) (Misra, 2019)."""
    # With n = e^z (e^z + 2) the tanh is n / (n + 2): one exponential. Beyond 20 it is 1 in either precision.
    e = xp.exp(xp.minimum(z, 20))
    if not (isinstance(e, np.ndarray) and e.ndim):
        n = e * (e + 2)
        return z * (n / (n + 2))
    # The same in place: arrays of a layer of many rows are made anew for each operation otherwise.
    n = e + 2
    n *= e
    np.add(n, 2, out=e)
    n /= e
    n *= z
    return n


@dataclasses.dataclass(frozen=True)
class Activation:
    """An activation function.

    Parameters
    ----------
    f : callable (xp, z) → array
        The function, elementwise; ``xp`` is ``jax.numpy`` or ``numpy``.
    lowest_at : float
        Where the function has its least value: it falls before and rises after. -inf for one that rises throughout. A
        function of another shape needs a subclass with `bounds` of its own.
    linear_from : float
        From there on, f(z) = z. 0 for ReLU, -inf for the identity, inf where there is no such place.
    """

    f: Callable[[Any, Array], Array]
    lowest_at: float
    linear_from: float = np.inf

    def __call__(self, xp: Any, z: Array, slope: Array | None = None) -> Array:
        """Return f(z); with a slope ``a``, z + a (f(z) - z): the identity at a = 0, f at a = 1.

        Parametric activations are those of RealMLP (Holzmüller et al., 2024, arXiv 2407.04491).
        """
        h = self.f(xp, z)
        if slope is None:
            return h
        if h is z or not (isinstance(h, np.ndarray) and h.ndim):
            return z + slope * (h - z)
        h -= z
        h *= slope
        h += z
        return h

    def bounds(self, xp: Any, low: Array, high: Array, slope: Array | None = None) -> tuple[Array, Array]:
        """Return bounds of the activation over the intervals from ``low`` to ``high``, elementwise.

        Parameters
        ----------
        xp : module
            ``jax.numpy`` or ``numpy``.
        low, high : array
            Ends of the intervals of pre-activations.
        slope : array, optional
            Of a parametric activation. Its bounds need not be tight.
        """
        ends = self.f(xp, low), self.f(xp, high)
        least, most = xp.minimum(*ends), xp.maximum(*ends)
        if np.isfinite(self.lowest_at):
            at = xp.asarray(self.lowest_at, low.dtype)
            least = xp.where((low < at) & (at < high), xp.minimum(least, self.f(xp, at)), least)
        if slope is not None:  # z + a (f(z) - z) = (1 - a) z + a f(z), each part by itself
            linear = xp.stack([(1 - slope) * low, (1 - slope) * high])
            bent = xp.stack([slope * least, slope * most])
            least = xp.min(linear, axis=0) + xp.min(bent, axis=0)
            most = xp.max(linear, axis=0) + xp.max(bent, axis=0)
        return least, most


#: Every activation by the name that ``activation=`` takes.
ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(identity, -np.inf, linear_from=-np.inf),
    "logistic": Activation(logistic, -np.inf),
    "tanh": Activation(tanh, -np.inf),
    "relu": Activation(relu, -np.inf, linear_from=0.0),
    "gelu": Activation(gelu, -0.7517916),
    "silu": Activation(silu, -1.2784645),
    "selu": Activation(selu, -np.inf),
    "mish": Activation(mish, -1.1924312),
}


def activate(xp: Any, name: str, z: Array, slope: Array | None = None) -> Array:
    """Return the activation of this name at ``z``; ``slope`` is that of a parametric one."""
    return ACTIVATIONS[name](xp, z, slope)
