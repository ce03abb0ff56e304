"""Four trained networks, each written in another framework and as its users write them.

| name | framework | network | rows |
|---|---|---|---|
| lenet | none, plain arrays | convolutions, pooling, dense layers | fashion_mnist20k: images, 10 classes |
| residual | Flax, linen | residual blocks with batch normalisation, which have state | usps: digits, 10 classes |
| encoder | Flax, NNX | attention over words with a padding mask, norms, an embedding | trec: questions, 6 classes |
| lstm | dm-haiku | an LSTM over words, unrolled by a scan | subj: sentences, 2 classes |

Epochs and rates were chosen on a tenth of the training rows; the test rows were scored once, for the tables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.deep import data

if TYPE_CHECKING:
    import jax
    import optax

    from skbandit import PruneResult

NAMES = ("lenet", "residual", "encoder", "lstm")

Function = Callable[..., Any]


class Task(NamedTuple):
    """A trained network, as its framework's users have it.

    Attributes
    ----------
    framework, rows : str
        The framework, and the data set.
    split : Split
    apply : callable (params, X) → logits
        In inference mode; with state, (params, state, X).
    params, state : pytree
        Trained; ``state`` is None where there is none.
    loss : callable (logits, y) → f[n]
    optimizer : callable (n_steps, rate) → optax.GradientTransformation
        What it was trained with.
    rate : float
        Rate of fine-tuning.
    train_apply : callable or None
        (params, X, key) → logits, with state (params, state, X, key) → (logits, new state); None where training mode
        is no other.
    smaller : callable (PruneResult, X) → (callable, pytree)
        The user's own module at the smaller sizes, rebuilt and compared with the result on these rows: a function
        (variables, X) → logits, and the variables.
    seconds : float
        How long training took.
    batch_size : int
        Of training.
    """

    framework: str
    rows: str
    split: data.Split
    apply: Function
    params: Any
    state: Any
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    optimizer: Callable[[int, float], optax.GradientTransformation]
    rate: float
    train_apply: Function | None
    smaller: Callable[[PruneResult, np.ndarray], tuple[Function, Any]]
    seconds: float
    batch_size: int = 64


def load(name: str) -> Task:
    """Return a task of `NAMES`, trained now if its weights are not kept."""
    made: Task = importlib.import_module(f"benchmarks.deep.{name}").task()
    return made
