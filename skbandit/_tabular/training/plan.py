"""Plans: the order of the rows and the learning rate of each step, drawn on the host for a chunk of epochs.

No sort is compiled so, and the order does not depend on the padding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skbandit._core.rows import bucket, even_width

#: Entries of the row order that one call takes (4 MB of int32), and epochs at most: a chunk stays interruptible.
CHUNK_ROWS = 2**20
CHUNK_EPOCHS = 32


class Plan(NamedTuple):
    """One chunk of E epochs, of B steps each: data from the host."""

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
    n_batches: np.int32
    """Batches of an epoch, at most B."""
    n_epochs: np.int32
    """Epochs to run, at most E."""


def batch_width(n_rows: int, batch_size: int, balanced: bool = False) -> int:
    """Return the static width of a batch, whatever the padding: the most rows that one of the same bucket has.

    Parameters
    ----------
    n_rows : int
        Rows that are not padding.
    batch_size : int
        Rows of a batch at most.
    balanced : bool
        Whether the batches of an epoch are of equal size.
    """
    return even_width(n_rows, batch_size) if balanced else min(batch_size, bucket(n_rows))


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Return the number of batches that ``n_rows`` rows make."""
    return -(-n_rows // batch_width(n_rows, batch_size))


@dataclasses.dataclass
class Planner:
    """Draws the row orders and learning rates of successive chunks."""

    rng: np.random.Generator
    n_rows: int
    size: int
    """Padded number of rows."""
    batch_size: int
    schedule: Callable[[np.ndarray], np.ndarray]
    """From step numbers i[...] to learning rates f[...]."""
    regular: Callable[[np.ndarray], np.ndarray] = np.ones_like
    """From step numbers, as floats f[...], to the share of dropout and weight decay that is on, f[...]."""
    shuffle: bool = True
    n_steps: int = 0
    """Steps that were planned so far, those of earlier runs too."""
    dropout_seed: int = 0
    balanced: bool = False
    """Whether the batches of an epoch are of equal size, but for a row; otherwise the last has what is left."""

    @property
    def width(self) -> int:
        """Static width of a batch."""
        return batch_width(self.n_rows, self.batch_size, self.balanced)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return steps_per_epoch(self.n_rows, self.batch_size)

    @property
    def chunk(self) -> int:
        """Epochs per call at most."""
        return int(np.clip(CHUNK_ROWS // (self.size + self.width), 1, CHUNK_EPOCHS))

    def next(self, n_epochs: int) -> Plan:
        """Plan the next ``n_epochs`` epochs (at most ``chunk``)."""
        n_epochs = min(n_epochs, self.chunk)
        order = np.zeros((self.chunk, self.size + self.width), np.int32)
        rows = np.arange(self.n_rows, dtype=np.int32)
        for e in range(n_epochs):
            order[e, : self.n_rows] = self.rng.permutation(rows) if self.shuffle else rows
        lr, regular = np.zeros((2, self.chunk, -(-self.size // batch_width(self.n_rows, self.batch_size))))
        steps = self.n_steps + np.arange(n_epochs * self.steps_per_epoch).reshape(n_epochs, -1)
        lr[:n_epochs, : self.steps_per_epoch] = self.schedule(steps)
        regular[:n_epochs, : self.steps_per_epoch] = self.regular(steps.astype(float))
        # Drawn from the step number, so that a run of chunks is the same as one chunk.
        seed = np.zeros(self.chunk, np.uint32)
        seed[:n_epochs] = [(self.dropout_seed + int(s)) % 2**32 for s in steps[:, 0]]
        self.n_steps += steps.size
        batch = np.arange(lr.shape[1] + 1)
        edges = batch * self.n_rows // self.steps_per_epoch if self.balanced else batch * self.width
        edges = np.minimum(edges, self.n_rows).astype(np.int32)
        return Plan(order, lr, regular, seed, edges, np.int32(self.steps_per_epoch), np.int32(n_epochs))
