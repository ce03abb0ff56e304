"""From arrays to a compact network: train, prune, fine-tune. Knows no scikit-learn; NumPy in, NumPy out.

Which rows are used for what:

* *training rows*: gradients;
* *held-out rows*, where there are any: early stopping, the choice between a repaired and a fine-tuned network, and the
  decision how far ``pruning_ratio="auto"`` goes;
* *calibration rows*, of the training rows, the held-out rows or both (at most `CALIBRATION_ROWS` of them): damages,
  mean activations, least squares.

A network has two parts: its inputs (`Inputs`) and its layers. Both are trained; then the inputs' scale goes
into the first layer, the rest of them stays as it is, and what is pruned are the layers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import scipy.optimize

from skbandit._core.programs import first_call, make_room
from skbandit._core.rows import Data
from skbandit._tabular.features.embeddings import fold_scale
from skbandit._tabular.training.loop import (
    Hyper,
    Planner,
    Solver,
    Trainable,
    TrainState,
    full_loss,
    init_state,
    run_chunk,
)
from skbandit._tabular.training.rates import FINE_TUNE_SHARE, SCHEDULES, leaf_rates
from skbandit.criteria.base import Criterion
from skbandit.pruning.engine import PruneResult, PruningRound

Layers = tuple[tuple[np.ndarray, ...], ...]


class Network(NamedTuple):
    """Parameters on the host."""

    inputs: dict[str, Any]
    layers: Layers


class Rows(NamedTuple):
    """A data set on the host."""

    X: np.ndarray
    """f[n, n_columns], any float dtype, dense: what the network's inputs read."""
    y: np.ndarray
    """f[n, n_targets], encoded as the loss wants it."""
    weight: np.ndarray
    """f[n]"""
    row_id: np.ndarray | None = None
    """u32[n]: what dropout knows a row by. Copies share one, so that a weight of 2 is a row that is there twice. None
    stands for the positions."""

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of the rows, by position or by a mask."""
        return Rows(*(None if array is None else array[rows] for array in self))  # type: ignore[arg-type]

    def pad(self, dtype: str) -> Data:
        """Copy them to the device."""
        return Data.pad(self.X, self.y, self.weight, dtype, row_id=self.row_id)


class Reporter(Protocol):
    """Hears what happens; networks are given as thunks, so that weights leave the device only when asked for."""

    @property
    def every_epoch(self) -> bool:
        """Report each epoch as it ends; otherwise epochs are reported a chunk at a time."""

    def begin(self, phase: str, n_tasks: int | None) -> None:
        """A phase ("train", "prune") starts."""

    def epoch(self, n_iter: int, loss: float, score: float | None, network: Callable[[], Network]) -> bool:
        """An epoch of training ended; True stops training."""

    def begin_fine_tuning(self, round_: int, n_epochs: int) -> None:
        """The fine-tuning of a round starts."""

    def fine_tune_epoch(self, loss: float, layers: Callable[[], Layers]) -> bool:
        """An epoch of fine-tuning ended; True stops it."""

    def end_fine_tuning(self) -> None:
        """The fine-tuning of a round ended."""

    def round(self, record: PruningRound, result: Callable[[], PruneResult]) -> bool:
        """A round ended and left ``result``; True ends pruning."""

    def end(self, phase: str) -> None:
        """The phase is over."""


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How to train; every field is part of the key under which ``memory=`` keeps the dense network."""

    network: Trainable
    solver: Solver
    hyper: Hyper
    parametrization: str
    regularization_schedule: str
    learning_rate: str | Callable[[Any], Any]
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
    fine_tune_iter: int
    calibration: str
    """"train", "held_out" or "all": the rows that damages and repairs are computed on."""


class Trained(NamedTuple):
    """The dense network."""

    network: Network
    """As trained; its scale is not folded."""
    opt_leaves: list[np.ndarray] | None
    loss_curve: list[float]
    validation_scores: list[float] | None
    best_loss: float
    n_steps: int
    status: str
    """"converged", "completed" (all epochs of a run that has no other end), "max_iter", "stopped", "interrupted",
    "line search failed" or "not finite"."""


def _training_program(settings: TrainSettings, solver: Solver, data: Data, validation: Data | None) -> Hashable:
    """Say which compiled program trains."""
    n_held_out = 0 if validation is None else validation.X.shape[0]
    return settings.network, solver, settings.batch_size, data.X.shape, n_held_out, settings.dtype


def to_numpy(tree: Any) -> Any:
    """Copy a pytree of device arrays to the host."""
    return jax.tree.map(np.asarray, tree)


def _network_of(params: Any) -> Network:
    """Return a network that is done with training: its scale is folded."""
    return Network(*fold_scale(*to_numpy(params)))


def schedule(settings: TrainSettings, n_rows: int, steps_per_epoch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the learning rate of each step, as a function of the step number (an array) since training began."""
    name, initial = settings.learning_rate, settings.learning_rate_init

    def of_step(steps: np.ndarray) -> np.ndarray:
        if callable(name):
            try:
                rates = np.asarray(name(steps), float)
            except (TypeError, ValueError):  # a schedule for one step at a time
                rates = np.array([float(name(int(s))) for s in steps.ravel()])
            return np.broadcast_to(rates, steps.shape) if rates.ndim == 0 else rates.reshape(steps.shape)
        if name == "invscaling":
            return initial / (steps // steps_per_epoch * n_rows + 1.0) ** settings.power_t
        if name in SCHEDULES:
            return initial * SCHEDULES[name](steps / (settings.horizon * steps_per_epoch))
        return np.full(steps.shape, initial)

    return of_step


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
    data : Data, optional
        ``rows`` on the device, if they are there already.
    """
    if data is None:
        data = rows.pad(settings.dtype)
    validation = None
    if settings.early_stopping and settings.solver != "lbfgs":
        assert held_out is not None
        validation = held_out.pad(settings.dtype)
    program = _training_program(settings, settings.solver, data, validation)
    make_room(program)
    if settings.solver == "lbfgs":
        return _train_lbfgs(start, data, settings, reporter)
    planner = Planner(
        rng=np.random.default_rng(seed),
        n_rows=rows.X.shape[0],
        size=data.X.shape[0],
        batch_size=settings.batch_size,
        schedule=np.zeros_like,
        shuffle=settings.shuffle,
        n_steps=n_steps,
        dropout_seed=seed,
        balanced=settings.balanced_batches,
    )
    planner.schedule = schedule(settings, planner.n_rows, planner.steps_per_epoch)
    if settings.regularization_schedule in SCHEDULES:
        n_planned = settings.horizon * planner.steps_per_epoch
        planner.regular = lambda steps: SCHEDULES[settings.regularization_schedule](steps / n_planned)
    state = init_state(tuple(start), settings.solver, opt_leaves)
    run = functools.partial(
        run_chunk,
        gates=_ones(settings),
        data=data,
        validation=validation,
        hyper=_floats(settings.hyper, settings.dtype),
        rates=leaf_rates(start, settings.parametrization, settings.solver),
        network=settings.network,
        solver=settings.solver,
        width=planner.width,
        has_validation=settings.early_stopping,
    )
    losses: list[float] = []
    scores: list[float] = []
    # A run whose end is planned has not failed to converge when it gets there.
    status = at_end = "completed" if np.isinf(settings.hyper.n_iter_no_change) else "max_iter"
    try:
        while len(losses) < settings.max_iter and status == at_end:
            plan = planner.next(1 if reporter.every_epoch else settings.max_iter - len(losses))
            with first_call(program):
                state, chunk_losses, chunk_scores, n_run = run(state, plan=plan)
            stop = int(state.stop)
            for loss, score in zip(np.asarray(chunk_losses)[: int(n_run)], np.asarray(chunk_scores), strict=False):
                losses.append(float(loss))
                scores.append(float(score))
                if reporter.epoch(
                    len(losses),
                    float(loss),
                    float(score) if validation is not None else None,
                    functools.partial(_network_of, state.params),
                ):
                    status = "stopped"
            if stop:
                status = "converged" if stop == 1 else "not finite"
    except KeyboardInterrupt:
        status = "interrupted"
    params, best = to_numpy((state.best_params if validation is not None and losses else state.params, state.best))
    return Trained(
        Network(*params),
        [np.asarray(leaf) for leaf in jax.tree.leaves(state.opt_state)],
        losses,
        scores if validation is not None else None,
        float(best) if validation is None else min(losses, default=np.inf),
        n_steps + len(losses) * planner.steps_per_epoch,  # the planner also counted epochs after a stop
        status,
    )


def _train_lbfgs(start: Network, data: Data, settings: TrainSettings, reporter: Reporter) -> Trained:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, as scikit-learn's MLP does for this solver."""
    leaves, treedef = jax.tree.flatten(start)
    # What has rate 0 (the edges of bins) is not trained; other factors are for the solvers with a learning rate.
    free = [float(r) > 0 for r in jax.tree.leaves(leaf_rates(start, "standard", "lbfgs").rate)]
    edges = np.cumsum([0, *(leaf.size for leaf in leaves)])

    def unpack(flat: np.ndarray) -> Network:
        parts = [
            flat[i:j].reshape(leaf.shape).astype(settings.dtype)
            for i, j, leaf in zip(edges[:-1], edges[1:], leaves, strict=True)
        ]
        return jax.tree.unflatten(treedef, parts)

    curve: list[float] = []

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grads = full_loss(
            tuple(unpack(flat)), data, settings.hyper.alpha, settings.hyper.label_smoothing, network=settings.network
        )
        moves = [np.ravel(g) * f for g, f in zip(jax.tree.leaves(grads), free, strict=True)]
        return float(loss), np.concatenate(moves).astype(np.float64)

    latest, stopped = start, False

    def progress(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal latest, stopped
        latest = unpack(intermediate_result.x)
        curve.append(float(intermediate_result.fun))
        stopped = reporter.epoch(len(curve), curve[-1], None, functools.partial(_network_of, tuple(latest)))
        if stopped:
            raise StopIteration

    flat = np.concatenate([leaf.ravel() for leaf in leaves]).astype(np.float64)
    try:
        result = scipy.optimize.minimize(
            objective,
            flat,
            jac=True,
            method="L-BFGS-B",
            callback=progress,
            options={"maxiter": settings.max_iter, "maxfun": settings.max_fun, "gtol": settings.hyper.tol},
        )
    except KeyboardInterrupt:
        return Trained(latest, None, curve, None, min(curve, default=np.inf), 0, "interrupted")
    curve = curve or [float(result.fun)]
    status = "stopped" if stopped else {0: "converged", 1: "max_iter"}.get(result.status, "line search failed")
    if not np.isfinite(result.x).all():
        status = "not finite"
    return Trained(unpack(result.x), None, curve, None, float(result.fun), 0, status)


def fine_tune(
    network: Network,
    gates: Any,
    data: Data,
    validation: Data | None,
    n_rows: int,
    training: TrainSettings,
    n_epochs: int,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Layers:
    """Train the layers on, with a fresh optimizer and a learning rate that falls to 0 along a cosine.

    The same program as training. Dropout and decoupled weight decay are off: they are for a network that has units to
    spare.
    """
    solver = training.solver if isinstance(training.solver, str) and training.solver != "lbfgs" else "adam"
    planner = Planner(
        rng,
        n_rows,
        data.X.shape[0],
        training.batch_size,
        schedule=np.zeros_like,
        regular=np.zeros_like,
        shuffle=training.shuffle,
        balanced=training.balanced_batches,
    )
    if training.learning_rate == "coslog4":  # its first rate is 0, and its peaks are not for staying at
        initial = FINE_TUNE_SHARE * training.learning_rate_init
    else:
        initial = float(schedule(training, n_rows, planner.steps_per_epoch)(np.zeros(1, int))[0])
    n_steps = n_epochs * planner.steps_per_epoch
    planner.schedule = lambda steps: initial * SCHEDULES["cosine"](steps / n_steps)
    state = init_state(tuple(network), solver)
    hyper = training.hyper._replace(adaptive=0.0, patience_on=0.0, dropout=0.0)
    rates = leaf_rates(network, training.parametrization, solver, frozen_inputs=True)
    program = _training_program(training, solver, data, validation)
    make_room(program)
    done = 0
    while done < n_epochs:
        plan = planner.next(1 if reporter.every_epoch else n_epochs - done)
        with first_call(program):
            state, losses, _, n_run = run_chunk(
                state,
                gates=gates,
                data=data,
                validation=validation,
                plan=plan,
                hyper=_floats(hyper, training.dtype),
                rates=rates,
                network=training.network,
                solver=solver,
                width=planner.width,
                has_validation=validation is not None,
            )
        done += int(plan.n_epochs)
        stop = False
        for loss in np.asarray(losses)[: int(n_run)]:
            stop |= reporter.fine_tune_epoch(float(loss), functools.partial(_layers_of, state))
        if stop or int(state.stop):
            break
    return to_numpy((state.params if validation is None else state.best_params)[1])


def _layers_of(state: TrainState) -> Layers:
    return to_numpy(state.params[1])


def _ones(settings: TrainSettings) -> tuple[np.ndarray, ...]:
    return tuple(np.ones(size, settings.dtype) for size in settings.network.mlp.groups.sizes)


def _floats(hyper: Hyper, dtype: str) -> Hyper:
    """Every hyper-parameter as an array of one dtype: an ``int`` where a ``float`` was would compile anew."""
    return Hyper(*(np.asarray(value, dtype) for value in hyper))  # type: ignore[arg-type]
