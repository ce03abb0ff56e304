"""Trees that hold copies of the parameters, cut as the parameters are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from skbandit.networks.groups import Groups
from skbandit.networks.trace import Variables


def cut(tree: Any, groups: Groups, kept: Sequence[np.ndarray], variables: Any) -> Any:
    """Cut every subtree that is like the parameters, or like the state.

    Parameters
    ----------
    tree : pytree
        Such as the state of an optimizer. Parts that are masked (optax) or None stay so.
    groups, kept
        The groups, and the units of each that are left.
    variables : pytree of arrays or of jax.ShapeDtypeStruct
        Shapes of the full parameters; `Variables` where there is state.

    Raises
    ------
    ValueError
        If ``variables`` is None.

    Warns
    -----
    UserWarning
        If a subtree has the structure of the parameters, and arrays of other shapes, as those of factored moments.
    """
    if variables is None:
        raise ValueError("The shapes of the full parameters are not known here: cut with Groups.compact.")

    templates: list[tuple[Any, Callable[[Any], Any]]] = [(variables, lambda part: groups.compact(part, kept))]
    if isinstance(variables, Variables):
        params, state = variables
        templates += [
            (params, lambda part: groups.compact(Variables(part, _zeros(state)), kept).params),
            (state, lambda part: groups.compact(Variables(_zeros(params), part), kept).state),
        ]
    odd: list[str] = []

    def matches(part: Any) -> bool:
        if any(_is_like(part, template) for template, _ in templates):
            return True
        odd.extend(_other_shapes(part, template) for template, _ in templates)
        return False

    def one(part: Any) -> Any:
        for template, compacted in templates:
            if _is_like(part, template):
                aligned = _aligned(part, template)
                structure, own = aligned.structure, aligned.leaves
                filled = [_zeros(there) if _is_gap(leaf) else leaf for leaf, there in own]
                made = structure.flatten_up_to(compacted(jax.tree.unflatten(structure, filled)))
                kept_gaps = [leaf if _is_gap(leaf) else new for (leaf, _), new in zip(own, made, strict=True)]
                return jax.tree.unflatten(structure, kept_gaps)
        return part

    made = jax.tree.map(one, tree, is_leaf=matches)
    if any(odd):
        warnings.warn(
            "A part of the tree is like the parameters, but in other shapes, and is left as it is: it has "
            f"{max(odd, key=len)}.",
            UserWarning,
            stacklevel=3,
        )
    return made


class _Aligned(NamedTuple):
    """A tree beside a template: its structure, and its leaves with what the template has there."""

    structure: Any
    leaves: list[tuple[Any, Any]]


def _is_gap(leaf: Any) -> bool:
    """Say whether a tree leaves something out here: optax's masked optimizers, and what equinox has partitioned."""
    return leaf is None or type(leaf).__name__ == "MaskedNode"


def _aligned(part: Any, template: Any) -> _Aligned:
    """Put a tree beside a template; without leaves if they are not of one structure."""
    leaves: list[Any]
    structure: Any
    leaves, structure = jax.tree.flatten(part, is_leaf=_is_gap)
    try:
        return _Aligned(structure, list(zip(leaves, structure.flatten_up_to(template), strict=True)))
    except (ValueError, TypeError, KeyError):
        return _Aligned(structure, [])


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(getattr(leaf, "shape", ()))


def _is_like(part: Any, template: Any) -> bool:
    there = [(a, b) for a, b in _aligned(part, template).leaves if not _is_gap(a)]
    return bool(there) and all(hasattr(b, "shape") and _shape(a) == _shape(b) for a, b in there)


def _other_shapes(part: Any, template: Any) -> str:
    """Say what has other shapes in a tree of the template's structure; "" for numbers, and for another structure."""
    pairs = [(a, b) for a, b in _aligned(part, template).leaves if not _is_gap(a)]
    if hasattr(template, "shape") or not all(hasattr(b, "shape") for _, b in pairs):
        return ""
    odd = [(_shape(a), _shape(b)) for a, b in pairs if _shape(a) != _shape(b) and math.prod(_shape(a)) > 1]
    return f"an array of the shape {odd[0][0]}, where the full parameters have {odd[0][1]}" if odd else ""


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda a: np.broadcast_to(np.zeros((), "int8"), a.shape), shapes)
