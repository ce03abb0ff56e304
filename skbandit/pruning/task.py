"""What the loop asks of a network's surroundings: repair, fine-tuning, and who judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from skbandit._core.rows import Batches
from skbandit.networks.capabilities import Prunable
from skbandit.pruning.inputs import checked_return
from skbandit.pruning.scoring import mean_loss

Params = Any
Vectors = tuple[Any, ...]


class PruningTask(Protocol):
    """Everything about a network that the loop does not do itself. All arrays are on the host."""

    def emissions(self, params: Params, gates: Vectors) -> Vectors:
        """Return what each unit gives out when it is masked, f[n_g] for each group."""
        ...

    def repair(self, params: Params, active: np.ndarray, removed: np.ndarray, emissions: Vectors) -> Params:
        """Adjust what is left to the removal of the units ``removed``, bool[n], of those ``active``, bool[n].

        Called before the removed slices are set to zero; shapes stay.
        """
        ...

    def fine_tune(self, params: Params, gates: Vectors, round_: int) -> Params | None:
        """Train on, with removed units gated off; None where nothing is fine-tuned. Shapes stay."""
        ...

    def measure(self, params: Params, gates: Vectors, emissions: Vectors | None) -> float:
        """Return the loss on the calibration rows; None stands for emissions of 0."""
        ...

    def guard(self, params: Params, gates: Vectors) -> float:
        """Return the loss that decides: on held-out rows, or on the calibration rows where none are held out."""
        ...

    def score(self, params: Params, gates: Vectors) -> float:
        """Return what the user scores by, on the same rows as `guard`, higher = better; a constant if there is nothing.

        ``"auto"`` watches it beside the loss: a classifier's log loss may fall while it errs more.
        """
        ...


class AnyNetwork:
    """The task of a network of which nothing is known but its loss and its groups.

    Parameters
    ----------
    network : Prunable
    batches : Batches
        Calibration rows.
    held_out : Batches, optional
        Rows that judge.
    repair : callable (params, active, removed, emissions) → params, optional
    fine_tune : callable (params, gates, round) → params, optional
    """

    def __init__(
        self,
        network: Prunable,
        batches: Batches,
        held_out: Batches | None = None,
        repair: Callable[[Params, np.ndarray, np.ndarray, Vectors], Params] | None = None,
        fine_tune: Callable[[Params, Vectors, int], Params] | None = None,
    ) -> None:
        self.network, self.batches, self.held_out = network, batches, held_out
        self._repair, self._fine_tune = repair, fine_tune

    def emissions(self, params: Params, gates: Vectors) -> Vectors:
        """Return zeros."""
        return tuple(np.zeros_like(g) for g in gates)

    def repair(self, params: Params, active: np.ndarray, removed: np.ndarray, emissions: Vectors) -> Params:
        """Call the user's function, if there is one."""
        if self._repair is None:
            return params
        return checked_return("repair", params, self._repair(params, active, removed, emissions))

    def fine_tune(self, params: Params, gates: Vectors, round_: int) -> Params | None:
        """Call the user's function, if there is one."""
        if self._fine_tune is None:
            return None
        return checked_return("fine_tune", params, self._fine_tune(params, gates, round_))

    def measure(self, params: Params, gates: Vectors, emissions: Vectors | None) -> float:
        """Return the loss on the calibration rows."""
        return self._loss(params, gates, emissions, self.batches)

    def guard(self, params: Params, gates: Vectors) -> float:
        """Return the loss on the held-out rows, or on the calibration rows."""
        return self._loss(params, gates, None, self.batches if self.held_out is None else self.held_out)

    def score(self, params: Params, gates: Vectors) -> float:
        """Return a constant: the loss alone decides."""
        return 0.0

    def _loss(self, params: Params, gates: Vectors, emissions: Vectors | None, batches: Batches) -> float:
        emissions = self.emissions(params, gates) if emissions is None else emissions
        return mean_loss(self.network, params, gates, emissions, batches)
