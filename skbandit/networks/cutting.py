"""Trees that hold copies of the parameters, cut as the parameters are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from skbandit.networks.groups import Groups, plain_path
from skbandit.networks.trace import Variables

Path = tuple[Any, ...]


def cut(tree: Any, groups: Groups, kept: Sequence[np.ndarray], variables: Any) -> Any:
    """Cut every copy of a parameter, or of an array of the state.

    A copy is an array of the same shape whose path in the tree ends with the path of the parameter. A tree may lack
    some parameters, as the state of a masked optimizer does.

    Parameters
    ----------
    tree : pytree
        Such as the state of an optimizer.
    groups, kept
        The groups, and the units of each that are left.
    variables : pytree of arrays or of jax.ShapeDtypeStruct
        Shapes of the full parameters; `Variables` where there is state.

    Returns
    -------
    pytree
        NumPy arrays where it was cut; all else as it is.

    Raises
    ------
    ValueError
        If ``variables`` is None.
    """
    if variables is None:
        raise ValueError("The shapes of the full parameters are not known here: cut with Groups.compact.")
    wanted = _wanted(groups, kept, variables)

    def one(path: Any, leaf: Any) -> Any:
        keys = plain_path(path)
        for start in range(len(keys) + 1):
            # Positions alone are everywhere: they count where they are the whole path from a named field on.
            end, before = keys[start:], keys[:start]
            is_whole = not before or isinstance(before[-1], str) or any(isinstance(key, str) for key in end)
            if is_whole and end in wanted and np.shape(leaf) == wanted[end][0]:
                return leaf if wanted[end][1] is None else np.asarray(leaf)[np.ix_(*wanted[end][1])]
        return leaf

    return jax.tree_util.tree_map_with_path(one, tree)


def _wanted(groups: Groups, kept: Sequence[np.ndarray], variables: Any) -> dict[Path, tuple[Any, Any]]:
    """Return the full shape of each parameter, and the positions that stay on each axis; None where all do."""
    shapes = {plain_path(path): leaf.shape for path, leaf in jax.tree_util.tree_flatten_with_path(variables)[0]}
    stays = {path: [np.ones(n, bool) for n in shape] for path, shape in shapes.items()}
    for group, units in zip(groups.groups, kept, strict=True):
        on = np.zeros(group.size, bool)
        on[units] = True
        for s in group.slices:
            stays[s.path][s.axis] &= s.spread(on, True)
    wanted: dict[Path, tuple[Any, Any]] = {}
    for path, shape in shapes.items():
        left = None if all(axis.all() for axis in stays[path]) else [np.flatnonzero(axis) for axis in stays[path]]
        # The tree may hold parameters, or state, without the other.
        for name in (path, path[1:]) if isinstance(variables, Variables) else (path,):
            wanted.setdefault(name, (tuple(shape), left))
    return wanted
