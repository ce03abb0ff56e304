"""Criteria that look at the weights alone, or at nothing: no pulls, no rows."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._pytree import pytree_dataclass, static
from skbandit._validation import OneOf, Where
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls


@pytree_dataclass
class Random(Criterion):
    """Units leave in random order: the baseline below which no criterion may fall."""

    name: ClassVar[str] = "random"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Draw a value for each unit."""
        return state, scores_without_pulls(jax.random.uniform(key, (problem.n_units,), problem.gates[0].dtype))


@pytree_dataclass
class Magnitude(Criterion):
    r"""Minus the norm of a unit's weights: the smallest leave first.

    Parameters
    ----------
    of : {"in", "out", "product"}, default="in"
        Incoming weights (with the bias), outgoing weights, or the product of both norms, which the rescaling
        :math:`w_{in} \to c\,w_{in},\ w_{out} \to w_{out} / c` of a ReLU unit does not change.
    order : {1, 2}, default=2
        L1 or L2 norm.
    """

    name: ClassVar[str] = "magnitude"

    constraints: ClassVar = {
        "of": (OneOf(("in", "out", "product")),),
        "order": (Where(lambda order: order in (1, 2), "1 or 2"),),
    }

    of: str = static(default="in")
    order: int = static(default=2)

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Sum powers of the weights over the slices of each unit: a group's last slice is its outgoing one."""
        norms = []
        for group in problem.network.groups.groups:
            incoming = sum(self._power(problem, s) for s in group.slices[:-1])
            outgoing = self._power(problem, group.slices[-1])
            root = 1 / self.order
            if self.of == "product":
                norms.append((incoming * outgoing) ** root)
            else:
                norms.append((incoming if self.of == "in" else outgoing) ** root)
        return state, scores_without_pulls(-jnp.concatenate(norms))

    def _power(self, problem: Problem, s: Any) -> jax.Array:
        leaf = problem.params
        for key in s.path:
            leaf = leaf[key]
        by_unit = jnp.moveaxis(jnp.abs(leaf), s.axis, 0)
        return jnp.sum(by_unit.reshape(by_unit.shape[0], -1) ** self.order, axis=1)
