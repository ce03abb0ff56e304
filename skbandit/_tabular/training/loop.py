r"""Training: mini-batch optimisation with optax, a chunk of epochs per XLA call.

The loss of a batch :math:`B` is scikit-learn's,
:math:`\frac{1}{s}\sum_{i \in B} w_i \ell_i + \frac{\alpha}{2 s} \sum_l \lVert W_l \rVert^2`, :math:`s = \sum_B w_i`
(with a decoupled solver, ``adamw``, ``alpha`` is its weight decay instead). An integer weight equals a repeated row.
For several outputs :math:`\ell` is their mean, and so is the gradient; scikit-learn's gradient is that of their sum.
With label smoothing :math:`\varepsilon`, :math:`\ell_i` is :math:`1 - \varepsilon` times the loss of the label plus
:math:`\varepsilon` times the mean loss over all labels.

What is trained is a pair: the parameters of the inputs (`skbandit._tabular.features.embeddings`) and the layers.

Everything that a user may search over is traced: hyper-parameters, learning rates (a table, one entry per step, and a
factor for each array), number of rows, of epochs, gates. Static are the network, the solver's name, the batch width and
the padded shapes.
Between gradients, a solver that goes by name sees all parameters as one vector: its kernels are compiled once, not once
for each array, which saves a quarter of the program's compilation with three hidden layers; a step takes as long.
Row orders come from a host-side generator: no sort is compiled, and they do not depend on the padding.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from skbandit._core.programs import compiled
from skbandit._core.random import COUNTER_HASH, bits_of_rows
from skbandit._core.rows import Data, bucket
from skbandit._core.scope import spread
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP, Vectors
from skbandit._tabular.training.rates import Rates

Params = tuple[Any, Any]

#: Entries of the row order that one call takes (4 MB of int32), and epochs at most: a chunk stays interruptible.
_CHUNK_ROWS = 2**20
_CHUNK_EPOCHS = 32


class Hyper(NamedTuple):
    """Traced hyper-parameters."""

    alpha: float = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    tol: float = 1e-4
    n_iter_no_change: float = 10.0
    adaptive: float = 0.0
    """1: divide the learning rate by 5 where training would stop (scikit-learn's ``"adaptive"``)."""
    patience_on: float = 1.0
    """0: never stop before the last epoch."""
    dropout: float = 0.0
    """Share of the hidden activations that a step leaves out."""
    label_smoothing: float = 0.0
    monitor_loss: float = 0.0
    """1: the best epoch is that of the smallest held-out loss, not of the highest score."""


@dataclasses.dataclass(frozen=True)
class Trainable:
    """What is static about a network in training. Hashable."""

    mlp: MLP
    inputs: Inputs
    dropout: bool = False
    """Whether there is code for dropout in the program."""

    def apply(self, params: Params, X: jax.Array, gates: Vectors, dropout: Any = None) -> jax.Array:
        """Return the output layer's pre-activation f[n, n_outputs]."""
        inputs, layers = params
        features = self.inputs.features(jnp, inputs, X)
        if "scale" in inputs:
            features = features * inputs["scale"]
        return self.mlp.apply(layers, features, gates, dropout=dropout)


def _sgd(h: Hyper) -> optax.GradientTransformation:
    return optax.trace(decay=h.momentum, nesterov=False)


def _sgd_nesterov(h: Hyper) -> optax.GradientTransformation:
    return optax.trace(decay=h.momentum, nesterov=True)


#: Directions by name, before the learning rate; the hyper-parameters are traced.
SOLVERS: dict[str, Callable[[Hyper], optax.GradientTransformation]] = {
    "adam": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon),
    "adamw": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon),
    "nadam": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon, nesterov=True),
    "lion": lambda h: optax.scale_by_lion(b1=h.beta_1, b2=h.beta_2),
    "rmsprop": lambda h: optax.scale_by_rms(decay=h.beta_2, eps=h.epsilon),
    "sgd": _sgd,
    "sgd_nesterov": _sgd_nesterov,
}
#: Those that shrink the weights by themselves: here, by ``alpha`` times the learning rate at each step.
DECOUPLED = ("adamw",)
#: A step shrinks a weight by no more than this share.
_MOST_DECAY = 0.5

Solver: TypeAlias = str | optax.GradientTransformation


class TrainState(NamedTuple):
    """What one chunk hands to the next; all of it lives on the device."""

    params: Any
    """A tree, `Params`; within a chunk, for solvers that go by name, one vector."""
    opt_state: Any
    best_params: Any
    """... of the best epoch on the validation rows; without such rows, those of the start."""
    best: jax.Array
    """Smallest monitored value so far: training loss, or minus the validation score."""
    stale: jax.Array
    """Epochs in a row without an improvement by ``tol``."""
    lr_scale: jax.Array
    stop: jax.Array
    """i32: 0 running, 1 converged, 2 not finite."""


class Plan(NamedTuple):
    """One chunk of epochs: data from the host."""

    order: np.ndarray
    """i32[E, N + width]: the order of the rows in each epoch."""
    lr: np.ndarray
    """f[E, B]: learning rate of each step."""
    regular: np.ndarray
    """f[E, B]: share of dropout and weight decay that is on at each step."""
    seed: np.ndarray
    """u32[E]: of each epoch's dropout."""
    edges: np.ndarray
    """i32[B + 1]: where in the order each batch begins, and the last one ends."""
    n_epochs: np.int32
    """Epochs to run, at most E."""


def make_solver(solver: Solver, hyper: Hyper) -> tuple[optax.GradientTransformation, bool]:
    """Return the transformation and whether it wants the learning rate applied."""
    if isinstance(solver, str):
        return SOLVERS[solver](hyper), True
    return solver, False


def init_state(params: Any, solver: Solver, opt_leaves: list[np.ndarray] | None = None) -> TrainState:
    """Return the state before the first epoch, made on the host.

    Parameters
    ----------
    opt_leaves : list of arrays, optional
        The leaves of an optimizer state to go on from, as `opt_state` has them.
    """
    leaves, tree = jax.tree.flatten(params)
    dtype = params[1][0][0].dtype
    if opt_leaves is None and not isinstance(solver, str):
        opt_state = solver.init(jax.tree.map(jnp.asarray, params))
    else:
        # Every named solver starts from zeros; made by NumPy, they cost no compilation.
        of_one_vector = isinstance(solver, str)
        shapes = [(sum(leaf.size for leaf in leaves),)] if of_one_vector else [leaf.shape for leaf in leaves]
        opt_state = _zero_opt_state(solver, None if of_one_vector else tree, tuple(shapes), dtype)
        if opt_leaves is not None:
            opt_state = jax.tree.unflatten(jax.tree.structure(opt_state), opt_leaves)
    zero = np.int32(0)
    return TrainState(params, opt_state, params, np.array(np.inf, dtype), zero, np.array(1, dtype), zero)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=64)
def _zero_opt_state(solver: Solver, tree: Any, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype) -> Any:
    """Zeros of an optimizer state's structure; tracing ``init`` for it takes as long as some epochs."""
    tx, _ = make_solver(solver, Hyper())
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    params = leaves[0] if tree is None else jax.tree.unflatten(tree, leaves)
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(tx.init, params))


class _Vector:
    """A tree of arrays of one dtype as one vector, and back."""

    def __init__(self, tree: Any):
        leaves, self.structure = jax.tree.flatten(tree)
        self.shapes = [leaf.shape for leaf in leaves]
        self.edges = np.cumsum([0, *(leaf.size for leaf in leaves)]).tolist()

    def pack(self, tree: Any) -> jax.Array:
        """Return the entries of all arrays, f[n]."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])

    def unpack(self, flat: jax.Array) -> Any:
        """Return the arrays."""
        parts = [
            flat[i:j].reshape(shape) for i, j, shape in zip(self.edges[:-1], self.edges[1:], self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, parts)

    def spread(self, numbers: Any) -> jax.Array:
        """Repeat a number for each array of the tree at each of its entries, f[n]."""
        sizes = np.diff(self.edges)
        return jnp.concatenate(
            [jnp.broadcast_to(x, n) for x, n in zip(jax.tree.leaves(numbers), sizes.tolist(), strict=True)]
        )


class _Tree:
    """The same seat for a transformation of the user's: it may treat one array differently from another."""

    def __init__(self, tree: Any):
        pass

    def pack(self, tree: Any) -> Any:
        """Leave the tree as it is."""
        return tree

    unpack = spread = pack


@compiled(static_argnames=("network", "solver", "width", "has_validation"))
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
    has_validation: bool,
) -> tuple[TrainState, jax.Array, jax.Array, jax.Array]:
    """Run up to ``plan.n_epochs`` epochs.

    Returns
    -------
    state : TrainState
    losses, scores : f[E]
        Training loss and validation score of each epoch that was run.
    n_run : i32
        Number of epochs that were run (training may converge before).
    """
    tx, wants_rate = make_solver(solver, hyper)
    decoupled = solver in DECOUPLED
    n_chunk = plan.order.shape[0]
    dtype = data.X.dtype
    n_batches = (data.n + width - 1) // width
    form = (_Vector if isinstance(solver, str) else _Tree)(state.params)
    rates = Rates(*map(form.spread, rates))

    loss_name = network.mlp.loss

    def loss_fn(params, X, y, weight, total, dropout):
        z = network.apply(params, X, gates, dropout)
        loss = jnp.sum(weight * _smoothed_losses(loss_name, z, y, hyper.label_smoothing)) / total
        if decoupled:
            return loss
        return loss + 0.5 * hyper.alpha * _squares(params) / total

    def dropout_of(epoch, b, row_id):
        if not network.dropout:
            return None
        key = jax.random.fold_in(jax.random.key(plan.seed[epoch], impl=COUNTER_HASH), b)
        rate = hyper.dropout * plan.regular[epoch, b].astype(dtype)

        def drop(layer, a):
            bits = bits_of_rows(jax.random.fold_in(key, layer), row_id, a.shape[1])
            return jnp.where(bits >= (rate * 2.0**32).astype(jnp.uint32), a / (1 - rate), 0)

        return drop

    def step(b, carry, epoch, lr_scale):
        params, opt_state, summed = carry
        first, end = plan.edges[b], plan.edges[b + 1]
        rows = lax.dynamic_slice(plan.order, (epoch, first), (1, width))[0]
        weight = jnp.where(first + jnp.arange(width) < end, data.weight[rows], 0)
        X, y, weight, row_id = spread(data.X[rows], data.y[rows], weight, data.row_id[rows])
        total = jnp.sum(weight)
        some = total > 0
        drop = dropout_of(epoch, b, row_id)
        loss, grads = jax.value_and_grad(loss_fn)(form.unpack(params), X, y, weight, jnp.where(some, total, 1), drop)
        updates, new_opt_state = tx.update(form.pack(grads), opt_state, params)
        if wants_rate:
            rate = (plan.lr[epoch, b] * lr_scale).astype(dtype)
            updates = jax.tree.map(lambda u, factor: -(rate * factor) * u, updates, rates.rate)
        else:  # what has rate 0 is not trained
            updates = jax.tree.map(lambda u, factor: jnp.where(factor > 0, u, 0), updates, rates.rate)
        new_params = optax.apply_updates(params, updates)
        if decoupled:
            decay = rate * hyper.alpha * plan.regular[epoch, b].astype(dtype)
            new_params = jax.tree.map(
                lambda new, old, factor: new - jnp.minimum(decay * factor, _MOST_DECAY) * old,
                new_params,
                params,
                rates.decay,
            )
        # A batch whose rows all have weight 0 teaches nothing and must not move the momentum either.
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(some, new, old), (new_params, new_opt_state), (params, opt_state)
        )
        return params, opt_state, summed + jnp.where(some, total * loss, 0)

    def epoch(carry):
        state, e, losses, scores = carry
        params, opt_state, summed = lax.fori_loop(
            0,
            n_batches,
            lambda b, c: step(b, c, e, state.lr_scale),
            (state.params, state.opt_state, jnp.zeros((), dtype)),
        )
        loss = summed / jnp.sum(data.weight)
        monitored, valid_score = loss, jnp.zeros((), dtype)
        if has_validation:
            assert validation is not None
            z = network.apply(form.unpack(params), validation.X, gates)
            valid_score = LOSSES[loss_name].score(jnp, z, validation.y, validation.weight).astype(dtype)
            rows = LOSSES[loss_name].rows(jnp, z, validation.y)
            valid_loss = jnp.sum(validation.weight * rows) / jnp.sum(validation.weight)
            monitored = jnp.where(hyper.monitor_loss > 0, valid_loss, -valid_score)
        # Of epochs that score the same, the last: its weights have had more steps at a falling learning rate.
        improved = monitored <= state.best
        stale = jnp.where(monitored > state.best - hyper.tol, state.stale + 1, 0)
        best_params = state.best_params
        if has_validation:
            best_params = jax.tree.map(lambda new, old: jnp.where(improved, new, old), params, best_params)
        tired = (hyper.patience_on > 0) & (stale > hyper.n_iter_no_change)
        lower_rate = tired & (hyper.adaptive > 0) & (plan.lr[e, 0] * state.lr_scale > 1e-6)
        lr_scale = jnp.where(lower_rate, state.lr_scale / 5, state.lr_scale)
        stop = jnp.where(tired & ~lower_rate, 1, 0)
        stop = jnp.where(jnp.isfinite(loss) & jnp.isfinite(monitored), stop, 2).astype(jnp.int32)
        state = TrainState(
            params,
            opt_state,
            best_params,
            jnp.where(improved, monitored, state.best),
            jnp.where(lower_rate, 0, stale).astype(jnp.int32),
            lr_scale,
            stop,
        )
        return state, e + 1, losses.at[e].set(loss), scores.at[e].set(valid_score)

    def going(carry):
        state, e, *_ = carry
        return (e < plan.n_epochs) & (state.stop == 0)

    blank = jnp.zeros(n_chunk, dtype)
    state = state._replace(params=form.pack(state.params), best_params=form.pack(state.best_params))
    state, n_run, losses, scores = lax.while_loop(going, epoch, (state, jnp.zeros((), jnp.int32), blank, blank))
    state = state._replace(params=form.unpack(state.params), best_params=form.unpack(state.best_params))
    return state, losses, scores, n_run


@dataclasses.dataclass
class Planner:
    """Draws the row orders and learning rates of successive chunks, on the host."""

    rng: np.random.Generator
    n_rows: int
    size: int
    """Padded number of rows."""
    batch_size: int
    schedule: Callable[[np.ndarray], np.ndarray]
    """Step numbers i[...] → learning rates f[...]."""
    regular: Callable[[np.ndarray], np.ndarray] = np.ones_like
    """... → share of dropout and weight decay f[...]."""
    shuffle: bool = True
    n_steps: int = 0
    dropout_seed: int = 0
    balanced: bool = False
    """Whether the batches of an epoch are of equal size, but for a row; otherwise the last has what is left."""

    @property
    def width(self) -> int:
        """Static width of a batch: its size; with fewer rows than that, their bucket, however they are padded."""
        return min(self.batch_size, bucket(self.n_rows))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-self.n_rows // self.width)

    @property
    def chunk(self) -> int:
        """Epochs per call at most."""
        return int(np.clip(_CHUNK_ROWS // (self.size + self.width), 1, _CHUNK_EPOCHS))

    def next(self, n_epochs: int) -> Plan:
        """Plan the next ``n_epochs`` epochs (at most ``chunk``)."""
        n_epochs = min(n_epochs, self.chunk)
        order = np.zeros((self.chunk, self.size + self.width), np.int32)
        rows = np.arange(self.n_rows, dtype=np.int32)
        for e in range(n_epochs):
            order[e, : self.n_rows] = self.rng.permutation(rows) if self.shuffle else rows
        lr, regular = np.zeros((2, self.chunk, -(-self.size // self.width)))
        steps = self.n_steps + np.arange(n_epochs * self.steps_per_epoch).reshape(n_epochs, -1)
        lr[:n_epochs, : self.steps_per_epoch] = self.schedule(steps)
        regular[:n_epochs, : self.steps_per_epoch] = self.regular(steps.astype(float))
        # Drawn from the step number, so that a run of chunks is the same as one chunk.
        seed = np.zeros(self.chunk, np.uint32)
        seed[:n_epochs] = [(self.dropout_seed + int(s)) % 2**32 for s in steps[:, 0]]
        self.n_steps += steps.size
        batch = np.arange(lr.shape[1] + 1)
        edges = batch * self.n_rows // self.steps_per_epoch if self.balanced else batch * self.width
        return Plan(order, lr, regular, seed, np.minimum(edges, self.n_rows).astype(np.int32), np.int32(n_epochs))


@compiled(static_argnames=("network",))
def full_loss(
    params: Params, data: Data, alpha: float, label_smoothing: float, *, network: Trainable
) -> tuple[jax.Array, Params]:
    """Loss over all rows and its gradient, for a full-batch solver."""

    def loss_fn(params):
        total = jnp.sum(data.weight)
        gates = tuple(jnp.ones(size, data.X.dtype) for size in network.mlp.groups.sizes)
        z = network.apply(params, data.X, gates)
        rows = _smoothed_losses(network.mlp.loss, z, data.y, label_smoothing)
        penalty = 0.5 * alpha * _squares(params)
        return (jnp.sum(data.weight * rows) + penalty) / total

    return jax.value_and_grad(loss_fn)(params)


def _smoothed_losses(loss: str, z: jax.Array, y: jax.Array, label_smoothing: Any) -> jax.Array:
    """Losses of rows f[n], with a share of the mean over all labels where there are labels."""
    rows, uniform = LOSSES[loss].rows(jnp, z, y), LOSSES[loss].uniform
    return rows if uniform is None else rows + label_smoothing * (uniform(jnp, z) - rows)


def _squares(params: Params) -> jax.Array:
    """Summed squares of the layers' weights: what an L2 penalty is on."""
    return functools.reduce(jnp.add, [jnp.sum(jnp.square(W)) for W, *_ in params[1]])
