"""Where the gates of a traced function stand, and what stays when units leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit.networks.counts import find_counts
from skbandit.networks.flow import Origins, moved
from skbandit.networks.graph import Node
from skbandit.networks.groups import Groups, Slice
from skbandit.networks.links import Labels
from skbandit.networks.search import DATA, flow_of
from skbandit.networks.trace import Leaf, Trace


class GatedRead(NamedTuple):
    """A gate in front of a node.

    Attributes
    ----------
    operand, axis : int
        The operand that is multiplied, and along which axis.
    units : Labels
        For each position of the axis, the number of a unit over all groups; -1 where there is none.
    other : GatedRead or None
        The other operand of a product, where what it holds for a unit that left may be no finite number.
    """

    operand: int
    axis: int
    units: Labels
    other: GatedRead | None = None


class Plan:
    """Groups in a trace.

    Parameters
    ----------
    trace : Trace
    groups : Groups
        Of the parameters that the trace is of.

    Raises
    ------
    ValueError
        If the units of a group cannot be followed in this trace.

    Attributes
    ----------
    reads : dict of Node to list of GatedRead
        Where units end.
    guards : dict of Node to GatedRead
        Operands in which units that left must be finite numbers, though they do not end there.
    counts : dict of Node to list of Count
    """

    def __init__(self, trace: Trace, groups: Groups) -> None:
        self.trace, self.groups = trace, groups
        self._flat: dict[int, Labels] = {}
        leaves = {leaf.path: leaf for leaf in trace.leaves}
        for number, (group, offset) in enumerate(zip(groups.groups, groups.offsets, strict=True)):
            for c, labels in self._follow(number, leaves).items():
                flat = self._flat.setdefault(c, np.full(labels.size, -1))
                if ((flat >= 0) & (labels >= 0)).any():
                    raise ValueError(f"The group {group.name!r} shares positions with another group.")
                flat[labels >= 0] = offset + labels[labels >= 0]
        self.origins: Origins = flow_of(trace)
        finite = moved(trace.graph, [leaf.variable for leaf in trace.leaves])
        self.reads: dict[Node, list[GatedRead]] = {}
        for reads in trace.classes.reads.values():
            for read in reads:
                units = self._flat.get(trace.classes.of[read.place])
                if units is None:
                    continue
                of_data = [i for i in read.axes if DATA in self.origins.get(read.node.inputs[i], ())]
                chosen, *others = (*of_data, *(i for i in read.axes if i not in of_data))
                ends = {i: GatedRead(i, read.axes[i], np.tile(units, read.repeats if i == 0 else 1)) for i in read.axes}
                other = next((ends[i] for i in others if read.node.inputs[i] not in finite), None)
                self.reads.setdefault(read.node, []).append(ends[chosen]._replace(other=other))
        self.guards = {node: guard for node in trace.graph.walk() if (guard := self._guard(node)) is not None}
        self.counts = find_counts(trace.graph, trace.tables, self.units)
        self.touched = {node for node in trace.graph.walk() if self._touches(node)}

    def _follow(self, number: int, leaves: Mapping[Any, Leaf]) -> Mapping[int, Labels]:
        """Return the labels of one group on all classes, from those on its parameters."""
        trace, group = self.trace, self.groups.groups[number]
        start: dict[int, Labels] = {}
        for s in group.slices:
            leaf = leaves[s.path]
            c = trace.classes.of[leaf.variable, s.axis % len(leaf.shape)]
            labels = _labels(s, leaf.shape[s.axis])
            start[c] = np.where(labels >= 0, labels, start[c]) if c in start else labels
        closure = trace.classes.closure(start)
        if closure.n_units != group.size:
            why = "; ".join(dict.fromkeys(f"{s.reason} {s.source}".strip() for s in closure.stopped if not s.kind))
            raise ValueError(
                f"The units of the group {group.name!r} cannot be followed through the function at these shapes: {why}."
            )
        return closure.labels

    def units(self, variable: int, axis: int) -> Labels | None:
        """Return the unit of each position of an axis, numbered over all groups; None where there is none."""
        return self._flat.get(self.trace.classes.of.get((variable, axis), -1))

    def units_of(self, variable: int) -> list[Labels | None]:
        """Return the units of each axis of a variable."""
        return [self.units(variable, axis) for axis in range(len(self.trace.tables.shape(variable)))]

    def _guard(self, node: Node) -> GatedRead | None:
        """Return the guard of a convolution in groups: where it is computed as one, with zeros, 0 · NaN is NaN."""
        if node.name != "conv_general_dilated" or node.params["feature_group_count"] == 1 or node in self.reads:
            return None
        axis = node.params["dimension_numbers"].lhs_spec[1]
        units = self.units(node.inputs[0], axis)
        return None if units is None else GatedRead(0, axis, units)

    def _touches(self, node: Node) -> bool:
        return any(node in nodes for nodes in (self.reads, self.guards, self.counts)) or any(
            self._touches(inner) for body in node.bodies for inner in body.nodes
        )


def _labels(s: Slice, size: int) -> Labels:
    return np.arange(size) if s.labels is None else np.asarray(s.labels, np.int64)


def row_labels(trace: Trace, n: int) -> dict[int, Labels] | None:
    """Return which row of the data each position of each class belongs to; None where rows meet one another.

    Parameters
    ----------
    trace : Trace
    n : int
        Rows.
    """
    start: dict[int, Labels] = {}
    for variable in trace.examples:
        shape = trace.tables.shape(variable)
        if shape and shape[0] == n:
            start[trace.classes.of[variable, 0]] = np.arange(n)
    closure = trace.classes.closure(start, stops=False)
    return closure.labels if closure.n_units == n else None


def kept_positions(units: Sequence[Labels | None], mask: np.ndarray) -> list[np.ndarray | None]:
    """Return the positions of each axis that stay, None where all do.

    Parameters
    ----------
    units : sequence of Labels or None
        The units of each axis.
    mask : bool[n_units]
        Units that stay.
    """
    kept: list[np.ndarray | None] = []
    for of_axis in units:
        stays = None if of_axis is None else (of_axis < 0) | mask[of_axis]
        kept.append(None if stays is None or stays.all() else np.flatnonzero(stays))
    return kept
