"""Multiply-accumulates of a traced function, as a function of how many units its groups have.

All branches of a conditional are counted, and one step of a loop of unknown length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit.networks.graph import Graph, Node
from skbandit.networks.groups import Cost, Group
from skbandit.networks.plan import Plan


class _Axis(NamedTuple):
    fixed: int
    """Positions of no unit."""
    per_unit: tuple[tuple[int, float], ...]
    """Group, and the mean number of positions that a unit of it has."""


class _Product(NamedTuple):
    times: float
    axes: tuple[_Axis, ...]


def products(plan: Plan) -> list[_Product]:
    """Return the contractions and convolutions of a trace, with the axes that make their size."""
    found: list[_Product] = []
    _collect(plan, _Axes(plan), plan.trace.graph, 1.0, found)
    return found


def _collect(plan: Plan, axes: _Axes, graph: Graph, times: float, found: list[_Product]) -> None:
    for node in graph.nodes:
        if node.name == "dot_general":
            (_, right), _ = node.params["dimension_numbers"]
            of_out = [(node.outputs[0], axis) for axis in range(len(plan.trace.tables.shape(node.outputs[0])))]
            contracted = [(node.inputs[1], axis) for axis in right]
            found.append(_Product(times, tuple(axes.of(*place) for place in (*of_out, *contracted))))
        elif node.name == "conv_general_dilated":
            found.append(_convolution(plan, axes, node, times))
        inside = times * node.params["length"] if node.name == "scan" else times
        for body in node.bodies:
            _collect(plan, axes, body, inside, found)


def _convolution(plan: Plan, axes: _Axes, node: Node, times: float) -> _Product:
    kernel = plan.trace.tables.shape(node.inputs[1])
    _, (_, given, *window), _ = node.params["dimension_numbers"]
    of_out = [(node.outputs[0], axis) for axis in range(len(plan.trace.tables.shape(node.outputs[0])))]
    each = axes.of(node.inputs[1], given)
    size = math.prod(kernel[axis] for axis in window)
    return _Product(times * size, (*(axes.of(*place) for place in of_out), each))


class _Axes:
    """The axes of variables, as units make them."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._group_of, self._sizes = plan, plan.groups.group_of(), plan.groups.sizes

    def of(self, variable: int, axis: int) -> _Axis:
        size = self._plan.trace.tables.shape(variable)[axis]
        units = self._plan.units(variable, axis)
        if units is None:
            return _Axis(size, ())
        groups, counts = np.unique(self._group_of[units[units >= 0]], return_counts=True)
        per_unit = tuple((g, n / self._sizes[g]) for g, n in zip(groups.tolist(), counts.tolist(), strict=True))
        return _Axis(int((units < 0).sum()), per_unit)


def macs(found: Sequence[_Product], widths: Sequence[Any]) -> Any:
    """Return the multiply-accumulates with so many units in each group; widths need not be whole."""
    total: Any = 0.0
    for product in found:
        n: Any = product.times
        for axis in product.axes:
            n = n * (axis.fixed + sum(per_unit * widths[g] for g, per_unit in axis.per_unit))
        total = total + n
    return total


def costs(plan: Plan) -> tuple[Cost, ...]:
    """Return what leaves with the first unit of each group."""
    widths = list(plan.groups.sizes)
    rows = n_rows(plan)
    products_of: list[list[_Product]] = [[] for _ in widths]
    for product in products(plan):
        for g in {g for axis in product.axes for g, _ in axis.per_unit}:
            products_of[g].append(product)
    shapes = {leaf.path: leaf.shape for leaf in plan.trace.leaves}
    made = []
    for g, group in enumerate(plan.groups.groups):
        full = macs(products_of[g], widths)
        widths[g] -= 1
        made.append(Cost(_parameters(group, shapes), float(full - macs(products_of[g], widths)) / rows))
        widths[g] += 1
    return tuple(made)


def _parameters(group: Group, shapes: dict[Any, tuple[int, ...]]) -> float:
    """Return how many numbers leave with a unit, in the mean."""
    left: dict[Any, list[float]] = {}
    for s in group.slices:
        shape = left.setdefault(s.path, [float(n) for n in shapes[s.path]])
        owned = shapes[s.path][s.axis] if s.labels is None else int((np.asarray(s.labels) >= 0).sum())
        shape[s.axis] -= owned / group.size
    return sum(math.prod(shapes[path]) - math.prod(shape) for path, shape in left.items())


def n_rows(plan: Plan) -> int:
    """Return how many rows a trace is of: the first axis that most of its arguments share, the longest of several."""
    shapes = [plan.trace.tables.shape(v) for v in plan.trace.examples]
    found = Counter(shape[0] for shape in shapes if shape)
    return max(found, key=lambda n: (found[n], n)) if found else 1
