"""The compact network in fine-tuning: the units that are left, at a few widths.

A removed unit has gate 0 and slices of zeros. In fine-tuning it costs its multiplications and changes nothing: no
gradient reaches it, no penalty, and the optimizer begins anew each time. So the compact network learns what the gated
one does, but for rounding. It is another program, though, and compiling that takes longer than to fine-tune on a small
table.

* Layers are padded to a multiple of a quarter of their width (`QUARTERS`), with units of gate 0. Few programs then
  serve all rounds, and the fits of a search.
* A round gets a new program only where that saves enough work (`WORTH_A_PROGRAM`). Otherwise it takes the best of those
  that the phase has. The choice depends on sizes alone, and not on what other fits have compiled: the same fit computes
  the same in every process.
* The inputs are not trained any more, and dropout is off: neither is in the program. The layers read features that are
  computed once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit._tabular.features.embeddings import TERMS, Inputs
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.training.rates import Rates
from skbandit._tabular.types import Layers, Network
from skbandit.networks.damages import on_cpu

#: Widths of a layer that there are programs for, beside its own: one, two and three quarters of it.
QUARTERS = 4
#: Multiply-accumulates that a round must save for a new program, .13 s of a core: a program takes 1 s to compile, and
#: serves some rounds of a fit, and other fits (docs/decisions/0021).
WORTH_A_PROGRAM = 8e9
#: Multiply-accumulates that take as long as: the three products of a weight in a step; a term of an expansion and its
#: derivatives (5 ns); an activation's dropout (1 ns).
_OF_WEIGHT, _OF_TERM, _OF_DROPOUT = 3, 300, 60


class Compact(NamedTuple):
    """Where the units of a gated network stand in a compact one."""

    kept: tuple[np.ndarray, ...]
    """Of each hidden layer, the units that are on: i[n_l], ascending."""
    widths: tuple[int, ...]
    """Of each hidden layer, units of the compact network; those behind the units that are on have gate 0."""

    def static(self, network: Trainable, embedded: bool) -> Trainable:
        """Return what is static about the compact network.

        Parameters
        ----------
        network : Trainable
        embedded : bool
            Whether it is given features, and not columns.
        """
        first, *_, last = network.mlp.layer_sizes
        mlp = dataclasses.replace(network.mlp, layer_sizes=(first, *self.widths, last))
        return Trainable(mlp, Inputs(first) if embedded else network.inputs)

    def cut(self, layers: Layers) -> Layers:
        """Return the layers of the compact network; what belongs to padding is 0."""
        cut = []
        for layer, places, shapes in zip(layers, self._places(layers), self._shapes(layers), strict=True):
            small = [np.zeros(shape, array.dtype) for array, shape in zip(layer, shapes, strict=True)]
            for array, place, out in zip(layer, places, small, strict=True):
                out[tuple(map(slice, map(len, place)))] = array[np.ix_(*place)]
            cut.append(tuple(small))
        return tuple(cut)

    def put_back(self, compact: Layers, layers: Layers) -> Layers:
        """Return ``layers`` with the values of the compact network; units that are off stay as they are."""
        whole = []
        for small, layer, places in zip(compact, layers, self._places(layers), strict=True):
            filled = [np.array(array) for array in layer]
            for array, place, out in zip(small, places, filled, strict=True):
                out[np.ix_(*place)] = array[tuple(map(slice, map(len, place)))]
            whole.append(tuple(filled))
        return tuple(whole)

    def gates(self, dtype: Any) -> tuple[np.ndarray, ...]:
        """Return 1 for the units that are on, and 0 for the padding."""
        return tuple(
            (np.arange(width) < len(units)).astype(dtype) for width, units in zip(self.widths, self.kept, strict=True)
        )

    def _places(self, layers: Layers) -> list[list[tuple[np.ndarray, ...]]]:
        """Return the positions along each axis of each array that belong to units that are on."""
        ends = [np.arange(layers[0][0].shape[0]), *self.kept, np.arange(layers[-1][0].shape[1])]
        return [
            [(before, after), *((after,) for _ in rest)]
            for (_, *rest), before, after in zip(layers, ends[:-1], ends[1:], strict=True)
        ]

    def _shapes(self, layers: Layers) -> list[list[tuple[int, ...]]]:
        ends = [layers[0][0].shape[0], *self.widths, layers[-1][0].shape[1]]
        return [
            [(before, after), *((after,) for _ in rest)]
            for (_, *rest), before, after in zip(layers, ends[:-1], ends[1:], strict=True)
        ]


def without_inputs(network: Network, rates: Rates) -> tuple[Network, Rates]:
    """Return a network and its rates without the parameters of the inputs."""
    return network._replace(inputs={}), Rates(*(({}, of_layers) for _, of_layers in rates))


class Programs:
    """The programs that fine-tuning has in a pruning phase.

    Parameters
    ----------
    network : Trainable
        As it was trained.
    n_rows : int
        Training rows.
    embedded : bool
        Whether a compact network is given features.
    """

    def __init__(self, network: Trainable, n_rows: int, *, embedded: bool = True) -> None:
        self.network, self.n_rows, self.embedded = network, n_rows, embedded
        self._widths: list[tuple[int, ...]] = []

    def compact(self, gates: Sequence[np.ndarray], n_epochs: int) -> Compact | None:
        """Return the compact network to fine-tune; None where the program of training is as good.

        Parameters
        ----------
        gates : sequence of f[n_l]
        n_epochs : int
            Epochs of fine-tuning in this round.
        """
        if not on_cpu():  # an accelerator takes as long for a step, whatever the widths
            return None
        kept = tuple(np.flatnonzero(gate) for gate in gates)
        best = tuple(padded(len(units), gate.size) for units, gate in zip(kept, gates, strict=True))
        at_hand = [
            widths for widths in self._widths if all(w >= len(units) for w, units in zip(widths, kept, strict=True))
        ]
        nearest = min(at_hand, key=self._cost, default=None)
        cost = self._cost(self.network.mlp.layer_sizes[1:-1], training=True) if nearest is None else self._cost(nearest)
        if (cost - self._cost(best)) * self.n_rows * n_epochs >= WORTH_A_PROGRAM:
            self._widths.append(best)
            nearest = best
        return None if nearest is None else Compact(kept, nearest)

    def _cost(self, widths: tuple[int, ...], training: bool = False) -> float:
        """Return the cost of a row in a step, in multiply-accumulates, of the program of training or a compact one."""
        network, cost = self.network, _OF_WEIGHT * float(self.network.mlp.n_macs(widths))
        if training or not self.embedded:
            cost += _OF_TERM * TERMS * network.inputs.n_embedded
        if training and network.dropout:
            cost += _OF_DROPOUT * sum(widths)
        return cost


def padded(n: int, width: int) -> int:
    """Return the least width for ``n`` of ``width`` units that there are programs for."""
    step = -(-width // QUARTERS)
    return min(-(-n // step) * step, width)
