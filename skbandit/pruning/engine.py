"""The engine: the only pruning loop there is.

A *round* scores the units (one XLA call, whatever the criterion), removes a chunk of them, repairs the network and
fine-tunes it; the next round starts from the smaller network. During the loop the parameters keep their shapes: a
removed unit has gate 0 and its slices are zero, so that one compiled program serves all rounds. At the end the arrays
are cut.

The engine knows no layer type. What depends on the network comes in as functions: ``repair``, ``fine_tune``,
``measure``, ``emissions``.
"""

from __future__ import annotations

import dataclasses
import itertools
import numbers
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from sklearn.utils import check_random_state

from skbandit._core.constraints import NON_NEGATIVE, NONE, UNIT, Number, OneOf, Where, check_values
from skbandit._core.programs import QUICK_COMPILE, compiled, quick_compile_is_known
from skbandit._core.random import COUNTER_HASH
from skbandit._core.rows import Batches
from skbandit._core.scope import in_this_precision, refuse_after_fork
from skbandit.criteria.base import Criterion, Problem, Scores, checked
from skbandit.pruning.schedules import affordable_rounds, pulls_per_round
from skbandit.pruning.selection import choose_units, evenly, room_of_layers, says_nothing

Params = Any
Vectors = tuple[Any, ...]

#: In ``"auto"`` mode a round proposes this share of the units that are left; if the proposal fails, half as many.
AUTO_SHARE = 0.5
#: ... until less than this share is proposed.
AUTO_SMALLEST_SHARE = 1 / 32

#: ... and spends this share of the budget per unit: rounds that halve the network leave half of it for finer ones.
AUTO_BUDGET_SHARE = 1 / 4

#: With no more units than this (and an evaluator of arms) a round takes some milliseconds, and its compilation half a
#: second: it is compiled quickly. On larger networks the faster program pays for itself.
QUICK_UNITS = 128

#: Status of a phase that Ctrl-C ended.
INTERRUPTED = "interrupted by the user"
STOPPED = "stopped by a callback"


class PruningRound(NamedTuple):
    """What one round did; losses are means over rows, in the units of the loss."""

    round: int
    n_removed: int
    sizes: tuple[int, ...]
    """Units left per group."""
    n_pulls: int
    damage_predicted: float
    """Sum of the removed units' estimated damages, as if they did not interact; NaN if the criterion has none."""
    damage_measured: float
    """Rise of the calibration loss with the removed units masked together, before any repair."""
    loss_before: float
    """Guard loss (held-out rows, or the calibration rows where none are held out) at the start of the round."""
    loss_repaired: float
    """... after removal and repair."""
    loss_after: float
    """... at the end of the round, fine-tuned where that was an improvement."""
    fine_tuned: bool
    """Whether the fine-tuned network was kept."""
    seconds: float


class PruneResult(NamedTuple):
    """The smaller network and how it came about."""

    params: Params
    """Compact NumPy arrays."""
    kept: tuple[np.ndarray, ...]
    """Per group, the indices of the units that are left."""
    history: list[PruningRound]
    n_pulls: int
    status: str
    loss: float = np.nan
    """Guard loss of the network."""


@compiled()
def _init(criterion: Criterion, seed: Any, problem: Problem) -> Any:
    # Folded, so that it is no key of a round.
    return criterion.init(jax.random.fold_in(jax.random.key(seed, impl=COUNTER_HASH), 1), problem)


def _score(criterion: Criterion, seed: Any, state: Any, problem: Problem, active: Any) -> tuple[Any, Scores]:
    result = criterion.step(jax.random.key(seed, impl=COUNTER_HASH), state, problem, active)
    return checked(criterion, result, problem.n_units)


_score_thorough = compiled()(_score)
_score_quick = compiled(compiler_options=QUICK_COMPILE)(_score)


@compiled(static_argnames=("network",))
def _mean_loss(params, gates, emissions, batches: Batches, *, network):
    """Loss over all rows, batch by batch."""

    def body(t, carry):
        summed, total = carry
        X, y, weight, batch_total = batches.take(t)
        return summed + batch_total * network.batch_loss(params, gates, emissions, X, y, weight), total + batch_total

    zero = jnp.zeros((), batches.weight.dtype)
    summed, total = lax.fori_loop(0, batches.n_batches, body, (zero, zero))
    return summed / total


def canonical(config: Any) -> Any:
    """Make every numeric field a float array, so that ``2`` and ``2.0`` share a program."""
    return jax.tree.map(lambda x: np.asarray(x, float), config)


@dataclasses.dataclass
class _Network:
    """The network as it stands: host arrays."""

    params: Params
    active: np.ndarray
    loss: float


class _Verdict(NamedTuple):
    """A round's scores, on the host."""

    value: np.ndarray
    damage: np.ndarray
    suggested: np.ndarray | None
    n_pulls: int
    emissions: Vectors
    """What units give out when masked in this round."""


@dataclasses.dataclass
class Pruner:
    """One pruning phase: what stays the same over its rounds.

    Parameters
    ----------
    network
        Hashable, with ``groups`` and ``batch_loss(params, gates, emissions, X, y, weight)``; optionally ``damages``.
    batches : Batches
        Calibration rows.
    criterion : Criterion
    budget : float
        Mean pulls per unit in the whole phase.
    scope, n_rounds, tolerance
        As in the estimators.
    seed : int
    emissions : callable (params, gates) → tuple of f[n_g], optional
        What a masked unit gives out; zeros by default.
    repair : callable (params, active bool[n], removed bool[n], emissions) → params, optional
        Adjusts what is left; called before the removed slices are set to zero.
    fine_tune : callable (params, gates, round) → params, optional
    measure : callable (params, gates, emissions or None) → float, optional
        Loss on the calibration rows, where None stands for no emissions; by default computed from ``batch_loss``.
    guard : callable (params, gates) → float, optional
        Loss on held-out rows; ``measure`` by default.
    score : callable (params, gates) → float, optional
        What the user scores by, on the same rows, higher = better: a classifier's log loss may fall while it errs more.
        ``"auto"`` lets it fall by ``tolerance``.
    on_round : callable (PruningRound, () → PruneResult) → bool, optional
        Called after each round, with what pruning would return if it ended there; True ends the phase.
    """

    network: Any
    batches: Batches
    criterion: Criterion
    budget: float = 8.0
    scope: str = "global"
    n_rounds: int = 4
    tolerance: float = 0.01
    seed: int = 0
    emissions: Callable[[Params, Vectors], Vectors] | None = None
    repair: Callable[[Params, np.ndarray, np.ndarray, Vectors], Params] | None = None
    fine_tune: Callable[[Params, Vectors, int], Params] | None = None
    measure: Callable[[Params, Vectors, Vectors | None], float] | None = None
    guard: Callable[[Params, Vectors], float] | None = None
    score: Callable[[Params, Vectors], float] | None = None
    on_round: Callable[[PruningRound, Callable[[], PruneResult]], bool] | None = None
    scoring: Callable[[], AbstractContextManager[None]] = nullcontext
    """What to enter around the compiled call of a round."""

    def __post_init__(self) -> None:
        self.groups = self.network.groups
        self.layer = self.groups.layer_of()
        self.dtype = np.dtype(self.batches.weight.dtype)
        self.n_batches = int(self.batches.n_batches)
        few = hasattr(self.network, "damages") and self.groups.n_units <= QUICK_UNITS
        self._quick = few and quick_compile_is_known()
        self.history: list[PruningRound] = []
        self.n_pulls = 0
        self._warned = False
        self._state: Any = None
        self._now: _Network

    def run(self, params: Params, pruning_ratio: float | str, active: np.ndarray | None = None) -> PruneResult:
        """Prune ``params`` until ``pruning_ratio`` of all units are gone (those already inactive count)."""
        if active is None:
            active = np.ones(self.groups.n_units, bool)
        start = _Network(params, active, np.nan)
        start.loss = self._guard(params, active)
        if not np.isfinite(start.loss):
            raise ValueError(
                f"The loss of the network to prune is {start.loss} on the rows to judge it by (held-out ones, or else "
                "those that damages are measured on): X, y or the parameters hold values that are too large, or NaN."
            )
        self._now = start
        try:
            status = self._auto() if pruning_ratio == "auto" else self._fixed(float(pruning_ratio))
        except KeyboardInterrupt:
            # What the completed rounds reached stands; the round under way is dropped whole.
            status = INTERRUPTED
        return self._result(status)

    def _result(self, status: str) -> PruneResult:
        kept = tuple(np.flatnonzero(a) for a in self.groups.split(self._now.active))
        params = self.groups.compact(self._now.params, kept)
        return PruneResult(params, kept, list(self.history), self.n_pulls, status, self._now.loss)

    def _fixed(self, ratio: float) -> str:
        now = self._now
        n_active = int(now.active.sum())
        # Half a unit rounds away from removal; every layer keeps one.
        target = int(np.floor(ratio * self.groups.n_units + 1e-9)) - (self.groups.n_units - n_active)
        target = min(target, n_active - len(self.groups.sizes))
        removals = affordable_rounds(n_active, target, self.n_rounds, self.budget)
        sizes = [int(n) for n in n_active - np.cumsum([0, *removals[:-1]])] if removals else []
        for r, (n_remove, pulls) in enumerate(
            zip(removals, pulls_per_round(sizes, self.budget, n_active), strict=True)
        ):
            t0 = time.perf_counter()
            now, verdict = self._scores(now, r, pulls, n_remove)
            now, record = self._attempt(now, r, verdict, self._choose(now, verdict, n_remove), t0)
            if self._accept(record, now):
                return f"{STOPPED} after round {r}"
        return f"removed {n_active - int(now.active.sum())} of {n_active} units in {len(removals)} rounds"

    def _auto(self) -> str:
        now = self._now
        n_start = int(now.active.sum())
        if self.criterion.suggests:
            return self._suggested(now)
        limit = now.loss + self.tolerance * abs(now.loss)
        lowest = self._score(now) - self.tolerance
        left = int(self.budget * n_start)
        for r in itertools.count():
            t0 = time.perf_counter()
            n_active = int(now.active.sum())
            if n_active == len(self.groups.sizes):
                why = "one is left in each layer"
                break
            if left < n_active:
                why = "the budget is used up"
                break
            n_remove = max(1, int(n_active * AUTO_SHARE))
            pulls = min(left, int(n_active * max(1, self.budget * AUTO_BUDGET_SHARE)))
            now, verdict = self._scores(now, r, pulls, n_remove)
            left -= min(verdict.n_pulls, pulls)  # some criteria ask for all there is to know
            smallest = max(1, int(n_active * AUTO_SMALLEST_SHARE))
            accepted = False
            while not accepted and n_remove >= smallest:
                proposal, record = self._attempt(now, r, verdict, self._choose(now, verdict, n_remove), t0)
                accepted = proposal.loss <= limit and self._score(proposal) >= lowest
                n_remove //= 2
            if not accepted:
                why = f"removing {smallest} more costs over the tolerance"
                break
            now = proposal
            if self._accept(record, now):
                why = STOPPED
                break
        return f"removed {n_start - int(now.active.sum())} of {n_start} units in {len(self.history)} rounds; {why}"

    def _choose(self, now: _Network, verdict: _Verdict, n_remove: int) -> np.ndarray:
        return choose_units(verdict.value, now.active, self.layer, n_remove, self.scope)

    def _suggested(self, now: _Network) -> str:
        """Remove the criterion's own set, whole: it needs no tolerance."""
        t0 = time.perf_counter()
        n_left = int(now.active.sum())
        # One round, with all pulls; no quota but that each layer keeps a unit.
        n_remove = max(1, n_left - len(self.groups.sizes))
        now, verdict = self._scores(now, 0, int(self.budget * n_left), n_remove, "global")
        suggested = verdict.suggested & now.active
        n_active, n_suggested = int(now.active.sum()), int(suggested.sum())
        if n_suggested == 0:
            return f"removed 0 of {n_active} units: the criterion suggests none"
        # Of a layer that would be empty, the least safe unit stays.
        room = room_of_layers(now.active, self.layer, n_suggested, "global")
        n_remove = int(np.minimum(np.bincount(self.layer[suggested], minlength=room.size), room).sum())
        value = np.where(suggested, verdict.value, -np.inf)
        removed = suggested & choose_units(value, now.active, self.layer, n_remove, "global")
        now, record = self._attempt(now, 0, verdict, removed, t0)
        if self._accept(record, now):
            return f"{STOPPED} after round 0"
        return f"removed {record.n_removed} of {n_active} units; the criterion suggests {n_suggested}"

    def _scores(
        self, now: _Network, r: int, pulls: int, n_remove: int, scope: str | None = None
    ) -> tuple[_Network, _Verdict]:
        """One XLA call: the network to go on with, and the verdict on its units."""
        gates = self._gates(now.active)
        emissions = self.emissions(now.params, gates) if self.emissions else tuple(np.zeros_like(g) for g in gates)
        n_active = int(now.active.sum())
        # With every row seen once, an arm's damage is exact: more pulls than mini-batches would be wasted.
        pulls = min(pulls, n_active * self.n_batches)
        problem = Problem(
            params=now.params,
            gates=gates,
            emissions=emissions,
            batches=self.batches,
            budget=np.int32(max(pulls, n_active)),  # type: ignore[arg-type]
            n_remove=np.int32(n_remove),  # type: ignore[arg-type]
            room=room_of_layers(now.active, self.layer, n_remove, scope or self.scope).astype(np.int32),  # type: ignore[arg-type]
            network=self.network,
            arms_per_step=arms_per_step(self.groups.n_units),
        )
        criterion = canonical(self.criterion)
        seed = np.uint32((self.seed + 0x9E3779B9 * (r + 1)) % 2**32)  # distinct streams for successive rounds
        score = _score_quick if self._quick else _score_thorough
        with self.scoring():
            if self._state is None:
                self._state = () if type(criterion).init is Criterion.init else _init(criterion, seed, problem)
            self._state, scores = score(criterion, seed, self._state, problem, now.active)
        spent = int(scores.n_pulls)
        self.n_pulls += spent
        if scores.params is not None:
            now = dataclasses.replace(now, params=jax.tree.map(np.asarray, scores.params))
        suggested = None if scores.suggested is None else np.asarray(scores.suggested)
        value = np.asarray(scores.value)
        if says_nothing(value[now.active]):
            proved = suggested is not None and suggested[now.active].all()
            # Measured damages may well be the same: those of a constant function.
            measured = spent > 0 and np.isfinite(value[now.active]).any()
            if not (proved or measured or self._warned):
                self._warned = True
                warnings.warn(
                    f"{self.criterion!r} does not tell one unit from another: they leave evenly from the layers. It "
                    "may not fit the activation function, or what it computes is beyond the range of floats.",
                    UserWarning,
                    stacklevel=2,
                )
            value = evenly(now.active, self.layer)
        return now, _Verdict(value, np.asarray(scores.damage), suggested, spent, emissions)

    def _attempt(
        self, now: _Network, r: int, verdict: _Verdict, removed: np.ndarray, t0: float
    ) -> tuple[_Network, PruningRound]:
        """Remove the units ``removed``, repair, fine-tune; nothing of ``now`` changes."""
        damage, emissions = verdict.damage, verdict.emissions
        active = now.active & ~removed
        gates = self._gates(active)
        masked = tuple(
            np.where(r, e, 0).astype(self.dtype) for r, e in zip(self.groups.split(removed), emissions, strict=True)
        )
        unmasked = self._measure(now.params, self._gates(now.active), None)  # first: `measure` may remember it
        measured = self._measure(now.params, gates, masked) - unmasked
        params = now.params
        if self.repair is not None:
            params = self.repair(params, now.active, removed, emissions)
        params = self.groups.zero(params, [np.flatnonzero(part) for part in self.groups.split(removed)])
        best = _Network(params, active, self._guard(params, active))
        repaired_loss, fine_tuned = best.loss, False
        if self.fine_tune is not None:
            tuned = self.fine_tune(params, gates, r)
            loss = self._guard(tuned, active)
            # The repaired network is the incumbent: fine-tuning must win on the guard rows.
            if loss < best.loss or (np.isnan(best.loss) and not np.isnan(loss)):
                best, fine_tuned = _Network(tuned, active, loss), True
        record = PruningRound(
            round=r,
            n_removed=int(removed.sum()),
            sizes=tuple(int(part.sum()) for part in self.groups.split(active)),
            n_pulls=verdict.n_pulls,
            damage_predicted=float(damage[removed].sum()),
            damage_measured=measured,
            loss_before=now.loss,
            loss_repaired=repaired_loss,
            loss_after=best.loss,
            fine_tuned=fine_tuned,
            seconds=time.perf_counter() - t0,
        )
        return best, record

    def _accept(self, record: PruningRound, now: _Network) -> bool:
        self._now = now
        self.history.append(record)
        if self.on_round is None:
            return False
        return bool(self.on_round(record, lambda: self._result(f"after round {record.round}")))

    def _gates(self, active: np.ndarray) -> Vectors:
        return tuple(a.astype(self.dtype) for a in self.groups.split(active))

    def _measure(self, params: Params, gates: Vectors, emissions: Vectors | None) -> float:
        if self.measure is not None:
            return self.measure(params, gates, emissions)
        if emissions is None:
            emissions = tuple(np.zeros_like(g) for g in gates)
        return float(_mean_loss(params, gates, emissions, self.batches, network=self.network))

    def _score(self, network: _Network) -> float:
        return self.score(network.params, self._gates(network.active)) if self.score is not None else 0.0

    def _guard(self, params: Params, active: np.ndarray) -> float:
        gates = self._gates(active)
        return self.guard(params, gates) if self.guard is not None else self._measure(params, gates, None)


#: What the parameters of `prune` may be.
_OF_PRUNE: dict[str, tuple[Any, ...]] = {
    "budget": (Number(1, 1e9, closed="both"),),
    "pruning_ratio": (UNIT, OneOf(("auto",))),
    "tolerance": (NON_NEGATIVE,),
    "scope": (OneOf(("global", "layer")),),
    "n_rounds": (Number(1, integral=True),),
    "batch_size": (Number(1, integral=True),),
    **dict.fromkeys(("repair", "fine_tune", "on_round"), (NONE, Where(callable, "callable"))),
}


def prune(
    network: Any,
    params: Params,
    X: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    policy: Any = "ucb1",
    budget: float = 8.0,
    pruning_ratio: float | str = 0.5,
    tolerance: float = 0.01,
    scope: str = "global",
    n_rounds: int = 4,
    held_out: tuple[np.ndarray, ...] | None = None,
    repair: Callable[[Params, np.ndarray, np.ndarray, Vectors], Params] | None = None,
    fine_tune: Callable[[Params, Vectors, int], Params] | None = None,
    on_round: Callable[[PruningRound, Callable[[], PruneResult]], bool] | None = None,
    batch_size: int = 256,
    random_state: Any = 0,
) -> PruneResult:
    """Prune the units of any JAX network.

    Parameters
    ----------
    network : GatedNetwork
        Loss with gates, and the groups of slices that leave together.
    params : pytree of tuples, lists and dicts
        Trained parameters. Floats become float32, and the loss is computed with 64-bit types switched off; ``repair``,
        ``fine_tune`` and ``on_round`` are called in the mode in which this function is.
    X, y : ndarray of shape (n, ...)
        Rows to measure damages on. Integers stay integers, floats become float32.
    sample_weight : ndarray of shape (n,), optional
        Weights of the rows.
    policy : str, Policy or Criterion, default="ucb1"
        Who ranks the units.
    budget, pruning_ratio, tolerance, scope, n_rounds
        As in `BanditPrunedMLPRegressor`.
    held_out : tuple (X, y) or (X, y, sample_weight), optional
        Rows that decide whether fine-tuning is kept, and how far ``pruning_ratio="auto"`` goes.
    repair : callable (params, active, removed, emissions) → params, optional
        Adjusts what is left after a removal (bool[n_units] masks).
    fine_tune : callable (params, gates, round) → params, optional
        Trains on, with removed units gated off; parameters keep their shapes.
    on_round : callable (PruningRound, () → PruneResult) → bool, optional
        Called after each round; True ends pruning.
    batch_size : int, default=256
        Rows of a pull's mini-batch.
    random_state : int, RandomState instance or None, default=0
        Seeds the mini-batches and the policy.

    Returns
    -------
    PruneResult
        Compact parameters (NumPy), the units that are kept, and the history.

    Raises
    ------
    ValueError
        If an argument is none of what is said above, or the network's loss is not finite on the rows that judge it.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np
    >>> from skbandit import prune
    >>> from skbandit.networks.groups import Group, Groups, Slice
    >>> from skbandit.networks.gated import GatedNetwork
    >>> def loss(params, gates, X, y, weight):
    ...     hidden = jnp.tanh(X @ params["in"]) * gates[0]
    ...     return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)
    >>> rng = np.random.default_rng(0)
    >>> params = {"in": rng.normal(size=(3, 8)), "out": np.r_[np.ones(4), np.zeros(4)]}
    >>> X = rng.normal(size=(100, 3))
    >>> y = np.tanh(X @ params["in"]) @ params["out"]
    >>> groups = Groups((Group(8, (Slice(("in",), 1), Slice(("out",), 0))),))
    >>> result = prune(GatedNetwork(loss, groups), params, X, y)
    >>> result.kept[0], result.params["in"].shape
    (array([0, 1, 2, 3]), (3, 4))
    """
    from skbandit.criteria import resolve

    refuse_after_fork()
    given: dict[str, Any] = {
        "budget": budget,
        "pruning_ratio": pruning_ratio,
        "tolerance": tolerance,
        "scope": scope,
        "n_rounds": n_rounds,
        "batch_size": batch_size,
        "repair": repair,
        "fine_tune": fine_tune,
        "on_round": on_round,
    }
    check_values("prune", given, _OF_PRUNE)
    if not (hasattr(network, "groups") and hasattr(network, "batch_loss")):
        raise ValueError(
            "The 'network' parameter of prune must have 'groups' and 'batch_loss', as a GatedNetwork has. "
            f"Got {network!r} instead."
        )
    if held_out is not None and not (isinstance(held_out, (tuple, list)) and len(held_out) in (2, 3)):
        raise ValueError(
            "The 'held_out' parameter of prune must be a tuple (X, y) or (X, y, sample_weight). "
            f"Got {_kind(held_out)} instead."
        )

    def to_host(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        return leaf.astype("float32") if np.issubdtype(leaf.dtype, np.floating) else leaf

    params = jax.tree.map(to_host, params)
    network.groups.check(params)
    if not isinstance(random_state, numbers.Integral):
        random_state = check_random_state(random_state).randint(2**31 - 1)

    guard = None
    if held_out is not None:
        guard_rows = _checked_rows(0, batch_size, *held_out)

        def guard(params: Params, gates: Vectors) -> float:
            nothing = tuple(np.zeros_like(g) for g in gates)
            return float(_mean_loss(params, gates, nothing, guard_rows, network=network))

    pruner = Pruner(
        network=network,
        batches=_checked_rows(int(random_state), batch_size, X, y, sample_weight),
        criterion=resolve(policy),
        budget=budget,
        scope=scope,
        n_rounds=n_rounds,
        tolerance=tolerance,
        seed=int(random_state),
        repair=in_this_precision(repair),
        fine_tune=in_this_precision(fine_tune),
        guard=guard,
        on_round=in_this_precision(on_round),
    )
    # All is float32, also where the user has switched float64 on: the two do not mix in a compiled loop.
    with jax.enable_x64(False):
        return pruner.run(params, pruning_ratio)


def _kind(value: Any) -> str:
    length = f" of length {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{length}"


def _checked_rows(seed: int, width: int, X: Any, y: Any, weight: Any = None) -> Batches:
    X, y = np.asarray(X.toarray() if hasattr(X, "toarray") else X), np.asarray(y)
    weight = np.ones(len(X)) if weight is None else np.asarray(weight, float)
    if not len(X) == len(y) == len(weight) > 0:
        raise ValueError(f"X, y and sample_weight must have one row each: got {len(X)}, {len(y)}, {len(weight)}.")
    if not (weight >= 0).all() or not 0 < weight.sum() < np.inf:
        raise ValueError("sample_weight must be non-negative and finite, and positive for some row.")
    there = weight > 0
    with jax.enable_x64(False):
        return Batches.partition(np.random.default_rng(seed), X[there], y[there], weight[there], "float32", width)


def arms_per_step(n_units: int) -> int:
    """Slots of a step: an eighth of the units.

    Large batches of arms cost a top-m policy nothing, because the arms of a step share a mini-batch, and they share
    the forward pass up to their layer.
    """
    return max(1, n_units // 8)
