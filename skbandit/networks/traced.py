"""`TracedNetwork`: any JAX function, pruned as it is."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from skbandit._core.constraints import shown
from skbandit.networks.arms import damages_of_arms
from skbandit.networks.checks import check_signature, checked_losses
from skbandit.networks.costs import macs, n_rows, products
from skbandit.networks.exporting import exported
from skbandit.networks.gating import Gated
from skbandit.networks.groups import Groups
from skbandit.networks.inference import as_variables, check_rows, plan_of
from skbandit.networks.plan import Plan, row_labels
from skbandit.networks.resize import Resized
from skbandit.networks.taps import Tapped, can_show, rows_reach_gates
from skbandit.networks.trace import Variables, specs, version_of

if TYPE_CHECKING:
    Vectors = tuple[jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class TracedNetwork:
    """A JAX function with its groups and a loss: the network that `skbandit.prune` makes of a function.

    The trace of the function is evaluated with a gate at each operation that reads units (a contraction or reduction).
    The function itself is not changed. Make one with `TracedNetwork.of`, for code that takes a network in place of a
    function.

    Two networks are equal if their functions, groups and losses are. A function that is defined anew for every call is
    compiled anew.

    Parameters
    ----------
    apply : callable (params, *example) → outputs
        In inference mode. Where there is state: (params, state, *example) → outputs or (outputs, new state).
    groups : Groups
        As `infer_groups` found them.
    loss : callable (outputs, y) → f[n]
        Loss of each row, unweighted.
    plan : Plan
        Where the units of the groups are in the trace, at the shapes of an example. `TracedNetwork.of` makes it.
    version : str
        Tells what the function computes from what the same object computed before.
    """

    apply: Callable[..., Any]
    groups: Groups
    loss: Callable[[Any, jax.Array], jax.Array]
    plan: Plan = dataclasses.field(compare=False, repr=False)
    version: str = dataclasses.field(default="", repr=False)

    def __post_init__(self) -> None:
        if not callable(self.apply):
            raise ValueError(f"The 'apply' function must be callable. Got {shown(self.apply)} instead.")
        for name, kind in (("groups", Groups), ("plan", Plan)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"The {name!r} parameter of TracedNetwork must be a {kind.__name__}, as TracedNetwork.of has it. "
                    f"Got {shown(getattr(self, name))} instead."
                )
        if not callable(self.loss):
            raise ValueError(
                f"The 'loss' parameter must be callable (outputs, y) → losses. Got {shown(self.loss)} instead."
            )
        check_signature("TracedNetwork", "loss", self.loss, ("outputs", "y"))
        if not isinstance(self.version, str):
            raise ValueError(
                f"The 'version' parameter of TracedNetwork must be a str. Got {shown(self.version)} instead."
            )

    @classmethod
    def of(
        cls, apply: Callable[..., Any], groups: Groups, loss: Callable[..., Any], params: Any, X: Any, state: Any = None
    ) -> TracedNetwork:
        """Return the network of a function, traced at the shapes of ``X``.

        Parameters
        ----------
        apply, groups, loss
            As the class has them.
        params : pytree
            Parameters of the function, or their shapes.
        X : array, or tuple of arguments
            Rows, or their shapes: what the function takes after ``params`` (and ``state``).
        state : pytree, optional
            For a function that takes one.
        """
        if not callable(apply):
            raise ValueError(f"The 'apply' function must be callable. Got {shown(apply)} instead.")
        if not isinstance(groups, Groups):
            raise ValueError(f"The 'groups' parameter must be what infer_groups returns. Got {shown(groups)} instead.")
        apply = hashable(apply)
        variables = as_variables(params, state)
        paths = [s.path for group in groups.groups for s in group.slices]
        if state is not None and not all(path[:1] in (("params",), ("state",)) for path in paths):
            raise ValueError(
                "Where 'state' is given, the 'groups' must be those of the parameters and the state: "
                "infer_groups(apply, params, *example, state=state). These were found without."
            )
        shapes = specs(arguments(X), "'X'")
        check_rows(shapes, "X")
        groups.check(variables)
        full = specs(variables, "'params'")
        version = version_of(apply, full, shapes)
        plan = plan_of(apply, groups, full, shapes, version)
        _check_whole(plan)
        return cls(apply, groups, loss, plan, version)

    # ------------------------------------------------------------------ what pruning asks for

    def batch_loss(
        self, params: Any, gates: Vectors, emissions: Vectors, X: Any, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the weighted mean loss of a mini-batch; a masked unit is left out where it is read."""
        return self.mean_loss(self.outputs(params, gates, X), y, weight)

    def mean_loss(self, outputs: Any, y: Any, weight: jax.Array, loss: Any = None) -> jax.Array:
        """Return the weighted mean of the losses of rows; by default, of the network's own loss."""
        losses = checked_losses((loss or self.loss)(outputs, y), weight.shape[0])
        # Rows of padding may have any loss, NaN as well.
        mean: jax.Array = jnp.sum(jnp.where(weight > 0, weight * losses, 0))
        return mean

    def outputs(self, params: Any, gates: Vectors, X: Any) -> Any:
        """Return what the function returns with gates, without a new state."""
        plan = self.plan_for(params, X)
        flat = jnp.concatenate(gates, axis=-1)
        rows = None
        if flat.ndim == 2:
            rows = row_labels(plan.trace, flat.shape[0])
        made = Gated(plan, flat, rows).run(plan.trace.graph, jax.tree.leaves((params, *arguments(X))))
        return plan.trace.outputs(made)

    def plan_for(self, params: Any, X: Any) -> Plan:
        """Return the plan at the shapes of some rows."""
        return plan_of(self.apply, self.groups, specs(params, "'params'"), specs(arguments(X), "'X'"), self.version)

    def damages(
        self,
        params: Any,
        gates: Vectors,
        emissions: Vectors,
        X: Any,
        y: jax.Array,
        weight: jax.Array,
        arms: jax.Array,
    ) -> jax.Array:
        """Return what `skbandit.networks.damages.damages_by_masking` returns."""
        plan = self.plan_for(params, X)
        return damages_of_arms(
            plan,
            jax.tree.leaves((params, *arguments(X))),
            jnp.concatenate(gates),
            arms,
            lambda made: self.mean_loss(plan.trace.outputs(made), y, weight),
        )

    @property
    def activations(self) -> Callable[..., Vectors] | None:
        """A function (params, gates, X) → what the units of each group give out where they are read, f[n, n_g].

        None where that is inside a loop of unknown length, or where rows cannot be told apart.
        """
        return self._activations if can_show(self.plan) else None

    def _activations(self, params: Any, gates: Vectors, X: Any) -> Vectors:
        plan = self.plan_for(params, X)
        tapped = Tapped(plan, jnp.concatenate(gates))
        tapped.run(plan.trace.graph, jax.tree.leaves((params, *arguments(X))))
        return tapped.activations()

    @property
    def gates_by_row(self) -> bool:
        """Whether every gate can be another one for each row."""
        return rows_reach_gates(self.plan)

    def n_macs(self, widths: Sequence[Any]) -> Any:
        """Return the multiply-accumulates of a row, with so many units in each group."""
        return macs(products(self.plan), widths) / n_rows(self.plan)


def _check_whole(plan: Plan) -> None:
    """Raise ValueError if units own positions that their group does not name: those would stay, and not fit."""
    groups = plan.groups
    named: dict[tuple[Any, int], np.ndarray] = {}
    ranks = {leaf.path: leaf.shape for leaf in plan.trace.leaves}
    for group in groups.groups:
        for s in group.slices:
            axis = s.axis % len(ranks[s.path])
            there = np.ones(group.size, bool) if s.labels is None else np.asarray(s.labels) >= 0
            named[s.path, axis] = named.get((s.path, axis), False) | there
    for leaf in plan.trace.leaves:
        for axis, units in enumerate(plan.units_of(leaf.variable)):
            if units is None:
                continue
            forgotten = units[(units >= 0) & ~named.get((leaf.path, axis), np.zeros(units.size, bool))]
            if forgotten.size:
                name = groups.groups[int(groups.group_of()[forgotten[0]])].name
                raise ValueError(
                    f"The 'groups' do not fit the 'apply' function: the units of the group {name!r} own positions of "
                    f"axis {axis} of {leaf.name!r} as well, and the group has no slice of it. Take what infer_groups "
                    "finds in this function."
                )


class SmallerFunction:
    """The function of the smaller network: the user's own, evaluated at the smaller shapes.

    It is traced anew for every shape of the arguments, by the user's function at its full shapes. Nothing of the full
    size is computed, except where a function defines its own derivative (``jax.custom_jvp``, ``jax.custom_vjp``). It
    may be compiled, differentiated and exported as any other function.

    Parameters
    ----------
    apply : callable
        The user's function.
    groups : Groups
    kept : tuple of i[...]
        Units of each group that are left.
    variables : pytree of jax.ShapeDtypeStruct
        Shapes of the full parameters, and of the state.
    example : tuple of pytree of jax.ShapeDtypeStruct, optional
        Shapes of the other arguments, as the function was pruned with.
    """

    def __init__(
        self,
        apply: Callable[..., Any],
        groups: Groups,
        kept: Sequence[np.ndarray],
        variables: Any,
        example: tuple[Any, ...] | None = None,
    ) -> None:
        self.full, self.groups, self.kept, self.variables = apply, groups, tuple(kept), variables
        self.example = example
        self.mask = np.zeros(groups.n_units, bool)
        for offset, units in zip(groups.offsets, self.kept, strict=True):
            self.mask[offset + np.asarray(units, int)] = True

    def __call__(self, params: Any, *args: Any) -> Any:
        """Return what the function returns: (params, *example), with state (params, state, *example)."""
        if self.mask.all():
            return self.full(params, *args)
        has_state = isinstance(self.variables, Variables)
        if has_state and not args:
            raise ValueError("The function takes (params, state, *example): the state is missing.")
        variables = Variables(params, args[0]) if has_state else params
        example = args[1:] if has_state else args
        self._check(variables)
        empty = [np.shape(leaf) for leaf in jax.tree.leaves(example) if 0 in np.shape(leaf)]
        if empty:
            raise ValueError(
                f"The smaller function needs one row at least, and no axis of size 0. Got an array of shape {empty[0]}."
            )
        plan = plan_of(self.full, self.groups, self._like(variables), specs(tuple(example), "the arguments"))
        made = Resized(plan, self.mask).run(plan.trace.graph, jax.tree.leaves((variables, *example)))
        return jax.tree.unflatten(plan.trace.structure, made)

    def export(self, params: Any, *args: Any) -> jax.export.Exported:
        """Return the smaller function as a program that runs without the code that it was made from.

        Parameters
        ----------
        params : pytree
            The smaller parameters.
        *args : arrays or jax.ShapeDtypeStruct
            The other arguments of the function: those of an example, behind the state if there is one. The program is
            for these shapes, its batch size too.

        Returns
        -------
        jax.export.Exported
            A program of lists of leaves, in place of trees: (``jax.tree.leaves(params)``, *example) → outputs, with
            state (``jax.tree.leaves(params)``, ``jax.tree.leaves(state)``, *example). ``serialize()`` makes bytes of
            it, `jax.export.deserialize` reads them; both need the package flatbuffers.
        """
        n = 1 + isinstance(self.variables, Variables)
        return exported(self, (params, *args[: n - 1]), args[n - 1 :])

    def _like(self, variables: Any) -> Any:
        """Return the full shapes, with the dtypes of the parameters that were given."""
        given = specs(variables, "'params'")
        return jax.tree.map(lambda full, a: jax.ShapeDtypeStruct(full.shape, a.dtype), self.variables, given)

    def _check(self, variables: Any) -> None:
        structure: Any = jax.tree.structure(self.variables)
        if structure != jax.tree.structure(variables):
            raise ValueError(
                f"The parameters must be the tree {structure}. Got the tree {jax.tree.structure(variables)}."
            )
        expected = jax.tree_util.tree_flatten_with_path(self.small)[0]
        for (path, small), given in zip(expected, jax.tree.leaves(variables), strict=True):
            if small.shape != np.shape(given):
                raise ValueError(
                    f"The leaf {jax.tree_util.keystr(path)} of the smaller parameters has the shape {small.shape}. Got "
                    f"one of the shape {np.shape(given)}."
                )

    @functools.cached_property
    def small(self) -> Any:
        """Shapes of the smaller parameters."""
        full = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), "int8"), leaf.shape), self.variables)
        cut = self.groups.compact(full, self.kept)
        return jax.tree.map(lambda leaf, a: jax.ShapeDtypeStruct(a.shape, leaf.dtype), self.variables, cut)


def hashable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that can be the key of compiled programs."""
    try:
        hash(function)
    except TypeError:
        return _ByIdentity(function)
    return function


class _ByIdentity:
    """A function that cannot be hashed, such as a module with arrays: one that is the same object is equal."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def arguments(X: Any) -> tuple[Any, ...]:
    """Return the arguments that rows are: those of a tuple, or one."""
    return X if isinstance(X, tuple) else (X,)
