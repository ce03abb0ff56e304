r"""All arms of a mini-batch at the cost of a few forward passes.

Masking unit :math:`j` of layer :math:`l` changes only column :math:`j` of :math:`A_l`, by
:math:`\delta_j = e_j - h_j`, so that :math:`Z_{l+1}` changes by the rank-one term :math:`\delta_j W_{l+1}[j, :]`
(notation: `mlp`). All arms share the forward pass up to there, and only the layers above :math:`l + 1` are evaluated
per arm. In the last hidden layer that is no layer at all, and for squared error the loss itself has a closed form.

Arms go through in tiles whose intermediates stay in the processor's cache: at 256 rows and 256 units, tiles of 8 take
a tenth of the time of one pass over all arms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._tabular.network.losses import LOSSES
from skbandit.networks.damages import map_chosen, on_cpu, tile_size
from skbandit.networks.groups import Groups

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


class DenseForward(Protocol):
    """What the evaluator asks of a chain of dense layers."""

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Input features, hidden widths, outputs."""

    @property
    def loss(self) -> str:
        """Name of the loss."""

    @property
    def groups(self) -> Groups:
        """A group for each hidden layer."""

    def forward(
        self, params: Params, X: jax.Array, gates: Vectors, emissions: Vectors
    ) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
        """Return the outputs' pre-activation, and what hidden layers emit, and their pre-activations."""

    def emit(self, z: jax.Array, gate: jax.Array, emission: jax.Array, *slope: jax.Array) -> jax.Array:
        """Return what a layer emits at pre-activations ``z``."""


def damages(
    network: DenseForward,
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
    network : DenseForward
    params : tuple of (W, b, ...)
    gates, emissions : tuple of f[n_l]
        The network as it stands, and what a masked unit emits.
    X, y : f[n, n_features], f[n, n_targets]
        Rows of a mini-batch.
    weight : f[n]
        Weights of the rows, summing to 1.
    arms : bool[n_units]
        The units to evaluate; they must be on. Cost is in proportion to their number.

    Returns
    -------
    damage : f[n_units]
        Loss of the batch with the unit masked minus loss without, 0 where not chosen.
    """
    loss = LOSSES[network.loss].rows
    z_out, hidden, pre = network.forward(params, X, gates, emissions)
    base = loss(jnp, z_out, y)
    n_hidden = len(network.layer_sizes) - 2

    def suffix(layer: int, z: jax.Array) -> jax.Array:
        """Row losses from the pre-activation f[..., n, n_layer] of ``layer``."""
        for i in range(layer, n_hidden):
            z = network.emit(z, gates[i], emissions[i], *params[i][2:]) @ params[i + 1][0] + params[i + 1][1]
        return loss(jnp, z, y)

    damages = []
    for layer, chosen in enumerate(network.groups.split(arms)):
        W_next = params[layer + 1][0]
        delta = emissions[layer] - hidden[layer]  # f[rows, n_l]; for a unit that is on, its change when masked
        if layer == n_hidden - 1 and network.loss == "squared_error":
            # ½ mean_o ((r_o + δ w_o)² - r_o²) = mean_o (r_o w_o) δ + ½ mean_o (w_o²) δ², r = z - y
            slope = ((z_out - y) @ W_next.T) / y.shape[1]
            curvature = jnp.mean(jnp.square(W_next), axis=1)
            damage = jnp.where(chosen, weight @ (delta * (slope + 0.5 * curvature * delta)), 0)
        elif layer == n_hidden - 2 and z_out.shape[1] <= _FEW_OUTPUTS and on_cpu():
            outputs = _outputs_of_last_layer(network, params[-2:], gates[-1], emissions[-1], pre[-1])

            def evaluate_few(tile, delta=delta, W_next=W_next, outputs=outputs):
                z = outputs(delta.T[tile], W_next[tile])
                return (loss(jnp, z, y) - base) @ weight

            damage = map_chosen(evaluate_few, chosen, min(_SWEEP_ARMS, chosen.shape[0]))
        else:
            z_next = z_out if layer == n_hidden - 1 else pre[layer + 1]

            def evaluate(tile, delta=delta, W_next=W_next, z_next=z_next, layer=layer):
                z = z_next + delta.T[tile][:, :, None] * W_next[tile][:, None, :]
                return (suffix(layer + 1, z) - base) @ weight

            widest = max(network.layer_sizes[layer + 2 :])
            damage = map_chosen(evaluate, chosen, tile_size(X.shape[0] * widest, chosen.shape[0]))
        damages.append(damage)
    return jnp.concatenate(damages)


def _outputs_of_last_layer(
    network: DenseForward, params: Params, gate: jax.Array, emission: jax.Array, pre: jax.Array
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
                a = network.emit(pre_j + W_here[:, j, None] * delta, *unit)
                z = [z_o + a * out_j[o] for o, z_o in enumerate(z)]
            return z

        start = [jnp.full(delta.shape, b, delta.dtype) for b in b_out]
        return jnp.stack(lax.fori_loop(0, units[0].shape[0], turn, start), axis=-1)

    return outputs
