"""A loss or score of the network on rows, in NumPy: who decides what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbandit._tabular.features.sparse_rows import dense
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP

Layers = tuple[tuple[np.ndarray, ...], ...]


class Judge:
    """A network's loss and score on some rows.

    Parameters
    ----------
    X, y, weight : f[n, n_features], f[n, n_targets], f[n]
        In the precision of the network; what the first layer reads, dense or CSR.
    network : MLP
    """

    def __init__(self, X: Any, y: np.ndarray, weight: np.ndarray, network: MLP) -> None:
        self.X, self.y, self.weight, self.network = X, y, weight, network

    def loss(self, layers: Layers, gates: Any) -> float:
        """Return the mean loss."""
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an answer, too
            return float(LOSSES[self.network.loss].mean(self._output(layers, gates), self.y, self.weight))

    def score(self, layers: Layers, gates: Any) -> float:
        """Return accuracy or R²."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = self._output(layers, gates)
            return float(LOSSES[self.network.loss].score(np, z, self.y, self.weight))

    def _output(self, layers: Layers, gates: Any) -> np.ndarray:
        coefs = [W for W, *_ in layers]
        # A gate of 0 is a row of zeros in the next layer's weights.
        coefs[1:] = [W * gate[:, None] for W, gate in zip(coefs[1:], gates, strict=True)]
        slopes = [slope for layer in layers for slope in layer[2:]]
        intercepts = [b for _, b, *_ in layers]
        return raw_output(self.X, coefs, intercepts, self.network.activation, slopes, dense)
