"""An LSTM that tells subjective from objective sentences, in Haiku."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.deep import data
from benchmarks.deep.cache import trained
from benchmarks.deep.tasks import Task
from skbandit import networks

if TYPE_CHECKING:
    from skbandit import PruneResult

Params = Any

DATA, LENGTH, N_CLASSES = "subj", 40, 2
EMBEDDING, UNITS = 64, 128
BATCH, EPOCHS = 64, 4


class Reader(hk.Module):
    """An embedding, an LSTM over the words, the mean of what it says after each, a dense layer."""

    def __init__(self, n_tokens: int, embedding: int = EMBEDDING, units: int = UNITS, dropout: float = 0.5):
        super().__init__(name="reader")
        self.n_tokens, self.embedding, self.units, self.dropout = n_tokens, embedding, units, dropout

    def __call__(self, tokens: jax.Array, train: bool = False) -> jax.Array:
        """Return logits f[n, 2] of token numbers i32[n, length]."""
        mask = (tokens != data.PADDING)[..., None]
        x = hk.Embed(self.n_tokens, self.embedding)(tokens)
        if train:
            x = hk.dropout(hk.next_rng_key(), self.dropout, x)
        core = hk.LSTM(self.units)
        h, _ = hk.dynamic_unroll(core, x, core.initial_state(len(x)), time_major=False)
        h = (h * mask).sum(1) / mask.sum(1)
        if train:
            h = hk.dropout(hk.next_rng_key(), self.dropout, h)
        return hk.Linear(N_CLASSES)(h)


def forward(n_tokens: int, **sizes: int) -> hk.Transformed:
    """Return the functions ``init`` and ``apply`` of a reader."""
    return hk.transform(lambda tokens, train=False: Reader(n_tokens, **sizes)(tokens, train))


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each sentence."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def optimizer(n_steps: int, rate: float = 1e-2) -> optax.GradientTransformation:
    """AdamW with clipped gradients, at a rate that falls to zero."""
    schedule = optax.cosine_decay_schedule(rate, n_steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.01))


def train(split: data.Split, n_tokens: int, epochs: int = EPOCHS) -> Params:
    """Train from scratch."""
    network = forward(n_tokens)
    params = network.init(jax.random.key(0), jnp.asarray(split.X_train[:1]))
    optimiser = optimizer(epochs * (len(split.X_train) // BATCH))
    opt_state = optimiser.init(params)

    @jax.jit
    def step(params: Params, opt_state: Any, key: jax.Array, x: jax.Array, y: jax.Array) -> tuple[Params, Any]:
        gradient = jax.grad(lambda p: loss(network.apply(p, key, x, train=True), y).mean())(params)
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    rng, key = np.random.default_rng(0), jax.random.key(1)
    for _ in range(epochs):
        for rows in data.batches(rng, len(split.X_train), BATCH):
            key, own = jax.random.split(key)
            params, opt_state = step(params, opt_state, own, split.X_train[rows], split.y_train[rows])
    return params


def task() -> Task:
    """Return the trained network."""
    split, words = data.sentences(DATA, LENGTH)
    n_tokens = len(words) + 2
    network = forward(n_tokens)
    like = jax.eval_shape(network.init, jax.random.key(0), split.X_train[:1])
    kept = trained(__file__, lambda: train(split, n_tokens), like=like)

    def train_apply(params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
        return network.apply(params, key, x, train=True)

    def rebuild(sizes: dict[str, int]) -> hk.Transformed:
        return forward(n_tokens, embedding=sizes["reader/embed"], units=sizes["reader/lstm/linear"])

    def smaller(result: PruneResult, x: np.ndarray) -> tuple[Callable[..., jax.Array], Params]:
        small = networks.haiku.shrink(rebuild, result, x)
        return lambda params, x: small.apply(params, None, x), result.params

    apply, params, _ = networks.haiku.as_function(network, kept.tree)
    made = split, apply, params, None, loss, optimizer, 2e-3, train_apply, smaller, kept.seconds
    return Task("dm-haiku", DATA, *made)
