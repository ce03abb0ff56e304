"""Thompson sampling: pulls the arms that are best in a sample of the posterior."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import POSITIVE, Number
from skbandit._core.pytree import pytree_dataclass
from skbandit._core.random import beta
from skbandit.policies.base import Counts, MeanRewardPolicy, top_k


@pytree_dataclass
class Thompson(MeanRewardPolicy):
    r"""Thompson sampling with a fractional Beta posterior, for rewards in [0, 1].

    .. math:: \theta_i \sim \mathrm{Beta}(\alpha + S_i, \; \beta + F_i), \qquad S_i = \sum r, \quad F_i = \sum (1 - r)

    over the pulls of the arm. A reward between 0 and 1 counts as that share of a success; rounding it at random to 0 or
    1 [1]_ would only add variance. The slots of a step take the ``k`` active arms of highest :math:`\theta_i` in one
    sample of the posterior (multiple-play Thompson sampling [2]_; ``k = 1`` is Thompson's rule).

    Parameters
    ----------
    alpha : float, default=1.0
        First shape parameter of the Beta prior, positive. With 1 and 1 the prior is uniform.
    beta : float, default=1.0
        Second shape parameter of the prior, positive.

    Notes
    -----
    The probability that an arm is chosen has no closed form, and the rule does not need it. The ``probs`` of a pull is
    1: the probability given the sample.

    References
    ----------
    .. [1] S. Agrawal, N. Goyal (2012). Analysis of Thompson sampling for the multi-armed bandit problem. COLT.
    .. [2] J. Komiyama, J. Honda, H. Nakagawa (2015). Optimal regret analysis of Thompson sampling in stochastic
       multi-armed bandit problem with multiple plays. ICML. arXiv:1506.00779.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import Thompson
    >>> policy = Thompson()
    >>> state = policy.update(policy.init(3), jnp.array([0, 0, 1]), jnp.array([0.5, 0.75, 0.25]), jnp.ones(3))
    >>> print(*policy.posterior(state))
    [2.25 1.25 1.  ] [1.75 1.75 1.  ]
    >>> print(np.asarray(policy.value(state)).round(3))
    [0.562 0.417  -inf]
    """

    name: ClassVar[str] = "thompson"
    constraints: ClassVar = {"alpha": (POSITIVE,), "beta": (POSITIVE,)}

    alpha: float = 1.0
    beta: float = 1.0

    def posterior(self, state: Counts) -> tuple[jax.Array, jax.Array]:
        """Return the two shape parameters ``f[n]`` of each arm's Beta distribution."""
        # By rounding, a sum of rewards near 1 can slightly exceed their number.
        failures = jnp.maximum(state.n_pulls - state.total, 0.0)
        return self.alpha + state.total, self.beta + failures

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the ``k`` active arms that are best in one sample of the posterior."""
        sample_key, tie_key = jax.random.split(key)
        return top_k(tie_key, beta(sample_key, *self.posterior(state)), active, k), jnp.ones(k)

    def value(self, state: Counts) -> jax.Array:
        """Return the posterior mean of each arm; ``-inf`` if it was never pulled."""
        successes, failures = self.posterior(state)
        return jnp.where(state.n_pulls > 0, successes / (successes + failures), -jnp.inf)


@pytree_dataclass
class GaussianThompson(MeanRewardPolicy):
    r"""Thompson sampling with a Gaussian posterior, for rewards on any scale.

    .. math:: \theta_i \sim \mathcal{N}\!\left(\frac{m_0 + \sum r}{n_i + 1}, \; \frac{\sigma^2}{n_i + 1}\right)

    where the second argument is the **variance** (the standard deviation is :math:`\sigma / \sqrt{n_i + 1}`). It is the
    posterior of a mean whose prior, :math:`\mathcal{N}(m_0, \sigma^2)`, weighs as much as one reward [1]_. As in
    `Thompson`, the slots of a step take the ``k`` active arms of highest :math:`\theta_i` in one sample of the
    posterior.

    Parameters
    ----------
    prior_mean : float, default=0.5
        The mean :math:`m_0` before the first pull; 0.5 is the middle of the range of rewards ([1]_ uses 0).
    scale : float, default=1.0
        The standard deviation :math:`\sigma` of one reward. 1 is the cautious choice of [1]_ for rewards in [0, 1],
        whose standard deviation is at most 0.5.

    References
    ----------
    .. [1] S. Agrawal, N. Goyal (2013). Further optimal regret bounds for Thompson sampling. AISTATS.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import GaussianThompson
    >>> policy = GaussianThompson()
    >>> state = policy.update(policy.init(3), jnp.array([0, 0, 0, 1]), jnp.array([0.5, 0.7, 0.9, 0.3]), jnp.ones(4))
    >>> mean, std = policy.posterior(state)
    >>> print(np.asarray(mean).round(3), np.asarray(std).round(3))
    [0.65 0.4  0.5 ] [0.5   0.707 1.   ]
    """

    name: ClassVar[str] = "gaussian_thompson"
    constraints: ClassVar = {"prior_mean": (Number(closed="neither"),), "scale": (POSITIVE,)}

    prior_mean: float = 0.5
    scale: float = 1.0

    def posterior(self, state: Counts) -> tuple[jax.Array, jax.Array]:
        """Return the mean and the standard deviation ``f[n]`` of each arm's Gaussian."""
        weight = state.n_pulls + 1.0
        return (self.prior_mean + state.total) / weight, self.scale / jnp.sqrt(weight)

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the ``k`` active arms that are best in one sample of the posterior."""
        sample_key, tie_key = jax.random.split(key)
        mean, std = self.posterior(state)
        return top_k(tie_key, mean + std * jax.random.normal(sample_key, mean.shape), active, k), jnp.ones(k)

    def value(self, state: Counts) -> jax.Array:
        """Return the posterior mean of each arm; ``-inf`` if it was never pulled."""
        mean, _ = self.posterior(state)
        return jnp.where(state.n_pulls > 0, mean, -jnp.inf)
