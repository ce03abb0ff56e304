"""Criteria that use only the weights, or nothing: they need no pulls and no rows."""

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
    """Rank units at random: the baseline that every criterion should exceed."""

    name: ClassVar[str] = "random"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Draw a random value for each unit."""
        return state, scores_without_pulls(jax.random.uniform(key, (problem.n_units,), problem.gates[0].dtype))


@pytree_dataclass
class Magnitude(Criterion):
    r"""Rank units by the norm of their weights, smallest first.

    Parameters
    ----------
    of : {"in", "out", "product"}, default="in"
        Norm of the incoming weights (with the bias), of the outgoing weights, or the product of both. The rescaling
        :math:`w_{in} \to c\,w_{in},\ w_{out} \to w_{out} / c` of a ReLU unit does not change the product.
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
        """Compute the norm of the weights of each unit."""
        return state, scores_without_pulls(-unit_norms(problem.network.groups, problem.params, self.of, self.order))


def unit_norms(groups: Groups, params: Any, of: str = "product", order: int = 2) -> jax.Array:
    """Return the norm f[n] of each unit's weights.

    Parameters
    ----------
    groups : Groups
        Groups of the network.
    params : pytree
        Parameters of the network.
    of : {"in", "out", "product"}, default="product"
        Norm of the incoming slices, of the outgoing slices, or the product of both. In a group with slices of only one
        kind, these stand for the other kind too.
    order : {1, 2}, default=2
        L1 or L2 norm.

    Returns
    -------
    norms : f[n]
    """

    def power(slices: Sequence[Slice], size: int) -> Any:
        return sum(jnp.sum(jnp.abs(s.by_unit(params, size)) ** order, axis=1) for s in slices)

    norms = []
    for group in groups.groups:
        incoming = power(group.incoming or group.outgoing, group.size)
        outgoing = power(group.outgoing or group.incoming, group.size)
        norms.append({"in": incoming, "out": outgoing, "product": incoming * outgoing}[of] ** (1 / order))
    return jnp.concatenate(norms)
