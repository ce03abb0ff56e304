r"""Multiplicative noise on units, and the change of evidence when a unit is removed.

The output of each unit is multiplied by :math:`\theta = e^x`. Here :math:`x` is a normal variable of location
:math:`\mu` and scale :math:`\sigma`, truncated to :math:`[a, b]` (structured Bayesian pruning [1]_), with a uniform
prior. Removing a unit amounts to another prior, which keeps :math:`\theta` near 0. Bayesian model reduction [2]_ gives
the change of the log evidence without another training.

All functions work elementwise on arrays of :math:`\mu` in :math:`[a, b]` and :math:`\log \sigma`, and in logarithms:
far in a tail a difference of normal distribution functions underflows in float32, but its logarithm does not. (For
:math:`\mu` outside of the bounds and a tiny :math:`\sigma` digits cancel, so training keeps :math:`\mu` inside.)

References
----------
.. [1] K. Neklyudov, D. Molchanov, A. Ashukha, D. Vetrov (2017). Structured Bayesian pruning via log-normal
   multiplicative noise. arXiv 1705.07283.
.. [2] D. Wright, C. Igel, R. Selvan (2024). BMRS: Bayesian model reduction for structured pruning. arXiv 2406.01345.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri

from skbandit._core.random import bits_of_rows

#: Bounds of x = log θ.
LOW, HIGH = -20.0, 0.0
#: Range to which log σ is clipped where it is used.
LOG_SIGMA_RANGE = (-20.0, 5.0)
#: The prior of BMRS_U is log-uniform above 2 to the power of minus this number.
FLOAT_BITS = 23
#: What the released code of BMRS adds to ΔF, because it leaves out the 2π of the paper's equation 8.
RELEASED_OFFSET = 0.5 * math.log(2 * math.pi)

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def scale(log_sigma: jax.Array) -> jax.Array:
    """Return σ, with its logarithm clipped."""
    return jnp.exp(jnp.clip(log_sigma, *LOG_SIGMA_RANGE))


def log_mass(low: jax.Array, high: jax.Array) -> jax.Array:
    """Return log(Φ(high) - Φ(low)) for low < high, without cancellation."""
    # The upper tail is reflected to the lower one, where log Φ is accurate.
    flip = low > 0
    low, high = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
    upper, lower = log_ndtr(high), log_ndtr(low)
    return upper + jnp.log1p(-jnp.exp(jnp.minimum(lower - upper, -1e-7)))


def _bounds(mu: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
    return (LOW - mu) / sigma, (HIGH - mu) / sigma


def divergence(mu: jax.Array, log_sigma: jax.Array) -> jax.Array:
    """Return the Kullback-Leibler divergence of the truncated normal x from the uniform prior, in nats."""
    sigma = scale(log_sigma)
    low, high = _bounds(mu, sigma)
    log_z = log_mass(low, high)

    def edge(t: jax.Array) -> jax.Array:  # t φ(t) / Z
        return t * jnp.exp(-0.5 * t * t - _HALF_LOG_2PI - log_z)

    return math.log(HIGH - LOW) - jnp.log(sigma) - log_z - _HALF_LOG_2PI - 0.5 - 0.5 * (edge(low) - edge(high))


def log_moment(k: int, mu: jax.Array, log_sigma: jax.Array) -> jax.Array:
    """Return log E[θ^k].

    Parameters
    ----------
    k : int
        Order of the moment.
    mu, log_sigma : f[...]
        Parameters of the distribution.

    Returns
    -------
    log_moment : f[...]
    """
    sigma = scale(log_sigma)
    low, high = _bounds(mu, sigma)
    shifted = log_mass(low - k * sigma, high - k * sigma)
    return k * mu + 0.5 * (k * sigma) ** 2 + shifted - log_mass(low, high)


def mean(mu: jax.Array, log_sigma: jax.Array) -> jax.Array:
    """Return E[θ]."""
    return jnp.exp(log_moment(1, mu, log_sigma))


def signal_to_noise(mu: jax.Array, log_sigma: jax.Array) -> jax.Array:
    """Return E[θ] over the standard deviation of θ."""
    excess = jnp.expm1(log_moment(2, mu, log_sigma) - 2 * log_moment(1, mu, log_sigma))
    return 1 / jnp.sqrt(jnp.maximum(excess, 1e-12))


def sample(key: jax.Array, mu: jax.Array, log_sigma: jax.Array, row_id: jax.Array) -> jax.Array:
    """Draw θ for each row and unit, by the inverse of the distribution function: gradients flow to μ and σ.

    Parameters
    ----------
    key : jax.Array
        Typed JAX key.
    mu, log_sigma : f[n_units]
        Parameters of the distributions.
    row_id : u32[n_rows]
        Id of each row. The draw depends on the key and the id, so that copies of a row have the same θ.

    Returns
    -------
    theta : f[n_rows, n_units]
    """
    sigma = scale(log_sigma)
    low, high = _bounds(mu, sigma)
    # The variable is reflected where that avoids Φ = 1, as in `log_mass`.
    flip = low + high > 0
    low, high = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
    floor = ndtr(low)
    u = (bits_of_rows(key, row_id, mu.shape[0]) >> jnp.uint32(8)).astype(mu.dtype) / 2**24
    z = ndtri(jnp.clip(floor + u * (ndtr(high) - floor), 1e-5, 1 - 1e-5))
    return jnp.exp(jnp.clip(mu + sigma * jnp.where(flip, -z, z), LOW, HIGH))


def evidence_change_normal(
    mu: jax.Array, log_sigma: jax.Array, location: float = LOW, width: float = 1e-6, offset: float = 0.0
) -> jax.Array:
    """Return ΔF of BMRS_N: the change of the log evidence with a normal prior of x, truncated to the same bounds.

    The formula is equation 8 of the paper in a form without cancellation. Units of ΔF ≥ 0 may be removed.

    Parameters
    ----------
    mu, log_sigma : f[...]
        Parameters of the posterior.
    location, width : float
        Location and scale of the normal prior.
    offset : float, default=0.0
        Number added to the result: 0 for the equation, `RELEASED_OFFSET` for the result of the authors' code.

    Returns
    -------
    change : f[...]
    """
    sigma = scale(log_sigma)
    variance = sigma**2 + width**2
    reduced = sigma * width / jnp.sqrt(variance)

    def bound(at: float) -> jax.Array:
        return ((at - location) * sigma**2 + (at - mu) * width**2) / variance / reduced

    log_z_reduced = log_mass(bound(LOW), bound(HIGH))
    log_z_prior = log_mass(jnp.asarray((LOW - location) / width), jnp.asarray((HIGH - location) / width))
    return (
        math.log(HIGH - LOW)
        + log_z_reduced
        - log_mass(*_bounds(mu, sigma))
        - log_z_prior
        - _HALF_LOG_2PI
        - 0.5 * jnp.log(variance)
        - (mu - location) ** 2 / (2 * variance)
        + offset
    )


def evidence_change_uniform(mu: jax.Array, log_sigma: jax.Array, bits: float = 8.0) -> jax.Array:
    """Return ΔF of BMRS_U: the change of the log evidence with a log-uniform prior of θ between 2^-23 and 2^-bits.

    Parameters
    ----------
    mu, log_sigma : f[...]
        Parameters of the posterior.
    bits : float, default=8.0
        Minus the base-2 logarithm of the upper bound of the prior.

    Returns
    -------
    change : f[...]
    """
    sigma = scale(log_sigma)
    low, high = -FLOAT_BITS * math.log(2), -math.log(2) * jnp.asarray(bits, mu.dtype)
    inside = log_mass((low - mu) / sigma, (high - mu) / sigma)
    return jnp.log((HIGH - LOW) / (high - low)) + inside - log_mass(*_bounds(mu, sigma))
