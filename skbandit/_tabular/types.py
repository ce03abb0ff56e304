"""What training and pruning are given, what they give back, and whom they tell. All of it lives on the host.

Nothing here imports JAX before rows are put on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from skbandit._tabular.features.embeddings import fold_scale

if TYPE_CHECKING:
    from skbandit._core.rows import Data
    from skbandit.pruning import PruneResult, PruningRound

#: ``(W, b)`` of each layer, or ``(W, b, a)`` with the slopes of a parametric activation.
Layers = tuple[tuple[np.ndarray, ...], ...]


class Network(NamedTuple):
    """The parameters of a network: what is trained."""

    inputs: dict[str, Any]
    """Of its inputs, as `Inputs.init` returns them."""
    layers: Layers

    def folded(self) -> Network:
        """Return the same network with the inputs' scale in the first layer: what is left when training is over."""
        return Network(*fold_scale(self.inputs, self.layers))


class Rows(NamedTuple):
    """A data set."""

    X: Any
    """f[n, n_columns], any float dtype, dense or CSR: what the network's inputs read."""
    y: np.ndarray
    """f[n, n_targets], encoded as the loss wants it."""
    weight: np.ndarray
    """f[n]"""
    row_id: np.ndarray | None = None
    """u32[n]: what dropout knows a row by. Copies share one, so that a weight of 2 is a row that is there twice. None
    stands for the positions."""

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of the rows, by position or by a mask."""
        row_id = None if self.row_id is None else self.row_id[rows]
        return Rows(self.X[rows], self.y[rows], self.weight[rows], row_id)

    def pad(self, dtype: str) -> Data:
        """Copy them to the device, padded and dense."""
        from skbandit._core.rows import Data

        return Data.pad(self.X, self.y, self.weight, dtype, row_id=self.row_id)


class Ending(StrEnum):
    """How training ended."""

    CONVERGED = "converged"
    """Nothing has improved for some epochs."""
    COMPLETED = "completed"
    """After the epochs that were planned, where training has no other end."""
    MAX_ITER = "max_iter"
    """After the epochs that were planned, before it converged."""
    STOPPED = "stopped"
    """The reporter said so."""
    INTERRUPTED = "interrupted"
    """By Ctrl-C."""
    LINE_SEARCH_FAILED = "line search failed"
    """Of L-BFGS."""
    NOT_FINITE = "not finite"
    """The loss, or a weight."""


class Trained(NamedTuple):
    """The dense network, and how it came about."""

    network: Network
    """As trained; its scale is not folded."""
    opt_leaves: list[np.ndarray] | None
    """The arrays of the optimizer's state, to go on from; None for L-BFGS."""
    loss_curve: list[float]
    """Training loss of each epoch."""
    validation_scores: list[float] | None
    """Score of each epoch on the held-out rows, where training looks at them."""
    best_loss: float
    """Smallest training loss."""
    n_steps: int
    """Steps since the schedules began."""
    status: Ending
    monitored: float | None = None
    """Smallest monitored value: minus the score, or the loss of smoothed labels, on the held-out rows."""


class Reporter(Protocol):
    """Hears what happens.

    Networks are given as functions without arguments, so that weights leave the device only when asked for. A method
    that returns a bool returns True to end what it hears of.
    """

    @property
    def every_epoch(self) -> bool:
        """Report each epoch as it ends; otherwise epochs are reported a chunk at a time."""
        ...

    def begin(self, phase: str, n_tasks: int | None) -> None:
        """Hear that a phase starts.

        Parameters
        ----------
        phase : {"train", "prune"}
        n_tasks : int or None
            Epochs or rounds at most, where that is known.
        """

    def epoch(self, n_iter: int, loss: float, score: float | None, network: Callable[[], Network]) -> bool:
        """Hear that an epoch of training ended.

        Parameters
        ----------
        n_iter : int
            Its number, from 1.
        loss : float
            Training loss.
        score : float or None
            On the held-out rows, where training looks at them.
        network : callable () -> Network
            Its scale is folded.
        """
        ...

    def begin_fine_tuning(self, round_: int, n_epochs: int) -> None:
        """Hear that the fine-tuning of round ``round_`` (from 0) starts."""

    def fine_tune_epoch(self, loss: float, layers: Callable[[], Layers]) -> bool:
        """Hear that an epoch of fine-tuning ended."""
        ...

    def end_fine_tuning(self) -> None:
        """Hear that the fine-tuning of a round ended."""

    def round(self, record: PruningRound, result: Callable[[], PruneResult]) -> bool:
        """Hear that a round of pruning ended and left ``result``."""
        ...

    def end(self, phase: str) -> None:
        """Hear that the phase is over."""
