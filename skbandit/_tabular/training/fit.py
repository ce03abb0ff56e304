"""Training: from a start to the dense network. Knows no scikit-learn; NumPy in, NumPy out.

A network has two parts: its inputs (`skbandit._tabular.features.embeddings.Inputs`) and its layers. Both are trained.
Then the inputs' scale goes into the first layer, the rest of the inputs stays as it is, and the layers are pruned
(`skbandit._tabular.pruning.task`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import jax
import numpy as np

from skbandit._core.rows import Data
from skbandit._core.scope import to_numpy
from skbandit._tabular.network.trainable import Params
from skbandit._tabular.training.epochs import Chunk, run_epochs
from skbandit._tabular.training.lbfgs import train_lbfgs
from skbandit._tabular.training.loop import Stop, TrainState, init_state
from skbandit._tabular.training.plan import Planner, steps_per_epoch
from skbandit._tabular.training.rates import leaf_rates
from skbandit._tabular.training.settings import TrainSettings, regularization, schedule
from skbandit._tabular.types import Ending, Network, Reporter, Rows, Trained

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
        float(best) if validation is not None else None,
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
