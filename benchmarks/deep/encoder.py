"""A transformer encoder that classifies questions, in Flax's NNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmarks.deep import data
from benchmarks.deep.cache import trained
from benchmarks.deep.tasks import Task
from skbandit import networks

if TYPE_CHECKING:
    from skbandit import PruneResult

Params = Any

DATA, LENGTH, N_CLASSES = "trec", 20, 6
#: Dimensions of a head.
HEAD = 12
BATCH, EPOCHS = 64, 10


class Block(nnx.Module):
    """Attention and a hidden layer, each after a norm of its own and added to the stream."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, rngs: nnx.Rngs):
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(heads, width, heads * HEAD, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.up = nnx.Linear(width, hidden, rngs=rngs)
        self.down = nnx.Linear(hidden, width, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Return f[n, length, width]; ``mask`` b[n, length] says which tokens are words."""
        x = x + self.dropout(self.attention(self.norm1(x), mask=mask[:, None, None, :]))
        return x + self.dropout(self.down(nnx.gelu(self.up(self.norm2(x)))))


class Encoder(nnx.Module):
    """Token and position embeddings, a block for each number of heads, the mean over words, a dense layer."""

    def __init__(
        self,
        n_tokens: int,
        width: int = 96,
        heads: tuple[int, ...] = (8, 8),
        hidden: tuple[int, ...] = (192, 192),
        dropout: float = 0.4,
        *,
        rngs: nnx.Rngs,
    ):
        self.tokens = nnx.Embed(n_tokens, width, rngs=rngs)
        self.positions = nnx.Param(0.02 * jax.random.normal(rngs.params(), (LENGTH, width)))
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        sizes = zip(heads, hidden, strict=True)
        self.blocks = nnx.List([Block(width, n_heads, n, dropout, rngs) for n_heads, n in sizes])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, N_CLASSES, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return logits f[n, 6] of token numbers i32[n, length]."""
        mask = tokens != data.PADDING
        x = self.dropout(self.tokens(tokens) + self.positions)
        for block in self.blocks:
            x = block(x, mask)
        words = mask[..., None]
        x = (self.norm(x) * words).sum(1) / words.sum(1)
        return self.head(x)


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each question."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def optimizer(n_steps: int, rate: float = 4e-3) -> optax.GradientTransformation:
    """AdamW, at a rate that rises for a tenth of the steps and falls to zero."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, n_steps // 10, n_steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.05))


def train(split: data.Split, n_tokens: int, epochs: int = EPOCHS) -> Encoder:
    """Train from scratch."""
    model = Encoder(n_tokens, rngs=nnx.Rngs(0))
    n_steps = epochs * (len(split.X_train) // BATCH)
    optimiser = nnx.Optimizer(model, optimizer(n_steps), wrt=nnx.Param)

    @nnx.jit
    def step(model: Encoder, optimiser: nnx.Optimizer, x: jax.Array, y: jax.Array) -> None:
        gradient = nnx.grad(lambda m: loss(m(x), y).mean())(model)
        optimiser.update(model, gradient)

    model.train()
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in data.batches(rng, len(split.X_train), BATCH):
            step(model, optimiser, split.X_train[rows], split.y_train[rows])
    model.eval()
    return model


def task() -> Task:
    """Return the trained network."""
    split, words = data.sentences(DATA, LENGTH)
    n_tokens = len(words) + 2
    model = Encoder(n_tokens, rngs=nnx.Rngs(0))

    def train_to_dict() -> Params:
        return nnx.to_pure_dict(nnx.state(train(split, n_tokens), nnx.Param))

    kept = trained(__file__, train_to_dict, like=nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    nnx.update(model, kept.tree)
    graphdef, _, rest = nnx.split(model, nnx.Param, ...)

    def train_apply(params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
        module = nnx.merge(graphdef, params, rest, copy=True)
        module.train()
        nnx.reseed(module, default=key)
        return module(x)

    def smaller(result: PruneResult, x: np.ndarray) -> tuple[Callable[..., jax.Array], Params]:
        module = networks.nnx.shrink(model, result, x)
        module.eval()
        graphdef, variables = nnx.split(module)
        return lambda variables, x: nnx.merge(graphdef, variables, copy=True)(x), variables

    apply, params, _ = networks.nnx.as_function(model)
    made = split, apply, params, None, loss, optimizer, 1e-3, train_apply, smaller, kept.seconds
    return Task("Flax NNX", DATA, *made)
