"""Criteria that look at the weights alone, or at nothing: no pulls, no rows."""

from __future__ import annotations

from collections.abc import Sequence
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
        """Sum powers of the weights over the slices of each unit."""
        return state, scores_without_pulls(-unit_norms(problem.network.groups, problem.params, self.of, self.order))


def unit_norms(groups: Groups, params: Any, of: str = "product", order: int = 2) -> jax.Array:
    """Return the norm f[n] of each unit's weights.

    Parameters
    ----------
    groups : Groups
    params : pytree
    of : {"in", "out", "product"}
        Of the incoming slices, of the outgoing ones, or the product of both. A group that has only slices of one kind
        has the same norm both ways.
    order : {1, 2}
        L1 or L2 norm.
    """

    def power(slices: Sequence[Slice], size: int) -> Any:
        return sum(jnp.sum(jnp.abs(s.by_unit(params, size)) ** order, axis=1) for s in slices)

    norms = []
    for group in groups.groups:
        incoming = power(group.incoming or group.outgoing, group.size)
        outgoing = power(group.outgoing or group.incoming, group.size)
        norms.append({"in": incoming, "out": outgoing, "product": incoming * outgoing}[of] ** (1 / order))
    return jnp.concatenate(norms)
