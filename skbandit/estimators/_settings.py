"""From constructor parameters to the settings of training and pruning. Imports JAX; imported when a fit begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skbandit._core.constraints import shown
from skbandit._tabular.model import Architecture
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.training.rates import FINE_TUNE_SHARE
from skbandit._tabular.training.settings import PruneSettings, TrainSettings
from skbandit._tabular.training.solvers import DECOUPLED, Hyper
from skbandit.estimators._notes import Note

#: Rows that a mini-batch has at most under ``batch_size="auto"``, as in scikit-learn's MLP.
AUTO_BATCH = 200
#: Under ``max_iter="auto"`` training takes about this many steps, in this many epochs at least and at most.
AUTO_STEPS, AUTO_FEWEST, AUTO_MOST = 8_000, 48, 256
#: Iterations of ``"lbfgs"`` under ``max_iter="auto"``, scikit-learn's default.
AUTO_LBFGS = 200

#: Rounds of pruning to a share under ``n_rounds="auto"``, at least.
AUTO_FEWEST_ROUNDS = 2
#: Epochs of fine-tuning under ``fine_tune_iter="auto"``: after a round that others follow; after the last, times
#: ``pruning_ratio``.
AUTO_TUNE_BETWEEN, AUTO_TUNE = 2, 20

Parameters = Mapping[str, Any]


def batch_size_of(params: Parameters) -> int:
    """Return the rows of a mini-batch."""
    return AUTO_BATCH if params["batch_size"] == "auto" else int(params["batch_size"])


def notes_on_batches(params: Parameters, n_rows: int) -> tuple[Note, ...]:
    """Return what the user is to be told about mini-batches of ``n_rows`` rows."""
    batch_size = batch_size_of(params)
    if params["batch_size"] == "auto" or batch_size <= n_rows:
        return ()
    return (Note(f"'batch_size'={batch_size} is larger than the {n_rows} training rows; one batch holds them all."),)


def n_epochs(params: Parameters, n_rows: int) -> int:
    """Return the number of epochs (of iterations, for ``"lbfgs"``) that training takes at most."""
    max_iter = params["max_iter"]
    if max_iter != "auto":
        return int(max_iter)
    if params["solver"] == "lbfgs":
        return AUTO_LBFGS
    steps = -(-n_rows // min(batch_size_of(params), n_rows))
    return int(np.clip(np.ceil(AUTO_STEPS / steps), AUTO_FEWEST, AUTO_MOST))


def train_settings(
    params: Parameters, architecture: Architecture, hidden_layer_sizes: Sequence[int], n_rows: int
) -> TrainSettings:
    """Return how a network is trained.

    Parameters
    ----------
    params : mapping
        Parameters of the estimator.
    architecture : Architecture
    hidden_layer_sizes : sequence of int
        Units that are there; fewer than in ``architecture`` where some were pruned.
    n_rows : int
        Rows to train on.
    """
    solver, learning_rate = params["solver"], params["learning_rate"]
    if isinstance(solver, str) and solver == "sgd" and params["nesterovs_momentum"] and params["momentum"] > 0:
        solver = "sgd_nesterov"
    if not isinstance(solver, str) and not (
        isinstance(learning_rate, str) and (learning_rate, params["parametrization"]) == ("constant", "standard")
    ):
        raise ValueError(
            "An optax.GradientTransformation as 'solver' brings its own learning rate, so 'learning_rate' must be "
            "'constant' and 'parametrization' 'standard' (they have no effect). Got "
            f"learning_rate={shown(learning_rate)}, parametrization={params['parametrization']!r}."
        )
    by_name = isinstance(learning_rate, str)
    if np.isinf(params["n_iter_no_change"]) and by_name and learning_rate == "adaptive":
        raise ValueError(
            "learning_rate='adaptive' falls where training has not improved for 'n_iter_no_change' epochs, which must "
            f"be a number of them. Got {params['n_iter_no_change']!r}."
        )
    max_iter = n_epochs(params, n_rows)
    # Dropout and decoupled decay are for a network that has units to spare.
    pruned = sum(hidden_layer_sizes) < sum(architecture.hidden_layer_sizes)
    dropout = 0.0 if pruned or solver == "lbfgs" else float(params["dropout"])
    alpha = 0.0 if pruned and solver in DECOUPLED else float(params["alpha"])
    mlp = MLP(
        architecture.layer_sizes(hidden_layer_sizes),
        architecture.activation,
        architecture.loss,
        architecture.parametric,
    )
    return TrainSettings(
        network=Trainable(mlp, architecture.inputs, dropout=dropout > 0),
        solver=solver,
        hyper=Hyper(
            alpha=alpha,
            beta_1=float(params["beta_1"]),
            beta_2=float(params["beta_2"]),
            epsilon=float(params["epsilon"]),
            momentum=float(params["momentum"]),
            tol=float(params["tol"]),
            n_iter_no_change=float(params["n_iter_no_change"]),
            adaptive=float(by_name and learning_rate == "adaptive"),
            dropout=dropout,
            label_smoothing=float(params.get("label_smoothing", 0.0)),
            monitor_loss=float(params["validation_metric"] == "loss"),
        ),
        parametrization=params["parametrization"],
        regularization_schedule=params["regularization_schedule"],
        learning_rate=learning_rate,
        learning_rate_init=float(params["learning_rate_init"]),
        power_t=float(params["power_t"]),
        batch_size=batch_size_of(params),
        balanced_batches=bool(params["balanced_batches"]),
        max_iter=max_iter,
        horizon=max_iter,
        shuffle=bool(params["shuffle"]),
        early_stopping=bool(params["early_stopping"]) and solver != "lbfgs",
        max_fun=int(params["max_fun"]),
        dtype=params["dtype"],
    )


def incremental_settings(settings: TrainSettings) -> TrainSettings:
    """Return the settings of one epoch of `partial_fit`: nothing is held out, and nobody knows when training ends."""
    if isinstance(settings.learning_rate, str) and settings.learning_rate in ("coslog4", "cosine"):
        share = FINE_TUNE_SHARE if settings.learning_rate == "coslog4" else 1.0  # its peaks are for passing
        settings = dataclasses.replace(
            settings, learning_rate="constant", learning_rate_init=share * settings.learning_rate_init
        )
    return dataclasses.replace(settings, max_iter=1, early_stopping=False, regularization_schedule="constant")


def rounds_of(params: Parameters) -> int:
    """Return the number of rounds of pruning to a share: under ``"auto"``, one for each halving, and two at least."""
    if params["n_rounds"] != "auto":
        return int(params["n_rounds"])
    ratio = params["pruning_ratio"]
    halvings = 0.0 if ratio == "auto" else -np.log2(1 - float(ratio))
    return max(AUTO_FEWEST_ROUNDS, int(np.ceil(halvings - 1e-9)))


def epochs_of_fine_tuning(params: Parameters) -> tuple[int, int]:
    """Return the epochs of fine-tuning after a round that others follow, and after the last.

    Under ``"auto"`` there are the more after the last, the more units have left. Of ``pruning_ratio="auto"`` each round
    may be the last.
    """
    if params["fine_tune_iter"] != "auto":
        return int(params["fine_tune_iter"]), int(params["fine_tune_iter"])
    if params["pruning_ratio"] == "auto":
        return AUTO_TUNE // 2, AUTO_TUNE // 2
    return AUTO_TUNE_BETWEEN, max(AUTO_TUNE_BETWEEN, round(AUTO_TUNE * float(params["pruning_ratio"])))


def prune_settings(
    params: Parameters, criterion: Any, n_trained: int, n_left: int, *, none: bool = False
) -> PruneSettings:
    """Return how a network is pruned.

    Parameters
    ----------
    params : mapping
        Parameters of the estimator. Its ratio counts from the network that was trained.
    criterion : Criterion
    n_trained, n_left : int
        Hidden units that were trained, and that are left: some may be gone already.
    none : bool
        Remove none, whatever the parameters say.
    """
    ratio = params["pruning_ratio"]
    n_rounds, fine_tune_iter = rounds_of(params), epochs_of_fine_tuning(params)
    if none:
        ratio = 0.0
    elif ratio != "auto":
        ratio = 1 - int(np.ceil(n_trained * (1 - float(ratio)) - 1e-9)) / n_left
    return PruneSettings(
        criterion=criterion,
        pruning_ratio=ratio,
        budget=float(params["budget"]),
        tolerance=float(params["tolerance"]),
        scope=params["scope"],
        n_rounds=n_rounds,
        ablation=params["ablation"],
        compensate=bool(params["compensate"]),
        fine_tune_iter=fine_tune_iter,
        calibration=params["calibration"],
    )
