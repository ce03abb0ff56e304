"""Criteria that mask units and measure: every unit on every row, or one removal after the other."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.pytree import pytree_dataclass
from skbandit._core.ranking import choose
from skbandit.criteria.base import Criterion, Problem, Scores


@pytree_dataclass
class LeaveOneOut(Criterion):
    """Exact damage of each unit over all calibration rows: what a bandit's pulls estimate.

    It spends as many pulls per unit as there are mini-batches, whatever the budget says.
    """

    name: ClassVar[str] = "leave_one_out"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Sweep once over all mini-batches, each weighted by its rows' weight."""
        damage = _damages(problem, active)
        return state, Scores(-damage, problem.batches.n_batches * jnp.sum(active, dtype=jnp.int32), damage)


def _damages(problem: Problem, arms: jax.Array) -> jax.Array:
    """Return the damage f[n] of each of the units ``arms`` over all rows."""
    damage: jax.Array = problem.mean(lambda X, y, weight: problem.damages(X, y, weight, arms))
    return damage


class _Removal(NamedTuple):
    i: jax.Array
    """i32: units removed so far."""
    n_pulls: jax.Array
    left: jax.Array
    """bool[n]"""
    room: jax.Array
    damage: jax.Array
    """f[n]: what each unit cost when it left, or when it was last measured."""
    value: jax.Array
    """f[n]: the first to leave has the highest."""


def _one_by_one(problem: Problem, active: jax.Array, measure: Any) -> _Removal:
    """Remove as many units as the round does, each time the one that ``measure`` finds to cost least.

    ``measure(i, problem, candidates)`` takes the network as it stands then, and returns damages f[n], infinite where a
    unit was not measured, and pulls.
    """
    groups, n = problem.network.groups, problem.n_units
    group = jnp.asarray(groups.group_of(), jnp.int32)
    flat = jnp.concatenate(problem.gates)

    def remove(now: _Removal) -> _Removal:
        gates = tuple(groups.split(jnp.where(now.left, flat, 0)))
        candidates = now.left & (now.room[group] > 0)
        damage, n_pulls = measure(now.i, dataclasses.replace(problem, gates=gates), candidates)
        # A damage that is not finite ranks last among the candidates, yet before what is none: one of them must leave.
        known = jnp.where(jnp.isfinite(damage), damage, jnp.finfo(damage.dtype).max)
        unit = jnp.argmin(jnp.where(candidates, known, jnp.inf))
        return _Removal(
            now.i + 1,
            now.n_pulls + n_pulls,
            now.left.at[unit].set(False),
            now.room.at[group[unit]].add(-1),
            jnp.where(candidates & jnp.isfinite(damage), damage, now.damage),
            now.value.at[unit].set((n - now.i).astype(now.value.dtype)),
        )

    def going(now: _Removal) -> jax.Array:
        return (now.i < problem.n_remove) & jnp.any(now.left & (now.room[group] > 0))

    nan, zero = jnp.full(n, jnp.nan, flat.dtype), jnp.zeros((), jnp.int32)
    end = lax.while_loop(going, remove, _Removal(zero, zero, active, problem.room, nan, jnp.zeros(n, flat.dtype)))
    # Those that stay come after all that leave, the least harmful first; unknown ones last.
    rest = jnp.where(jnp.isnan(end.damage), jnp.inf, end.damage)
    order = jnp.argsort(jnp.argsort(rest)).astype(flat.dtype)
    return end._replace(value=jnp.where(end.left, -order, end.value))


@pytree_dataclass
class GreedyLeaveOneOut(Criterion):
    """Remove the unit of least exact damage, measure all others anew, go on: what leave-one-out cannot see.

    Two units that stand in for one another are each safe, and fatal together: here the second is measured when the
    first has gone. It spends a complete sweep over all mini-batches for every unit that is removed, whatever the budget
    says; with ``n_rounds=1`` that is the whole greedy search, and in more rounds each begins on a repaired network.
    """

    name: ClassVar[str] = "greedy_leave_one_out"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the round's units one by one."""

        def measure(i: jax.Array, now: Problem, candidates: jax.Array) -> tuple[jax.Array, jax.Array]:
            return _damages(now, candidates), now.batches.n_batches * jnp.sum(candidates, dtype=jnp.int32)

        end = _one_by_one(problem, active, measure)
        return state, Scores(end.value, end.n_pulls, end.damage)


@pytree_dataclass
class BudgetedGreedy(Criterion):
    """Greedy removal within the budget: before each removal, a few candidates are pulled on one mini-batch.

    The round's pulls are shared evenly over its removals. The candidates of a removal are drawn at random, and see one
    mini-batch, with all units masked that have left before; the next removal takes the next mini-batch. The baseline of
    a mask that is built sequentially, under a budget of evaluations.

    References
    ----------
    .. [1] Damage-aware bandit pruning for vision and language transformers (2026). arXiv 2609.05448.
    """

    name: ClassVar[str] = "budgeted_greedy"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the round's units one by one."""
        n = problem.n_units
        one_group = jnp.zeros(n, jnp.int32)

        def measure(i: jax.Array, now: Problem, candidates: jax.Array) -> tuple[jax.Array, jax.Array]:
            # What division leaves goes to the first removals.
            share, rest = jnp.divmod(now.budget, jnp.maximum(now.n_remove, 1))
            n_draw = jnp.clip(share + (i < rest), 1, n).astype(jnp.int32)
            order = jax.random.uniform(jax.random.fold_in(key, i), (n,))
            drawn = choose(order, candidates, n_draw, one_group, jnp.full(1, n))
            damage, _ = now.pull(lax.rem(i, now.batches.n_batches), drawn)
            return jnp.where(drawn, damage, jnp.inf), jnp.sum(drawn, dtype=jnp.int32)

        end = _one_by_one(problem, active, measure)
        return state, Scores(end.value, end.n_pulls, end.damage)
