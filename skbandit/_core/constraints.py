"""What a parameter may be, and errors that name the parameter, the value and what is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in an interval; ``closed`` names the ends that belong to it."""

    low: float = -np.inf
    high: float = np.inf
    closed: str = "left"
    integral: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is a number of the kind, inside."""
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral if self.integral else Real):
            return False
        number = float(value)
        low = self.low <= number if self.closed in ("left", "both") else self.low < number
        high = number <= self.high if self.closed in ("right", "both") else number < self.high
        return bool(low and high)

    def __str__(self) -> str:
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"{'an int' if self.integral else 'a float'} in the range {left}{self.low:g}, {self.high:g}{right}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of a few strings."""

    values: tuple[str, ...]

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return isinstance(value, str) and value in self.values

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.values))
        return f"one of {names}" if len(self.values) > 1 else names


@dataclasses.dataclass(frozen=True)
class Where:
    """Whatever satisfies a predicate, said in words."""

    predicate: Callable[[Any], bool]
    words: str

    def accepts(self, value: Any) -> bool:
        """Ask the predicate."""
        return bool(self.predicate(value))

    def __str__(self) -> str:
        return self.words


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


BOOL = Where(_is_bool, "a bool")
NONE = Where(lambda v: v is None, "None")
POSITIVE = Number(0, closed="neither")
NON_NEGATIVE = Number(0)
UNIT = Number(0, 1)


def check_values(owner: str, values: dict[str, Any], constraints: dict[str, tuple[Any, ...]]) -> None:
    """Raise ValueError for the first value that its constraints do not accept.

    Parameters
    ----------
    owner : str
        Whose parameters they are, for the message.
    values : dict
        Values by name; a name without constraints may have any.
    constraints : dict
        What each may be.
    """
    for name, value in values.items():
        allowed = constraints.get(name)
        if allowed is not None and not any(constraint.accepts(value) for constraint in allowed):
            raise ValueError(
                f"The {name!r} parameter of {owner} must be "
                f"{' or '.join(str(constraint) for constraint in allowed)}. Got {value!r} instead."
            )
