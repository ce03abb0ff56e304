"""A traced function at smaller shapes: the positions of units that left are cut out of every variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks.graph import JAX_FOLDER, Interpreter, Node, bind, opened
from skbandit.networks.plan import Plan, kept_positions

Kept = list[np.ndarray | None]


class Resized(Interpreter):
    """Evaluates a trace on smaller parameters.

    Parameters
    ----------
    plan : Plan
    mask : bool[n_units]
        Units that stay.
    """

    def __init__(self, plan: Plan, mask: np.ndarray) -> None:
        super().__init__(plan.trace.tables)
        self.plan, self.mask = plan, mask
        self._kept: dict[int, Kept] = {}

    def kept(self, variable: int) -> Kept:
        """Return the positions of each axis that stay, None where all do."""
        if variable not in self._kept:
            self._kept[variable] = kept_positions(self.plan.units_of(variable), self.mask)
        return self._kept[variable]

    def is_smaller(self, variable: int) -> bool:
        """Say whether a variable has lost positions."""
        return any(kept is not None for kept in self.kept(variable))

    def shape(self, variable: int) -> tuple[int, ...]:
        """Return the shape of a variable as it is now."""
        full = self.tables.shape(variable)
        return tuple(n if k is None else k.size for n, k in zip(full, self.kept(variable), strict=True))

    def constant(self, variable: int) -> Any:
        """Return a constant, cut."""
        return cut(super().constant(variable), self.kept(variable))

    def changes(self, node: Node) -> bool:
        """Say whether a variable inside a node, or the number that a mean divides by, is another one."""
        inside = [n for body in node.bodies for n in body.walk()]
        return any(n in self.plan.counts or any(map(self.is_smaller, (*n.inputs, *n.outputs))) for n in (node, *inside))

    def call(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate a call.

        A derivative that the function defines itself is known at the full shapes only. Where the body reads no unit,
        positions do not depend on those that left: the call is evaluated at the full shapes, with any number in these.
        Elsewhere the derivative is that of the body.
        """
        if node.name not in ("custom_jvp_call", "custom_vjp_call") or node in self.plan.touched:
            return super().call(node, inputs)
        ours = _of_jax(node)
        if ours is not None:
            return [ours(*inputs)]
        given = [filled(x, self.kept(v), self.tables.shape(v)) for x, v in zip(inputs, node.inputs, strict=True)]
        return [cut(made, self.kept(v)) for made, v in zip(bind(node, given), node.outputs, strict=True)]

    def node(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        """Evaluate one node at the shapes that its operands have now."""
        if node.bodies:
            return super().node(node, inputs)
        given = list(inputs)
        for count in self.plan.counts.get(node, ()):
            given[count.operand] = count.changed(jnp.asarray(given[count.operand]), self.mask)
        resize = _RESIZE.get(node.name)
        if resize is None or not any(map(self.is_smaller, (*node.inputs, *node.outputs))):
            return bind(node, given)
        return resize(self, node, given)


def cut(array: Any, kept: Kept) -> Any:
    """Return the positions of each axis that stay."""
    for axis, positions in enumerate(kept):
        if positions is not None:
            array = jnp.take(jnp.asarray(array), positions, axis=axis)
    return array


def filled(array: Any, kept: Kept, shape: Sequence[int]) -> Any:
    """Return an array at its full shape, 0 where `cut` has taken positions."""
    for axis, positions in enumerate(kept):
        if positions is not None:
            array = jnp.moveaxis(array, axis, 0)
            full = jnp.zeros((shape[axis], *array.shape[1:]), array.dtype)
            array = jnp.moveaxis(full.at[positions].set(array, unique_indices=True), 0, axis)
    return array


#: Functions of JAX with derivatives of their own that work element by element: called anew, at the smaller shapes.
_OF_JAX: dict[str, Callable[..., Any]] = {
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "logaddexp": jnp.logaddexp,
    "xlogy": jax.scipy.special.xlogy,
    "xlog1py": jax.scipy.special.xlog1py,
}


def _of_jax(node: Node) -> Callable[..., Any] | None:
    """Return the function of JAX that a call is of."""
    info = getattr(opened(node.params["call_jaxpr"])[0].debug_info, "func_src_info", None) or ""
    name, _, source = info.partition(" at ")
    return _OF_JAX.get(name) if source.startswith(JAX_FOLDER) else None


Resize = Callable[[Resized, Node, list[Any]], Sequence[Any]]
_RESIZE: dict[str, Resize] = {}


def _resize(*names: str) -> Callable[[Resize], Resize]:
    def add(resize: Resize) -> Resize:
        for name in names:
            _RESIZE[name] = resize
        return resize

    return add


@_resize("reshape")
def _reshape(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    return bind(node, given, new_sizes=now.shape(node.outputs[0]))


@_resize("broadcast_in_dim")
def _broadcast(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    return bind(node, given, shape=now.shape(node.outputs[0]))


@_resize("split")
def _split(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    axis = node.params["axis"]
    return bind(node, given, sizes=tuple(now.shape(v)[axis] for v in node.outputs))


@_resize("slice")
def _slice(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    (array,) = given
    before, after = now.kept(node.inputs[0]), now.kept(node.outputs[0])
    full_in, full_out = now.tables.shape(node.inputs[0]), now.tables.shape(node.outputs[0])
    strides = node.params["strides"] or (1,) * len(full_in)
    for axis, (start, stride) in enumerate(zip(node.params["start_indices"], strides, strict=True)):
        window = start + stride * np.arange(full_out[axis])
        kept, there = after[axis], before[axis]
        wanted = window if kept is None else window[kept]
        positions = wanted if there is None else np.searchsorted(there, wanted)
        if positions.size == array.shape[axis]:
            continue
        if positions.size and (np.diff(positions) == 1).all():
            array = jax.lax.slice_in_dim(array, int(positions[0]), int(positions[-1]) + 1, axis=axis)
        else:
            array = jnp.take(array, positions, axis=axis)
    return [array]


@_resize("gather")
def _gather(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    sizes, batching = list(node.params["slice_sizes"]), node.params["dimension_numbers"].operand_batching_dims
    full = now.tables.shape(node.inputs[0])
    for axis, size in enumerate(now.shape(node.inputs[0])):
        if size != full[axis] and axis not in batching:
            sizes[axis] = size
    return bind(node, given, slice_sizes=tuple(sizes))


@_resize("dynamic_slice")
def _dynamic_slice(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    return bind(node, given, slice_sizes=now.shape(node.outputs[0]))


@_resize("conv_general_dilated")
def _convolution(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    (_, features, *_), (_, each, *_), _ = node.params["dimension_numbers"]
    groups = node.params["feature_group_count"]
    if groups != 1:
        groups = given[0].shape[features] // given[1].shape[each]
    return bind(node, given, feature_group_count=groups)


@_resize("iota", "random_bits", "rng_bit_generator", "rng_uniform", "threefry2x32")
def _at_full_size(now: Resized, node: Node, given: list[Any]) -> Sequence[Any]:
    made = bind(node, given)
    return [cut(array, now.kept(v)) for array, v in zip(made, node.outputs, strict=True)]
