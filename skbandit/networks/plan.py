"""Where the gates of a traced function stand, and what stays when units leave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit.networks.flow import Origins
from skbandit.networks.graph import Node
from skbandit.networks.groups import Groups, Slice
from skbandit.networks.links import Labels
from skbandit.networks.search import DATA, flow_of
from skbandit.networks.trace import Trace

#: Operations that leave a sum, or the number that it is divided by, what it is.
_PASS = {
    *("broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "neg", "stop_gradient"),
    *("copy", "reduce_precision", "expand_dims", "sharding_constraint"),
}


class GatedRead(NamedTuple):
    """A gate in front of a node.

    Attributes
    ----------
    operand, axis : int
        The operand that is multiplied, and along which axis.
    units : Labels
        For each position of the axis, the number of a unit over all groups; -1 where there is none.
    """

    operand: int
    axis: int
    units: Labels


class Count(NamedTuple):
    """A constant that a sum over units is divided by, or multiplied with, to make a mean of it.

    Attributes
    ----------
    operand : int
        The constant.
    axes : tuple of Labels or int
        For each axis that was summed: the units of its positions, or its size where it has none.
    less : float
        What the constant is less than the number of positions: the degrees of freedom of a variance.
    power : int
        1 for a divisor, -1 for a factor.
    """

    operand: int
    axes: tuple[Any, ...]
    less: float
    power: int

    @property
    def size(self) -> int:
        """Positions of all units."""
        return math.prod(a if isinstance(a, int) else a.size for a in self.axes)

    def left(self, gates: Any) -> Any:
        """Return the positions that are left, by the gates of all units."""
        n: Any = 1
        for axis in self.axes:
            n = n * (axis if isinstance(axis, int) else (axis < 0).sum() + gates[axis[axis >= 0]].sum())
        return n

    def scale(self, gates: Any) -> Any:
        """Return what to multiply the constant with."""
        ratio = (self.left(gates) - self.less) / (self.size - self.less)
        return ratio if self.power == 1 else 1 / ratio


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
    counts : dict of Node to list of Count
    """

    def __init__(self, trace: Trace, groups: Groups) -> None:
        self.trace, self.groups = trace, groups
        self._flat: dict[int, Labels] = {}
        for number, (group, offset) in enumerate(zip(groups.groups, groups.offsets, strict=True)):
            for c, labels in self._follow(number).items():
                flat = self._flat.setdefault(c, np.full(labels.size, -1))
                if ((flat >= 0) & (labels >= 0)).any():
                    raise ValueError(f"The group {group.name!r} shares positions with another group.")
                flat[labels >= 0] = offset + labels[labels >= 0]
        self.origins: Origins = flow_of(trace)
        self.producer = {v: node for node in trace.graph.walk() for v in node.outputs}
        self.reads: dict[Node, list[GatedRead]] = {}
        for reads in trace.classes.reads.values():
            for read in reads:
                units = self._flat.get(trace.classes.of[read.place])
                if units is None:
                    continue
                of_data = [i for i in read.axes if DATA in self.origins.get(read.node.inputs[i], ())]
                operand = (of_data or list(read.axes))[0]
                units = np.tile(units, read.repeats) if operand == 0 else units
                self.reads.setdefault(read.node, []).append(GatedRead(operand, read.axes[operand], units))
        self.counts: dict[Node, list[Count]] = {}
        for node in trace.graph.walk():
            if node.name in ("div", "mul"):
                counts = self._counts(node)
                if counts:
                    self.counts[node] = counts
        self.touched = {node for node in trace.graph.walk() if self._touches(node)}

    def _follow(self, number: int) -> Mapping[int, Labels]:
        """Return the labels of one group on all classes, from those on its parameters."""
        trace, group = self.trace, self.groups.groups[number]
        variables = {leaf.path: leaf for leaf in trace.leaves}
        start: dict[int, Labels] = {}
        for s in group.slices:
            leaf = variables[s.path]
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

    def _touches(self, node: Node) -> bool:
        inside = any(n in self.reads or n in self.counts for body in node.bodies for n in body.walk())
        return node in self.reads or node in self.counts or inside

    # ------------------------------------------------------------------ means

    def _counts(self, node: Node) -> list[Count]:
        for operand in (1,) if node.name == "div" else (0, 1):
            summed = self._sum_of(node.inputs[1 - operand])
            if summed is None:
                continue
            shape = self.trace.tables.shape(summed.inputs[0])
            axes = tuple(
                shape[a] if (units := self.units(summed.inputs[0], a)) is None else units for a in summed.params["axes"]
            )
            if all(isinstance(a, int) for a in axes):
                continue
            constant = self._fold(node.inputs[operand])
            if constant is None:
                continue
            size = math.prod(shape[a] for a in summed.params["axes"])
            value, minuend = constant
            if node.name == "div" and _is(value, size):
                return [Count(operand, axes, 0.0, 1)]
            if node.name == "div" and minuend is not None and _is(minuend, size) and value > 0:
                return [Count(operand, axes, float(minuend - value), 1)]
            if node.name == "mul" and _is(value, 1 / size):
                return [Count(operand, axes, 0.0, -1)]
        return []

    def _sum_of(self, variable: int) -> Node | None:
        """Return the sum that a variable is, through changes of shape and sign."""
        node = self.producer.get(variable)
        while node is not None and node.name in _PASS:
            node = self.producer.get(node.inputs[0])
        return node if node is not None and node.name == "reduce_sum" else None

    def _fold(self, variable: int) -> tuple[Any, Any] | None:
        """Return the value of a constant, and what something was subtracted from to make it; None if it varies."""
        if variable in self.trace.tables.constants:
            value = self.trace.tables.constants[variable]
            if np.size(value) != 1 or not hasattr(value, "dtype" if np.ndim(value) else "__float__"):
                return None
            try:
                return np.asarray(value).reshape(())[()], None
            except TypeError:  # keys
                return None
        node = self.producer.get(variable)
        if node is None:
            return None
        if node.name in _PASS and node.name != "neg":
            inner = self._fold(node.inputs[0])
            if inner is None or node.name != "convert_element_type":
                return inner
            dtype = node.params["new_dtype"]
            return np.asarray(inner[0], dtype)[()], None if inner[1] is None else np.asarray(inner[1], dtype)[()]
        if node.name in ("sub", "add", "max") and not self.trace.tables.shape(variable):
            a, b = self._fold(node.inputs[0]), self._fold(node.inputs[1])
            if a is None or b is None:
                return None
            if node.name == "sub":
                return a[0] - b[0], a[0]
            if node.name == "max":
                return a if a[0] >= b[0] else b
            return a[0] + b[0], None
        return None


def _is(value: Any, number: float) -> bool:
    """Say whether a constant is a number, as its dtype holds it."""
    try:
        return bool(abs(float(value) - number) <= 2e-6 * abs(number)) or bool(
            np.asarray(number).astype(np.asarray(value).dtype) == value
        )
    except (TypeError, ValueError):
        return False


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
