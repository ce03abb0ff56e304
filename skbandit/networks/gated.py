"""Any network whose loss takes gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skbandit.networks.groups import Groups

if TYPE_CHECKING:
    import jax

    Vectors = tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class GatedNetwork:
    """Any network whose loss takes gates: what `skbandit.prune` needs to know of it.

    The functions are part of the key of compiled programs: define them at the top of a module, once. A function that
    is made anew for every call compiles anew.

    Parameters
    ----------
    loss : callable (params, gates, X, y, weight) → scalar
        Weighted mean loss of a mini-batch, traceable by JAX. ``gates`` has one vector f[size] for each group, to be
        multiplied onto what its units give out: 1 leaves a unit as it is, 0 masks it. ``weight`` f[n] sums to 1; rows
        of weight 0 must not count.
    groups : Groups or list of Group
        The units, and the slices of the parameters that are removed with each.
    activations : callable (params, gates, X) → tuple of f[n, size], optional
        What the units of each group give out, after their gates: one number for each row and unit. Where a unit gives
        out more, as a filter does, their mean. Criteria that look at activations need it.
    gates_by_row : bool, default=False
        Whether ``loss`` takes gates f[n, size], one for each row, as well: each then reaches its row alone. Criteria of
        a noise model draw noise for each row where it does, and for each mini-batch where it does not.

    Examples
    --------
    A convolution. The gates stand behind the activation function, one for each filter:

    >>> import jax, jax.numpy as jnp
    >>> from skbandit.networks import GatedNetwork, Group, Groups, Slice
    >>> def filters(params, gates, X):
    ...     z = jax.lax.conv(X, params["kernel"], (1, 1), "SAME")
    ...     return jax.nn.relu(z) * gates[0][:, None, None]
    >>> def loss(params, gates, X, y, weight):
    ...     prediction = filters(params, gates, X).mean((2, 3)) @ params["out"]
    ...     return jnp.sum(weight * (prediction - y) ** 2)
    >>> def activations(params, gates, X):
    ...     return (filters(params, gates, X).mean((2, 3)),)
    >>> groups = Groups([Group("filters", 16, incoming=[Slice("kernel", 0)], outgoing=[Slice("out", 0)])])
    >>> network = GatedNetwork(loss, groups, activations)
    """

    loss: Callable[..., jax.Array]
    groups: Groups
    activations: Callable[..., Vectors] | None = None
    gates_by_row: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.groups, Groups):  # a list of groups will do
            object.__setattr__(self, "groups", Groups(self.groups))
        for name in ("loss", "activations"):
            value = getattr(self, name)
            if not (callable(value) or (name == "activations" and value is None)):
                raise ValueError(f"The {name!r} parameter of GatedNetwork must be callable. Got {value!r} instead.")

    def batch_loss(
        self, params: Any, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return ``loss``; a masked unit emits 0 (``emissions`` are zeros)."""
        value = self.loss(params, gates, X, y, weight)
        if getattr(value, "shape", None) != ():
            found = f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
            raise ValueError(f"The 'loss' of a GatedNetwork must return a scalar array. It returned {found}.")
        return value
