"""What a network can do, as protocols, and the one place that asks whether it does.

The pruning loop needs a `Prunable` network. Everything else is optional: a criterion says what it needs
(`skbandit.criteria.Criterion.needs`), and `require` raises an error that names what is missing before any work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeGuard, TypeVar

from skbandit.networks.groups import Groups

if TYPE_CHECKING:
    import jax

    Params = Any
    Vectors = tuple[jax.Array, ...]


class Capability(Protocol):
    """What the protocols below have in common: how an error describes them."""

    #: The members that a network must have; one that is None or False is not there.
    members: ClassVar[tuple[str, ...]]
    #: "a network that ...".
    words: ClassVar[str]
    #: How to get one.
    remedy: ClassVar[str]


class Prunable(Capability, Protocol):
    """A network that can be pruned: the least that is needed."""

    members: ClassVar = ("groups", "batch_loss")
    words: ClassVar = "has unit groups and a loss with gates"
    remedy: ClassVar = "GatedNetwork(loss, groups)"

    @property
    def groups(self) -> Groups:
        """The units, and the slices that leave with each."""

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
            Rows, and their weights; rows of weight 0 do not count.
        """


class FastDamages(Prunable, Protocol):
    """A network with an evaluator of arms of its own, faster than one gated forward pass for each."""

    members: ClassVar = ("damages",)
    words: ClassVar = "has an evaluator of arms"
    remedy: ClassVar = "a method 'damages'"

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


class ShowsActivations(Prunable, Protocol):
    """A network that shows what its units give out."""

    members: ClassVar = ("activations",)
    words: ClassVar = "shows its activations"
    remedy: ClassVar = "GatedNetwork(..., activations=...)"

    @property
    def activations(self) -> Callable[[Params, Vectors, jax.Array], Vectors]:
        """A function (params, gates, X) → for each group f[n, n_g], one number for each row and unit.

        Where a unit gives out more than one number for a row, as a filter does, their mean.
        """


class GatesByRow(Prunable, Protocol):
    """A network whose ``batch_loss`` takes gates f[n, n_g] as well, one for each row."""

    members: ClassVar = ("gates_by_row",)
    words: ClassVar = "takes gates for each row"
    remedy: ClassVar = "GatedNetwork(..., gates_by_row=True)"

    @property
    def gates_by_row(self) -> bool:
        """Whether it does."""


class Costs(Prunable, Protocol):
    """A network that knows how many multiply-accumulates a row takes."""

    members: ClassVar = ("n_macs",)
    words: ClassVar = "knows what a row costs"
    remedy: ClassVar = "a method 'n_macs'"

    def n_macs(self, widths: Sequence[Any]) -> Any:
        """Return the multiply-accumulates of a row, with so many units in each group; widths need not be whole."""


class SquaredErrors(Prunable, Protocol):
    """A network whose loss is half the mean of squared errors: a log likelihood, up to the variance of the noise."""

    members: ClassVar = ("n_squared_errors",)
    words: ClassVar = "has a loss of squared errors"
    remedy: ClassVar = "a property 'n_squared_errors'"

    @property
    def n_squared_errors(self) -> int | None:
        """Squared errors that a row's loss is the mean of; None where it is another loss."""


class DenseLayers(Costs, ShowsActivations, Protocol):
    """A chain of dense layers: ``params[l]`` is ``(W, b)``, or ``(W, b, slope)`` for parametric activations."""

    members: ClassVar = ("layer_sizes", "activate", "bounds", "linear_from", "n_macs", "activations")
    words: ClassVar = "is a chain of dense layers"
    remedy: ClassVar = "the estimators train one"

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs."""

    @property
    def linear_from(self) -> float:
        """The pre-activation from which on the activation is the identity: 0 for ReLU; inf where it never is."""

    def activate(self, z: jax.Array, *slope: jax.Array) -> jax.Array:
        """Return the activations of pre-activations."""

    def bounds(self, low: jax.Array, high: jax.Array, *slope: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return bounds of the activations of pre-activations between ``low`` and ``high``."""


C = TypeVar("C", bound=Capability)


def offers(network: object, capability: type[C]) -> TypeGuard[C]:
    """Say whether a network has what a capability consists of."""
    found = [getattr(network, name, None) for name in capability.members]
    return not any(member is None or member is False for member in found)


def require(network: object, needs: Sequence[type[Capability]], who: str) -> None:
    """Raise ValueError if a network lacks something.

    Parameters
    ----------
    network : object
    needs : sequence of capabilities
        What it must offer.
    who : str
        Who needs it, for the message.
    """
    missing = [capability for capability in needs if not offers(network, capability)]
    if missing:
        words = " and ".join(f"{capability.words}: {capability.remedy}" for capability in missing)
        raise ValueError(f"{who} needs a network that {words}. Got {network!r}.")
