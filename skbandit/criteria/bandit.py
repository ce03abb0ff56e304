"""A policy, lifted to a criterion: the whole bandit of a round in one XLA call."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._pytree import pytree_dataclass, static
from skbandit.criteria.base import Criterion, Problem, Scores
from skbandit.policies import UCB1, Policy
from skbandit.rewards import Reward, SmoothReward


class _Carry(NamedTuple):
    t: jax.Array
    """i32: steps so far; step t sees mini-batch t."""
    spent: jax.Array
    """i32: pulls so far."""
    policy: Any
    scale: jax.Array
    pulls: jax.Array
    """f[n]: pulls of each arm."""
    damage: jax.Array
    """f[n]: summed damage of each arm."""


@pytree_dataclass
class Bandit(Criterion):
    """Rank units by the mean damage that a bandit policy's pulls have measured.

    The opening sweep pulls every active arm once, on one mini-batch; it also fixes the scale of the reward. Then, until
    the budget is spent, the policy chooses the arms of a step, all of which see the same mini-batch (common random
    numbers), and learns from their rewards. Mini-batches are cut from the rows without replacement, in an order that
    all arms share.

    Parameters
    ----------
    policy : Policy
        Chooses the arms.
    reward : Reward
        Maps damages to the rewards that the policy sees.
    rank_by : {"damage", "reward"}, default="damage"
        The decision uses the mean damage, or the policy's own value.
    """

    policy: Policy = UCB1()
    reward: Reward = SmoothReward()
    rank_by: str = static(default="damage")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Spend the round's budget."""
        n = problem.n_units
        k = n if self.policy.sweeps else min(problem.arms_per_step, n)
        everyone = jnp.where(active, jnp.arange(n, dtype=jnp.int32), n)
        n_active = jnp.sum(active, dtype=jnp.int32)
        dtype = problem.gates[0].dtype
        # With full information a step is a complete sweep or none; other policies use up the last pull.
        needed = n_active if self.policy.full_information else 1

        def choose(key, carry):
            arms, probs = self.policy.select(key, carry.policy, active, k)
            inside = (arms < n) & (jnp.cumsum(arms < n) <= problem.budget - carry.spent)
            pad = n - k
            return (
                jnp.pad(jnp.where(inside, arms, n).astype(jnp.int32), (0, pad), constant_values=n),
                jnp.pad(probs.astype(dtype), (0, pad), constant_values=1),
            )

        def body(carry: _Carry) -> _Carry:
            first = carry.t == 0
            arms, probs = lax.cond(
                first,
                lambda key, carry: (everyone, jnp.ones(n, dtype)),
                choose,
                jax.random.fold_in(key, carry.t),
                carry,
            )
            pulled = jnp.zeros(n, bool).at[arms].set(True, mode="drop")
            damage, _ = problem.pull(carry.t, pulled)
            scale = lax.cond(
                first, lambda d, s: self.reward.scale(d, active).astype(dtype), lambda d, s: s, damage, carry.scale
            )
            per_slot = damage[jnp.minimum(arms, n - 1)]
            return _Carry(
                carry.t + 1,
                carry.spent + jnp.sum(arms < n, dtype=jnp.int32),
                self.policy.update(carry.policy, arms, self.reward(per_slot, scale), probs),
                scale,
                carry.pulls.at[arms].add(1, mode="drop"),
                carry.damage.at[arms].add(per_slot, mode="drop"),
            )

        zeros = jnp.zeros(n, dtype)
        start = _Carry(
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            self.policy.init(n),
            jnp.ones((), dtype),
            zeros,
            zeros,
        )
        end = lax.while_loop(lambda c: (c.t == 0) | (problem.budget - c.spent >= needed), body, start)
        mean = end.damage / jnp.maximum(end.pulls, 1)
        value = -mean if self.rank_by == "damage" else self.policy.value(end.policy)
        return state, Scores(value, end.spent, mean, info={"count": end.pulls, "scale": end.scale})
