"""What units give out where they are read, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from skbandit.networks.costs import n_rows
from skbandit.networks.gating import Gated, rows_of
from skbandit.networks.graph import Graph, Node
from skbandit.networks.plan import GatedRead, Plan, row_labels
from skbandit.networks.search import DATA

#: A read that says most of a unit comes first.
_ORDER = {"dot_general": 0, "conv_general_dilated": 0, "reduce_sum": 1}


def taps(plan: Plan) -> dict[int, tuple[Node, GatedRead]] | None:
    """Return, for each group, the read at which its units are looked at; None where one has none.

    Reads inside of loops of unknown length, or of branches, are not looked at.
    """
    rows = row_labels(plan.trace, n_rows(plan))
    if rows is None:
        return None
    group_of = plan.groups.group_of()
    found: dict[int, tuple[int, Node, GatedRead]] = {}
    for node in _reachable(plan.trace.graph):
        for read in plan.reads.get(node, ()):
            variable = node.inputs[read.operand]
            ndim = len(plan.trace.tables.shape(variable))
            if DATA not in plan.origins.get(variable, ()):
                continue
            try:
                axis, _ = rows_of(plan, rows, variable, ndim)
            except LookupError:
                continue
            if axis == read.axis:
                continue
            order = _ORDER.get(node.name, 2)
            for g in np.unique(group_of[read.units[read.units >= 0]]).tolist():
                whole = np.unique(read.units[read.units >= 0])
                if (group_of[whole] == g).sum() < plan.groups.sizes[g]:
                    continue
                if g not in found or order < found[g][0]:
                    found[g] = order, node, read
    if len(found) < len(plan.groups.groups):
        return None
    return {g: (node, read) for g, (_, node, read) in found.items()}


def can_show(plan: Plan) -> bool:
    """Say whether the units of every group can be looked at."""
    return taps(plan) is not None


def rows_reach_gates(plan: Plan) -> bool:
    """Say whether every gate stands on an operand that has rows, so that each row may have gates of its own."""
    rows = row_labels(plan.trace, n_rows(plan))
    if rows is None or plan.counts:
        return False
    for node, reads in plan.reads.items():
        for read in reads:
            variable = node.inputs[read.operand]
            try:
                axis, _ = rows_of(plan, rows, variable, len(plan.trace.tables.shape(variable)))
            except LookupError:
                return False
            if axis == read.axis:
                return False
    return True


def _reachable(graph: Graph) -> Sequence[Node]:
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(node)
        if node.name not in ("while", "cond"):
            for body in node.bodies:
                nodes += _reachable(body)
    return nodes


class Tapped(Gated):
    """Evaluates a trace with gates, and keeps what the units of each group give out."""

    def __init__(self, plan: Plan, gates: jax.Array) -> None:
        super().__init__(plan, gates)
        self.n = n_rows(plan)
        rows = row_labels(plan.trace, self.n)
        assert rows is not None
        self.rows_ = rows
        wanted = taps(plan)
        assert wanted is not None
        self._wanted: dict[Node, list[tuple[int, GatedRead]]] = {}
        for g, (node, read) in wanted.items():
            self._wanted.setdefault(node, []).append((g, read))
        self._seen: dict[int, jax.Array] = {}

    def activations(self) -> tuple[jax.Array, ...]:
        """Return f[n, n_g] for each group, once `run` has been called."""
        return tuple(self._seen[g] for g in range(len(self.plan.groups.groups)))

    def gated_inputs(self, node: Node, inputs: Sequence[Any]) -> list[Any]:
        """Return the operands of a node, gated; keep what is looked at."""
        given = super().gated_inputs(node, inputs)
        for g, read in self._wanted.get(node, ()):
            self._seen[g] = self._of_rows(g, node, read, given[read.operand])
        return given

    def _of_rows(self, g: int, node: Node, read: GatedRead, x: Any) -> jax.Array:
        """Return the mean of an operand over what belongs to a row and a unit, f[n, n_g]."""
        axis, of_rows = rows_of(self.plan, self.rows_, node.inputs[read.operand], x.ndim)
        offset, size = self.plan.groups.offsets[g], self.plan.groups.sizes[g]
        units = np.where((read.units >= offset) & (read.units < offset + size), read.units - offset, size)
        table = jnp.moveaxis(x, (axis, read.axis), (0, 1))
        table = table.reshape(*table.shape[:2], -1).mean(2)
        counts = np.bincount(of_rows, minlength=self.n)[:, None] * np.bincount(units, minlength=size + 1)[None, :size]
        by_row = jax.ops.segment_sum(table, jnp.asarray(of_rows), self.n)
        by_unit = jax.ops.segment_sum(by_row.T, jnp.asarray(units), size + 1)[:size].T
        return by_unit / jnp.asarray(counts, by_unit.dtype)

    def call(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a call in place: what is seen inside must come out."""
        (body,) = node.bodies
        return self.run(body, inputs)

    def scan(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a scan; what its steps show is averaged."""
        n_consts, n_carry = node.params["num_consts"], node.params["num_carry"]
        consts, carry, xs = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
        (body,) = node.bodies
        before = dict(self._seen)

        def step(carry: Any, x: Any) -> Any:
            self._seen = {}
            made = self.run(body, [*consts, *carry, *x])
            return tuple(made[:n_carry]), (tuple(made[n_carry:]), self._seen)

        options = {name: node.params[name] for name in ("length", "reverse", "unroll")}
        carry, (ys, seen) = lax.scan(step, tuple(carry), tuple(xs), **options)
        self._seen = before | {g: values.mean(0) for g, values in seen.items()}
        return [*carry, *ys]
