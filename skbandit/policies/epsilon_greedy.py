"""Epsilon-greedy: pulls the arm of best mean, or with a small probability a random arm."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.stats import binom

from skbandit._core.constraints import BOOL, NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.policies.base import Counts, MeanRewardPolicy, mean_reward, top_k


@pytree_dataclass
class EpsilonGreedy(MeanRewardPolicy):
    r"""Epsilon-greedy, with constant or decaying exploration.

    Each of the ``k`` slots of a step exploits with probability :math:`1 - \varepsilon_t` and explores with probability
    :math:`\varepsilon_t`, independently of the others. The exploiting slots take the arms of highest mean reward; an
    arm that was never pulled ranks before all others. The exploring slots then take a uniform sample, without
    replacement, of the remaining arms. For one slot,

    .. math:: p_i = (1 - \varepsilon_t) \, [i = \arg\max_j \hat\mu_j] + \varepsilon_t / K .

    With ``annealed=True`` the probability of exploring falls with the number :math:`t` of pulls of the :math:`K` active
    arms:

    .. math:: \varepsilon_t = \min(1, \varepsilon K / t) ,

    which is the :math:`\varepsilon_n`-greedy rule :math:`\min(1, cK / (d^2 t))` of [1]_ with
    :math:`\varepsilon = c / d^2`. The probability is :math:`\varepsilon` when every arm has been pulled once, and is
    halved each time the number of pulls doubles.

    Parameters
    ----------
    epsilon : float, default=0.1
        Probability of exploring, in [0, 1]; with ``annealed=True``, its value at one pull per active arm.
    annealed : bool, default=False
        Whether exploration decays with the number of pulls.

    Notes
    -----
    The ``probs`` of a pull is the probability that the arm is among the ``k`` arms of the step; for ``k = 1`` it is the
    equation above. With :math:`m \sim \mathrm{Binomial}(k, \varepsilon_t)` exploring slots, the arm at place :math:`r`
    (from 0) of the greedy order is in the step with probability 1 if :math:`r < k - m`, otherwise with probability
    :math:`m / (K - k + m)`. Over all arms these probabilities sum to ``k``.

    References
    ----------
    .. [1] P. Auer, N. Cesa-Bianchi, P. Fischer (2002). Finite-time analysis of the multiarmed bandit problem. Machine
       Learning 47, 235-256.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import EpsilonGreedy
    >>> policy = EpsilonGreedy(epsilon=0.3)
    >>> state = policy.update(policy.init(3), jnp.arange(3), jnp.array([0.2, 0.9, 0.5]), jnp.ones(3))
    >>> arms, probs = policy.select(jax.random.key(0), state, jnp.ones(3, bool), k=1)
    >>> print(arms, np.asarray(probs).round(3))  # 1 - 0.3 + 0.3 / 3
    [1] [0.8]
    """

    name: ClassVar[str] = "epsilon_greedy"
    constraints: ClassVar = {"epsilon": (NON_NEGATIVE,), "annealed": (BOOL,)}

    epsilon: float = 0.1
    annealed: bool = static(default=False)

    def exploration(self, state: Counts, active: jax.Array) -> jax.Array:
        """Return the probability with which a slot of the next step explores."""
        if not self.annealed:
            return jnp.asarray(self.epsilon, float)
        pulls = jnp.sum(state.n_pulls, where=active)
        return jnp.minimum(1.0, self.epsilon * active.sum() / jnp.maximum(pulls, 1.0))

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose ``k`` distinct arms: the best ones for exploiting slots, random ones for exploring slots."""
        n = active.shape[0]
        coin_key, tie_key, explore_key = jax.random.split(key, 3)
        epsilon = self.exploration(state, active)
        n_exploit = k - jnp.sum(jax.random.uniform(coin_key, (k,)) < epsilon)
        ranking = top_k(tie_key, mean_reward(state, unpulled=jnp.inf), active, n)
        # The exploited places come first. The others tie, and random ties are a sample without replacement.
        exploited = (jnp.arange(n) < n_exploit).astype(float)
        place = top_k(explore_key, exploited, ranking < n, k)
        arms = ranking.at[place].get(mode="fill", fill_value=n)
        return arms, jnp.where(arms < n, _inclusion_probability(place, active.sum(), epsilon, k), 1.0)


def _inclusion_probability(place: jax.Array, n_active: jax.Array, epsilon: jax.Array, k: int) -> jax.Array:
    """Return the probability that the arms at these places of the greedy order are in the step (see the Notes)."""
    n_explore = jnp.arange(k + 1)
    n_exploit = k - n_explore
    explored = jnp.minimum(1.0, n_explore / jnp.maximum(n_active - n_exploit, 1))
    included = jnp.where(place[:, None] < n_exploit, 1.0, explored)
    return included @ binom.pmf(n_explore, k, epsilon)
