"""The network on the calibration rows, in NumPy: what a round of pruning measures and repairs there.

A round asks several questions of one network: the mean activations of its units, its loss, the loss with some more
units masked, and its repair. They share one forward pass, over the units that are left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skbandit._tabular.network.inference import CHUNK_BYTES, activate_in_place, slices
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.pruning.compensation import fold_emissions, forward, reweight

Params = tuple[tuple[np.ndarray, ...], ...]
Vectors = tuple[np.ndarray, ...]


class _Pass(NamedTuple):
    params: Params
    """Those that were asked about, at their original shapes."""
    active: np.ndarray
    layers: Params
    """The parameters of the units that are on."""
    hidden: list[np.ndarray]
    """f[n, units that are on] for each hidden layer."""
    loss: float


class Calibration:
    """Rows to measure a network on, which remember their last forward pass.

    Parameters
    ----------
    X, y, weight : f[n, n_features], f[n, n_targets], f[n]
        All in the precision of the network; X dense or CSR.
    network : MLP
    """

    def __init__(self, X: Any, y: np.ndarray, weight: np.ndarray, network: MLP):
        self.X, self.y, self.weight, self.network = X, y, weight, network
        self._last: _Pass | None = None

    def loss(self, params: Params, gates: Vectors, emissions: Vectors | None = None) -> float:
        """Return the mean loss; units that are off at ``gates`` emit 0, or ``emissions``."""
        active = np.concatenate(gates) > 0
        last = self._last
        if emissions is not None and last is not None and last.params is params:
            return self._loss_masked(last, last.active & ~active, emissions)
        if emissions is not None:
            params = fold_emissions(params, self.network.groups, ~active, emissions)
        return self._pass(params, active).loss

    def mean_activations(self, params: Params, gates: Vectors) -> Vectors:
        """Return the weighted mean activation f[n_l] of each layer's units; 0 where they are off."""
        active = np.concatenate(gates) > 0
        share = self.weight / self.weight.sum()
        means = []
        for on, hidden in zip(self.network.groups.split(active), self._pass(params, active).hidden, strict=True):
            mean = np.zeros(on.size, self.X.dtype)
            mean[on] = share @ hidden
            means.append(mean)
        return tuple(means)

    def repair(self, params: Params, active: np.ndarray, removed: np.ndarray, emissions: Vectors) -> Params:
        """Refit what follows the removed units; where that is not finite, add their emissions to the biases instead."""
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = self._pass(params, active).hidden
            activation, groups = self.network.activation, self.network.groups
            repaired = reweight(params, self.X, self.weight, activation, groups, active, removed, hidden)
        if all(np.isfinite(a).all() for layer in repaired for a in layer):
            return repaired
        return fold_emissions(params, groups, removed, emissions)  # activations too large for a Gram matrix

    def _pass(self, params: Params, active: np.ndarray) -> _Pass:
        last = self._last
        if last is None or last.params is not params or not np.array_equal(last.active, active):
            self._last, groups = None, self.network.groups  # one pass at a time: it takes more than the rows
            layers: Any = groups.compact(params, [np.flatnonzero(on) for on in groups.split(active)])
            with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an answer, too
                hidden = forward(layers, self.X, self.network.activation)
                loss = self._loss_at(hidden[-1], layers[-1])
            self._last = last = _Pass(params, active.copy(), layers, hidden, loss)
        return last

    def _loss_masked(self, last: _Pass, masked: np.ndarray, emissions: Vectors) -> float:
        """Continue the pass from the first layer that has masked units."""
        h = None
        split = self.network.groups.split
        with np.errstate(over="ignore", invalid="ignore"):
            for i, (off, on) in enumerate(zip(split(masked), split(last.active), strict=True)):
                W, b, *slope = last.layers[i]
                if h is not None:
                    z = h @ W
                    z += b
                    h = activate_in_place(z, self.network.activation, *slope)
                elif off.any():
                    h = last.hidden[i].copy()
                if h is not None:
                    h[:, off[on]] = emissions[i][off]
            if h is None:
                return last.loss
            return self._loss_at(h, last.layers[-1])

    def _loss_at(self, h: np.ndarray, layer: tuple[np.ndarray, ...]) -> float:
        """Return the mean loss at activations of the last hidden layer; of many outputs, for some rows at a time."""
        W, b = layer
        loss = LOSSES[self.network.loss]
        step = max(CHUNK_BYTES // (W.shape[1] * h.dtype.itemsize), 1)
        parts = [loss.rows_in_blocks(h[rows] @ W + b, self.y[rows]) for rows in slices(len(h), step)]
        return float(np.average(np.concatenate(parts), weights=self.weight))
