"""The damage of masking each of many units of a traced function: what comes before a unit is computed once for all.

A unit changes nothing in front of the place where it is read. There, at a product or convolution, one unit less is one
term less: ``out - x[:, j] · W[j, :]``, and only what lies behind is evaluated for each arm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks.damages import map_chosen, tile_size
from skbandit.networks.gating import Gated
from skbandit.networks.graph import Node, bind
from skbandit.networks.plan import GatedRead, Plan

#: Nodes that may be compiled for all groups together; beyond, one program serves the units of all groups.
MOST_NODES = 4000
#: Arms that go through together at least, if there are so many.
_LEAST_TILE = 4


class _Behind(NamedTuple):
    """What a group's units change.

    Attributes
    ----------
    nodes : tuple of Node
        In order.
    starts : set of Node
        Those that read the units, or count them.
    """

    nodes: tuple[Node, ...]
    starts: frozenset[Node]


def behind(plan: Plan, g: int) -> _Behind:
    """Return what lies behind the units of a group, at the top of the graph."""
    low = plan.groups.offsets[g]
    high = low + plan.groups.sizes[g]

    def concerns(node: Node) -> bool:
        reads = any(((r.units >= low) & (r.units < high)).any() for r in plan.reads.get(node, ()))
        axes = [axis for count in plan.counts.get(node, ()) for axis in count.axes if not isinstance(axis, int)]
        inside = any(concerns(n) for body in node.bodies for n in body.nodes)
        return reads or inside or any(((axis >= low) & (axis < high)).any() for axis in axes)

    changed: set[int] = set()
    nodes, starts = [], set()
    for node in plan.trace.graph.nodes:
        start = concerns(node)
        if start or any(v in changed for v in node.inputs):
            nodes.append(node)
            changed.update(node.outputs)
            if start:
                starts.add(node)
    return _Behind(tuple(nodes), frozenset(starts))


def damages_of_arms(
    plan: Plan,
    inputs: Sequence[Any],
    gates: jax.Array,
    arms: jax.Array,
    loss: Callable[[list[Any]], jax.Array],
) -> jax.Array:
    """Return the damage of masking each of the chosen units alone.

    Parameters
    ----------
    plan : Plan
    inputs : sequence of arrays
        Of the graph.
    gates : f[n_units]
    arms : bool[n_units]
        The units to evaluate; they must be on.
    loss : callable (outputs of the graph) → f[]

    Returns
    -------
    damage : f[n_units]
        0 where not chosen.
    """
    graph = plan.trace.graph
    values = dict(zip(graph.inputs, inputs, strict=True))
    Gated(plan, gates).run_nodes(graph.nodes, values)
    base_gated = Gated(plan, gates)
    base = loss([base_gated.read(v, values) for v in graph.outputs])
    all_behind = [behind(plan, g) for g in range(len(plan.groups.groups))]
    if sum(len(b.nodes) for b in all_behind) > MOST_NODES:

        def whole(unit: jax.Array) -> jax.Array:
            return loss(Gated(plan, gates.at[unit].set(0)).run(graph, inputs)) - base

        return map_chosen(jax.vmap(whole), arms, _tile(plan, graph.nodes, arms.shape[0]))
    damages = []
    for g, chosen in enumerate(plan.groups.split(arms)):
        offset, part = plan.groups.offsets[g], all_behind[g]
        terms = {node: _Terms.of(plan, node, g) for node in part.starts}

        def one(unit: jax.Array, offset: int = offset, part: _Behind = part, terms: Any = terms) -> jax.Array:
            interpreter = Gated(plan, gates.at[offset + unit].set(0))
            new: dict[int, Any] = {}
            for node in part.nodes:
                term = terms.get(node)
                if term is not None and not any(v in new for v in node.inputs):
                    given = base_gated.gated_inputs(node, [base_gated.read(v, values) for v in node.inputs])
                    made = [values[node.outputs[0]] - term.contribution(node, given, unit)]
                else:
                    given = [new[v] if v in new else interpreter.read(v, values) for v in node.inputs]
                    made = list(interpreter.node(node, given))
                new.update(zip(node.outputs, made, strict=True))
            outputs = [new[v] if v in new else interpreter.read(v, values) for v in graph.outputs]
            return loss(outputs) - base

        damages.append(map_chosen(jax.vmap(one), chosen, _tile(plan, part.nodes, chosen.shape[0])))
    return jnp.concatenate(damages)


def _tile(plan: Plan, nodes: Sequence[Node], n_arms: int) -> int:
    """Return how many arms go through at a time: the largest result of one of them is what takes memory."""
    sizes = [int(np.prod(plan.trace.tables.shape(v))) for node in nodes for v in node.outputs]
    return min(max(tile_size(max(sizes, default=1), n_arms), _LEAST_TILE), n_arms)


class _Terms(NamedTuple):
    """The terms of a product or convolution that the units of a group contribute.

    Attributes
    ----------
    read : GatedRead
    other : int
        Axis of the other operand.
    positions : i[n_g, k]
        Positions of each unit; beyond the axis where it has fewer than others.
    """

    read: GatedRead
    other: int
    positions: np.ndarray

    @classmethod
    def of(cls, plan: Plan, node: Node, g: int) -> _Terms | None:
        """Return the terms, None where one unit less is not one term less."""
        reads = plan.reads.get(node, [])
        if len(reads) != 1 or node in plan.counts:
            return None
        (read,) = reads
        if node.name == "dot_general":
            contracted = node.params["dimension_numbers"][0]
            other = contracted[1 - read.operand][contracted[read.operand].index(read.axis)]
        elif node.name == "conv_general_dilated" and node.params["feature_group_count"] == 1:
            given = node.params["dimension_numbers"]
            other = (given[1] if read.operand == 0 else given[0])[1]
        else:
            return None
        low, size = plan.groups.offsets[g], plan.groups.sizes[g]
        mine = np.flatnonzero((read.units >= low) & (read.units < low + size))
        units = read.units[mine] - low
        counts = np.bincount(units, minlength=size)
        order = np.argsort(units, kind="stable")
        place = np.arange(mine.size) - np.repeat(np.cumsum(counts) - counts, counts)
        positions = np.full((size, counts.max(initial=0)), read.units.size)
        positions[units[order], place] = mine[order]
        return cls(read, other, positions)

    def contribution(self, node: Node, given: Sequence[Any], unit: jax.Array) -> Any:
        """Return what a unit adds to the result, with its gate as it is."""
        where = jnp.asarray(self.positions)[unit]
        operands = list(given)
        for i, axis in ((self.read.operand, self.read.axis), (1 - self.read.operand, self.other)):
            operands[i] = jnp.take(given[i], where, axis=axis, mode="fill", fill_value=0)
        return bind(node, operands)[0]
