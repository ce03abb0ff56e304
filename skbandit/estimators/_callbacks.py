"""The one place that prints, and that tells scikit-learn's callbacks what happens.

The task tree is fit → train → epoch, fit → prune → round → fine-tune → epoch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any


class FitReporter:
    """Passes on what the orchestration reports: to callbacks, and in words where ``verbose`` asks for it.

    Parameters
    ----------
    estimator
        The estimator being fitted.
    context : sklearn.callback.CallbackContext or None
        Root context of the fit; None where there are no callbacks.
    X, y
        What callbacks may see.
    attributes : callable (layers, inputs=None) → dict
        Fitted attributes for a network in mid-fit.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any, attributes: Callable[..., dict]) -> None:
        self.estimator, self.X, self.y, self.attributes = estimator, X, y, attributes
        self.every_epoch = bool(getattr(estimator, "_skl_callbacks", None))
        self.verbose = bool(estimator.verbose)
        self.context = context if self.every_epoch else None
        self._phase: Any = None
        self._round: Any = None
        self._tuning: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether the user has interrupted the fit elsewhere."""
        return False

    def begin(self, phase: str, n_tasks: int | None) -> None:
        """Open the task of a phase."""
        if phase == "prune" and self.verbose:
            print("Pruning")
        self._phase = self._open(self.context, phase, n_tasks)

    def epoch(self, n_iter: int, loss: float, score: float | None, network: Callable[[], Any]) -> bool:
        """Report an epoch of training."""
        if self.verbose:
            tail = "" if score is None else f", validation score = {score:.6f}"
            print(f"Iteration {n_iter}, loss = {loss:.8f}{tail}")

        def attributes() -> dict[str, Any]:
            inputs, layers = network()
            return self.attributes(layers, inputs)

        return self._close(self._open(self._phase, "epoch", 0), attributes)

    def begin_fine_tuning(self, round_: int, n_epochs: int) -> None:
        """Open the task of a round's fine-tuning."""
        if self.context is None:
            return
        self._open_round()
        self._tuning = self._open(self._round, "fine-tune", n_epochs)

    def fine_tune_epoch(self, loss: float, layers: Callable[[], Any]) -> bool:
        """Report an epoch of fine-tuning."""
        return self._close(self._open(self._tuning, "epoch", 0), lambda: self.attributes(layers()))

    def end_fine_tuning(self) -> None:
        """Close the task of a round's fine-tuning."""
        self._close(self._tuning)
        self._tuning = None

    def round(self, record: Any, result: Callable[[], Any]) -> bool:
        """Report a round of pruning and close its task."""
        if self.verbose:
            tuned = "fine-tuned" if record.fine_tuned else "not fine-tuned"
            print(
                f"Round {record.round}: removed {record.n_removed} units in {record.n_pulls} pulls, "
                f"left {list(record.sizes)}; loss {record.loss_before:.6f} → {record.loss_repaired:.6f} repaired, "
                f"→ {record.loss_after:.6f} {tuned} ({record.seconds:.2f} s)"
            )
        if self.context is None:
            return False
        self._open_round()
        task, self._round = self._round, None
        return self._close(task, lambda: self.attributes(result().params))

    def end(self, phase: str) -> None:
        """Close the task of a phase, and those within that Ctrl-C has left open."""
        self.end_fine_tuning()
        self._close(self._round)
        self._round = None
        self._close(self._phase)
        self._phase = None

    def _open_round(self) -> None:
        if self._round is None:
            self._round = self._open(self._phase, "round", None)

    def _open(self, parent: Any, name: str, n_tasks: int | None) -> Any:
        if parent is None:
            return None
        task = parent.subcontext(task_name=name, max_subtasks=n_tasks)
        return task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def _close(self, task: Any, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        if task is None:
            return False
        return task.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=attributes
        )


class PathReporter(FitReporter):
    """Keeps a fitted copy of every size of a pruning run."""

    def __init__(self, estimator: Any, stop: Callable[[], bool] = lambda: False) -> None:
        super().__init__(estimator, None, None, None, estimator._network_attributes)
        self.every_epoch = False
        self.snapshots: list[Any] = []
        self.stop = stop

    @property
    def interrupted(self) -> bool:
        return self.stop()

    def round(self, record: Any, result: Any) -> bool:
        """Copy the estimator with the network as it is after the round."""
        super().round(record, result)
        snapshot = copy.copy(self.estimator)
        snapshot._record_pruning(result())
        self.snapshots.append(snapshot)
        return self.stop()
