"""Trees that hold copies of the parameters, cut as the parameters are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from skbandit.networks.groups import Groups
from skbandit.networks.trace import Variables


def cut(tree: Any, groups: Groups, kept: Sequence[np.ndarray], variables: Any) -> Any:
    """Cut every subtree that is like the parameters, or like the state.

    Parameters
    ----------
    tree : pytree
        Such as the state of an optimizer.
    groups, kept
        The groups, and the units of each that are left.
    variables : pytree of arrays or of jax.ShapeDtypeStruct
        Shapes of the full parameters; `Variables` where there is state.

    Raises
    ------
    ValueError
        If ``variables`` is None.
    """
    if variables is None:
        raise ValueError("The shapes of the full parameters are not known here: cut with Groups.compact.")

    def like(part: Any, other: Any) -> bool:
        structure: Any = jax.tree.structure(part)
        if structure != jax.tree.structure(other):
            return False
        pairs = zip(jax.tree.leaves(part), jax.tree.leaves(other), strict=True)
        return all(np.shape(a) == tuple(b.shape) for a, b in pairs)

    templates = [variables]
    if isinstance(variables, Variables):
        templates += [variables.params, variables.state]

    def matches(part: Any) -> bool:
        return any(like(part, template) for template in templates)

    def one(part: Any) -> Any:
        if not matches(part):
            return part
        if like(part, variables):
            return groups.compact(part, kept)
        of_params = like(part, variables.params)
        beside = _zeros(variables.state if of_params else variables.params)
        whole = Variables(part, beside) if of_params else Variables(beside, part)
        whole = groups.compact(whole, kept)
        return whole.params if of_params else whole.state

    return jax.tree.map(one, tree, is_leaf=matches)


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda a: np.broadcast_to(np.zeros((), "int8"), a.shape), shapes)
