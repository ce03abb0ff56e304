"""What a parameter may be, and errors that name the parameter, the value and what is allowed.

A value is judged twice: as it was given, and as the precision holds it that computes with it. Float32 makes 0 of
1e-300, 1 of 0.99999999 and infinity of 1e300, and XLA takes what is smaller than the smallest normal number for 0.

Values may be anything, also objects whose methods raise. What cannot be asked is not accepted, and what cannot be shown
is shown by its type.
"""

from __future__ import annotations

import dataclasses
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

#: Whole numbers are counted in so many bits.
_LARGEST_INT = np.iinfo(np.int64).max


class Constraint(ABC):
    """A kind of value that is allowed; as text, what it is called in a message."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of the kind; one that raises when it is looked at is not."""
        try:
            return bool(self._holds(value))
        except Exception:
            return False

    def lost(self, value: Any, dtype: str) -> str:
        """Say how a value that is accepted stops being of the kind in ``dtype``; empty where it does not."""
        return ""

    @abstractmethod
    def _holds(self, value: Any) -> bool | np.bool_:
        """Return whether ``value`` is of the kind."""


@dataclasses.dataclass(frozen=True)
class Number(Constraint):
    """A number in an interval; ``closed`` names the ends that belong to it."""

    low: float = -np.inf
    high: float = np.inf
    closed: str = "left"
    integral: bool = False

    def _holds(self, value: Any) -> bool | np.bool_:
        kind: type = Integral if self.integral else Real
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
            return False
        number: Any = value
        _ = int(number) if self.integral else rounded(number, "float64")  # raises where it has no value
        # Not as floats: an int may be beyond them.
        low = self.low <= number if self.closed in ("left", "both") else self.low < number
        high = number <= self.high if self.closed in ("right", "both") else number < self.high
        return bool(low) and bool(high)

    def lost(self, value: Any, dtype: str) -> str:
        """Say what a number becomes, where that lies outside."""
        if self.integral:
            return "" if abs(int(value)) <= _LARGEST_INT else "which int64 cannot hold"
        held = rounded(value, dtype)
        return "" if self.accepts(held) else f"which is {held:g} in dtype={dtype!r}"

    def __str__(self) -> str:
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        low, high = (f"{end:.0f}" if self.integral else f"{end:g}" for end in (self.low, self.high))
        return f"{'an int' if self.integral else 'a float'} in the range {left}{low}, {high}{right}"


@dataclasses.dataclass(frozen=True)
class OneOf(Constraint):
    """One of a few strings."""

    values: tuple[str, ...]

    def _holds(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.values

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.values))
        return f"one of {names}" if len(self.values) > 1 else names


@dataclasses.dataclass(frozen=True)
class Where(Constraint):
    """Whatever satisfies a predicate, said in words."""

    predicate: Callable[[Any], bool | np.bool_]
    words: str

    def _holds(self, value: Any) -> bool | np.bool_:
        return self.predicate(value)

    def __str__(self) -> str:
        return self.words


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


BOOL = Where(_is_bool, "a bool")
NONE = Where(lambda v: v is None, "None")
POSITIVE = Number(0, closed="neither")
NON_NEGATIVE = Number(0)
UNIT = Number(0, 1)


def check_values(
    owner: str, values: Mapping[str, Any], constraints: Mapping[str, Sequence[Constraint]], dtype: str = "float64"
) -> None:
    """Raise ValueError for the first value that its constraints do not accept, as it is or in ``dtype``.

    Parameters
    ----------
    owner : str
        Whose parameters they are, for the message.
    values : mapping
        Values by name; a name without constraints may have any.
    constraints : mapping
        What each may be.
    dtype : {"float64", "float32"}
        In which numbers are computed with.
    """
    for name, value in values.items():
        allowed = constraints.get(name)
        if allowed is None:
            continue
        losses = [constraint.lost(value, dtype) for constraint in allowed if constraint.accepts(value)]
        if "" not in losses:
            why = f", {losses[0]}." if losses else " instead."
            raise ValueError(
                f"The {name!r} parameter of {owner} must be {' or '.join(map(str, allowed))}. Got {shown(value)}{why}"
            )


def rounded(value: Any, dtype: str) -> float:
    """Return the float that a real number becomes in ``dtype``: 0 below the smallest normal one, as XLA has it."""
    try:
        with np.errstate(all="ignore"):
            number = float(np.dtype(dtype).type(float(value)))
    except OverflowError:  # an int or a fraction beyond float64
        return float(np.copysign(np.inf, 1 if value > 0 else -1))
    return 0.0 if abs(number) < np.finfo(dtype).tiny else number


def shown(value: Any) -> str:
    """Return a value as text for a message: on one line, cut short, and by its type where it cannot be shown."""
    short = reprlib.Repr()
    short.maxstring = short.maxlong = 80
    short.maxother = 300
    try:
        return " ".join(short.repr(value).split())
    except Exception:
        return f"an object of type {type(value).__name__}"
