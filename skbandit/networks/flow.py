"""What flows where in a graph: what a variable depends on, and which variables are one value under two numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from skbandit.networks.graph import Graph, Node, is_call

Origins = dict[int, frozenset[int]]
"""For each variable, the numbers of the inputs that it depends on; variables without are left out."""


def origins(graph: Graph, inputs: Mapping[int, Iterable[int]], alone: int | None = None) -> Origins:
    """Return what each variable depends on.

    Parameters
    ----------
    graph : Graph
    inputs : dict of int to numbers
        What the inputs of the graph stand for.
    alone : int, optional
        A number beside which no other is kept: the sets stay small in a deep network.

    Returns
    -------
    dict of int to frozenset of int
    """
    flow = _Flow(alone)
    for variable, given in inputs.items():
        flow.found[variable] = flow.reduced(frozenset(given))
    flow.follow(graph)
    return flow.found


class _Flow:
    def __init__(self, alone: int | None) -> None:
        self.found: Origins = {}
        self._alone = alone
        self._only = frozenset() if alone is None else frozenset([alone])

    def reduced(self, numbers: frozenset[int]) -> frozenset[int]:
        return self._only if self._alone in numbers else numbers

    def of(self, variables: Sequence[int]) -> list[frozenset[int]]:
        return [self.found.get(v, frozenset()) for v in variables]

    def union(self, variables: Sequence[int]) -> frozenset[int]:
        return self.reduced(frozenset().union(*self.of(variables)))

    def join(self, variables: Sequence[int], more: Sequence[frozenset[int]]) -> None:
        for variable, given in zip(variables, more, strict=True):
            old = self.found.get(variable)
            if old is None:
                if given:
                    self.found[variable] = given
            elif not given <= old:
                self.found[variable] = self.reduced(old | given)

    def follow(self, graph: Graph) -> None:
        for node in graph.nodes:
            if not node.bodies:
                self.join(node.outputs, [self.union(node.inputs)] * len(node.outputs))
            elif node.name == "scan":
                self.scan(node)
            elif node.name == "while":
                self.loop(node)
            else:
                operands = node.inputs if is_call(node) else node.inputs[1:]
                for body in node.bodies:
                    self.join(body.inputs, self.of(operands))
                    self.follow(body)
                    self.join(node.outputs, self.of(body.outputs))
                if not is_call(node):  # the branch that is taken depends on the index
                    self.join(node.outputs, [self.union(node.inputs[:1])] * len(node.outputs))

    def scan(self, node: Node) -> None:
        (body,) = node.bodies
        n_consts, n_carry = node.params["num_consts"], node.params["num_carry"]
        self.join(body.inputs, self.of(node.inputs))
        carry = body.inputs[n_consts : n_consts + n_carry]
        while True:  # what the carry depends on grows until it holds
            before = self.of(carry)
            self.follow(body)
            self.join(carry, self.of(body.outputs[:n_carry]))
            if self.of(carry) == before:
                break
        self.join(node.outputs, self.of(body.outputs))

    def loop(self, node: Node) -> None:
        condition, body = node.bodies
        n_condition, n_body = node.params["cond_nconsts"], node.params["body_nconsts"]
        self.join(condition.inputs[:n_condition], self.of(node.inputs[:n_condition]))
        self.join(body.inputs, self.of(node.inputs[n_condition:]))
        carry = body.inputs[n_body:]
        while True:
            before = self.of(carry)
            self.join(condition.inputs[n_condition:], before)
            self.follow(condition)
            self.follow(body)
            # How often the loop runs depends on what its condition reads.
            times = self.union(condition.outputs)
            self.join(carry, [self.reduced(made | times) for made in self.of(body.outputs)])
            if self.of(carry) == before:
                break
        self.join(node.outputs, self.of(carry))


def aliases(graph: Graph) -> dict[int, int]:
    """Return variables inside of bodies that are variables outside, and results of calls that are variables inside."""
    found: dict[int, int] = {}
    for node in graph.walk():
        for inside, outside in _shared(node):
            found.update(zip(inside, outside, strict=True))
        if is_call(node):
            found.update(zip(node.outputs, node.bodies[0].outputs, strict=True))
    return found


def _shared(node: Node) -> Iterable[tuple[Sequence[int], Sequence[int]]]:
    """Yield inputs of bodies, and the operands that they are in every turn."""
    if is_call(node):
        yield node.bodies[0].inputs, node.inputs
    elif node.name == "scan":
        n = node.params["num_consts"]
        yield node.bodies[0].inputs[:n], node.inputs[:n]
    elif node.name == "while":
        condition, body = node.bodies
        n, m = node.params["cond_nconsts"], node.params["body_nconsts"]
        yield condition.inputs[:n], node.inputs[:n]
        yield body.inputs[:m], node.inputs[n : n + m]
    elif node.name == "cond":
        for body in node.bodies:
            yield body.inputs, node.inputs[1:]


#: Operations that put what they get in another place, and do not change a number.
_MOVES = {
    *("broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "stop_gradient", "copy", "slice"),
    *("rev", "split", "concatenate", "stack", "unstack", "tile", "dynamic_slice", "optimization_barrier", "device_put"),
    *("sharding_constraint", "name"),
}


def moved(graph: Graph, variables: Collection[int]) -> set[int]:
    """Return the variables that hold nothing but numbers of the given ones."""
    alias = aliases(graph)
    found = set(variables)
    for node in graph.walk():
        if node.name == "scan":
            held = node.params["num_consts"] + node.params["num_carry"]
            (body,) = node.bodies
            found |= {a for a, b in zip(body.inputs[held:], node.inputs[held:], strict=True) if b in found}
        for body in node.bodies:
            found |= {v for v in body.inputs if alias.get(v) in found}
        if node.name in _MOVES:
            arrays = node.inputs[:1] if node.name == "dynamic_slice" else node.inputs
            if all(v in found for v in arrays):
                found.update(node.outputs)
    return found
