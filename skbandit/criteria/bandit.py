"""A policy, lifted to a criterion: the whole bandit of a round in one XLA call."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import OneOf, Where
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.ranking import places
from skbandit.criteria.base import Criterion, Problem, Scores
from skbandit.networks.capabilities import DENSE_LAYERS, Capability, offers
from skbandit.policies import UCB1, Goal, IdentificationPolicy, Policy
from skbandit.rewards import Reward, SmoothReward

_INT32_MAX = 2**31 - 1


def _checked(policy: Policy, draw: Any, k: int) -> tuple[jax.Array, jax.Array]:
    """Return what a policy's ``select`` returned, after a look at types and shapes; called while it is traced."""
    if isinstance(draw, tuple) and len(draw) == 2:
        arms, probs = map(jnp.asarray, draw)
        if arms.shape == probs.shape == (k,) and jnp.issubdtype(arms.dtype, jnp.integer):
            return arms, probs
    raise ValueError(
        f"{type(policy).__name__}.select must return (arms, probs), i32[{k}] and f[{k}]: as many as it was asked for. "
        f"It returned {draw!r}."
    )


class _Carry(NamedTuple):
    t: jax.Array
    """i32: steps so far; step t sees mini-batch t."""
    spent: jax.Array
    """i32: pulls so far."""
    policy: Any
    scale: jax.Array
    seen: jax.Array
    """bool[D, n]: which arm was pulled on which mini-batch."""
    weight: jax.Array
    """f[n]: summed weight of the rows that each arm was pulled on."""
    damage: jax.Array
    """f[n]: summed damage of each arm, by those weights."""


@pytree_dataclass
class Bandit(Criterion):
    """Rank units by the mean damage that a bandit policy's pulls have measured.

    The opening sweep pulls every active arm once, on one mini-batch; it also fixes the scale of the reward. Then, until
    the budget is spent, the policy chooses the arms of a step, all of which see the same mini-batch (common random
    numbers), and learns from their rewards. Mini-batches are a partition of the rows, taken in turn; an arm is not
    pulled twice on one of them, where the second pull would return what the first did. So an arm's mean damage is exact
    once it has seen them all.

    Parameters
    ----------
    policy : Policy
        Chooses the arms.
    reward : Reward
        Maps damages to the rewards that the policy sees.
    rank_by : {"damage", "reward"}, default="damage"
        The decision uses the mean damage, or the policy's own value.
    """

    constraints: ClassVar = {
        "policy": (Where(lambda v: isinstance(v, Policy), "a Policy, such as UCB1()"),),
        "reward": (Where(lambda v: isinstance(v, Reward), "a Reward, such as SmoothReward()"),),
        "rank_by": (OneOf(("damage", "reward")),),
    }

    policy: Policy = UCB1()
    reward: Reward = SmoothReward()
    rank_by: str = static(default="damage")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Spend the round's budget."""
        # What XLA compiles is counted in kernels, some 10 ms each: hence no branches, and no index arithmetic or
        # bounds checks that are not needed. They also make a step of few rows faster.
        n, n_max, n_batches = problem.n_units, problem.n_batches_max, problem.batches.n_batches
        k = n if self.policy.sweeps else min(problem.arms_per_step, n)
        everyone = jnp.where(active, jnp.arange(n, dtype=jnp.int32), n)
        n_active = jnp.sum(active, dtype=jnp.int32)
        dtype = problem.gates[0].dtype
        # With full information a step is a complete sweep or none; other policies use up the last pull.
        needed = n_active if self.policy.full_information else 1
        budget = jnp.minimum(problem.budget, n_active * n_batches)  # all the pulls that there are
        # Every n_max steps some arm meets a mini-batch that is new to it, if the policy picks one at all.
        last_step = jnp.minimum(budget, _INT32_MAX // n_max - 1) * n_max + n_max

        mean_weight = jnp.sum(problem.batches.total) / n_batches
        begin, identifies = self.policy.init(n), isinstance(self.policy, IdentificationPolicy)
        hint = self.hint(key, state, problem, active)
        if isinstance(self.policy, IdentificationPolicy):
            group = jnp.asarray(problem.network.groups.group_of(), jnp.int32)
            ends = None
            if offers(problem.network, DENSE_LAYERS):
                ends = jnp.array([problem.network.layer_sizes[0], problem.network.layer_sizes[-1]])
            goal = Goal(problem.n_remove, budget, n_batches, active, group, problem.room, ends, hint)
            begin = self.policy.aim(begin, goal)

        def body(carry: _Carry) -> _Carry:
            first = carry.t == 0
            batch = lax.rem(carry.t, n_batches)
            seen = lax.dynamic_index_in_dim(carry.seen, batch, keepdims=False)
            # Drawn in the opening sweep as well, where it is not used.
            draw = self.policy.select(jax.random.fold_in(key, carry.t), carry.policy, active & ~seen, k)
            drawn, probs = _checked(self.policy, draw, k)
            if not self.policy.full_information:
                drawn = jnp.where(jnp.arange(k) < budget - carry.spent, drawn, n)
            rest = (0, n - k)
            arms = jnp.where(first, everyone, jnp.pad(drawn, rest, constant_values=n))
            probs = jnp.where(first, 1, jnp.pad(probs.astype(dtype), rest, constant_values=1))
            # A policy that draws with replacement may fill several slots with one arm: that is one pull.
            pulled = jnp.zeros(n, bool).at[arms].set(True, mode="drop")
            damage, weight = problem.pull(batch, pulled)
            scale = jnp.where(first, self.reward.scale(damage, active).astype(dtype), carry.scale)
            # What looks for the best set sees damages, each mini-batch with its weight in the mean over all of them.
            rewards = -damage / scale * (weight / mean_weight) if identifies else self.reward(damage, scale)
            return _Carry(
                carry.t + 1,
                carry.spent + jnp.sum(pulled, dtype=jnp.int32),
                self.policy.update(carry.policy, arms, rewards.at[arms].get(mode="clip"), probs),
                scale,
                lax.dynamic_update_index_in_dim(carry.seen, seen | pulled, batch, 0),
                carry.weight + weight * pulled,
                carry.damage + weight * jnp.where(pulled, damage, 0),
            )

        def going(carry: _Carry) -> jax.Array:
            return (carry.t == 0) | ((budget - carry.spent >= needed) & (carry.t < last_step))

        zeros = jnp.zeros(n, dtype)
        zero = jnp.zeros((), jnp.int32)
        start = _Carry(zero, zero, begin, jnp.ones((), dtype), jnp.zeros((n_max, n), bool), zeros, zeros)
        end = lax.while_loop(going, body, start)
        mean = end.damage / jnp.where(end.weight > 0, end.weight, 1)
        value = -mean if self.rank_by == "damage" else self.policy.value(end.policy)
        if hint is not None:
            value = end.scale * self.policy.value(end.policy)
            mean = jnp.where(jnp.isfinite(value), -value, mean)
        decided = choice = None
        if isinstance(self.policy, IdentificationPolicy):
            decided, choice = self.policy.decided(end.policy), self.policy.choice(end.policy)
        if decided is not None:  # accepted arms before all others, rejected ones after them
            value = -places(decided, value).astype(dtype)
        info = {"pulls": jnp.sum(end.seen, axis=0), "scale": end.scale}
        scores = Scores(value, end.spent, mean, choice, info=info)
        return self.remember(state, scores, active), scores

    def required(self) -> tuple[Capability[Any], ...]:
        """Return what the policy's constraint is on: the multiplications of a chain of dense layers."""
        return (DENSE_LAYERS,) if self.suggests else ()

    @property
    def label(self) -> str:
        """What messages call the bandit: its policy, where the rest is as usual."""
        if self.name or self != type(self)(policy=self.policy):
            return super().label
        return self.policy.name if self.policy == type(self.policy)() else repr(self.policy)

    @property
    def suggests(self) -> bool:
        """Whether the policy has a constraint of its own."""
        return isinstance(self.policy, IdentificationPolicy) and self.policy.constrained

    def hint(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> jax.Array | None:
        """Return what is known of the arms before the first pull, f[n], higher = likely safer."""
        return None

    def remember(self, state: Any, scores: Scores, active: jax.Array) -> Any:
        """Return what the next round is told."""
        return state
