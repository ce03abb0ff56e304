"""EXP3: exponential weights when only the arms that were pulled are seen."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import NONE, POSITIVE, OneOf
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.policies.base import Counts, Policy, add_pulls, init_counts, mean_reward


class EXP3State(NamedTuple):
    """What EXP3 has seen."""

    counts: Counts
    """Pulls and summed rewards."""
    score: jax.Array
    """f[n]: summed importance-weighted estimates, shifted so that the largest is 0."""


@pytree_dataclass
class EXP3(Policy):
    r"""Exponential weights over importance-weighted estimates of what every arm would have given.

    The slots of a step are independent draws from one distribution :math:`p`, and each of them adds its estimate to
    the score :math:`S` of its arm: ``k`` rounds whose rewards arrive together [4]_. With :math:`K` arms, at the
    :math:`t`-th pull, for a slot that pulled arm :math:`a` and gave :math:`r`:

    ``variant="ix"``, implicit exploration (EXP3-IX [2]_), works on losses, and keeps the estimates bounded by a small
    bias:

    .. math:: p = \mathrm{softmax}(\eta_t S), \qquad S_a \mathrel{-}= \frac{1 - r}{p_a + \gamma_t}, \qquad
              \eta_t = 2 \gamma_t = \sqrt{\ln K / (K t)} .

    ``variant="classical"`` (EXP3 [1]_), works on rewards, unbiased, and mixes in the uniform distribution:

    .. math:: p = (1 - \gamma_t) \, \mathrm{softmax}(\eta_t S) + \gamma_t / K, \qquad S_a \mathrel{+}= \frac{r}{p_a},
              \qquad K \eta_t = \gamma_t = \min\left(1, \sqrt{\frac{K \ln K}{(e - 1) t}}\right) .

    The rates need no horizon, and multiply the whole score, not only its last term ([3]_, section 3.1).

    Parameters
    ----------
    gamma : float or None, default=None
        A constant :math:`\gamma`, positive; :math:`\eta` follows as above. None for the rates above.
    variant : {"ix", "classical"}, default="ix"
        The form of the estimates and of the exploration.

    Notes
    -----
    An estimate is divided by the probability that travels with its pull, the one that the arm was drawn with: 1 for the
    forced pulls of an opening sweep. :math:`K` is the number of arms that ``init`` was given.

    ``value`` is the mean reward of an arm's own pulls. The importance-weighted mean :math:`S_i / t` estimates the same
    quantity with far more noise: it adds that of *how often* the arm was drawn to that of its rewards.

    References
    ----------
    .. [1] P. Auer, N. Cesa-Bianchi, Y. Freund, R. Schapire (2002). The nonstochastic multiarmed bandit problem. SIAM
       Journal on Computing 32, 48-77.
    .. [2] G. Neu (2015). Explore no more: improved high-probability regret bounds for non-stochastic bandits. NeurIPS.
    .. [3] S. Bubeck, N. Cesa-Bianchi (2012). Regret analysis of stochastic and nonstochastic multi-armed bandit
       problems. Foundations and Trends in Machine Learning 5, 1-122.
    .. [4] T. Thune, N. Cesa-Bianchi, Y. Seldin (2019). Nonstochastic multiarmed bandits with unrestricted delays.
       NeurIPS.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import EXP3
    >>> policy = EXP3(gamma=0.1)
    >>> state = policy.init(2)
    >>> active = jnp.ones(2, bool)
    >>> print(policy.probabilities(state, active))
    [0.5 0.5]
    >>> state = policy.update(state, jnp.array([1]), jnp.array([0.4]), jnp.array([0.5]))  # a loss of 0.6 / (0.5 + 0.1)
    >>> print(np.asarray(policy.probabilities(state, active)).round(3))  # softmax([0, -0.2 * 1])
    [0.55 0.45]
    """

    name: ClassVar[str] = "exp3"
    constraints: ClassVar = {"gamma": (NONE, POSITIVE), "variant": (OneOf(("ix", "classical")),)}
    replacement: ClassVar[bool] = True

    gamma: float | None = None
    variant: Literal["ix", "classical"] = static(default="ix")

    def init(self, n: int) -> EXP3State:
        """Return the state before the first pull of ``n`` arms."""
        if self.variant not in ("ix", "classical"):
            raise ValueError(f"variant must be 'ix' or 'classical', got {self.variant!r}.")
        return EXP3State(init_counts(n), jnp.zeros(n))

    def rates(self, state: EXP3State) -> tuple[jax.Array, jax.Array]:
        """Return the learning rate and gamma of the next pull."""
        n = state.score.shape[0]
        t = state.counts.n_pulls.sum() + 1.0
        if self.variant == "ix":
            gamma = 0.5 * jnp.sqrt(math.log(n) / (n * t)) if self.gamma is None else jnp.asarray(self.gamma, float)
            return 2.0 * gamma, gamma
        anytime = jnp.minimum(1.0, jnp.sqrt(n * math.log(n) / ((math.e - 1.0) * t)))
        gamma = anytime if self.gamma is None else jnp.asarray(self.gamma, float)
        return gamma / n, gamma

    def probabilities(self, state: EXP3State, active: jax.Array) -> jax.Array:
        """Return the distribution ``f[n]`` that the slots of the next step are drawn from."""
        learning_rate, gamma = self.rates(state)
        weights = jax.nn.softmax(jnp.where(active, learning_rate * state.score, -jnp.inf))
        if self.variant == "ix":
            return weights
        return (1.0 - gamma) * weights + gamma * active / active.sum()

    def select(self, key: jax.Array, state: EXP3State, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Draw ``k`` arms independently; an arm may stand in several slots."""
        n = active.shape[0]
        pmf = self.probabilities(state, active)
        # `choice` inverts the cumulative sum, and where that is rounded it can hand out an arm of probability 0:
        # the nearest possible arm before it is the one that was meant.
        nearest = lax.cummax(jnp.where(pmf > 0, jnp.arange(n, dtype=jnp.int32), 0))
        arms = nearest[jax.random.choice(key, n, (k,), p=pmf)]
        some = active.any()
        return jnp.where(some, arms, n), jnp.where(some, pmf[arms], 1.0)

    def update(self, state: EXP3State, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> EXP3State:
        """Credit each reward to its arm, divided by the probability that the arm was drawn with."""
        _, gamma = self.rates(state)
        estimate = (rewards - 1.0) / (probs + gamma) if self.variant == "ix" else rewards / probs
        score = state.score.at[arms].add(estimate, mode="drop")
        return EXP3State(add_pulls(state.counts, arms, rewards), score - score.max())

    def value(self, state: EXP3State) -> jax.Array:
        """Return the mean reward of each arm's own pulls; ``-inf`` where it was never pulled."""
        return mean_reward(state.counts)
