"""Training of the networks of the pairs, and their scores.

AdamW; the rate rises for a twentieth of the steps and falls to 0 as a cosine. What is left of an epoch behind the last
full mini-batch has another epoch.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.deep import cache
from benchmarks.deep.data import batches
from benchmarks.deep.pairs.pair import Pair, Params, Parts, Rows

WARM_UP = 0.05
#: Rows that are scored at once.
SCORED = 256


class Dense(NamedTuple):
    """A trained network.

    Attributes
    ----------
    params : Params
    parts : Parts
    seconds : float
        What training it took.
    epochs : int
        How long it was trained.
    scores : dict
        Those of the rows "report" and "guard".
    """

    params: Params
    parts: Parts
    seconds: float
    epochs: int
    scores: dict[str, dict[str, float]]


def loss(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Cross-entropy f[n], one for each row."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def rate_at(step: int, n_steps: int, rate: float) -> float:
    """Return the rate of a step; the first one has number 0."""
    warm = max(1, round(WARM_UP * n_steps))
    if step < warm:
        return rate * (step + 1) / warm
    return rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))


@functools.cache
def stepper(train_apply: Callable[..., jax.Array], weight_decay: float) -> tuple[Callable, Callable]:
    """Return functions that start and do a step; the rate is an argument, so that a shape is compiled once.

    ``key`` is that of the training, and ``done`` the number of steps before this one.
    """
    optimizer = optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(weight_decay))

    @jax.jit
    def step(params: Params, state: Any, key: jax.Array, done: int, rate: float, X: Any, y: Any) -> tuple[Params, Any]:
        own = jax.random.fold_in(key, done)
        gradient = jax.grad(lambda p: loss(train_apply(p, X, own), y).mean())(params)
        updates, state = optimizer.update(gradient, state, params)
        return jax.tree.map(lambda p, u: p - rate * u, params, updates), state

    return optimizer.init, step


def train(pair: Pair, params: Params, rows: Rows, *, epochs: int, rate: float, seed: int) -> Params:
    """Train parameters, of the dense network or of a pruned one; return new ones.

    Parameters
    ----------
    pair : Pair
    params : Params
        Where training starts; the optimizer's state is new.
    rows : Rows
    epochs : int
    rate : float
        Highest rate.
    seed : int
        Of the order of the rows, and of dropout.
    """
    start, step = stepper(pair.train_apply, pair.weight_decay)
    params = jax.tree.map(jnp.asarray, params)
    state, rng, key = start(params), np.random.default_rng(seed), jax.random.key(seed)
    done, n_steps = 0, epochs * (len(rows.y) // pair.batch_size)
    for _ in range(epochs):
        for chosen in batches(rng, len(rows.y), pair.batch_size):
            now = rate_at(done, n_steps, rate)
            params, state = step(params, state, key, done, now, rows.X[chosen], rows.y[chosen])
            done += 1
    return params


@functools.lru_cache(maxsize=64)
def _scorer(apply: Callable[..., jax.Array]) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def score(params: Params, X: Any, y: Any) -> tuple[jax.Array, jax.Array]:
        logits = apply(params, X)
        return logits.argmax(-1) == y, loss(logits, y)

    return jax.jit(score)


def scores(pair: Pair | Callable[..., jax.Array], params: Params, rows: Rows) -> dict[str, float]:
    """Return the accuracy and the mean log loss of a pair's network, or of a function (params, X) → logits."""
    score = _scorer(pair.apply if isinstance(pair, Pair) else pair)
    found = []
    for first in range(0, len(rows.y), SCORED):
        chosen = np.arange(first, first + SCORED)
        inside = chosen < len(rows.y)
        chosen = np.where(inside, chosen, 0)  # one shape for all batches
        found += [np.stack(score(params, rows.X[chosen], rows.y[chosen]))[:, inside]]
    correct, losses = np.concatenate(found, 1).astype(float)
    return {"accuracy": float(correct.mean()), "log_loss": float(losses.mean())}


def dense(pair: Pair, seed: int) -> Dense:
    """Return the dense network of a pair, trained now if it is not kept.

    What is kept is named after all that it depends on: the initial parameters, the rows, the network in training mode,
    how it is trained, and the text of the functions that train.
    """
    parts = pair.parts(seed)
    initial = pair.draw(jax.random.key(seed), pair.shapes(parts))

    def made() -> Params:
        given = {"epochs": pair.epochs, "rate": pair.rate, "seed": seed}
        return jax.block_until_ready(train(pair, initial, parts.fit, **given))

    kept = cache.named(f"{pair.name}-{seed}-{_digest(pair, parts, initial, seed)}", made, initial)
    params = jax.tree.map(jnp.asarray, kept.tree)
    found = {part: scores(pair, params, getattr(parts, part)) for part in ("report", "guard")}
    return Dense(params, parts, kept.seconds, pair.epochs, found)


def _digest(pair: Pair, parts: Parts, initial: Params, seed: int) -> str:
    """Return a name for what the trained parameters depend on."""
    X, y = (part[: pair.batch_size] for part in parts.fit)
    own = jax.random.key(seed)
    network = jax.jit(pair.train_apply).lower(initial, X, own).as_text()
    recipe = repr((pair.epochs, pair.rate, pair.weight_decay, pair.batch_size, seed, y.shape))
    texts = [inspect.getsource(function) for function in (train, stepper.__wrapped__, rate_at, loss, batches)]
    digest = hashlib.sha256("".join((network, recipe, *texts)).encode())
    for array in jax.tree.leaves((initial, parts.fit)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def accuracy_for_gate(pair: Pair, seed: int) -> float:
    """Return the accuracy of the dense network that the pair's gate is for: on the official rows where there are any.

    Where `Pair.official` says that they are not those of `Pair.parts`, a network is trained by the official split.
    """
    judged = pair if pair.official is None else pair._replace(parts=pair.official)
    return dense(judged, seed).scores["report"]["accuracy"]
