"""From constructor parameters to the settings of the orchestration. Imports JAX; imported when a fit begins."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.training.rates import FINE_TUNE_SHARE
from skbandit._tabular.training.settings import PruneSettings, TrainSettings
from skbandit._tabular.training.solvers import DECOUPLED, Hyper

#: Rows that a mini-batch has at most under ``batch_size="auto"``, as in scikit-learn's MLP.
AUTO_BATCH = 200
#: ``max_iter="auto"``: so many steps, in no fewer and no more epochs than that.
AUTO_STEPS, AUTO_FEWEST, AUTO_MOST = 12_000, 48, 256
#: ... and with ``"lbfgs"`` so many iterations, scikit-learn's default.
AUTO_LBFGS = 200


def train_settings(estimator: Any, layer_sizes: tuple[int, ...], n_rows: int) -> TrainSettings:
    """Return how ``estimator`` trains a network of these layer sizes on ``n_rows`` rows."""
    solver = estimator.solver
    if isinstance(solver, str) and solver == "sgd" and estimator.nesterovs_momentum and estimator.momentum > 0:
        solver = "sgd_nesterov"
    if not isinstance(solver, str) and (estimator.learning_rate, estimator.parametrization) != ("constant", "standard"):
        raise ValueError(
            "An optax.GradientTransformation as 'solver' brings its own learning rate, so 'learning_rate' must be "
            "'constant' and 'parametrization' 'standard' (they have no effect). Got "
            f"learning_rate={estimator.learning_rate!r}, parametrization={estimator.parametrization!r}."
        )
    if np.isinf(estimator.n_iter_no_change) and estimator.learning_rate == "adaptive":
        raise ValueError(
            "learning_rate='adaptive' falls where training has not improved for 'n_iter_no_change' epochs, which must "
            f"be a number of them. Got {estimator.n_iter_no_change!r}."
        )
    batch_size = AUTO_BATCH if estimator.batch_size == "auto" else int(estimator.batch_size)
    if estimator.batch_size != "auto" and batch_size > n_rows:
        warnings.warn(
            f"'batch_size'={batch_size} is larger than the {n_rows} training rows; one batch holds them all.",
            UserWarning,
            stacklevel=5,
        )
    max_iter = estimator.max_iter
    if max_iter == "auto" and solver == "lbfgs":
        max_iter = AUTO_LBFGS
    elif max_iter == "auto":
        steps = -(-n_rows // min(batch_size, n_rows))
        max_iter = int(np.clip(np.ceil(AUTO_STEPS / steps), AUTO_FEWEST, AUTO_MOST))
    # Dropout and decoupled decay are for a network that has units to spare.
    pruned = sum(map(len, estimator.kept_units_)) < sum(estimator._trained_sizes)
    dropout = 0.0 if pruned or solver == "lbfgs" else float(estimator.dropout)
    alpha = 0.0 if pruned and solver in DECOUPLED else float(estimator.alpha)
    return TrainSettings(
        network=Trainable(
            MLP(layer_sizes, estimator._activation, estimator._loss, estimator._parametric),
            estimator._inputs,
            dropout=dropout > 0,
        ),
        solver=solver,
        hyper=Hyper(
            alpha=alpha,
            beta_1=float(estimator.beta_1),
            beta_2=float(estimator.beta_2),
            epsilon=float(estimator.epsilon),
            momentum=float(estimator.momentum),
            tol=float(estimator.tol),
            n_iter_no_change=float(estimator.n_iter_no_change),
            adaptive=float(isinstance(estimator.learning_rate, str) and estimator.learning_rate == "adaptive"),
            dropout=dropout,
            label_smoothing=float(getattr(estimator, "label_smoothing", 0.0)),
            monitor_loss=float(estimator.validation_metric == "loss"),
        ),
        parametrization=estimator.parametrization,
        regularization_schedule=estimator.regularization_schedule,
        learning_rate=estimator.learning_rate,
        learning_rate_init=float(estimator.learning_rate_init),
        power_t=float(estimator.power_t),
        batch_size=batch_size,
        balanced_batches=bool(estimator.balanced_batches),
        max_iter=int(max_iter),
        horizon=int(max_iter),
        shuffle=bool(estimator.shuffle),
        early_stopping=bool(estimator.early_stopping) and solver != "lbfgs",
        max_fun=int(estimator.max_fun),
        dtype=estimator.dtype,
    )


def incremental_settings(settings: TrainSettings) -> TrainSettings:
    """Return the settings of one epoch of `partial_fit`: nothing is held out, and nobody knows when training ends."""
    if settings.learning_rate in ("coslog4", "cosine"):
        share = FINE_TUNE_SHARE if settings.learning_rate == "coslog4" else 1.0  # its peaks are for passing
        settings = dataclasses.replace(
            settings, learning_rate="constant", learning_rate_init=share * settings.learning_rate_init
        )
    return dataclasses.replace(settings, max_iter=1, early_stopping=False, regularization_schedule="constant")


def prune_settings(estimator: Any, criterion: Any) -> PruneSettings:
    """Return how ``estimator`` prunes, counting the ratio from the network that was trained."""
    ratio = estimator.pruning_ratio
    if ratio != "auto":
        # Part of it may be gone already (warm start, prune again).
        left = sum(len(kept) for kept in estimator.kept_units_)
        ratio = 1 - int(np.ceil(sum(estimator._trained_sizes) * (1 - float(ratio)) - 1e-9)) / left
    return PruneSettings(
        criterion=criterion,
        pruning_ratio=ratio,
        budget=float(estimator.budget),
        tolerance=float(estimator.tolerance),
        scope=estimator.scope,
        n_rounds=int(estimator.n_rounds),
        ablation=estimator.ablation,
        compensate=bool(estimator.compensate),
        fine_tune_iter=int(estimator.fine_tune_iter),
        calibration=estimator.calibration,
    )
