"""A traced function as a graph of numbered variables, and how it is evaluated again.

`jax.make_jaxpr` gives one inner program object for every call of a function, so that two calls of ``relu`` share their
variables. Here every call gets variables of its own. ``jit`` and its like are inlined; loops, branches and functions
with derivatives of their own are nodes with graphs inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

#: Calls whose body takes their place.
_INLINED = {"jit", "pjit", "closed_call", "core_call", "core_closed_call", "call"}
#: Calls that are kept, for what they say of derivatives or memory, and the parameter that holds their body.
_CALLS = {
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
}
#: Where files of JAX are.
JAX_FOLDER = os.path.join(os.path.dirname(os.path.abspath(jax.__file__)), "")


@dataclasses.dataclass(eq=False)
class Node:
    """One operation.

    Attributes
    ----------
    equation : JaxprEqn
        As JAX traced it.
    inputs, outputs : tuple of int
        Numbers of variables.
    bodies : tuple of Graph
        Of a scan: its body; of a while loop: its condition and its body; of a conditional: its branches; of a call: its
        body.
    calls : tuple of JaxprEqn
        The calls that it is inside of, outermost first.
    """

    equation: JaxprEqn
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    bodies: tuple[Graph, ...] = ()
    calls: tuple[JaxprEqn, ...] = ()

    @property
    def name(self) -> str:
        """Name of the primitive."""
        name: str = self.equation.primitive.name
        return name

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the primitive."""
        return self.equation.params

    @property
    def source(self) -> str:
        """File and line of the innermost call outside of JAX."""
        sources = (source_of(equation) for equation in (self.equation, *reversed(self.calls)))
        return next(filter(None, sources), "")


@dataclasses.dataclass(eq=False)
class Graph:
    """Operations in order."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        """Yield all nodes, those inside of others after the ones that hold them."""
        for node in self.nodes:
            yield node
            for body in node.bodies:
                yield from body.walk()


class Tables:
    """What is known of the variables of a graph and of all graphs inside it.

    Attributes
    ----------
    avals : list
        Shape and dtype of each variable.
    constants : dict of int to array
        Values of the variables that are constants.
    """

    def __init__(self) -> None:
        self.avals: list[Any] = []
        self.constants: dict[int, Any] = {}

    def new(self, aval: Any) -> int:
        """Return the number of a new variable."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def shape(self, variable: int) -> tuple[int, ...]:
        """Return the shape of a variable; () for tokens and the like."""
        return tuple(getattr(self.avals[variable], "shape", ()))


def flatten(closed: ClosedJaxpr, tables: Tables) -> Graph:
    """Return the graph of a traced function; its variables are added to ``tables``."""
    inputs = [tables.new(var.aval) for var in closed.jaxpr.invars]
    nodes, outputs = _nodes(closed.jaxpr, closed.consts, inputs, tables)
    return Graph(tuple(inputs), tuple(outputs), tuple(nodes))


def _nodes(
    jaxpr: Jaxpr, constants: Sequence[Any], inputs: Sequence[int], tables: Tables, calls: tuple[JaxprEqn, ...] = ()
) -> tuple[list[Node], list[int]]:
    numbers: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))

    def constant(aval: Any, value: Any) -> int:
        number = tables.new(aval)
        tables.constants[number] = value
        return number

    for var, value in zip(jaxpr.constvars, constants, strict=True):
        numbers[var] = constant(var.aval, value)

    def number(atom: Any) -> int:
        return constant(atom.aval, atom.val) if isinstance(atom, Literal) else numbers[atom]

    nodes: list[Node] = []
    for equation in jaxpr.eqns:
        given = [number(atom) for atom in equation.invars]
        name, params = equation.primitive.name, equation.params
        if name in _INLINED:
            body = next(params[key] for key in ("jaxpr", "call_jaxpr") if key in params)
            inner, made = _nodes(*opened(body), given, tables, (*calls, equation))
            nodes += inner
            numbers.update(zip(equation.outvars, made, strict=True))
            continue
        made = [tables.new(var.aval) for var in equation.outvars]
        numbers.update(zip(equation.outvars, made, strict=True))
        bodies = tuple(_graph(body, tables, (*calls, equation)) for body in _bodies(name, params))
        nodes.append(Node(equation, tuple(given), tuple(made), bodies, calls))
    return nodes, [number(atom) for atom in jaxpr.outvars]


def _bodies(name: str, params: dict[str, Any]) -> Sequence[Any]:
    if name == "scan":
        return (params["jaxpr"],)
    if name == "while":
        return params["cond_jaxpr"], params["body_jaxpr"]
    if name == "cond":
        branches: Sequence[Any] = params["branches"]
        return branches
    return (params[_CALLS[name]],) if name in _CALLS else ()


def is_call(node: Node) -> bool:
    """Say whether a node is a call of one body, with the operands of the body."""
    return node.name in _CALLS


def opened(body: ClosedJaxpr | Jaxpr) -> tuple[Jaxpr, Sequence[Any]]:
    """Return a program, and the constants that it has of its own."""
    return (body.jaxpr, body.consts) if isinstance(body, ClosedJaxpr) else (body, ())


def _graph(body: ClosedJaxpr | Jaxpr, tables: Tables, calls: tuple[JaxprEqn, ...]) -> Graph:
    jaxpr, constants = opened(body)
    inputs = [tables.new(var.aval) for var in jaxpr.invars]
    nodes, outputs = _nodes(jaxpr, constants, inputs, tables, calls)
    return Graph(tuple(inputs), tuple(outputs), tuple(nodes))


def source_of(equation: JaxprEqn) -> str:
    """Return file and line of the innermost call outside of JAX, "" where it is not known."""
    traceback = getattr(equation.source_info, "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        if not frame.file_name.startswith(JAX_FOLDER):
            return f"{os.path.basename(frame.file_name)}:{frame.line_num}"
    return ""


class Interpreter:
    """Evaluates a graph, node by node; subclasses change what some nodes do.

    Parameters
    ----------
    tables : Tables
        Of the graph.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def run(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of the graph."""
        values = dict(zip(graph.inputs, inputs, strict=True))
        self.run_nodes(graph.nodes, values)
        return [self.read(v, values) for v in graph.outputs]

    def run_nodes(self, nodes: Sequence[Node], values: dict[int, Any]) -> None:
        """Evaluate nodes in order, with the values of variables that are there; the new ones are put beside them."""
        for node in nodes:
            made = self.node(node, [self.read(v, values) for v in node.inputs])
            values.update(zip(node.outputs, made, strict=True))

    def read(self, variable: int, values: dict[int, Any]) -> Any:
        """Return the value of a variable."""
        return values[variable] if variable in values else self.constant(variable)

    def constant(self, variable: int) -> Any:
        """Return the value of a constant."""
        return self.tables.constants[variable]

    def changes(self, node: Node) -> bool:
        """Say whether something inside the bodies of a node is not to be evaluated as it was traced."""
        return False

    def node(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate one node."""
        if node.bodies and self.changes(node):
            return self.nested(node, inputs)
        return bind(node, inputs)

    def nested(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a node anew from the graphs inside it."""
        if is_call(node):
            return self.call(node, inputs)
        evaluate: dict[str, Callable[..., Sequence[Any]]] = {
            "scan": self.scan,
            "while": self.loop,
            "cond": self.branch,
        }
        return evaluate[node.name](node, inputs)

    def call(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate the body of a call."""
        (body,) = node.bodies
        if "policy" in node.params:  # keep what it says of memory
            options = {name: node.params[name] for name in ("policy", "prevent_cse")}
            made: list[Any] = jax.checkpoint(lambda *args: self.run(body, args), **options)(*inputs)
            return made
        return self.run(body, inputs)

    def scan(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a scan."""
        n_consts, n_carry = node.params["num_consts"], node.params["num_carry"]
        consts, carry, xs = inputs[:n_consts], inputs[n_consts : n_consts + n_carry], inputs[n_consts + n_carry :]
        (body,) = node.bodies

        def step(carry: Any, x: Any) -> Any:
            made = self.run(body, [*consts, *carry, *x])
            return tuple(made[:n_carry]), tuple(made[n_carry:])

        options = {name: node.params[name] for name in ("length", "reverse", "unroll")}
        carry, ys = lax.scan(step, tuple(carry), tuple(xs), **options)
        return [*carry, *ys]

    def loop(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a while loop."""
        n_condition, n_body = node.params["cond_nconsts"], node.params["body_nconsts"]
        for_condition, for_body = inputs[:n_condition], inputs[n_condition : n_condition + n_body]
        condition, body = node.bodies
        made: tuple[Any, ...] = lax.while_loop(
            lambda carry: self.run(condition, [*for_condition, *carry])[0],
            lambda carry: tuple(self.run(body, [*for_body, *carry])),
            tuple(inputs[n_condition + n_body :]),
        )
        return made

    def branch(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a conditional."""
        index, *operands = inputs

        def of(body: Graph) -> Callable[..., tuple[Any, ...]]:
            return lambda *args: tuple(self.run(body, args))

        made: tuple[Any, ...] = lax.switch(index, [of(body) for body in node.bodies], *operands)
        return made


def bind(node: Node, inputs: Sequence[Any], **changed: Any) -> Sequence[Any]:
    """Evaluate a node as it was traced, but for parameters of the primitive that are given anew."""
    equation = node.equation
    params = equation.primitive.get_bind_params(equation.params | changed)
    functions, params = params if isinstance(params, tuple) else ((), params)  # as versions of JAX differ
    manager = getattr(getattr(equation, "ctx", None), "manager", contextlib.nullcontext())
    with manager:
        made: Any = equation.primitive.bind(*functions, *inputs, **params)
    return tuple(made) if equation.primitive.multiple_results else (made,)


def is_float(aval: Any) -> bool:
    """Say whether a variable holds floats or complex numbers."""
    return hasattr(aval, "dtype") and bool(np.issubdtype(aval.dtype, np.inexact) or _is_extended_float(aval.dtype))


def _is_extended_float(dtype: Any) -> bool:
    return bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))
