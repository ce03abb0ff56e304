"""The trained MLP as a task for the pruning loop: repair, fine-tuning, and the rows that judge.

Which rows are used for what:

* *training rows*: gradients;
* *held-out rows*, where there are any: early stopping, the choice between a repaired and a fine-tuned network, and the
  decision how far ``pruning_ratio="auto"`` goes;
* *calibration rows*, of the training rows, the held-out rows or both (at most `CALIBRATION_ROWS` of them, fewer where
  they are wide): damages, mean activations, least squares.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from skbandit._core.rows import Batches, Data, even_width
from skbandit._core.scope import single_threaded_blas
from skbandit._tabular.features.sparse_rows import dense, stacked
from skbandit._tabular.pruning.calibration import Calibration
from skbandit._tabular.pruning.compensation import fold_emissions
from skbandit._tabular.pruning.judge import Judge
from skbandit._tabular.training.compact import Programs
from skbandit._tabular.training.fine_tune import fine_tune
from skbandit._tabular.training.settings import PruneSettings, TrainSettings
from skbandit._tabular.types import Layers, Network, Reporter, Rows
from skbandit.pruning.engine import Pruner
from skbandit.pruning.goals import goal_of
from skbandit.pruning.results import PruneResult

Vectors = tuple[Any, ...]

#: Rows that pruning measures on at most: at 256 rows a mini-batch, 64 distinct ones. Of more than 2 048 features fewer,
#: so that they take 128 MB in float32, beside the training rows; but eight mini-batches, as many as the default budget
#: has pulls for a unit.
CALIBRATION_ROWS = 2**14
CALIBRATION_VALUES = 2**25
FEWEST_CALIBRATION_ROWS = 2**11
#: Rows of a mini-batch of a pull at most.
PULL_ROWS = 256


class MLPTask:
    """What the loop asks of a trained MLP (`skbandit.pruning.task.PruningTask`).

    Parameters
    ----------
    network : Network
        As trained; its scale is folded.
    rows, held_out : Rows, Rows or None
        Training rows; rows that judge.
    calibration : Rows
        What the layers read: rows that damages are measured and repairs are fitted on.
    training : TrainSettings
    settings : PruneSettings
    rng : numpy.random.Generator
        Shuffles the rows of fine-tuning.
    reporter : Reporter
    data : Data, optional
        ``rows`` on the device, if they are there already.
    """

    def __init__(
        self,
        network: Network,
        rows: Rows,
        held_out: Rows | None,
        calibration: Rows,
        training: TrainSettings,
        settings: PruneSettings,
        rng: np.random.Generator,
        *,
        reporter: Reporter,
        data: Data | None = None,
    ) -> None:
        self.network, self.training, self.settings = network, training, settings
        self.rng, self.reporter, self.n_rows = rng, reporter, rows.X.shape[0]
        mlp = training.network.mlp
        self.groups = mlp.groups
        self.measured = Calibration(*calibration[:3], mlp)
        self.held_out = None if held_out is None else judge_of(network, held_out, training)
        # The score of the calibration rows, where no others judge.
        self.judge = Judge(*calibration[:3], mlp) if self.held_out is None else self.held_out
        self.data = rows.pad(training.dtype) if data is None and max(settings.fine_tune_iter) > 0 else data
        self.validation = held_out.pad(training.dtype) if held_out is not None and training.early_stopping else None
        inputs = training.network.inputs
        fits = inputs.is_identity or self.n_rows * inputs.n_features <= CALIBRATION_VALUES
        self.programs = Programs(training.network, self.n_rows, embedded=fits)
        self._sources = rows, held_out if self.validation is not None else None
        self._features: tuple[Data | None, Data | None] | None = None

    def emissions(self, params: Layers, gates: Vectors) -> Vectors:
        """Return the mean activation of each unit, or zeros."""
        if self.settings.ablation == "mean":
            return self.measured.mean_activations(params, gates)
        return tuple(np.zeros_like(gate) for gate in gates)

    def repair(self, params: Layers, active: np.ndarray, removed: np.ndarray, emissions: Vectors) -> Layers:
        """Refit what follows the removed units, or fold what they emit into the biases."""
        if self.settings.compensate:
            return self.measured.repair(params, active, removed, emissions)
        return fold_emissions(params, self.groups, removed, emissions)

    def fine_tune(self, params: Layers, gates: Vectors, round_: int, *, last: bool) -> Layers | None:
        """Train on for some epochs; None where that is switched off."""
        n_epochs, training = self.settings.fine_tune_iter[last], self.training
        if n_epochs == 0:
            return None
        self.reporter.begin_fine_tuning(round_, n_epochs)
        start, compact = self.network._replace(layers=params), self.programs.compact(gates, n_epochs)
        embedded = compact is not None and self.programs.embedded
        data, validation = self._as_features() if embedded else (self.data, self.validation)
        assert data is not None
        tuned = fine_tune(
            start, gates, data, validation, self.n_rows, training, n_epochs, self.rng, self.reporter, compact, embedded
        )
        self.reporter.end_fine_tuning()
        return tuned

    def _as_features(self) -> tuple[Data | None, Data | None]:
        """Return the rows of fine-tuning, and those of its validation, as the first layer reads them."""
        if self.training.network.inputs.is_identity:
            return self.data, self.validation
        if self._features is None:
            rows, held_out = (
                None if of is None else as_read_by_layers(self.network, of, self.training).pad(self.training.dtype)
                for of in self._sources
            )
            self._features = rows, held_out
        return self._features

    def measure(self, params: Layers, gates: Vectors, emissions: Vectors | None) -> float:
        """Return the loss on the calibration rows."""
        return self.measured.loss(params, gates, emissions)

    def guard(self, params: Layers, gates: Vectors) -> float:
        """Return the loss on the held-out rows, or on the calibration rows where there are none."""
        return self.measured.loss(params, gates) if self.held_out is None else self.held_out.loss(params, gates)

    def score(self, params: Layers, gates: Vectors) -> float:
        """Return accuracy or R² on the same rows."""
        return self.judge.score(params, gates)


def judge_of(network: Network, rows: Rows, training: TrainSettings) -> Judge:
    """Return a network's judge on held-out rows.

    They are embedded once; where they would then take more than the rows that pruning measures on, each time anew.
    """
    inputs, mlp = training.network.inputs, training.network.mlp
    if inputs.is_identity or rows.X.shape[0] * inputs.n_features <= CALIBRATION_VALUES:
        return Judge(*as_read_by_layers(network, rows, training)[:3], mlp)
    X, y, weight, _ = _in_precision(rows, training.dtype)
    return Judge(X, y, weight, mlp, lambda X: inputs.features(np, network.inputs, dense(X)))


@np.errstate(over="ignore", invalid="ignore")  # the loss on these rows is looked at before any unit is
def _in_precision(rows: Rows, dtype: str) -> Rows:
    return Rows(
        rows.X.astype(dtype, copy=False), np.asarray(rows.y, dtype), np.asarray(rows.weight, dtype), rows.row_id
    )


def as_read_by_layers(network: Network, rows: Rows, training: TrainSettings) -> Rows:
    """Return rows as the first layer reads them, converted once: repair and measurement run in NumPy."""
    inputs = training.network.inputs
    rows = _in_precision(rows, training.dtype)
    if inputs.is_identity:
        return rows
    with np.errstate(over="ignore", invalid="ignore"):
        return rows._replace(X=inputs.features(np, network.inputs, dense(rows.X)))


def calibration_rows(
    rows: Rows, held_out: Rows | None, which: str, rng: np.random.Generator, n_features: int = 1
) -> Rows:
    """Return the rows to measure on: some of the training rows, the held-out rows, or both.

    Parameters
    ----------
    rows, held_out : Rows, Rows or None
    which : {"train", "held_out", "all"}
    rng : numpy.random.Generator
    n_features : int
        What the first layer reads of a row.
    """
    at_most = min(CALIBRATION_ROWS, max(CALIBRATION_VALUES // n_features, FEWEST_CALIBRATION_ROWS))
    sources = [rows]
    if held_out is not None and which != "train":
        sources = [held_out] if which == "held_out" else [rows, held_out]
    edges = np.cumsum([0, *(of.X.shape[0] for of in sources)])
    if edges[-1] > at_most:
        chosen = np.sort(rng.choice(int(edges[-1]), at_most, replace=False))
        inside = [chosen[(chosen >= i) & (chosen < j)] - i for i, j in itertools.pairwise(edges)]
        sources = [of.take(some) for of, some in zip(sources, inside, strict=True)]
    return sources[0] if len(sources) == 1 else _joined(*sources)


def _joined(first: Rows, second: Rows) -> Rows:
    X, y, weight = (stacked(both) for both in zip(first[:3], second[:3], strict=True))
    if first.row_id is None or second.row_id is None:
        return Rows(X, y, weight)
    return Rows(X, y, weight, np.concatenate([first.row_id, second.row_id]))


def prune(
    network: Network,
    rows: Rows,
    held_out: Rows | None,
    training: TrainSettings,
    settings: PruneSettings,
    seed: int,
    *,
    reporter: Reporter,
    data: Data | None = None,
) -> PruneResult:
    """Prune the layers of a trained network.

    Parameters
    ----------
    network : Network
        Its scale is folded.
    rows, held_out : Rows, Rows or None
        Training rows; rows that judge.
    training : TrainSettings
    settings : PruneSettings
    seed : int
    reporter : Reporter
    data : Data, optional
        ``rows`` on the device, if they are there already.
    """
    rng = np.random.default_rng(seed)
    n_features = training.network.inputs.n_features
    measured = calibration_rows(rows, held_out, settings.calibration, rng, n_features)
    calibration = as_read_by_layers(network, measured, training)
    width = even_width(measured.X.shape[0], PULL_ROWS)
    batches = Batches.partition(rng, *calibration[:3], training.dtype, width, calibration.row_id)
    task = MLPTask(network, rows, held_out, calibration, training, settings, rng, reporter=reporter, data=data)
    pruner = Pruner(
        training.network.mlp,
        batches,
        settings.criterion,
        task,
        budget=settings.budget,
        scope=settings.scope,
        # Of the seed alone: what shuffles the rows has drawn as often as there are rows, and a weight is no row.
        seed=int(np.random.default_rng((seed, 1)).integers(2**31)),
        on_round=reporter.round,
    )
    ratio = settings.pruning_ratio
    goal = goal_of(ratio, n_rounds=settings.n_rounds, tolerance=settings.tolerance, criterion=settings.criterion)
    reporter.begin("prune", settings.n_rounds if ratio != "auto" else None)
    # The result must not depend on how many threads the caller's process has (joblib's workers have fewer), and for
    # matrices of this size threads of BLAS beside those of XLA only get in each other's way.
    with single_threaded_blas():
        result = pruner.run(network.layers, goal)
    reporter.end("prune")
    return result
