"""A traced function with gates: every unit that leaves is left out where it is read.

At a sum (a contraction, a convolution, a reduction) what a unit gives out is multiplied by its gate. At a maximum and
its like a gate of 0 puts the neutral element in. A mean over units divides by the units that are left, so that a
normalisation is that of the smaller network. The function before the reads is left as it is: a unit may be anything in
between, and whatever it gives out does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks.graph import Interpreter, Node, bind
from skbandit.networks.plan import GatedRead, Plan

_PRODUCTS = {"reduce_prod", "cumprod"}
_LARGEST = {"reduce_max", "cummax", "cumlogsumexp"}
_SMALLEST = {"reduce_min", "cummin"}


def neutral(name: str, dtype: Any) -> np.ndarray:
    """Return what leaves a reduction unchanged."""
    zero = np.zeros((), dtype)
    if name in _PRODUCTS:
        return np.ones((), dtype)
    if name == "reduce_and":  # bit by bit
        return np.invert(zero)
    if name not in _LARGEST and name not in _SMALLEST:
        return zero
    sign = -1 if name in _LARGEST else 1
    if zero.dtype == bool:
        return np.asarray(sign > 0)
    info = jnp.iinfo(dtype) if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo(dtype)
    infinite = zero if isinstance(info, jnp.iinfo) else np.asarray(sign * np.inf).astype(dtype)
    if np.isinf(infinite):
        return infinite
    return np.asarray(info.min if sign < 0 else info.max, dtype)  # integers, and floats of 8 bits without infinity


def is_sum(name: str) -> bool:
    """Say whether a read adds up what units give out, so that a gate may be any number."""
    return name in ("dot_general", "conv_general_dilated", "reduce_sum", "cumsum")


class Gated(Interpreter):
    """Evaluates a trace with gates.

    Parameters
    ----------
    plan : Plan
    gates : f[n_units] or f[n_rows, n_units]
        Over all groups, for all rows or for each.
    rows : dict, optional
        Rows of the positions of each class (`skbandit.networks.plan.row_labels`), for gates of each row.
    """

    def __init__(self, plan: Plan, gates: jax.Array, rows: dict[int, np.ndarray] | None = None) -> None:
        super().__init__(plan.trace.tables)
        self.plan, self.gates, self.rows = plan, gates, rows

    def changes(self, node: Node) -> bool:
        """Say whether a gate stands inside a node."""
        return node in self.plan.touched

    def node(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate one node, with gates in front of it."""
        if node.bodies:
            return super().node(node, inputs)
        return bind(node, self.gated_inputs(node, inputs))

    def gated_inputs(self, node: Node, inputs: Sequence[Any]) -> list[Any]:
        """Return the operands of a node, gated."""
        given = list(inputs)
        for read in self.plan.reads.get(node, ()):
            given[read.operand] = self.gate(node, read, given[read.operand])
            if read.other is not None:
                given[read.other.operand] = self._without(node, read.other, given[read.other.operand])
        if node in self.plan.guards:
            guard = self.plan.guards[node]
            given[guard.operand] = self._without(node, guard, given[guard.operand])
        for count in self.plan.counts.get(node, ()):
            given[count.operand] = count.changed(jnp.asarray(given[count.operand]), self.gates)
        return given

    def gate(self, node: Node, read: GatedRead, x: Any) -> Any:
        """Return an operand with the gates of its units on it."""
        m = self._gates(node, read, x)
        if not is_sum(node.name):
            return jnp.where(m > 0, x, neutral(node.name, x.dtype))
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.where(m > 0, x, jnp.zeros((), x.dtype))
        # `where`, for what is removed may be NaN or infinite.
        return jnp.where(m > 0, x * m.astype(x.dtype), jnp.zeros((), x.dtype))

    def _without(self, node: Node, read: GatedRead, x: Any) -> Any:
        """Return an operand with 0 for units that left: 0 · NaN is NaN."""
        try:
            m = self._gates(node, read, x)
        except LookupError:  # it is the same for all rows
            m = Gated(self.plan, self.gates.max(0))._gates(node, read, x)
        return jnp.where(m > 0, x, jnp.zeros((), x.dtype))

    def _gates(self, node: Node, read: GatedRead, x: Any) -> Any:
        """Return the gates at an operand's positions, of a shape that broadcasts against it."""
        there, gates = read.units >= 0, self.gates
        shape = [1] * x.ndim
        shape[read.axis] = x.shape[read.axis]
        if gates.ndim == 1:
            m = jnp.where(there, gates[read.units], 1)
            return m.reshape(shape)
        axis, of_rows = self._rows_of(node, read, x.ndim)
        m = jnp.where(there, gates[of_rows][:, read.units], 1)
        shape[axis] = x.shape[axis]
        return (m if axis < read.axis else m.T).reshape(shape)

    def _rows_of(self, node: Node, read: GatedRead, ndim: int) -> tuple[int, np.ndarray]:
        assert self.rows is not None
        return rows_of(self.plan, self.rows, node.inputs[read.operand], ndim)


def rows_of(plan: Plan, rows: dict[int, np.ndarray], variable: int, ndim: int) -> tuple[int, np.ndarray]:
    """Return the axis of a variable that rows lie along, and the row of each position of it.

    Raises
    ------
    LookupError
        If no axis holds one row after the other, for all positions.
    """
    for axis in range(ndim):
        of_axis = rows.get(plan.trace.classes.of.get((variable, axis), -1))
        if of_axis is not None and (of_axis >= 0).all():
            return axis, of_axis
    raise LookupError("the rows cannot be told apart here")
