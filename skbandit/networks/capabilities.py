"""What a network can do, as protocols, and the one place that asks whether it does.

The pruning loop needs a `Prunable` network. Everything else is optional: a criterion says what it needs
(`skbandit.criteria.Criterion.needs`), and `require` raises an error that names what is missing before any work is done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeGuard, TypeVar, cast

from skbandit._core.constraints import shown
from skbandit.networks.groups import Groups

if TYPE_CHECKING:
    import jax

    Params = Any
    Vectors = tuple[jax.Array, ...]


class Prunable(Protocol):
    """A network that can be pruned: the least that is needed.

    It must be hashable, and two that are equal must compute the same: a network is part of the key of compiled
    programs. A frozen dataclass is. An object that is made anew for every call, and compared by identity, compiles
    anew.
    """

    @property
    def groups(self) -> Groups:
        """The units, and the slices that leave with each."""
        ...

    def batch_loss(
        self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the weighted mean loss of a mini-batch.

        Parameters
        ----------
        gates : tuple of f[n_g]
            One vector for each group: 1 for a unit that is on, 0 for one that is masked.
        emissions : tuple of f[n_g]
            What a masked unit gives out. A network that knows only zeros may leave them unread.
        X, y, weight : f[n, ...], [n, ...], f[n]
            Rows, and their weights, which sum to 1; rows of weight 0 do not count.
        """
        ...


class FastDamages(Prunable, Protocol):
    """A network with an evaluator of arms of its own, faster than one gated forward pass for each."""

    def damages(
        self,
        params: Params,
        gates: Vectors,
        emissions: Vectors,
        X: jax.Array,
        y: jax.Array,
        weight: jax.Array,
        arms: jax.Array,
    ) -> jax.Array:
        """Return what `skbandit.networks.damages.damages_by_masking` returns, f[n_units]."""
        ...


class ShowsActivations(Prunable, Protocol):
    """A network that shows what its units give out."""

    @property
    def activations(self) -> Callable[[Params, Vectors, jax.Array], Vectors]:
        """A function (params, gates, X) → for each group f[n, n_g], one number for each row and unit.

        Where a unit gives out more than one number for a row, as a filter does, their mean.
        """
        ...


class GatesByRow(Prunable, Protocol):
    """A network whose ``batch_loss`` takes gates f[n, n_g] as well, one for each row."""

    @property
    def gates_by_row(self) -> bool:
        """Whether it does."""
        ...


class Costs(Prunable, Protocol):
    """A network that knows how many multiply-accumulates a row takes."""

    def n_macs(self, widths: Sequence[Any]) -> Any:
        """Return the multiply-accumulates of a row, with so many units in each group; widths need not be whole."""
        ...


class SquaredErrors(Prunable, Protocol):
    """A network whose loss is half the mean of squared errors: a log likelihood, up to the variance of the noise."""

    @property
    def n_squared_errors(self) -> int | None:
        """Squared errors that a row's loss is the mean of; None where it is another loss."""
        ...


class DenseLayers(Costs, ShowsActivations, Protocol):
    """A chain of dense layers: ``params[l]`` is ``(W, b)``, or ``(W, b, slope)`` for parametric activations."""

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs."""
        ...

    @property
    def linear_from(self) -> float:
        """The pre-activation from which on the activation is the identity: 0 for ReLU; inf where it never is."""
        ...

    def activate(self, z: jax.Array, *slope: jax.Array) -> jax.Array:
        """Return the activations of pre-activations."""
        ...

    def bounds(self, low: jax.Array, high: jax.Array, *slope: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return bounds of the activations of pre-activations between ``low`` and ``high``."""
        ...


P_co = TypeVar("P_co", covariant=True)


@dataclasses.dataclass(frozen=True)
class Capability(Generic[P_co]):
    """A protocol that a network may fulfil, and how an error describes it.

    Parameters
    ----------
    members : tuple of str
        What the network must have; a member that is None or False is not there.
    words : str
        "a network that ...".
    remedy : str
        How to get one.
    also : callable, optional
        What must be true of a network that has the members.
    """

    members: tuple[str, ...]
    words: str
    remedy: str
    also: Callable[[Any], bool] = lambda network: True


PRUNABLE: Capability[Prunable] = Capability(
    ("groups", "batch_loss"), "has unit groups and a loss with gates", "GatedNetwork(loss, groups)"
)
FAST_DAMAGES: Capability[FastDamages] = Capability(("damages",), "has an evaluator of damages", "a method 'damages'")
ACTIVATIONS: Capability[ShowsActivations] = Capability(
    ("activations",), "shows its activations", "GatedNetwork(..., activations=...)"
)
GATES_BY_ROW: Capability[GatesByRow] = Capability(
    ("gates_by_row",), "takes gates for each row", "GatedNetwork(..., gates_by_row=True)"
)
OUTGOING: Capability[Prunable] = Capability(
    ("groups",),
    "lists the slices that read the units of every group",
    "Group(..., outgoing=[...])",
    also=lambda network: all(group.outgoing for group in network.groups.groups),
)
COSTS: Capability[Costs] = Capability(("n_macs",), "knows what a row costs", "a method 'n_macs'")
SQUARED_ERRORS: Capability[SquaredErrors] = Capability(
    ("n_squared_errors",), "has a loss of squared errors", "a property 'n_squared_errors'"
)
DENSE_LAYERS: Capability[DenseLayers] = Capability(
    ("layer_sizes", "activate", "bounds", "linear_from", "n_macs", "activations"),
    "is a chain of dense layers",
    "the estimators train one",
)

P = TypeVar("P")


def offers(network: object, capability: Capability[P]) -> TypeGuard[P]:
    """Say whether a network has what a capability consists of."""
    if not isinstance(capability, Capability):
        raise TypeError(
            f"The 'capability' must be one of skbandit.networks, such as PRUNABLE. Got {shown(capability)}."
        )
    found = [getattr(network, name, None) for name in capability.members]
    if any(member is None or member is False for member in found):
        return False
    try:
        return bool(capability.also(network))
    except Exception:  # what cannot be asked is not offered
        return False


def demand(network: object, capability: Capability[P], who: str) -> P:
    """Return the network, as one that offers a capability; raise ValueError if it does not."""
    offers(network, capability)  # raises for what is no capability
    require(network, [capability], who)
    return cast(P, network)


def require(network: object, needs: Sequence[Capability[Any]], who: str | Callable[[], str]) -> None:
    """Raise ValueError if a network lacks something.

    Parameters
    ----------
    network : object
    needs : sequence of Capability
        What it must offer.
    who : str, or callable that returns one
        Who needs it, for the message.
    """
    if not isinstance(needs, Sequence) or not all(isinstance(need, Capability) for need in needs):
        raise TypeError(f"The 'needs' must be a list of capabilities. Got {shown(needs)}.")
    missing = [capability for capability in needs if not offers(network, capability)]
    if missing:
        words = " and ".join(f"{capability.words}: {capability.remedy}" for capability in missing)
        who = who() if callable(who) else who
        raise ValueError(f"{who} needs a network that {words}. Got {shown(network)}.")
