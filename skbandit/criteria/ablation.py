"""Criteria that mask units and measure the damage: of every unit on all rows, or of one removal after the other."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import OneOf
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.ranking import choose
from skbandit.criteria.base import Criterion, Problem, Scores
from skbandit.criteria.summaries import SUMMARIES, summary_of


@pytree_dataclass
class LeaveOneOut(Criterion):
    """Rank units by their exact damage over all calibration rows, which the pulls of a bandit estimate.

    The criterion spends one pull per unit and mini-batch, whatever the budget is.

    Parameters
    ----------
    rank_by : {"mean", "absolute", "rms", "curvature"}, default="mean"
        What units are ranked by: their damage over all rows, its absolute value, the root of the mean square of their
        damages on mini-batches, or their damage without its first-order part (see `Bandit`).
    """

    name: ClassVar[str] = "leave_one_out"
    constraints: ClassVar = {"rank_by": (OneOf(SUMMARIES),)}

    rank_by: str = static(default="mean")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Measure all units on all mini-batches, weighted by the summed weight of their rows."""
        damage, summary = _damages(problem, active, self.rank_by)
        info = {"slope": damage - summary} if self.rank_by == "curvature" else None
        n_pulls = problem.batches.n_batches * jnp.sum(active, dtype=jnp.int32)
        return state, Scores(-summary, n_pulls, damage, info=info)


def _damages(problem: Problem, arms: jax.Array, by: str) -> tuple[jax.Array, jax.Array]:
    """Return the damage f[n] of the units ``arms`` over all rows, each masked alone, and a summary of it f[n]."""
    if by == "curvature":
        damage, slope = problem.mean(lambda X, y, w: (problem.damages(X, y, w, arms), problem.slopes(X, y, w)))
        return damage, jnp.where(arms, damage - slope, 0)
    if by != "rms":
        damage = problem.mean(lambda X, y, weight: problem.damages(X, y, weight, arms))
        return damage, summary_of(damage, None, jnp.ones((), damage.dtype), by)
    loss = jnp.abs(problem.mean_loss(problem.params, problem.gates))
    scale = jnp.where(jnp.isfinite(loss) & (loss > 0), loss, 1)

    def of_batch(X: Any, y: Any, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
        damage = problem.damages(X, y, weight, arms)
        return damage, jnp.square(damage / scale)

    damage, square = problem.mean(of_batch)
    return damage, summary_of(damage, square, scale, by)


class _Removal(NamedTuple):
    i: jax.Array
    """i32: number of units removed so far."""
    n_pulls: jax.Array
    left: jax.Array
    """bool[n]"""
    room: jax.Array
    damage: jax.Array
    """f[n]: damage of each unit when it was removed, or when it was last measured."""
    summary: jax.Array
    """f[n]: what ranked it then."""
    value: jax.Array
    """f[n]: the unit that is removed first has the highest value."""


def _one_by_one(problem: Problem, active: jax.Array, measure: Any) -> _Removal:
    """Remove the units of the round one by one, each time the unit of least measured damage.

    Parameters
    ----------
    problem : Problem
    active : bool[n]
    measure : callable (i, problem, candidates) → (damage, summary, n_pulls)
        Measures the damages f[n] of removal ``i`` in the network without the units removed before, and what ranks the
        units f[n]; infinite for units that it does not measure.

    Returns
    -------
    end : _Removal
    """
    groups, n = problem.network.groups, problem.n_units
    group = jnp.asarray(groups.group_of(), jnp.int32)
    flat = jnp.concatenate(problem.gates)

    def remove(now: _Removal) -> _Removal:
        gates = tuple(groups.split(jnp.where(now.left, flat, 0)))
        candidates = now.left & (now.room[group] > 0)
        damage, summary, n_pulls = measure(now.i, dataclasses.replace(problem, gates=gates), candidates)
        # What is not finite ranks last among the candidates, but before units that are none: one is removed.
        known = jnp.where(jnp.isfinite(summary), summary, jnp.finfo(summary.dtype).max)
        unit = jnp.argmin(jnp.where(candidates, known, jnp.inf))
        return _Removal(
            now.i + 1,
            now.n_pulls + n_pulls,
            now.left.at[unit].set(False),
            now.room.at[group[unit]].add(-1),
            jnp.where(candidates & jnp.isfinite(damage), damage, now.damage),
            jnp.where(candidates & jnp.isfinite(summary), summary, now.summary),
            now.value.at[unit].set((n - now.i).astype(now.value.dtype)),
        )

    def going(now: _Removal) -> jax.Array:
        return (now.i < problem.n_remove) & jnp.any(now.left & (now.room[group] > 0))

    nan, zero = jnp.full(n, jnp.nan, flat.dtype), jnp.zeros((), jnp.int32)
    end = lax.while_loop(going, remove, _Removal(zero, zero, active, problem.room, nan, nan, jnp.zeros(n, flat.dtype)))
    # The remaining units rank after all removed ones; units that were never measured rank last.
    rest = jnp.where(jnp.isnan(end.summary), jnp.inf, end.summary)
    order = jnp.argsort(jnp.argsort(rest)).astype(flat.dtype)
    return end._replace(value=jnp.where(end.left, -order, end.value))


@pytree_dataclass
class GreedyLeaveOneOut(Criterion):
    """Remove the unit of least exact damage, measure all others again, and repeat.

    Unlike `LeaveOneOut` this takes interactions into account: of two redundant units each is safe to remove until the
    other one is removed. The criterion spends one pull per remaining unit and mini-batch for every removal, whatever
    the budget is. With ``n_rounds=1`` it is a complete greedy search; otherwise each round starts from the repaired
    network.

    Parameters
    ----------
    rank_by : {"mean", "absolute", "rms", "curvature"}, default="mean"
        Which unit is removed: the one of least damage, of least absolute damage, of the least mean square of its
        damages on mini-batches, or of least damage without its first-order part (see `Bandit`).
    """

    name: ClassVar[str] = "greedy_leave_one_out"
    constraints: ClassVar = {"rank_by": (OneOf(SUMMARIES),)}

    rank_by: str = static(default="mean")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of the round one by one."""

        def measure(i: jax.Array, now: Problem, candidates: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            n_pulls = now.batches.n_batches * jnp.sum(candidates, dtype=jnp.int32)
            return *_damages(now, candidates, self.rank_by), n_pulls

        end = _one_by_one(problem, active, measure)
        return state, Scores(end.value, end.n_pulls, end.damage)


@pytree_dataclass
class BudgetedGreedy(Criterion):
    """Greedy removal within the budget: before each removal a few candidates are measured on one mini-batch.

    The pulls of the round are shared evenly over its removals. The candidates of a removal are drawn at random. They
    are measured on one mini-batch, with all units masked that were removed before; the next removal uses the next
    mini-batch. This is the baseline of masks that are built sequentially with a budget of evaluations [1]_.

    Parameters
    ----------
    rank_by : {"mean", "absolute"}, default="mean"
        Which candidate is removed: the one of least damage, or of least absolute damage.

    References
    ----------
    .. [1] Damage-aware bandit pruning for vision and language transformers (2026). arXiv 2609.05448.
    """

    name: ClassVar[str] = "budgeted_greedy"
    constraints: ClassVar = {"rank_by": (OneOf(("mean", "absolute")),)}

    rank_by: str = static(default="mean")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of the round one by one."""
        n = problem.n_units
        one_group = jnp.zeros(n, jnp.int32)

        def measure(i: jax.Array, now: Problem, candidates: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            # The remainder of the division goes to the first removals.
            share, rest = jnp.divmod(now.budget, jnp.maximum(now.n_remove, 1))
            n_draw = jnp.clip(share + (i < rest), 1, n).astype(jnp.int32)
            order = jax.random.uniform(jax.random.fold_in(key, i), (n,))
            drawn = choose(order, candidates, n_draw, one_group, jnp.full(1, n))
            damage, _ = now.pull(lax.rem(i, now.batches.n_batches), drawn)
            damage = jnp.where(drawn, damage, jnp.inf)
            return damage, jnp.abs(damage) if self.rank_by == "absolute" else damage, jnp.sum(drawn, dtype=jnp.int32)

        end = _one_by_one(problem, active, measure)
        return state, Scores(end.value, end.n_pulls, end.damage)
