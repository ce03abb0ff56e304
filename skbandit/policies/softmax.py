"""Softmax (Boltzmann) exploration: draws arms with probabilities that grow exponentially with their mean reward."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import BOOL, POSITIVE
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.policies.base import Counts, MeanRewardPolicy, mean_reward, top_k


@pytree_dataclass
class Softmax(MeanRewardPolicy):
    r"""Boltzmann exploration, with constant or falling temperature.

    .. math:: p_i = \frac{\exp(\hat\mu_i / \tau_t)}{\sum_j \exp(\hat\mu_j / \tau_t)}

    over the active arms. An arm that was never pulled has the highest possible mean, :math:`\hat\mu_i = 1`. The slots
    of a step are drawn one after the other from this distribution, without replacement: they are the arms of the ``k``
    largest :math:`\hat\mu_i / \tau_t + G_i`, with independent standard Gumbel variables :math:`G_i` [2]_.

    With ``annealed=True`` the temperature falls with the logarithm of the total number :math:`t` of pulls [1]_. Because
    of the :math:`e` it starts at ``temperature``:

    .. math:: \tau_t = \tau / \ln(e + t) .

    Parameters
    ----------
    temperature : float, default=0.1
        Positive, on the scale of the rewards: two arms whose means differ by ``temperature`` are drawn in the ratio
        1 : e.
    annealed : bool, default=False
        Whether the temperature falls with the number of pulls.

    Notes
    -----
    The ``probs`` of a pull is the probability of drawing the arm for its slot among the arms that the earlier slots
    have not taken. No single schedule of the temperature is right for all gaps between the means [3]_.

    References
    ----------
    .. [1] S. Singh, T. Jaakkola, M. Littman, C. Szepesvari (2000). Convergence results for single-step on-policy
       reinforcement-learning algorithms. Machine Learning 38, 287-308.
    .. [2] W. Kool, H. van Hoof, M. Welling (2019). Stochastic beams and where to find them: the Gumbel-top-k trick for
       sampling sequences without replacement. ICML.
    .. [3] N. Cesa-Bianchi, C. Gentile, G. Lugosi, G. Neu (2017). Boltzmann exploration done right. NeurIPS.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import Softmax
    >>> policy = Softmax(temperature=0.1)
    >>> state = policy.update(policy.init(3), jnp.arange(3), jnp.array([0.2, 0.9, 0.5]), jnp.ones(3))
    >>> arms, probs = policy.select(jax.random.key(0), state, jnp.ones(3, bool), k=3)
    >>> print(arms, np.asarray(probs).round(3))
    [1 2 0] [0.981 0.953 1.   ]
    """

    name: ClassVar[str] = "softmax"
    constraints: ClassVar = {"temperature": (POSITIVE,), "annealed": (BOOL,)}

    temperature: float = 0.1
    annealed: bool = static(default=False)

    def logits(self, state: Counts) -> jax.Array:
        """Return the log-probabilities ``f[n]`` of the arms, up to a constant."""
        cooling = jnp.log(jnp.e + state.n_pulls.sum()) if self.annealed else 1.0
        return mean_reward(state, unpulled=1.0) * cooling / self.temperature

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Draw ``k`` distinct arms (Gumbel-top-k)."""
        n = active.shape[0]
        gumbel_key, tie_key = jax.random.split(key)
        logits = self.logits(state)
        order = top_k(tie_key, logits + jax.random.gumbel(gumbel_key, (n,), mode="low"), active, max(k, n))
        ordered = logits.at[order].get(mode="fill", fill_value=-jnp.inf)
        # A slot draws among the arms at or behind its place in the order.
        log_left = lax.cumlogsumexp(ordered, reverse=True)
        arms = order[:k]
        return arms, jnp.where(arms < n, jnp.exp(ordered - log_left)[:k], 1.0)
