"""Criteria that look at the weights alone, or at nothing: no pulls, no rows."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import OneOf, Where
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.networks.groups import Groups, Slice


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
        return state, scores_without_pulls(-unit_norms(problem.network.groups, problem.params, self.of, self.order))


def unit_norms(groups: Groups, params: Any, of: str = "product", order: int = 2) -> jax.Array:
    """Return the norm f[n] of each unit's weights: a group's last slice is its outgoing one.

    A group of one slice has the same norm both ways.
    """

    def power(s: Slice) -> jax.Array:
        by_unit = jnp.moveaxis(jnp.abs(s.of(params)), s.axis, 0)
        return jnp.sum(by_unit.reshape(by_unit.shape[0], -1) ** order, axis=1)

    norms = []
    for group in groups.groups:
        *incoming_slices, last = group.slices
        outgoing = power(last)
        incoming = sum(map(power, incoming_slices)) if incoming_slices else outgoing
        norms.append({"in": incoming, "out": outgoing, "product": incoming * outgoing}[of] ** (1 / order))
    return jnp.concatenate(norms)
