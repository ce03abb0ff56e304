"""Racing: accept and reject arms in a few rounds, and pull the others on."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from skbandit._core.pytree import pytree_dataclass
from skbandit._core.ranking import ranks
from skbandit.policies.base import top_k
from skbandit.policies.identification import (
    Goal,
    IdentificationPolicy,
    Moments,
    add_rewards,
    aimed,
    doubts,
    init_moments,
    posterior,
)

#: Rounds of decisions: as many as the mean number of pulls per arm, but between these limits.
FEWEST_ROUNDS, MOST_ROUNDS = 3, 16


class RacingState(NamedTuple):
    """Moments of the arms, and what is decided."""

    moments: Moments
    accepted: jax.Array
    """bool[n]: will be chosen, and is pulled no more."""
    rejected: jax.Array
    """bool[n]: will not."""
    round: jax.Array
    """i32: rounds that are over."""
    spent: jax.Array
    """i32: pulls."""
    goal: Goal | None


class AcceptReject(IdentificationPolicy):
    """A step pulls all arms that are undecided; now and then the clearest of them are accepted or rejected.

    All arms that are compared have seen the same mini-batches, and what a mini-batch does to all of them cancels.
    """

    sweeps: ClassVar[bool] = True

    @abc.abstractmethod
    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return how many arms to decide now, i32, and whether a round is over, bool."""

    @abc.abstractmethod
    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Return how clear each arm is, f[n], from its distance to the boundary and its standard error."""

    def init(self, n: int) -> RacingState:
        """Return the state before the first pull of ``n`` arms."""
        nobody, zero = jnp.zeros(n, bool), jnp.zeros((), jnp.int32)
        return RacingState(init_moments(n), nobody, nobody, zero, zero, None)

    def aim(self, state: RacingState, goal: Goal) -> RacingState:
        """Remember the goal."""
        return state._replace(goal=goal)

    def select(self, key: jax.Array, state: RacingState, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose all undecided arms, the most doubtful first; where none is left to pull, decided ones."""
        undecided = active & ~(state.accepted | state.rejected)
        candidates = jnp.where(jnp.any(undecided), undecided, active)
        return top_k(key, -self._judge(state, candidates)[1], candidates, k), jnp.ones(k)

    def update(self, state: RacingState, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> RacingState:
        """Credit each reward to its arm, and decide at the end of a round."""
        goal = aimed(state.goal)
        n = state.accepted.shape[0]
        state = state._replace(
            moments=add_rewards(state.moments, arms, rewards),
            spent=state.spent + jnp.sum(arms < n, dtype=jnp.int32),
        )
        undecided = goal.active & ~(state.accepted | state.rejected)
        n_decide, over = self.n_decide(state, undecided)
        # Nothing is decided on a single pull, and nothing early where the budget goes round: all means will be exact.
        over &= jnp.min(jnp.where(undecided, state.moments.n_pulls, jnp.inf)) >= 2
        over &= goal.budget < goal.n_batches * jnp.sum(goal.active, dtype=jnp.int32)
        chosen, certainty = self._judge(state, undecided)
        clear = undecided & (ranks(certainty, undecided) < n_decide) & over
        return state._replace(
            accepted=state.accepted | (clear & chosen),
            rejected=state.rejected | (clear & ~chosen),
            round=state.round + over,
        )

    def value(self, state: RacingState) -> jax.Array:
        """Return the posterior mean ``f[n]`` of each arm; ``-inf`` where it was never pulled."""
        mean = state.moments.mean if state.goal is None else posterior(state.moments, state.goal)[0]
        return jnp.where(state.moments.n_pulls > 0, mean, -jnp.inf)

    def decided(self, state: RacingState) -> jax.Array:
        """Return 1 for arms that are accepted, -1 for rejected ones, else 0."""
        return state.accepted.astype(float) - state.rejected.astype(float)

    def _judge(self, state: RacingState, among: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return who of the arms would be chosen, bool[n], and how clear that is, f[n]."""
        goal = aimed(state.goal)
        mean, error = posterior(state.moments, goal)
        chosen, distance = doubts(mean, goal, state.accepted, among)
        return chosen, self.certainty(state, distance, error)


@pytree_dataclass
class Racing(AcceptReject):
    r"""Successive accepts and rejects in a few rounds, on shared mini-batches.

    Every step pulls all arms that are not yet decided, on one mini-batch: so the arms that are compared have seen the
    same rows, and what a mini-batch does to all of them cancels. The pulls of a round of pruning are shared evenly over
    :math:`R` rounds of racing; at the end of each but the last, the arms whose mean is farthest from the other side of
    the boundary,

    .. math:: t_i = \frac{|\hat\mu_i - \hat\mu_{\text{other side}}|}{s_i},

    are decided, one in :math:`R` of those that are left: accepted if they are among the best, rejected if not.
    :math:`R` is the mean number of pulls per arm, between 3 and 16. :math:`s_i` is the standard error of a mean over a
    finite number of mini-batches: an arm that has seen them all is exact, and so is a race that can afford that.

    Notes
    -----
    After SAR [1]_, which decides one arm at a time, and on a single pull where pulls are few; batches as in BatchSAR
    [2]_; shared references without replacement as in correlated sequential halving [3]_. The schedule is our own.

    References
    ----------
    .. [1] S. Bubeck, T. Wang, N. Viswanathan (2013). Multiple identifications in multi-armed bandits. ICML.
    .. [2] K.-S. Jun, K. Jamieson, R. Nowak, X. Zhu (2016). Top arm identification in multi-armed bandits with batch arm
       pulls. AISTATS.
    .. [3] T. Baharav, D. Tse (2019). Ultra fast medoid identification via correlated sequential halving. NeurIPS. arXiv
       1906.04356.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from skbandit.policies import Goal, Racing
    >>> policy = Racing()
    >>> goal = Goal(jnp.int32(2), jnp.int32(16), jnp.int32(10), jnp.ones(4, bool), jnp.zeros(4, int), jnp.array([3]))
    >>> state = policy.aim(policy.init(4), goal)
    >>> for noise in (0.1, -0.1):
    ...     arms = jnp.arange(4)
    ...     state = policy.update(state, arms, jnp.array([3.0, 1.0, 0.9, -2.0]) + noise * arms, jnp.ones(4))
    >>> print(state.accepted, state.rejected)  # a round of four is over: one arm is clear
    [False False False False] [False False False  True]
    """

    name: ClassVar[str] = "racing"

    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Decide a share of the undecided arms when a round's pulls do not go into another sweep."""
        goal = aimed(state.goal)
        n_active = jnp.maximum(jnp.sum(goal.active, dtype=jnp.int32), 1)
        n_rounds = jnp.clip(goal.budget // n_active, FEWEST_ROUNDS, MOST_ROUNDS)
        n_undecided = jnp.sum(undecided, dtype=jnp.int32)
        end = goal.budget // n_rounds * (state.round + 1)
        over = (state.spent + n_undecided > end) & (state.round < n_rounds - 1)
        return jnp.maximum(n_undecided // n_rounds, 1), over

    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Count the distance in standard errors."""
        # Exact arms are sure, also in a tie; infinite errors, of arms with one pull, leave no certainty at all.
        return jnp.where(error > 0, distance / jnp.where(error > 0, error, 1), jnp.inf)
