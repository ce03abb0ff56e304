"""CSAR: accept and reject one by one, under a constraint."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._pytree import pytree_dataclass
from skbandit.policies.racing import AcceptReject, RacingState


@pytree_dataclass
class CSAR(AcceptReject):
    r"""Combinatorial successive accepts and rejects.

    With :math:`N` arms and :math:`T` pulls, the :math:`t`-th arm is decided when all undecided ones have

    .. math:: T_t = \left\lceil \frac{T - N}{\widetilde{\log}(N) \, (N - t + 1)} \right\rceil, \qquad
        \widetilde{\log}(N) = \sum_{i=1}^{N} \frac{1}{i},

    pulls: the one whose other decision would make the best choice worst, by the difference of two means. The choice is
    of ``m`` arms with at most so many of each group: with ``scope="layer"`` the layers' quotas.

    Notes
    -----
    Decisions that fall on the same number of pulls are made together, and none on a single pull, which the schedule
    asks for where pulls are few.

    References
    ----------
    .. [1] S. Chen, T. Lin, I. King, M. Lyu, W. Chen (2014). Combinatorial pure exploration of multi-armed bandits.
       NeurIPS.
    """

    name: ClassVar[str] = "csar"

    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Count the arms whose turn is not later than the pulls that the undecided ones have."""
        goal: Any = state.goal
        n = jnp.maximum(jnp.sum(goal.active, dtype=jnp.int32), 1)
        log_n = jnp.sum(jnp.where(jnp.arange(goal.active.shape[0]) < n, 1 / (1 + jnp.arange(goal.active.shape[0])), 0))
        n_pulls = jnp.min(jnp.where(undecided, state.moments.n_pulls, jnp.inf))
        # T_t <= n_pulls; the last arm is left, for there is nothing to compare it with.
        due = n + 1 - jnp.ceil((goal.budget - n) / (log_n * jnp.maximum(n_pulls, 1)) - 1e-6)
        n_decided = jnp.sum(state.accepted | state.rejected, dtype=jnp.int32)
        n_decide = jnp.clip(due.astype(jnp.int32), 0, n - 1) - n_decided
        return jnp.maximum(n_decide, 0), n_decide > 0

    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Take the distance as it is."""
        return distance
