"""The criterion that runs a bandit policy: all pulls of a round in one compiled program."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import OneOf, Where
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.ranking import places
from skbandit.criteria.base import Criterion, Problem, Scores
from skbandit.criteria.summaries import SUMMARIES, Sums, damage_of_pull, from_policy
from skbandit.networks.capabilities import DENSE_LAYERS, Capability, offers
from skbandit.networks.checks import described, is_float_array
from skbandit.policies import UCB1, Goal, IdentificationPolicy, Policy
from skbandit.rewards import Reward, SmoothReward

_INT32_MAX = 2**31 - 1


def _checked(policy: Policy, draw: Any, k: int, n: int) -> tuple[jax.Array, jax.Array]:
    """Return the result of ``policy.select`` after checking types and shapes, while it is traced."""
    if isinstance(draw, tuple) and len(draw) == 2:
        arms, probs = map(jnp.asarray, draw)
        if arms.shape == probs.shape == (k,) and jnp.issubdtype(arms.dtype, jnp.integer):
            # An empty slot is n; a negative number would count from the last arm.
            return jnp.where(arms < 0, n, arms), probs
    raise ValueError(
        f"{type(policy).__name__}.select must return (arms, probs), i32[{k}] and f[{k}]: as many as it was asked for. "
        f"It returned {draw!r}."
    )


def _checked_state(policy: Policy, before: Any, after: Any) -> Any:
    """Return the state that ``policy.update`` returns, after checking that it is of the kind that it was given."""
    place = f"{type(policy).__name__}.update must return a state like that of {type(policy).__name__}.init"
    was: Any = jax.tree.structure(before)
    now: Any = jax.tree.structure(after)
    if was != now:
        raise ValueError(f"{place}, {was}. It returned {now}.")
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        old, new = jnp.asarray(old), jnp.asarray(new)
        # A number of Python's becomes what it is updated to.
        if old.shape != new.shape or (old.dtype != new.dtype and not old.weak_type and not new.weak_type):
            raise ValueError(
                f"{place}. The leaf {jax.tree_util.keystr(path)!r} was {old.dtype}{list(old.shape)} and is "
                f"{new.dtype}{list(new.shape)}."
            )
    return after


def _number_for_each(owner: Any, method: str, value: Any, shape: tuple[int, ...]) -> jax.Array:
    """Return what a method of a policy or reward returned, after checking that it is f[shape]."""
    if not is_float_array(value, shape) and not (shape == () and isinstance(value, float)):
        raise ValueError(
            f"{type(owner).__name__}.{method} must return floats of the shape {list(shape)}. It returned "
            f"{described(value)}."
        )
    array: jax.Array = jnp.asarray(value)
    return array


class _Carry(NamedTuple):
    t: jax.Array
    """i32: steps so far; step t uses mini-batch t."""
    spent: jax.Array
    """i32: pulls so far."""
    policy: Any
    scale: jax.Array
    seen: jax.Array
    """bool[D, n]: whether each arm was pulled on each mini-batch."""
    sums: Sums
    """Of the damages of each arm."""
    slopes: jax.Array | None
    """f[D, n]: first-order parts of the damages on the mini-batches so far; None where no summary needs them."""


@pytree_dataclass
class Bandit(Criterion):
    """Rank units by their damage, measured in the pulls of a bandit policy.

    Each active unit is an arm. The opening sweep pulls every arm once, on one mini-batch, and fixes the scale of the
    reward. Then, until the budget is spent, the policy chooses the arms of a step and learns from their rewards. All
    arms of a step are pulled on the same mini-batch (common random numbers). The mini-batches are a partition of the
    rows and are taken in turn. No arm is pulled twice on a mini-batch: the second pull would repeat the first. The mean
    damage of an arm is therefore exact once the arm has been pulled on all mini-batches.

    Parameters
    ----------
    policy : Policy, default=UCB1()
        Policy that chooses the arms.
    reward : Reward, default=SmoothReward()
        Map from damages to the rewards that the policy gets.
    rank_by : {"mean", "absolute", "rms", "curvature", "reward"}, default="mean"
        What units are ranked by. ``"mean"``: their mean damage. ``"absolute"``: its absolute value. ``"rms"``: the root
        of the mean square of their damages on mini-batches. ``"curvature"``: their mean damage without its first-order
        part, which is minus the derivative of the loss with respect to the gate. ``"reward"``: the policy's own value.
        The policy learns from the damages of pulls, with ``"absolute"`` from their absolute values, with ``"rms"`` from
        their squares, with ``"curvature"`` from what is left of them without their first-order part.

    Notes
    -----
    Near a minimum of the loss, a negative damage is mostly noise: each such unit lowers the loss a little when it
    leaves alone, and many raise it when they leave together. The other summaries do not prefer these units.

    ``"curvature"`` takes a backward pass, for all units together, on each mini-batch that it comes to. The loss
    must have a derivative with respect to the gates: JAX refuses a network with a `jax.lax.while_loop`. A unit that is
    read at a maximum or by a product has the slope 0, and is ranked by its mean damage.
    """

    constraints: ClassVar = {
        "policy": (Where(lambda v: isinstance(v, Policy), "a Policy, such as UCB1()"),),
        "reward": (Where(lambda v: isinstance(v, Reward), "a Reward, such as SmoothReward()"),),
        "rank_by": (OneOf((*SUMMARIES, "reward")),),
    }

    looks_up: ClassVar[bool] = True

    policy: Policy = UCB1()
    reward: Reward = SmoothReward()
    rank_by: str = static(default="mean")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # "mean" was called "damage" when it was the only summary.
        vars(self).update(state | ({"rank_by": "mean"} if state.get("rank_by") == "damage" else {}))

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Spend the pulls of the round."""
        # Compilation takes some 10 ms for each XLA kernel. The code therefore avoids branches, index arithmetic and
        # bounds checks that are not needed, which also makes a step of few rows faster.
        n, n_max, n_batches = problem.n_units, problem.n_batches_max, problem.batches.n_batches
        k = n if self.policy.sweeps else min(problem.arms_per_step, n)
        everyone = jnp.where(active, jnp.arange(n, dtype=jnp.int32), n)
        n_active = jnp.sum(active, dtype=jnp.int32)
        dtype = problem.gates[0].dtype
        # With full information a step is a complete sweep or none; other policies spend the last pull.
        needed = n_active if self.policy.full_information else 1
        budget = jnp.minimum(problem.budget, n_active * n_batches)  # all possible pulls
        # Every n_max steps some arm meets a mini-batch that is new to it, if the policy picks one at all.
        last_step = jnp.minimum(budget, _INT32_MAX // n_max - 1) * n_max + n_max

        pull = problem.pull if problem.table is None else problem.look_up
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
            # The policy also draws in the opening sweep, where the draw is not used.
            draw = self.policy.select(jax.random.fold_in(key, carry.t), carry.policy, active & ~seen, k)
            drawn, probs = _checked(self.policy, draw, k, n)
            if not self.policy.full_information:
                drawn = jnp.where(jnp.arange(k) < budget - carry.spent, drawn, n)
            rest = (0, n - k)
            arms = jnp.where(first, everyone, jnp.pad(drawn, rest, constant_values=n))
            probs = jnp.where(first, 1, jnp.pad(probs.astype(dtype), rest, constant_values=1))
            # A policy that draws with replacement may fill several slots with one arm; that counts as one pull.
            pulled = jnp.zeros(n, bool).at[arms].set(True, mode="drop")
            damage, weight = pull(batch, pulled)
            slopes, slope = carry.slopes, None
            if slopes is not None:
                # Step t is the first one on its mini-batch if t < D.
                slopes = lax.cond(
                    carry.t < n_batches,
                    lambda table: lax.dynamic_update_index_in_dim(table, problem.slopes_on(batch), batch, 0),
                    lambda table: table,
                    slopes,
                )
                slope = lax.dynamic_index_in_dim(slopes, batch, keepdims=False)
            ranking = damage if slope is None else jnp.where(pulled, damage - slope, 0)
            measured = _number_for_each(self.reward, "scale", self.reward.scale(ranking, active), ())
            scale = jnp.where(first, measured.astype(dtype), carry.scale)
            learned = damage_of_pull(ranking, scale, self.rank_by)
            # An identification policy gets damages, weighted by the share of the mini-batch in the mean over all rows.
            if identifies:
                rewards = -learned / scale * (weight / mean_weight)
            else:
                rewards = _number_for_each(self.reward, "__call__", self.reward(learned, scale), (n,))
            updated = self.policy.update(carry.policy, arms, rewards.at[arms].get(mode="clip"), probs)
            return _Carry(
                carry.t + 1,
                carry.spent + jnp.sum(pulled, dtype=jnp.int32),
                _checked_state(self.policy, carry.policy, updated),
                scale,
                lax.dynamic_update_index_in_dim(carry.seen, seen | pulled, batch, 0),
                carry.sums.add(pulled, damage, weight, scale, slope),
                slopes,
            )

        def going(carry: _Carry) -> jax.Array:
            return (carry.t == 0) | ((budget - carry.spent >= needed) & (carry.t < last_step))

        zero = jnp.zeros((), jnp.int32)
        sums = Sums.zeros(n, dtype, self.rank_by)
        slopes = jnp.zeros((n_max, n), dtype) if self.rank_by == "curvature" else None
        start = _Carry(zero, zero, begin, jnp.ones((), dtype), jnp.zeros((n_max, n), bool), sums, slopes)
        end = lax.while_loop(going, body, start)
        mean = end.sums.mean()
        value = (
            self.policy.value(end.policy) if self.rank_by == "reward" else -end.sums.summary(self.rank_by, end.scale)
        )
        if hint is not None:
            value = _number_for_each(self.policy, "value", self.policy.value(end.policy), (n,))
            value = from_policy(value, end.scale, self.rank_by)
            if self.rank_by == "mean":
                mean = jnp.where(jnp.isfinite(value), -value, mean)
        estimate = -mean if self.rank_by == "mean" else value
        decided = choice = None
        if isinstance(self.policy, IdentificationPolicy):
            decided, choice = self.policy.decided(end.policy), self.policy.choice(end.policy)
        if decided is not None:  # accepted arms rank before all others, rejected ones after them
            value = -places(decided, value).astype(dtype)
        info = {"pulls": jnp.sum(end.seen, axis=0), "scale": end.scale, "estimate": estimate}
        if self.rank_by == "curvature":
            info["slope"] = end.sums.slope()
        scores = Scores(value, end.spent, mean, choice, info=info)
        return self.remember(state, scores, active), scores

    def required(self) -> tuple[Capability[Any], ...]:
        """Return `DenseLayers` if the policy has a constraint, which is on the multiplications of dense layers."""
        return (*self.needs, DENSE_LAYERS) if self.suggests else self.needs

    @property
    def label(self) -> str:
        """The criterion in messages: the policy, if the other fields have their defaults."""
        if type(self) is not Bandit or not dataclasses.replace(self, policy=Bandit.policy).has_defaults():
            return super().label
        return self.policy.name if self.policy.name and self.policy.has_defaults() else repr(self.policy)

    @property
    def suggests(self) -> bool:
        """Whether the policy has a constraint of its own."""
        return isinstance(self.policy, IdentificationPolicy) and self.policy.constrained

    def hint(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> jax.Array | None:
        """Return prior knowledge of each arm for the policy; None in this class.

        Parameters
        ----------
        key, state, problem, active
            The arguments of `step`.

        Returns
        -------
        hint : f[n] or None
            Higher = likely safer; only the order counts.
        """
        return None

    def remember(self, state: Any, scores: Scores, active: jax.Array) -> Any:
        """Return the state for the next round: the same state in this class.

        Parameters
        ----------
        state : pytree
            The state of this round.
        scores : Scores
            The result of this round.
        active : bool[n]
            Units that have not been removed.

        Returns
        -------
        state : pytree
        """
        return state
