"""CSAR: accept and reject one by one, under a constraint."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import NONE, Number
from skbandit._core.pytree import pytree_dataclass
from skbandit._core.ranking import ranks, ranks_in_groups
from skbandit.policies.identification import aimed, posterior
from skbandit.policies.racing import AcceptReject, RacingState


@pytree_dataclass
class CSAR(AcceptReject):
    r"""Combinatorial successive accepts and rejects.

    With :math:`N` arms and :math:`T` pulls, the :math:`t`-th arm is decided when all undecided ones have

    .. math:: T_t = \left\lceil \frac{T - N}{\widetilde{\log}(N) \, (N - t + 1)} \right\rceil, \qquad
        \widetilde{\log}(N) = \sum_{i=1}^{N} \frac{1}{i},

    pulls: the one whose other decision would make the best choice worst, by the difference of two means. The choice is
    of ``m`` arms with at most so many of each group: with ``scope="layer"`` the layers' quotas.

    Parameters
    ----------
    multiplications : float or None, default=None
        Instead of a number of units, choose as many as save this share of the network's multiplications, those of
        least damage per multiplication first. For dense networks, with ``pruning_ratio="auto"``: they are what leaves
        then, whatever the tolerance; a number as ``pruning_ratio`` asks for that number.
        The cost of deciding otherwise is then the damage less what its multiplications cost at the boundary (the linear
        relaxation of a knapsack).

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
    constraints: ClassVar = {"multiplications": (NONE, Number(0, 1, closed="neither"))}

    multiplications: float | None = None

    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Count the arms whose turn is not later than the pulls that the undecided ones have."""
        goal = aimed(state.goal)
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

    @property
    def constrained(self) -> bool:
        """Whether multiplications are asked for."""
        return self.multiplications is not None

    def choice(self, state: RacingState) -> jax.Array | None:
        """Return the arms that save the multiplications asked for."""
        if self.multiplications is None:
            return None
        goal = aimed(state.goal)
        return state.accepted | self._judge(state, goal.active & ~(state.accepted | state.rejected))[0]

    def _judge(self, state: RacingState, among: jax.Array) -> tuple[jax.Array, jax.Array]:
        if self.multiplications is None:
            return AcceptReject._judge(self, state, among)
        goal = aimed(state.goal)
        if goal.ends is None:
            raise ValueError("CSAR(multiplications=...) works for dense networks only.")
        ends, n_groups = goal.ends, goal.room.shape[0]
        member = (goal.group == jnp.arange(n_groups)[:, None]).astype(jnp.int32)
        widths, accepted = member @ goal.active, member @ state.accepted

        def padded(inner: jax.Array) -> jax.Array:  # f[..., n_groups + 2]
            both = jnp.broadcast_to(ends, (*inner.shape[:-1], 2))
            return jnp.concatenate([both[..., :1], inner, both[..., 1:]], axis=-1).astype(float)

        def count(inner: jax.Array) -> jax.Array:
            all_widths = padded(inner)
            return jnp.sum(all_widths[..., 1:] * all_widths[..., :-1], axis=-1)

        now = padded(widths - accepted)
        price = (now[:-2] + now[2:])[goal.group]
        mean, _ = posterior(state.moments, goal)
        ratio = mean / price
        fits = among & (ranks_in_groups(ratio, among, goal.group, n_groups) < (goal.room - accepted)[goal.group])
        order = jnp.argsort(jnp.where(fits, -ratio, jnp.inf), stable=True)
        gone = jnp.cumsum(jnp.where(fits[order], member[:, order], 0), axis=1).T + accepted
        enough = count(widths - gone) <= (1 - self.multiplications) * count(widths)
        # The arm with which it is enough is the last one; none, if what is accepted is.
        n_take = jnp.where(
            count(widths - accepted) <= (1 - self.multiplications) * count(widths), 0, 1 + jnp.argmax(enough)
        )
        n_take = jnp.where(jnp.any(enough), n_take, jnp.sum(fits))
        chosen = fits & (ranks(ratio, fits) < n_take)
        boundary = jnp.min(jnp.where(chosen, ratio, jnp.inf))
        boundary = jnp.where(jnp.isfinite(boundary), boundary, jnp.max(jnp.where(fits, ratio, -jnp.inf)))
        return chosen, jnp.abs(mean - boundary * price)
