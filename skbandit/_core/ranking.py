"""Places of units in an order, and the choice of the best ``m`` of ``n`` with room for so many of each group.

On the device, where a policy or criterion works towards the choice that the engine makes on the host
(`skbandit.pruning.selection`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def ranks(value: jax.Array, among: jax.Array) -> jax.Array:
    """Return the place i32[n] of each arm, 0 = highest ``value``; arms that are not ``among`` come last."""
    order = jnp.argsort(jnp.where(among, -value, jnp.inf), stable=True)
    return jnp.zeros(value.shape[0], jnp.int32).at[order].set(jnp.arange(value.shape[0], dtype=jnp.int32))


def ranks_in_groups(value: jax.Array, among: jax.Array, group: jax.Array, n_groups: int) -> jax.Array:
    """Return the place i32[n] of each arm in its group, 0 = highest ``value``; others than ``among`` come last."""
    n = value.shape[0]
    place = jnp.arange(n, dtype=jnp.int32)
    sorted_group, _, order = lax.sort((group, jnp.where(among, -value, jnp.inf), place), num_keys=2)
    first = jnp.cumsum(jnp.zeros(n_groups, jnp.int32).at[group].add(1)) - jnp.zeros(n_groups, jnp.int32).at[group].add(
        1
    )
    return jnp.zeros(n, jnp.int32).at[order].set(place - first[sorted_group])


def places(first: jax.Array, then: jax.Array) -> jax.Array:
    """Return the place i32[n] of each unit in the order of ``first``, and of ``then`` among equals, highest first."""
    n = first.shape[0]
    place = jnp.arange(n, dtype=jnp.int32)
    then = jnp.where(jnp.isnan(then), -jnp.inf, then)
    *_, order = lax.sort((-first, -then, place), num_keys=2)
    return jnp.zeros(n, jnp.int32).at[order].set(place)


def choose(value: jax.Array, among: jax.Array, n_choose: jax.Array, group: jax.Array, room: jax.Array) -> jax.Array:
    """Return the ``n_choose`` units ``among`` bool[n] of highest value, at most ``room`` i32[n_groups] of a group."""
    fits = among & (ranks_in_groups(value, among, group, room.shape[0]) < room[group])
    return fits & (ranks(value, fits) < n_choose)
