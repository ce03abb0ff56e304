"""What pruning returns: data, with a status that a person can read."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from skbandit.networks.groups import Groups

Params = Any


class Outcome(StrEnum):
    """How a pruning phase ended."""

    REACHED = "reached"
    """The share of units that was asked for is gone, or as much of it as leaves every group a unit."""
    TOLERANCE = "tolerance"
    """Removing more would have cost more than the tolerance."""
    BUDGET = "budget"
    """The pulls were used up."""
    SMALLEST = "smallest"
    """Each group has one unit left."""
    SUGGESTED = "suggested"
    """The set that the criterion suggests is gone; it may be empty."""
    UNDER_WAY = "under way"
    """Pruning goes on: a callback was given the result so far."""
    STOPPED = "stopped"
    """A callback asked for the end."""
    INTERRUPTED = "interrupted"
    """The user pressed Ctrl-C."""
    FAILED = "failed"
    """What ``repair`` or ``fine_tune`` returned in a later round could not be gone on with; whole rounds stand."""


class PruningRound(NamedTuple):
    """What one round of pruning did; losses are means over rows, in the units of the loss.

    Attributes
    ----------
    round : int
        Number of the round, from 0.
    n_removed : int
        Units that were removed in it.
    sizes : tuple of int
        Units that remain in each group.
    n_pulls : int
        Pulls that were spent.
    damage_predicted : float
        Sum of the removed units' estimated damages, as if they did not interact; NaN if the criterion estimates none.
    damage_measured : float
        Rise of the loss on the calibration rows with the removed units masked together, before any repair.
    loss_before, loss_repaired, loss_after : float
        Held-out loss (that of the calibration rows if none are held out) at the start of the round, after removal and
        repair, and at its end.
    fine_tuned : bool
        Whether the fine-tuned network was better and was kept.
    seconds : float
        Duration of the round.
    scope : {"global", "layer"}
        How the units that were removed had been ranked: over all groups, or within each. With ``scope="auto"``, the
        better one; ``"global"`` where both are the same set.
    """

    round: int
    n_removed: int
    sizes: tuple[int, ...]
    n_pulls: int
    damage_predicted: float
    damage_measured: float
    loss_before: float
    loss_repaired: float
    loss_after: float
    fine_tuned: bool
    seconds: float
    scope: str = ""


class PruneResult(NamedTuple):
    """The smaller network and how it came about.

    Attributes
    ----------
    params : pytree
        The smaller parameters, NumPy arrays in the tree that was given.
    kept : tuple of ndarray of int
        For each group, the indices of the units that remain, in the numbering before pruning.
    history : list of PruningRound
        One record for each round.
    n_pulls : int
        Pulls spent in all rounds.
    status : str
        How pruning ended, as a sentence.
    outcome : Outcome
        How pruning ended, for programs.
    loss : float
        Held-out loss of the smaller network; that of the calibration rows if none are held out.
    warnings : tuple of str
        What `skbandit.prune` and the estimators raise as UserWarning.
    groups : Groups or None
        The groups that ``kept`` has an entry for each of.
    apply : callable or None
        If a function was pruned: the smaller function, (params, *example) → outputs, or with state (params, state,
        *example). It is traced anew for each shape of its arguments. ``apply.export`` makes a program for `jax.export`.
    state : pytree or None
        The smaller state, if the function takes one.
    opt_state : pytree or None
        The state of the optimizer at the smaller shapes, after `FineTuning`.
    """

    params: Params
    kept: tuple[np.ndarray, ...]
    history: list[PruningRound]
    n_pulls: int
    status: str
    outcome: Outcome
    loss: float = np.nan
    warnings: tuple[str, ...] = ()
    groups: Groups | None = None
    apply: Callable[..., Any] | None = None
    state: Any = None
    opt_state: Any = None

    @property
    def sizes(self) -> dict[str, int]:
        """Units that are left, by the names of the groups."""
        return {group.name: len(units) for group, units in zip(self._groups().groups, self.kept, strict=True)}

    def cut(self, tree: Any) -> Any:
        """Cut a tree with copies of the parameters as they were cut: an optimizer's state, moving averages.

        Parameters
        ----------
        tree : pytree
            Every subtree with the structure and the shapes of the full parameters (or of the full state) is cut; all
            else is left as it is.

        Returns
        -------
        pytree
            The same tree; arrays that were cut are NumPy arrays.
        """
        from skbandit.networks.cutting import cut

        return cut(tree, self._groups(), self.kept, getattr(self.apply, "variables", None))

    def _groups(self) -> Groups:
        if self.groups is None:
            raise ValueError("The groups of this result are not known.")
        return self.groups
