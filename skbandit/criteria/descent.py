"""Gradient descent inside a criterion: variables that Adam moves, and the loop over its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax


class Variable(NamedTuple):
    """What is trained, and what Adam remembers of it."""

    value: Any
    """A pytree of float arrays."""
    memory: Any


class Adam(NamedTuple):
    """Adam with a learning rate, on one variable."""

    learning_rate: Any

    def begin(self, value: Any) -> Variable:
        """Return the variable before its first step."""
        return Variable(value, optax.adam(self.learning_rate).init(value))

    def step(self, variable: Variable, gradient: Any) -> Variable:
        """Move the variable against its gradient."""
        updates, memory = optax.adam(self.learning_rate).update(gradient, variable.memory, variable.value)
        return Variable(optax.apply_updates(variable.value, updates), memory)


def descend(n_steps: Any, body: Callable[[jax.Array, jax.Array, Any], Any], start: Any) -> Any:
    """Call ``carry = body(t, share, carry)`` for each of ``n_steps`` steps, and return the last carry.

    Parameters
    ----------
    n_steps : scalar
        May be traced.
    body : callable
        It gets the number of the step, i32, and the share of the steps that are done, from 0 to 1.
    start : pytree
    """
    n_steps = jnp.asarray(n_steps, jnp.int32)

    def step(t: jax.Array, carry: Any) -> Any:
        return body(t, t / jnp.maximum(n_steps - 1, 1), carry)

    return lax.fori_loop(0, n_steps, step, start)
