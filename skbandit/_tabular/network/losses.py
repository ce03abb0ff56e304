r"""Losses, written once for JAX and NumPy.

A new one is one entry of `LOSSES`. Shapes and conventions, for all of them: ``z`` is the output layer's pre-activation,
``f[..., n, n_outputs]``; ``y`` the encoded target, ``f[n, n_outputs]`` or, for ``"log_loss"``, the class index as
``f[n, 1]``; the losses of rows are ``f[..., n]``, in scikit-learn's units (squared error is halved). ``xp`` is
``jax.numpy`` or ``numpy``. Leading axes of ``z`` (arms) broadcast.

A batch's loss is the weighted mean over its rows, :math:`\sum_i w_i \ell_i / \sum_i w_i`, so that an integer weight
equals a repeated row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logit, softmax

Array = Any


def squared_error(xp: Any, z: Array, y: Array) -> Array:
    """Return ½ (z - y)², the mean over outputs."""
    return 0.5 * xp.mean(xp.square(z - y), axis=-1)


def poisson(xp: Any, z: Array, y: Array) -> Array:
    """Return half the Poisson deviance of exp(z), the mean over outputs; 0 log 0 = 0."""
    # y (exp u - u - 1) with u = z - log y: the textbook's y log y - y z - y + exp z cancels at large counts.
    some = y > 0
    u = z - xp.log(xp.where(some, y, 1.0))
    return xp.mean(xp.where(some, y * (xp.expm1(u) - u), xp.exp(xp.where(some, 0.0, z))), axis=-1)


def log_loss(xp: Any, z: Array, y: Array) -> Array:
    """Return -log softmax(z)[y] for class indices y: f[n, 1]."""
    top = xp.max(z, axis=-1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(z - top), axis=-1)) + top[..., 0]
    if xp is np:
        return log_sum - z[..., np.arange(len(y)), y[:, 0].astype(np.intp)]
    # A gather would make a scatter of the gradient.
    hit = y == xp.arange(z.shape[-1])
    return log_sum - xp.sum(xp.where(hit, z, 0), axis=-1)


def binary_log_loss(xp: Any, z: Array, y: Array) -> Array:
    """Return -y log p - (1 - y) log(1 - p) at p = logistic(z), summed over outputs (labels)."""
    # log(1 + e^z); written as max(z, 0) + log1p(e^-|z|), its derivative at z = 0 would be 0 in JAX, and not ½.
    return xp.sum(xp.logaddexp(z, 0) - z * y, axis=-1)


def _uniform_log_loss(xp: Any, z: Array) -> Array:
    top = xp.max(z, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(z - top), axis=-1)) + top[..., 0] - xp.mean(z, axis=-1)


def _uniform_binary_log_loss(xp: Any, z: Array) -> Array:
    return xp.sum(xp.logaddexp(z, 0) - 0.5 * z, axis=-1)


def _is_right(xp: Any, z: Array, y: Array) -> Array:
    return xp.argmax(z, axis=-1) == y[:, 0]


def _are_right(xp: Any, z: Array, y: Array) -> Array:
    return xp.all((z > 0) == (y > 0.5), axis=-1)


def _share(xp: Any, right: Array, y: Array, weight: Array) -> Array:
    return xp.sum(weight * right) / xp.sum(weight)


def r2(xp: Any, prediction: Array, y: Array, weight: Array) -> Array:
    """Return the weighted R² of predictions f[n, n_outputs], the mean over outputs."""
    total = xp.sum(weight)
    weight = weight[:, None]
    residual = xp.sum(weight * xp.square(y - prediction), axis=0)
    spread = xp.sum(weight * xp.square(y - xp.sum(weight * y, axis=0) / total), axis=0)
    # A constant target has no spread: R² is 1 for a perfect prediction and 0 otherwise, as scikit-learn defines it.
    constant = spread == 0
    return xp.mean(xp.where(constant, residual == 0, 1 - residual / xp.where(constant, 1, spread)))


def _as_it_is(xp: Any, z: Array, y: Array) -> Array:
    return z


def _exp(xp: Any, z: Array, y: Array) -> Array:
    return xp.exp(z)


def _mean(y: np.ndarray, weight: np.ndarray, n_outputs: int, smoothing: float) -> np.ndarray:
    return np.asarray(np.average(y, axis=0, weights=weight))


def _log_of_mean(y: np.ndarray, weight: np.ndarray, n_outputs: int, smoothing: float) -> np.ndarray:
    return np.asarray(np.log(np.maximum(np.average(y, axis=0, weights=weight), _SMALLEST_SHARE)))


def _logit_of_mean(y: np.ndarray, weight: np.ndarray, n_outputs: int, smoothing: float) -> np.ndarray:
    shares = (1 - smoothing) * np.average(y, axis=0, weights=weight) + smoothing / 2
    return np.asarray(logit(np.clip(shares, _SMALLEST_SHARE, 1 - _SMALLEST_SHARE)))


def _log_of_shares(y: np.ndarray, weight: np.ndarray, n_outputs: int, smoothing: float) -> np.ndarray:
    shares = np.bincount(y[:, 0].astype(int), weights=weight, minlength=n_outputs) / weight.sum()
    return np.asarray(np.log(np.maximum((1 - smoothing) * shares + smoothing / n_outputs, _SMALLEST_SHARE)))


def _softmax(z: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(z, axis=-1))


def _identity(z: np.ndarray) -> np.ndarray:
    return z


@dataclasses.dataclass(frozen=True)
class Domain:
    """What values a target may have."""

    accepts: Callable[[np.ndarray], bool]
    complaint: str
    """What an error says of others, behind "Some values of y are"."""


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss, and what predictions are under it.

    Parameters
    ----------
    rows : callable (xp, z, y) → f[..., n]
        The loss of each row.
    link : callable f[n, n_outputs] → f[n, n_outputs]
        From the output layer's pre-activation to a prediction, in NumPy.
    inverse : callable f[n, n_outputs] → f[n, n_outputs]
        From a prediction to a pre-activation of that prediction, in NumPy; finite, also where a probability is 0.
    out_activation : str
        The name that scikit-learn gives the link (``out_activation_``).
    answers : callable (xp, z, y) → array of shape (n, ...)
        What of each row the score is computed from: its prediction, or whether that is right.
    score_of : callable (xp, answers, y, weight) → scalar
        What scikit-learn's ``score`` returns: accuracy (all labels right), or R² (mean over outputs).
    constant : callable (y, weight, n_outputs, label_smoothing) → f[n_outputs]
        The pre-activation of the constant prediction that fits rows f[n, n_targets] of weights f[n] best, in NumPy.
    uniform : callable (xp, z) → f[..., n], optional
        Mean of the loss over all labels that there are: what label smoothing mixes in. None where there are no labels.
    domain : Domain, optional
        What the target may be, beyond being finite.
    """

    rows: Callable[[Any, Array, Array], Array]
    link: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]
    out_activation: str
    answers: Callable[[Any, Array, Array], Array]
    score_of: Callable[[Any, Array, Array, Array], Array]
    constant: Callable[[np.ndarray, np.ndarray, int, float], np.ndarray]
    uniform: Callable[[Any, Array], Array] | None = None
    domain: Domain | None = None

    def score(self, xp: Any, z: Array, y: Array, weight: Array) -> Array:
        """Return accuracy or R² of a data set."""
        return self.score_of(xp, self.answers(xp, z, y), y, weight)

    def mean(self, z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        """Return the mean loss of a data set, in NumPy."""
        return float(np.average(self.rows_in_blocks(z, y), weights=weight))

    def rows_in_blocks(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the losses of rows f[n], in NumPy: of outputs f[n, n_outputs], some at a time."""
        step = max(BLOCK_VALUES // max(z.shape[1], 1), 1)
        if len(z) <= step:
            return np.asarray(self.rows(np, z, y))
        starts = range(0, len(z), step)
        return np.concatenate([self.rows(np, z[at : at + step], y[at : at + step]) for at in starts])

    def of_constant(self, y: np.ndarray, weight: np.ndarray, n_outputs: int, label_smoothing: float = 0.0) -> float:
        """Return the mean loss of the constant that fits a data set best; of smoothed labels where there are labels."""
        z, rows = self.constant(y, weight, n_outputs, label_smoothing), np.empty(len(y))
        step = max(BLOCK_VALUES // n_outputs, 1)
        for start in range(0, len(y), step):
            at = slice(start, start + step)
            rows[at] = self._smoothed(np.broadcast_to(z, (len(y[at]), n_outputs)), y[at], label_smoothing)
        return float(np.average(rows, weights=weight))

    def _smoothed(self, z: np.ndarray, y: np.ndarray, label_smoothing: float) -> np.ndarray:
        rows: np.ndarray = self.rows(np, z, y)
        return rows if self.uniform is None else rows + label_smoothing * (self.uniform(np, z) - rows)


#: What a probability is away from 0 and 1 at least, where its logarithm is taken.
_SMALLEST_PROBABILITY = 1e-6


def _log_of_means(p: np.ndarray) -> np.ndarray:
    logarithm: np.ndarray = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    return logarithm


def _log_of_probabilities(p: np.ndarray) -> np.ndarray:
    logarithm: np.ndarray = np.log(np.maximum(p, _SMALLEST_PROBABILITY))
    return logarithm


def _logit_of_probabilities(p: np.ndarray) -> np.ndarray:
    result: np.ndarray = logit(np.clip(p, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY))
    return result


#: What stands for 0 where a constant prediction needs its logarithm.
_SMALLEST_SHARE = 1e-12
_COUNTS = Domain(lambda y: bool((y >= 0).all()), "negative, which loss='poisson' does not allow.")

#: Outputs that losses of rows are computed of at a time, in NumPy: some MB, with what there is on the way.
BLOCK_VALUES = 2**18

#: Every loss by its name.
LOSSES: dict[str, Loss] = {
    "squared_error": Loss(squared_error, _identity, _identity, "identity", _as_it_is, r2, _mean),
    "poisson": Loss(poisson, np.exp, _log_of_means, "exp", _exp, r2, _log_of_mean, domain=_COUNTS),
    "log_loss": Loss(
        log_loss, _softmax, _log_of_probabilities, "softmax", _is_right, _share, _log_of_shares, _uniform_log_loss
    ),
    "binary_log_loss": Loss(
        binary_log_loss,
        expit,
        _logit_of_probabilities,
        "logistic",
        _are_right,
        _share,
        _logit_of_mean,
        _uniform_binary_log_loss,
    ),
}
