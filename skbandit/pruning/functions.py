"""What the user's functions take and return: those of the network, ``repair``, ``fine_tune`` and ``on_round``.

What can be known beforehand is checked before any work: `checked_functions` traces the functions of the network once.
The others are called round by round. They get copies, which they may write to, and what they return is copied: nothing
that they do later reaches the network in hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from skbandit._core.constraints import shown
from skbandit._core.rows import Batches
from skbandit.networks.capabilities import (
    ACTIVATIONS,
    COSTS,
    DENSE_LAYERS,
    FAST_DAMAGES,
    GATES_BY_ROW,
    SQUARED_ERRORS,
    Capability,
    Prunable,
    offers,
)
from skbandit.networks.checks import (
    check_signature,
    checked_activations,
    checked_damages,
    checked_loss,
    described,
)
from skbandit.pruning.scoring import losses_of_a_row, mean_loss

if TYPE_CHECKING:
    from skbandit.networks.traced import TracedNetwork

Params = Any

#: What the functions that are called round by round take.
_TAKE = {
    "repair": ("params", "active", "removed", "emissions"),
    "fine_tune": ("params", "gates", "round"),
    "on_round": ("record", "result"),
}
#: Largest relative difference of two ways to compute a loss; those of float32 differ by some 1e-6.
_SAME = 1e-3


class UnusableError(ValueError):
    """What a function returned cannot be gone on with; the rounds before it stand."""


def check_callables(owner: str, functions: dict[str, Callable[..., Any] | None]) -> None:
    """Raise ValueError if one of the functions does not take the arguments that it will get."""
    for name, function in functions.items():
        if function is not None:
            check_signature(owner, name, function, _TAKE[name])


# --- the network -----------------------------------------------------------------------------------------------------


def checked_functions(
    network: Prunable,
    params: Params,
    batches: Batches,
    held_out: Batches | None = None,
    needs: Sequence[Capability[Any]] = (),
    by_row: bool = False,
) -> list[str]:
    """Trace the functions of the network, and return what is to be said of them.

    Parameters
    ----------
    network : Prunable
    params : pytree
        On the host.
    batches, held_out : Batches
        Rows that the loss is computed of.
    needs : sequence of Capability
        What the criterion needs; functions that nobody calls are left alone.
    by_row : bool
        Whether the criterion draws for each row.

    Raises
    ------
    ValueError
        If a function returns something else than it should. What it raises itself is left as it is.
    """
    sizes = network.groups.sizes
    gates = tuple(jax.ShapeDtypeStruct((size,), np.float32) for size in sizes)

    def loss(*args: Any) -> Any:
        return checked_loss("'batch_loss' of the network", network.batch_loss(*args))

    given = (params, gates, gates, *_shapes(batches))
    jaxpr, shape = jax.make_jaxpr(loss, return_shape=True)(*given)
    dtype = shape.dtype
    remarks = _unread(network, jaxpr.jaxpr, given)
    if held_out is not None and _shapes(held_out) != _shapes(batches):
        jax.eval_shape(loss, params, gates, gates, *_shapes(held_out))
    if ACTIVATIONS in needs or DENSE_LAYERS in needs:
        _check_activations(network, params, gates, _shapes(batches)[0])
    if offers(network, FAST_DAMAGES):
        arms = jax.ShapeDtypeStruct((network.groups.n_units,), bool)
        n, damages = network.groups.n_units, network.damages
        jax.eval_shape(lambda *args: checked_damages(damages(*args), n), params, gates, gates, *_shapes(batches), arms)
    _check_numbers(network)
    if by_row and offers(network, GATES_BY_ROW):
        _check_gates_by_row(network, params, batches)
    # Not imported to ask: who has such a network has imported its module, and the estimators never do.
    traced = sys.modules.get("skbandit.networks.traced")
    if traced is not None and isinstance(network, traced.TracedNetwork):
        remarks += _mixed_rows(cast("TracedNetwork", network), params, batches)
    if jnp.finfo(dtype).eps > jnp.finfo(np.float32).eps:
        remarks.append(
            f"The loss of the network is {dtype}. A damage is a difference of two losses, and most differences below "
            f"{float(jnp.finfo(dtype).eps):.1g} of the loss are lost: compute the mean over the rows in float32."
        )
    return remarks


def _unread(network: Prunable, jaxpr: Any, given: tuple[Any, ...]) -> list[str]:
    """Say what the loss does not read and would have to: the numbers that come of it look like any others."""
    read = {id(var) for equation in jaxpr.eqns for var in equation.invars}
    inputs: Any = jax.tree.unflatten(jax.tree.structure(given), [id(var) in read for var in jaxpr.invars])
    _, gates, _, _, _, weight = inputs
    unread = [group.name for group, is_read in zip(network.groups.groups, gates, strict=True) if not is_read]
    remarks = []
    if unread:
        remarks.append(
            f"The loss of the network does not read the gates of the groups {unread}: masking their units changes "
            "nothing, and every damage that is measured of them is 0."
        )
    if not weight:
        remarks.append(
            "The loss of the network does not read 'weight': rows of weight 0 count, which fill the mini-batches up."
        )
    return remarks


def _mixed_rows(network: TracedNetwork, params: Params, batches: Batches) -> list[str]:
    """Say whether losses of rows depend on the rows beside them: those of weight 0 that fill mini-batches up, too."""
    weight = np.asarray(batches.weight)
    real = np.flatnonzero(weight[0])
    some = real[: -(-len(real) // 2)]
    order = np.full(weight.shape[1], weight.shape[1] - 1)  # all others become copies of one of them
    order[some] = some
    alone = np.zeros_like(weight)
    alone[0, some] = 1 / len(some)
    # The program is that of the loss, which pruning needs in any case; it goes through one mini-batch.
    numbers: dict[str, Any] = {"weight": alone, "total": np.ones_like(batches.total), "n_batches": np.int32(1)}
    one = batches._replace(**numbers)
    moved = one._replace(
        X=jax.tree.map(lambda a: jnp.asarray(a).at[0].set(a[0][order]), batches.X),
        y=jax.tree.map(lambda a: jnp.asarray(a).at[0].set(a[0][order]), batches.y),
    )
    gates = tuple(np.ones(size, np.float32) for size in network.groups.sizes)
    first, second = (mean_loss(network, params, gates, gates, rows) for rows in (one, moved))
    if not np.isfinite(first) or abs(first - second) <= _SAME * max(abs(first), abs(second)):
        return []
    return [
        f"The losses of rows depend on the other rows of their mini-batch: their mean is {first:.6g}, and "
        f"{second:.6g} where these are others. The function must be in inference mode, and 'loss' must keep the rows "
        "apart: rows of weight 0 count, which fill the mini-batches up."
    ]


def _shapes(batches: Batches) -> tuple[Any, Any, Any]:
    """Return those of a mini-batch: X, y and weight."""
    return batches.shapes()


def _check_activations(network: Any, params: Params, gates: Any, X: jax.ShapeDtypeStruct) -> None:
    n_rows, sizes = jax.tree.leaves(X)[0].shape[0], network.groups.sizes
    jax.eval_shape(
        lambda *args: checked_activations(network.activations(*args), n_rows, sizes),
        *(params, gates, X),
    )


def _check_numbers(network: Prunable) -> None:
    """Check what a network says of itself in numbers."""
    if offers(network, COSTS):
        sizes = network.groups.sizes
        n_macs = network.n_macs(sizes)
        if not (np.shape(n_macs) == () and np.asarray(n_macs).dtype.kind in "iuf" and 0 < float(n_macs) < np.inf):
            raise ValueError(
                f"The 'n_macs' of the network must return a positive number for the widths {list(sizes)}. It returned "
                f"{described(n_macs)}."
            )
    if offers(network, DENSE_LAYERS) and tuple(network.layer_sizes[1:-1]) != network.groups.sizes:
        raise ValueError(
            f"The 'layer_sizes' of the network must have the sizes of the groups, {list(network.groups.sizes)}, "
            f"between the inputs and the outputs. They are {shown(network.layer_sizes)}."
        )
    if offers(network, SQUARED_ERRORS):
        n_errors: Any = network.n_squared_errors
        if not isinstance(n_errors, (int, np.integer)) or isinstance(n_errors, bool) or n_errors < 1:
            raise ValueError(
                "The 'n_squared_errors' of the network must be an int of at least 1, or None. It is "
                f"{described(n_errors)}."
            )


def _check_gates_by_row(network: Prunable, params: Params, batches: Batches) -> None:
    """Raise ValueError if gates that differ from row to row do not reach each row alone.

    Gates f[n, n_g] may well broadcast along a wrong axis: a loss comes out, of another network.
    """
    rng, n = np.random.default_rng(0), batches.weight.shape[1]
    sizes = network.groups.sizes
    gates = tuple(rng.uniform(0.5, 1.5, (n, size)).astype("float32") for size in sizes)
    try:
        of_rows, of_row = losses_of_a_row(network, params, gates, batches)
    except Exception as error:
        raise ValueError(
            f"The network has 'gates_by_row', and its loss fails with gates of the shapes {[g.shape for g in gates]}: "
            f"{type(error).__name__}."
        ) from error
    # Not finite both ways: nothing is known.
    if np.isfinite(of_row) and not abs(of_rows - of_row) <= _SAME * max(abs(of_rows), abs(of_row)):
        raise ValueError(
            f"The network has 'gates_by_row', and with gates of the shapes {[g.shape for g in gates]} its loss of one "
            f"row is {of_rows:.6g}; with the gates of this row alone it is {of_row:.6g}. The gates of a row must reach "
            "the units of this row, and no others."
        )


# --- functions that are called round by round ------------------------------------------------------------------------


def copies(tree: Any) -> Any:
    """Return a tree of arrays of its own, which its owner may write to."""
    return jax.tree.map(np.array, tree)


def checked_return(name: str, given: Params, returned: Params) -> Params:
    """Return the parameters that the user's function ``name`` returns for those ``given``: host arrays of its own.

    Raises
    ------
    UnusableError
        If they are not the same tree of arrays, of the same shapes and kinds.
    """
    before: Any = jax.tree.structure(given)
    after: Any = jax.tree.structure(returned)
    if before != after:
        raise UnusableError(f"The {name!r} function must return parameters in the tree {before}. It returned {after}.")
    try:
        returned = on_host(returned, f"what {name!r} returns", overflows=True)
    except ValueError as error:
        raise UnusableError(str(error)) from None

    def checked(path: Any, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        leaf = jax.tree_util.keystr(path)
        if old.shape != new.shape:
            raise UnusableError(
                f"The {name!r} function must return parameters of the same shapes. The leaf {leaf} had {old.shape} and "
                f"has {new.shape}."
            )
        kept = new.astype(old.dtype) if _kind(old) == _kind(new) else None
        if kept is None or (_kind(old) == "integers" and (kept != new).any()):
            raise UnusableError(
                f"The {name!r} function must return parameters of the same kinds. The leaf {leaf} had {_kind(old)} "
                f"({old.dtype}) and has {_kind(new)} ({new.dtype})."
            )
        return kept

    return jax.tree_util.tree_map_with_path(checked, given, returned)


def what_is_not_finite(given: Params, returned: Params) -> str:
    """Say how many numbers of which leaf are NaN or infinite and were not before; "" if none."""
    for (path, old), new in zip(jax.tree.leaves_with_path(given), jax.tree.leaves(returned), strict=True):
        odd = ~np.isfinite(new) & np.isfinite(old)
        if odd.any():
            return f"{int(odd.sum())} of the {new.size} numbers of the leaf {jax.tree_util.keystr(path)}"
    return ""


def asks_to_stop(answer: Any) -> bool:
    """Return the answer of ``on_round``; raise ValueError if it is neither a bool nor None, which is no."""
    if answer is None:
        return False
    # Also a scalar of JAX's, as comparisons of its arrays give. The truth of anything else may be a slip.
    is_scalar = getattr(answer, "shape", None) == () and getattr(answer, "dtype", None) == np.dtype(bool)
    if isinstance(answer, bool) or is_scalar:
        return bool(answer)
    raise ValueError(f"The 'on_round' function must return a bool or None. It returned {described(answer)}.")


def _kind(array: np.ndarray) -> str:
    for kind, words in (
        (jnp.floating, "floats"),
        (jnp.integer, "integers"),
        (jnp.complexfloating, "complex numbers"),
    ):
        if jnp.issubdtype(array.dtype, kind):
            return words
    return "booleans"


# --- arrays on the host ----------------------------------------------------------------------------------------------


def on_host(params: Params, owner: str, overflows: bool = False) -> Params:
    """Return NumPy arrays that are no one else's, floats of every width as float32.

    Parameters
    ----------
    params : pytree
    owner : str
        Whose leaves they are, for messages.
    overflows : bool
        Whether numbers beyond float32 become infinite, instead of an error.

    Raises
    ------
    ValueError
        If a leaf holds no numbers, or numbers that 32 bits cannot hold.
    """

    def to_host(path: Any, leaf: Any) -> np.ndarray:
        name = f"The leaf {jax.tree_util.keystr(path)} of {owner}"
        array = array_of(leaf, name)
        is_float = jnp.issubdtype(array.dtype, jnp.floating)
        if not (overflows and is_float):
            check_range(array, name)
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(array, "float32") if is_float else array

    return jax.tree_util.tree_map_with_path(to_host, params)


def array_of(leaf: Any, name: str) -> np.ndarray:
    """Return a leaf as an array of its own, of floats, integers, booleans or complex numbers."""
    if isinstance(leaf, Tracer):
        raise ValueError(
            f"{name} is traced by JAX. Pruning runs on the host: call it outside of jit, grad and other "
            "transformations of JAX, and let no function keep a value from inside of one."
        )
    try:
        is_key = jnp.issubdtype(getattr(leaf, "dtype", None) or float, jax.dtypes.prng_key)
        array = np.array(None if is_key or np.ma.is_masked(leaf) else leaf)
        # Integers and floats of other widths than NumPy's own are no kind of its own.
        numbers = array.dtype.kind in "biufc" or _kind(array) in ("floats", "integers")
    except Exception:  # arrays of JAX's that were given away, objects that cannot be arrays
        numbers = False
    if not numbers:
        raise ValueError(
            f"{name} must be an array of numbers. Got {shown(leaf)}: keep what is no parameter out of the tree, in the "
            "function that computes the loss."
        )
    return array


def check_range(array: np.ndarray, name: str) -> None:
    """Raise ValueError if JAX, which computes with 32 bits here, would wrap an integer or make a float infinite."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind in "iu" and width > 4 and array.size:
        limits = np.iinfo("uint32" if kind == "u" else "int32")
        if array.min() < limits.min or array.max() > limits.max:
            raise ValueError(
                f"{name} has integers beyond {limits.dtype}, which the computation cannot hold: from {array.min()} to "
                f"{array.max()}. Number them anew, or convert them to floats."
            )
    if (kind == "f" and width > 4) or (kind == "c" and width > 8):
        with np.errstate(all="ignore"):
            single = array.astype("float32" if kind == "f" else "complex64")
        n_beyond = int(np.count_nonzero(~np.isfinite(single) & np.isfinite(array)))
        if n_beyond:
            raise ValueError(f"{name} has {n_beyond} numbers beyond float32, which the computation cannot hold.")
