"""Fine-tuning: the layers that a round of pruning has left are trained on."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from skbandit._core.rows import Data
from skbandit._core.scope import to_numpy
from skbandit._tabular.network.trainable import Params
from skbandit._tabular.training.compact import Compact, without_inputs
from skbandit._tabular.training.epochs import run_epochs
from skbandit._tabular.training.loop import init_state
from skbandit._tabular.training.plan import Planner, steps_per_epoch
from skbandit._tabular.training.rates import FINE_TUNE_SHARE, SCHEDULES, leaf_rates
from skbandit._tabular.training.settings import TrainSettings, schedule
from skbandit._tabular.types import Layers, Network, Reporter


def fine_tune(
    network: Network,
    gates: tuple[np.ndarray, ...],
    data: Data,
    validation: Data | None,
    n_rows: int,
    training: TrainSettings,
    n_epochs: int,
    rng: np.random.Generator,
    reporter: Reporter,
    compact: Compact | None = None,
    embedded: bool = False,
) -> Layers:
    """Train the layers on, with a fresh optimizer and a learning rate that falls to 0 along a cosine.

    The program is that of training, or that of a compact network. Dropout and decoupled weight decay are off: they are
    for a network that has units to spare. The inputs stay as they are.

    Parameters
    ----------
    network : Network
        Its scale is folded; the slices of removed units are 0.
    gates : tuple of f[n_l]
        1 for the units that are left, 0 for those that are removed.
    data : Data
        Training rows, padded.
    validation : Data or None
        Held-out rows, padded: the best epoch on them is kept.
    n_rows : int
        Training rows that are not padding.
    training : TrainSettings
        How the network was trained.
    n_epochs : int
    rng : numpy.random.Generator
        Shuffles the rows.
    reporter : Reporter
        May end fine-tuning after an epoch.
    compact : Compact, optional
        Where the units that are left stand in a smaller network, which is then trained.
    embedded : bool
        Whether ``data`` and ``validation`` hold features, as the first layer reads them, and not columns; for a compact
        network.

    Returns
    -------
    layers : tuple of (W, b)
        Of the same shapes.
    """
    solver = training.solver if isinstance(training.solver, str) and training.solver != "lbfgs" else "adam"
    hyper = training.hyper._replace(adaptive=0.0, patience_on=0.0, dropout=0.0)
    per_epoch = steps_per_epoch(n_rows, training.batch_size)
    by_name = isinstance(training.learning_rate, str)
    if by_name and training.learning_rate == "coslog4":  # its first rate is 0, and its peaks are not for staying at
        initial = FINE_TUNE_SHARE * training.learning_rate_init
    else:
        initial = float(schedule(training, n_rows, per_epoch)(np.zeros(1, int))[0])
    n_steps = n_epochs * per_epoch
    planner = Planner(
        rng,
        n_rows,
        data.X.shape[0],
        training.batch_size,
        schedule=lambda steps: initial * SCHEDULES["cosine"](steps / n_steps),
        regular=np.zeros_like,
        shuffle=training.shuffle,
        balanced=training.balanced_batches,
    )
    # By the shapes of the whole network: a rate may depend on them.
    rates = leaf_rates(network, training.parametrization, solver, frozen_inputs=True)
    start, static = network, training.network
    if compact is not None:
        start, gates = network._replace(layers=compact.cut(network.layers)), compact.gates(data.X.dtype)
        static = compact.static(static, embedded)
        if embedded:
            start, rates = without_inputs(start, rates)

    def layers_of(params: Params) -> Layers:
        """Copy the layers to the host."""
        layers: Layers = to_numpy(params[1])
        return layers if compact is None else compact.put_back(layers, network.layers)

    state = init_state((start.inputs, start.layers), solver)
    chunks = run_epochs(
        state,
        planner,
        n_epochs,
        dataclasses.replace(training, network=static, solver=solver, hyper=hyper),
        gates=gates,
        data=data,
        validation=validation,
        rates=rates,
        one_by_one=reporter.every_epoch,
    )
    for state, losses, _ in chunks:
        stopped = False
        for loss in losses:
            stopped |= reporter.fine_tune_epoch(float(loss), functools.partial(layers_of, state.params))
        if stopped:
            break
    return layers_of(state.params if validation is None else state.best_params)
