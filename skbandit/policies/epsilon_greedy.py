"""Epsilon-greedy: exploit the best mean, explore at random with a small probability."""

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
    r"""Epsilon-greedy, with a constant or a decaying share of exploration.

    Each of the ``k`` slots of a step tosses a coin of its own: with probability :math:`1 - \varepsilon_t` it exploits,
    with probability :math:`\varepsilon_t` it explores. The exploiting slots take the arms of highest mean reward
    (an arm that was never pulled comes before all others); the exploring ones then take a uniform sample, without
    replacement, of the arms that are left. For one slot,

    .. math:: p_i = (1 - \varepsilon_t) \, [i = \arg\max_j \hat\mu_j] + \varepsilon_t / K .

    Annealed, the share of exploration falls with the number of pulls, :math:`t`, of the :math:`K` active arms:

    .. math:: \varepsilon_t = \min(1, \varepsilon K / t) ,

    which is the :math:`\varepsilon_n`-greedy rule :math:`\min(1, cK / (d^2 t))` of [1]_ with
    :math:`\varepsilon = c / d^2`: it explores with probability :math:`\varepsilon` once every arm has been pulled, and
    half as often each time the number of pulls doubles.

    Parameters
    ----------
    epsilon : float, default=0.1
        Probability of exploring, in [0, 1]; annealed, the probability of exploring at one pull per active arm.
    annealed : bool, default=False
        Let exploration decay with the number of pulls.

    Notes
    -----
    The probability that travels with a pull is that of finding the arm among the ``k`` of the step (for ``k = 1`` the
    pmf above). With :math:`m \sim \mathrm{Binomial}(k, \varepsilon_t)` exploring slots, the arm at place :math:`r`
    (from 0) of the greedy order is in the step for certain if :math:`r < k - m`, else with probability
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
        """Return the probability with which a slot explores at this point of the run."""
        if not self.annealed:
            return jnp.asarray(self.epsilon, float)
        pulls = jnp.sum(state.n_pulls, where=active)
        return jnp.minimum(1.0, self.epsilon * active.sum() / jnp.maximum(pulls, 1.0))

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose ``k`` distinct arms: the best for the slots that exploit, random ones for those that explore."""
        n = active.shape[0]
        coin_key, tie_key, explore_key = jax.random.split(key, 3)
        epsilon = self.exploration(state, active)
        n_exploit = k - jnp.sum(jax.random.uniform(coin_key, (k,)) < epsilon)
        ranking = top_k(tie_key, mean_reward(state, unpulled=jnp.inf), active, n)
        # First the places that are exploited. The others tie, and ties fall at random: a sample without replacement.
        exploited = (jnp.arange(n) < n_exploit).astype(float)
        place = top_k(explore_key, exploited, ranking < n, k)
        arms = ranking.at[place].get(mode="fill", fill_value=n)
        return arms, jnp.where(arms < n, _inclusion_probability(place, active.sum(), epsilon, k), 1.0)


def _inclusion_probability(place: jax.Array, n_active: jax.Array, epsilon: jax.Array, k: int) -> jax.Array:
    """Probability that the arms at these places of the greedy order are among the ``k`` of the step (class Notes)."""
    n_explore = jnp.arange(k + 1)
    n_exploit = k - n_explore
    explored = jnp.minimum(1.0, n_explore / jnp.maximum(n_active - n_exploit, 1))
    included = jnp.where(place[:, None] < n_exploit, 1.0, explored)
    return included @ binom.pmf(n_explore, k, epsilon)
