"""The arguments of `skbandit.prune` and `skbandit.rank_units`, checked and converted."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import textwrap
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from sklearn.utils import check_random_state

from skbandit._core.constraints import Number, shown
from skbandit._core.rows import Batches
from skbandit.criteria.base import Criterion
from skbandit.networks.capabilities import PRUNABLE, Prunable, offers
from skbandit.networks.groups import Groups
from skbandit.pruning.functions import check_range, on_host
from skbandit.pruning.schedules import n_of_share

Params = Any


def checked_network(owner: str, network: Any) -> Prunable:
    """Return ``network``; raise ValueError if it cannot be pruned. ``owner`` is the function that was given it."""
    if isinstance(network, type) or not (offers(network, PRUNABLE) and isinstance(network.groups, Groups)):
        raise ValueError(
            f"The 'network' parameter of {owner} must have 'groups' and 'batch_loss', as a GatedNetwork has. "
            f"Got {shown(network)} instead."
        )
    try:
        hash(network)
    except Exception as error:
        raise ValueError(
            f"The 'network' parameter of {owner} must be hashable, as a frozen dataclass is: it is part of the key of "
            f"compiled programs ({error})."
        ) from None
    pruned: Prunable = network
    return pruned


def checked_policy(policy: Any, rank_by: Any = None) -> Criterion:
    """Return the criterion of a ``policy`` argument, whose fields float32 can hold.

    Parameters
    ----------
    policy : str, Policy or Criterion
    rank_by : str, optional
        The summary of damages that it ranks by; the criterion's own by default.

    Raises
    ------
    ValueError
        If it is none, or a field is out of bounds: as it was given, or as float32 has it, where 1e300 is infinite and
        1e-300 is 0. If ``rank_by`` is given for a criterion that has none, or with a Criterion.
    """
    from skbandit.criteria import resolve

    criterion = resolve(policy)
    if rank_by is not None:
        if isinstance(policy, Criterion):
            own = f": give it to the criterion, as in {type(policy).__name__}(rank_by={rank_by!r})"
            raise ValueError(
                "The 'rank_by' parameter must be None where 'policy' is a criterion that is given as an object"
                f"{own if hasattr(policy, 'rank_by') else ''}. Got {shown(rank_by)} and {shown(policy)}."
            )
        if not hasattr(criterion, "rank_by"):
            raise ValueError(
                f"The 'rank_by' parameter must be None with policy={criterion.name!r}, which ranks by no damages of "
                f"pulls. Got {shown(rank_by)}."
            )
        changes: dict[str, Any] = {"rank_by": rank_by}
        criterion = dataclasses.replace(criterion, **changes).check()
    criterion.check("float32")
    return criterion


def units_that_stay(max_pruning_ratio: Any, pruning_ratio: float | str, groups: Groups) -> np.ndarray:
    """Return the least number of units of each group that stay, i[n_groups], one at least.

    Parameters
    ----------
    max_pruning_ratio : float or mapping of str to float
        Largest share of a group that leaves, rounded down: of every group, or by its name.
    pruning_ratio : float or "auto"
        Share of all units that is to leave.
    groups : Groups

    Raises
    ------
    ValueError
        If there is no group of a name, a share is none, or the groups cannot lose as many units as are to leave.
    """
    names, sizes = [group.name for group in groups.groups], np.array(groups.sizes)
    share = Number(0, 1, closed="both")
    if isinstance(max_pruning_ratio, Mapping):
        for name, value in max_pruning_ratio.items():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                listed = textwrap.shorten(", ".join(names), 300, placeholder=" ...")
                raise ValueError(
                    "The 'max_pruning_ratio' parameter of prune must have names of groups as keys. Got "
                    f"{shown(name)} instead.{hint} There are: {listed}."
                )
            if not share.accepts(value):
                raise ValueError(
                    f"The 'max_pruning_ratio' parameter of prune must have values that are {share}. Got "
                    f"{shown(value)} for {shown(name)} instead."
                )
        shares = [float(max_pruning_ratio.get(name, 1.0)) for name in names]
    else:
        shares = [float(max_pruning_ratio)] * len(names)
    may_leave = np.array([n_of_share(part, size) for part, size in zip(shares, groups.sizes, strict=True)])
    least: np.ndarray = np.maximum(sizes - may_leave, 1)
    if pruning_ratio != "auto" and min(shares) < 1:
        target, most = n_of_share(float(pruning_ratio), groups.n_units), int((sizes - least).sum())
        if target > most:
            raise ValueError(
                "The 'max_pruning_ratio' parameter of prune must let as many units leave as 'pruning_ratio' asks for. "
                f"pruning_ratio={float(pruning_ratio):g} is {target} of {groups.n_units} units. Got "
                f"{shown(max_pruning_ratio)}, with which no more than {most} may leave: the share of each group is "
                "rounded down."
            )
    return least


def checked_params(network: Prunable, params: Params) -> Params:
    """Return the parameters on the host, floats as float32: arrays that are no one else's.

    Raises
    ------
    ValueError
        If a leaf holds no numbers, or numbers that 32 bits cannot hold, or the groups do not fit the parameters.
    """
    params = on_host(params, "'params'")
    network.groups.check(params)
    return params


def seed_of(random_state: Any) -> int:
    """Return an int for ``random_state`` as scikit-learn understands it."""
    is_bool = isinstance(random_state, (bool, np.bool_))
    if isinstance(random_state, numbers.Integral) and not is_bool:
        if not 0 <= int(random_state) < 2**32:
            raise ValueError(
                f"The 'random_state' parameter must be an int in [0, 2**32). Got {shown(random_state)} instead."
            )
        return int(random_state)
    try:
        return int(check_random_state("a bool" if is_bool else random_state).randint(2**31 - 1))
    except Exception:
        raise ValueError(
            f"The 'random_state' parameter must be an int, a RandomState instance or None. Got {shown(random_state)}."
        ) from None


def checked_rows(seed: int, width: int, X: Any, y: Any, weight: Any = None, *, of: str = "") -> Batches:
    """Return the rows of positive weight in mini-batches, in float32.

    Parameters
    ----------
    seed : int
        Of the shuffle.
    width : int
        Rows of a mini-batch at most.
    X, y : array-like of shape (n, ...), or dictionary or tuple of arrays
    weight : array-like of shape (n,), optional
    of : str
        What messages put behind the names, such as " of 'held_out'".

    Raises
    ------
    ValueError
        If these are no arrays of numbers with as many rows, or the weights cannot be weights.
    """
    X, y, weight = _checked_rows(X, y, weight, of)
    return Batches.partition(np.random.default_rng(seed), X, y, weight, "float32", width)


def checked_rows_on_host(X: Any, y: Any, weight: Any = None, *, of: str = "") -> tuple[Any, Any, np.ndarray]:
    """Return the rows of positive weight, floats as float32; see `checked_rows`."""

    def single(array: np.ndarray) -> np.ndarray:
        return array.astype("float32") if jnp.issubdtype(array.dtype, jnp.floating) else array

    rows: tuple[Any, Any, np.ndarray] = jax.tree.map(single, _checked_rows(X, y, weight, of))
    return rows


def rows_on_host(value: Any, name: str) -> Any:
    """Return an array of numbers, or a dictionary or tuple of them, with a row for each example, one at least.

    Raises
    ------
    ValueError
        If it is something else.
    """
    rows = checked_arrays(value, name)
    if 0 in {len(array) for array in jax.tree.leaves(rows)} or not jax.tree.leaves(rows):
        raise ValueError(f"{name} must have rows, at least one. Got {shown(value)}.")
    return rows


def _checked_rows(X: Any, y: Any, weight: Any, of: str) -> tuple[Any, Any, np.ndarray]:
    X, y = checked_arrays(X, f"X{of}"), checked_arrays(y, f"y{of}")
    n_rows = {len(a) for a in jax.tree.leaves((X, y))}
    weight = np.ones(max(n_rows, default=0)) if weight is None else _numbers(weight, f"sample_weight{of}").astype(float)
    if weight.ndim != 1:
        raise ValueError(f"sample_weight{of} must be a vector. Got an array of shape {weight.shape}.")
    if n_rows != {len(weight)} or 0 in n_rows:
        of_each = [len(a) for a in jax.tree.leaves((X, y, weight))]
        raise ValueError(
            f"X, y and sample_weight{of} must have the same number of rows, at least one: got "
            f"{', '.join(map(str, of_each))}."
        )
    with np.errstate(over="ignore", under="ignore"):
        total = weight.astype("float32").sum()
    if not (weight >= 0).all() or not 0 < total < np.inf:
        raise ValueError(
            f"sample_weight{of} must be non-negative and finite, and positive for some row, with a sum that float32 "
            f"can hold. The sum is {total}."
        )
    there = weight > 0
    X, y = jax.tree.map(lambda a: a[there], (X, y))
    return X, y, weight[there]


def checked_arrays(value: Any, name: str) -> Any:
    """Return an array of numbers, or a dictionary or tuple of them, with a row for each example."""
    if isinstance(value, dict) and not value:
        raise ValueError(f"{name} must have rows. Got an empty dictionary.")
    if isinstance(value, dict):
        return {key: checked_arrays(part, f"{name}[{key!r}]") for key, part in value.items()}
    if isinstance(value, tuple) and value and all(hasattr(part, "shape") for part in value):
        return tuple(checked_arrays(part, f"{name}[{i}]") for i, part in enumerate(value))
    array: Any = value
    return _numbers(array.toarray() if hasattr(array, "toarray") else array, name)


def _numbers(value: Any, name: str) -> np.ndarray:
    """Return an array of numbers with a row for each example; floats keep their width, but must fit into 32 bits."""
    if isinstance(value, Tracer):
        raise ValueError(
            f"{name} is traced by JAX. Pruning runs on the host: call it outside of jit, grad and other "
            "transformations of JAX."
        )
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} must be an array of numbers with a row for each example. Got a masked array with "
            f"{np.count_nonzero(np.ma.getmaskarray(value))} masked values: fill them in, or leave their rows out."
        )
    try:
        array = np.asarray(value)
    except Exception:  # lists of several lengths, sparse arrays and others that cannot be arrays
        array = np.asarray(None)
    if array.ndim == 0 or not (array.dtype.kind in "biuf" or jnp.issubdtype(array.dtype, jnp.floating)):
        raise ValueError(
            f"{name} must be an array of numbers with a row for each example. Got {type(value).__name__}"
            + (f" of dtype {array.dtype}." if array.ndim else f": {shown(value)}.")
        )
    if 0 in array.shape[1:]:
        raise ValueError(f"{name} must have rows that are not empty. Got an array of shape {array.shape}.")
    check_range(array, name)
    return array


def _shapes_of_rows(tree: Any) -> Any:
    """Return the shape of a row, or those of a tree of arrays."""
    shapes = jax.tree.map(lambda a: a.shape[2:], tree)
    return shapes


def check_alike(batches: Batches, held_out: Batches | None) -> None:
    """Raise ValueError if held-out rows are of other shapes: a loss may broadcast them, and judge by another number."""
    if held_out is None:
        return
    for name in ("X", "y"):
        shape, other = (_shapes_of_rows(getattr(rows, name)) for rows in (batches, held_out))
        if shape != other:
            raise ValueError(
                f"{name} of 'held_out' must have rows of the shape {shape}, as {name} has. Its rows are of the shape "
                f"{other}."
            )
