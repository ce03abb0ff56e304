"""What the policies of top-m identification share: their goal, the moments of each arm, and the boundary.

The paper's six policies collect reward: they come back to the arm that looks best. Pruning asks another question: which
``m`` of ``n`` arms are the safest, after a fixed number of pulls? What counts then is the doubt near the boundary
between the m-th arm and the next. The policies here pull there, and stop pulling arms that are clearly on one side.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from skbandit._core.ranking import choose
from skbandit.policies.base import Policy, PolicyState

#: The spread of an arm is believed as if this many pulls had shown the spread of all arms.
PRIOR_PULLS = 3.0
#: A hint is judged on so many arms of similar hint on either side, or on this share of them if that is more.
NEIGHBOURS, NEIGHBOURS_SHARE = 2, 1 / 16


class Goal(NamedTuple):
    """What a round asks for."""

    n_choose: jax.Array
    """i32: the ``m`` arms of highest mean reward are wanted."""
    budget: jax.Array
    """i32: pulls of the round."""
    n_batches: jax.Array
    """i32: pulls of an arm until its mean is exact: it is one over a finite population, drawn without replacement."""
    active: jax.Array
    """bool[n]"""
    group: jax.Array
    """i32[n]: the arm's group, in order, from 0."""
    room: jax.Array
    """i32[n_groups]: no more than so many of a group may be chosen."""
    ends: jax.Array | None = None
    """i32[2]: where the groups are the hidden layers of a dense network, in order, its inputs and its outputs."""
    hint: jax.Array | None = None
    """f[n]: something that was known before the first pull, higher = likely better; only its order counts. NaN where
    nothing was."""


class Moments(NamedTuple):
    """Pulls, summed rewards and summed squares of each arm, f[n] each."""

    n_pulls: jax.Array
    total: jax.Array
    squares: jax.Array

    @property
    def finite(self) -> jax.Array:
        """Whether all rewards of an arm, and their squares, are numbers."""
        return jnp.isfinite(self.squares)

    @property
    def mean(self) -> jax.Array:
        """Mean reward; 0 where there is none, minus infinity where one is not finite."""
        return jnp.where(self.finite, self.total / jnp.maximum(self.n_pulls, 1), -jnp.inf)

    @property
    def deviations(self) -> jax.Array:
        """Summed squared deviations from the mean; 0 where one is not finite."""
        square = self.total * self.total / jnp.maximum(self.n_pulls, 1)
        return jnp.where(self.finite, jnp.maximum(self.squares - square, 0), 0)


def init_moments(n: int) -> Moments:
    """No pulls yet."""
    return Moments(jnp.zeros(n), jnp.zeros(n), jnp.zeros(n))


def add_rewards(moments: Moments, arms: jax.Array, rewards: jax.Array) -> Moments:
    """Credit each reward to its arm; empty slots fall out of bounds and are dropped."""
    return Moments(
        moments.n_pulls.at[arms].add(1.0, mode="drop"),
        moments.total.at[arms].add(rewards, mode="drop"),
        moments.squares.at[arms].add(rewards * rewards, mode="drop"),
    )


def standard_error(moments: Moments, goal: Goal) -> jax.Array:
    r"""Return the standard error f[n] of each arm's mean; infinite below two pulls.

    .. math:: s_i^2 = \frac{\nu \bar s^2 + (n_i - 1) \hat s_i^2}{\nu + n_i - 1} \cdot \frac{1}{n_i}
        \left(1 - \frac{n_i}{D}\right)

    with the arm's own variance shrunk towards the mean one, and the correction for a population of :math:`D` batches.
    """
    n, degrees, deviations = moments.n_pulls, jnp.maximum(moments.n_pulls - 1, 0), moments.deviations
    counts = goal.active & moments.finite & (n >= 2)
    pooled = jnp.sum(jnp.where(counts, deviations, 0)) / jnp.maximum(jnp.sum(jnp.where(counts, degrees, 0)), 1)
    variance = (PRIOR_PULLS * pooled + deviations) / (PRIOR_PULLS + degrees)
    unseen = jnp.maximum(1 - n / goal.n_batches, 0)
    return jnp.where(n >= jnp.minimum(2, goal.n_batches), jnp.sqrt(variance * unseen / jnp.maximum(n, 1)), jnp.inf)


def posterior(moments: Moments, goal: Goal) -> tuple[jax.Array, jax.Array]:
    r"""Return what to believe of each arm's mean, and the standard error of that, f[n] each.

    Without hints these are the mean of its rewards and `standard_error`. With them, an arm is expected to be like the
    arms of similar hint, as far as those are like one another: the mean :math:`m_i` of it and its neighbours in the
    order of hints is a prior of variance :math:`\tau_i^2`, which is their variance less what noise explains of it
    (empirical Bayes),

    .. math:: \tilde\mu_i = m_i + \frac{\tau_i^2}{\tau_i^2 + s_i^2} (\hat\mu_i - m_i), \qquad
        \tilde s_i^2 = \frac{\tau_i^2 s_i^2}{\tau_i^2 + s_i^2}.

    A hint that says nothing leaves :math:`\tau_i` as large as the arms differ; an arm that has seen all batches is
    exact.
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
        """Mean of ``x`` over the arm and its neighbours."""
        own = jnp.where(known, x, 0)[order]
        summed = jnp.concatenate([jnp.zeros(1, own.dtype), jnp.cumsum(own)])
        mean = (summed[high] - summed[low]) / jnp.maximum(high - low, 1)
        return jnp.zeros(n, own.dtype).at[order].set(mean)

    # Cumulative sums lose digits where the means are far from 0.
    centre = jnp.sum(jnp.where(known, moments.mean, 0)) / jnp.maximum(n_known, 1)
    mean = jnp.where(known, moments.mean, 0) - centre
    expected = around(mean)
    size = jnp.zeros(n, mean.dtype).at[order].set((high - low).astype(mean.dtype))
    spread = jnp.maximum(around(mean**2) - expected**2, 0) * size / jnp.maximum(size - 1, 1)
    # What a single pull is worth is known as soon as some arms have two; before that, half of the spread is noise.
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
    """Return who is chosen, bool[n], and what it would cost to decide otherwise, f[n].

    Beside the ``accepted`` arms, bool[n], the best ones ``among`` bool[n] are chosen, as many as are wanted and as
    their groups have room for. Deciding otherwise on one arm makes the best choice worse by the distance of its mean
    from that of the arm that it changes places with: the worst that is chosen, or the best that is not, of its own
    group where groups are full [1]_; infinite where there is none.

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
    """Return the goal; raise if there is none."""
    if goal is None:
        raise ValueError("This policy looks for the m best arms: call 'aim' with a Goal on its state first.")
    return goal


@dataclasses.dataclass(frozen=True)
class IdentificationPolicy(Policy):
    """A policy that looks for the ``m`` best arms, and says which they are.

    Its rewards are not bounded: they are minus the damage, in units of the scale that the opening sweep has found. A
    bounded map would be one more thing between the estimate and the decision, and would not keep the order of means.
    """

    @abc.abstractmethod
    def aim(self, state: PolicyState, goal: Goal) -> PolicyState:
        """Return the state with the goal of a round in it."""

    @property
    def constrained(self) -> bool:
        """Whether the policy has a constraint of its own, and makes a `choice` under it."""
        return False

    def choice(self, state: PolicyState) -> jax.Array | None:
        """Return the arms bool[n] to choose under a constraint of the policy's own; None if it has none."""
        return None

    def decided(self, state: PolicyState) -> jax.Array | None:
        """Return 1 for arms that are accepted, -1 for rejected ones, else 0, f[n]; None where nothing is decided."""
        return None


@dataclasses.dataclass(frozen=True)
class MomentsPolicy(IdentificationPolicy):
    """Remembers the moments of every arm and nothing else: its subclasses only select."""

    def init(self, n: int) -> tuple[Moments, Any]:
        """Return the state before the first pull of ``n`` arms."""
        return init_moments(n), None

    def aim(self, state: tuple[Moments, Any], goal: Goal) -> tuple[Moments, Goal]:
        """Remember the goal."""
        return state[0], goal

    def update(self, state: Any, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> Any:
        """Credit each reward to its arm."""
        return add_rewards(state[0], arms, rewards), state[1]

    def value(self, state: Any) -> jax.Array:
        """Return the posterior mean ``f[n]`` of each arm; ``-inf`` where it was never pulled."""
        moments, goal = state
        mean = moments.mean if goal is None else posterior(moments, goal)[0]
        return jnp.where(moments.n_pulls > 0, mean, -jnp.inf)
