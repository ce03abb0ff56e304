"""Which constants of a traced function count units: those that make a mean of a sum over units.

The mean of the smaller network divides by the units that it has left. In a trace the number of positions is a constant,
written out at a division or computed from constants, as the degrees of freedom of a variance are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from skbandit.networks.flow import aliases
from skbandit.networks.graph import Graph, Node, Tables, is_float
from skbandit.networks.links import Labels

#: Operations that leave a sum, or the number that it is divided by, what it is.
_PASS = {
    *("broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "neg", "stop_gradient"),
    *("copy", "reduce_precision", "sharding_constraint", "optimization_barrier", "name"),
}


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

    def changed(self, constant: Any, gates: Any) -> Any:
        """Return the constant that counts what the gates leave; bit for bit the old one where they are all 1."""
        dtype = jnp.promote_types(constant.dtype, jnp.float32)  # 16 bits do not hold a ratio
        real = jnp.finfo(dtype).dtype
        ratio = (self.left(gates.astype(real)) - self.less) / (self.size - self.less)
        return (constant.astype(dtype) * (ratio if self.power == 1 else 1 / ratio)).astype(constant.dtype)


def find_counts(graph: Graph, tables: Tables, units: Callable[[int, int], Labels | None]) -> dict[Node, list[Count]]:
    """Return the counts of a graph.

    Parameters
    ----------
    graph, tables : Graph, Tables
    units : callable (variable, axis) → Labels or None
        The units of the positions of an axis.

    Returns
    -------
    dict of Node to list of Count
        For divisions and multiplications.
    """
    return _Counts(graph, tables, units).found


class _Counts:
    def __init__(self, graph: Graph, tables: Tables, units: Callable[[int, int], Labels | None]) -> None:
        self._tables, self._units = tables, units
        self._alias = aliases(graph)
        self._producer: dict[int, Node] = {}
        #: Constants of one number: the number, and what something was subtracted from to make it.
        self._known: dict[int, tuple[Any, Any]] = {}
        self.found: dict[Node, list[Count]] = {}
        for variable, value in tables.constants.items():
            if math.prod(tables.shape(variable)) == 1:
                with contextlib.suppress(TypeError, ValueError):  # keys of random numbers
                    self._known[variable] = np.asarray(value).reshape(())[()], None
        for node in graph.walk():
            self._producer.update(dict.fromkeys(node.outputs, node))
            self._fold(node)
            if node.name in ("div", "mul"):
                counts = self._of(node)
                if counts:
                    self.found[node] = counts

    def _resolved(self, variable: int) -> int:
        while variable in self._alias:
            variable = self._alias[variable]
        return variable

    def _fold(self, node: Node) -> None:
        """Remember what a node makes of constants."""
        given = [self._known[n] for v in node.inputs if (n := self._resolved(v)) in self._known]
        if not given or len(given) != len(node.inputs) or len(node.outputs) != 1:
            return
        (out,) = node.outputs
        numbers = [number for number, _ in given]
        if node.name == "convert_element_type":
            dtype, minuend = node.params["new_dtype"], given[0][1]
            with contextlib.suppress(TypeError, ValueError):
                self._known[out] = _as(dtype, numbers[0]), None if minuend is None else _as(dtype, minuend)
        elif node.name in _PASS and node.name != "neg":
            self._known[out] = given[0]
        elif math.prod(self._tables.shape(out)) == 1:
            with np.errstate(all="ignore"):
                if node.name == "sub":
                    self._known[out] = numbers[0] - numbers[1], numbers[0]
                elif node.name == "add":
                    self._known[out] = numbers[0] + numbers[1], None
                elif node.name == "max":
                    self._known[out] = given[0] if numbers[0] >= numbers[1] else given[1]

    def _of(self, node: Node) -> list[Count]:
        for operand in (1,) if node.name == "div" else (0, 1):
            constant = self._known.get(self._resolved(node.inputs[operand]))
            if constant is None or not is_float(self._tables.avals[node.inputs[operand]]):
                continue
            value, minuend = constant
            for axes in self._sums(node.inputs[1 - operand]):
                count = Count(operand, axes, 0.0, 1)
                if node.name == "mul" and _is(value, 1 / count.size):
                    return [count._replace(power=-1)]
                if node.name == "div" and _is(value, count.size):
                    return [count]
                if node.name == "div" and minuend is not None and _is(minuend, count.size) and value > 0:
                    return [count._replace(less=float(minuend - value))]
        return []

    def _sums(self, variable: int) -> Iterator[tuple[Any, ...]]:
        """Yield the axes that were summed to make a variable, and with them those of sums before that."""
        axes: tuple[Any, ...] = ()
        while (node := self._producer.get(self._resolved(variable))) is not None:
            if node.name == "reduce_sum":
                axes += tuple(self._axis(node.inputs[0], axis) for axis in node.params["axes"])
                if any(not isinstance(axis, int) for axis in axes):
                    yield axes
            elif node.name not in _PASS:
                return
            variable = node.inputs[0]

    def _axis(self, variable: int, axis: int) -> Any:
        units = self._units(variable, axis)
        return self._tables.shape(variable)[axis] if units is None else units


def _as(dtype: Any, number: Any) -> Any:
    return np.asarray(number).astype(dtype)[()]


def _is(value: Any, number: float) -> bool:
    """Say whether a constant is a number, as its dtype holds it."""
    try:
        near = abs(complex(value) - number) <= 2e-6 * abs(number)
        return near or bool(_as(np.asarray(value).dtype, number) == value)
    except (TypeError, ValueError):
        return False
