"""Criteria that measure the damage of every unit on every row: no sampling."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._pytree import pytree_dataclass
from skbandit.criteria.base import Criterion, Problem, Scores


@pytree_dataclass
class LeaveOneOut(Criterion):
    """Exact damage of each unit over all calibration rows: what a bandit's pulls estimate.

    It spends as many pulls per unit as there are mini-batches, whatever the budget says.
    """

    name: ClassVar[str] = "leave_one_out"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Sweep once over all mini-batches, each weighted by its rows' weight."""

        def body(t, carry):
            summed, total = carry
            damage, weight = problem.pull(t, active)
            return summed + weight * damage, total + weight

        zero = jnp.zeros((), problem.gates[0].dtype)
        n_batches = problem.batches.n_batches
        summed, total = lax.fori_loop(0, n_batches, body, (jnp.zeros(problem.n_units, zero.dtype), zero))
        damage = summed / total
        return state, Scores(-damage, n_batches * jnp.sum(active, dtype=jnp.int32), damage)
