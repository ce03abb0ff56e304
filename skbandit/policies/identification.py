"""Top-m identification: the interface of its policies, their goal, and the moments of each arm.

The six policies of the paper maximise reward: they return to the arm that looks best. Pruning asks another question:
which ``m`` of ``n`` arms are the safest, after a fixed number of pulls? The answer depends on the arms near the
boundary between the m-th arm and the next. The policies of top-m identification pull these arms, and stop pulling arms
that are clearly on one side.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from skbandit._core.ranking import choose
from skbandit.policies.base import Policy, PolicyState

#: Weight, in pulls, of the mean variance of all arms in the variance of an arm.
PRIOR_PULLS = 3.0
#: Number of arms of similar hint, on either side, to which an arm is compared; or this share of all arms if it is more.
NEIGHBOURS, NEIGHBOURS_SHARE = 2, 1 / 16


class Goal(NamedTuple):
    """The task of a policy in one round of pruning."""

    n_choose: jax.Array
    """i32: the number ``m`` of arms of highest mean reward to identify."""
    budget: jax.Array
    """i32: pulls of the round."""
    n_batches: jax.Array
    """i32: number of mini-batches. They are drawn without replacement, so that after so many pulls a mean is exact."""
    active: jax.Array
    """bool[n]: arms that may be chosen."""
    group: jax.Array
    """i32[n]: the group of each arm, in order, from 0."""
    room: jax.Array
    """i32[n_groups]: maximum number of arms to choose in each group."""
    ends: jax.Array | None = None
    """i32[2]: numbers of inputs and outputs, if the groups are the hidden layers of a dense network, in order."""
    hint: jax.Array | None = None
    """f[n]: prior knowledge of each arm, higher = likely better; only its order counts. NaN where there is none."""


class Moments(NamedTuple):
    """Number of pulls, summed rewards and summed squared rewards of each arm, f[n] each."""

    n_pulls: jax.Array
    total: jax.Array
    squares: jax.Array

    @property
    def finite(self) -> jax.Array:
        """bool[n]: whether all rewards of an arm, and their squares, are finite."""
        return jnp.isfinite(self.squares)

    @property
    def mean(self) -> jax.Array:
        """f[n]: mean reward; 0 without pulls, ``-inf`` if a reward is not finite."""
        return jnp.where(self.finite, self.total / jnp.maximum(self.n_pulls, 1), -jnp.inf)

    @property
    def deviations(self) -> jax.Array:
        """f[n]: summed squared deviations from the mean; 0 if a reward is not finite."""
        square = self.total * self.total / jnp.maximum(self.n_pulls, 1)
        return jnp.where(self.finite, jnp.maximum(self.squares - square, 0), 0)


def init_moments(n: int) -> Moments:
    """Return the moments of ``n`` arms before the first pull."""
    return Moments(jnp.zeros(n), jnp.zeros(n), jnp.zeros(n))


def add_rewards(moments: Moments, arms: jax.Array, rewards: jax.Array) -> Moments:
    """Return the moments after the rewards of a step.

    Parameters
    ----------
    moments : Moments
        Moments before the step.
    arms : i32[k]
        The arms pulled. The index ``n`` of an empty slot is out of bounds and dropped.
    rewards : f[k]
        Rewards of the pulls.

    Returns
    -------
    moments : Moments
    """
    return Moments(
        moments.n_pulls.at[arms].add(1.0, mode="drop"),
        moments.total.at[arms].add(rewards, mode="drop"),
        moments.squares.at[arms].add(rewards * rewards, mode="drop"),
    )


def standard_error(moments: Moments, goal: Goal) -> jax.Array:
    r"""Return the standard error f[n] of each arm's mean; infinite with fewer than two pulls.

    .. math:: s_i^2 = \frac{\nu \bar s^2 + (n_i - 1) \hat s_i^2}{\nu + n_i - 1} \cdot \frac{1}{n_i}
        \left(1 - \frac{n_i}{D}\right)

    The variance :math:`\hat s_i^2` of the arm is shrunk towards the mean variance :math:`\bar s^2` of all arms, with
    the weight :math:`\nu` of 3 pulls. The last factor corrects for the finite number :math:`D` of mini-batches.
    """
    n, degrees, deviations = moments.n_pulls, jnp.maximum(moments.n_pulls - 1, 0), moments.deviations
    counts = goal.active & moments.finite & (n >= 2)
    pooled = jnp.sum(jnp.where(counts, deviations, 0)) / jnp.maximum(jnp.sum(jnp.where(counts, degrees, 0)), 1)
    variance = (PRIOR_PULLS * pooled + deviations) / (PRIOR_PULLS + degrees)
    unseen = jnp.maximum(1 - n / goal.n_batches, 0)
    return jnp.where(n >= jnp.minimum(2, goal.n_batches), jnp.sqrt(variance * unseen / jnp.maximum(n, 1)), jnp.inf)


def posterior(moments: Moments, goal: Goal) -> tuple[jax.Array, jax.Array]:
    r"""Return the posterior mean of each arm and its standard error, f[n] each.

    Without hints these are the mean reward and `standard_error`. With hints, an arm is expected to be like the arms of
    similar hint, as far as these are alike (empirical Bayes). The mean :math:`m_i` of the arm and its neighbours in the
    order of hints is the mean of a prior. Its variance :math:`\tau_i^2` is the variance of these arms minus the part
    that noise explains:

    .. math:: \tilde\mu_i = m_i + \frac{\tau_i^2}{\tau_i^2 + s_i^2} (\hat\mu_i - m_i), \qquad
        \tilde s_i^2 = \frac{\tau_i^2 s_i^2}{\tau_i^2 + s_i^2}.

    If the hints are uninformative, :math:`\tau_i` is as large as the differences between arms. An arm that has seen all
    mini-batches has its exact mean.
    """
    error = standard_error(moments, goal)
    if goal.hint is None:
        return moments.mean, error
    n = goal.active.shape[0]
    told = jnp.isfinite(goal.hint)
    known = goal.active & told & moments.finite & (moments.n_pulls > 0)
    n_known = jnp.sum(known, dtype=jnp.int32)
    order = jnp.argsort(jnp.where(known, -goal.hint, jnp.inf), stable=True)
    half = jnp.maximum(NEIGHBOURS, (NEIGHBOURS_SHARE * n_known).astype(jnp.int32))
    place = jnp.arange(n, dtype=jnp.int32)
    low, high = jnp.maximum(place - half, 0), jnp.minimum(place + half + 1, jnp.maximum(n_known, 1))

    def around(x: jax.Array) -> jax.Array:
        """Return the mean of ``x`` over each arm and its neighbours."""
        own = jnp.where(known, x, 0)[order]
        summed = jnp.concatenate([jnp.zeros(1, own.dtype), jnp.cumsum(own)])
        mean = (summed[high] - summed[low]) / jnp.maximum(high - low, 1)
        return jnp.zeros(n, own.dtype).at[order].set(mean)

    # Cumulative sums lose digits if the means are far from 0.
    centre = jnp.sum(jnp.where(known, moments.mean, 0)) / jnp.maximum(n_known, 1)
    mean = jnp.where(known, moments.mean, 0) - centre
    expected = around(mean)
    size = jnp.zeros(n, mean.dtype).at[order].set((high - low).astype(mean.dtype))
    spread = jnp.maximum(around(mean**2) - expected**2, 0) * size / jnp.maximum(size - 1, 1)
    # The noise of a single pull is known once some arms have two pulls; before that, half of the spread is noise.
    several = known & (moments.n_pulls >= 2)
    degrees = jnp.sum(jnp.where(several, moments.n_pulls - 1, 0))
    pooled = jnp.sum(jnp.where(several, moments.deviations, 0)) / jnp.maximum(degrees, 1)
    single = jnp.where(degrees > 0, pooled * jnp.maximum(1 - 1 / goal.n_batches, 0), spread / 2)
    noise = jnp.where(jnp.isinf(error), single, error**2)
    prior = jnp.maximum(spread - around(noise), 0.05 * spread)
    total = prior + noise
    share = jnp.where(total > 0, prior / jnp.where(total > 0, total, 1), 1)
    believed = centre + expected + share * (mean - expected)
    return jnp.where(known, believed, moments.mean), jnp.where(known, jnp.sqrt(share * noise), error)


def doubts(mean: jax.Array, goal: Goal, accepted: jax.Array, among: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the best choice of arms, and the cost of the opposite decision on each arm.

    Besides the accepted arms, the best arms are chosen, as many as the goal asks for and their groups have room for.
    The opposite decision on one arm swaps it with another arm: with the worst chosen arm, or the best one that is not
    chosen; of its own group, if groups are full [1]_. It makes the choice worse by the difference of the two means.

    Parameters
    ----------
    mean : f[n]
        Estimated mean of each arm.
    goal : Goal
        The task of the round.
    accepted : bool[n]
        Arms that are certain to be chosen.
    among : bool[n]
        Arms to choose from.

    Returns
    -------
    chosen : bool[n]
        The chosen arms, without the accepted ones.
    cost : f[n]
        Cost of the opposite decision; infinite if there is no arm to swap with.

    References
    ----------
    .. [1] S. Chen, T. Lin, I. King, M. Lyu, W. Chen (2014). Combinatorial pure exploration of multi-armed bandits.
       NeurIPS.
    """
    n_groups = goal.room.shape[0]
    n_choose = goal.n_choose - jnp.sum(accepted, dtype=jnp.int32)
    member = goal.group == jnp.arange(n_groups)[:, None]
    room = goal.room - jnp.sum(member & accepted, axis=1, dtype=jnp.int32)
    chosen = choose(mean, among, n_choose, goal.group, room)
    inside, outside = jnp.where(chosen, mean, jnp.inf), jnp.where(among & ~chosen, mean, -jnp.inf)
    full = jnp.sum(member & chosen, axis=1, dtype=jnp.int32) >= room
    worst = jnp.where(full, jnp.min(jnp.where(member, inside, jnp.inf), axis=1), jnp.min(inside))
    elsewhere = jnp.max(jnp.where(full[goal.group], -jnp.inf, outside))
    best = jnp.maximum(jnp.max(jnp.where(member, outside, -jnp.inf), axis=1), elsewhere)
    return chosen, jnp.where(chosen, mean - best[goal.group], worst[goal.group] - mean)


def aimed(goal: Goal | None) -> Goal:
    """Return the goal; raise ValueError if there is none."""
    if goal is None:
        raise ValueError("This policy looks for the m best arms: call 'aim' with a Goal on its state first.")
    return goal


@dataclasses.dataclass(frozen=True)
class IdentificationPolicy(Policy):
    """Base of the policies that identify the ``m`` best arms.

    Their rewards are not bounded: they are minus the damage, divided by the scale that the opening sweep has measured.
    A bounded map of the damages would not keep the order of their means.
    """

    @abc.abstractmethod
    def aim(self, state: PolicyState, goal: Goal) -> PolicyState:
        """Return the state with the goal of a round."""

    @property
    def constrained(self) -> bool:
        """Whether the policy has a constraint of its own, under which it makes a `choice`."""
        return False

    def choice(self, state: PolicyState) -> jax.Array | None:
        """Return the arms to choose under the policy's own constraint, bool[n]; None if it has none."""
        return None

    def decided(self, state: PolicyState) -> jax.Array | None:
        """Return 1 for accepted arms, -1 for rejected arms and 0 for others, f[n]; None if the policy decides none."""
        return None


@dataclasses.dataclass(frozen=True)
class MomentsPolicy(IdentificationPolicy):
    """Base of the policies whose state is the moments of every arm; a subclass only selects."""

    def init(self, n: int) -> tuple[Moments, Any]:
        """Return the state of ``n`` arms before the first pull."""
        return init_moments(n), None

    def aim(self, state: tuple[Moments, Any], goal: Goal) -> tuple[Moments, Goal]:
        """Return the state with the goal of a round."""
        return state[0], goal

    def update(self, state: Any, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> Any:
        """Return the state with each reward added to its arm."""
        return add_rewards(state[0], arms, rewards), state[1]

    def value(self, state: Any) -> jax.Array:
        """Return the posterior mean ``f[n]`` of each arm; ``-inf`` if it was never pulled."""
        moments, goal = state
        mean = moments.mean if goal is None else posterior(moments, goal)[0]
        return jnp.where(moments.n_pulls > 0, mean, -jnp.inf)
