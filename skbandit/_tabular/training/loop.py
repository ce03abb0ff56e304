r"""The loop over epochs: mini-batch optimisation with optax, a chunk of epochs per XLA call.

The loss of a batch :math:`B` is scikit-learn's,
:math:`\frac{1}{s}\sum_{i \in B} w_i \ell_i + \frac{\alpha}{2 s} \sum_l \lVert W_l \rVert^2`, :math:`s = \sum_B w_i`
(with a decoupled solver, ``adamw``, ``alpha`` is its weight decay instead). An integer weight equals a repeated row.
For several outputs :math:`\ell` is their mean, and so is the gradient; scikit-learn's gradient is that of their sum.
With label smoothing :math:`\varepsilon`, :math:`\ell_i` is :math:`1 - \varepsilon` times the loss of the label plus
:math:`\varepsilon` times the mean loss over all labels.

What is trained is a pair: the parameters of the inputs (`skbandit._tabular.features.embeddings`) and the layers.

Everything that a user may search over is traced: hyper-parameters, learning rates (a table with one entry per step, and
a factor for each array), the number of rows, of epochs, gates. Static are the network, the solver's name, the batch
width, the padded shapes, and whether there are validation rows.
"""

from __future__ import annotations

import dataclasses
import functools
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from skbandit._core.programs import compiled
from skbandit._core.random import bits_of_rows, key_of
from skbandit._core.rows import Data, in_blocks
from skbandit._core.scope import spread
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import Vectors
from skbandit._tabular.network.trainable import Dropout, Params, Trainable
from skbandit._tabular.training.plan import Plan
from skbandit._tabular.training.rates import Rates
from skbandit._tabular.training.solvers import (
    DECOUPLED,
    Hyper,
    OneVector,
    Parts,
    SameTree,
    Solver,
    init_opt_state,
    make_solver,
    parameter_form,
)

#: What is computed of held-out rows takes so many bytes at most: they go through the network in blocks. Activations of
#: all of them would be many times as large as the rows.
MOST_BYTES = 2**24
#: A step shrinks a weight by no more than this share.
_MOST_DECAY = 0.5

#: On the host before the first chunk, on the device after it.
Array: TypeAlias = jax.Array | np.ndarray


class Stop(IntEnum):
    """Why training stopped, as the device says it."""

    RUNNING = 0
    CONVERGED = 1
    NOT_FINITE = 2


class TrainState(NamedTuple):
    """What one chunk hands to the next."""

    params: Any
    """A tree, `Params`; within a chunk, in the form that the solver sees (`parameter_form`)."""
    opt_state: Any
    best_params: Any
    """The parameters of the best epoch on the validation rows, or of the last; without such rows, of the start."""
    best: Array
    """f[]: smallest monitored value so far, which is the training loss, the validation loss or minus the validation
    score."""
    stale: Array
    """i32[]: epochs in a row without an improvement by ``tol``."""
    lr_scale: Array
    """f[]: what has become of the learning rate where it adapts."""
    stop: Array
    """i32[]: a `Stop`."""


def init_state(params: Params, solver: Solver, opt_leaves: list[np.ndarray] | None = None) -> TrainState:
    """Return the state before the first epoch.

    Parameters
    ----------
    params : tuple (inputs, layers)
        Arrays on the host.
    solver : str or optax.GradientTransformation
    opt_leaves : list of arrays, optional
        The arrays of an optimizer's state to go on from, as `TrainState.opt_state` has them.
    """
    dtype, zero = params[1][0][0].dtype, np.array(0, np.int32)
    opt_state = init_opt_state(params, solver, opt_leaves)
    return TrainState(params, opt_state, params, np.array(np.inf, dtype), zero, np.array(1, dtype), zero)


@compiled(static_argnames=("network", "solver", "width"))
def run_chunk(
    state: TrainState,
    *,
    gates: Vectors,
    data: Data,
    validation: Data | None,
    plan: Plan,
    hyper: Hyper,
    rates: Rates,
    network: Trainable,
    solver: Solver,
    width: int,
) -> tuple[TrainState, jax.Array, jax.Array, jax.Array]:
    """Run up to ``plan.n_epochs`` epochs.

    Parameters
    ----------
    state : TrainState
    gates : tuple of f[n_l]
        Of each hidden layer.
    data : Data
        Training rows, padded.
    validation : Data or None
        Held-out rows, padded: they decide which epoch is the best, and when training ends.
    plan : Plan
        For E epochs.
    hyper : Hyper
        Arrays in the dtype of the network.
    rates : Rates
        For each array of the parameters.
    network : Trainable
    solver : str or optax.GradientTransformation
    width : int
        Rows of a batch, those of its padding too.

    Returns
    -------
    state : TrainState
    losses, scores : f[E]
        Training loss and validation score of each epoch that was run.
    n_run : i32
        Number of epochs that were run; training may stop before ``plan.n_epochs``.
    """
    tx = make_solver(solver, hyper)
    form = parameter_form(solver, state.params, data.X.shape[0])
    rates = Rates(*map(form.spread, rates))
    chunk = _Chunk(gates, data, validation, plan, hyper, rates, network, solver, width, tx, form)
    blank = jnp.zeros(plan.order.shape[0], chunk.dtype)
    given = state.opt_state
    state = state._replace(
        params=form.pack(state.params), best_params=form.pack(state.best_params), opt_state=form.opened(given)
    )
    start = state, jnp.zeros((), jnp.int32), blank, blank
    state, n_run, losses, scores = lax.while_loop(chunk.goes_on, chunk.epoch, start)
    state = state._replace(
        params=form.unpack(state.params),
        best_params=form.unpack(state.best_params),
        opt_state=form.closed(state.opt_state, given),
    )
    return state, losses, scores, n_run


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """What the epochs of a chunk share, while `run_chunk` is traced."""

    gates: Vectors
    data: Data
    validation: Data | None
    plan: Plan
    hyper: Hyper
    rates: Rates
    """In the form of the parameters."""
    network: Trainable
    solver: Solver
    width: int
    tx: optax.GradientTransformation
    form: OneVector | Parts | SameTree

    @property
    def dtype(self) -> Any:
        """Of the network."""
        return self.data.X.dtype

    def goes_on(self, carry: tuple[TrainState, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        """Return whether there is another epoch to run."""
        state, e, *_ = carry
        return (e < self.plan.n_epochs) & (state.stop == Stop.RUNNING)

    def epoch(
        self, carry: tuple[TrainState, jax.Array, jax.Array, jax.Array]
    ) -> tuple[TrainState, jax.Array, jax.Array, jax.Array]:
        """Run epoch ``e`` of the chunk: from (state, e, losses, scores) to the same after it."""
        state, e, losses, scores = carry
        params, opt_state, summed = lax.fori_loop(
            0,
            self.plan.n_batches,
            lambda b, c: self.step(b, c, e, state.lr_scale),
            (state.params, state.opt_state, jnp.zeros((), self.dtype)),
        )
        loss = summed / jnp.sum(self.data.weight)
        monitored, valid_score = loss, jnp.zeros((), self.dtype)
        if self.validation is not None:
            monitored, valid_score = self.judge(params, self.validation)
        state = self.after_epoch(state, params, opt_state, loss, monitored, e)
        return state, e + 1, losses.at[e].set(loss), scores.at[e].set(valid_score)

    def step(
        self, b: jax.Array, carry: tuple[Any, Any, jax.Array], epoch: jax.Array, lr_scale: Array
    ) -> tuple[Any, Any, jax.Array]:
        """Learn from batch ``b``: from (params, opt_state, summed loss) to the same after it."""
        params, opt_state, summed = carry
        plan, data = self.plan, self.data
        first, end = plan.edges[b], plan.edges[b + 1]
        rows = lax.dynamic_slice(plan.order, (epoch, first), (1, self.width))[0]
        weight = jnp.where(first + jnp.arange(self.width) < end, data.weight[rows], 0)
        X, y, weight, row_id = spread(data.X[rows], data.y[rows], weight, data.row_id[rows])
        total = jnp.sum(weight)
        some = total > 0
        drop = self.dropout_of(epoch, b, row_id)
        loss, grads = jax.value_and_grad(self.loss)(
            self.form.unpack(params), X, y, weight, jnp.where(some, total, 1), drop
        )
        new = self.update(params, opt_state, grads, epoch, b, lr_scale)
        # A batch whose rows all have weight 0 teaches nothing and must not move the momentum either.
        params, opt_state = jax.tree.map(lambda new, old: jnp.where(some, new, old), new, (params, opt_state))
        return params, opt_state, summed + jnp.where(some, total * loss, 0)

    def loss(
        self, params: Params, X: jax.Array, y: jax.Array, weight: jax.Array, total: jax.Array, dropout: Dropout | None
    ) -> jax.Array:
        """Return the loss of a batch, whose weights sum to ``total``."""
        z = self.network.apply(params, X, self.gates, dropout)
        rows = _smoothed_losses(self.network.mlp.loss, z, y, self.hyper.label_smoothing)
        loss = jnp.sum(weight * rows) / total
        if self.solver in DECOUPLED:
            return loss
        return loss + 0.5 * self.hyper.alpha * _squares(params) / total

    def dropout_of(self, epoch: jax.Array, b: jax.Array, row_id: jax.Array) -> Dropout | None:
        """Return the dropout of batch ``b``, which is drawn for each row by its id u32[width]."""
        if not self.network.dropout:
            return None
        key = jax.random.fold_in(key_of(self.plan.seed[epoch]), b)
        rate = self.hyper.dropout * self.plan.regular[epoch, b].astype(self.dtype)

        def drop(layer: int, a: jax.Array) -> jax.Array:
            bits = bits_of_rows(jax.random.fold_in(key, layer), row_id, a.shape[1])
            return jnp.where(bits >= (rate * 2.0**32).astype(jnp.uint32), a / (1 - rate), 0)

        return drop

    def update(
        self, params: Any, opt_state: Any, grads: Params, epoch: jax.Array, b: jax.Array, lr_scale: Array
    ) -> tuple[Any, Any]:
        """Return the parameters and the optimizer's state after a step along the gradients."""
        updates, opt_state = self.tx.update(self.form.pack(grads), opt_state, params)
        if not isinstance(self.solver, str):  # it brings its own learning rate, but what has rate 0 is not trained
            updates = jax.tree.map(lambda u, factor: jnp.where(factor > 0, u, 0), updates, self.rates.rate)
            return optax.apply_updates(params, updates), opt_state
        rate = (self.plan.lr[epoch, b] * lr_scale).astype(self.dtype)
        updates = jax.tree.map(lambda u, factor: -(rate * factor) * u, updates, self.rates.rate)
        new_params = optax.apply_updates(params, updates)
        if self.solver in DECOUPLED:
            decay = rate * self.hyper.alpha * self.plan.regular[epoch, b].astype(self.dtype)
            new_params = jax.tree.map(
                lambda new, old, factor: new - jnp.minimum(decay * factor, _MOST_DECAY) * old,
                new_params,
                params,
                self.rates.decay,
            )
        return new_params, opt_state

    def judge(self, params: Any, validation: Data) -> tuple[jax.Array, jax.Array]:
        """Return what is monitored on the validation rows (the smaller the better), and their score."""
        loss, params = LOSSES[self.network.mlp.loss], self.form.unpack(params)

        def of_rows(X: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
            z = self.network.apply(params, X, self.gates)
            # Of smoothed labels, as in training: the loss of the labels themselves falls for confidence alone.
            return loss.answers(jnp, z, y), _smoothed_losses(self.network.mlp.loss, z, y, self.hyper.label_smoothing)

        n_values = self.network.n_values * self.dtype.itemsize
        answers, rows = in_blocks(of_rows, (validation.X, validation.y), MOST_BYTES // n_values)
        valid_score = loss.score_of(jnp, answers, validation.y, validation.weight).astype(self.dtype)
        valid_loss = jnp.sum(validation.weight * rows) / jnp.sum(validation.weight)
        return jnp.where(self.hyper.monitor_loss > 0, valid_loss, -valid_score), valid_score

    def after_epoch(
        self,
        state: TrainState,
        params: Any,
        opt_state: Any,
        loss: jax.Array,
        monitored: jax.Array,
        e: jax.Array,
    ) -> TrainState:
        """Return the state after an epoch: whether it is the best so far, and whether training stops.

        Parameters
        ----------
        state : TrainState
            Before the epoch.
        params, opt_state
            After it.
        loss, monitored : f[]
            The training loss, and what decides.
        e : i32[]
            Number of the epoch in the chunk.
        """
        hyper = self.hyper
        # Of epochs that score the same, the last: its weights have had more steps at a falling learning rate.
        improved = monitored <= state.best
        stale = jnp.where(monitored > state.best - hyper.tol, state.stale + 1, 0)
        best_params = state.best_params
        if self.validation is not None:
            kept = improved | (hyper.keep_last > 0)
            best_params = jax.tree.map(lambda new, old: jnp.where(kept, new, old), params, best_params)
        tired = (hyper.patience_on > 0) & (stale > hyper.n_iter_no_change)
        lower_rate = tired & (hyper.adaptive > 0) & (self.plan.lr[e, 0] * state.lr_scale > 1e-6)
        lr_scale = jnp.where(lower_rate, state.lr_scale / 5, state.lr_scale)
        stop = jnp.where(tired & ~lower_rate, Stop.CONVERGED, Stop.RUNNING)
        stop = jnp.where(jnp.isfinite(loss) & jnp.isfinite(monitored), stop, Stop.NOT_FINITE).astype(jnp.int32)
        return TrainState(
            params,
            opt_state,
            best_params,
            jnp.where(improved, monitored, state.best),
            jnp.where(lower_rate, 0, stale).astype(jnp.int32),
            lr_scale,
            stop,
        )


@compiled(static_argnames=("network",))
def full_loss(
    params: Params, data: Data, alpha: float, label_smoothing: float, *, network: Trainable
) -> tuple[jax.Array, Params]:
    """Return the loss over all rows, and its gradient, for a full-batch solver.

    Parameters
    ----------
    params : tuple (inputs, layers)
    data : Data
        Training rows, padded.
    alpha : float
        Weight of the L2 penalty.
    label_smoothing : float
    network : Trainable

    Returns
    -------
    loss : f[]
    gradient : tuple (inputs, layers)
    """

    def loss_fn(params: Params) -> jax.Array:
        total = jnp.sum(data.weight)
        gates = tuple(jnp.ones(size, data.X.dtype) for size in network.mlp.groups.sizes)
        z = network.apply(params, data.X, gates)
        rows = _smoothed_losses(network.mlp.loss, z, data.y, label_smoothing)
        penalty = 0.5 * alpha * _squares(params)
        return (jnp.sum(data.weight * rows) + penalty) / total

    return jax.value_and_grad(loss_fn)(params)


def _smoothed_losses(loss: str, z: jax.Array, y: jax.Array, label_smoothing: Any) -> jax.Array:
    """Return the losses of rows f[n], with a share of the mean over all labels where there are labels."""
    rows: jax.Array = LOSSES[loss].rows(jnp, z, y)
    uniform = LOSSES[loss].uniform
    return rows if uniform is None else rows + label_smoothing * (uniform(jnp, z) - rows)


def _squares(params: Params) -> jax.Array:
    """Return the summed squares of the layers' weights: what an L2 penalty is on."""
    return functools.reduce(jnp.add, [jnp.sum(jnp.square(W)) for W, *_ in params[1]])
