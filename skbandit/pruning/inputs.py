"""The arguments of `skbandit.prune` and `skbandit.rank_units`, checked and converted."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from sklearn.utils import check_random_state

from skbandit._core.rows import Batches
from skbandit.networks.capabilities import PRUNABLE, Prunable, offers
from skbandit.networks.groups import Groups

Params = Any


def checked_network(owner: str, network: Any) -> None:
    """Raise ValueError if ``network`` cannot be pruned; ``owner`` is the function that was given it."""
    if not (offers(network, PRUNABLE) and isinstance(network.groups, Groups)):
        raise ValueError(
            f"The 'network' parameter of {owner} must have 'groups' and 'batch_loss', as a GatedNetwork has. "
            f"Got {network!r} instead."
        )
    try:
        hash(network)
    except TypeError as error:
        raise ValueError(
            f"The 'network' parameter of {owner} must be hashable, as a frozen dataclass is: it is part of the key of "
            f"compiled programs ({error})."
        ) from None


def checked_params(network: Prunable, params: Params) -> Params:
    """Return the parameters on the host, floats as float32.

    Raises
    ------
    ValueError
        If a leaf holds no numbers, or numbers that 32 bits cannot hold, or the groups do not fit the parameters.
    """
    params = _on_host(params, "'params'")
    network.groups.check(params)
    return params


def checked_return(name: str, given: Params, returned: Params) -> Params:
    """Return the parameters that the user's function ``name`` returns for those ``given``, as `checked_params` does.

    Raises
    ------
    ValueError
        If they are not the same tree of arrays, or a leaf holds no numbers.
    """
    before: Any = jax.tree.structure(given)
    after: Any = jax.tree.structure(returned)
    if before != after:
        raise ValueError(f"The {name!r} function must return parameters in the tree {before}. It returned {after}.")
    returned = _on_host(returned, f"what {name!r} returns")
    for (path, old), new in zip(jax.tree.leaves_with_path(given), jax.tree.leaves(returned), strict=True):
        if np.shape(old) != new.shape:
            raise ValueError(
                f"The {name!r} function must return parameters of the same shapes. The leaf "
                f"{jax.tree_util.keystr(path)} had {np.shape(old)} and has {new.shape}."
            )
    return returned


def _on_host(params: Params, owner: str) -> Params:
    """Return NumPy arrays, floats of every width as float32."""

    def to_host(path: Any, leaf: Any) -> np.ndarray:
        _outside(leaf)
        name = f"The leaf {jax.tree_util.keystr(path)} of {owner}"
        key = jnp.issubdtype(getattr(leaf, "dtype", None) or float, jax.dtypes.prng_key)
        array = np.asarray(None if key else leaf)
        if jnp.issubdtype(array.dtype, jnp.floating):
            with np.errstate(over="ignore"):  # the loss then says so
                return np.asarray(array, "float32")
        # Integers of less than a byte are no kind of NumPy's own.
        if array.dtype.kind not in "biuc" and not jnp.issubdtype(array.dtype, jnp.integer):
            raise ValueError(
                f"{name} must be an array of numbers. Got {leaf!r}: keep what is no parameter out of the tree, in the "
                "function that computes the loss."
            )
        return _in_32_bits(array, name)

    return jax.tree_util.tree_map_with_path(to_host, params)


def remarks_on_loss(network: Prunable, params: Params, batches: Batches) -> list[str]:
    """Return what is to be said of the loss: that it has fewer digits than float32, if it has."""
    gates = tuple(jax.ShapeDtypeStruct((size,), np.float32) for size in network.groups.sizes)
    rows = [jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in batches[:3]]
    dtype = getattr(jax.eval_shape(network.batch_loss, params, gates, gates, *rows), "dtype", np.dtype(np.float32))
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"The loss of the network must be a float. It is of dtype {dtype}.")
    if jnp.finfo(dtype).eps <= jnp.finfo(np.float32).eps:
        return []
    return [
        f"The loss of the network is {dtype}. A damage is a difference of two losses, and most differences below "
        f"{float(jnp.finfo(dtype).eps):.1g} of the loss are lost: compute the mean over the rows in float32."
    ]


def seed_of(random_state: Any) -> int:
    """Return an int for ``random_state`` as scikit-learn understands it."""
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if not 0 <= int(random_state) < 2**32:
            raise ValueError(
                f"The 'random_state' parameter must be an int in [0, 2**32). Got {random_state!r} instead."
            )
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise ValueError(
            f"The 'random_state' parameter must be an int, a RandomState instance or None. Got {random_state!r}."
        ) from None


def checked_rows(seed: int, width: int, X: Any, y: Any, weight: Any = None, *, of: str = "") -> Batches:
    """Return the rows of positive weight in mini-batches, in float32.

    Parameters
    ----------
    seed : int
        Of the shuffle.
    width : int
        Rows of a mini-batch at most.
    X, y : array-like of shape (n, ...)
    weight : array-like of shape (n,), optional
    of : str
        What messages put behind the names, such as " of 'held_out'".

    Raises
    ------
    ValueError
        If these are no arrays of numbers with as many rows, or the weights cannot be weights.
    """
    X, y = _numbers(X.toarray() if hasattr(X, "toarray") else X, f"X{of}"), _numbers(y, f"y{of}")
    weight = np.ones(len(X)) if weight is None else _numbers(weight, f"sample_weight{of}").astype(float)
    if weight.ndim != 1:
        raise ValueError(f"sample_weight{of} must be a vector. Got an array of shape {weight.shape}.")
    if not len(X) == len(y) == len(weight) > 0:
        raise ValueError(
            f"X, y and sample_weight{of} must have the same number of rows, at least one: got {len(X)}, {len(y)}, "
            f"{len(weight)}."
        )
    with np.errstate(over="ignore", under="ignore"):
        total = weight.astype("float32").sum()
    if not (weight >= 0).all() or not 0 < total < np.inf:
        raise ValueError(
            f"sample_weight{of} must be non-negative and finite, and positive for some row, with a sum that float32 "
            f"can hold. The sum is {total}."
        )
    there = weight > 0
    return Batches.partition(np.random.default_rng(seed), X[there], y[there], weight[there], "float32", width)


def _numbers(value: Any, name: str) -> np.ndarray:
    _outside(value)
    array = np.asarray(value)
    if array.ndim == 0 or not (array.dtype.kind in "biuf" or jnp.issubdtype(array.dtype, jnp.floating)):
        raise ValueError(
            f"{name} must be an array of numbers with a row for each example. Got {type(value).__name__}"
            + (f" of dtype {array.dtype}." if array.ndim else f": {value!r}.")
        )
    return _in_32_bits(array, name)


def _outside(value: Any) -> None:
    if isinstance(value, Tracer):
        raise ValueError("Pruning runs on the host: call it outside of jit, grad and other transformations of JAX.")


def _in_32_bits(array: np.ndarray, name: str) -> np.ndarray:
    """Return the array; raise ValueError if it has integers that would wrap: JAX computes with 32 bits here."""
    if array.dtype.kind in "iu" and array.dtype.itemsize > 4 and array.size:
        limits = np.iinfo("uint32" if array.dtype.kind == "u" else "int32")
        if array.min() < limits.min or array.max() > limits.max:
            raise ValueError(
                f"{name} has integers beyond {limits.dtype}, which the computation cannot hold: from {array.min()} to "
                f"{array.max()}. Number them anew, or convert them to floats."
            )
    return array
