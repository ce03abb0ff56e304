"""A loss or score of the network on rows, in NumPy: who decides what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skbandit._tabular.features.sparse_rows import dense
from skbandit._tabular.network.inference import Forward, slices
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP

Layers = tuple[tuple[np.ndarray, ...], ...]


class Judge:
    """A network's loss and score on some rows.

    Parameters
    ----------
    X, y, weight : [n, ...], f[n, n_targets], f[n]
        In the precision of the network; what the first layer reads, or what ``features`` takes, dense or CSR.
    network : MLP
    features : callable
        From rows to what the first layer reads; called on a chunk of rows at a time.
    """

    def __init__(
        self,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray,
        network: MLP,
        features: Callable[[Any], np.ndarray] = dense,
    ) -> None:
        self.X, self.y, self.weight, self.network, self.features = X, y, weight, network, features

    def loss(self, layers: Layers, gates: Any) -> float:
        """Return the mean loss."""
        loss = LOSSES[self.network.loss]
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an answer, too
            return float(np.average(self._of_rows(layers, gates, loss.rows_in_blocks), weights=self.weight))

    def score(self, layers: Layers, gates: Any) -> float:
        """Return accuracy or R²."""
        loss = LOSSES[self.network.loss]
        with np.errstate(over="ignore", invalid="ignore"):
            answers = self._of_rows(layers, gates, lambda z, y: loss.answers(np, z, y))
            return float(loss.score_of(np, answers, self.y, self.weight))

    def _of_rows(self, layers: Layers, gates: Any, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """Return what there is of each row to average: the outputs of all rows may be many."""
        coefs = [W for W, *_ in layers]
        # A gate of 0 is a row of zeros in the next layer's weights.
        coefs[1:] = [W * gate[:, None] for W, gate in zip(coefs[1:], gates, strict=True)]
        slopes = [slope for layer in layers for slope in layer[2:]]
        intercepts = [b for _, b, *_ in layers]
        forward = Forward.of(self.X.dtype, coefs, intercepts, self.network.activation, slopes, self.features)
        chunks = slices(self.X.shape[0], forward.chunk_rows(self.X))
        return np.concatenate([of(forward(self.X[rows]), self.y[rows]) for rows in chunks])
