"""The one place that prints, and that tells scikit-learn's callbacks what happens.

The task tree is fit → train → epoch, fit → prune → round → fine-tune → epoch; in an ensemble both are below a member.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

#: From the layers of a network, and the parameters of its inputs where they may have changed, to the fitted attributes
#: that the network determines.
Attributes = Callable[..., dict[str, Any]]


class Callbacks(NamedTuple):
    """What scikit-learn's callbacks are told with."""

    context: Any
    """A `sklearn.callback.CallbackContext`."""
    estimator: Any
    """The estimator that is fitted; callbacks are shown copies of it."""
    X: Any
    """Rows as the user gave them."""
    y: Any
    """Target as the user gave it."""

    def begin(self, parent: Any, name: str, n_tasks: int | None) -> Any:
        """Open a task below ``parent``."""
        task = parent.subcontext(task_name=name, max_subtasks=n_tasks)
        return task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def end(self, task: Any, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        """Close a task; returns whether a callback asks to stop."""
        return bool(
            task.call_on_fit_task_end(
                estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=attributes
            )
        )


def announce_member(k: int, n_members: int) -> None:
    """Print which member the following lines are about, counted from 1."""
    print(f"Member {k + 1} of {n_members}")


class FitReporter:
    """Passes on what the orchestration reports: to callbacks, and in words where ``verbose`` asks for it.

    Parameters
    ----------
    callbacks : Callbacks, optional
        None where nobody listens.
    verbose : bool
    stop : threading.Event, optional
        Set where the user has interrupted the fit elsewhere: everything under way ends soon.
    """

    def __init__(
        self, callbacks: Callbacks | None = None, verbose: bool = False, stop: threading.Event | None = None
    ) -> None:
        self.callbacks, self.verbose, self.stop = callbacks, verbose, stop
        self.every_epoch = callbacks is not None
        self.attributes: Attributes = lambda *args: {}
        """Set by those who fit, as they go on."""
        self._root = None if callbacks is None else callbacks.context
        self._phase: Any = None
        self._round: Any = None
        self._tuning: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether the user has interrupted the fit elsewhere."""
        return self.stop is not None and self.stop.is_set()

    def of_member(self, stop: threading.Event) -> FitReporter:
        """Return the reporter of a member, and open its task."""
        reporter = FitReporter(self.callbacks, self.verbose, stop)
        reporter._root = self._open(self._root, "member", 2)
        return reporter

    def end_member(self) -> None:
        """Close the task of this member."""
        self._close(self._root)

    def begin(self, phase: str, n_tasks: int | None) -> None:
        """Open the task of a phase."""
        if phase == "prune" and self.verbose:
            print("Pruning")
        self._phase = self._open(self._root, phase, n_tasks)

    def epoch(self, n_iter: int, loss: float, score: float | None, network: Callable[[], Any]) -> bool:
        """Report an epoch of training."""
        if self.verbose:
            tail = "" if score is None else f", validation score = {score:.6f}"
            print(f"Iteration {n_iter}, loss = {loss:.8f}{tail}")

        def attributes() -> dict[str, Any]:
            inputs, layers = network()
            return self.attributes(layers, inputs)

        return self._close(self._open(self._phase, "epoch", 0), attributes) or self.interrupted

    def begin_fine_tuning(self, round_: int, n_epochs: int) -> None:
        """Open the task of a round's fine-tuning."""
        self._open_round()
        self._tuning = self._open(self._round, "fine-tune", n_epochs)

    def fine_tune_epoch(self, loss: float, layers: Callable[[], Any]) -> bool:
        """Report an epoch of fine-tuning."""
        return self._close(self._open(self._tuning, "epoch", 0), lambda: self.attributes(layers())) or self.interrupted

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
        self._open_round()
        task, self._round = self._round, None
        return self._close(task, lambda: self.attributes(result().params)) or self.interrupted

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
        return None if parent is None or self.callbacks is None else self.callbacks.begin(parent, name, n_tasks)

    def _close(self, task: Any, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        return False if task is None or self.callbacks is None else self.callbacks.end(task, attributes)


class PathReporter(FitReporter):
    """Keeps what every round of a pruning leaves.

    Parameters
    ----------
    verbose : bool
    stop : threading.Event, optional
    """

    def __init__(self, verbose: bool = False, stop: threading.Event | None = None) -> None:
        super().__init__(None, verbose, stop)
        self.results: list[Any] = []

    def round(self, record: Any, result: Callable[[], Any]) -> bool:
        """Keep the result of the round."""
        self.results.append(result())
        return super().round(record, result)
