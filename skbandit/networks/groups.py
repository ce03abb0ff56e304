"""Unit groups: which parameter slices leave the network together.

A *group* is one layer's units. Unit ``j`` of a group owns index ``j`` along one axis of several parameters (for a
dense layer: a column of its weights, an entry of its bias, a row of the next layer's weights). Removing the unit
deletes all of them. Units are counted over all groups in order, so that a flat index names an arm.

Parameters are any nesting of tuples, lists and dicts; a path is the tuple of keys that leads to an array.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

Params = Any


@dataclasses.dataclass(frozen=True)
class Slice:
    """Axis ``axis`` of the parameter at ``path``."""

    path: tuple[Any, ...]
    axis: int

    def of(self, params: Params) -> Any:
        """Return the whole parameter."""
        for key in self.path:
            params = params[key]
        return params


@dataclasses.dataclass(frozen=True)
class Group:
    """``size`` units and the slices that leave with each of them.

    The last slice is that of the *outgoing* weights, which read the units' output; the others make it. Criteria that
    look at weights go by that.
    """

    size: int
    slices: tuple[Slice, ...]


@dataclasses.dataclass(frozen=True)
class Groups:
    """All groups of a network, in order."""

    groups: tuple[Group, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units per group."""
        return tuple(group.size for group in self.groups)

    @property
    def n_units(self) -> int:
        """Units of all groups: the number of arms."""
        return sum(self.sizes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Flat index of each group's first unit."""
        return tuple(int(i) for i in np.cumsum((0, *self.sizes))[:-1])

    def split(self, flat: Any) -> tuple[Any, ...]:
        """Cut a flat array over all units into one array per group."""
        return tuple(flat[start : start + size] for start, size in zip(self.offsets, self.sizes, strict=True))

    def layer_of(self) -> np.ndarray:
        """Return the group index of every unit, i[n_units]."""
        return np.repeat(np.arange(len(self.groups)), self.sizes)

    def check(self, params: Params) -> None:
        """Raise ValueError if a slice names no parameter of ``params``, or one of another size."""
        if not self.groups:
            raise ValueError("There are no groups: nothing can be removed.")
        for group in self.groups:
            for s in group.slices:
                try:
                    size = np.shape(s.of(params))[s.axis]
                except (KeyError, IndexError, TypeError):
                    raise ValueError(f"The parameters have no axis {s.axis} at {s.path}.") from None
                if size != group.size:
                    raise ValueError(
                        f"A group of {group.size} units has a slice of size {size}: axis {s.axis} of {s.path}."
                    )

    def compact(self, params: Params, kept: Sequence[np.ndarray]) -> Params:
        """Keep only the units ``kept[g]`` of each group: NumPy arrays, physically smaller."""
        return self._edit(params, lambda a, axis, g: np.take(a, kept[g], axis=axis))

    def zero(self, params: Params, removed: Sequence[np.ndarray]) -> Params:
        """Set the slices of the units ``removed[g]`` to zero, at unchanged shapes."""

        def clear(array: np.ndarray, axis: int, g: int) -> np.ndarray:
            array = array.copy()
            np.moveaxis(array, axis, 0)[removed[g]] = 0
            return array

        return self._edit(params, clear)

    def _edit(self, params: Params, edit: Any) -> Params:
        for g, group in enumerate(self.groups):
            for s in group.slices:
                params = replace_at(params, s.path, lambda a, s=s, g=g: edit(np.asarray(a), s.axis, g))
        return params


def replace_at(tree: Params, path: tuple[Any, ...], edit: Any) -> Params:
    """Return ``tree`` with the leaf at ``path`` edited; nothing is changed in place."""
    if not path:
        return edit(tree)
    head, rest = path[0], path[1:]
    if isinstance(tree, dict):
        return {**tree, head: replace_at(tree[head], rest, edit)}
    items = list(tree)
    items[head] = replace_at(items[head], rest, edit)
    if hasattr(tree, "_fields"):
        return type(tree)(*items)
    return type(tree)(items)
