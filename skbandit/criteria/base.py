"""What every criterion is: whatever ranks a network's units by how safe they are to remove.

A criterion sees a `Problem`: the network as it stands, the rows to measure on, and the pulls that it may spend. It
returns `Scores`. It never removes anything: the engine does.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skbandit._core.pytree import ParamsMixin, pytree_dataclass, static
from skbandit._core.rows import Batches
from skbandit._core.scope import spread
from skbandit.networks.capabilities import ACTIVATIONS, FAST_DAMAGES, Capability, Prunable, offers
from skbandit.networks.damages import damages_by_masking


@pytree_dataclass
class Problem:
    """The state of pruning at the start of a round. Arrays are traced, the rest is static."""

    params: Any
    """Parameters at their original shapes; the slices of removed units are zero."""
    gates: tuple[jax.Array, ...]
    """f[n_g] per group: 1 = on, 0 = removed."""
    emissions: tuple[jax.Array, ...]
    """f[n_g] per group: what a unit gives out when masked."""
    batches: Batches
    """Calibration rows."""
    budget: jax.Array
    """i32: pulls of this round, at most one for each active unit and mini-batch."""
    n_remove: jax.Array
    """i32: units that leave in this round, or would if all goes well."""
    room: jax.Array
    """i32[n_groups]: no more than so many units of a group may leave in this round."""
    network: Prunable = static()
    """What else it offers is asked with `skbandit.networks.capabilities.offers`."""
    arms_per_step: int = static()

    @property
    def n_units(self) -> int:
        """Number of units, removed ones included."""
        return self.network.groups.n_units

    @property
    def n_batches_max(self) -> int:
        """Mini-batches at most: as many as the padded rows make."""
        return self.batches.total.shape[0]

    def pull(self, t: jax.Array, arms: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mask each of the units ``arms: bool[n]`` alone, on mini-batch ``t < n_batches``, the same for all of them.

        Returns
        -------
        damage : f[n]
            Paired damages; 0 where not pulled.
        weight : f[]
            Summed weight of the mini-batch's rows.
        """
        X, y, weight, total = self.batches.take(t)
        X, y, weight = spread(X, y, weight)
        return self.damages(X, y, weight, arms), total

    def damages(self, X: jax.Array, y: jax.Array, weight: jax.Array, arms: jax.Array) -> jax.Array:
        """Return the paired damages f[n] of the units ``arms: bool[n]`` on rows; 0 for the others."""
        network = self.network
        args = (self.params, self.gates, self.emissions, X, y, weight, arms)
        return network.damages(*args) if offers(network, FAST_DAMAGES) else damages_by_masking(network, *args)

    def loss(
        self, params: Any, gates: tuple[jax.Array, ...], X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the loss of rows under other parameters or gates."""
        return self.network.batch_loss(params, gates, self.emissions, X, y, weight)

    def activations(self, X: jax.Array) -> tuple[jax.Array, ...]:
        """Return what the units of each group give out, f[rows, n_g]; for criteria that need `ShowsActivations`."""
        assert offers(self.network, ACTIVATIONS)
        return self.network.activations(self.params, self.gates, X)

    def mean(self, of: Callable[[jax.Array, jax.Array, jax.Array], Any]) -> Any:
        """Return the mean of ``of(X, y, weight)``, a pytree, over the mini-batches, each with its rows' weight.

        The weights that ``of`` gets sum to 1: a weighted mean over a mini-batch's rows becomes that of all rows.
        """
        return self.batches.mean(of)

    def mean_loss(self, params: Any, gates: tuple[jax.Array, ...]) -> jax.Array:
        """Return the loss on all rows under other parameters or gates."""
        loss: jax.Array = self.mean(lambda X, y, weight: self.loss(params, gates, X, y, weight))
        return loss


class Scores(NamedTuple):
    """A criterion's verdict on every unit."""

    value: jax.Array
    """f[n]: higher = safer to remove. Only active units count."""
    n_pulls: jax.Array
    """i32: pulls spent."""
    damage: jax.Array
    """f[n]: expected rise of the loss when the unit alone leaves; NaN where the criterion does not estimate it."""
    suggested: jax.Array | None = None
    """bool[n]: the set that the criterion itself would remove, where it has such a rule: ``pruning_ratio="auto"``
    removes that set."""
    params: Any = None
    """Parameters to go on with, where the criterion has changed them: the same function, from which units then leave
    at no loss."""
    info: Any = None


@dataclasses.dataclass(frozen=True)
class Criterion(ParamsMixin, abc.ABC):
    """Interface of a criterion; subclasses are frozen dataclasses registered as pytrees."""

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[Capability[Any], ...]] = ()
    """What a network must offer beside `Prunable`, whatever the fields; `required` is what is asked."""
    draws_by_row: ClassVar[bool] = False
    """Whether it draws random numbers for each row. Copies of a row then share an id, and so their draws: otherwise a
    row of weight 2 would not give what two copies of the row give."""

    @property
    def suggests(self) -> bool:
        """Whether its scores come with a set of its own, which ``pruning_ratio="auto"`` then removes."""
        return False

    def required(self) -> tuple[Capability[Any], ...]:
        """Return what a network must offer for this object, with its fields as they are."""
        return self.needs

    @property
    def label(self) -> str:
        """What messages call the criterion: its name if its fields are the defaults."""
        return self.name if self.name and self == type(self)() else repr(self)

    def init(self, key: jax.Array, problem: Problem) -> Any:
        """Return the state that is carried from round to round."""
        return ()

    @abc.abstractmethod
    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Score the active units bool[n]; the body of one XLA call."""


def checked(criterion: Criterion, result: Any, n: int) -> tuple[Any, Scores]:
    """Return what the step of a criterion returned, after a look at types and shapes; called while it is traced."""
    step = f"{type(criterion).__name__}.step"
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Scores)):
        raise ValueError(f"{step} must return (state, Scores). It returned {type(result).__name__}.")
    state, scores = result

    def require(name: str, shape: tuple[int, ...], kind: Any) -> None:
        value = getattr(scores, name)
        array = isinstance(value, (jax.Array, np.ndarray, np.generic, int, float))
        if not array or jnp.shape(value) != shape or not jnp.issubdtype(jnp.result_type(value), kind):
            found = f"{jnp.result_type(value)}{list(jnp.shape(value))}" if array else repr(value)
            want = f"{kind.__name__}{list(shape)}"
            raise ValueError(f"{step} must return Scores whose {name!r} is {want}, with {n} units. It is {found}.")

    require("value", (n,), jnp.floating)
    require("damage", (n,), jnp.floating)
    require("n_pulls", (), jnp.integer)
    if criterion.suggests or scores.suggested is not None:
        require("suggested", (n,), jnp.bool_)
    return state, scores


def trainable(params: Any) -> tuple[list[jax.Array], Callable[[list[jax.Array]], Any]]:
    """Return the arrays of floats in ``params``, and the function that puts others in their places."""
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def rebuild(new: list[jax.Array]) -> Any:
        replacements = iter(new)
        return jax.tree.unflatten(
            tree, [next(replacements) if f else leaf for f, leaf in zip(floats, leaves, strict=True)]
        )

    return [leaf for f, leaf in zip(floats, leaves, strict=True) if f], rebuild


def scores_without_pulls(value: jax.Array, suggested: jax.Array | None = None) -> Scores:
    """Scores of a criterion that measures no damage."""
    return Scores(value, jnp.zeros((), jnp.int32), jnp.full_like(value, jnp.nan), suggested)
