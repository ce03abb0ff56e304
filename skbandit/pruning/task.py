"""What the loop asks of a network's surroundings: repair, fine-tuning, and who judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from skbandit._core.rows import Batches
from skbandit.networks.capabilities import Prunable
from skbandit.pruning.functions import UnusableError, checked_return, copies, what_is_not_finite
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

    def fine_tune(self, params: Params, gates: Vectors, round_: int, *, last: bool) -> Params | None:
        """Train on, with removed units gated off; None where nothing is fine-tuned. Shapes stay.

        ``last`` says whether the round may be the last of its phase.
        """
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
    settle : callable (params), optional
        Called with the parameters that each round starts from: those that ``fine_tune`` returned, or others.
    """

    def __init__(
        self,
        network: Prunable,
        batches: Batches,
        held_out: Batches | None = None,
        repair: Callable[[Params, np.ndarray, np.ndarray, Vectors], Params] | None = None,
        fine_tune: Callable[[Params, Vectors, int], Params] | None = None,
        settle: Callable[[Params], None] | None = None,
    ) -> None:
        self.network, self.batches, self.held_out = network, batches, held_out
        self._repair, self._fine_tune, self._settle = repair, fine_tune, settle
        self._diverged: list[tuple[int, str]] = []

    def remarks(self) -> list[str]:
        """Return what is to be said of the functions."""
        if not self._diverged:
            return []
        rounds = ", ".join(str(round_) for round_, _ in self._diverged)
        return [
            f"The 'fine_tune' function returned parameters that are not finite, in round {rounds}: at first "
            f"{self._diverged[0][1]}. There the repaired network was kept. A lower learning rate may help."
        ]

    def emissions(self, params: Params, gates: Vectors) -> Vectors:
        """Return zeros."""
        return tuple(np.zeros_like(g) for g in gates)

    def repair(self, params: Params, active: np.ndarray, removed: np.ndarray, emissions: Vectors) -> Params:
        """Call the user's function, if there is one."""
        if self._settle is not None:
            self._settle(params)
        if self._repair is None:
            return params
        returned = self._repair(*copies((params, active, removed, emissions)))
        repaired = self._cleared(checked_return("repair", params, returned), active & ~removed)
        odd = what_is_not_finite(params, repaired)
        if odd:
            # No repair is as it was meant, and to go on without would hide that.
            raise UnusableError(
                f"The 'repair' function must return finite parameters. It returned NaN or infinity in {odd}."
            )
        return repaired

    def fine_tune(self, params: Params, gates: Vectors, round_: int, *, last: bool) -> Params | None:
        """Call the user's function, if there is one; None where what it returns is not finite.

        Training that diverges is no fault of the function, and the repaired network is at hand, which fine-tuning has
        to beat in any case: it stays, with a remark, and nothing is lost.
        """
        if self._fine_tune is None:
            return None
        params_, gates_ = copies((params, gates))
        returned = self._fine_tune(params_, gates_, round_)
        tuned = self._cleared(checked_return("fine_tune", params, returned), np.concatenate(gates) > 0)
        odd = what_is_not_finite(params, tuned)
        if odd:
            self._diverged.append((round_, odd))
            return None
        return tuned

    def _cleared(self, params: Params, active: np.ndarray) -> Params:
        """Set to zero what a function may have made of units that are gone."""
        groups = self.network.groups
        return groups.zero(params, [np.flatnonzero(~part) for part in groups.split(active)])

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
