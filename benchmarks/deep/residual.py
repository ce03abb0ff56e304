"""A residual network with batch normalisation in Flax's linen, whose statistics are state that training moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import numpy as np
import optax

from benchmarks.deep import data
from benchmarks.deep.cache import trained
from benchmarks.deep.tasks import Task
from skbandit import networks

if TYPE_CHECKING:
    from skbandit import PruneResult

Params = Any

DATA = "usps"
WIDTHS, INNER, N_CLASSES = (32, 64, 128), (32, 64, 128), 10
BATCH, EPOCHS = 64, 4


class Block(nn.Module):
    """Two convolutions, added to what comes in; a strided block projects that."""

    inner: int
    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return f[n, height / stride, width / stride, channels]."""
        strides = (self.stride, self.stride)
        h = nn.Conv(self.inner, (3, 3), strides, use_bias=False)(x)
        h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        h = nn.Conv(self.width, (3, 3), use_bias=False)(h)
        h = nn.BatchNorm(use_running_average=not train, momentum=0.9)(h)
        if self.stride > 1:
            x = nn.Conv(self.width, (1, 1), strides, use_bias=False)(x)
        return nn.relu(x + h)


class ResNet(nn.Module):
    """A stem, a block for each width, the mean over positions, a dense layer."""

    widths: tuple[int, ...] = WIDTHS
    inner: tuple[int, ...] = INNER

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Return logits f[n, 10]."""
        x = nn.Conv(self.widths[0], (3, 3), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        for i, (inner, width) in enumerate(zip(self.inner, self.widths, strict=True)):
            x = Block(inner, width, 1 if i == 0 else 2)(x, train)
        return nn.Dense(N_CLASSES)(x.mean((1, 2)))


def train_apply(params: Params, state: Params, x: jax.Array, key: jax.Array) -> tuple[jax.Array, Params]:
    """Return logits with the statistics of the mini-batch, and the moved statistics."""
    return ResNet().apply({"params": params, **state}, x, train=True, mutable=["batch_stats"])


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each image."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def optimizer(n_steps: int, rate: float = 0.1) -> optax.GradientTransformation:
    """Momentum and decay as in the paper of residual networks, at a rate that rises a little and falls to zero."""
    schedule = optax.cosine_onecycle_schedule(n_steps, rate)
    return optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(schedule, momentum=0.9, nesterov=True))


def train(split: data.Split, epochs: int = EPOCHS) -> tuple[Params, Params]:
    """Train from scratch; return parameters and statistics."""
    state = dict(ResNet().init(jax.random.key(0), split.X_train[:1]))
    params = state.pop("params")
    optimiser = optimizer(epochs * (len(split.X_train) // BATCH))
    opt_state = optimiser.init(params)

    @jax.jit
    def step(params: Params, state: Params, opt_state: Any, x: jax.Array, y: jax.Array) -> tuple[Params, Params, Any]:
        def mean_loss(params: Params) -> tuple[jax.Array, Params]:
            logits, moved = train_apply(params, state, x, jax.random.key(0))
            return loss(logits, y).mean(), moved

        gradient, state = jax.grad(mean_loss, has_aux=True)(params)
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state

    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in data.batches(rng, len(split.X_train), BATCH):
            params, state, opt_state = step(params, state, opt_state, split.X_train[rows], split.y_train[rows])
    return params, state


def rebuild(sizes: dict[str, int]) -> ResNet:
    """Make the network at the sizes that pruning leaves, by the names of its groups."""
    widths = sizes["Conv_0"], sizes["Block_1"], sizes["Block_2"]
    return ResNet(widths, tuple(sizes[f"Block_{i}.Conv_0"] for i in range(3)))


def smaller(result: PruneResult, x: np.ndarray) -> tuple[Callable[..., jax.Array], Params]:
    """Return the module at the smaller sizes, and its variables."""
    return networks.flax.shrink(rebuild, result, x).apply, {"params": result.params, **result.state}


def task() -> Task:
    """Return the trained network."""
    split = data.images(DATA)
    like = dict(jax.eval_shape(ResNet().init, jax.random.key(0), split.X_train[:1]))
    kept = trained(__file__, lambda: train(split), like=(like.pop("params"), like))
    params, state = kept.tree
    apply, params, state = networks.flax.as_function(ResNet(), {"params": params, **state})
    made = split, apply, params, state, loss, optimizer, 0.01, train_apply, smaller, kept.seconds
    return Task("Flax linen", DATA, *made)
