"""Hedge: exponential weights when every arm is pulled at every step."""

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

    **Every** active arm is pulled at every step, on one mini-batch [1]_. The weights need that: with the rewards of
    chosen arms only, arms that were pulled more often would weigh more, whether they are better or not. A step that
    leaves out an arm raises an error; `EXP3` is the rule for partial information.

    The rate after :math:`t` steps with :math:`K` active arms is :math:`\eta_t = \sqrt{8 \ln K / (t + 1)}`. It needs no
    horizon and keeps the regret below :math:`2 \sqrt{t \ln K / 2} + \sqrt{\ln K / 8}` ([2]_, theorem 2.3).

    Parameters
    ----------
    learning_rate : float or None, default=None
        A constant rate :math:`\eta`. None: the rate above.

    Notes
    -----
    All arms are pulled, so the weights choose nothing, and they order the arms as their mean rewards do. In pruning,
    ``learning_rate`` therefore changes only `log_weights`. ``value`` is the mean reward, as in other policies: unlike a
    sum, it stays comparable when arms have left.

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
        """Choose every active arm; raise ValueError if ``k`` is not the number of arms."""
        n = active.shape[0]
        if k != n:
            raise ValueError(f"Hedge needs the reward of every arm at every step: k must be {n}, got {k}. Use EXP3.")
        return jnp.where(active, jnp.arange(n, dtype=jnp.int32), n), jnp.ones(n)

    def log_weights(self, state: Counts, active: jax.Array) -> jax.Array:
        """Return the logarithms ``f[n]`` of the normalised weights of the active arms; ``-inf`` for others."""
        if self.learning_rate is None:
            rate = jnp.sqrt(8.0 * jnp.log(active.sum()) / (state.n_pulls.max() + 1.0))
        else:
            rate = jnp.asarray(self.learning_rate, float)
        # The state has sums of rewards, not exponentials, so that nothing can overflow.
        return jax.nn.log_softmax(jnp.where(active, rate * state.total, -jnp.inf))
