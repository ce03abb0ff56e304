"""How to train and how to prune: what the constructor's parameters become."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from skbandit._core.constraints import shown
from skbandit._core.rows import Data
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.training.rates import SCHEDULES
from skbandit._tabular.training.solvers import Hyper, Solver
from skbandit.criteria.base import Criterion


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How to train; every field is part of the key of a dense network, for ``memory=`` and among fits of a process."""

    network: Trainable
    solver: Solver
    """A name of `SOLVERS`, ``"lbfgs"``, or an optax transformation."""
    hyper: Hyper
    parametrization: str
    regularization_schedule: str
    learning_rate: str | Callable[[Any], Any]
    """Name of a schedule, or a function from the step number to the learning rate."""
    learning_rate_init: float
    power_t: float
    batch_size: int
    balanced_batches: bool
    max_iter: int
    """Epochs of this call."""
    horizon: int
    """Epochs over which a schedule falls."""
    shuffle: bool
    early_stopping: bool
    max_fun: int
    dtype: str

    def program(self, data: Data, validation: Data | None) -> Hashable:
        """Return the cache key of the training program, for these rows to train on and to hold out."""
        n_held_out = 0 if validation is None else validation.X.shape[0]
        batches = self.batch_size, self.balanced_batches
        return self.network, self.solver, batches, data.X.shape, n_held_out, self.dtype


@dataclasses.dataclass(frozen=True)
class PruneSettings:
    """How to prune a trained network."""

    criterion: Criterion
    pruning_ratio: float | str
    budget: float
    tolerance: float
    scope: str
    n_rounds: int
    ablation: str
    compensate: bool
    fine_tune_iter: tuple[int, int]
    """Epochs after a round that others follow, and after the last."""
    calibration: str
    """"train", "held_out" or "all": the rows that damages and repairs are computed on."""


def schedule(settings: TrainSettings, n_rows: int, steps_per_epoch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the learning rate of each step.

    Parameters
    ----------
    settings : TrainSettings
    n_rows : int
        Rows of an epoch.
    steps_per_epoch : int

    Returns
    -------
    of_step : callable i[...] → f[...]
        From the number of steps since training began.
    """
    name, initial = settings.learning_rate, settings.learning_rate_init

    def of_step(steps: np.ndarray) -> np.ndarray:
        if callable(name):
            return _evaluate(name, steps)
        if name == "invscaling":
            with np.errstate(over="ignore"):  # by infinity: the rate is 0
                falling: np.ndarray = initial / (steps // steps_per_epoch * n_rows + 1.0) ** settings.power_t
            return falling
        if name in SCHEDULES:
            return initial * SCHEDULES[name](steps / (settings.horizon * steps_per_epoch))
        return np.full(steps.shape, initial)

    return of_step


def _evaluate(rate: Callable[[Any], Any], steps: np.ndarray) -> np.ndarray:
    """Evaluate a function of the user's at step numbers i[...]; it may take them all at once, or one at a time."""
    try:
        try:
            rates = np.asarray(rate(steps), float)
        except (TypeError, ValueError):  # a schedule for one step at a time
            rates = np.array([float(rate(int(s))) for s in steps.ravel()])
        rates = np.broadcast_to(rates, steps.shape) if rates.ndim == 0 else rates.reshape(steps.shape)
    except Exception as error:
        raise ValueError(
            "The 'learning_rate' parameter must return a float for each step number. For the steps "
            f"{int(steps.min())} to {int(steps.max())} it raised {shown(error)}."
        ) from error
    if not np.isfinite(rates).all():
        raise ValueError(
            f"The 'learning_rate' parameter must return a finite float for each step number. Got "
            f"{rates[~np.isfinite(rates)][0]} for step {steps[~np.isfinite(rates)][0]}."
        )
    return rates


def regularization(settings: TrainSettings, steps_per_epoch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the share of dropout and weight decay that is on, as a function of the number of steps f[...]."""
    if settings.regularization_schedule not in SCHEDULES:
        return np.ones_like
    of_share, n_planned = SCHEDULES[settings.regularization_schedule], settings.horizon * steps_per_epoch
    return lambda steps: of_share(steps / n_planned)
