"""The damage of masking each of the chosen units: its definition, and how the units go through in tiles."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.scope import n_devices, spread

Params = Any
Vectors = tuple[jax.Array, ...]

#: Floats of one tile's intermediate: 2 MB in float32, about a core's second-level cache; accelerators fill up instead.
_TILE_FLOATS = {"cpu": 2**19}
_TILE_FLOATS_ACCELERATOR = 2**26


def damages_by_masking(
    network: Any,
    params: Params,
    gates: Vectors,
    emissions: Vectors,
    X: jax.Array,
    y: jax.Array,
    weight: jax.Array,
    arms: jax.Array,
    tile: int = 8,
) -> jax.Array:
    """The definition of damage, one gated forward pass per unit: the reference, and the way of other networks.

    Works for every network with ``groups`` and ``batch_loss``. The forward passes are vmapped over ``tile`` arms. The
    weights of the rows sum to 1, as in `MLP.damages`.
    """
    groups = network.groups
    base = network.batch_loss(params, gates, emissions, X, y, weight)
    flat = jnp.concatenate(gates)

    def one(unit: jax.Array) -> jax.Array:
        masked = groups.split(flat.at[unit].set(0))
        return network.batch_loss(params, masked, emissions, X, y, weight) - base

    return map_chosen(jax.vmap(one), arms, min(tile, groups.n_units))


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


def map_chosen(evaluate, chosen: jax.Array, tile: int) -> jax.Array:
    """Call ``evaluate(units i32[tile]) → f[tile]`` on the chosen units only, tile by tile; 0 elsewhere."""
    n = chosen.shape[0]
    tile = -(-tile // n_devices()) * n_devices()
    # Chosen units to the front: unit i goes to place (number of chosen ones before it), the others out of bounds.
    place = jnp.where(chosen, jnp.cumsum(chosen) - 1, n + tile)
    units = jnp.full(n + tile, n, jnp.int32).at[place].set(jnp.arange(n, dtype=jnp.int32), mode="drop")
    n_tiles = (jnp.sum(chosen) + tile - 1) // tile

    def body(i, out):
        (window,) = spread(lax.dynamic_slice(units, (i * tile,), (tile,)))
        # Empty places of the last tile hold n: the gather clips, the scatter drops.
        values = evaluate(jnp.minimum(window, n - 1))
        return out.at[window].set(values, mode="drop")

    dtype = jax.eval_shape(evaluate, units[:tile]).dtype
    return lax.fori_loop(0, n_tiles, body, jnp.zeros(n, dtype))
