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
#: From numbers of units, i32[tile], to a value for each of them (f[tile], or f[tile, n] over rows).
Evaluate = Callable[[jax.Array], jax.Array]

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
        ...

    @property
    def loss(self) -> str:
        """Name of the loss."""
        ...

    @property
    def groups(self) -> Groups:
        """A group for each hidden layer."""
        ...

    def forward(
        self, params: Params, X: jax.Array, gates: Vectors, emissions: Vectors
    ) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
        """Return the outputs' pre-activation, and what hidden layers emit, and their pre-activations."""
        ...

    def emit(self, z: jax.Array, gate: jax.Array, emission: jax.Array, *slope: jax.Array) -> jax.Array:
        """Return what a layer emits at pre-activations ``z``."""
        ...


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
    z_out, hidden, pre = network.forward(params, X, gates, emissions)
    n_hidden = len(network.layer_sizes) - 2
    base = _rows(network, z_out, y)
    damages = []
    for layer, chosen in enumerate(network.groups.split(arms)):
        W_next = params[layer + 1][0]
        delta = emissions[layer] - hidden[layer]  # f[rows, n_l]; for a unit that is on, its change when masked
        if layer == n_hidden - 1 and network.loss == "squared_error":
            # ½ mean_o ((r_o + δ w_o)² - r_o²) = mean_o (r_o w_o) δ + ½ mean_o (w_o²) δ², r = z - y
            slope = ((z_out - y) @ W_next.T) / y.shape[1]
            curvature = jnp.mean(jnp.square(W_next), axis=1)
            damages.append(jnp.where(chosen, weight @ (delta * (slope + 0.5 * curvature * delta)), 0))
            continue
        if layer == n_hidden - 2 and z_out.shape[1] <= _FEW_OUTPUTS and on_cpu():
            losses = _losses_of_few_outputs(network, params[-2:], gates[-1], emissions[-1], pre[-1], delta, W_next, y)
            tile = min(_SWEEP_ARMS, chosen.shape[0])
        else:
            z_next = z_out if layer == n_hidden - 1 else pre[layer + 1]
            losses = _losses_of_suffix(network, params, gates, emissions, layer + 1, z_next, delta, W_next, y)
            tile = tile_size(X.shape[0] * max(network.layer_sizes[layer + 2 :]), chosen.shape[0])
        damages.append(map_chosen(_difference(losses, base, weight), chosen, tile))
    return jnp.concatenate(damages)


def _rows(network: DenseForward, z: jax.Array, y: jax.Array) -> jax.Array:
    losses: jax.Array = LOSSES[network.loss].rows(jnp, z, y)
    return losses


def _difference(losses: Evaluate, base: jax.Array, weight: jax.Array) -> Evaluate:
    return lambda units: (losses(units) - base) @ weight


def _losses_of_suffix(
    network: DenseForward,
    params: Params,
    gates: Vectors,
    emissions: Vectors,
    layer: int,
    z_next: jax.Array,
    delta: jax.Array,
    W_next: jax.Array,
    y: jax.Array,
) -> Evaluate:
    """Return the function from units to row losses f[units, n], through all layers from ``layer`` on."""
    n_hidden = len(network.layer_sizes) - 2

    def losses(units: jax.Array) -> jax.Array:
        z = z_next + delta.T[units][:, :, None] * W_next[units][:, None, :]
        for i in range(layer, n_hidden):
            z = network.emit(z, gates[i], emissions[i], *params[i][2:]) @ params[i + 1][0] + params[i + 1][1]
        return _rows(network, z, y)

    return losses


def _losses_of_few_outputs(
    network: DenseForward,
    params: Params,
    gate: jax.Array,
    emission: jax.Array,
    pre: jax.Array,
    delta: jax.Array,
    W_next: jax.Array,
    y: jax.Array,
) -> Evaluate:
    """Return the function from units of the last but one hidden layer to row losses f[units, n]."""
    outputs = _outputs_of_last_layer(network, params, gate, emission, pre)
    return lambda units: _rows(network, outputs(delta.T[units], W_next[units]), y)


def _outputs_of_last_layer(
    network: DenseForward, params: Params, gate: jax.Array, emission: jax.Array, pre: jax.Array
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the function from rank-one changes of the last hidden layer's pre-activation to the outputs.

    It takes ``delta``: f[arms, n] and ``W``: f[arms, n_last], and returns f[arms, n, n_outputs]. With few outputs
    the activations are not kept: the loop goes over the layer's units, and adds what each gives to the outputs.
    """
    (_, _, *slope), (W_out, b_out) = params
    padding = -pre.shape[1] % _UNITS_PER_TURN

    def blocks(a: jax.Array) -> jax.Array:  # units to the front, in blocks; the padding has no outgoing weights
        a = jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1))
        return a.reshape(-1, _UNITS_PER_TURN, *a.shape[1:])

    units = tuple(map(blocks, (W_out, pre.T, gate, emission, *slope)))

    def outputs(delta: jax.Array, W: jax.Array) -> jax.Array:
        W_blocks = jnp.pad(W, [(0, 0), (0, padding)])

        def turn(i: jax.Array, z: list[jax.Array]) -> list[jax.Array]:
            here = (lax.dynamic_index_in_dim(u, i, keepdims=False) for u in units)
            W_here = lax.dynamic_slice_in_dim(W_blocks, i * _UNITS_PER_TURN, _UNITS_PER_TURN, 1)
            for j, (out_j, pre_j, *unit) in enumerate(zip(*here, strict=True)):
                a = network.emit(pre_j + W_here[:, j, None] * delta, *unit)
                z = [z_o + a * out_j[o] for o, z_o in enumerate(z)]
            return z

        start = [jnp.full(delta.shape, b, delta.dtype) for b in b_out]
        return jnp.stack(lax.fori_loop(0, units[0].shape[0], turn, start), axis=-1)

    return outputs
