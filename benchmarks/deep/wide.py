"""A convolutional network of ten thousand units, in Equinox, for digits of 16 x 16 pixels.

The kind of block is ConvNeXt's: a depthwise convolution, a norm, and two pointwise convolutions with many channels
between them, which are dense layers over the channels of each position. These channels are most of the units; the
stream between the blocks is narrow. The first convolution leaves 4 x 4 positions, and the one behind the first block
2 x 2, so that ten thousand units can be measured one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.deep import data
from benchmarks.deep.cache import trained
from skbandit import networks

Params = Any

DATA, N_CLASSES = "usps", 10
WIDTH, HIDDEN = 16, (512, 4864, 4864)
BATCH, EPOCHS = 64, 6


class Block(eqx.Module):
    """Depthwise and pointwise convolutions, added to what comes in."""

    depthwise: eqx.nn.Conv2d
    norm: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, width: int, hidden: int, key: jax.Array):
        keys = jax.random.split(key, 3)
        self.depthwise = eqx.nn.Conv2d(width, width, 3, padding=1, groups=width, key=keys[0])
        self.norm = eqx.nn.LayerNorm(width)
        self.up = eqx.nn.Linear(width, hidden, key=keys[1])
        self.down = eqx.nn.Linear(hidden, width, key=keys[2])

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return f[width, height, width of the image]."""
        h = jnp.moveaxis(self.depthwise(x), 0, -1)
        h = jax.vmap(jax.vmap(self.at_position))(h)
        return x + jnp.moveaxis(h, -1, 0)

    def at_position(self, h: jax.Array) -> jax.Array:
        """Return what is added to the channels of a position."""
        return self.down(jax.nn.relu(self.up(self.norm(h))))


class Wide(eqx.Module):
    """Patches of 4 x 4 pixels, a block, patches of 2 x 2 of these, two blocks, the mean, a dense layer."""

    stem: eqx.nn.Conv2d
    first: Block
    halve: eqx.nn.Conv2d
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, key: jax.Array):
        keys = iter(jax.random.split(key, 4 + len(HIDDEN)))
        self.stem = eqx.nn.Conv2d(1, WIDTH, 4, stride=4, key=next(keys))
        self.first = Block(WIDTH, HIDDEN[0], next(keys))
        self.halve = eqx.nn.Conv2d(WIDTH, WIDTH, 2, stride=2, key=next(keys))
        self.blocks = [Block(WIDTH, n, next(keys)) for n in HIDDEN[1:]]
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.head = eqx.nn.Linear(WIDTH, N_CLASSES, key=next(keys))

    def __call__(self, image: jax.Array) -> jax.Array:
        """Return logits f[10] of one image f[16, 16, 1]."""
        x = self.halve(self.first(self.stem(image.transpose(2, 0, 1))))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.mean((1, 2))))


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each image."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def train(split: data.Split, epochs: int = EPOCHS) -> Wide:
    """Train from scratch, with images moved by up to a pixel."""
    model = Wide(jax.random.key(0))
    n_steps = epochs * (len(split.X_train) // BATCH)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, n_steps // 10, n_steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.05))
    opt_state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model: Wide, opt_state: Any, x: jax.Array, y: jax.Array) -> tuple[Wide, Any]:
        gradient = eqx.filter_grad(lambda m: loss(jax.vmap(m)(x), y).mean())(model)
        updates, opt_state = optimiser.update(gradient, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state

    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in data.batches(rng, len(split.X_train), BATCH):
            moved = np.roll(split.X_train[rows], rng.integers(-1, 2, 2), axis=(1, 2))
            model, opt_state = step(model, opt_state, moved, split.y_train[rows])
    return model


class Case(NamedTuple):
    """The trained network as a function of its arrays."""

    split: data.Split
    apply: Callable[[Params, Any], jax.Array]
    params: Params
    seconds: float


def case() -> Case:
    """Return the network, trained now if its weights are not kept."""
    split = data.images(DATA)
    like = eqx.filter(Wide(jax.random.key(0)), eqx.is_inexact_array)
    kept = trained(__file__, lambda: eqx.filter(train(split), eqx.is_inexact_array), like=like)
    apply, params, _ = networks.equinox.as_function(eqx.combine(kept.tree, Wide(jax.random.key(0))))
    return Case(split, apply, params, kept.seconds)
