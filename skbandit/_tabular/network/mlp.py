r"""The multilayer perceptron: gated forward pass, loss, and the evaluator of arms.

Shapes: ``params`` is a tuple of layers ``(W, b)``, ``W`` of shape (fan in, fan out). Hidden layer :math:`l` has
pre-activation :math:`Z_l = A_{l-1} W_l + b_l`, activation :math:`H_l = \phi(Z_l)` and emits
:math:`A_l = g \odot H_l + (1 - g) \odot e`, where the *gate* :math:`g_j` is 1 for a unit that is on and 0 for one that
is masked, and the *emission* :math:`e_j` is what a masked unit gives out: 0, or its mean activation.
``gates`` and ``emissions`` are tuples with one vector per hidden layer.

**Evaluating an arm.** Masking unit :math:`j` of layer :math:`l` changes only column :math:`j` of :math:`A_l`, by
:math:`\delta_j = e_j - h_j`, so that :math:`Z_{l+1}` changes by the rank-one term :math:`\delta_j W_{l+1}[j, :]`. All
arms share the forward pass up to there, and only the layers above :math:`l + 1` are evaluated per arm. In the last
hidden layer that is no layer at all, and for squared error the loss itself has a closed form.

Arms go through in tiles whose intermediates stay in the processor's cache: at 256 rows and 256 units, tiles of 8 take
a tenth of the time of one pass over all arms.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._tabular.network.activations import activate
from skbandit._tabular.network.losses import LOSSES
from skbandit.networks.damages import map_chosen, on_cpu, tile_size
from skbandit.networks.groups import Group, Groups, Slice

Params = tuple[tuple[jax.Array, ...], ...]
Vectors = tuple[jax.Array, ...]

#: Up to so many outputs, what the last hidden layer gives is added up unit by unit: 256 arms of a 2 x 256 network on
#: 256 rows take 3 ms, not 8.
_FEW_OUTPUTS = 4
#: Units of a turn of that loop: XLA makes one kernel of them, which reads and writes the sums once. With fewer it makes
#: another one, ten times slower.
_UNITS_PER_TURN = 16
#: Arms at a time: their sums, 64 kB an output, stay in the first-level cache or near it.
_SWEEP_ARMS = 64


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
        return _dense_groups(self.layer_sizes, self.parametric)

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
        return self._forward(params, X, gates, emissions, dropout)[0]

    def batch_loss(
        self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the weighted mean loss of a batch under the gated network."""
        rows = LOSSES[self.loss](jnp, self.apply(params, X, gates, emissions), y)
        return jnp.sum(weight * rows) / _positive(jnp.sum(weight))

    def activations(self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array) -> Vectors:
        """Return what the units of each hidden layer emit, f[n, n_l]."""
        return tuple(self._forward(params, X, gates, emissions)[1])

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
        """Return the paired damage of masking each of the chosen units alone.

        Parameters
        ----------
        weight : f[n]
            Weights of the rows, summing to 1.
        arms : bool[n_units]
            The units to evaluate; they must be on. Cost is in proportion to their number.

        Returns
        -------
        damage : f[n_units]
            Loss of the batch with the unit masked minus loss without, 0 where not chosen.
        """
        z_out, hidden, pre = self._forward(params, X, gates, emissions)
        base = LOSSES[self.loss](jnp, z_out, y)
        n_hidden = len(self.layer_sizes) - 2

        def suffix(layer: int, z: jax.Array) -> jax.Array:
            """Row losses from the pre-activation f[..., n, n_layer] of ``layer``."""
            for i in range(layer, n_hidden):
                z = self._emit(z, gates[i], emissions[i], *params[i][2:]) @ params[i + 1][0] + params[i + 1][1]
            return LOSSES[self.loss](jnp, z, y)

        damages = []
        for layer, chosen in enumerate(self.groups.split(arms)):
            W_next = params[layer + 1][0]
            delta = emissions[layer] - hidden[layer]  # f[rows, n_l]; for a unit that is on, its change when masked
            if layer == n_hidden - 1 and self.loss == "squared_error":
                # ½ mean_o ((r_o + δ w_o)² - r_o²) = mean_o (r_o w_o) δ + ½ mean_o (w_o²) δ², r = z - y
                slope = ((z_out - y) @ W_next.T) / y.shape[1]
                curvature = jnp.mean(jnp.square(W_next), axis=1)
                damage = jnp.where(chosen, weight @ (delta * (slope + 0.5 * curvature * delta)), 0)
            elif layer == n_hidden - 2 and z_out.shape[1] <= _FEW_OUTPUTS and on_cpu():
                outputs = self._outputs_of_last_layer(params[-2:], gates[-1], emissions[-1], pre[-1])

                def evaluate_few(tile, delta=delta, W_next=W_next, outputs=outputs):
                    z = outputs(delta.T[tile], W_next[tile])
                    return (LOSSES[self.loss](jnp, z, y) - base) @ weight

                damage = map_chosen(evaluate_few, chosen, min(_SWEEP_ARMS, chosen.shape[0]))
            else:
                z_next = z_out if layer == n_hidden - 1 else pre[layer + 1]

                def evaluate(tile, delta=delta, W_next=W_next, z_next=z_next, layer=layer):
                    z = z_next + delta.T[tile][:, :, None] * W_next[tile][:, None, :]
                    return (suffix(layer + 1, z) - base) @ weight

                widest = max(self.layer_sizes[layer + 2 :])
                damage = map_chosen(evaluate, chosen, tile_size(X.shape[0] * widest, chosen.shape[0]))
            damages.append(damage)
        return jnp.concatenate(damages)

    def _outputs_of_last_layer(
        self, params: Params, gate: jax.Array, emission: jax.Array, pre: jax.Array
    ) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """Return the function from rank-one changes of the last hidden layer's pre-activation to the outputs.

        It takes ``delta``: f[arms, n] and ``W``: f[arms, n_last], and returns f[arms, n, n_outputs]. With few outputs
        the activations are not kept: the loop goes over the layer's units, and adds what each gives to the outputs.
        """
        (_, _, *slope), (W_out, b_out) = params
        padding = -pre.shape[1] % _UNITS_PER_TURN

        def blocks(a):  # units to the front, in blocks; those of the padding have no outgoing weights
            a = jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1))
            return a.reshape(-1, _UNITS_PER_TURN, *a.shape[1:])

        units = tuple(map(blocks, (W_out, pre.T, gate, emission, *slope)))

        def outputs(delta, W):
            W_blocks = jnp.pad(W, [(0, 0), (0, padding)])

            def turn(i, z):
                here = (lax.dynamic_index_in_dim(u, i, keepdims=False) for u in units)
                W_here = lax.dynamic_slice_in_dim(W_blocks, i * _UNITS_PER_TURN, _UNITS_PER_TURN, 1)
                for j, (out_j, pre_j, *unit) in enumerate(zip(*here, strict=True)):
                    a = self._emit(pre_j + W_here[:, j, None] * delta, *unit)
                    z = [z_o + a * out_j[o] for o, z_o in enumerate(z)]
                return z

            start = [jnp.full(delta.shape, b, delta.dtype) for b in b_out]
            return jnp.stack(lax.fori_loop(0, units[0].shape[0], turn, start), axis=-1)

        return outputs

    def _emit(self, z: jax.Array, gate: jax.Array, emission: jax.Array | None, *slope: jax.Array) -> jax.Array:
        h = activate(jnp, self.activation, z, *slope) * gate
        return h if emission is None else h + (1 - gate) * emission

    def _forward(
        self,
        params: Params,
        X: jax.Array,
        gates: Vectors,
        emissions: Vectors | None,
        dropout: Callable[[int, jax.Array], jax.Array] | None = None,
    ) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
        """Output pre-activation, emitted activations and pre-activations of the hidden layers."""
        hidden, pre = [], []
        a = X
        for i, (W, b, *slope) in enumerate(params[:-1]):
            pre.append(a @ W + b)
            a = self._emit(pre[-1], gates[i], None if emissions is None else emissions[i], *slope)
            hidden.append(a)
            if dropout is not None:
                a = dropout(i, a)
        W, b = params[-1]
        return a @ W + b, hidden, pre


@functools.cache
def _dense_groups(layer_sizes: tuple[int, ...], parametric: bool) -> Groups:
    def slices(layer: int) -> tuple[Slice, ...]:
        slope = (Slice((layer, 2), 0),) if parametric else ()
        return (Slice((layer, 0), 1), Slice((layer, 1), 0), *slope, Slice((layer + 1, 0), 0))

    return Groups(tuple(Group(size, slices(layer)) for layer, size in enumerate(layer_sizes[1:-1])))


def _positive(total: jax.Array) -> jax.Array:
    """A divisor that is never 0: a batch of weight 0 has loss 0."""
    return jnp.where(total > 0, total, 1)
