"""Attributes of modules that hold sizes, and what they are at the smaller sizes.

A module of Equinox or of nnx keeps numbers beside its parameters: widths, numbers of heads. Which of them hang on the
units that left is not written down anywhere. They are proposed by their values: a number that is the old size of an
axis of a parameter below the module, the number of units that such an axis had, or the product of two axes, may become
the new one. Each way to come to a new value is a *role*. A proposal counts for nothing until the module computes the
same as the function that was pruned. Where an attribute has several roles with different values, the module is run with
a placeholder that raises when it is used, so that only what the call uses is decided, one decision after the other.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Path = tuple[Any, ...]
#: Attempts to run the module at most.
_MOST_ATTEMPTS = 48
#: Combinations of the sizes in a tuple at most.
_MOST_COMBINATIONS = 8
#: The role of a number that has nothing to do with the units.
_STAYS = "stays"


class Sized(NamedTuple):
    """A parameter before and after pruning."""

    path: Path
    before: tuple[int, ...]
    after: tuple[int, ...]
    units: tuple[tuple[tuple[int, int], ...], ...]
    """For each axis, the units of each group that owned positions of it, before and after."""


@dataclasses.dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute of a module that may have another value at the smaller sizes."""

    module: Path
    names: tuple[str, ...]
    """The name; of a configuration that is an attribute, its own name too."""
    owner: type
    value: Any
    roles: dict[Hashable, Any]
    """New value for each way to come to one, in order of preference."""
    known: bool
    """Whether the first role is that of a layer of the framework."""

    @property
    def address(self) -> str:
        """As people write it."""
        return ".".join(map(str, (*self.module, *self.names)))

    def __str__(self) -> str:
        """The address, the value, and what it may become."""
        values = list(dict.fromkeys(self.roles.values()))
        return f"{self.address} = {self.value}" + (f" ({' or '.join(map(str, values))})" if len(values) > 1 else "")

    @property
    def kind(self) -> Hashable:
        """What attributes share that have the same meaning."""
        return self.owner, self.names

    @property
    def values(self) -> list[Any]:
        """Distinct new values of all roles, the old one only where an axis stays at that size."""
        values = [value for role, value in self.roles.items() if role != _STAYS]
        return list(dict.fromkeys(values))

    @property
    def proposal(self) -> Any:
        """The new value, where it is clear; else None."""
        if self.known:
            return next(iter(self.roles.values()))
        return self.values[0] if len(self.values) == 1 else None

    def at(self, role: Hashable) -> Any:
        """Return the value of a role; that of the first one where this attribute has it not."""
        return self.roles.get(role, next(iter(self.roles.values())))


class Known(NamedTuple):
    """What an attribute of a layer of a framework is, told by an axis of a parameter of the layer."""

    parameter: Path
    axis: int
    of: str = "size"
    """The size; "shape": as many sizes from this axis on as the attribute has; "product": the product of those from
    this axis on; "units": the number of units; "per unit": the size over that number."""


class MisfitError(Exception):
    """A module that could not be run, or computed something else.

    Attributes
    ----------
    difference : float
        Largest relative difference; inf where it could not be run.
    """

    def __init__(self, message: str, difference: float = np.inf) -> None:
        super().__init__(message)
        self.difference = difference


class _UsedError(Exception):
    pass


class _Placeholder:
    """Stands for a value that is not decided yet; what uses it raises, and is remembered."""

    def __init__(self, attribute: Attribute, used: list[Attribute]) -> None:
        self._attribute, self._used = attribute, used

    def _use(self, *args: Any) -> Any:
        if args and args[0] is self:  # compared with itself, as static parts of trees are
            return NotImplemented
        self._used.append(self._attribute)
        raise _UsedError(self._attribute.address)

    __hash__ = object.__hash__


for _operation in (
    *("eq", "ne", "lt", "le", "gt", "ge", "index", "int", "float", "bool", "len", "iter", "getitem", "contains"),
    *("neg", "pos", "abs", "format", "str", "round"),
    *(f"{side}{name}" for side in ("", "r") for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow")),
):
    setattr(_Placeholder, f"__{_operation}__", _Placeholder._use)


# --- what attributes there are ---------------------------------------------------------------------------------------


def attributes_of(
    modules: Iterable[tuple[Path, Any]],
    parameters: Sequence[Sized],
    known: Mapping[str, Mapping[str, Known]],
    framework: str,
) -> list[Attribute]:
    """Return the attributes of modules that may be sizes.

    Parameters
    ----------
    modules : iterable of (path, module)
        All modules, the outermost first.
    parameters : sequence of Sized
    known : mapping of str to mapping of str to Known
        Attributes of layers of the framework, by the names of the classes.
    framework : str
        The package that these classes are of.
    """
    found = []
    for path, module in modules:
        below = _below(path, parameters)
        layers = [c.__name__ for c in type(module).__mro__ if c.__module__.partition(".")[0] == framework]
        table = next((known[name] for name in layers if name in known), {})
        for names, value in _numbers(module):
            roles = dict(_roles(value, below))
            mine = _known_value(table.get(names[-1]), value, path, parameters)
            if mine is not None:
                roles = {"known": mine} | roles
            if all(new == value for new in roles.values()):
                continue
            changed = {role: new for role, new in roles.items() if role == "known" or new != value}
            ordered = changed | roles | {_STAYS: value}
            found.append(Attribute(path, names, type(module), value, ordered, mine is not None))
    return found


def attributes_at(
    addresses: Iterable[str], modules: Sequence[tuple[Path, Any]], found: Sequence[Attribute], owner: str
) -> list[Attribute]:
    """Return attributes that a user names and that do not look like sizes.

    Raises
    ------
    ValueError
        If there is no such attribute.
    """
    named = []
    for address in addresses:
        if any(a.address == address for a in found):
            continue
        for path, module in modules:
            prefix = "".join(f"{key}." for key in path)
            name = address.removeprefix(prefix)
            if address.startswith(prefix) and name in vars(module):
                named.append(Attribute(path, (name,), type(module), vars(module)[name], {}, False))
                break
        else:
            raise ValueError(
                f"The 'attributes' parameter of {owner} names {address!r}, which the module has not. Attributes that "
                f"may be sizes: {[a.address for a in found]}."
            )
    return named


def _below(path: Path, parameters: Sequence[Sized]) -> list[Sized]:
    """Return the parameters below a module, by relative paths; of one without any, those beside it."""
    for n in range(len(path), -1, -1):
        found = [p._replace(path=p.path[n:]) for p in parameters if p.path[:n] == path[:n]]
        if found:
            return found
    return []


def _numbers(module: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the attributes of a module, and of its configurations, that are whole numbers or tuples of them."""
    for name, value in vars(module).items():
        if _is_size(value):
            yield (name,), value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type) and not _is_tree(value):
            for field in dataclasses.fields(value):
                inner = getattr(value, field.name, None)
                if _is_size(inner):
                    yield (name, field.name), inner


def _is_tree(value: Any) -> bool:
    """Say whether a value is a module or holds arrays: what is walked through by itself."""
    import jax

    leaves = jax.tree.leaves(value)
    return len(leaves) != 1 or leaves[0] is not value


def _is_size(value: Any) -> bool:
    if isinstance(value, tuple) and type(value) is tuple:
        return len(value) > 0 and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _known_value(known: Known | None, value: Any, path: Path, parameters: Sequence[Sized]) -> Any:
    """Return the new value by the table of the framework, None where the table does not say how the old one came."""
    parameter = next((p for p in parameters if known and p.path == (*path, *known.parameter)), None)
    if known is None or parameter is None:
        return None
    axis = range(len(parameter.after))[known.axis]
    if known.of in ("units", "per unit"):
        for units in parameter.units[axis]:
            pairs = zip((parameter.before, parameter.after), units, strict=True)
            old, new = (n if known.of == "units" else shape[axis] // n for shape, n in pairs)
            if old == value:
                return new
        return value
    n = len(value) if isinstance(value, tuple) else 0
    values: list[Any] = [
        shape[:n] if known.of == "shape" else math.prod(shape) if known.of == "product" else shape[0]
        for shape in (parameter.before[axis:], parameter.after[axis:])
    ]
    return values[1] if values[0] == value else None


def _roles(value: Any, below: Sequence[Sized]) -> Iterator[tuple[Hashable, Any]]:
    """Yield the ways in which a value may be a size, and what it is then at the smaller sizes."""
    if not isinstance(value, tuple):
        yield from _roles_of_number(value, below)
        return
    runs = 0
    for p in below:
        for i in range(len(p.before) - len(value) + 1):
            if p.before[i : i + len(value)] == value:
                runs += 1
                yield (p.path, i, "shape"), p.after[i : i + len(value)]
    if runs:
        return
    choices = [list(dict.fromkeys(new for _, new in _roles_of_number(v, below))) or [v] for v in value]
    if math.prod(map(len, choices)) <= _MOST_COMBINATIONS:
        for i, combination in enumerate(itertools.product(*choices)):
            yield ("each", i), combination


def _roles_of_number(value: int, below: Sequence[Sized]) -> Iterator[tuple[Hashable, int]]:
    if value < 2:  # of a single unit nothing can be removed
        return
    for p in below:
        for i, size in enumerate(p.before):
            if size == value:
                yield (p.path, i, "size"), p.after[i]
            for j, (before, after) in enumerate(p.units[i]):
                if before == value and before != size:
                    yield (p.path, i, "units", j), after
            if len(p.before) > 2 and i and p.before[i - 1] * size == value:
                yield (p.path, i, "product"), p.after[i - 1] * p.after[i]


# --- which of them the module needs ----------------------------------------------------------------------------------


class Fitted(NamedTuple):
    """A module that computes the same."""

    module: Any
    unclear: list[Attribute]
    """Attributes that the call does not use, and whose new value is not clear; they are as they were."""


def fit(
    build: Callable[[Mapping[Attribute, Any]], Any],
    attributes: Sequence[Attribute],
    check: Callable[[Any], None],
    given: Mapping[str, Any],
) -> Fitted:
    """Return a module with attributes at which it computes the same.

    Parameters
    ----------
    build : callable (values of attributes) → module
    attributes : sequence of Attribute
    check : callable (module)
        Raises `MisfitError`.
    given : mapping of str to value
        Values of attributes by address, that the user has decided.

    Raises
    ------
    MisfitError
        If there is no such module: the failure with the smallest difference.
    """
    decided = {a: given[a.address] for a in attributes if a.address in given}
    open_ = [a for a in attributes if a not in decided]
    clear = {a: a.proposal for a in open_ if a.proposal is not None}
    unclear = [a for a in open_ if a not in clear]
    try:
        return _search(build, check, decided | clear, unclear)
    except MisfitError as error:
        if not clear:
            raise
        first = error
    try:  # a number that looked like a size may be another one
        return _search(build, check, decided, open_)
    except MisfitError as error:
        raise (first if first.difference <= error.difference else error) from None


def _search(
    build: Callable[[Mapping[Attribute, Any]], Any],
    check: Callable[[Any], None],
    decided: Mapping[Attribute, Any],
    unclear: Sequence[Attribute],
) -> Fitted:
    kinds: dict[Hashable, list[Attribute]] = {}
    for attribute in unclear:
        kinds.setdefault(attribute.kind, []).append(attribute)
    best: MisfitError | None = None
    stack: list[dict[Hashable, Hashable]] = [{}]
    for _ in range(_MOST_ATTEMPTS):
        if not stack:
            break
        chosen = stack.pop()
        used: list[Attribute] = []
        values = dict(decided) | {a: a.at(chosen[a.kind]) for a in unclear if a.kind in chosen}
        waiting = [a for a in unclear if a.kind not in chosen]
        failed = None
        try:
            check(build(values | {a: _Placeholder(a, used) for a in waiting}))
        except MisfitError as error:
            failed = error
        if used:
            choices = _choices(kinds[used[0].kind])
            stack += [chosen | {used[0].kind: role} for role in reversed(choices)]
            continue
        if failed is not None:
            best = failed if best is None or failed.difference < best.difference else best
            continue
        settled = {a: a.value if a.proposal is None else a.proposal for a in waiting}
        return Fitted(build(values | settled), [a for a in waiting if a.proposal is None])
    raise best or MisfitError("too many attributes may be sizes")


def _choices(attributes: Sequence[Attribute]) -> list[Hashable]:
    """Return the roles that attributes of one meaning may have, those left out that come to the same values."""
    values: dict[tuple[Any, ...], Hashable] = {}
    for role in dict.fromkeys(role for a in attributes for role in a.roles):
        values.setdefault(tuple(a.at(role) for a in attributes), role)
    return list(values.values())


def set_attribute(modules: Mapping[Path, Any], attribute: Attribute, value: Any) -> None:
    """Set an attribute of a module that nobody else holds."""
    module = modules[attribute.module]
    name, *inner = attribute.names
    if inner:
        settings = copy.copy(getattr(module, name))
        object.__setattr__(settings, inner[0], value)
        value = settings
    object.__setattr__(module, name, value)
