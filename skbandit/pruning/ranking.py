"""`skbandit.rank_units`: what a policy or criterion says of the units, with nothing removed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from skbandit._core.constraints import Number, OneOf, check_values
from skbandit._core.scope import without_checks
from skbandit.criteria.base import Scores, needs_of
from skbandit.networks.capabilities import Prunable, require
from skbandit.networks.groups import Groups
from skbandit.pruning.functions import array_of, checked_functions
from skbandit.pruning.inputs import checked_network, checked_params, checked_policy, checked_rows, seed_of
from skbandit.pruning.parameters import OF_ANY_NETWORK
from skbandit.pruning.schedules import n_of_share
from skbandit.pruning.scoring import make_problem, mean_loss, score_units
from skbandit.pruning.selection import is_uninformative, remark_on_damages, remark_on_slopes
from skbandit.pruning.traced import function_of, rows_of_batches

Params = Any

_CONSTRAINTS = OF_ANY_NETWORK | {
    "pruning_ratio": (Number(0, 1, closed="left"),),
    "scope": (OneOf(("global", "layer")),),  # nothing is removed here, so that two sets cannot be compared
}


def rank_units(
    network: Prunable | Callable[..., Any],
    params: Params,
    X: Any,
    y: Any = None,
    sample_weight: np.ndarray | None = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    groups: Groups | None = None,
    state: Any = None,
    policy: Any = "ucb1",
    rank_by: str | None = None,
    budget: float = 8.0,
    pruning_ratio: float = 0.5,
    scope: str = "global",
    active: np.ndarray | None = None,
    emissions: tuple[np.ndarray, ...] | None = None,
    batch_size: int = 256,
    max_rows: int = 8192,
    random_state: Any = 0,
) -> Scores:
    """Score the units of any JAX network by how safe they are to remove; nothing is removed.

    ``budget`` is spent in this one call; `prune` divides its budget among the rounds.

    Parameters
    ----------
    network : callable or GatedNetwork
        A function (params, X) → outputs in inference mode, or (params, state, X) where there is state. Its units are
        found in its trace (`skbandit.networks.infer_groups`). Or a `skbandit.networks.GatedNetwork`: a loss that takes
        gates, with groups that you list.
    params : pytree
        Trained parameters. Floats of every width become float32.
    X, y : ndarray of shape (n, ...)
        Rows to measure on. Integers stay integers, floats of every width become float32. Both may be dictionaries of
        arrays. A tuple of arrays as ``X`` is several arguments of the function. Without ``y``, ``X`` is an iterable of
        batches (x, y) or (x, y, weight), such as a data loader.
    sample_weight : ndarray of shape (n,), optional
        Weights of the rows.
    loss : callable (outputs, y) → f[n], optional
        The loss of each row. Required if ``network`` is a function, and for functions only.
    groups : Groups, optional
        What `skbandit.networks.infer_groups` returned for the function; for functions only. By default `rank_units`
        calls it without options.
    state : pytree, optional
        For a function that takes one.
    policy : str, Policy or Criterion, default="ucb1"
        The method that ranks the units: a bandit policy or another criterion, by name or as an object.
    rank_by : {"mean", "absolute", "rms", "curvature", "reward"}, optional
        The summary of damages that units are ranked by (see `skbandit.criteria.Bandit`); by default the mean. For a
        Policy, and for the names of policies, of warm-started bandits, ``"leave_one_out"``,
        ``"greedy_leave_one_out"`` and ``"budgeted_greedy"``, of which some take fewer summaries. It must be None for
        all other criteria, and for those that are given as objects: they have it as a field.
    budget : float, default=8.0
        Mean number of pulls per active unit; at most one for each unit and mini-batch is made.
    pruning_ratio : float in [0, 1), default=0.5
        The share of the active units to look for. Policies of top-m identification, and some criteria, look for the
        best set of that size.
    scope : {"global", "layer"}, default="global"
        Whether that set is one over all groups, or the same share of each.
    active : ndarray of bool, shape (n_units,), optional
        Mask of the units that are still in the network; all by default. The slices of the others must be zero.
    emissions : tuple of ndarray of shape (size,), optional
        What a unit of each group gives out when masked, where the network can make use of it; 0 by default.
    batch_size : int, default=256
        Rows of a pull's mini-batch.
    max_rows : int, default=8192
        Rows that are read at most where ``X`` is an iterable of batches.
    random_state : int, RandomState instance or None, default=0
        Seeds the mini-batches and the policy.

    Returns
    -------
    Scores
        NumPy arrays over all units, group after group. ``value``: higher = safer to remove; units that are not active
        do not count. ``damage``: the estimated rise of the loss when the unit alone leaves, NaN where the criterion
        estimates none. ``suggested``: the set that the criterion itself would remove, or None. ``n_pulls``.

    Raises
    ------
    ValueError
        If an argument is invalid, if the network lacks something that the policy needs, or if no value is finite.
    RuntimeError
        After a fork of a process that had used JAX, and under a setting of JAX that compiled loops do not support.

    Warns
    -----
    UserWarning
        If the loss has fewer digits than float32, if the policy does not tell one unit from another, or if no measured
        damage stands out of the rounding of the loss.

    See Also
    --------
    prune : Removes the units. Its notes say which of JAX's settings hold in the loss.

    Examples
    --------
    A function:

    >>> import jax.numpy as jnp, numpy as np
    >>> from skbandit import rank_units
    >>> def apply(params, X):
    ...     return jnp.tanh(X @ params["in"]) @ params["out"]
    >>> rng = np.random.default_rng(0)
    >>> params = {"in": rng.normal(size=(3, 4)), "out": np.array([1.0, 0.0, 2.0, 0.1])}
    >>> X = rng.normal(size=(100, 3))
    >>> y = np.tanh(X @ params["in"]) @ params["out"]
    >>> scores = rank_units(apply, params, X, y, loss=lambda outputs, y: (outputs - y) ** 2, policy="leave_one_out")
    >>> np.argsort(-scores.value)  # the safest first
    array([1, 3, 0, 2])

    A loss that takes gates:

    >>> from skbandit.networks import GatedNetwork, Group, Groups, Slice
    >>> def loss(params, gates, X, y, weight):
    ...     hidden = jnp.tanh(X @ params["in"]) * gates[0]
    ...     return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)
    >>> groups = Groups([Group("hidden", 4, incoming=[Slice("in", 1)], outgoing=[Slice("out", 0)])])
    >>> scores = rank_units(GatedNetwork(loss, groups), params, X, y, policy="leave_one_out")
    >>> np.argsort(-scores.value)
    array([1, 3, 0, 2])
    """
    given: dict[str, Any] = {
        "budget": budget,
        "pruning_ratio": pruning_ratio,
        "scope": scope,
        "batch_size": batch_size,
        "max_rows": max_rows,
    }
    check_values("rank_units", given, _CONSTRAINTS)
    X, y, sample_weight = rows_of_batches("rank_units", X, y, sample_weight, int(max_rows))
    function = function_of("rank_units", network, params, X, loss, groups, state)
    if function is not None:
        network, params = function.network, function.params
    network = checked_network("rank_units", network)
    with without_checks("float32"):
        params = checked_params(network, params)  # first: groups that do not fit may have any number of units
        active = _checked_active(active, network.groups.n_units)
        emissions = _checked_emissions(emissions, network.groups.sizes)
        n_active = int(active.sum())
        criterion = checked_policy(policy, rank_by)
        needs = needs_of(criterion)
        require(network, needs, lambda: criterion.label)
        seed = seed_of(random_state)
        batches = checked_rows(seed, int(batch_size), X, y, sample_weight)
        remarks = checked_functions(network, params, batches, None, needs, criterion.draws_by_row)
        problem = make_problem(
            network,
            params,
            batches,
            active,
            emissions,
            n_pulls=int(budget * n_active),
            n_remove=n_of_share(pruning_ratio, n_active),
            scope=scope,
        )
        _, scores = score_units(criterion, np.uint32(seed), None, problem, active)
        scores = Scores(*(jax.tree.map(np.asarray, part) for part in scores))
        if scores.n_pulls > 0 and not remarks:  # else it is said already what is wrong with the loss
            mean = mean_loss(network, problem.params, problem.gates, problem.emissions, batches)
            remarks.append(remark_on_damages(np.asarray(scores.damage)[active], mean))
            remarks.append(remark_on_slopes(scores.info, active))
        elif scores.n_pulls == 0 and is_uninformative(np.asarray(scores.value)[active]):
            remarks.append(f"{criterion!r} does not tell one unit from another: all values are the same.")
    for message in filter(None, remarks):
        warnings.warn(message, UserWarning, stacklevel=2)
    if not np.isfinite(scores.value[active]).any():
        raise ValueError(
            "No value is finite: X, y or the parameters hold values that are too large, or NaN, or the criterion does "
            f"not fit the network. The values are {np.unique(scores.value[active])[:4]}."
        )
    return scores


def _checked_active(active: np.ndarray | None, n: int) -> np.ndarray:
    if active is None:
        return np.ones(n, bool)
    try:
        mask = np.asarray(active)
    except Exception:  # lists of several lengths, and others that cannot be arrays
        mask = np.asarray(None)
    if mask.shape != (n,) or mask.dtype != bool or not mask.any():
        raise ValueError(
            f"The 'active' parameter of rank_units must be a mask over the {n} units, with some of them in it. Got an "
            f"array of shape {mask.shape} and dtype {mask.dtype}."
        )
    return mask


def _checked_emissions(emissions: Any, sizes: tuple[int, ...]) -> tuple[np.ndarray, ...] | None:
    if emissions is None:
        return None
    allowed = f"have a vector for each group, of {list(sizes)} finite numbers"
    if not isinstance(emissions, (tuple, list)) or len(emissions) != len(sizes):
        found = f"{len(emissions)} of them" if isinstance(emissions, (tuple, list)) else type(emissions).__name__
        raise ValueError(f"The 'emissions' parameter of rank_units must {allowed}. Got {found}.")
    arrays = tuple(array_of(e, f"Part {g} of the 'emissions' parameter of rank_units") for g, e in enumerate(emissions))
    shapes = [e.shape for e in arrays]
    if shapes != [(size,) for size in sizes] or not all(e.dtype.kind in "biuf" for e in arrays):
        raise ValueError(f"The 'emissions' parameter of rank_units must {allowed}. Got {shapes}.")
    with np.errstate(over="ignore", under="ignore"):
        arrays = tuple(e.astype("float32") for e in arrays)
    if not all(np.isfinite(e).all() for e in arrays):
        raise ValueError(f"The 'emissions' parameter of rank_units must {allowed}. Got NaN or infinity.")
    return arrays
