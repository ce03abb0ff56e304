"""LUCB: pulls the most uncertain arms on both sides of the boundary between chosen and other arms."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import top_k
from skbandit.policies.identification import MomentsPolicy, aimed, doubts, posterior


@pytree_dataclass
class LUCB(MomentsPolicy):
    r"""Lower and upper confidence bounds, in batches.

    The ``m`` arms of highest mean are the candidates. Half of the slots of a step take the candidates of lowest lower
    bound :math:`\hat\mu_i - c\,s_i`; the other half take the other arms of highest upper bound
    :math:`\hat\mu_i + c\,s_i`. These arms are the likeliest to be on the wrong side. The original LUCB [1]_ pulls one
    arm of each kind.

    Parameters
    ----------
    width : float, default=2.0
        The factor :math:`c`, in standard errors of the mean.

    References
    ----------
    .. [1] S. Kalyanakrishnan, A. Tewari, P. Auer, P. Stone (2012). PAC subset selection in stochastic multi-armed
       bandits. ICML.
    """

    name: ClassVar[str] = "lucb"
    constraints: ClassVar = {"width": (NON_NEGATIVE,)}

    width: float = 2.0

    def select(self, key: jax.Array, state: Any, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the most uncertain arms, alternately from both sides."""
        moments, goal = state[0], aimed(state[1])
        n = active.shape[0]
        mean, error = posterior(moments, goal)
        chosen, distance = doubts(mean, goal, jnp.zeros(n, bool), goal.active)
        # How far the bound lies beyond the nearest boundary. In one group with room for all, the order of the bounds.
        unknown = jnp.isinf(error)
        index = jnp.where(unknown, jnp.inf, self.width * jnp.where(unknown, 0, error) - distance)
        inside_key, outside_key = jax.random.split(key)
        inside = top_k(inside_key, index, active & chosen, k)
        outside = top_k(outside_key, index, active & ~chosen, k)
        # Alternately; if one side has too few arms to pull, the other fills the slots.
        merged = jnp.stack([inside, outside], axis=1).ravel()
        order = jnp.argsort(merged == n, stable=True)
        return merged[order][:k], jnp.ones(k)
