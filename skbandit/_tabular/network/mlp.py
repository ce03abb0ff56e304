r"""The multilayer perceptron: gated forward pass and loss.

Shapes: ``params`` is a tuple of layers ``(W, b)``, ``W`` of shape (fan in, fan out). Hidden layer :math:`l` has
pre-activation :math:`Z_l = A_{l-1} W_l + b_l`, activation :math:`H_l = \phi(Z_l)` and emits
:math:`A_l = g \odot H_l + (1 - g) \odot e`, where the *gate* :math:`g_j` is 1 for a unit that is on and 0 for one that
is masked, and the *emission* :math:`e_j` is what a masked unit gives out: 0, or its mean activation.
``gates`` and ``emissions`` are tuples with one vector per hidden layer.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit._tabular.network.evaluator import damages
from skbandit._tabular.network.losses import LOSSES
from skbandit.networks.groups import Groups, dense_chain

Params = tuple[tuple[jax.Array, ...], ...]
Vectors = tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class MLP:
    """A dense network: what is static about it. Hashable, so that it can be part of a compiled program's key."""

    layer_sizes: tuple[int, ...]
    """Input features, hidden widths, outputs."""
    activation: str
    loss: str
    parametric: bool = False
    """Whether hidden layers are ``(W, b, a)``, with a slope ``a`` for each unit."""

    #: ``gates`` may also be f[rows, n_l]: one for each row.
    gates_by_row: ClassVar[bool] = True

    @property
    def groups(self) -> Groups:
        """One group per hidden layer: a column of W, an entry of b (and of a), a row of the next W."""
        return _groups(self.layer_sizes, self.parametric)

    def apply(
        self,
        params: Params,
        X: jax.Array,
        gates: Vectors,
        emissions: Vectors | None = None,
        dropout: Callable[[int, jax.Array], jax.Array] | None = None,
    ) -> jax.Array:
        """Return the output layer's pre-activation f[n, n_outputs] of the gated network.

        ``dropout`` takes the number of a hidden layer and what it emits, and returns what goes on.
        """
        return self.forward(params, X, gates, emissions, dropout)[0]

    def batch_loss(
        self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the weighted mean loss of a batch under the gated network."""
        rows = LOSSES[self.loss].rows(jnp, self.apply(params, X, gates, emissions), y)
        return jnp.sum(weight * rows) / _positive(jnp.sum(weight))

    def activations(self, params: Params, gates: Vectors, X: jax.Array) -> Vectors:
        """Return what the units of each hidden layer emit, f[n, n_l], where masked units emit 0."""
        return tuple(self.forward(params, X, gates, None)[1])

    def damages(
        self,
        params: Params,
        gates: Vectors,
        emissions: Vectors,
        X: jax.Array,
        y: jax.Array,
        weight: jax.Array,
        arms: jax.Array,
    ) -> jax.Array:
        """Return the paired damages f[n_units] of the units ``arms``, bool[n_units], of a mini-batch, each alone."""
        return damages(self, params, gates, emissions, X, y, weight, arms)

    def n_macs(self, widths: Sequence[Any]) -> Any:
        """Return the multiply-accumulates of a row, with these widths of the hidden layers."""
        sizes = [self.layer_sizes[0], *widths, self.layer_sizes[-1]]
        return sum(a * b for a, b in pairwise(sizes))

    @property
    def n_squared_errors(self) -> int | None:
        """Squared errors that a row's loss is half the mean of; None where it is another loss."""
        return self.layer_sizes[-1] if self.loss == "squared_error" else None

    @property
    def linear_from(self) -> float:
        """The pre-activation from which on the activation is the identity."""
        return ACTIVATIONS[self.activation].linear_from

    def activate(self, z: jax.Array, *slope: jax.Array) -> jax.Array:
        """Return the activations of pre-activations ``z``."""
        h: jax.Array = ACTIVATIONS[self.activation](jnp, z, *slope)
        return h

    def bounds(self, low: jax.Array, high: jax.Array, *slope: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return bounds of the activations of pre-activations from ``low`` to ``high``."""
        return ACTIVATIONS[self.activation].bounds(jnp, low, high, *slope)

    def emit(self, z: jax.Array, gate: jax.Array, emission: jax.Array | None, *slope: jax.Array) -> jax.Array:
        """Return what a hidden layer emits at pre-activations ``z``; without ``emission``, masked units emit 0."""
        h = self.activate(z, *slope) * gate
        return h if emission is None else h + (1 - gate) * emission

    def forward(
        self,
        params: Params,
        X: jax.Array,
        gates: Vectors,
        emissions: Vectors | None,
        dropout: Callable[[int, jax.Array], jax.Array] | None = None,
    ) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
        """Return the outputs' pre-activation, what the hidden layers emit, and their pre-activations."""
        hidden: list[jax.Array] = []
        pre: list[jax.Array] = []
        a = X
        for i, (W, b, *slope) in enumerate(params[:-1]):
            pre.append(a @ W + b)
            a = self.emit(pre[-1], gates[i], None if emissions is None else emissions[i], *slope)
            hidden.append(a)
            if dropout is not None:
                a = dropout(i, a)
        W, b = params[-1]
        return a @ W + b, hidden, pre


@functools.lru_cache(maxsize=256)
def _groups(layer_sizes: tuple[int, ...], parametric: bool) -> Groups:
    return dense_chain(layer_sizes, *((2,) if parametric else ()))


def _positive(total: jax.Array) -> jax.Array:
    """Return a divisor that is never 0: a batch of weight 0 has loss 0."""
    return jnp.where(total > 0, total, 1)
