r"""Losses, written once for JAX and NumPy.

Shapes and conventions, for all of them: ``z`` is the output layer's pre-activation, ``f[..., n, n_outputs]``; ``y`` the
encoded target, ``f[n, n_outputs]`` or, for ``"log_loss"``, the class index as ``f[n, 1]``; the result is one loss per
row, ``f[..., n]``, in scikit-learn's units (squared error is halved). ``xp`` is ``jax.numpy`` or ``numpy``. Leading
axes of ``z`` (arms) broadcast.

A batch's loss is the weighted mean over its rows, :math:`\sum_i w_i \ell_i / \sum_i w_i`, so that an integer weight
equals a repeated row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def squared_error(xp: Any, z: Array, y: Array) -> Array:
    """½ (z - y)², mean over outputs."""
    return 0.5 * xp.mean(xp.square(z - y), axis=-1)


def poisson(xp: Any, z: Array, y: Array) -> Array:
    """Half the Poisson deviance of exp(z), mean over outputs; 0 log 0 = 0."""
    # y (exp u - u - 1) with u = z - log y: the textbook's y log y - y z - y + exp z cancels at large counts.
    some = y > 0
    u = z - xp.log(xp.where(some, y, 1.0))
    return xp.mean(xp.where(some, y * (xp.expm1(u) - u), xp.exp(xp.where(some, 0.0, z))), axis=-1)


def log_loss(xp: Any, z: Array, y: Array) -> Array:
    """-log softmax(z)[y] for class indices y: f[n, 1]."""
    top = xp.max(z, axis=-1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(z - top), axis=-1)) + top[..., 0]
    hit = y == xp.arange(z.shape[-1])
    return log_sum - xp.sum(xp.where(hit, z, 0), axis=-1)


def binary_log_loss(xp: Any, z: Array, y: Array) -> Array:
    """-y log p - (1 - y) log(1 - p) at p = logistic(z), summed over outputs (labels)."""
    # log(1 + e^z); written as max(z, 0) + log1p(e^-|z|), its derivative at z = 0 would be 0 in JAX, and not ½.
    return xp.sum(xp.logaddexp(z, 0) - z * y, axis=-1)


LOSSES: dict[str, Callable[[Any, Array, Array], Array]] = {
    "squared_error": squared_error,
    "poisson": poisson,
    "log_loss": log_loss,
    "binary_log_loss": binary_log_loss,
}


def _uniform_log_loss(xp: Any, z: Array) -> Array:
    """Mean of `log_loss` over all classes."""
    top = xp.max(z, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(z - top), axis=-1)) + top[..., 0] - xp.mean(z, axis=-1)


def _uniform_binary_log_loss(xp: Any, z: Array) -> Array:
    """Mean of `binary_log_loss` over both classes of each label."""
    return xp.sum(xp.logaddexp(z, 0) - 0.5 * z, axis=-1)


#: Loss of a prediction z averaged over the labels there are, where there are labels: what label smoothing mixes in.
UNIFORM_LABELS: dict[str, Callable[[Any, Array], Array]] = {
    "log_loss": _uniform_log_loss,
    "binary_log_loss": _uniform_binary_log_loss,
}

#: The output activation that turns z into a prediction, in scikit-learn's names (``out_activation_``).
OUT_ACTIVATIONS = {
    "squared_error": "identity",
    "poisson": "exp",
    "log_loss": "softmax",
    "binary_log_loss": "logistic",
}


def score(xp: Any, loss: str, z: Array, y: Array, weight: Array) -> Array:
    """Accuracy (all labels right) or R² (mean over outputs): what scikit-learn's ``score`` returns, weighted."""
    total = xp.sum(weight)
    if loss == "log_loss":
        return xp.sum(weight * (xp.argmax(z, axis=-1) == y[:, 0])) / total
    if loss == "binary_log_loss":
        return xp.sum(weight * xp.all((z > 0) == (y > 0.5), axis=-1)) / total
    prediction = xp.exp(z) if loss == "poisson" else z
    weight = weight[:, None]
    residual = xp.sum(weight * xp.square(y - prediction), axis=0)
    spread = xp.sum(weight * xp.square(y - xp.sum(weight * y, axis=0) / total), axis=0)
    # A constant target has no spread: R² is 1 for a perfect prediction and 0 otherwise, as scikit-learn defines it.
    constant = spread == 0
    return xp.mean(xp.where(constant, residual == 0, 1 - residual / xp.where(constant, 1, spread)))


def weighted_mean(loss: str, z: Array, y: Array, weight: Array) -> float:
    """Mean loss of a data set, in NumPy."""
    return float(np.average(LOSSES[loss](np, z, y), weights=weight))
