"""What the adapters of all frameworks share: modules as functions, and the check of a smaller module.

A module that is made for the smaller sizes is never taken on trust: it may run, and be another network. It is compared
with the smaller function of the result, which is right by construction, on the parameters of the result and on random
ones: parameters that happen to be zero would hide a difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skbandit._core.constraints import shown
from skbandit.networks.attributes import (
    Attribute,
    Known,
    MisfitError,
    Path,
    Sized,
    attributes_at,
    attributes_of,
    fit,
    set_attribute,
)
from skbandit.networks.groups import plain_path
from skbandit.networks.inference import TOLERANCE, as_variables, random_values, relative_difference
from skbandit.networks.trace import Variables
from skbandit.networks.traced import SmallerFunction, arguments

#: Largest relative difference of the module from the smaller function, by the bytes of a number.
_TOLERANCE = {2: 0.05, 4: 1e-4, 8: 1e-9}
#: Attributes that a message names.
_MOST_NAMED = 6


class FunctionOfModule:
    """A module as a function of its parameters, and of its state if it has one.

    Parameters
    ----------
    module : object
        Of any framework.
    of : callable (module) → callable (params, *args) → outputs
        How a module is such a function; smaller ones are called in the same way.
    """

    def __init__(self, module: Any, of: Callable[[Any], Callable[..., Any]]) -> None:
        self.of = of
        self._function = of(module)

    def __call__(self, params: Any, *args: Any) -> Any:
        """Return what the module returns: (params, *example), with state (params, state, *example)."""
        return self._function(params, *args)


class Sizes(dict[str, int]):
    """Units that are left by the names of the groups; a name that is not there is answered with those that are."""

    def __missing__(self, name: object) -> int:
        raise KeyError(f"No group is called {name!r}: print(groups) shows them. Their names are {list(self)}.")


class Smaller:
    """The smaller function of a result, to be compared with a module.

    Parameters
    ----------
    owner : str
        The function that messages name.
    result : PruneResult
    x : array, tuple of arguments, or None
        Rows. None: random values in the shapes that the function was pruned with.
    tolerance : float or None
        Largest relative difference. None: by the precision of the parameters.
    """

    def __init__(self, owner: str, result: Any, x: Any, tolerance: float | None) -> None:
        apply = getattr(result, "apply", None)
        if not isinstance(apply, SmallerFunction):
            raise ValueError(
                f"The 'result' parameter of {owner} must be what skbandit.prune returns for a function. "
                f"Got {shown(result) if apply is None else shown(apply)}."
            )
        self.owner, self.result, self.apply = owner, result, apply
        self.has_state = isinstance(apply.variables, Variables)
        self.variables = as_variables(result.params, result.state if self.has_state else None)
        width = min((a.dtype.itemsize for a in jax.tree.leaves(self.variables) if _is_float(a)), default=4)
        self.tolerance = _TOLERANCE.get(width, 1e-4) if tolerance is None else tolerance
        if not (isinstance(self.tolerance, (int, float)) and self.tolerance > 0):
            raise ValueError(f"The 'tolerance' parameter of {owner} must be a number above 0. Got {shown(tolerance)}.")
        example = apply.example if x is None else arguments(x)
        if example is None:
            raise ValueError(f"The 'x' parameter of {owner} is needed: rows to compare the smaller module on.")
        generic, self.example = random_values(self.variables, example)
        loose = max(self.tolerance, TOLERANCE.get(width, self.tolerance))
        self._cases = [(self.variables, self.tolerance, self._expected(self.variables))]
        expected = self._expected(generic)
        if all(np.isfinite(a).all() for a in expected if _is_float(a)):
            self._cases.append((generic, loose, expected))

    @property
    def sizes(self) -> Sizes:
        """Units that are left, by the names of the groups."""
        return Sizes(self.result.sizes)

    def _expected(self, variables: Any) -> list[Any]:
        return self._outputs(jax.jit(self.apply)(*self._arguments(variables)))

    def _arguments(self, variables: Any) -> tuple[Any, ...]:
        return (*variables, *self.example) if self.has_state else (variables, *self.example)

    def _outputs(self, returned: Any) -> list[Any]:
        """Return the leaves of what a function returned, without those of a new state."""
        if self.has_state and isinstance(returned, tuple) and len(returned) == 2:
            old: Any = jax.tree.structure(self.variables.state)
            if old == jax.tree.structure(returned[1]):
                returned = returned[0]
        return list(jax.tree.leaves(returned))

    def of(self, default: Callable[[Any], Callable[..., Any]], call: Any) -> Callable[[Any], Callable[..., Any]]:
        """Return how a module is a function: as the one that was pruned, where that is known."""
        own: Callable[[Any], Callable[..., Any]] = getattr(self.apply.full, "of", default)
        return own if call is None else default

    def check(self, function: Callable[..., Any]) -> None:
        """Raise `MisfitError` unless a function of the smaller parameters computes the same as the smaller function."""
        for variables, tolerance, expected in self._cases:
            self._compare(function, variables, tolerance, expected)

    def is_full(self, function: Callable[..., Any]) -> bool:
        """Say whether a function computes the same as the one that was pruned, at the full sizes."""
        generic, _ = random_values(self.apply.variables, ())
        expected = self._outputs(jax.jit(self.apply.full)(*self._arguments(generic)))
        try:
            self._compare(function, generic, self._cases[-1][1], expected)
        except MisfitError:
            return False
        return True

    def _compare(self, function: Callable[..., Any], variables: Any, tolerance: float, expected: list[Any]) -> None:
        try:
            made = self._outputs(jax.jit(function)(*self._arguments(variables)))
        except Exception as error:
            raise MisfitError(f"{type(error).__name__}: {_first_line(error)}") from error
        shapes, wanted = ([np.shape(a) for a in leaves] for leaves in (made, expected))
        if shapes != wanted:
            raise MisfitError(f"it returns arrays of the shapes {shapes}, and not {wanted}")
        difference = relative_difference(expected, made)
        if not difference <= tolerance:
            raise MisfitError(f"its outputs differ by {percent(difference)}", difference)

    def sized(self, paths: Callable[[Any], list[Path]]) -> list[Sized]:
        """Return parameters and state before and after pruning, at the paths that they have in a module."""
        units: dict[tuple[Any, ...], list[tuple[int, tuple[int, int]]]] = {}
        for group, kept in zip(self.apply.groups.groups, self.apply.kept, strict=True):
            for s in group.slices:
                units.setdefault(s.path, []).append((s.axis, (group.size, len(kept))))
        full, small = by_path(self.apply.variables), jax.tree.leaves(self.apply.small)
        trees = self.apply.variables if self.has_state else (self.apply.variables,)
        of_module = [path for tree in trees for path in paths(tree)]
        return [
            Sized(
                path,
                leaf.shape,
                cut.shape,
                tuple(tuple(n for a, n in units.get(at, ()) if a % leaf.ndim == i) for i in range(leaf.ndim)),
            )
            for path, (at, leaf), cut in zip(of_module, full.items(), small, strict=True)
        ]

    def refusal(self, error: MisfitError, advice: str) -> ValueError:
        """Return the error for a module that is not given back."""
        computes = np.isfinite(error.difference)
        said = (
            f"computes something else at the smaller sizes ({percent(error.difference)})"
            if computes
            else f"does not run at the smaller sizes ({error})"
        )
        return ValueError(f"The module {said}: {self.owner} does not return it. {advice} 'result.apply' is right.")


class Framework(NamedTuple):
    """What `at_smaller_sizes` must know of a framework whose modules hold their parameters.

    Attributes
    ----------
    name : str
    known : mapping of str to mapping of str to Known
        Attributes of its layers.
    modules : callable (module) → iterable of (path, module)
        A module and all below it.
    filled : callable (module, params, state) → module
        A copy with other arrays.
    of : callable (module) → callable (params, *args) → outputs
        How a module is a function.
    paths : callable (params) → list of path
        Where the leaves of the parameters are in the module.
    """

    name: str
    known: Mapping[str, Mapping[str, Known]]
    modules: Callable[[Any], Iterable[tuple[Path, Any]]]
    filled: Callable[[Any, Any, Any], Any]
    of: Callable[[Any], Callable[..., Any]]
    paths: Callable[[Any], list[Path]]


def at_smaller_sizes(framework: Framework, smaller: Smaller, module: Any, given: Any, rebuild: Any) -> Any:
    """Return a module with the parameters of a result, checked.

    Parameters
    ----------
    framework : Framework
    smaller : Smaller
    module : object
        The module that was pruned.
    given : mapping of str to value, or None
        Attributes that the user has decided.
    rebuild : callable or None
        Makes a module at the smaller sizes.
    """
    result = smaller.result
    if rebuild is not None:
        made: list[Any] = []

        def of(module: Any) -> Any:
            made.append(framework.filled(module, result.params, result.state))
            return framework.of(made[0])

        rebuilt(smaller, rebuild, of)
        return made[0]
    filled = framework.filled(module, result.params, result.state)
    modules = list(framework.modules(filled))
    found = attributes_of(
        modules,
        smaller.sized(framework.paths),
        framework.known,
        framework.name,
    )
    found += attributes_at(given or {}, modules, found, smaller.owner)

    def build(values: Mapping[Attribute, Any]) -> Any:
        fresh = framework.filled(module, result.params, result.state)
        at = dict(framework.modules(fresh))
        for attribute, value in values.items():
            set_attribute(at, attribute, value)
        return fresh

    try:
        fitted = fit(build, found, lambda made: smaller.check(framework.of(made)), given or {})
    except MisfitError as error:
        if not smaller.is_full(framework.of(module)):
            raise ValueError(
                f"The module is not the function that was pruned, at the full sizes either: pass {smaller.owner} the "
                "module that was pruned, and in 'call' how it is called on a mini-batch."
            ) from error.__cause__
        raise smaller.refusal(error, _advice(found)) from error.__cause__
    if fitted.unclear:
        warnings.warn(
            f"The call of the module does not use {', '.join(map(str, fitted.unclear[:_MOST_NAMED]))}, and the new "
            f"value is not clear: it stays as it was. To set it, pass 'attributes' to {smaller.owner}.",
            UserWarning,
            stacklevel=3,
        )
    return fitted.module


def rebuilt(smaller: Smaller, rebuild: Any, of: Callable[[Any], Any]) -> Any:
    """Return what a function of the user's makes for the sizes that are left, checked.

    Parameters
    ----------
    smaller : Smaller
    rebuild : callable (sizes) → module
    of : callable (module) → callable (params, *args) → outputs
        How what was made is a function.
    """
    if not callable(rebuild):
        raise ValueError(
            f"The 'rebuild' parameter of {smaller.owner} must be callable (sizes) → module. Got {shown(rebuild)}."
        )
    made = rebuild(smaller.sizes)
    function = of(made)
    if not callable(function):
        raise ValueError(
            f"The 'rebuild' function of {smaller.owner} must return a module, or a function. It returned {shown(made)}."
        )
    try:
        smaller.check(function)
    except MisfitError as error:
        advice = f"It is what 'rebuild' made for the sizes {dict(smaller.sizes)}."
        raise smaller.refusal(error, advice) from error.__cause__
    return made


def _advice(found: Sequence[Attribute]) -> str:
    own = [str(a) for a in found if not a.known]
    more = f" and {len(own) - _MOST_NAMED} more" if len(own) > _MOST_NAMED else ""
    of_attributes = f"in 'attributes' the values of {', '.join(own[:_MOST_NAMED])}{more}, or " if own else ""
    return (
        f"Pass {of_attributes}in 'rebuild' a function that makes the module for 'result.sizes'. A number in its code, "
        "as in reshape(n, 4, -1), must come from the shapes of the parameters, or from an attribute."
    )


def paths_of(tree: Any) -> list[Path]:
    """Return the plain paths of the leaves of a tree."""
    return [plain_path(path) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def by_path(tree: Any, paths: Callable[[Any], list[Path]] = paths_of) -> dict[Path, Any]:
    """Return the leaves of a tree by their paths."""
    return dict(zip(paths(tree), jax.tree.leaves(tree), strict=True))


def put(tree: Any, values: Mapping[Path, Any], owner: str, paths: Callable[[Any], list[Path]] = paths_of) -> Any:
    """Return a tree with other arrays at some paths.

    Raises
    ------
    ValueError
        If a path is not there.
    """
    leaves = by_path(tree, paths)
    missing = [path for path in values if path not in leaves]
    if missing:
        raise ValueError(
            f"The module that {owner} was given, or made, has no parameter {'.'.join(map(str, missing[0]))}, which the "
            "result has: it must be the module that was pruned, or one like it."
        )
    return jax.tree.unflatten(jax.tree.structure(tree), list((leaves | dict(values)).values()))


def percent(difference: float) -> str:
    """Return a relative difference as people write it."""
    return f"{difference:.2g} times" if difference > 10 else f"{100 * difference:.2g} %"


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else ""


def _is_float(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.floating))
