"""What flows where in a graph: which variables depend on the data, and which parameters a variable is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from skbandit.networks.graph import Graph, Node, is_call

Origins = dict[int, frozenset[int]]
"""For each variable, the numbers of the inputs that it depends on; variables without are left out."""


def origins(graph: Graph, inputs: Mapping[int, Iterable[int]]) -> Origins:
    """Return what each variable depends on.

    Parameters
    ----------
    graph : Graph
    inputs : dict of int to numbers
        What the inputs of the graph stand for.

    Returns
    -------
    dict of int to frozenset of int
    """
    found: Origins = {variable: frozenset(given) for variable, given in inputs.items()}
    _follow(graph, found)
    return found


def _follow(graph: Graph, found: Origins) -> None:
    for node in graph.nodes:
        if not node.bodies:
            _join(found, node.outputs, [_union(found, node.inputs)] * len(node.outputs))
        elif node.name == "scan":
            _scan(node, found)
        elif node.name == "while":
            _while(node, found)
        else:
            operands = node.inputs if is_call(node) else node.inputs[1:]
            for body in node.bodies:
                _join(found, body.inputs, _of(found, operands))
                _follow(body, found)
                _join(found, node.outputs, _of(found, body.outputs))
            if not is_call(node):  # the branch that is taken depends on the index
                _join(found, node.outputs, [_union(found, node.inputs[:1])] * len(node.outputs))


def _scan(node: Node, found: Origins) -> None:
    (body,) = node.bodies
    n_consts, n_carry = node.params["num_consts"], node.params["num_carry"]
    _join(found, body.inputs, _of(found, node.inputs))
    carry = body.inputs[n_consts : n_consts + n_carry]
    while True:  # what the carry depends on grows until it holds
        before = _of(found, carry)
        _follow(body, found)
        _join(found, carry, _of(found, body.outputs[:n_carry]))
        if _of(found, carry) == before:
            break
    _join(found, node.outputs, _of(found, body.outputs))


def _while(node: Node, found: Origins) -> None:
    condition, body = node.bodies
    n_condition, n_body = node.params["cond_nconsts"], node.params["body_nconsts"]
    _join(found, condition.inputs[:n_condition], _of(found, node.inputs[:n_condition]))
    _join(found, body.inputs, _of(found, node.inputs[n_condition:]))
    carry = body.inputs[n_body:]
    while True:
        before = _of(found, carry)
        _join(found, condition.inputs[n_condition:], before)
        _follow(condition, found)
        _follow(body, found)
        # How often the loop runs depends on what its condition reads.
        times = _union(found, condition.outputs)
        _join(found, carry, [made | times for made in _of(found, body.outputs)])
        if _of(found, carry) == before:
            break
    _join(found, node.outputs, _of(found, carry))


def _of(found: Origins, variables: Sequence[int]) -> list[frozenset[int]]:
    return [found.get(v, frozenset()) for v in variables]


def _union(found: Origins, variables: Sequence[int]) -> frozenset[int]:
    return frozenset().union(*_of(found, variables))


def _join(found: Origins, variables: Sequence[int], more: Sequence[frozenset[int]]) -> None:
    for variable, given in zip(variables, more, strict=True):
        if given or variable in found:
            found[variable] = found.get(variable, frozenset()) | given
