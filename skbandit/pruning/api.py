"""`skbandit.prune`: the pruning loop for any JAX network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skbandit._core.constraints import check_values
from skbandit._core.scope import in_these_settings, without_checks
from skbandit.criteria.base import needs_of
from skbandit.networks.capabilities import Prunable
from skbandit.networks.groups import Groups
from skbandit.pruning.engine import Pruner
from skbandit.pruning.fine_tuning import FineTuning, Tuner
from skbandit.pruning.functions import check_callables, checked_functions
from skbandit.pruning.goals import goal_of
from skbandit.pruning.inputs import (
    check_alike,
    checked_network,
    checked_params,
    checked_policy,
    checked_rows,
    seed_of,
    units_that_stay,
)
from skbandit.pruning.parameters import OF_ANY_NETWORK
from skbandit.pruning.results import PruneResult, PruningRound
from skbandit.pruning.task import AnyNetwork
from skbandit.pruning.traced import Function, function_of, rows_of_batches

Params = Any
Vectors = tuple[Any, ...]


def prune(
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
    pruning_ratio: float | str = 0.5,
    tolerance: float = 0.01,
    scope: str = "global",
    max_pruning_ratio: float | Mapping[str, float] = 1.0,
    n_rounds: int = 4,
    held_out: tuple[np.ndarray, ...] | None = None,
    repair: Callable[[Params, np.ndarray, np.ndarray, Vectors], Params] | None = None,
    fine_tune: FineTuning | Callable[[Params, Vectors, int], Params] | None = None,
    on_round: Callable[[PruningRound, Callable[[], PruneResult]], bool] | None = None,
    batch_size: int = 256,
    max_rows: int = 8192,
    random_state: Any = 0,
) -> PruneResult:
    """Prune the units of any JAX network.

    Parameters
    ----------
    network : callable or GatedNetwork
        A function (params, X) → outputs in inference mode, or (params, state, X) where there is state. Its units are
        found in its trace (`skbandit.networks.infer_groups`); the function itself is not changed. Or a
        `skbandit.networks.GatedNetwork`: a loss that takes gates, with groups that you list.
    params : pytree
        Trained parameters. Floats of every width become float32: those that the functions get, and those that
        ``repair`` and ``fine_tune`` return. The parameters of the result have the dtypes that were given if ``network``
        is a function, else float32. Integers and booleans stay what they are.
    X, y : ndarray of shape (n, ...)
        Rows to measure damages on: how much the loss rises when units are masked. Training rows will do. Integers stay
        integers, floats of every width become float32. Both may be dictionaries of arrays. A tuple of arrays as ``X``
        is several arguments of the function. Without ``y``, ``X`` is an iterable of batches (x, y) or (x, y, weight),
        such as a data loader.
    sample_weight : ndarray of shape (n,), optional
        Weights of the rows.
    loss : callable (outputs, y) → f[n], optional
        The loss of each row. Required if ``network`` is a function, and for functions only.
    groups : Groups, optional
        What `skbandit.networks.infer_groups` returned for the function; for functions only. By default `prune` calls
        it without options.
    state : pytree, optional
        For a function that takes one: the statistics of batch normalisation, for example. It is cut with the
        parameters. ``repair`` and a callable ``fine_tune`` get both, as `skbandit.networks.Variables`.
    policy : str, Policy or Criterion, default="ucb1"
        The method that ranks the units: a bandit policy or another criterion, by name or as an object.
    rank_by : {"mean", "absolute", "rms", "curvature", "reward"}, optional
        The summary of damages that units are ranked by (see `skbandit.criteria.Bandit`); by default the mean. For a
        Policy, and for the names of policies, of warm-started bandits, ``"leave_one_out"``,
        ``"greedy_leave_one_out"`` and ``"budgeted_greedy"``, of which some take fewer summaries. It must be None for
        all other criteria, and for those that are given as objects: they have it as a field.
    budget : float, default=8.0
        Mean number of pulls per unit in all rounds together.
    pruning_ratio : float in [0, 1) or "auto", default=0.5
        Share of all units to remove. ``"auto"`` removes units as long as the loss rises by no more than ``tolerance``.
    tolerance : float, default=0.01
        Relative rise of the loss that ``pruning_ratio="auto"`` accepts, on the held-out rows if there are any.
    scope : {"auto", "global", "layer"}, default="global"
        ``"global"``: rank the units of all groups together. ``"layer"``: remove the same share of each group.
        ``"auto"``: in each round, whichever of these two sets leaves the lower loss after the repair, on the held-out
        rows if there are any. Units are then scored as for ``"global"``.
    max_pruning_ratio : float in [0, 1] or dict of str to float, default=1.0
        Largest share of a group's units to remove, rounded down. A dictionary has it by the name of a group; a group
        without an entry may lose all units but one. At least one unit of each group stays in any case. What one group
        may not lose, the others lose. It must let as many units leave as ``pruning_ratio`` asks for; of a set that a
        criterion suggests (``pruning_ratio="auto"``), the least safe units stay.
    n_rounds : int, default=4
        Number of rounds at a given ratio. Each ranks the units that are left and removes a part of them.
    held_out : tuple (X, y) or (X, y, sample_weight), optional
        Rows on which the repaired and the fine-tuned network are compared, and the two sets of ``scope="auto"``;
        ``pruning_ratio="auto"`` goes by their loss as well. By default, the rows ``X, y``.
    repair : callable (params, active, removed, emissions) → params, optional
        Returns new parameters after a removal, of the same shapes. ``active`` and ``removed`` are boolean masks over
        all units, group after group; ``emissions`` is what each unit gives out when masked (zeros). Changes to the
        slices of removed units are undone. It may be called several times in a round, for removals that are tried
        and not made, so it must not depend on earlier calls. By default there is no repair.
    fine_tune : FineTuning or callable (params, gates, round) → params, optional
        Training after each round. For a function, give a `skbandit.pruning.FineTuning` with an optax optimizer. A
        callable trains the parameters with the gates of removed units at 0, and returns them in the same shapes. If the
        loss becomes NaN or is higher than before, the network before fine-tuning is kept. By default there is no
        training.
    on_round : callable (PruningRound, () → PruneResult) → bool, optional
        Called after each round, with its record and a function that returns the result so far; True ends pruning, False
        and None do not.
    batch_size : int, default=256
        Rows of a pull's mini-batch.
    max_rows : int, default=8192
        Rows that are read at most where ``X`` is an iterable of batches.
    random_state : int, RandomState instance or None, default=0
        Seeds the mini-batches and the policy.

    Returns
    -------
    PruneResult
        The smaller parameters (NumPy), the units that are kept, and the history; for a function, also the smaller
        function.

    Raises
    ------
    ValueError
        If an argument is invalid, if the network lacks something that the policy needs, if its loss on the held-out
        rows (or else on ``X, y``) is not finite, or if a function returns something else than it should: no scalar, no
        such parameters, NaN from ``repair``. After the first complete round, a value of ``repair`` or
        ``fine_tune`` that cannot be used does not raise: pruning ends with a warning and ``Outcome.FAILED``.
    RuntimeError
        After a fork of a process that had used JAX, and under a setting of JAX that compiled loops do not support.

    Warns
    -----
    UserWarning
        If the loss has fewer digits than float32, if the policy does not tell one unit from another, if no measured
        damage stands out of the rounding of the loss, if ``fine_tune`` returns NaN, if pruning ends because of what a
        function returned, or if the loss of the result is not finite.

    See Also
    --------
    rank_units : Scores without removal.

    Notes
    -----
    JAX's checks and its 64-bit types are switched off in the compiled programs of pruning, which include the functions
    of ``network``. The checks are those for NaN and infinity (a masked unit may make the loss infinite; such a unit
    stays), for the promotion of ranks and dtypes, for transfers, tracers and keys. Settings that change numbers stay as
    you have them: ``jax_default_matmul_precision``, ``jax_default_prng_impl``, and ``jax_disable_jit``, with which you
    can step through the loss. ``repair``, ``fine_tune`` and ``on_round`` are called under all settings that hold where
    this function is called.

    Your arrays are copied: the functions may write to what they get, and you to the result. If two parameters are the
    same array, the result has two arrays. An exception that your functions raise is passed on, except
    KeyboardInterrupt (Ctrl-C), which ends pruning after the last complete round.

    Examples
    --------
    A function:

    >>> import jax.numpy as jnp, numpy as np
    >>> from skbandit import prune
    >>> def apply(params, X):
    ...     return jnp.tanh(X @ params["in"]) @ params["out"]
    >>> rng = np.random.default_rng(0)
    >>> params = {"in": rng.normal(size=(3, 8)), "out": np.r_[np.ones(4), np.zeros(4)]}
    >>> X = rng.normal(size=(100, 3))
    >>> y = np.tanh(X @ params["in"]) @ params["out"]
    >>> result = prune(apply, params, X, y, loss=lambda outputs, y: (outputs - y) ** 2)
    >>> result.kept[0], result.apply(result.params, X).shape
    (array([0, 1, 2, 3]), (100,))

    A loss with gates:

    >>> from skbandit.networks import GatedNetwork, Group, Groups, Slice
    >>> def loss(params, gates, X, y, weight):
    ...     hidden = jnp.tanh(X @ params["in"]) * gates[0]
    ...     return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)
    >>> groups = Groups([Group("hidden", 8, incoming=[Slice("in", 1)], outgoing=[Slice("out", 0)])])
    >>> result = prune(GatedNetwork(loss, groups), params, X, y)
    >>> result.kept[0], result.params["in"].shape
    (array([0, 1, 2, 3]), (3, 4))
    """
    given: dict[str, Any] = {
        "budget": budget,
        "pruning_ratio": pruning_ratio,
        "tolerance": tolerance,
        "scope": scope,
        "max_pruning_ratio": max_pruning_ratio,
        "n_rounds": n_rounds,
        "batch_size": batch_size,
        "max_rows": max_rows,
        "repair": repair,
        "fine_tune": fine_tune,
        "on_round": on_round,
    }
    check_values("prune", given, OF_ANY_NETWORK)
    check_callables("prune", {"repair": repair, "fine_tune": fine_tune, "on_round": on_round})
    X, y, sample_weight = rows_of_batches("prune", X, y, sample_weight, int(max_rows))
    function = function_of("prune", network, params, X, loss, groups, state)
    if function is not None:
        network, params = function.network, function.params
    pruned = checked_network("prune", network)
    tuner = None
    if isinstance(fine_tune, FineTuning):
        if function is None:
            raise ValueError(
                "The 'fine_tune' parameter of prune may be a FineTuning where a function is pruned. For a network with "
                "gates of its own, give a callable (params, gates, round) → params."
            )
        random_state = seed_of(random_state)
        tuner = fine_tune.of(function.network, params, X, y, sample_weight, random_state)
        fine_tune = tuner
    if function is not None and on_round is not None:
        on_round = _finished(on_round, function, tuner)
    if held_out is not None and not (isinstance(held_out, (tuple, list)) and len(held_out) in (2, 3)):
        length = f" of length {len(held_out)}" if isinstance(held_out, (tuple, list)) else ""
        raise ValueError(
            "The 'held_out' parameter of prune must be a tuple (X, y) or (X, y, sample_weight). "
            f"Got a {type(held_out).__name__}{length} instead."
        )
    repair, fine_tune, on_round = map(in_these_settings, (repair, fine_tune, on_round))
    # All is float32, also where the user has switched float64 on: the two do not mix in a compiled loop.
    # Integers of Python's: those of eight bits would wrap in what is computed from them.
    n_rounds, batch_size = int(n_rounds), int(batch_size)
    with without_checks("float32"):
        params = checked_params(pruned, params)
        seed, criterion = seed_of(random_state), checked_policy(policy, rank_by)
        batches = checked_rows(seed, batch_size, X, y, sample_weight)
        judges = None if held_out is None else checked_rows(0, batch_size, *held_out, of=" of 'held_out'")
        check_alike(batches, judges)
        task = AnyNetwork(pruned, batches, judges, repair, fine_tune, None if tuner is None else tuner.settle)
        least = units_that_stay(max_pruning_ratio, pruning_ratio, pruned.groups)
        options: dict[str, Any] = {"budget": budget, "scope": scope, "seed": seed, "on_round": on_round, "least": least}
        pruner = Pruner(pruned, batches, criterion, task, **options)
        needs = needs_of(criterion)
        remarks = checked_functions(pruned, params, batches, judges, needs, criterion.draws_by_row)
        pruner.doubts_loss = not remarks  # which say already what is wrong with the loss
        goal = goal_of(pruning_ratio, n_rounds=n_rounds, tolerance=tolerance, criterion=criterion)
        result = pruner.run(params, goal)
        if tuner is not None:
            tuner.settle(pruner.params)
    if not np.isfinite(result.loss):
        remarks.append(f"The loss of the smaller network is {result.loss} on the rows to judge it by.")
    if function is not None:
        result, said = _of_function(result, function, tuner)
        remarks += said
    result = result._replace(warnings=(*result.warnings, *task.remarks()))
    for message in (*remarks, *result.warnings):
        warnings.warn(message, UserWarning, stacklevel=2)
    return result


def _of_function(result: PruneResult, function: Function, tuner: Tuner | None) -> tuple[PruneResult, list[str]]:
    """Return the result of a function, and what is to be said of the optimizer's state."""
    result = function.result(result)
    if tuner is None:
        return result, []
    opt_state, said = tuner.cut_state(result)
    return result._replace(opt_state=opt_state), said


def _finished(on_round: Callable[..., Any], function: Function, tuner: Tuner | None) -> Callable[..., Any]:
    """Let a callback see results of a function."""
    return lambda record, result: on_round(record, lambda: _of_function(result(), function, tuner)[0])
