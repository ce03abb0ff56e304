"""Unit groups: which positions of which parameters leave the network together.

A *group* is a set of units that are alike: the units of a dense layer, the filters of a convolution, the heads of an
attention layer. Each unit owns positions along an axis of several parameters. (For a dense layer: a column of its
weights, an entry of its bias, a row of the next layer's weights.) Removing the unit deletes all of them. Units are
counted over all groups in order, so that a flat index names a unit.

A `Slice` names one axis of one parameter, and says which unit each position of the axis belongs to (its *labels*). One
form serves for every case:

* one position a unit: no labels;
* a block of positions, such as the columns of a head: ``[0, 0, 0, 1, 1, 1]``;
* a stride, such as the inputs of a dense layer behind a flattened convolution, or the four gates of an LSTM packed in
  one array: ``[0, 1, 2, 0, 1, 2]``;
* an axis of which only a part belongs to the group: ``[-1, -1, 0, 1]``.

Parameters may be any pytree. A path is the tuple of keys that leads to an array: keys of a dictionary, positions in a
tuple or list, names of attributes.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skbandit._core.constraints import shown

Params = Any
Array = Any


def _plain_key(key: Any) -> Any:
    """Return a key of a path as people write it; JAX's own key objects hold one."""
    if type(key).__module__.partition(".")[0] in ("jax", "jaxlib"):
        return next(getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name))
    return key


def plain_path(path: Iterable[Any]) -> tuple[Any, ...]:
    """Return a path as people write it: names and positions."""
    return tuple(map(_plain_key, path))


@dataclasses.dataclass(frozen=True, eq=False)
class Slice:
    """The axis of a parameter whose positions belong to units.

    For a weight matrix of shape (inputs, outputs), the units of a layer are axis 1 of their own matrix, axis 0 of the
    matrix of the next layer, and axis 0 of their bias.

    Parameters
    ----------
    path : str, int or tuple
        Keys that lead to the parameter: names in a dictionary, positions in a tuple or list, names of attributes. A
        single key may stand alone. JAX's key paths are accepted too.
    axis : int
        Axis of the parameter; a negative one counts from the last.
    labels : array-like of int, shape (axis size,), optional
        The unit of its group that each position belongs to; -1 where a position belongs to none, and stays. None: unit
        ``j`` owns position ``j``.

    Examples
    --------
    Four columns of a projection are two heads of two columns each:

    >>> from skbandit.networks import Slice
    >>> Slice(("attention", "query"), axis=1, labels=[0, 0, 1, 1])
    Slice(path=('attention', 'query'), axis=1, labels=[0, 0, 1, 1])
    """

    path: tuple[Any, ...]
    axis: int
    labels: Any = None

    def __post_init__(self) -> None:
        path = tuple(self.path) if isinstance(self.path, (tuple, list)) else (self.path,)
        path = tuple(map(_plain_key, path))
        try:
            hash(path)
        except TypeError:
            raise ValueError(
                f"The 'path' of a Slice must be made of keys, such as names and positions. Got {shown(self.path)}."
            ) from None
        object.__setattr__(self, "path", path)
        # A bool is an int to Python, and an axis to nobody.
        if not isinstance(self.axis, Integral) or isinstance(self.axis, bool):
            raise ValueError(f"The 'axis' of the slice {self.path} must be an int. Got {shown(self.axis)} instead.")
        object.__setattr__(self, "axis", int(self.axis))
        if self.labels is not None:
            try:
                labels = np.array(self.labels)
            except (ValueError, OverflowError, TypeError):  # lists of several lengths, numbers of any size
                labels = np.array(None)
            whole = labels.dtype.kind in "iu" or labels.size == 0
            # Checked before the cast, which would wrap.
            if (
                labels.ndim != 1
                or not whole
                or (labels.size and not -1 <= int(labels.min()) <= int(labels.max()) < 2**31)
            ):
                raise ValueError(
                    f"The 'labels' of the slice {self.path}, axis {self.axis}, must be a vector of ints, the number of "
                    f"a unit or -1 for each position. Got {shown(self.labels)} instead."
                )
            labels = labels.astype(np.int32)
            labels.setflags(write=False)
            object.__setattr__(self, "labels", labels)

    @functools.cached_property
    def _identity(self) -> tuple[Any, ...]:
        # Networks are keys of compiled programs, looked up at every call: the hash of bytes is computed once.
        return self.path, self.axis, None if self.labels is None else self.labels.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slice) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        if self.labels is None:
            return f"Slice(path={self.path}, axis={self.axis})"
        n, n_units = self.labels.size, int(self.labels.max(initial=-1)) + 1
        labels = self.labels.tolist() if n <= 16 else f"<{n} positions of {n_units} units>"
        return f"Slice(path={self.path}, axis={self.axis}, labels={labels})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Slice, (self.path, self.axis, self.labels)

    def of(self, params: Params) -> Array:
        """Return the whole parameter."""
        return Leaves(params)[self.path]

    def spread(self, of_units: Array, elsewhere: Any) -> Array:
        """Give each position what its unit has.

        Parameters
        ----------
        of_units : array of shape (size,)
            A value for each unit.
        elsewhere : scalar
            The value of positions that belong to no unit.

        Returns
        -------
        array of shape (axis size,)
            NumPy's or JAX's, as ``of_units`` is.
        """
        if self.labels is None:
            return of_units
        if isinstance(of_units, np.ndarray):
            return np.where(self.labels >= 0, of_units[self.labels], elsewhere)
        import jax.numpy as jnp

        return jnp.where(self.labels >= 0, of_units[self.labels], elsewhere)

    def by_unit(self, params: Params, size: int) -> Array:
        """Return what each of ``size`` units owns of the parameter, as the rows of a matrix of JAX's.

        Units that own fewer positions than others have zeros at the end of their row.
        """
        import jax.numpy as jnp

        array = jnp.moveaxis(jnp.asarray(self.of(params)), self.axis, 0)
        array = array.reshape(array.shape[0], -1)
        if self.labels is None:
            return array
        # Place of each position among those of its unit.
        order = np.argsort(self.labels, kind="stable")
        owned = order[self.labels[order] >= 0]
        counts = np.bincount(self.labels[owned], minlength=size)
        place = np.arange(owned.size) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.full((size, counts.max(initial=0)), array.shape[0])  # out of bounds: filled with 0
        table[self.labels[owned], place] = owned
        return array.at[table].get(mode="fill", fill_value=0).reshape(size, -1)


@dataclasses.dataclass(frozen=True)
class Group:
    """Units that are alike, and the slices that leave with each of them.

    Parameters
    ----------
    name : str
        What messages and tables call the group.
    size : int
        Number of units.
    incoming : sequence of Slice
        Parameters that make the units' output: weights, biases, the scale and shift of a normalisation.
    outgoing : sequence of Slice
        Parameters that read the units' output: the weights of all layers that follow.

    Notes
    -----
    The slices of both lists are removed with a unit; only criteria that read weights distinguish them, and some of
    those (`skbandit.networks.OUTGOING`) need the outgoing ones. List all of
    them: a parameter that is forgotten stays at its full size, and does not fit the others when the smaller network is
    run.

    Examples
    --------
    >>> from skbandit.networks import Group, Slice
    >>> hidden = Group("hidden", 8, incoming=[Slice(("W1",), 1), Slice(("b1",), 0)], outgoing=[Slice(("W2",), 0)])
    >>> len(hidden.slices)
    3
    """

    name: str
    size: int
    incoming: Sequence[Slice] = ()
    outgoing: Sequence[Slice] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"The 'name' of a Group must be a string. Got {shown(self.name)} instead.")
        # Units have numbers of 32 bits, as labels have.
        if not isinstance(self.size, Integral) or isinstance(self.size, bool) or not 1 <= self.size < 2**31:
            raise ValueError(
                f"The 'size' of the group {self.name!r} must be an int of at least 1, and below 2**31. "
                f"Got {shown(self.size)}."
            )
        object.__setattr__(self, "size", int(self.size))
        for side in ("incoming", "outgoing"):
            slices = getattr(self, side)
            if not isinstance(slices, Sequence) or not all(isinstance(s, Slice) for s in slices):
                raise ValueError(
                    f"The {side!r} slices of the group {self.name!r} must be a list of Slice objects. "
                    f"Got {shown(slices)}."
                )
            object.__setattr__(self, side, tuple(slices))

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices, the incoming ones first."""
        return (*self.incoming, *self.outgoing)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An axis of a parameter that nothing can be removed from.

    Attributes
    ----------
    path : tuple
        Keys that lead to the parameter.
    axis, size : int
        The axis, and its positions.
    reason : str
        Why.
    source : str
        File and line of the call where the reason lies; "" where there is none.
    """

    path: tuple[Any, ...]
    axis: int
    size: int
    reason: str
    source: str = ""


class Cost(NamedTuple):
    """What leaves with one unit of a group, as long as all others are there.

    Attributes
    ----------
    parameters : float
        Numbers in the parameters; the mean over the units.
    macs : float
        Multiply-accumulates of a row.
    """

    parameters: float
    macs: float


class Verified(NamedTuple):
    """How far apart what must be the same came out: largest differences, relative to the largest output.

    Attributes
    ----------
    identity : float
        With all gates at 1, from the function itself.
    compacted : float
        Of the gated and the smaller function, with a random half of the units of each group removed.
    noise : float
        Of the gated function before and after noise was put on all that leaves.
    """

    identity: float
    compacted: float
    noise: float


@dataclasses.dataclass(frozen=True)
class Groups:
    """All groups of a network, in order.

    Parameters
    ----------
    groups : sequence of Group
        Their names must differ: they are what messages and tables tell groups apart by.
    refused : sequence of Refusal, optional
        Axes of parameters that belong to no group, where `infer_groups` looked for them.
    verified : Verified, optional
        What `infer_groups` measured.
    costs : sequence of Cost, optional
        What leaves with a unit of each group.
    """

    groups: Sequence[Group]
    refused: Sequence[Refusal] = dataclasses.field(default=(), compare=False)
    verified: Verified | None = dataclasses.field(default=None, compare=False)
    costs: Sequence[Cost] = dataclasses.field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.groups, Sequence) or not all(isinstance(group, Group) for group in self.groups):
            raise ValueError(f"Groups takes a list of Group objects. Got {shown(self.groups)}.")
        groups = tuple(self.groups)
        names = [group.name for group in groups]
        if len(set(names)) < len(names):
            raise ValueError(f"The names of the groups must differ. They are {names}.")
        object.__setattr__(self, "groups", groups)
        for name, kind in (("refused", Refusal), ("costs", Cost)):
            found = getattr(self, name)
            if not isinstance(found, Sequence) or not all(isinstance(one, kind) for one in found):
                raise ValueError(
                    f"The {name!r} of Groups must be a list of {kind.__name__} objects. Got {shown(found)} instead."
                )
        if self.costs and len(self.costs) != len(groups):
            raise ValueError(
                f"The 'costs' of Groups must be one for each of the {len(groups)} groups. Got {len(self.costs)}."
            )
        if not (self.verified is None or isinstance(self.verified, Verified)):
            raise ValueError(f"The 'verified' of Groups must be a Verified. Got {shown(self.verified)} instead.")

    def __str__(self) -> str:
        from skbandit.networks.report import table

        return table(self)

    @property
    def found(self) -> tuple[Group, ...]:
        """The groups."""
        return tuple(self.groups)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each group."""
        return tuple(group.size for group in self.groups)

    @property
    def n_units(self) -> int:
        """Units of all groups."""
        return sum(self.sizes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Flat index of each group's first unit."""
        return tuple(int(i) for i in np.cumsum((0, *self.sizes))[:-1])

    def split(self, flat: Array) -> tuple[Array, ...]:
        """Cut a flat array over all units into one array per group."""
        return tuple(flat[start : start + size] for start, size in zip(self.offsets, self.sizes, strict=True))

    def group_of(self) -> np.ndarray:
        """Return the number of the group of every unit, i[n_units]."""
        return np.repeat(np.arange(len(self.groups)), self.sizes)

    def check(self, params: Params) -> None:
        """Raise ValueError if the groups are not groups of ``params``.

        Each slice must name an axis of a parameter, with a position or a label for each unit at most; each unit must
        own something; and no position may belong to two units.
        """
        if not self.groups:
            raise ValueError("There are no groups: nothing can be removed.")
        leaves = Leaves(params)
        owners: dict[tuple[Any, int], np.ndarray] = {}
        for group in self.groups:
            axes = [self._axis(leaves, s, group) for s in group.slices]
            # No array has so many positions: not even a mask over the units is to be made.
            if group.size > max(sum(size for size, _ in axes), 1 << 20):
                raise ValueError(
                    f"The group {group.name!r} has {group.size} units, most of which own nothing: its slices have "
                    f"{sum(size for size, _ in axes)} positions."
                )
            owns = np.zeros(group.size, bool)
            for s, (size, axis) in zip(group.slices, axes, strict=True):
                labels = np.arange(size) if s.labels is None else s.labels
                if s.labels is None and size != group.size:
                    raise ValueError(
                        f"{group.name!r}, a group of {group.size} units has a slice of size {size}: axis "
                        f"{s.axis} of {s.path}. Where a unit owns several positions, or not all of them, give 'labels'."
                    )
                if labels.size != size or labels.max(initial=-1) >= group.size:
                    raise ValueError(
                        f"The labels of axis {s.axis} of {s.path} must be {size} numbers below {group.size}, the size "
                        f"of the group {group.name!r}: got {labels.size} numbers up to {labels.max(initial=-1)}."
                    )
                taken = owners.setdefault((s.path, axis), np.zeros(size, bool))
                if (taken & (labels >= 0)).any():
                    raise ValueError(
                        f"The group {group.name!r} names positions of axis {s.axis} of {s.path} that belong to a unit "
                        "already: each position may leave with one unit."
                    )
                taken |= labels >= 0
                owns[labels[labels >= 0]] = True
            if not owns.all():
                raise ValueError(
                    f"The group {group.name!r} has units that own nothing: {np.flatnonzero(~owns).tolist()[:8]}. Their "
                    "removal would leave every array as it is."
                )

    def _axis(self, leaves: Leaves, s: Slice, group: Group) -> tuple[int, int]:
        """Return the size of a slice's axis, and its number counted from the first."""
        try:
            shape = np.shape(leaves[s.path])
            return shape[s.axis], range(len(shape))[s.axis]
        except (KeyError, IndexError):
            raise ValueError(
                f"The parameters have no axis {shown(s.axis)} at {shown(s.path)}, where the group {group.name!r} has a "
                "slice."
            ) from None

    def compact(self, params: Params, kept: Sequence[np.ndarray]) -> Params:
        """Keep only the units ``kept[g]`` of each group: NumPy arrays, physically smaller."""
        stays = self._masks(kept, "kept")
        return self._edit_axes(params, stays, lambda a, stays, axis: np.take(a, np.flatnonzero(stays), axis=axis))

    def zero(self, params: Params, removed: Sequence[np.ndarray]) -> Params:
        """Set the slices of the units ``removed[g]`` to zero, at unchanged shapes."""

        def clear(array: np.ndarray, stays: np.ndarray, axis: int) -> np.ndarray:
            array = array.copy()
            np.moveaxis(array, axis, 0)[~stays] = 0
            return array

        return self._edit_axes(params, [~gone for gone in self._masks(removed, "removed")], clear)

    def _masks(self, units: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
        """Return a mask over the units of each group from their numbers, or from a mask.

        A negative number would count from the last unit, and an array of floats is none of numbers.
        """
        if len(units) != len(self.groups):
            raise ValueError(
                f"{name!r} must have an array for each of the {len(self.groups)} groups. Got {len(units)}."
            )
        masks = []
        for group, numbers in zip(self.groups, map(np.asarray, units), strict=True):
            mask = numbers.dtype == bool and numbers.shape == (group.size,)
            whole = numbers.dtype.kind in "iu" or numbers.size == 0
            inside = numbers.size == 0 or (whole and 0 <= numbers.min() <= numbers.max() < group.size)
            if numbers.ndim != 1 or not (mask or (whole and inside)):
                raise ValueError(
                    f"{name!r} must hold numbers of units of the group {group.name!r}, from 0 to {group.size - 1}. "
                    f"Got {shown(numbers)}."
                )
            on = np.zeros(group.size, bool)
            on[numbers if mask else numbers.astype(int)] = True
            masks.append(on)
        return masks

    def _edit_axes(
        self, params: Params, stays: list[np.ndarray], edit: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    ) -> Params:
        """Edit each axis that units own positions of, once: several groups may share one."""
        leaves = Leaves(params)
        axes: dict[tuple[Any, int], np.ndarray] = {}
        for group, on in zip(self.groups, stays, strict=True):
            for s in group.slices:
                size, axis = self._axis(leaves, s, group)
                axes.setdefault((s.path, axis), np.ones(size, bool))
                axes[s.path, axis] &= s.spread(on, True)
        for (path, axis), positions in axes.items():
            leaves[path] = edit(np.asarray(leaves[path]), positions, axis)
        return leaves.tree()

    def scale_outgoing(self, params: Params, factor: Array) -> Params:
        """Multiply each unit's outgoing weights by its ``factor``, f[n_units]; for JAX's arrays."""
        import jax.numpy as jnp

        leaves = Leaves(params)
        for group, by in zip(self.groups, self.split(factor), strict=True):
            for s in group.outgoing:
                array = leaves[s.path]
                others = [a for a in range(array.ndim) if a != s.axis % array.ndim]
                leaves[s.path] = array * jnp.expand_dims(s.spread(by, 1), others)
        return leaves.tree()


class Leaves:
    """The leaves of a pytree by their paths; assignment exchanges one, and `tree` puts them back in place."""

    def __init__(self, params: Params) -> None:
        import jax

        found, self._structure = jax.tree_util.tree_flatten_with_path(params)
        self._leaves = {tuple(map(_plain_key, path)): leaf for path, leaf in found}
        if len(self._leaves) < len(found):  # of a class that gives two children one key
            paths = [jax.tree_util.keystr(path) for path, _ in found]
            raise ValueError(f"The paths of the parameters must differ. They are {paths}.")

    def __getitem__(self, path: tuple[Any, ...]) -> Array:
        return self._leaves[path]

    def __setitem__(self, path: tuple[Any, ...], leaf: Array) -> None:
        if path not in self._leaves:
            raise KeyError(path)
        self._leaves[path] = leaf

    def tree(self) -> Params:
        """Return a tree with the leaves as they are now; the original is as it was."""
        import jax

        return jax.tree_util.tree_unflatten(self._structure, list(self._leaves.values()))


def replace_at(params: Params, path: tuple[Any, ...], edit: Callable[[Array], Array]) -> Params:
    """Return ``params`` with the leaf at ``path`` edited; nothing is changed in place."""
    leaves = Leaves(params)
    leaves[path] = edit(leaves[path])
    return leaves.tree()


def dense_chain(sizes: Iterable[int], *per_unit: int) -> Groups:
    """Return one group for each hidden layer of a chain of dense layers, ``params[l] = (W, b, ...)``.

    Parameters
    ----------
    sizes : iterable of int
        Inputs, hidden widths, outputs.
    *per_unit : int
        Positions in a layer of further vectors that have an entry for each unit.
    """
    hidden = list(itertools.islice(sizes, 1, None))[:-1]
    return Groups(
        [
            Group(
                f"hidden layer {i}",
                size,
                incoming=[Slice((i, 0), 1), *(Slice((i, part), 0) for part in (1, *per_unit))],
                outgoing=[Slice((i + 1, 0), 0)],
            )
            for i, size in enumerate(hidden)
        ]
    )
