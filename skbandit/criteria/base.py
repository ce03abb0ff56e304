"""The interface of a criterion, which ranks the units of a network by how safe they are to remove.

A criterion gets a `Problem`: the network, the calibration rows, and the number of pulls that it may spend. It returns
`Scores`: a value for each unit. It does not remove units; the engine does (`skbandit.pruning`).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from skbandit._core.pytree import ParamsMixin, pytree_dataclass, static
from skbandit._core.rows import Batches
from skbandit._core.scope import spread
from skbandit.networks.capabilities import ACTIVATIONS, FAST_DAMAGES, Capability, Prunable, demand, offers
from skbandit.networks.checks import checked_activations, checked_damages
from skbandit.networks.damages import damages_by_masking


@pytree_dataclass
class Problem:
    """The state of pruning at the start of a round. Arrays are traced; the other fields are static."""

    params: Any
    """Parameters of the network, at their original shapes; the slices of removed units are 0."""
    gates: tuple[jax.Array, ...]
    """f[n_g] for each group: 1 = on, 0 = removed."""
    emissions: tuple[jax.Array, ...]
    """f[n_g] for each group: the output of a unit when it is masked."""
    batches: Batches
    """Calibration rows."""
    budget: jax.Array
    """i32: number of pulls of this round; at most one for each active unit and mini-batch."""
    n_remove: jax.Array
    """i32: number of units to remove in this round; fewer may be removed."""
    room: jax.Array
    """i32[n_groups]: maximum number of units of each group to remove in this round."""
    network: Prunable = static()
    """The network; `skbandit.networks.capabilities.offers` tells what it offers beyond `Prunable`."""
    arms_per_step: int = static()
    """Number of units that a bandit pulls in one step, on one mini-batch, unless its policy sweeps over all units."""
    table: jax.Array | None = None
    """f[D, n]: damages of the active units on each mini-batch, where few mini-batches let them be measured beforehand;
    `look_up` reads them."""

    @property
    def n_units(self) -> int:
        """Number of units, including removed ones."""
        return self.network.groups.n_units

    @property
    def n_batches_max(self) -> int:
        """Maximum number of mini-batches: as many as the padded rows fill."""
        return self.batches.total.shape[0]

    def pull(self, t: jax.Array, arms: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Measure the damage of some units on one mini-batch, each masked alone.

        Parameters
        ----------
        t : i32
            Index of the mini-batch, less than ``batches.n_batches``.
        arms : bool[n]
            Units to mask.

        Returns
        -------
        damage : f[n]
            Paired damages; 0 for the other units.
        weight : f[]
            Summed weight of the mini-batch's rows.
        """
        X, y, weight, total = self.batches.take(t)
        X, y, weight = spread(X, y, weight)
        return self.damages(X, y, weight, arms), total

    def look_up(self, t: jax.Array, arms: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return what `pull` would return, from the damages that were measured beforehand."""
        assert self.table is not None
        return jnp.where(arms, lax.dynamic_index_in_dim(self.table, t, keepdims=False), 0), self.batches.total[t]

    def damages(self, X: jax.Array, y: jax.Array, weight: jax.Array, arms: jax.Array) -> jax.Array:
        """Measure the damage of some units on rows, each masked alone.

        Parameters
        ----------
        X : f[rows, n_features]
        y : f[rows, ...]
        weight : f[rows]
            Non-negative weights of the rows, summing to 1.
        arms : bool[n]
            Units to mask.

        Returns
        -------
        damage : f[n]
            Paired damages; 0 for the other units.
        """
        network = self.network
        args = (self.params, self.gates, self.emissions, X, y, weight, arms)
        if not offers(network, FAST_DAMAGES):
            return damages_by_masking(network, *args)
        damages: jax.Array = checked_damages(network.damages(*args), self.n_units)
        return damages

    def derivatives(self, X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        """Return the derivatives of the loss on rows with respect to the gates, f[n], in one backward pass.

        Parameters
        ----------
        X, y, weight
            As for `damages`.
        """
        # Rows of padding have a weight of 0, which an infinite derivative would turn into NaN: a real row stands there.
        rows = jnp.where(weight > 0, jnp.arange(weight.size), jnp.argmax(weight > 0))
        X, y = jax.tree.map(lambda a: a[rows], (X, y))
        of_groups = jax.grad(lambda gates: self.loss(self.params, gates, X, y, weight))(self.gates)
        derivatives: jax.Array = jnp.concatenate(of_groups)
        return derivatives

    def slopes(self, X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        """Return the first-order part of the damages of all units on rows, f[n].

        It is minus the gate times the derivative of the loss: the damage, if the loss were linear in the gates.

        Parameters
        ----------
        X, y, weight
            As for `damages`.
        """
        return -jnp.concatenate(self.gates) * self.derivatives(X, y, weight)

    def slopes_on(self, t: jax.Array) -> jax.Array:
        """Return `slopes` on one mini-batch, f[n]; ``t`` is its index, less than ``batches.n_batches``."""
        X, y, weight, _ = self.batches.take(t)
        return self.slopes(*spread(X, y, weight))

    def loss(
        self, params: Any, gates: tuple[jax.Array, ...], X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the loss on rows with other parameters or gates.

        Parameters
        ----------
        params : pytree
            Parameters of the network.
        gates : tuple of f[n_g]
            Gates of each group.
        X : f[rows, n_features]
        y : f[rows, ...]
        weight : f[rows]
            Non-negative weights of the rows, summing to 1.

        Returns
        -------
        loss : f[]
        """
        return self.network.batch_loss(params, gates, self.emissions, X, y, weight)

    def activations(self, X: jax.Array) -> tuple[jax.Array, ...]:
        """Return the activations of each group, f[rows, n_g]; for criteria that need `ShowsActivations`."""
        network = demand(self.network, ACTIVATIONS, "Problem.activations")
        n_rows = jax.tree.leaves(X)[0].shape[0]
        return checked_activations(network.activations(self.params, self.gates, X), n_rows, network.groups.sizes)

    def mean(self, of: Callable[[jax.Array, jax.Array, jax.Array], Any]) -> Any:
        """Return the mean of a function over the mini-batches, weighted by the summed weight of their rows.

        Parameters
        ----------
        of : callable (X, y, weight) → pytree
            The weights that it gets sum to 1, so that its weighted means over the rows of a mini-batch become weighted
            means over all rows.

        Returns
        -------
        mean : pytree
        """
        return self.batches.mean(of)

    def mean_loss(self, params: Any, gates: tuple[jax.Array, ...]) -> jax.Array:
        """Return the loss on all rows with other parameters or gates."""
        loss: jax.Array = self.mean(lambda X, y, weight: self.loss(params, gates, X, y, weight))
        return loss


class Scores(NamedTuple):
    """What a criterion returns: a value for every unit."""

    value: jax.Array
    """f[n]: higher = safer to remove. The values of inactive units are ignored."""
    n_pulls: jax.Array
    """i32: number of pulls spent."""
    damage: jax.Array
    """f[n]: estimated rise of the loss if the unit alone is removed; NaN if the criterion does not estimate it."""
    suggested: jax.Array | None = None
    """bool[n]: the set of units that ``pruning_ratio="auto"`` removes, if the criterion has a rule that names a set."""
    params: Any = None
    """New parameters of the network, if the criterion changes them: the network computes the same function, and units
    can then be removed without loss."""
    info: Any = None
    """Diagnostics of the criterion."""


@dataclasses.dataclass(frozen=True)
class Criterion(ParamsMixin, abc.ABC):
    """Interface of a criterion.

    Subclasses are frozen dataclasses that are registered as pytrees (`skbandit.criteria.pytree_dataclass`).
    """

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[Capability[Any], ...]] = ()
    """Capabilities that a network must have besides `Prunable`, whatever the fields; see `required`."""
    looks_up: ClassVar[bool] = False
    """Whether the `step` of this very class reads the damages of `Problem.table`, where there is one. They are those of
    the problem as it is given. A subclass with a `step` of its own inherits nothing here."""
    draws_by_row: ClassVar[bool] = False
    """Whether the criterion draws random numbers for each row. Copies of a row then share an id and its random numbers,
    so that a row of weight 2 has the same effect as two copies of the row."""

    @property
    def suggests(self) -> bool:
        """Whether the criterion names a set of units, which ``pruning_ratio="auto"`` then removes."""
        return False

    def required(self) -> tuple[Capability[Any], ...]:
        """Return the capabilities that a network must have for this criterion, with its present fields."""
        return self.needs

    @property
    def label(self) -> str:
        """The criterion in messages: its name if its fields have their defaults, otherwise its repr."""
        return self.name if self.name and self.has_defaults() else repr(self)

    def init(self, key: jax.Array, problem: Problem) -> Any:
        """Return the state before the first round; `step` returns the state for the next one."""
        return ()

    @abc.abstractmethod
    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Rank the active units. A call is one compiled program.

        Parameters
        ----------
        key : jax.Array
            Typed JAX key, another one in each round.
        state : pytree
            What `init` or the previous `step` returned.
        problem : Problem
            The network, the rows and the budget.
        active : bool[n]
            Units that have not been removed.

        Returns
        -------
        state : pytree
            State for the next round.
        scores : Scores
            A value for each unit.
        """


def needs_of(criterion: Criterion) -> tuple[Capability[Any], ...]:
    """Return all that a network must offer for a criterion: what its class says, and what its fields add."""
    return tuple(dict.fromkeys((*criterion.needs, *criterion.required())))


def checked(criterion: Criterion, result: Any, n: int) -> tuple[Any, Scores]:
    """Return the result of ``criterion.step`` after checking types and shapes, while it is traced.

    Parameters
    ----------
    criterion : Criterion
        The criterion, for messages.
    result : object
        What its `step` returned.
    n : int
        Number of units.

    Returns
    -------
    state : pytree
    scores : Scores

    Raises
    ------
    ValueError
        If the result is not (state, Scores), or an array of the scores has another shape or type.
    """
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
    """Return the float arrays of ``params``, and a function that rebuilds ``params`` with other arrays in place."""
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def rebuild(new: list[jax.Array]) -> Any:
        replacements = iter(new)
        return jax.tree.unflatten(
            tree, [next(replacements) if f else leaf for f, leaf in zip(floats, leaves, strict=True)]
        )

    return [leaf for f, leaf in zip(floats, leaves, strict=True) if f], rebuild


def scores_without_pulls(value: jax.Array, suggested: jax.Array | None = None) -> Scores:
    """Return the scores of a criterion that measures no damage."""
    return Scores(value, jnp.zeros((), jnp.int32), jnp.full_like(value, jnp.nan), suggested)
