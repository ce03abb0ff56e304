"""The loop over chunks of epochs, on the host: plan, run, look, and go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from skbandit._core.programs import first_call, make_room
from skbandit._core.rows import Data
from skbandit._tabular.training.loop import Stop, TrainState, run_chunk
from skbandit._tabular.training.plan import Planner
from skbandit._tabular.training.rates import Rates
from skbandit._tabular.training.settings import TrainSettings


class Chunk(NamedTuple):
    """What a chunk of epochs has brought."""

    state: TrainState
    """After its last epoch, on the device."""
    losses: np.ndarray
    """f[n_run]: training loss of each epoch that was run."""
    scores: np.ndarray
    """f[n_run]: validation score of each; 0 without validation rows."""


def run_epochs(
    state: TrainState,
    planner: Planner,
    n_epochs: int,
    settings: TrainSettings,
    *,
    gates: tuple[np.ndarray, ...],
    data: Data,
    validation: Data | None,
    rates: Rates,
    one_by_one: bool,
) -> Iterator[Chunk]:
    """Run up to ``n_epochs`` epochs, and yield after each chunk of them; the last is where training stops.

    Parameters
    ----------
    state : TrainState
        Before the first epoch.
    planner : Planner
        Of the rows of ``data``.
    n_epochs : int
    settings : TrainSettings
        Of them the network, the solver and its hyper-parameters, the batch size and the dtype.
    gates : tuple of f[n_l]
        Of each hidden layer.
    data : Data
        Training rows, padded.
    validation : Data or None
        Held-out rows, padded.
    rates : Rates
        For each array of the parameters.
    one_by_one : bool
        Whether a chunk is a single epoch.
    """
    program = settings.program(data, validation)
    make_room(program)
    hyper, done = settings.hyper.as_arrays(settings.dtype), 0
    while done < n_epochs and int(state.stop) == Stop.RUNNING:
        plan = planner.next(1 if one_by_one else n_epochs - done)
        with first_call(program):
            state, losses, scores, n_run = run_chunk(
                state,
                gates=gates,
                data=data,
                validation=validation,
                plan=plan,
                hyper=hyper,
                rates=rates,
                network=settings.network,
                solver=settings.solver,
                width=planner.width,
            )
        done += int(n_run)
        yield Chunk(state, np.asarray(losses)[: int(n_run)], np.asarray(scores)[: int(n_run)])
