"""From arrays to a compact network: train, then prune. Knows no scikit-learn; NumPy in, NumPy out.

Which rows are used for what:

* *training rows*: gradients;
* *held-out rows*, where there are any: early stopping, the choice between a repaired and a fine-tuned network, and the
  decision how far ``pruning_ratio="auto"`` goes;
* *calibration rows*, of the training rows, the held-out rows or both (at most `CALIBRATION_ROWS` of them): damages,
  mean activations, least squares.

A network has two parts: its inputs (`Inputs`) and its layers. Both are trained. Then the inputs' scale goes into the
first layer, the rest of the inputs stays as it is, and the layers are pruned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from skbandit._core.programs import first_call, make_room
from skbandit._core.rows import Batches, Data
from skbandit._core.scope import single_threaded_blas, to_numpy
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.losses import score, weighted_mean
from skbandit._tabular.network.trainable import Params
from skbandit._tabular.pruning.calibration import Calibration
from skbandit._tabular.pruning.compensation import fold_emissions
from skbandit._tabular.training.epochs import Chunk, run_epochs
from skbandit._tabular.training.fine_tune import fine_tune as _fine_tune
from skbandit._tabular.training.lbfgs import train_lbfgs
from skbandit._tabular.training.loop import Stop, TrainState, init_state
from skbandit._tabular.training.plan import Planner, steps_per_epoch
from skbandit._tabular.training.rates import leaf_rates
from skbandit._tabular.training.settings import PruneSettings, TrainSettings, regularization, schedule
from skbandit._tabular.types import Ending, Layers, Network, Reporter, Rows, Trained
from skbandit.pruning.engine import Pruner, PruneResult

#: Rows that pruning measures on at most: at 256 rows a mini-batch, 64 distinct ones.
CALIBRATION_ROWS = 2**14
#: Rows of a mini-batch of a pull.
PULL_ROWS = 256

#: What a stop on the device means.
_ENDINGS = {Stop.CONVERGED: Ending.CONVERGED, Stop.NOT_FINITE: Ending.NOT_FINITE}


def train(
    start: Network,
    opt_leaves: list[np.ndarray] | None,
    rows: Rows,
    held_out: Rows | None,
    settings: TrainSettings,
    seed: int,
    n_steps: int = 0,
    *,
    reporter: Reporter,
    data: Data | None = None,
) -> Trained:
    """Train from ``start``; the result holds host arrays only.

    Parameters
    ----------
    start : Network
    opt_leaves : list of arrays, optional
        The arrays of an optimizer's state to go on from.
    rows : Rows
        To train on.
    held_out : Rows or None
        For early stopping, where ``settings`` ask for it.
    settings : TrainSettings
    seed : int
        Of the order of the rows, and of dropout.
    n_steps : int
        Steps that earlier runs have taken: schedules go on from there.
    reporter : Reporter
        May end training after an epoch.
    data : Data, optional
        ``rows`` on the device, if they are there already.
    """
    if data is None:
        data = rows.pad(settings.dtype)
    if settings.solver == "lbfgs":
        return train_lbfgs(start, data, settings, reporter)
    validation = None
    if settings.early_stopping:
        assert held_out is not None
        validation = held_out.pad(settings.dtype)
    planner = _planner(settings, rows.X.shape[0], data.X.shape[0], seed, n_steps)
    state = init_state((start.inputs, start.layers), settings.solver, opt_leaves)
    chunks = run_epochs(
        state,
        planner,
        settings.max_iter,
        settings,
        gates=tuple(np.ones(size, settings.dtype) for size in settings.network.mlp.groups.sizes),
        data=data,
        validation=validation,
        rates=leaf_rates(start, settings.parametrization, settings.solver),
        one_by_one=reporter.every_epoch,
    )
    # A run whose end is planned has not failed to converge when it gets there.
    at_end = Ending.COMPLETED if np.isinf(settings.hyper.n_iter_no_change) else Ending.MAX_ITER
    state, losses, scores, ending = _follow(chunks, state, reporter, validation is not None, at_end)
    params, best = to_numpy((state.best_params if validation is not None and losses else state.params, state.best))
    return Trained(
        Network(*params),
        [np.asarray(leaf) for leaf in jax.tree.leaves(state.opt_state)],
        losses,
        scores if validation is not None else None,
        float(best) if validation is None else min(losses, default=np.inf),
        n_steps + len(losses) * planner.steps_per_epoch,  # the planner also counted epochs after a stop
        ending,
    )


def _planner(settings: TrainSettings, n_rows: int, size: int, seed: int, n_steps: int) -> Planner:
    """Return the planner of a training of ``n_rows`` rows, padded to ``size``, that goes on after ``n_steps`` steps."""
    per_epoch = steps_per_epoch(n_rows, settings.batch_size)
    return Planner(
        np.random.default_rng(seed),
        n_rows,
        size,
        settings.batch_size,
        schedule=schedule(settings, n_rows, per_epoch),
        regular=regularization(settings, per_epoch),
        shuffle=settings.shuffle,
        n_steps=n_steps,
        dropout_seed=seed,
        balanced=settings.balanced_batches,
    )


def _follow(
    chunks: Iterator[Chunk], state: TrainState, reporter: Reporter, validated: bool, at_end: Ending
) -> tuple[TrainState, list[float], list[float], Ending]:
    """Run the chunks and report their epochs, until they are over, or something ends them before.

    Parameters
    ----------
    chunks : iterator of Chunk
    state : TrainState
        Before the first of them.
    reporter : Reporter
    validated : bool
        Whether there are validation scores to report.
    at_end : Ending
        How training has ended when all chunks were run.

    Returns
    -------
    state : TrainState
        After the last chunk.
    losses, scores : list of float
        Of each epoch.
    ending : Ending
    """
    losses: list[float] = []
    scores: list[float] = []
    ending = at_end
    try:
        for state, chunk_losses, chunk_scores in chunks:
            for loss, valid_score in zip(map(float, chunk_losses), map(float, chunk_scores), strict=True):
                losses.append(loss)
                scores.append(valid_score)
                network = functools.partial(_network_of, state.params)
                if reporter.epoch(len(losses), loss, valid_score if validated else None, network):
                    ending = Ending.STOPPED
            ending = _ENDINGS.get(Stop(int(state.stop)), ending)
            if ending is not at_end:
                break
    except KeyboardInterrupt:
        ending = Ending.INTERRUPTED
    return state, losses, scores, ending


def _network_of(params: Params) -> Network:
    """Copy a network to the host as if training were over: its scale is folded."""
    return Network(*to_numpy(params)).folded()


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
    """Prune the layers of a trained network whose scale is folded.

    Parameters
    ----------
    data : Data, optional
        ``rows`` on the device, if they are there already.
    """
    mlp, groups = training.network.mlp, training.network.mlp.groups
    rng = np.random.default_rng(seed)
    if data is None and settings.fine_tune_iter > 0:
        data = rows.pad(training.dtype)

    def as_read_by_layers(rows: Rows) -> Rows:
        # Converted once: repair and measurement run in NumPy, in the network's precision.
        X, y, weight = (np.asarray(a, training.dtype) for a in rows[:3])
        return Rows(training.network.inputs.features(np, network.inputs, X), y, weight, rows.row_id)

    calibration = rows
    if held_out is not None and settings.calibration == "held_out":
        calibration = held_out
    elif held_out is not None and settings.calibration == "all":
        calibration = Rows(*(np.concatenate(both) for both in zip(rows[:3], held_out[:3], strict=True)))
        if rows.row_id is not None and held_out.row_id is not None:
            calibration = calibration._replace(row_id=np.concatenate([rows.row_id, held_out.row_id]))
    if calibration.X.shape[0] > CALIBRATION_ROWS:
        chosen = np.sort(rng.choice(calibration.X.shape[0], CALIBRATION_ROWS, replace=False))
        calibration = calibration.take(chosen)
    calibration = as_read_by_layers(calibration)
    batches = Batches.partition(rng, *calibration[:3], training.dtype, PULL_ROWS, calibration.row_id)
    measured = Calibration(*calibration[:3], mlp)
    validation = guard_rows = None
    if held_out is not None:
        guard_rows = as_read_by_layers(held_out)
        if training.early_stopping:
            validation = held_out.pad(training.dtype)

    judging = calibration if guard_rows is None else guard_rows

    def judge(of: Callable[..., float], layers: Layers, gates: Any) -> float:
        coefs = [W for W, *_ in layers]
        # A gate of 0 is a row of zeros in the next layer's weights.
        coefs[1:] = [W * gate[:, None] for W, gate in zip(coefs[1:], gates, strict=True)]
        slopes = [slope for layer in layers for slope in layer[2:]]
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an answer, too
            z = raw_output(judging.X, coefs, [b for _, b, *_ in layers], mlp.activation, slopes)
            return float(of(mlp.loss, z, judging.y, judging.weight))

    def repair(layers: Layers, active: np.ndarray, removed: np.ndarray, emissions: Any) -> Layers:
        if settings.compensate:
            return measured.repair(layers, active, removed, emissions)
        return fold_emissions(layers, groups, removed, emissions)

    def fine_tune(layers: Layers, gates: Any, round_: int) -> Layers:
        assert data is not None
        reporter.begin_fine_tuning(round_, settings.fine_tune_iter)
        start = network._replace(layers=layers)
        tuned = _fine_tune(
            start, gates, data, validation, rows.X.shape[0], training, settings.fine_tune_iter, rng, reporter
        )
        reporter.end_fine_tuning()
        return tuned

    pruner = Pruner(
        network=mlp,
        batches=batches,
        criterion=settings.criterion,
        budget=settings.budget,
        scope=settings.scope,
        n_rounds=settings.n_rounds,
        tolerance=settings.tolerance,
        # Of the seed alone: what shuffles the rows has drawn as often as there are rows, and a weight is no row.
        seed=int(np.random.default_rng((seed, 1)).integers(2**31)),
        emissions=measured.mean_activations if settings.ablation == "mean" else None,
        repair=repair,
        fine_tune=fine_tune if settings.fine_tune_iter > 0 else None,
        measure=measured.loss,
        guard=functools.partial(judge, weighted_mean) if held_out is not None else measured.loss,
        score=functools.partial(judge, functools.partial(score, np)),
        on_round=reporter.round,
        scoring=lambda: first_call(program),
    )
    program = (mlp, jax.tree.structure(settings.criterion), batches.X.shape, training.dtype)
    make_room(program)
    reporter.begin("prune", settings.n_rounds if settings.pruning_ratio != "auto" else None)
    # The result must not depend on how many threads the caller's process has (joblib's workers have fewer), and for
    # matrices of this size threads of BLAS beside those of XLA only get in each other's way.
    with single_threaded_blas():
        result = pruner.run(network.layers, settings.pruning_ratio)
    reporter.end("prune")
    return result
