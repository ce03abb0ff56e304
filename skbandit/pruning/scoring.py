"""The compiled functions of pruning: a round's scores in one call, and the loss of a network."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from skbandit._core.programs import QUICK_COMPILE, compiled, first_call, make_room, quick_compile_is_known
from skbandit._core.random import key_of
from skbandit._core.rows import Batches
from skbandit._core.scope import n_devices
from skbandit.criteria.base import Criterion, Problem, Scores, checked
from skbandit.networks.capabilities import DENSE_LAYERS, FAST_DAMAGES, Prunable, offers
from skbandit.pruning.selection import room_of_groups

Params = Any
Vectors = tuple[Any, ...]

#: With no more units than this (and an evaluator of arms) a round takes some milliseconds, and its compilation half a
#: second: it is compiled quickly. On larger networks the faster program pays for itself.
QUICK_UNITS = 128
#: With no more mini-batches and units than this, a chain of dense layers that has an evaluator of arms measures the
#: damages of all units on all mini-batches before a bandit begins, which then looks up what it pulls. At the default
#: budget a bandit pulls most units on both; at a smaller one the sweep costs up to twice its pulls, which is some
#: milliseconds here, and may be minutes in other networks. The evaluator, most of the program of a round, is then
#: compiled once for all policies.
TABLE_BATCHES, TABLE_UNITS = 2, 1024


@compiled()
def _init(criterion: Criterion, seed: Any, problem: Problem) -> Any:
    # Folded, so that it is no key of a round.
    return criterion.init(jax.random.fold_in(key_of(seed), 1), problem)


def _score(criterion: Criterion, seed: Any, state: Any, problem: Problem, active: Any) -> tuple[Any, Scores]:
    result = criterion.step(key_of(seed), state, problem, active)
    return checked(criterion, result, problem.n_units)


def _table(problem: Problem, active: Any) -> Any:
    def measure(t: Any, table: Any) -> Any:
        damage, _ = problem.pull(t, active)
        return lax.dynamic_update_index_in_dim(table, damage, t, 0)

    dtype = problem.batches.weight.dtype
    return lax.fori_loop(
        0, problem.batches.n_batches, measure, jnp.zeros((problem.n_batches_max, problem.n_units), dtype)
    )


_score_thorough, _table_thorough = compiled()(_score), compiled()(_table)
_score_quick, _table_quick = (compiled(compiler_options=QUICK_COMPILE)(function) for function in (_score, _table))


@compiled(static_argnames=("network",))
def _mean_loss(params: Params, gates: Vectors, emissions: Vectors, batches: Batches, *, network: Prunable) -> Any:
    return batches.mean(lambda X, y, weight: network.batch_loss(params, gates, emissions, X, y, weight))


def program(network: Prunable, criterion: Criterion | None, params: Params, batches: Batches) -> tuple[Any, ...]:
    """Return what tells the compiled programs of one network, criterion and shapes from those of others."""
    shapes = [(np.shape(a), str(a.dtype)) for a in jax.tree.leaves((params, batches))]
    device = str(getattr(jax.config, "jax_default_device", None)), n_devices()
    return network, jax.tree.structure(criterion), jax.tree.structure(params), tuple(shapes), device


def make_problem(
    network: Prunable,
    params: Params,
    batches: Batches,
    active: np.ndarray,
    emissions: Vectors | None,
    *,
    n_pulls: int,
    n_remove: int,
    scope: str,
    least: np.ndarray | int = 1,
) -> Problem:
    """Return the problem of a round, in host arrays: they become traced ones where a compiled function is called.

    Parameters
    ----------
    network : Prunable
    params : pytree
        At their original shapes; slices of units that are not active are zero.
    batches : Batches
        Calibration rows.
    active : bool[n_units]
    emissions : tuple of f[n_g] or None
        What a masked unit gives out; None for zeros.
    n_pulls : int
        Pulls that may be spent: each active unit gets one at least, and one on each mini-batch at most.
    n_remove : int
        Units that are to leave.
    scope : {"global", "layer"}
    least : i[n_groups] or int, default=1
        Number of units of each group that stay.
    """
    dtype = batches.weight.dtype
    n_active = int(active.sum())
    # With every row seen once, a unit's damage is exact: more pulls than mini-batches would be wasted.
    n_pulls = max(min(n_pulls, n_active * int(batches.n_batches)), n_active)
    gates: Any = tuple(part.astype(dtype) for part in network.groups.split(active))
    emissions = tuple(np.zeros_like(gate) for gate in gates) if emissions is None else emissions
    room: Any = room_of_groups(active, network.groups.group_of(), n_remove, scope, least).astype(np.int32)
    numbers: Any = np.int32(n_pulls), np.int32(n_remove)
    return Problem(
        params=params,
        gates=gates,
        emissions=emissions,
        batches=batches,
        budget=numbers[0],
        n_remove=numbers[1],
        room=room,
        network=network,
        arms_per_step=arms_per_step(network.groups.n_units),
    )


def canonical(config: Any) -> Any:
    """Make every numeric field a float array, so that ``2`` and ``2.0`` share a program."""
    return jax.tree.map(lambda x: np.asarray(x, float), config)


def arms_per_step(n_units: int) -> int:
    """Slots of a step: an eighth of the units.

    Large batches of arms cost a top-m policy nothing, because the arms of a step share a mini-batch, and they share
    the forward pass up to their layer.
    """
    return max(1, n_units // 8)


def score_units(
    criterion: Criterion, seed: np.uint32, state: Any, problem: Problem, active: np.ndarray
) -> tuple[Any, Scores]:
    """Score the active units: one compiled call, whatever the criterion.

    Parameters
    ----------
    criterion : Criterion
    seed : u32
        Of the round.
    state : pytree or None
        What the criterion carries from round to round; None in the first.
    problem : Problem
    active : bool[n_units]

    Returns
    -------
    state : pytree
    scores : Scores
    """
    network = problem.network
    fast = offers(network, FAST_DAMAGES)
    quick = fast and problem.n_units <= QUICK_UNITS
    criterion = canonical(criterion)
    key = program(network, criterion, problem.params, problem.batches)
    small = problem.n_batches_max <= TABLE_BATCHES and problem.n_units <= TABLE_UNITS
    if _looks_up(criterion) and small and fast and offers(network, DENSE_LAYERS):
        problem = dataclasses.replace(problem, table=_measured(problem, active, quick=quick))
        quick = True  # what is left of the round is the bandit
    score = _score_quick if quick and quick_compile_is_known() else _score_thorough
    make_room(key)
    with first_call(key):
        if state is None:
            state = () if type(criterion).init is Criterion.init else _init(criterion, seed, problem)
        state, scores = score(criterion, seed, state, problem, active)
    return state, scores


def _looks_up(criterion: Criterion) -> bool:
    """Say whether the class that has the criterion's `step` says so: a subclass may change the problem before."""
    owner = next(cls for cls in type(criterion).__mro__ if "step" in vars(cls))
    return bool(vars(owner).get("looks_up", False))


def _measured(problem: Problem, active: np.ndarray, *, quick: bool) -> Any:
    """Return the damages f[D, n] of the active units on each mini-batch: one program for all policies."""
    measure = _table_quick if quick and quick_compile_is_known() else _table_thorough
    key = "table", *program(problem.network, None, problem.params, problem.batches)
    make_room(key)
    with first_call(key):
        return measure(problem, active)


def mean_loss(network: Prunable, params: Params, gates: Vectors, emissions: Vectors, batches: Batches) -> float:
    """Return the loss over all rows, mini-batch by mini-batch."""
    key = program(network, None, params, batches)
    make_room(key)
    with first_call(key):
        return float(_mean_loss(params, gates, emissions, batches, network=network))


@compiled(static_argnames=("network",))
def _losses_of_a_row(params: Params, gates: Vectors, batches: Batches, row: Any, *, network: Prunable) -> Any:
    X, y, weight, _ = batches.take(jnp.int32(0))
    weight = (jnp.arange(weight.shape[0]) == row).astype(weight.dtype)
    its_own = tuple(g[row] for g in gates)
    none = tuple(jnp.zeros_like(g) for g in its_own)
    return [network.batch_loss(params, g, none, X, y, weight) for g in (gates, its_own)]


def losses_of_a_row(network: Prunable, params: Params, gates: Vectors, batches: Batches) -> tuple[float, float]:
    """Return the loss of a row with gates for each row, f[width, n_g], and with the gates of this row alone."""
    row = np.flatnonzero(np.asarray(batches.weight[0]))[-1].astype(np.int32)
    key = "losses of a row", *program(network, None, params, batches)
    make_room(key)
    with first_call(key):
        of_rows, of_row = _losses_of_a_row(params, gates, batches, row, network=network)
    return float(of_rows), float(of_row)
