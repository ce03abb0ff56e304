"""CSAR: accepts and rejects arms one by one, under a constraint."""

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
    r"""Combinatorial successive accepts and rejects [1]_.

    With :math:`N` arms and :math:`T` pulls, the :math:`t`-th arm is decided once every undecided arm has

    .. math:: T_t = \left\lceil \frac{T - N}{\widetilde{\log}(N) \, (N - t + 1)} \right\rceil, \qquad
        \widetilde{\log}(N) = \sum_{i=1}^{N} \frac{1}{i},

    pulls. It is the arm on which the opposite decision would cost most, as a difference of two means. The set to choose
    has ``m`` arms, and at most a given number in each group: with ``scope="layer"``, the quota of the layer.

    Parameters
    ----------
    multiplications : float or None, default=None
        Share of the network's multiplications to save. Instead of a number of units, the policy then chooses the units
        of least damage per multiplication until they save this share. It is for dense networks and
        ``pruning_ratio="auto"``: the chosen units are removed, whatever the tolerance. If ``pruning_ratio`` is a
        number, that number of units is removed. The cost of the opposite decision is then the damage of the arm minus
        the price of its multiplications at the boundary (the linear relaxation of a knapsack).

    Notes
    -----
    Decisions that are due at the same number of pulls are made together. No decision is made after a single pull, which
    the schedule asks for if there are few pulls.

    References
    ----------
    .. [1] S. Chen, T. Lin, I. King, M. Lyu, W. Chen (2014). Combinatorial pure exploration of multi-armed bandits.
       NeurIPS.
    """

    name: ClassVar[str] = "csar"
    constraints: ClassVar = {"multiplications": (NONE, Number(0, 1, closed="neither"))}

    multiplications: float | None = None

    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the number of arms that are due at the number of pulls that the undecided arms have."""
        goal = aimed(state.goal)
        n = jnp.maximum(jnp.sum(goal.active, dtype=jnp.int32), 1)
        log_n = jnp.sum(jnp.where(jnp.arange(goal.active.shape[0]) < n, 1 / (1 + jnp.arange(goal.active.shape[0])), 0))
        n_pulls = jnp.min(jnp.where(undecided, state.moments.n_pulls, jnp.inf))
        # T_t <= n_pulls. The last arm stays undecided: there is nothing to compare it with.
        due = n + 1 - jnp.ceil((goal.budget - n) / (log_n * jnp.maximum(n_pulls, 1)) - 1e-6)
        n_decided = jnp.sum(state.accepted | state.rejected, dtype=jnp.int32)
        n_decide = jnp.clip(due.astype(jnp.int32), 0, n - 1) - n_decided
        return jnp.maximum(n_decide, 0), n_decide > 0

    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Return the distance itself."""
        return distance

    @property
    def constrained(self) -> bool:
        """Whether ``multiplications`` is set."""
        return self.multiplications is not None

    def choice(self, state: RacingState) -> jax.Array | None:
        """Return the arms that save the share ``multiplications``; None if it is not set."""
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
        # The last arm to take is the one with which enough is saved; none is needed if the accepted arms save enough.
        n_take = jnp.where(
            count(widths - accepted) <= (1 - self.multiplications) * count(widths), 0, 1 + jnp.argmax(enough)
        )
        n_take = jnp.where(jnp.any(enough), n_take, jnp.sum(fits))
        chosen = fits & (ranks(ratio, fits) < n_take)
        boundary = jnp.min(jnp.where(chosen, ratio, jnp.inf))
        boundary = jnp.where(jnp.isfinite(boundary), boundary, jnp.max(jnp.where(fits, ratio, -jnp.inf)))
        return chosen, jnp.abs(mean - boundary * price)
