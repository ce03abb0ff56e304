"""Training inside a criterion: variables that Adam updates, and the loop over its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from skbandit._core.constraints import Number

#: What a number of steps may be: the fields of a criterion are floats, and float32 counts up to 2^24.
STEPS = Number(1, 1e7, closed="both", integral=True)


class Variable(NamedTuple):
    """A trained variable and the state of Adam."""

    value: Any
    """A pytree of float arrays."""
    memory: Any
    """State of Adam."""


class Adam(NamedTuple):
    """Adam on one variable."""

    learning_rate: Any

    def begin(self, value: Any) -> Variable:
        """Return the variable before the first step."""
        return Variable(value, optax.adam(self.learning_rate).init(value))

    def step(self, variable: Variable, gradient: Any) -> Variable:
        """Return the variable after a step along its gradient."""
        updates, memory = optax.adam(self.learning_rate).update(gradient, variable.memory, variable.value)
        return Variable(optax.apply_updates(variable.value, updates), memory)


def descend(n_steps: Any, body: Callable[[jax.Array, jax.Array, Any], Any], start: Any) -> Any:
    """Call ``carry = body(t, share, carry)`` for each of ``n_steps`` steps, and return the last carry.

    Parameters
    ----------
    n_steps : scalar
        Number of steps; may be traced.
    body : callable (t, share, carry) → carry
        One step: ``t`` is its index, i32, and ``share`` rises from 0 at the first step to 1 at the last.
    start : pytree
        The first carry.

    Returns
    -------
    carry : pytree
        The last carry.
    """
    n_steps = jnp.asarray(n_steps, jnp.int32)

    def step(t: jax.Array, carry: Any) -> Any:
        return body(t, t / jnp.maximum(n_steps - 1, 1), carry)

    return lax.fori_loop(0, n_steps, step, start)
