"""What a rule gets of a primitive, and the table of rules.

A rule gets an `Operation` and calls its methods. A primitive without a rule stops every unit that reaches it: it is
reported, with its line, and never guessed at. `register` adds a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from skbandit._core.constraints import shown
from skbandit.networks.graph import Node, Tables
from skbandit.networks.links import Links, Place

Rule = Callable[["Operation"], None]
#: Rules by the name of the primitive.
RULES: dict[str, Rule] = {}
_registered: list[str] = []


class Operation:
    """A node, as its rule sees it.

    Attributes
    ----------
    node : Node
    links : Links
    inputs, outputs : list of tuple of int
        Shapes of the operands and results.
    params : dict
        Parameters of the primitive.
    """

    def __init__(self, node: Node, tables: Tables, links: Links) -> None:
        self.node, self.links, self.tables = node, links, tables
        self.inputs = [tables.shape(v) for v in node.inputs]
        self.outputs = [tables.shape(v) for v in node.outputs]
        self.params = node.params

    def input(self, i: int, axis: int) -> Place:
        """Return an axis of operand ``i``."""
        return self.links.place(self.node.inputs[i], axis, self.inputs[i][axis])

    def output(self, i: int, axis: int) -> Place:
        """Return an axis of result ``i``."""
        return self.links.place(self.node.outputs[i], axis, self.outputs[i][axis])

    def same(self, a: Place, b: Place) -> None:
        """Link two axes of equal size, position by position."""
        self.links.same(a, b)

    def stop(self, place: Place, reason: str, positions: np.ndarray | None = None) -> None:
        """Let units that reach an axis stay."""
        self.links.stop(place, reason, positions)

    def stop_inputs(self, i: int, reason: str) -> None:
        """Let units that reach any axis of operand ``i`` stay."""
        for axis in range(len(self.inputs[i])):
            self.stop(self.input(i, axis), reason)

    def stop_outputs(self, reason: str) -> None:
        """Let units that reach any axis of a result stay."""
        for i, shape in enumerate(self.outputs):
            for axis in range(len(shape)):
                self.stop(self.output(i, axis), reason)

    def stop_all(self, reason: str) -> None:
        """Let units that reach any axis of an operand or result stay."""
        for i in range(len(self.inputs)):
            self.stop_inputs(i, reason)
        self.stop_outputs(reason)

    def read(self, axes: dict[int, int], place: Place, repeats: int = 1) -> None:
        """Say that units end here: the node contracts or reduces these axes of its operands."""
        self.links.read(self.node, axes, place, repeats)

    def elementwise(self, inputs: Sequence[int] | None = None) -> None:
        """Link operands and results axis by axis; an axis of size 1 goes with all positions of a longer one."""
        shape = max((*self.inputs, *self.outputs), key=lambda s: (len(s), math.prod(s)), default=())
        operands = range(len(self.inputs)) if inputs is None else inputs
        places = [(self.inputs[i], self.input, i) for i in operands]
        places += [(s, self.output, i) for i, s in enumerate(self.outputs)]
        if any(
            s and (len(s) != len(shape) or any(n not in (1, m) for n, m in zip(s, shape, strict=True)))
            for s, *_ in places
        ):
            self.stop_all(f"shapes of {self.node.name} that do not fit axis by axis")
            return
        for axis, size in enumerate(shape):
            there = [(s[axis], place(i, axis)) for s, place, i in places if s]
            full = [place for n, place in there if n == size]
            for place in full[1:]:
                self.same(full[0], place)
            for n, place in there:
                if n != size:
                    self.stop(place, "an axis of size 1 is broadcast")


def rules_version() -> int:
    """Return a number that is another one once a rule has been registered: traces were linked by the rules before."""
    return len(_registered)


def register(name: str, rule: Rule) -> None:
    """Add the rule of a primitive, or replace it.

    A rule says which axes of the operands and results hold the same units. Without one, all units that reach the
    primitive are refused.

    Parameters
    ----------
    name : str
        Name of the primitive, as ``jax.make_jaxpr`` prints it.
    rule : callable (Operation) → None
        Called with an `Operation` when a function is traced. It calls methods of it: ``elementwise()``; ``same(a, b)``
        for two axes with the same units; ``stop(axis, reason)`` for an axis whose units must stay; ``read(axes, axis)``
        for a contraction or reduction, where units end. An axis is ``operation.input(i, axis)`` or
        ``operation.output(i, axis)``. Every axis of every operand and result needs one of them.

    Notes
    -----
    The smaller function evaluates the primitive with the parameters of the full trace. So these must not hold sizes of
    the axes that the rule links. A primitive that reads an axis gets 0 for masked units.

    Examples
    --------
    A primitive that works on each element:

    >>> from skbandit.networks.rules import register
    >>> register("my_elementwise_primitive", lambda operation: operation.elementwise())

    A primitive that sorts along its last axis: the units of that axis stay, the other axes are unchanged.

    >>> def rule(operation):
    ...     *others, last = range(len(operation.inputs[0]))
    ...     for axis in others:
    ...         operation.same(operation.input(0, axis), operation.output(0, axis))
    ...     operation.stop(operation.input(0, last), "sorted")
    ...     operation.stop(operation.output(0, last), "sorted")
    >>> register("my_sort", rule)
    """
    if not isinstance(name, str):
        raise ValueError(f"The 'name' of a rule must be the name of a primitive. Got {shown(name)} instead.")
    if not callable(rule):
        raise ValueError(f"The 'rule' of {name!r} must be callable. Got {shown(rule)} instead.")
    RULES[name] = rule
    _registered.append(name)


def rule_of(*names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that adds the rule of some primitives."""

    def add(rule: Rule) -> Rule:
        for name in names:
            RULES[name] = rule
        return rule

    return add
