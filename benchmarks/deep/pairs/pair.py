"""What a task-network pair is, and how its parameters are drawn.

Parameters are dictionaries of dictionaries of arrays. The name of an array says how it is drawn: see `draw`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Params = dict[str, dict[str, jax.Array]]
Shapes = dict[str, dict[str, tuple[int, ...]]]

#: Arrays whose inputs are the first axis alone; the inputs of others are all axes but the last one.
BY_FIRST_AXIS = ("query", "key", "value", "gates", "recurrent")
EMBEDDING_SCALE = 0.1


class Rows(NamedTuple):
    """Rows of a data set: ``X`` an array (n, ...), ``y`` classes i32[n] from 0 on."""

    X: Any
    y: np.ndarray


class Parts(NamedTuple):
    """Four parts of the rows of a data set; no row is in two of them.

    Networks are trained on ``fit``, damages are measured on ``select``, choices are made on ``guard``, and ``report``
    is scored.
    """

    fit: Rows
    select: Rows
    guard: Rows
    report: Rows

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return 1 + max(int(part.y.max()) for part in self)

    @property
    def n_tokens(self) -> int:
        """Number of tokens, padding among them, where ``X`` holds tokens."""
        return 1 + max(int(part.X.max()) for part in self)


class Pair(NamedTuple):
    """A network on a data set.

    Attributes
    ----------
    name : str
        Architecture and data set.
    number : int
        Number in the table of pairs.
    data : str
    kind : str
        "image", "text" or "reasoning".
    gate : float
        Least accuracy of the dense network on the rows to report, for its results to count.
    reference : str
        Published figure, and where it is from.
    parts : callable (seed) → Parts
        Reads the data.
    shapes : callable (Parts) → Shapes
        Shapes of the parameters.
    draw : callable (key, Shapes) → Params
        Initial parameters; for the shapes of a pruned network as well.
    apply : callable (Params, X) → logits f[n, classes]
        The network in inference mode. All sizes are those of the parameters, so that it takes pruned ones.
    train_apply : callable (Params, X, key or None) → logits
        The network in training mode. Without a key there is no dropout and no augmentation: the same logits as those of
        ``apply``. Convolutions are written in a form that is fast to differentiate on a CPU.
    epochs, rate, weight_decay, batch_size
        How it is trained: see `benchmarks.deep.pairs.train`.
    ranked : bool
        Whether its accuracy counts in the ranks of methods; if not, units are ranked on it, and no more.
    official : callable (seed) → Parts, optional
        The rows by the official split, where ``parts`` draws the rows to report on anew: the gate is for these.
    """

    name: str
    number: int
    data: str
    kind: str
    gate: float
    reference: str
    parts: Callable[[int], Parts]
    shapes: Callable[[Parts], Shapes]
    draw: Callable[[jax.Array, Shapes], Params]
    apply: Callable[[Params, Any], jax.Array]
    train_apply: Callable[[Params, Any, jax.Array | None], jax.Array]
    epochs: int
    rate: float
    weight_decay: float
    batch_size: int = 64
    ranked: bool = True
    official: Callable[[int], Parts] | None = None


def draw(key: jax.Array, shapes: Shapes) -> Params:
    """Draw parameters of these shapes, each with a variance by its own number of inputs.

    Biases are 0 and scales 1, embeddings normal with a standard deviation of 0.1. Of weights, the variance is one over
    the number of inputs, and twice that for a ``kernel``, which a rectifier follows. The numbers are NumPy's: nothing
    is compiled for a new shape.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return {
        layer: {name: jnp.asarray(_array(rng, name, tuple(shape)), jnp.float32) for name, shape in leaves.items()}
        for layer, leaves in shapes.items()
    }


def _array(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("bias"):
        return np.zeros(shape)
    if name.endswith("scale"):
        return np.ones(shape)
    if name == "embedding":
        return EMBEDDING_SCALE * rng.standard_normal(shape)
    n_inputs = shape[0] if name in BY_FIRST_AXIS else math.prod(shape[:-1])
    gain = 2 if name == "kernel" else 1
    return math.sqrt(gain / n_inputs) * rng.standard_normal(shape)


def dropout(key: jax.Array | None, x: jax.Array, rate: float) -> jax.Array:
    """Set a share of the values to 0 and scale the others up; nothing without a key."""
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def keys(key: jax.Array | None, n: int) -> list[jax.Array | None]:
    """Split a key, or None."""
    return [None] * n if key is None else list(jax.random.split(key, n))


def vectors(embedding: jax.Array, tokens: jax.Array) -> jax.Array:
    """Return the vectors of tokens; padding has the vector 0.

    Dimensions of word vectors are no units of these benchmarks: they are counted here, and `infer_groups` leaves alone
    what is counted.
    """
    counted = jnp.arange(embedding.shape[1]) >= 0
    return jnp.where((tokens > 0)[..., None] & counted, embedding[tokens], 0)
