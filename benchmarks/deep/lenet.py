"""LeNet as plain arrays: a dictionary of parameters, a function, and a loop of optax; no framework.

The sizes are those of the LeNet that pruning is most often tried on: 20 and 50 filters, 500 dense units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.deep import data
from benchmarks.deep.cache import trained
from benchmarks.deep.tasks import Task

if TYPE_CHECKING:
    from skbandit import PruneResult

Params = dict[str, dict[str, jax.Array]]

DATA = "fashion_mnist20k"
FILTERS, UNITS, N_CLASSES = (20, 50), 500, 10
BATCH, EPOCHS = 64, 8


def init(key: jax.Array) -> Params:
    """Draw parameters with He's variance."""
    shapes = {
        "conv1": (5, 5, 1, FILTERS[0]),
        "conv2": (5, 5, *FILTERS),
        "dense": (4 * 4 * FILTERS[1], UNITS),
        "head": (UNITS, N_CLASSES),
    }
    normal = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, len(shapes))
    return {
        name: {"kernel": normal(k, shape), "bias": jnp.zeros(shape[-1])}
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def apply(params: Params, x: jax.Array) -> jax.Array:
    """Return logits f[n, 10] of images f[n, 28, 28, 1]."""
    for name in ("conv1", "conv2"):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, params[name]["kernel"], (1, 1), "VALID", dimension_numbers=layout)
        x = jax.nn.relu(x + params[name]["bias"])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(x.shape[0], -1)
    x = jax.nn.relu(x @ params["dense"]["kernel"] + params["dense"]["bias"])
    return x @ params["head"]["kernel"] + params["head"]["bias"]


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each image."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def optimizer(n_steps: int, rate: float = 1e-3) -> optax.GradientTransformation:
    """AdamW, at a rate that falls to zero."""
    return optax.adamw(optax.cosine_decay_schedule(rate, n_steps), weight_decay=0.02)


def train(split: data.Split, epochs: int = EPOCHS) -> Params:
    """Train from scratch."""
    params = init(jax.random.key(0))
    optimiser = optimizer(epochs * (len(split.X_train) // BATCH))
    opt_state = optimiser.init(params)

    @jax.jit
    def step(params: Params, opt_state: Any, x: jax.Array, y: jax.Array) -> tuple[Params, Any]:
        gradient = jax.grad(lambda p: loss(apply(p, x), y).mean())(params)
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in data.batches(rng, len(split.X_train), BATCH):
            params, opt_state = step(params, opt_state, split.X_train[rows], split.y_train[rows])
    return params


def smaller(result: PruneResult, x: np.ndarray) -> tuple[Callable[..., jax.Array], Params]:
    """Return the function at the smaller sizes: the same one, for its shapes come from its parameters."""
    return apply, result.params


def task() -> Task:
    """Return the trained network."""
    split = data.images(DATA)
    kept = trained(__file__, lambda: train(split), like=jax.eval_shape(init, jax.random.key(0)))
    made = split, apply, kept.tree, None, loss, optimizer, 5e-4, None, smaller, kept.seconds
    return Task("plain arrays", DATA, *made)
