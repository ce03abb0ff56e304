"""Hedge: exponential weights when every arm is seen at every step."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import NONE, POSITIVE
from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import Counts, MeanRewardPolicy


@pytree_dataclass
class Hedge(MeanRewardPolicy):
    r"""Exponential weights over the arms under full information.

    .. math:: w_i \propto \exp(\eta_t G_i), \qquad G_i = \sum_{s \le t} r_{i,s}

    where **every** active arm is pulled at every step, on one mini-batch [1]_. That is what makes the weights sound:
    with the rewards of chosen arms only, whatever was pulled more would weigh more, whether it is better or not. A step
    that leaves arms out is refused; :class:`EXP3` is the rule for that.

    After :math:`t` steps with :math:`K` active arms the rate is :math:`\eta_t = \sqrt{8 \ln K / (t + 1)}`, which needs
    no horizon and keeps the regret below :math:`2 \sqrt{t \ln K / 2} + \sqrt{\ln K / 8}` ([2]_, theorem 2.3), or the
    constant ``learning_rate``.

    Parameters
    ----------
    learning_rate : float or None, default=None
        The rate :math:`\eta`; None for the rate above.

    Notes
    -----
    The weights steer no pull, since all arms are pulled, and they order the arms as their mean rewards do; in pruning,
    ``learning_rate`` therefore changes nothing but `log_weights`. ``value`` is the mean, as
    everywhere: it stays comparable when arms have left, which a sum does not.

    References
    ----------
    .. [1] Y. Freund, R. Schapire (1997). A decision-theoretic generalization of on-line learning and an application to
       boosting. Journal of Computer and System Sciences 55, 119-139.
    .. [2] N. Cesa-Bianchi, G. Lugosi (2006). Prediction, Learning, and Games. Cambridge University Press.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from skbandit.policies import Hedge
    >>> policy = Hedge(learning_rate=1.0)
    >>> active = jnp.array([True, True, False])
    >>> arms, probs = policy.select(jax.random.key(0), policy.init(3), active, k=3)
    >>> print(arms)  # the arm that is not active leaves its slot empty
    [0 1 3]
    >>> state = policy.update(policy.init(3), arms, jnp.array([1.0, 0.0, 0.0]), probs)
    >>> print(np.exp(policy.log_weights(state, active)).round(3))  # e / (1 + e), 1 / (1 + e)
    [0.731 0.269 0.   ]
    """

    name: ClassVar[str] = "hedge"
    constraints: ClassVar = {"learning_rate": (NONE, POSITIVE)}
    sweeps: ClassVar[bool] = True
    full_information: ClassVar[bool] = True

    learning_rate: float | None = None

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose every active arm; ``k`` must be the number of arms."""
        n = active.shape[0]
        if k != n:
            raise ValueError(f"Hedge needs the reward of every arm at every step: k must be {n}, got {k}. Use EXP3.")
        return jnp.where(active, jnp.arange(n, dtype=jnp.int32), n), jnp.ones(n)

    def log_weights(self, state: Counts, active: jax.Array) -> jax.Array:
        """Return the logarithm ``f[n]`` of the normalised weights of the active arms; ``-inf`` for the others."""
        if self.learning_rate is None:
            rate = jnp.sqrt(8.0 * jnp.log(active.sum()) / (state.n_pulls.max() + 1.0))
        else:
            rate = jnp.asarray(self.learning_rate, float)
        # Sums of gains are what is carried from step to step, exponentials never: nothing can overflow.
        return jax.nn.log_softmax(jnp.where(active, rate * state.total, -jnp.inf))
