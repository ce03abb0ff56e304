"""Scores that are known: `skbandit.prune` then removes the units, and measures what that costs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.criteria import Criterion, Problem, Scores, pytree_dataclass


@pytree_dataclass
class Given(Criterion):
    """The values f[n] are known, and so may be new parameters."""

    value: jax.Array
    params: Any = None

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Return the scores."""
        value = self.value.astype(problem.gates[0].dtype)
        params = None
        if self.params is not None:
            params = jax.tree.map(lambda a, b: a.astype(b.dtype), self.params, problem.params)
        return state, Scores(value, jnp.zeros((), jnp.int32), jnp.full_like(value, jnp.nan), params=params)


def in_order(order: Any) -> Given:
    """Return the scores by which units i[n] leave in this order, the first one first."""
    value = np.empty(len(order))
    value[np.asarray(order)] = -np.arange(len(order), dtype=float)
    return Given(value)
