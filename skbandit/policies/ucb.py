"""UCB1: pulls the arms of highest upper confidence bound."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import Counts, MeanRewardPolicy, mean_reward, top_k


@pytree_dataclass
class UCB1(MeanRewardPolicy):
    r"""Upper confidence bounds on the mean rewards.

    .. math:: \mathrm{index}_i = \hat\mu_i + c \sqrt{2 \ln t / n_i}

    with :math:`n_i` the number of pulls of the arm and :math:`t` that of all arms [1]_. The index of an arm that was
    never pulled is :math:`+\infty`. The slots of a step take the ``k`` active arms of highest index, with ties broken
    at random. The arms of a step are pulled on one mini-batch, and chosen before any of its rewards is known.

    Parameters
    ----------
    exploration : float, default=1.0
        The factor :math:`c`. The textbook value 1 is for rewards that fill [0, 1]. If rewards fill a range of length
        :math:`c` only, a smaller factor keeps the policy from pulling all arms in turn.

    References
    ----------
    .. [1] P. Auer, N. Cesa-Bianchi, P. Fischer (2002). Finite-time analysis of the multiarmed bandit problem. Machine
       Learning 47, 235-256.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import UCB1
    >>> policy = UCB1()
    >>> state = policy.update(policy.init(3), jnp.array([0, 0, 1]), jnp.array([0.6, 0.8, 0.5]), jnp.ones(3))
    >>> print(np.asarray(policy.index(state)).round(3))  # 0.7 + sqrt(2 ln 3 / 2), 0.5 + sqrt(2 ln 3), never pulled
    [1.748 1.982   inf]
    >>> arms, probs = policy.select(jax.random.key(0), state, jnp.ones(3, bool), k=2)
    >>> print(arms)
    [2 1]
    """

    name: ClassVar[str] = "ucb1"
    constraints: ClassVar = {"exploration": (NON_NEGATIVE,)}

    exploration: float = 1.0

    def index(self, state: Counts) -> jax.Array:
        """Return the upper confidence bounds ``f[n]``."""
        log_pulls = jnp.log(jnp.maximum(state.n_pulls.sum(), 1.0))
        # An arm without pulls has a mean of +inf, so that the finite bonus in place of its 1 / 0 does not matter.
        bonus = jnp.sqrt(2.0 * log_pulls / jnp.maximum(state.n_pulls, 1.0))
        return mean_reward(state, unpulled=jnp.inf) + self.exploration * bonus

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the ``k`` active arms of highest index."""
        return top_k(key, self.index(state), active, k), jnp.ones(k)
