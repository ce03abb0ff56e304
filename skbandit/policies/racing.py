"""Racing: accepts and rejects arms in a few rounds, and goes on pulling the others."""

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
    """The state of the policies that accept and reject arms."""

    moments: Moments
    accepted: jax.Array
    """bool[n]: arms that will be chosen; they are not pulled again."""
    rejected: jax.Array
    """bool[n]: arms that will not be chosen; they are not pulled again."""
    round: jax.Array
    """i32: completed rounds."""
    spent: jax.Array
    """i32: pulls so far."""
    goal: Goal | None


class AcceptReject(IdentificationPolicy):
    """Base of the policies that pull all undecided arms, and decide the clearest ones from time to time.

    All arms that are compared have seen the same mini-batches, so that an effect of a mini-batch on all arms cancels.
    """

    sweeps: ClassVar[bool] = True

    @abc.abstractmethod
    def n_decide(self, state: RacingState, undecided: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the number of arms to decide now, i32, and whether a round is over, bool."""

    @abc.abstractmethod
    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Return how clear the decision on each arm is.

        Parameters
        ----------
        state : RacingState
        distance : f[n]
            Cost of the opposite decision, as `skbandit.policies.identification.doubts` returns it.
        error : f[n]
            Standard error of each arm's mean.

        Returns
        -------
        certainty : f[n]
            The arms of highest certainty are decided first.
        """

    def init(self, n: int) -> RacingState:
        """Return the state of ``n`` arms before the first pull."""
        nobody, zero = jnp.zeros(n, bool), jnp.zeros((), jnp.int32)
        return RacingState(init_moments(n), nobody, nobody, zero, zero, None)

    def aim(self, state: RacingState, goal: Goal) -> RacingState:
        """Return the state with the goal of a round."""
        return state._replace(goal=goal)

    def select(self, key: jax.Array, state: RacingState, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose all undecided arms, the least clear first; if none can be pulled, decided ones."""
        undecided = active & ~(state.accepted | state.rejected)
        candidates = jnp.where(jnp.any(undecided), undecided, active)
        return top_k(key, -self._judge(state, candidates)[1], candidates, k), jnp.ones(k)

    def update(self, state: RacingState, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> RacingState:
        """Return the state with each reward added to its arm, and with decisions at the end of a round."""
        goal = aimed(state.goal)
        n = state.accepted.shape[0]
        state = state._replace(
            moments=add_rewards(state.moments, arms, rewards),
            spent=state.spent + jnp.sum(arms < n, dtype=jnp.int32),
        )
        undecided = goal.active & ~(state.accepted | state.rejected)
        n_decide, over = self.n_decide(state, undecided)
        # Nothing is decided after a single pull, nor early if the budget is enough for all pulls: means will be exact.
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
        """Return the posterior mean ``f[n]`` of each arm; ``-inf`` if it was never pulled."""
        mean = state.moments.mean if state.goal is None else posterior(state.moments, state.goal)[0]
        return jnp.where(state.moments.n_pulls > 0, mean, -jnp.inf)

    def decided(self, state: RacingState) -> jax.Array:
        """Return 1 for accepted arms, -1 for rejected arms and 0 for the others, f[n]."""
        return state.accepted.astype(float) - state.rejected.astype(float)

    def _judge(self, state: RacingState, among: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return which of the arms would be chosen, bool[n], and how clear that is, f[n]."""
        goal = aimed(state.goal)
        mean, error = posterior(state.moments, goal)
        chosen, distance = doubts(mean, goal, state.accepted, among)
        return chosen, self.certainty(state, distance, error)


@pytree_dataclass
class Racing(AcceptReject):
    r"""Successive accepts and rejects in a few rounds, on shared mini-batches.

    Every step pulls all undecided arms on one mini-batch. The arms that are compared have therefore seen the same rows,
    and an effect of a mini-batch on all arms cancels. The pulls of a round of pruning are shared evenly over :math:`R`
    rounds of racing. At the end of each but the last, the arms whose mean is farthest from the other side of the
    boundary, by

    .. math:: t_i = \frac{|\hat\mu_i - \hat\mu_{\text{other side}}|}{s_i},

    are decided: one in :math:`R` of the undecided arms. They are accepted if they are among the best, otherwise
    rejected. :math:`R` is the mean number of pulls per arm, but at least 3 and at most 16. :math:`s_i` is the standard
    error of a mean over a finite number of mini-batches: the mean of an arm that has seen them all is exact, and with a
    budget for all pulls so is the result.

    Notes
    -----
    The rule follows SAR [1]_, which decides one arm at a time, after a single pull if there are few pulls. Batches are
    those of BatchSAR [2]_; shared mini-batches without replacement are those of correlated sequential halving [3]_. The
    schedule is our own.

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
        """Return how many arms to decide; a round is over if its pulls are not enough for another sweep."""
        goal = aimed(state.goal)
        n_active = jnp.maximum(jnp.sum(goal.active, dtype=jnp.int32), 1)
        n_rounds = jnp.clip(goal.budget // n_active, FEWEST_ROUNDS, MOST_ROUNDS)
        n_undecided = jnp.sum(undecided, dtype=jnp.int32)
        end = goal.budget // n_rounds * (state.round + 1)
        over = (state.spent + n_undecided > end) & (state.round < n_rounds - 1)
        return jnp.maximum(n_undecided // n_rounds, 1), over

    def certainty(self, state: RacingState, distance: jax.Array, error: jax.Array) -> jax.Array:
        """Return the distance in standard errors."""
        # Exact means are certain, also in a tie. Infinite errors, of arms with one pull, give a certainty of 0.
        return jnp.where(error > 0, distance / jnp.where(error > 0, error, 1), jnp.inf)
