"""Any network whose loss takes gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from skbandit.networks.groups import Groups

Vectors = tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class GatedNetwork:
    """Any network whose loss takes gates: what `skbandit.prune` needs to know of it.

    Parameters
    ----------
    loss : callable (params, gates, X, y, weight) → scalar
        Weighted mean loss of a mini-batch, traceable by JAX, with weights in the sense that rows of weight 0 do not
        count; they sum to 1. ``gates`` is a tuple of f[size] per group, to be multiplied onto the units' outputs. A
        module-level function: its identity is part of the compiled program's key.
    groups : Groups
        The slices that leave with each unit.
    """

    loss: Callable[..., jax.Array]
    groups: Groups

    def batch_loss(
        self, params: Any, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return ``loss``; a masked unit emits 0 (``emissions`` are zeros)."""
        return self.loss(params, gates, X, y, weight)
