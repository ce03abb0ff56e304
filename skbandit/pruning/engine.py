"""The engine: the only pruning loop there is.

A *round* scores the units (one XLA call, whatever the criterion), removes a chunk of them, repairs the network and
fine-tunes it; the next round starts from the smaller network. During the loop the parameters keep their shapes: a
removed unit has gate 0 and its slices are zero, so that one compiled program serves all rounds. At the end the arrays
are cut.

The engine knows no layer type. What depends on the network is a `PruningTask`; how far to go is a goal
(`skbandit.pruning.goals`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from skbandit._core.rows import Batches
from skbandit.criteria.base import Criterion, needs_of
from skbandit.networks.capabilities import Prunable, require
from skbandit.pruning.functions import UnusableError, asks_to_stop
from skbandit.pruning.results import Outcome, PruneResult, PruningRound
from skbandit.pruning.scoring import make_problem, score_units
from skbandit.pruning.selection import choose_units, evenly, is_uninformative, remark_on_damages, remark_on_slopes
from skbandit.pruning.task import PruningTask

Params = Any
Vectors = tuple[Any, ...]
OnRound = Callable[[PruningRound, Callable[[], PruneResult]], Any]


class Network(NamedTuple):
    """The network as it stands: host arrays."""

    params: Params
    active: np.ndarray
    """bool[n_units]"""
    loss: float
    """Guard loss."""

    @property
    def n_active(self) -> int:
        """Units that are left."""
        return int(self.active.sum())


class Verdict(NamedTuple):
    """A round's scores, on the host."""

    value: np.ndarray
    damage: np.ndarray
    suggested: np.ndarray | None
    n_pulls: int
    emissions: Vectors
    """What units give out when masked in this round."""
    began: float
    """When the round began, in seconds."""


class Ending(NamedTuple):
    """How a goal was left."""

    outcome: Outcome
    status: str


class Goal(Protocol):
    """What a pruning phase is to reach (`skbandit.pruning.goals`)."""

    def pursue(self, pruner: Pruner, now: Network) -> Ending:
        """Make rounds until the goal is met, or cannot be."""
        ...


class Pruner:
    """One pruning phase: what stays the same over its rounds.

    Parameters
    ----------
    network : Prunable
        Hashable: it is part of the key of compiled programs.
    batches : Batches
        Calibration rows.
    criterion : Criterion
    task : PruningTask
    budget : float
        Mean pulls per unit in the whole phase.
    scope : {"auto", "global", "layer"}
    seed : int
    on_round : callable (PruningRound, () → PruneResult) → bool, optional
        Called after each round, with what pruning would return if it ended there; True ends the phase.
    least : i[n_groups], optional
        Number of units of each group that stay, one at least; by default one.

    Raises
    ------
    ValueError
        If the network lacks something that the criterion needs.
    """

    def __init__(
        self,
        network: Prunable,
        batches: Batches,
        criterion: Criterion,
        task: PruningTask,
        *,
        budget: float = 8.0,
        scope: str = "global",
        seed: int = 0,
        on_round: OnRound | None = None,
        least: np.ndarray | None = None,
    ) -> None:
        require(network, needs_of(criterion), lambda: criterion.label)
        self.network, self.batches, self.criterion, self.task = network, batches, criterion, task
        self.budget, self.scope, self.seed, self.on_round = budget, scope, seed, on_round
        #: Whether to warn of measured damages that do not tell units apart, as one should where the loss is the user's
        #: own. Those of an MLP that has learned a constant are rightly the same.
        self.doubts_loss = False
        self.groups = network.groups
        self.group = self.groups.group_of()
        self.least = np.ones(len(self.groups.sizes), int) if least is None else least
        self.dtype = np.dtype(batches.weight.dtype)
        self._begin()

    def _begin(self) -> None:
        self.history: list[PruningRound] = []
        self.n_pulls = 0
        self._warnings: list[str] = []
        self._state: Any = None
        self._now: Network

    def run(self, params: Params, goal: Goal, active: np.ndarray | None = None) -> PruneResult:
        """Prune ``params`` until ``goal`` is met; Ctrl-C ends the phase after the last whole round.

        Parameters
        ----------
        params : pytree
            At their original shapes; slices of units that are not active are zero.
        goal : Goal
        active : bool[n_units], optional
            The units that are there; all by default.
        """
        self._begin()
        if active is None:
            active = np.ones(self.groups.n_units, bool)
        loss = self.task.guard(params, self.gates(active))
        if not np.isfinite(loss):
            raise ValueError(
                f"The loss of the network to prune is {loss} on the rows to judge it by (held-out ones, or else those "
                "that damages are measured on): X, y or the parameters hold values that are too large, or NaN."
            )
        self._now = Network(params, active, loss)
        try:
            ending = goal.pursue(self, self._now)
        except KeyboardInterrupt:
            # What the completed rounds reached stands; the round under way is dropped whole.
            ending = Ending(Outcome.INTERRUPTED, "interrupted by the user")
        except UnusableError as error:
            if not self.history:  # nothing is lost
                raise ValueError(str(error)) from None
            ending = Ending(Outcome.FAILED, f"ended after {len(self.history)} rounds: {error}")
            self._warnings.append(f"Pruning ended after {len(self.history)} rounds, which stand. {error}")
        return self._result(ending, self._now, list(self.history), self.n_pulls)

    def _result(self, ending: Ending, now: Network, history: list[PruningRound], n_pulls: int) -> PruneResult:
        kept = tuple(np.flatnonzero(a) for a in self.groups.split(now.active))
        # Arrays of its own: a callback may write to a result while pruning goes on.
        params = jax.tree.map(np.array, self.groups.compact(now.params, kept))
        warnings = tuple(self._warnings)
        return PruneResult(
            params, kept, history, n_pulls, ending.status, ending.outcome, now.loss, warnings, self.groups
        )

    @property
    def params(self) -> Params:
        """Parameters of the network as it stands, at their original shapes."""
        return self._now.params

    # ------------------------------------------------------------------ what goals are made of

    def score(
        self, now: Network, round_: int, pulls: int, n_remove: int, scope: str | None = None
    ) -> tuple[Network, Verdict]:
        """Score the units, in one XLA call.

        Parameters
        ----------
        now : Network
        round_ : int
        pulls : int
            What may be spent; every unit is pulled at least once, and at most once on each mini-batch.
        n_remove : int
            How many units shall leave.
        scope : {"global", "layer"}, optional
            Of the set that criteria and policies look for, if they look for one. By default that of the phase, and
            ``"global"`` where that is ``"auto"``.

        Returns
        -------
        network : Network
            The network to go on with: a criterion may have changed its parameters.
        verdict : Verdict
        """
        began = time.perf_counter()
        emissions = self.task.emissions(now.params, self.gates(now.active))
        problem = make_problem(
            self.network,
            now.params,
            self.batches,
            now.active,
            emissions,
            n_pulls=pulls,
            n_remove=n_remove,
            scope=scope or ("global" if self.scope == "auto" else self.scope),
            least=self.least,
        )
        seed = np.uint32((self.seed + 0x9E3779B9 * (round_ + 1)) % 2**32)  # distinct streams for successive rounds
        self._state, scores = score_units(self.criterion, seed, self._state, problem, now.active)
        spent = int(scores.n_pulls)
        self.n_pulls += spent
        if scores.params is not None:
            now = now._replace(params=jax.tree.map(np.asarray, scores.params))
        suggested = None if scores.suggested is None else np.asarray(scores.suggested)
        if self.doubts_loss and spent > 0 and not self._warnings:
            loss = self.task.measure(problem.params, problem.gates, emissions)
            remark = remark_on_damages(np.asarray(scores.damage)[now.active], loss)
            self._warnings += [remark] if remark else []
        if not self._warnings:
            remark = remark_on_slopes(scores.info, now.active)
            self._warnings += [remark] if remark else []
        value = self._informative(np.asarray(scores.value), suggested, now.active, measured=spent > 0)
        return now, Verdict(value, np.asarray(scores.damage), suggested, spent, emissions, began)

    def _informative(
        self, value: np.ndarray, suggested: np.ndarray | None, active: np.ndarray, *, measured: bool
    ) -> np.ndarray:
        """Return the values; where they are all equal, or none is finite, units leave evenly from the groups."""
        if not is_uninformative(value[active]):
            return value
        proved = suggested is not None and bool(suggested[active].all())
        # Measured damages may well be the same: those of a constant function.
        measured = measured and bool(np.isfinite(value[active]).any())
        if not (proved or measured or self._warnings):
            self._warnings.append(
                f"{self.criterion!r} does not tell one unit from another: they leave evenly from the layers. It may "
                "not fit the activation function, or what it computes is beyond the range of floats."
            )
        return evenly(active, self.group)

    def sets(self, now: Network, verdict: Verdict, n_remove: int) -> dict[str, np.ndarray]:
        """Return the sets of units that may leave, bool[n] by scope: one; with ``scope="auto"`` one of each scope."""
        scopes = ("global", "layer") if self.scope == "auto" else (self.scope,)
        found: dict[str, np.ndarray] = {}
        for scope in scopes:
            removed = choose_units(verdict.value, now.active, self.group, n_remove, scope, self.least)
            if not any(np.array_equal(removed, other) for other in found.values()):
                found[scope] = removed
        return found

    def attempt(
        self, now: Network, round_: int, verdict: Verdict, sets: Mapping[str, np.ndarray], *, last: bool = True
    ) -> tuple[Network, PruningRound]:
        """Remove the best of some sets of units, repair, fine-tune; nothing of ``now`` changes.

        Parameters
        ----------
        now : Network
        round_ : int
        verdict : Verdict
        sets : mapping of str to bool[n]
            By scope. The best leaves the lowest guard loss after the repair; the first among equals.
        last : bool, default=True
            Whether the round may be the last.
        """
        task, damage = self.task, verdict.damage
        # In this order: the task may remember its last forward pass of ``now``, which the guard can make it forget.
        unmasked = task.measure(now.params, self.gates(now.active), None)
        measured = {scope: self._masked_loss(now, verdict, removed) - unmasked for scope, removed in sets.items()}
        params = {scope: self._repaired(now, verdict, removed) for scope, removed in sets.items()}
        gates = {scope: self.gates(now.active & ~removed) for scope, removed in sets.items()}
        losses = {scope: task.guard(params[scope], gates[scope]) for scope in sets}
        # A set that leaves NaN is taken if all do.
        scope = min(sets, key=lambda scope: (bool(np.isnan(losses[scope])), losses[scope]))
        removed = sets[scope]
        active = now.active & ~removed
        best = Network(params[scope], active, losses[scope])
        repaired_loss, fine_tuned = best.loss, False
        tuned = task.fine_tune(best.params, gates[scope], round_, last=last)
        if tuned is not None:
            loss = task.guard(tuned, gates[scope])
            # The repaired network is the incumbent: fine-tuning must win on the guard rows.
            if loss < best.loss or (np.isnan(best.loss) and not np.isnan(loss)):
                best, fine_tuned = Network(tuned, active, loss), True
        record = PruningRound(
            round=round_,
            n_removed=int(removed.sum()),
            sizes=tuple(int(part.sum()) for part in self.groups.split(active)),
            n_pulls=verdict.n_pulls,
            damage_predicted=float(damage[removed].sum()),
            damage_measured=measured[scope],
            loss_before=now.loss,
            loss_repaired=repaired_loss,
            loss_after=best.loss,
            fine_tuned=fine_tuned,
            seconds=time.perf_counter() - verdict.began,
            scope=scope,
        )
        return best, record

    def _masked_loss(self, now: Network, verdict: Verdict, removed: np.ndarray) -> float:
        """Return the loss with some units, bool[n], masked together."""
        masked = tuple(
            np.where(r, e, 0).astype(self.dtype)
            for r, e in zip(self.groups.split(removed), verdict.emissions, strict=True)
        )
        return self.task.measure(now.params, self.gates(now.active & ~removed), masked)

    def _repaired(self, now: Network, verdict: Verdict, removed: np.ndarray) -> Params:
        """Return the parameters without some units, bool[n], repaired."""
        params = self.task.repair(now.params, now.active, removed, verdict.emissions)
        return self.groups.zero(params, [np.flatnonzero(part) for part in self.groups.split(removed)])

    def accept(self, now: Network, record: PruningRound) -> bool:
        """Make a round count; return whether a callback asks for the end."""
        self._now = now
        self.history.append(record)
        if self.on_round is None:
            return False
        so_far = Ending(Outcome.UNDER_WAY, f"after round {record.round}")
        result = functools.partial(self._result, so_far, now, list(self.history), self.n_pulls)
        return asks_to_stop(self.on_round(record, result))

    def quality(self, network: Network) -> float:
        """Return what the user scores by, higher = better."""
        return self.task.score(network.params, self.gates(network.active))

    def gates(self, active: np.ndarray) -> Vectors:
        """Return the gates of the units ``active``, bool[n]."""
        return tuple(a.astype(self.dtype) for a in self.groups.split(active))
