"""What the policies of top-m identification share: their goal, the moments of each arm, and the boundary.

The paper's six policies collect reward: they come back to the arm that looks best. Pruning asks another question: which
``m`` of ``n`` arms are the safest, after a fixed number of pulls? What counts then is the doubt near the boundary
between the m-th arm and the next. The policies here pull where it is, and no more of the arms on either side of which
there is little.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from skbandit.policies.base import Policy, PolicyState

#: The spread of an arm is believed as if this many pulls had shown the spread of all arms.
PRIOR_PULLS = 3.0


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


class Moments(NamedTuple):
    """Pulls, summed rewards and summed squares of each arm, f[n] each."""

    n_pulls: jax.Array
    total: jax.Array
    squares: jax.Array

    @property
    def mean(self) -> jax.Array:
        """Mean reward; 0 where there is none."""
        return self.total / jnp.maximum(self.n_pulls, 1)

    @property
    def deviations(self) -> jax.Array:
        """Summed squared deviations from the mean."""
        return jnp.maximum(self.squares - self.total * self.mean, 0)


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
    counts = goal.active & (n >= 2)
    pooled = jnp.sum(jnp.where(counts, deviations, 0)) / jnp.maximum(jnp.sum(jnp.where(counts, degrees, 0)), 1)
    variance = (PRIOR_PULLS * pooled + deviations) / (PRIOR_PULLS + degrees)
    unseen = jnp.maximum(1 - n / goal.n_batches, 0)
    return jnp.where(n >= jnp.minimum(2, goal.n_batches), jnp.sqrt(variance * unseen / jnp.maximum(n, 1)), jnp.inf)


def ranks(value: jax.Array, among: jax.Array) -> jax.Array:
    """Return the place i32[n] of each arm, 0 = highest ``value``; arms that are not ``among`` come last."""
    order = jnp.argsort(jnp.where(among, -value, jnp.inf), stable=True)
    return jnp.zeros(value.shape[0], jnp.int32).at[order].set(jnp.arange(value.shape[0], dtype=jnp.int32))


def doubts(mean: jax.Array, n_choose: jax.Array, among: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return who is chosen, bool[n], and how far each arm's mean is from the other side of the boundary, f[n].

    The distance is that to the best arm that is not chosen, or to the worst that is; infinite where the other side is
    empty.
    """
    chosen = among & (ranks(mean, among) < n_choose)
    inside = jnp.min(jnp.where(chosen, mean, jnp.inf))
    outside = jnp.max(jnp.where(among & ~chosen, mean, -jnp.inf))
    return chosen, jnp.where(chosen, mean - outside, inside - mean)


@dataclasses.dataclass(frozen=True)
class IdentificationPolicy(Policy):
    """A policy that looks for the ``m`` best arms, and says which they are.

    Its rewards are not bounded: they are minus the damage, in units of the scale that the opening sweep has found. A
    bounded map would be one more thing between the estimate and the decision, and would not keep the order of means.
    """

    def aim(self, state: PolicyState, goal: Goal) -> PolicyState:
        """Return the state with the goal of a round in it."""
        raise NotImplementedError

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
        """Return the mean reward ``f[n]`` of each arm; ``-inf`` where it was never pulled."""
        return jnp.where(state[0].n_pulls > 0, state[0].mean, -jnp.inf)
