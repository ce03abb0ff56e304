"""The smaller function as a program that runs without Python code of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from skbandit.networks.trace import specs


def exported(function: Callable[..., Any], trees: Sequence[Any], example: Sequence[Any]) -> jax.export.Exported:
    """Return a function as a program for `jax.export`.

    A file of `jax.export` cannot hold classes of trees. So the program takes each tree as the list of its leaves.

    Parameters
    ----------
    function : callable (*trees, *example) → outputs
    trees : sequence of pytree
        Parameters, and state.
    example : sequence of arrays or of jax.ShapeDtypeStruct
        The other arguments, at the shapes that the program is for.

    Returns
    -------
    jax.export.Exported
    """
    from jax import export

    structures = [jax.tree.structure(tree) for tree in trees]

    def program(*args: Any) -> Any:
        n = len(structures)
        given = [jax.tree.unflatten(structure, leaves) for structure, leaves in zip(structures, args[:n], strict=True)]
        return function(*given, *args[n:])

    leaves = [[specs(leaf, "'params'") for leaf in jax.tree.leaves(tree)] for tree in trees]
    return export.export(jax.jit(program))(*leaves, *specs(tuple(example), "'example'"))
