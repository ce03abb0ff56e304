"""Any network whose loss takes gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skbandit._core.constraints import shown
from skbandit.networks.checks import check_signature, checked_loss
from skbandit.networks.groups import Groups

if TYPE_CHECKING:
    import jax

    Vectors = tuple[jax.Array, ...]


_LOSS_TAKES = ("params", "gates", "X", "y", "weight")
_ACTIVATIONS_TAKE = ("params", "gates", "X")


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
            try:
                object.__setattr__(self, "groups", Groups(self.groups))
            except ValueError as error:
                raise ValueError(f"The 'groups' parameter of GatedNetwork must be Groups or a list: {error}") from None
        for name, takes in (("loss", _LOSS_TAKES), ("activations", _ACTIVATIONS_TAKE)):
            value = getattr(self, name)
            if name == "activations" and value is None:
                continue
            if not callable(value):
                raise ValueError(
                    f"The {name!r} parameter of GatedNetwork must be callable. Got {shown(value)} instead."
                )
            check_signature("GatedNetwork", name, value, takes)
        if not isinstance(self.gates_by_row, bool):
            raise ValueError(
                f"The 'gates_by_row' parameter of GatedNetwork must be a bool. Got {shown(self.gates_by_row)} instead."
            )

    def batch_loss(
        self, params: Any, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return ``loss``; a masked unit emits 0 (``emissions`` are zeros)."""
        value: jax.Array = checked_loss("'loss' of a GatedNetwork", self.loss(params, gates, X, y, weight))
        return value
