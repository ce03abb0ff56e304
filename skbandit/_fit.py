"""From arrays to a compact network: train, prune, fine-tune. Knows no scikit-learn; NumPy in, NumPy out.

Which rows are used for what:

* *training rows*: gradients;
* *held-out rows*, where there are any: early stopping, the choice between a repaired and a fine-tuned network, and the
  decision how far ``pruning_ratio="auto"`` goes;
* *calibration rows*, training rows (at most `CALIBRATION_ROWS` of them): damages, mean activations, least squares.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import scipy.optimize

from skbandit.calibration import Calibration
from skbandit.compensation import fold_emissions
from skbandit.criteria.base import Criterion
from skbandit.data import Batches, Data
from skbandit.inference import raw_output
from skbandit.losses import weighted_mean
from skbandit.network import MLP
from skbandit.pruning import JITTED, Pruner, PruneResult, PruningRound
from skbandit.runtime import single_threaded_blas
from skbandit.training import Hyper, Planner, Solver, TrainState, full_loss, init_state, run_chunk

Params = tuple[tuple[np.ndarray, np.ndarray], ...]

#: Rows that pruning measures on at most: at 256 rows a mini-batch, 64 distinct ones.
CALIBRATION_ROWS = 2**14
#: Rows of a mini-batch of a pull.
PULL_ROWS = 256
#: Compiled programs that are kept.
MOST_PROGRAMS = 128

_programs: set[Hashable] = set()


class Rows(NamedTuple):
    """A data set on the host."""

    X: np.ndarray
    """f[n, n_features], any float dtype, dense."""
    y: np.ndarray
    """f[n, n_targets], encoded as the loss wants it."""
    weight: np.ndarray
    """f[n]"""


class Reporter(Protocol):
    """Hears what happens; ``params`` arguments are thunks, so that weights leave the device only when asked for."""

    @property
    def every_epoch(self) -> bool:
        """Report each epoch as it ends; otherwise epochs are reported a chunk at a time."""

    def begin(self, phase: str, n_tasks: int | None) -> None:
        """A phase ("train", "prune") starts."""

    def epoch(self, n_iter: int, loss: float, score: float | None, params: Callable[[], Params]) -> bool:
        """An epoch of training ended; True stops training."""

    def begin_fine_tuning(self, round_: int, n_epochs: int) -> None:
        """The fine-tuning of a round starts."""

    def fine_tune_epoch(self, loss: float, params: Callable[[], Params]) -> bool:
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

    network: MLP
    solver: Solver
    hyper: Hyper
    learning_rate: str | Callable[[Any], Any]
    learning_rate_init: float
    power_t: float
    batch_size: int
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


class Trained(NamedTuple):
    """The dense network."""

    params: Params
    opt_leaves: list[np.ndarray] | None
    loss_curve: list[float]
    validation_scores: list[float] | None
    best_loss: float
    best_score: float | None
    n_steps: int
    status: str
    """"converged", "max_iter", "stopped", "interrupted", "line search failed" or "not finite"."""


def make_room(program: Hashable) -> None:
    """Forget all compiled programs when a new one would be one too many.

    Each holds some hundred memory maps, and Linux gives a process 65 530: a search over some hundred network shapes
    would end in a segmentation fault.
    """
    if program not in _programs and len(_programs) >= MOST_PROGRAMS:
        for function in (run_chunk, full_loss, *JITTED):
            function.clear_cache()  # type: ignore[attr-defined]
        _programs.clear()
    _programs.add(program)


def to_numpy(tree: Any) -> Any:
    """Copy a pytree of device arrays to the host."""
    return jax.tree.map(np.asarray, tree)


def _params_of(state: TrainState) -> Params:
    return to_numpy(state.params)


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
        if name == "cosine":
            return 0.5 * initial * (1 + np.cos(np.pi * np.minimum(steps / (settings.horizon * steps_per_epoch), 1)))
        return np.full(steps.shape, initial)

    return of_step


def train(
    start: Params,
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
        data = Data.pad(rows.X, rows.y, rows.weight, settings.dtype)
    make_room((settings.network, settings.solver, settings.batch_size, data.X.shape, settings.early_stopping))
    if settings.solver == "lbfgs":
        return _train_lbfgs(start, data, settings, reporter)
    validation = None
    if settings.early_stopping:
        assert held_out is not None
        validation = Data.pad(held_out.X, held_out.y, held_out.weight, settings.dtype)
    planner = Planner(
        rng=np.random.default_rng(seed),
        n_rows=rows.X.shape[0],
        size=data.X.shape[0],
        batch_size=settings.batch_size,
        schedule=np.zeros_like,
        shuffle=settings.shuffle,
        n_steps=n_steps,
    )
    planner.schedule = schedule(settings, planner.n_rows, planner.steps_per_epoch)
    state = init_state(start, settings.solver, opt_leaves)
    run = functools.partial(
        run_chunk,
        gates=_ones(settings),
        data=data,
        validation=validation,
        hyper=_floats(settings.hyper, settings.dtype),
        network=settings.network,
        solver=settings.solver,
        width=planner.width,
        has_validation=settings.early_stopping,
    )
    losses: list[float] = []
    scores: list[float] = []
    status = "max_iter"
    try:
        while len(losses) < settings.max_iter and status == "max_iter":
            plan = planner.next(1 if reporter.every_epoch else settings.max_iter - len(losses))
            state, chunk_losses, chunk_scores, n_run = run(state, plan=plan)
            stop = int(state.stop)
            for loss, score in zip(np.asarray(chunk_losses)[: int(n_run)], np.asarray(chunk_scores), strict=False):
                losses.append(float(loss))
                scores.append(float(score))
                if reporter.epoch(
                    len(losses),
                    float(loss),
                    float(score) if validation is not None else None,
                    functools.partial(_params_of, state),
                ):
                    status = "stopped"
            if stop:
                status = "converged" if stop == 1 else "not finite"
    except KeyboardInterrupt:
        status = "interrupted"
    params, best = to_numpy((state.best_params if validation is not None and losses else state.params, state.best))
    return Trained(
        params,
        [np.asarray(leaf) for leaf in jax.tree.leaves(state.opt_state)],
        losses,
        scores if validation is not None else None,
        float(best) if validation is None else min(losses, default=np.inf),
        -float(best) if validation is not None else None,
        n_steps + len(losses) * planner.steps_per_epoch,  # the planner also counted epochs after a stop
        status,
    )


def _train_lbfgs(start: Params, data: Data, settings: TrainSettings, reporter: Reporter) -> Trained:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, as scikit-learn's MLP does for this solver."""
    leaves, treedef = jax.tree.flatten(start)
    edges = np.cumsum([0, *(leaf.size for leaf in leaves)])

    def unpack(flat: np.ndarray) -> Params:
        parts = [
            flat[i:j].reshape(leaf.shape).astype(settings.dtype)
            for i, j, leaf in zip(edges[:-1], edges[1:], leaves, strict=True)
        ]
        return jax.tree.unflatten(treedef, parts)

    curve: list[float] = []

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grads = full_loss(unpack(flat), data, settings.hyper.alpha, network=settings.network)
        return float(loss), np.concatenate([np.ravel(g) for g in jax.tree.leaves(grads)]).astype(np.float64)

    latest, stopped = start, False

    def progress(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal latest, stopped
        latest = unpack(intermediate_result.x)
        curve.append(float(intermediate_result.fun))
        stopped = reporter.epoch(len(curve), curve[-1], None, lambda: latest)
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
        return Trained(latest, None, curve, None, min(curve, default=np.inf), None, 0, "interrupted")
    curve = curve or [float(result.fun)]
    status = "stopped" if stopped else {0: "converged", 1: "max_iter"}.get(result.status, "line search failed")
    if not np.isfinite(result.x).all():
        status = "not finite"
    return Trained(unpack(result.x), None, curve, None, float(result.fun), None, 0, status)


def prune(
    params: Params,
    rows: Rows,
    held_out: Rows | None,
    training: TrainSettings,
    settings: PruneSettings,
    seed: int,
    *,
    reporter: Reporter,
    data: Data | None = None,
) -> PruneResult:
    """Prune a trained network; ``data`` is ``rows`` on the device, if they are there already."""
    network, groups = training.network, training.network.groups
    rng = np.random.default_rng(seed)
    if data is None and settings.fine_tune_iter > 0:
        data = Data.pad(rows.X, rows.y, rows.weight, training.dtype)
    calibration = rows
    if rows.X.shape[0] > CALIBRATION_ROWS:
        chosen = np.sort(rng.choice(rows.X.shape[0], CALIBRATION_ROWS, replace=False))
        calibration = Rows(rows.X[chosen], rows.y[chosen], rows.weight[chosen])
    # Converted once: repair and measurement run in NumPy, in the network's precision.
    calibration = Rows(*(np.asarray(a, training.dtype) for a in calibration))
    batches = Batches.partition(rng, *calibration, training.dtype, PULL_ROWS)
    measured = Calibration(*calibration, network)
    validation = None
    if held_out is not None:
        held_out = Rows(*(np.asarray(a, training.dtype) for a in held_out))
        if training.early_stopping:
            validation = Data.pad(*held_out, training.dtype)

    def held_out_loss(params: Params, gates: Any) -> float:
        assert held_out is not None
        coefs = [W for W, _ in params]
        # A gate of 0 is a row of zeros in the next layer's weights.
        coefs[1:] = [W * gate[:, None] for W, gate in zip(coefs[1:], gates, strict=True)]
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an answer, too
            z = raw_output(held_out.X, coefs, [b for _, b in params], network.activation)
            return weighted_mean(network.loss, z, held_out.y, held_out.weight)

    def repair(params: Params, active: np.ndarray, removed: np.ndarray, emissions: Any) -> Params:
        if settings.compensate:
            return measured.repair(params, active, removed, emissions)
        return fold_emissions(params, groups, removed, emissions)

    def fine_tune(params: Params, gates: Any, round_: int) -> Params:
        assert data is not None
        reporter.begin_fine_tuning(round_, settings.fine_tune_iter)
        tuned = _fine_tune(
            params, gates, data, validation, rows.X.shape[0], training, settings.fine_tune_iter, rng, reporter
        )
        reporter.end_fine_tuning()
        return tuned

    pruner = Pruner(
        network=network,
        batches=batches,
        criterion=settings.criterion,
        budget=settings.budget,
        scope=settings.scope,
        n_rounds=settings.n_rounds,
        tolerance=settings.tolerance,
        seed=int(rng.integers(2**31)),
        emissions=measured.mean_activations if settings.ablation == "mean" else None,
        repair=repair,
        fine_tune=fine_tune if settings.fine_tune_iter > 0 else None,
        measure=measured.loss,
        guard=held_out_loss if held_out is not None else measured.loss,
        on_round=reporter.round,
    )
    make_room((network, jax.tree.structure(settings.criterion), batches.X.shape))
    reporter.begin("prune", settings.n_rounds if settings.pruning_ratio != "auto" else None)
    # The result must not depend on how many threads the caller's process has (joblib's workers have fewer), and for
    # matrices of this size threads of BLAS beside those of XLA only get in each other's way.
    with single_threaded_blas():
        result = pruner.run(params, settings.pruning_ratio)
    reporter.end("prune")
    return result


def _fine_tune(
    params: Params,
    gates: Any,
    data: Data,
    validation: Data | None,
    n_rows: int,
    training: TrainSettings,
    n_epochs: int,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Params:
    """Train on with a fresh optimizer and a learning rate that falls to 0 along a cosine; same program as training."""
    solver = training.solver if isinstance(training.solver, str) and training.solver != "lbfgs" else "adam"
    planner = Planner(rng, n_rows, data.X.shape[0], training.batch_size, np.zeros_like, training.shuffle)
    initial = float(schedule(training, n_rows, planner.steps_per_epoch)(np.zeros(1, int))[0])
    n_steps = n_epochs * planner.steps_per_epoch
    planner.schedule = lambda steps: 0.5 * initial * (1 + np.cos(np.pi * steps / n_steps))
    state = init_state(params, solver)
    hyper = _floats(training.hyper._replace(adaptive=0.0, patience_on=0.0), training.dtype)
    done = 0
    while done < n_epochs:
        plan = planner.next(1 if reporter.every_epoch else n_epochs - done)
        state, losses, _, n_run = run_chunk(
            state,
            gates=gates,
            data=data,
            validation=validation,
            plan=plan,
            hyper=hyper,
            network=training.network,
            solver=solver,
            width=planner.width,
            has_validation=validation is not None,
        )
        done += int(plan.n_epochs)
        stop = False
        for loss in np.asarray(losses)[: int(n_run)]:
            stop |= reporter.fine_tune_epoch(float(loss), functools.partial(_params_of, state))
        if stop or int(state.stop):
            break
    return to_numpy(state.params if validation is None else state.best_params)


def _ones(settings: TrainSettings) -> tuple[np.ndarray, ...]:
    return tuple(np.ones(size, settings.dtype) for size in settings.network.groups.sizes)


def _floats(hyper: Hyper, dtype: str) -> Hyper:
    """Every hyper-parameter as an array of one dtype: an ``int`` where a ``float`` was would compile anew."""
    return Hyper(*(np.asarray(value, dtype) for value in hyper))  # type: ignore[arg-type]
