"""What pruning returns: data, with a status that a person can read."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

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
    STOPPED = "stopped"
    """A callback asked for the end."""
    INTERRUPTED = "interrupted"
    """The user pressed Ctrl-C."""


class PruningRound(NamedTuple):
    """What one round did; losses are means over rows, in the units of the loss."""

    round: int
    n_removed: int
    sizes: tuple[int, ...]
    """Units left in each group."""
    n_pulls: int
    damage_predicted: float
    """Sum of the removed units' estimated damages, as if they did not interact; NaN if the criterion has none."""
    damage_measured: float
    """Rise of the calibration loss with the removed units masked together, before any repair."""
    loss_before: float
    """Guard loss (held-out rows, or the calibration rows where none are held out) at the start of the round."""
    loss_repaired: float
    """Guard loss after removal and repair."""
    loss_after: float
    """Guard loss at the end of the round, fine-tuned where that was an improvement."""
    fine_tuned: bool
    """Whether the fine-tuned network was kept."""
    seconds: float


class PruneResult(NamedTuple):
    """The smaller network and how it came about."""

    params: Params
    """Compact NumPy arrays, in the tree that was given."""
    kept: tuple[np.ndarray, ...]
    """For each group, the indices of the units that are left."""
    history: list[PruningRound]
    n_pulls: int
    status: str
    """How pruning ended, in words."""
    outcome: Outcome
    """How pruning ended, for programs."""
    loss: float = np.nan
    """Guard loss of the network."""
    warnings: tuple[str, ...] = ()
    """What the caller should be told; `skbandit.prune` and the estimators raise them as UserWarning."""
