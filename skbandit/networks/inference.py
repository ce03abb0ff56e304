"""`infer_groups`: the units of any JAX function, found in its trace and checked by running it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from skbandit._core.constraints import shown
from skbandit.networks.costs import costs
from skbandit.networks.gating import Gated
from skbandit.networks.groups import Group, Groups, Leaves, Refusal, Verified, plain_path
from skbandit.networks.plan import Plan
from skbandit.networks.resize import Resized
from skbandit.networks.search import KINDS, Found, is_frozen, search
from skbandit.networks.trace import Apply, Leaf, Trace, Variables, remembered, shape_key, specs, trace

#: Largest relative difference that passes for the same; networks amplify the rounding of their first layers.
TOLERANCE = {4: 1e-3, 8: 1e-9, 2: 0.2}


def infer_groups(
    apply: Apply,
    params: Any,
    *example: Any,
    state: Any = None,
    also: Sequence[Any] = (),
    include: Sequence[str] = (),
    freeze: Sequence[Any] = (),
    verify: bool = True,
) -> Groups:
    r"""Find what can be removed from a JAX function, and which slices of its parameters leave together.

    JAX traces the function; nothing in it has to be changed. Units are found by what the operations of the trace do
    with the axes of arrays: neurons of dense layers, filters of convolutions, heads of attention, channels of a
    residual stream, units of an LSTM. An axis that cannot be followed is refused, with the reason and the line of code.

    Parameters
    ----------
    apply : callable (params, *example) → outputs
        The function, in inference mode: dropout off. With ``state``: (params, state, *example) → outputs or
        (outputs, new state).
    params : pytree of arrays
        Its parameters, or shapes of them (`jax.ShapeDtypeStruct`).
    *example : pytree of arrays or jax.ShapeDtypeStruct
        The other arguments, with rows along the first axis: a mini-batch of two rows or more, such as ``X[:4]``.
    state : pytree of arrays, optional
        What the function takes besides parameters, such as statistics of batches. The groups are then those of
        ``Variables(params, state)``: their paths start with ``"params"`` or ``"state"``.
    also : sequence of callables or of tuples (callable, \*example), optional
        Other functions of the same parameters (and state), such as the one in training mode: slices that only they
        read are removed too. A function alone gets the arguments ``*example``; give others in a tuple, such as
        ``(train_apply, X, key)``. Keep dropout off: units that random numbers are drawn for are refused.
    include : sequence of {"inner", "bilinear", "position", "random"}, optional
        Kinds of units that are refused by default: to remove them is right in ``result.apply``, but a module of the
        smaller sizes often computes something else. ``"inner"``: the second of two axes that are contracted together,
        as dimensions within heads. ``"bilinear"``: units that only products of two activations read, as dimensions
        within heads of queries and keys. ``"position"``: units whose positions are counted, as in rotary embeddings.
        ``"random"``: units that random numbers are drawn for, as in dropout.
    freeze : sequence of paths, optional
        Parameters to leave alone. A tuple of keys, such as ``("encoder", "embedding")``, stands for all below it. A
        string is a key at the top of the tree, or the keys of one array joined by dots.
    verify : bool, default=True
        Whether to run the function (on values near the given parameters, or random ones where only shapes are given).
        A group is refused if the outputs with units masked and with units removed differ.

    Returns
    -------
    Groups
        ``print(groups)`` shows a table. ``groups.groups``: what was found; the slices ``incoming`` make a unit's
        output, the slices ``outgoing`` read it, and both are removed with it. ``groups.refused``: all other axes, with
        reasons. ``groups.verified``: the differences that were measured.

    Raises
    ------
    ValueError
        If ``apply`` cannot be traced by JAX, if no units are found, or if an argument is invalid.

    Warns
    -----
    UserWarning
        If a group is refused because the outputs with units masked and with units removed differ. The rule of a
        primitive is then wrong.

    Notes
    -----
    A mean over units divides by the number of units that are left, as a normalisation of the smaller size does. A
    division by any other number that comes from a shape keeps that number, such as the square root of a width.

    Where a function with a derivative of its own (``jax.custom_jvp``, ``jax.custom_vjp``) reads units in its body, its
    body is differentiated, and not its rule called. Gradients of a masked network may be NaN where a unit that is
    masked overflows.

    Units that meet in an addition or in a shared parameter are one unit, and are removed together. Layers that are
    concatenated keep their own units, and are groups of their own.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from skbandit.networks import infer_groups
    >>> def apply(params, x):
    ...     h = jax.nn.relu(x @ params["W1"] + params["b1"])
    ...     return h @ params["W2"]
    >>> params = {"W1": jnp.ones((3, 8)), "b1": jnp.zeros(8), "W2": jnp.ones((8, 2))}
    >>> groups = infer_groups(apply, params, jnp.ones((5, 3)))
    >>> [(group.name, group.size) for group in groups.groups]
    [('W1', 8)]
    >>> [(refusal.path, refusal.axis, refusal.reason) for refusal in groups.refused]
    [(('W1',), 0, 'an input of the function'), (('W2',), 1, 'an output of the function')]
    """
    check_kinds(include)
    if not isinstance(verify, (bool, np.bool_)):
        raise ValueError(f"The 'verify' parameter must be True or False. Got {shown(verify)} instead.")
    if verify and is_traced((params, state, example)):
        raise ValueError(
            "infer_groups runs the 'apply' function to verify what it finds, and was called where JAX traces: call it "
            "outside of jit, grad and other transformations of JAX, or with verify=False."
        )
    owner = "'params'" if state is None else "'params' and 'state'"
    variables, arguments = specs(as_variables(params, state), owner), specs(example, "'example'")
    check_rows(arguments, "example")
    _check_freeze(freeze, variables)
    others = _others(also, example)
    traced = trace([(apply, arguments), *others], variables, is_frozen(freeze))
    found, refused = search(traced, set(include))
    if not found:
        raise ValueError("No units were found that can be removed.\n" + str(Groups((), refused)))
    groups = Groups([one.group for one in found], refused)
    if verify:
        groups = _verified(traced, found, groups, apply, as_variables(params, state), example)
    plan = Plan(traced, groups)
    return dataclasses.replace(groups, costs=costs(plan))


def check_kinds(include: Any) -> None:
    """Raise ValueError if ``include`` is no list of kinds."""
    kinds = [include] if isinstance(include, str) else include
    if not isinstance(kinds, (list, tuple, set, frozenset)) or not all(
        isinstance(kind, str) and kind in KINDS for kind in kinds
    ):
        raise ValueError(f"The 'include' parameter must be a list of {sorted(KINDS)}. Got {shown(include)} instead.")
    if isinstance(include, str):
        raise ValueError(f"The 'include' parameter must be a list, such as [{include!r}]. Got a string.")


def is_traced(tree: Any) -> bool:
    """Say whether JAX is tracing here, or values of the tree are traced: nothing can be run on the host."""
    # Under jit, what is computed of constants is traced as well.
    return any(isinstance(leaf, Tracer) for leaf in (jnp.add(1, 1), *jax.tree.leaves(tree)))


def check_rows(example: Sequence[Any], name: str) -> None:
    """Raise ValueError if an argument has no rows: nothing could be measured."""
    empty = [leaf.shape for leaf in jax.tree.leaves(example) if 0 in leaf.shape]
    if empty:
        raise ValueError(f"The {name!r} must have rows, and no axis of size 0. Got an array of shape {empty[0]}.")


def _check_freeze(freeze: Any, variables: Any) -> None:
    """Raise ValueError if ``freeze`` is no list of paths, or if a path leads to no parameter."""
    if not isinstance(freeze, (list, tuple, set, frozenset)):
        raise ValueError(f"The 'freeze' parameter must be a list of paths. Got {shown(freeze)} instead.")
    paths = [plain_path(path) for path, _ in jax.tree_util.tree_flatten_with_path(variables)[0]]
    leaves = [Leaf(path, -1, ()) for path in paths]
    for path in freeze:
        is_path = all(isinstance(key, (str, int)) for key in (path if isinstance(path, (tuple, list)) else [path]))
        if not is_path or path in ((), "") or not any(map(is_frozen([path]), leaves)):
            names = [leaf.name for leaf in leaves]
            raise ValueError(
                "Each path of the 'freeze' parameter must lead to a parameter, or to a part of the tree: a tuple of "
                f"keys, or names joined by dots. Got {shown(path)}. The parameters are {shown(names)}."
            )


def _others(also: Any, example: Sequence[Any]) -> list[tuple[Apply, Any]]:
    """Return the further functions, each with shapes of its arguments."""
    entries = also if isinstance(also, (list, tuple)) else [None]
    others = []
    for entry in entries:
        function, *given = entry if isinstance(entry, tuple) and entry else (entry, *example)
        if not callable(function):
            raise ValueError(
                "The 'also' parameter must be a list of functions, or of tuples (function, *example). "
                f"Got {shown(also)} instead."
            )
        others.append((function, specs(tuple(given), "'also'")))
    return others


def as_variables(params: Any, state: Any) -> Any:
    """Return the one tree that groups are of."""
    return params if state is None else Variables(params, state)


def trace_of(apply: Apply, variables: Any, example: Sequence[Any], version: str = "") -> Trace:
    """Return the trace of a function at shapes, made once for each version of it."""
    key = "trace", apply, version, isinstance(variables, Variables), shape_key((variables, tuple(example)))
    made: Trace = remembered(key, lambda: trace([(apply, tuple(example))], variables, lambda leaf: False))
    return made


def plan_of(apply: Apply, groups: Groups, variables: Any, example: Sequence[Any], version: str = "") -> Plan:
    """Return the plan of groups in a function at shapes, made once for each version of it."""
    key = "plan", apply, version, groups, isinstance(variables, Variables), shape_key((variables, tuple(example)))
    made: Plan = remembered(key, lambda: Plan(trace_of(apply, variables, example, version), groups))
    return made


# --- verification ----------------------------------------------------------------------------------------------------


def _verified(
    traced: Trace, found: Sequence[Found], groups: Groups, apply: Apply, variables: Any, example: Sequence[Any]
) -> Groups:
    """Return the groups that compute the same gated and removed, and the differences that were measured."""
    given = random_values(variables, example)
    if not _shows_anything(apply, *given):
        warnings.warn(
            "The groups are not verified: the 'apply' function returns no finite number for the given parameters and "
            "example, so that nothing can be compared. They may hold NaN, or numbers that are too large.",
            UserWarning,
            stacklevel=3,
        )
        return groups
    measured = _differences(traced, groups, apply, *given)
    if _is_fine(measured, given):
        return dataclasses.replace(groups, verified=measured)
    good: list[Group] = []
    refused = list(groups.refused)
    for group in groups.groups:
        # Together with those that are good so far: groups may be right alone and wrong together.
        so_far = _differences(traced, Groups([*good, group]), apply, *given)
        if so_far.identity > _tolerance(given):
            raise ValueError(
                "The 'apply' function does not return the same when its trace is evaluated: it differs by "
                f"{so_far.identity:.1g}. It may draw random numbers of its own, or depend on something that changes."
            )
        if _is_fine(so_far, given):
            good.append(group)
            measured = so_far
            continue
        reason = f"verification failed: gated and removed differ by {max(so_far.compacted, so_far.noise):.1g}"
        warnings.warn(
            f"The group {group.name!r} is refused: {reason}. If the outputs for the given parameters and example are "
            "finite numbers of moderate size, a rule is wrong: please report it.",
            UserWarning,
            stacklevel=3,
        )
        variable = {leaf.path: leaf.shape for leaf in traced.leaves}
        refused += [Refusal(s.path, s.axis, variable[s.path][s.axis], reason) for s in group.slices]
    if not good:
        raise ValueError("No units were found that can be removed.\n" + str(Groups((), refused)))
    return dataclasses.replace(Groups(good, refused), verified=measured)


def _original(apply: Apply, values: Any, example: Sequence[Any]) -> list[Any]:
    """Return what the function itself returns, flat."""

    def original(values: Any) -> Any:
        return apply(*values, *example) if isinstance(values, Variables) else apply(values, *example)

    return list(jax.tree.leaves(jax.jit(original)(values)))


def _shows_anything(apply: Apply, values: Any, example: Sequence[Any]) -> bool:
    """Say whether some number that the function returns is finite: NaN is like NaN, whatever leaves."""
    made = [a for a in _original(apply, values, example) if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key)]
    return not made or any(bool(jnp.isfinite(a).any()) for a in made)


def _tolerance(given: Any) -> float:
    floats = [a.dtype for a in jax.tree.leaves(given) if jnp.issubdtype(a.dtype, jnp.floating)]
    width = min((jnp.finfo(dtype).bits // 8 for dtype in floats), default=4)
    return TOLERANCE.get(width, 1.0)


def _is_fine(measured: Verified, given: Any) -> bool:
    tolerance = _tolerance(given)
    return measured.identity <= tolerance and measured.compacted <= tolerance and measured.noise <= tolerance


def random_values(variables: Any, example: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Return values of generic parameters (no zero biases, no unit variances), and the example.

    Parameters that were given as arrays are moved a little: signals then reach the outputs of a deep network as they do
    in the user's. Those that were given as shapes only are drawn. Values of an example that was given as shapes only
    are drawn: floats around 0, integers 0 or 1.
    """
    # Not the seed that parameters may have been drawn with: moved by the numbers they are made of, they would have a
    # mean, and the signals of a deep network overflow.
    rng = np.random.default_rng(715517)

    def parameter(leaf: Any) -> Any:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return drawn(leaf)
        leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jax.device_put(leaf)
        # On the host: JAX would compile programs for each shape, for jnp.asarray too.
        host = np.asarray(leaf)
        noise = rng.standard_normal(host.shape, np.float32)
        moved = host * np.exp(0.2 * noise)  # of the same sign: a variance stays positive
        return jax.device_put(np.where(host == 0, 0.1 * noise, moved).astype(host.dtype))

    def drawn(leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jax.device_put(np.zeros(leaf.shape, leaf.dtype))
        # One number for each channel, whatever the shape: (c,), (1, 1, 1, c).
        is_vector = sum(n > 1 for n in leaf.shape) < 2
        fan_in = 1 if is_vector else max(int(np.prod(leaf.shape[:-1])), 1)
        # Positive in the mean: a variance has to be.
        values = np.abs(rng.normal(size=leaf.shape) + 1) if is_vector else rng.normal(size=leaf.shape)
        return jax.device_put((values / np.sqrt(fan_in)).astype(leaf.dtype))

    def argument(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.device_put(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        floats = jnp.issubdtype(leaf.dtype, jnp.floating)
        values = rng.normal(size=leaf.shape) if floats else rng.integers(0, 2, size=leaf.shape)
        return jax.device_put(values.astype(leaf.dtype))

    return jax.tree.map(parameter, variables), jax.tree.map(argument, tuple(example))


def _differences(traced: Trace, groups: Groups, apply: Apply, values: Any, example: Sequence[Any]) -> Verified:
    plan = Plan(traced, groups)
    rng = np.random.default_rng(1)
    mask = np.concatenate([_half(rng, group.size) for group in groups.groups])
    kept = [np.flatnonzero(part) for part in groups.split(mask)]

    def gated(values: Any, gates: Any) -> list[Any]:
        return Gated(plan, gates).run(traced.graph, jax.tree.leaves((values, tuple(example))))

    def resized(values: Any) -> list[Any]:
        return Resized(plan, mask).run(traced.graph, jax.tree.leaves((values, tuple(example))))

    gated_ = jax.jit(gated)
    ones = jnp.ones(groups.n_units, jnp.result_type(float))
    identity = relative_difference(_original(apply, values, example), gated_(values, ones))
    gates = jnp.asarray(mask, ones.dtype)
    masked = gated_(values, gates)
    small = groups.compact(values, kept)
    compacted = relative_difference(
        [cut_as(plan, mask, v, a) for v, a in zip(traced.graph.outputs, masked, strict=True)],
        jax.jit(resized)(small),
    )
    noisy = _with_noise(groups, values, mask)
    noise = relative_difference(
        [cut_as(plan, mask, v, a) for v, a in zip(traced.graph.outputs, masked, strict=True)],
        [cut_as(plan, mask, v, a) for v, a in zip(traced.graph.outputs, gated_(noisy, gates), strict=True)],
    )
    return Verified(identity, compacted, noise)


def cut_as(plan: Plan, mask: np.ndarray, variable: int, array: Any) -> Any:
    """Return an output without the positions that the smaller function has not: those of a new state."""
    from skbandit.networks.plan import kept_positions
    from skbandit.networks.resize import cut

    return cut(array, kept_positions(plan.units_of(variable), mask))


def _half(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a mask of a random half of the units that stay, one at least."""
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[: max(n - n // 2, 1)]] = True
    return mask


def _with_noise(groups: Groups, values: Any, mask: np.ndarray) -> Any:
    """Put noise on everything that leaves."""
    rng = np.random.default_rng(2)
    leaves = Leaves(values)
    for group, stays in zip(groups.groups, groups.split(mask), strict=True):
        for s in group.slices:
            array = np.array(leaves[s.path])
            gone = ~np.asarray(s.spread(stays, True), bool)
            moved = np.moveaxis(array, s.axis, 0)
            moved[gone] = rng.normal(size=moved[gone].shape).astype(array.dtype) * 3
            leaves[s.path] = jnp.asarray(array)
    return leaves.tree()


def relative_difference(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Return the largest difference of two lists of arrays, relative to the largest number; inf for other shapes."""
    largest = 0.0
    for x, y in zip(a, b, strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            continue
        x, y = (np.asarray(v, np.result_type(np.asarray(v).dtype, "float64")) for v in (x, y))
        if x.shape != y.shape:
            return np.inf
        if not x.size:
            continue
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.where(same, 0, np.abs(x - y)).max()
            scale = np.abs(x[np.isfinite(x)]).max(initial=0)
        if np.isnan(apart):
            return np.inf
        largest = max(largest, float(apart / scale) if scale else (0.0 if apart == 0 else np.inf))
    return largest
