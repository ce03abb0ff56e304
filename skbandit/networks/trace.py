"""A user's function, traced at some shapes: its graph, its parameters in it, and the classes of its axes."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from skbandit._core.constraints import shown
from skbandit.networks.graph import Graph, Tables, flatten
from skbandit.networks.groups import plain_path
from skbandit.networks.links import Classes, Links
from skbandit.networks.operations import rules_version
from skbandit.networks.rules import declare, link, stop_variables

Apply = Callable[..., Any]
#: Traces that are remembered: one for each function and shapes.
_MOST_TRACES = 64
#: Settings that are part of what is traced.
_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_default_prng_impl")


class Variables(NamedTuple):
    """Parameters and state, where a function takes both: one tree to the groups.

    Attributes
    ----------
    params : pytree
        What is trained.
    state : pytree
        What the function keeps beside: statistics of batches.
    """

    params: Any
    state: Any


class Leaf(NamedTuple):
    """A parameter of the function."""

    path: tuple[Any, ...]
    """Plain keys, as in a `Slice`."""
    variable: int
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The path as people write it."""
        return ".".join(map(str, self.path)) or "params"


class Trace(NamedTuple):
    """What tracing gives.

    Attributes
    ----------
    graph, tables : Graph, Tables
    leaves : tuple of Leaf
        Parameters, and state.
    examples : tuple of int
        Variables of the other arguments, flat.
    classes : Classes
    structure : PyTreeDef
        Of what the function returns.
    carries_state : bool
        Whether that is (outputs, new state).
    """

    graph: Graph
    tables: Tables
    leaves: tuple[Leaf, ...]
    examples: tuple[int, ...]
    classes: Classes
    structure: Any
    carries_state: bool

    def outputs(self, made: Sequence[Any]) -> Any:
        """Return the outputs of the function from those of the graph, without a new state."""
        returned = jax.tree.unflatten(self.structure, made)
        return returned[0] if self.carries_state else returned


class UntraceableError(ValueError):
    """A function that JAX cannot trace."""


def specs(tree: Any, owner: str) -> Any:
    """Return shapes and dtypes of the leaves of a tree.

    Raises
    ------
    ValueError
        If a leaf is no array.
    """

    def spec(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            if not isinstance(leaf, (bool, int, float, complex)):
                raise ValueError(
                    f"The leaf {jax.tree_util.keystr(path)} of {owner} must be an array. Got {shown(leaf)}: keep what "
                    "is no parameter out of the tree (equinox.partition, nnx.split)."
                )
            leaf = np.asarray(leaf)
        if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer) and leaf.is_deleted():
            raise ValueError(
                f"The leaf {jax.tree_util.keystr(path)} of {owner} is an array that was deleted, as donated ones are."
            )
        try:
            dtype: Any = jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
            is_number = any(jnp.issubdtype(dtype, k) for k in (np.number, np.bool_, jax.dtypes.prng_key))
        except TypeError:  # dtypes of other libraries
            is_number = False
        if not is_number:
            raise ValueError(
                f"The leaf {jax.tree_util.keystr(path)} of {owner} must be an array of numbers. Got one of dtype "
                f"{leaf.dtype}."
            )
        return jax.ShapeDtypeStruct(tuple(leaf.shape), dtype)

    return jax.tree_util.tree_map_with_path(spec, tree)


def traced(
    apply: Apply, variables: Any, example: Sequence[Any], has_state: bool, tables: Tables
) -> tuple[Graph, Any, Any]:
    """Trace a function at the shapes of its arguments; its variables are added to ``tables``.

    Returns
    -------
    graph : Graph
    given : pytree
        The arguments, with the numbers of their variables in place of leaves: (variables, *example).
    returned : pytree of int
        What the function returns, likewise.
    """

    def call(variables: Any, *example: Any) -> Any:
        return apply(*variables, *example) if has_state else apply(variables, *example)

    if not callable(apply):
        raise ValueError(f"The 'apply' function must be callable. Got {shown(apply)} instead.")
    try:
        closed, shapes = jax.make_jaxpr(call, return_shape=True)(variables, *example)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        first = _first_line(error)
        raise UntraceableError(
            "The 'apply' function cannot be traced: it must run under jax.jit, without float(), .item(), if or while "
            f"on values that depend on its arguments ({type(error).__name__}: {first})."
        ) from None
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # Most often arguments that do not fit; an error of another kind is one that the user means to see.
        raise UntraceableError(
            f"The 'apply' function failed with {described(variables, example)} ({type(error).__name__}: "
            f"{_first_line(error)})."
        ) from error
    if not jax.tree.leaves(shapes):
        raise UntraceableError(f"The 'apply' function must return arrays. It returned {shown(shapes)}.")
    graph = flatten(closed, tables)
    given = jax.tree.unflatten(jax.tree.structure((variables, *example)), graph.inputs)
    returned = jax.tree.unflatten(jax.tree.structure(shapes), graph.outputs)
    return graph, given, returned


def described(variables: Any, example: Sequence[Any]) -> str:
    """Say with what a function is called, in a line."""
    given = list(variables) if isinstance(variables, Variables) else [variables]
    names = ["params", "state"][: len(given)] + [f"argument {i}" for i in range(len(example))]
    return "; ".join(f"{name} = {_shapes(tree)}" for name, tree in zip(names, [*given, *example], strict=True))


def _shapes(tree: Any) -> str:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    said = [f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}".strip() for path, leaf in leaves[:6]]
    return ", ".join(said + ["..."] * (len(leaves) > 6)) or shown(tree)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no message"


def trace(applies: Sequence[tuple[Apply, Sequence[Any]]], variables: Any, frozen: Callable[[Leaf], bool]) -> Trace:
    """Trace functions of the same parameters, and link the axes of all.

    Parameters
    ----------
    applies : sequence of (callable, arguments)
        The function, and others that read the same parameters, each with shapes of its arguments.
    variables : pytree or Variables
        Shapes of the parameters, and of the state.
    frozen : callable (Leaf) → bool
        Parameters that are to be left alone.

    Returns
    -------
    Trace
        Of the first function; the links of all.
    """
    has_state = isinstance(variables, Variables)
    links, tables = Links(), Tables()
    first: tuple[Any, ...] = ()
    for apply, example in applies:
        graph, given, returned = traced(apply, variables, example, has_state, tables)
        paths = [plain_path(path) for path, _ in jax.tree_util.tree_flatten_with_path(variables)[0]]
        numbers = jax.tree.leaves(given[0])
        leaves = tuple(Leaf(p, v, tables.shape(v)) for p, v in zip(paths, numbers, strict=True))
        examples = tuple(jax.tree.leaves(given[1:]))
        declare(links, tables, [*graph.inputs, *graph.outputs])
        link(graph, tables, links)
        outputs = returned
        if has_state and isinstance(returned, tuple) and len(returned) == 2:
            outputs = _carried(links, tables, given[0].state, returned)
        stop_variables(links, tables, examples, "an input of the function")
        stop_variables(links, tables, jax.tree.leaves(outputs), "an output of the function")
        if not first:
            first = graph, leaves, examples, jax.tree.structure(returned), outputs is not returned
        else:
            for leaf, own in zip(first[1], leaves, strict=True):
                for axis, size in enumerate(leaf.shape):
                    links.same(links.place(leaf.variable, axis, size), links.place(own.variable, axis, size))
    graph, leaves, examples, structure, carries_state = first
    for leaf in leaves:
        if frozen(leaf):
            stop_variables(links, tables, [leaf.variable], "frozen by the user")
    return Trace(graph, tables, leaves, examples, links.closed(), structure, carries_state)


def _carried(links: Links, tables: Tables, state: Any, returned: Any) -> Any:
    """Link the new state with the old one, leaf by leaf; return what are outputs."""
    structure: Any = jax.tree.structure(returned[1])
    if structure != jax.tree.structure(state):
        return returned
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(returned[1]), strict=True):
        if tables.shape(old) != tables.shape(new):
            return returned
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(returned[1]), strict=True):
        for axis, size in enumerate(tables.shape(old)):
            links.same(links.place(old, axis, size), links.place(new, axis, size))
    return returned[0]


_traces: OrderedDict[Hashable, Any] = OrderedDict()
_lock = threading.Lock()


def remembered(key: Hashable, make: Callable[[], Any]) -> Any:
    """Return what ``make`` returns, made once for a key and for the settings of JAX that matter to a trace."""
    key = key, rules_version(), tuple(getattr(jax.config, name, None) for name in _SETTINGS)
    with _lock:
        if key in _traces:
            _traces.move_to_end(key)
            return _traces[key]
    value = make()
    with _lock:
        _traces[key] = value
        while len(_traces) > _MOST_TRACES:
            _traces.popitem(last=False)
    return value


def version_of(apply: Apply, variables: Any, example: Sequence[Any]) -> str:
    """Return what tells a function from what the same object computed before, such as a method whose object changed.

    The text of its trace, and the numbers of the arrays that it closes over.
    """
    has_state = isinstance(variables, Variables)

    def call(variables: Any, *example: Any) -> Any:  # a new one: JAX remembers traces of functions that are equal
        return apply(*variables, *example) if has_state else apply(variables, *example)

    try:
        closed = jax.make_jaxpr(call)(variables, *example)
    except Exception:  # it is traced again, where the error is explained
        return ""
    digest = hashlib.sha256(str(closed).encode())
    for constant in closed.consts:
        if not jnp.issubdtype(constant.dtype, jax.dtypes.extended):
            digest.update(np.asarray(constant).tobytes())
    return digest.hexdigest()


def shape_key(tree: Any) -> Hashable:
    """Return structure, shapes and dtypes of a tree, to be a key."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((tuple(leaf.shape), str(leaf.dtype)) for leaf in leaves)
