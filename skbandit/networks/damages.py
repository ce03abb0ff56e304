"""The damage of masking each of the chosen units: its definition, and how the units go through in tiles.

Masking a unit is setting its gate to 0. Only the gates of the unit's own group get the axis of arms, so that XLA
computes what lies before that group once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.scope import n_devices, spread
from skbandit.networks.capabilities import Prunable

Params = Any
Vectors = tuple[jax.Array, ...]

#: Floats of one tile's intermediate: 2 MB in float32, about a core's second-level cache; accelerators fill up instead.
_TILE_FLOATS = {"cpu": 2**19}
_TILE_FLOATS_ACCELERATOR = 2**26


def damages_by_masking(
    network: Prunable,
    params: Params,
    gates: Vectors,
    emissions: Vectors,
    X: jax.Array,
    y: jax.Array,
    weight: jax.Array,
    arms: jax.Array,
    tile: int = 8,
) -> jax.Array:
    """Return the paired damage of masking each of the chosen units alone, by one gated forward pass for each.

    The definition of damage, and the way of every network that has no faster one.

    Parameters
    ----------
    network : Prunable
    params : pytree
    gates, emissions : tuple of f[n_g]
        The network as it stands, and what a masked unit gives out.
    X, y, weight : arrays
        A mini-batch; its weights f[n] sum to 1.
    arms : bool[n_units]
        The units to evaluate; they must be on. The cost is in proportion to their number.
    tile : int, default=8
        Forward passes that are vmapped.

    Returns
    -------
    damage : f[n_units]
        Loss of the mini-batch with the unit masked minus loss without; 0 where not chosen.
    """
    base = network.batch_loss(params, gates, emissions, X, y, weight)
    damages = []
    for g, chosen in enumerate(network.groups.split(arms)):

        def one(unit: jax.Array, g: int = g) -> jax.Array:
            masked = (*gates[:g], gates[g].at[unit].set(0), *gates[g + 1 :])
            return network.batch_loss(params, masked, emissions, X, y, weight) - base

        damages.append(map_chosen(jax.vmap(one), chosen, min(tile, chosen.shape[0])))
    return jnp.concatenate(damages)


def map_chosen(evaluate: Callable[[jax.Array], jax.Array], chosen: jax.Array, tile: int) -> jax.Array:
    """Call ``evaluate`` on the chosen units only, tile by tile.

    Parameters
    ----------
    evaluate : callable i32[tile] → f[tile]
    chosen : bool[n]
    tile : int

    Returns
    -------
    f[n]
        0 where not chosen.
    """
    n = chosen.shape[0]
    tile = -(-tile // n_devices()) * n_devices()
    # Chosen units to the front: unit i goes to place (number of chosen ones before it), the others out of bounds.
    place = jnp.where(chosen, jnp.cumsum(chosen) - 1, n + tile)
    units = jnp.full(n + tile, n, jnp.int32).at[place].set(jnp.arange(n, dtype=jnp.int32), mode="drop")
    n_tiles = (jnp.sum(chosen) + tile - 1) // tile

    def body(i: jax.Array, out: jax.Array) -> jax.Array:
        (window,) = spread(lax.dynamic_slice(units, (i * tile,), (tile,)))
        # Empty places of the last tile hold n: the gather clips, the scatter drops.
        values = evaluate(jnp.minimum(window, n - 1))
        return out.at[window].set(values, mode="drop")

    dtype = jax.eval_shape(evaluate, units[:tile]).dtype
    damages: jax.Array = lax.fori_loop(0, n_tiles, body, jnp.zeros(n, dtype))
    return damages


def platform() -> str:
    """Return the platform that a program compiled now would run on: "cpu", "gpu", ..."""
    device = getattr(jax.config, "jax_default_device", None)
    return getattr(device, "platform", None) or jax.default_backend()


def on_cpu() -> bool:
    """Say whether that is a CPU."""
    return platform() == "cpu"


def tile_size(floats_per_arm: int, n_arms: int) -> int:
    """Return how many arms go through at a time, where each makes an intermediate of ``floats_per_arm`` numbers."""
    fits = _TILE_FLOATS.get(platform(), _TILE_FLOATS_ACCELERATOR) // floats_per_arm
    return int(min(max(fits, 1), n_arms))
