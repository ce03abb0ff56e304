"""How each primitive of JAX links the axes of its operands and results.

A unit that reaches a primitive without a rule stays: linear algebra, callbacks, what runs on several devices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jax.lax import GatherScatterMode

from skbandit.networks.graph import Graph, Tables, is_call
from skbandit.networks.links import Links
from skbandit.networks.operations import RULES, Operation, register, rule_of

__all__ = ["RULES", "Operation", "declare", "link", "register", "stop_variables"]

#: Operands and results have the same axes.
_ELEMENTWISE = (
    *("abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e"),
    *("bessel_i1e", "cbrt", "ceil", "clamp", "clz", "complex", "conj", "convert_element_type", "copy", "cos", "cosh"),
    *("digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "igamma"),
    *("igamma_grad_a", "igammac", "imag", "integer_pow", "is_finite", "layout_constraint", "le", "lgamma", "log"),
    *("log1p", "logistic", "lt", "max", "min", "mul", "mulhi", "name", "ne", "neg", "nextafter", "not", "or"),
    *("polygamma", "population_count", "pow", "pvary", "real", "reduce_precision", "regularized_incomplete_beta"),
    *("rem", "reshard", "round", "rsqrt", "select_n", "sharding_constraint", "shift_left", "shift_right_arithmetic"),
    *("shift_right_logical", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor"),
    "zeta",
)
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor")
_CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
_WINDOWS = (
    *("reduce_window", "reduce_window_sum", "reduce_window_max", "reduce_window_min"),
    *("select_and_gather_add", "select_and_scatter_add"),
)
_RANDOM = ("random_bits", "rng_bit_generator", "rng_uniform", "threefry2x32")
_SCATTERS = ("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max")


def link(graph: Graph, tables: Tables, links: Links) -> None:
    """Apply the rule of every node of a graph and of the graphs inside it."""
    for node in graph.walk():
        operation = Operation(node, tables, links)
        links.source = node.source
        for i, shape in enumerate(operation.inputs):  # declared, whatever the rule does
            for axis in range(len(shape)):
                operation.input(i, axis)
        for i, shape in enumerate(operation.outputs):
            for axis in range(len(shape)):
                operation.output(i, axis)
        rule = _call if is_call(node) else RULES.get(node.name)
        if rule is None:
            operation.stop_all(f"no rule for the primitive {node.name!r}")
            continue
        try:
            rule(operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:  # parameters that another version of JAX has
            operation.stop_all(f"the rule of the primitive {node.name!r} fails here ({type(error).__name__}: {error})")


# --- element by element, and changes of shape ------------------------------------------------------------------------


@rule_of(*_ELEMENTWISE)
def _elementwise(op: Operation) -> None:
    op.elementwise()


@rule_of("optimization_barrier", "device_put")
def _one_by_one(op: Operation) -> None:
    for i, shape in enumerate(op.outputs):
        for axis in range(len(shape)):
            op.same(op.input(i, axis), op.output(i, axis))


@rule_of("bitcast_convert_type")
def _bitcast(op: Operation) -> None:
    if op.inputs[0] == op.outputs[0]:
        op.elementwise()
    else:
        op.stop_all("a bitcast to another width")


@rule_of("broadcast_in_dim")
def _broadcast(op: Operation) -> None:
    for axis, to in enumerate(op.params["broadcast_dimensions"]):
        if op.inputs[0][axis] == op.outputs[0][to]:
            op.same(op.input(0, axis), op.output(0, to))
        else:
            op.stop(op.input(0, axis), "an axis of size 1 is broadcast")


@rule_of("squeeze")
def _squeeze(op: Operation) -> None:
    dropped = {d % len(op.inputs[0]) for d in op.params["dimensions"]}
    kept = [axis for axis in range(len(op.inputs[0])) if axis not in dropped]
    for to, axis in enumerate(kept):
        op.same(op.input(0, axis), op.output(0, to))
    for axis in dropped:
        op.stop(op.input(0, axis), "an axis of size 1 is dropped")


@rule_of("reshape")
def _reshape(op: Operation) -> None:
    before, after = op.inputs[0], op.outputs[0]
    if op.params.get("dimensions") is not None or 0 in before:
        op.stop_all("a reshape in another order of axes" if 0 not in before else "an empty array")
        return
    for ins, outs in blocks(before, after):
        sources = [op.input(0, axis) for axis in ins if before[axis] != 1]
        targets = [op.output(0, axis) for axis in outs if after[axis] != 1]
        for axis in ins:
            if before[axis] == 1:
                op.stop(op.input(0, axis), "an axis of size 1 is dropped")
        if len(sources) == 1:
            op.links.factor(sources[0], targets)
        elif len(targets) == 1:
            op.links.factor(targets[0], sources)
        elif sources:
            flat = op.links.virtual(math.prod(before[axis] for axis in ins))
            op.links.factor(flat, sources)
            op.links.factor(flat, targets)


def blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Cut the axes of two shapes of one size into the smallest runs of equal product."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        ins: list[int] = []
        outs: list[int] = []
        size_in = size_out = 1
        if i < len(before):
            ins.append(i)
            size_in *= before[i]
            i += 1
        while size_in != size_out or not (ins or outs):
            if size_in > size_out or (size_in == size_out and j < len(after)):
                outs.append(j)
                size_out *= after[j]
                j += 1
            else:
                ins.append(i)
                size_in *= before[i]
                i += 1
        found.append((ins, outs))
    return found


@rule_of("transpose")
def _transpose(op: Operation) -> None:
    for to, axis in enumerate(op.params["permutation"]):
        op.same(op.input(0, axis), op.output(0, to))


@rule_of("rev")
def _rev(op: Operation) -> None:
    for axis, size in enumerate(op.inputs[0]):
        if axis in op.params["dimensions"]:
            order = np.arange(size)
            op.links.map(op.input(0, axis), order, op.output(0, axis), order[::-1])
        else:
            op.same(op.input(0, axis), op.output(0, axis))


@rule_of("concatenate")
def _concatenate(op: Operation) -> None:
    along, start = op.params["dimension"], 0
    for i, shape in enumerate(op.inputs):
        for axis, size in enumerate(shape):
            if axis == along:
                order = np.arange(size)
                op.links.map(op.input(i, axis), order, op.output(0, axis), start + order)
                start += size
            else:
                op.same(op.input(i, axis), op.output(0, axis))


@rule_of("tile")
def _tile(op: Operation) -> None:
    for axis, (size, times) in enumerate(zip(op.inputs[0], op.params["reps"], strict=True)):
        if size == 1 and times != 1:
            op.stop(op.input(0, axis), "an axis of size 1 is broadcast")
        elif size and times:
            repetitions = op.links.virtual(times)
            op.stop(repetitions, "the repetitions of a tile")
            op.links.factor(op.output(0, axis), [repetitions, op.input(0, axis)])


@rule_of("stack")
def _stack(op: Operation) -> None:
    new = op.params["axis"] % len(op.outputs[0])
    op.stop(op.output(0, new), "the axis of a stack")
    for i, shape in enumerate(op.inputs):
        for axis in range(len(shape)):
            op.same(op.input(i, axis), op.output(0, axis + (axis >= new)))


@rule_of("unstack")
def _unstack(op: Operation) -> None:
    gone = op.params["axis"] % len(op.inputs[0])
    op.stop(op.input(0, gone), "the axis of an unstack")
    for i, shape in enumerate(op.outputs):
        for axis in range(len(shape)):
            op.same(op.output(i, axis), op.input(0, axis + (axis >= gone)))


@rule_of("split")
def _split(op: Operation) -> None:
    along, start = op.params["axis"], 0
    for i, shape in enumerate(op.outputs):
        for axis, size in enumerate(shape):
            if axis == along:
                order = np.arange(size)
                op.links.map(op.input(0, axis), start + order, op.output(i, axis), order)
                start += size
            else:
                op.same(op.input(0, axis), op.output(i, axis))


@rule_of("slice")
def _slice(op: Operation) -> None:
    strides = op.params["strides"] or (1,) * len(op.inputs[0])
    for axis, (start, stride) in enumerate(zip(op.params["start_indices"], strides, strict=True)):
        size = op.outputs[0][axis]
        if size == op.inputs[0][axis]:
            op.same(op.input(0, axis), op.output(0, axis))
        else:
            order = np.arange(size)
            op.links.map(op.input(0, axis), start + stride * order, op.output(0, axis), order)


@rule_of("pad")
def _pad(op: Operation) -> None:
    for axis, (low, high, interior) in enumerate(op.params["padding_config"]):
        if (low, high, interior) == (0, 0, 0):
            op.same(op.input(0, axis), op.output(0, axis))
        elif low < 0 or high < 0 or interior:
            op.stop(op.input(0, axis), "a padding that cuts, or pads between")
            op.stop(op.output(0, axis), "a padding that cuts, or pads between")
        else:
            order = np.arange(op.inputs[0][axis])
            op.links.map(op.input(0, axis), order, op.output(0, axis), low + order)
            around = np.setdiff1d(np.arange(op.outputs[0][axis]), low + order)
            op.stop(op.output(0, axis), "a padding", around)


# --- contractions and reductions -------------------------------------------------------------------------------------


@rule_of("dot_general")
def _dot(op: Operation) -> None:
    (left, right), (left_batch, right_batch) = op.params["dimension_numbers"]
    ranks = [len(shape) for shape in op.inputs]
    out = 0
    for a, b in zip(left_batch, right_batch, strict=True):
        op.same(op.input(0, a), op.input(1, b))
        op.same(op.input(0, a), op.output(0, out))
        out += 1
    for i, (contracted, batch) in enumerate(((left, left_batch), (right, right_batch))):
        for axis in range(ranks[i]):
            if axis not in contracted and axis not in batch:
                op.same(op.input(i, axis), op.output(0, out))
                out += 1
    for a, b in zip(left, right, strict=True):
        op.same(op.input(0, a), op.input(1, b))
        op.read({0: a, 1: b}, op.input(0, a))


@rule_of("conv_general_dilated")
def _convolution(op: Operation) -> None:
    numbers, groups = op.params["dimension_numbers"], op.params["feature_group_count"]
    (batch, features, *space), (to, given, *window), (out_batch, out_features, *out_space) = numbers
    if op.params["batch_group_count"] != 1:
        op.stop_all("a convolution with groups of rows")
        return
    op.same(op.input(0, batch), op.output(0, out_batch))
    places = [op.input(0, a) for a in space] + [op.input(1, a) for a in window] + [op.output(0, a) for a in out_space]
    for place in places:
        op.stop(place, "the window of a convolution")
    op.same(op.input(1, to), op.output(0, out_features))
    if groups == 1:
        op.same(op.input(0, features), op.input(1, given))
        op.read({0: features, 1: given}, op.input(0, features))
        return
    each_in, each_out = op.inputs[1][given], op.inputs[1][to] // groups
    inner, outer = op.links.virtual(each_in), op.links.virtual(groups)
    op.links.factor(op.input(0, features), [outer, inner])
    op.links.factor(op.output(0, out_features), [outer, op.links.virtual(each_out)])
    if each_in > 1:
        op.same(inner, op.input(1, given))
        op.read({0: features, 1: given}, inner, groups)


@rule_of(*_REDUCTIONS)
def _reduction(op: Operation) -> None:
    axes = [axis % len(op.inputs[0]) for axis in op.params["axes"]] if op.inputs[0] else []
    kept = [axis for axis in range(len(op.inputs[0])) if axis not in axes]
    for to, axis in enumerate(kept):
        op.same(op.input(0, axis), op.output(0, to))
    for axis in axes:
        op.read({0: axis}, op.input(0, axis))


@rule_of(*_CUMULATIVE)
def _cumulative(op: Operation) -> None:
    op.elementwise()
    axis = op.params["axis"] % len(op.inputs[0])
    op.read({0: axis}, op.input(0, axis))


@rule_of("argmax", "argmin")
def _argmax(op: Operation) -> None:
    axes = [axis % len(op.inputs[0]) for axis in op.params["axes"]]
    for to, axis in enumerate(a for a in range(len(op.inputs[0])) if a not in axes):
        op.same(op.input(0, axis), op.output(0, to))
    for axis in axes:
        op.stop(op.input(0, axis), f"the position is the result ({op.node.name})")


@rule_of("sort")
def _sort(op: Operation) -> None:
    op.elementwise()
    along = op.params["dimension"] % len(op.inputs[0])
    op.stop(op.input(0, along), "sorted")


@rule_of("top_k", "approx_top_k")
def _top_k(op: Operation) -> None:
    rank = len(op.inputs[0])
    along = op.params.get("reduction_dimension", op.params.get("axis", -1)) % rank
    for axis in range(rank):
        for i in range(len(op.outputs)):
            if axis == along:
                op.stop(op.output(i, axis), f"the largest are taken ({op.node.name})")
            else:
                op.same(op.input(0, axis), op.output(i, axis))
        if axis == along:
            op.stop(op.input(0, axis), f"the largest are taken ({op.node.name})")


@rule_of(*_WINDOWS)
def _window(op: Operation) -> None:
    rank = len(op.outputs[0])
    ones = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
    arrays = [i for i, shape in enumerate(op.inputs) if len(shape) == rank]
    for axis in range(rank):
        alone = all((op.params.get(name) or (1,) * rank)[axis] == 1 for name in ones)
        alone = alone and tuple(op.params["padding"][axis]) == (0, 0)
        places = [op.input(i, axis) for i in arrays] + [op.output(i, axis) for i in range(len(op.outputs))]
        for place in places:
            if not alone:
                op.stop(place, "the window of a pooling")
            elif op.links.size(place) == op.links.size(places[0]):
                op.same(places[0], place)
    for i, shape in enumerate(op.inputs):
        if i not in arrays and shape:
            op.stop_inputs(i, f"windows of {op.node.name}")


@rule_of("fft")
def _fft(op: Operation) -> None:
    n = len(op.params["fft_lengths"])
    rank = len(op.inputs[0])
    for axis in range(rank):
        if axis < rank - n:
            op.same(op.input(0, axis), op.output(0, axis))
        else:
            for place in (op.input(0, axis), op.output(0, axis)):
                op.stop(place, "a Fourier transform")


# --- indices ---------------------------------------------------------------------------------------------------------

#: Modes of indexing in which a window as long as its axis starts at 0, whatever the index.
_IN_BOUNDS = (GatherScatterMode.CLIP, GatherScatterMode.PROMISE_IN_BOUNDS)


@rule_of("gather")
def _gather(op: Operation) -> None:
    numbers, sizes = op.params["dimension_numbers"], op.params["slice_sizes"]
    operand, indices = op.inputs[:2]
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    offsets = iter(sorted(numbers.offset_dims))
    for axis, of_indices in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        op.same(op.input(0, axis), op.input(1, of_indices))
    for axis, size in enumerate(operand):
        if axis in gone:
            if axis not in numbers.operand_batching_dims:
                op.stop(op.input(0, axis), "indexed (gather)")
            continue
        to = next(offsets)
        # A window over the whole axis starts at 0, or is out of bounds, at every size of the axis.
        if sizes[axis] == size:
            op.same(op.input(0, axis), op.output(0, to))
        else:
            op.stop(op.input(0, axis), "indexed (gather)")
            op.stop(op.output(0, to), "indexed (gather)")
    others = [axis for axis in range(len(op.outputs[0])) if axis not in numbers.offset_dims]
    for axis, to in zip(range(len(indices) - 1), others, strict=True):
        op.same(op.input(1, axis), op.output(0, to))
    op.stop(op.input(1, len(indices) - 1), "an index")


@rule_of(*_SCATTERS)
def _scatter(op: Operation) -> None:
    numbers = op.params["dimension_numbers"]
    operand, indices, updates = op.inputs[:3]
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    windows = iter(sorted(numbers.update_window_dims))
    for axis, size in enumerate(operand):
        op.same(op.input(0, axis), op.output(0, axis))
        if axis in gone:
            op.stop(op.input(0, axis), "indexed (scatter)")
            continue
        of_updates = next(windows)
        if updates[of_updates] == size:  # a window over the whole axis, as in gather
            op.same(op.input(0, axis), op.input(2, of_updates))
        else:
            op.stop(op.input(0, axis), "indexed (scatter)")
            op.stop(op.input(2, of_updates), "indexed (scatter)")
    for axis in range(len(updates)):
        if axis not in numbers.update_window_dims:
            op.stop(op.input(2, axis), "indexed (scatter)")
    for axis in range(len(indices)):
        op.stop(op.input(1, axis), "an index")


@rule_of("dynamic_slice")
def _dynamic_slice(op: Operation) -> None:
    for axis, size in enumerate(op.inputs[0]):
        if op.outputs[0][axis] == size:
            op.same(op.input(0, axis), op.output(0, axis))
        else:
            op.stop(op.input(0, axis), "indexed (dynamic_slice)")
            op.stop(op.output(0, axis), "indexed (dynamic_slice)")


@rule_of("dynamic_update_slice")
def _dynamic_update_slice(op: Operation) -> None:
    for axis, size in enumerate(op.inputs[0]):
        op.same(op.input(0, axis), op.output(0, axis))
        if op.inputs[1][axis] == size:
            op.same(op.input(0, axis), op.input(1, axis))
        else:
            op.stop(op.input(0, axis), "indexed (dynamic_update_slice)")
            op.stop(op.input(1, axis), "indexed (dynamic_update_slice)")


@rule_of("iota")
def _iota(op: Operation) -> None:
    axis = op.params["dimension"]
    op.links.flag(op.output(0, axis), "position", "positions are counted (iota)")


@rule_of(*_RANDOM)
def _random(op: Operation) -> None:
    for i in range(len(op.inputs)):
        op.stop_inputs(i, f"the key of random numbers ({op.node.name})")
    for i, shape in enumerate(op.outputs):
        for axis in range(len(shape)):
            op.links.flag(op.output(i, axis), "random", f"random numbers are drawn for it ({op.node.name})")


# --- loops, branches, calls ------------------------------------------------------------------------------------------


def _alike(op: Operation, outside: Sequence[int], inside: Sequence[int], shift: int = 0) -> None:
    """Link variables pairwise; the outer ones have ``shift`` more axes in front."""
    for a, b in zip(outside, inside, strict=True):
        before, after = op.tables.shape(a), op.tables.shape(b)
        for axis in range(len(after)):
            op.same(op.links.place(a, axis + shift, before[axis + shift]), op.links.place(b, axis, after[axis]))


def _call(op: Operation) -> None:
    (body,) = op.node.bodies
    _alike(op, op.node.inputs, body.inputs)
    _alike(op, op.node.outputs, body.outputs)


@rule_of("scan")
def _scan(op: Operation) -> None:
    (body,) = op.node.bodies
    held = op.params["num_consts"] + op.params["num_carry"]
    n_consts, n_carry = op.params["num_consts"], op.params["num_carry"]
    _alike(op, op.node.inputs[:held], body.inputs[:held])
    _alike(op, op.node.outputs[:n_carry], body.outputs[:n_carry])
    _alike(op, body.inputs[n_consts:held], body.outputs[:n_carry])
    _alike(op, op.node.inputs[held:], body.inputs[held:], shift=1)
    _alike(op, op.node.outputs[n_carry:], body.outputs[n_carry:], shift=1)
    for variable in (*op.node.inputs[held:], *op.node.outputs[n_carry:]):
        op.stop(op.links.place(variable, 0, op.tables.shape(variable)[0]), "the axis of a scan")


@rule_of("while")
def _while(op: Operation) -> None:
    condition, body = op.node.bodies
    n_condition, n_body = op.params["cond_nconsts"], op.params["body_nconsts"]
    carry = op.node.inputs[n_condition + n_body :]
    _alike(op, op.node.inputs[:n_condition], condition.inputs[:n_condition])
    _alike(op, op.node.inputs[n_condition : n_condition + n_body], body.inputs[:n_body])
    for others in (condition.inputs[n_condition:], body.inputs[n_body:], body.outputs, op.node.outputs):
        _alike(op, carry, others)


@rule_of("cond")
def _cond(op: Operation) -> None:
    for body in op.node.bodies:
        _alike(op, op.node.inputs[1:], body.inputs)
        _alike(op, op.node.outputs, body.outputs)


def stop_variables(links: Links, tables: Tables, variables: Sequence[int], reason: str) -> None:
    """Let all units that reach an axis of these variables stay."""
    links.source = ""
    for variable, (axis, size) in itertools.chain.from_iterable(
        ((v, pair) for pair in enumerate(tables.shape(v))) for v in variables
    ):
        links.stop(links.place(variable, axis, size), reason)


def declare(links: Links, tables: Tables, variables: Sequence[int]) -> None:
    """Make the axes of variables known, whether a node reads them or not."""
    for variable in variables:
        for axis, size in enumerate(tables.shape(variable)):
            links.place(variable, axis, size)
