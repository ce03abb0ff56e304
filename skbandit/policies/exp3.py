"""EXP3: exponential weights when only the rewards of pulled arms are known."""

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
    """The state of `EXP3`."""

    counts: Counts
    """Pulls and summed rewards."""
    score: jax.Array
    """f[n]: summed importance-weighted estimates, shifted so that the largest is 0."""


@pytree_dataclass
class EXP3(Policy):
    r"""Exponential weights over importance-weighted estimates of every arm's total reward.

    The slots of a step are independent draws from one distribution :math:`p`. Each slot adds its estimate to the sum
    :math:`S` of its arm: a step is ``k`` rounds whose rewards arrive together [4]_. Let there be :math:`K` arms, and at
    the :math:`t`-th pull a slot that pulled arm :math:`a` and got the reward :math:`r`.

    ``variant="ix"``, implicit exploration (EXP3-IX [2]_), works on losses. A small bias keeps the estimates bounded:

    .. math:: p = \mathrm{softmax}(\eta_t S), \qquad S_a \mathrel{-}= \frac{1 - r}{p_a + \gamma_t}, \qquad
              \eta_t = 2 \gamma_t = \sqrt{\ln K / (K t)} .

    ``variant="classical"`` (EXP3 [1]_) works on rewards. Its estimates are unbiased, and the uniform distribution is
    mixed in:

    .. math:: p = (1 - \gamma_t) \, \mathrm{softmax}(\eta_t S) + \gamma_t / K, \qquad S_a \mathrel{+}= \frac{r}{p_a},
              \qquad K \eta_t = \gamma_t = \min\left(1, \sqrt{\frac{K \ln K}{(e - 1) t}}\right) .

    The rates need no horizon. They multiply the whole sum :math:`S`, not only its last term ([3]_, section 3.1).

    Parameters
    ----------
    gamma : float or None, default=None
        A constant, positive :math:`\gamma`, from which :math:`\eta` follows as above. None: the rates above.
    variant : {"ix", "classical"}, default="ix"
        Form of the estimates and of the exploration.

    Notes
    -----
    An estimate is divided by the ``probs`` of its pull, the probability with which the arm was drawn; that is 1 for the
    forced pulls of an opening sweep. :math:`K` is the argument of ``init``.

    ``value`` is the mean reward of an arm's own pulls. The importance-weighted mean :math:`S_i / t` estimates the same
    quantity with far more noise: to the noise of the rewards it adds that of *how often* the arm was drawn.

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
        """Return the state of ``n`` arms before the first pull."""
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
        """Return the distribution ``f[n]`` from which the slots of the next step are drawn."""
        learning_rate, gamma = self.rates(state)
        weights = jax.nn.softmax(jnp.where(active, learning_rate * state.score, -jnp.inf))
        if self.variant == "ix":
            return weights
        return (1.0 - gamma) * weights + gamma * active / active.sum()

    def select(self, key: jax.Array, state: EXP3State, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Draw ``k`` arms independently; an arm may fill several slots."""
        n = active.shape[0]
        pmf = self.probabilities(state, active)
        # `choice` inverts the cumulative sum. Rounding of that sum can give an arm of probability 0; the nearest arm of
        # positive probability before it is the right one.
        nearest = lax.cummax(jnp.where(pmf > 0, jnp.arange(n, dtype=jnp.int32), 0))
        arms = nearest[jax.random.choice(key, n, (k,), p=pmf)]
        some = active.any()
        return jnp.where(some, arms, n), jnp.where(some, pmf[arms], 1.0)

    def update(self, state: EXP3State, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> EXP3State:
        """Return the state with each reward added to its arm, divided by the probability of the draw."""
        _, gamma = self.rates(state)
        estimate = (rewards - 1.0) / (probs + gamma) if self.variant == "ix" else rewards / probs
        score = state.score.at[arms].add(estimate, mode="drop")
        return EXP3State(add_pulls(state.counts, arms, rewards), score - score.max())

    def value(self, state: EXP3State) -> jax.Array:
        """Return the mean reward of each arm's own pulls; ``-inf`` if it was never pulled."""
        return mean_reward(state.counts)
