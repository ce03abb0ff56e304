"""What every policy is: a pure bandit that knows no network.

Conventions, stated once:

* There are ``n`` arms. ``active`` is ``bool[n]``; an arm that is not active is never chosen.
* A step has ``k`` *slots*, ``k`` is static. A slot that holds the index ``n`` is empty: no arm was pulled in it.
  Scatters drop it (``.at[n]`` is out of bounds), gathers must not rely on it.
* Rewards are in [0, 1], higher = safer to remove. An arm may stand in several slots of one step.
* ``probs`` travels with the pull: the probability with which the arm was drawn, as it was when it was drawn (how ties
  fell, and a posterior sample, are taken as given). A forced pull (the opening sweep over all arms) has probability
  1, and so has an empty slot.
* ``key`` comes first and is a typed JAX key.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.pytree import ParamsMixin

PolicyState = Any


@dataclasses.dataclass(frozen=True)
class Policy(ParamsMixin, abc.ABC):
    """Interface of a bandit policy; subclasses are frozen dataclasses registered as pytrees.

    See Also
    --------
    skbandit.criteria.Bandit : Lifts a policy to a criterion that prunes a network.
    """

    name: ClassVar[str] = ""
    #: A step offers a slot to every arm: ``k`` is then ``n``.
    sweeps: ClassVar[bool] = False
    #: A step must pull every active arm (implies ``sweeps``); a step that the budget cannot complete is not begun.
    full_information: ClassVar[bool] = False
    #: The slots of a step are independent draws: an arm may fill several. Otherwise the arms of a step are distinct.
    replacement: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, n: int) -> PolicyState:
        """Return the state before the first pull of ``n`` arms."""

    @abc.abstractmethod
    def select(self, key: jax.Array, state: PolicyState, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the arms of a step.

        Returns
        -------
        arms : i32[k]
            Indices of active arms; ``n`` in an empty slot (fewer than ``k`` active arms, drawn without replacement).
            Empty slots come last, but for policies of full information: where the budget ends within a step, its last
            slots are cut off.
        probs : f[k]
            The probability of each draw; 1 in an empty slot.
        """

    @abc.abstractmethod
    def update(self, state: PolicyState, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> PolicyState:
        """Learn from the rewards ``f[k]`` of the pulls ``arms`` (``n`` = empty slot), any ``k``."""

    @abc.abstractmethod
    def value(self, state: PolicyState) -> jax.Array:
        """Return the estimated safety ``f[n]`` of each arm: higher = safer to remove; ``-inf`` where never pulled."""


class Counts(NamedTuple):
    """Pulls and summed rewards: the state of every policy that ranks arms by their mean reward."""

    n_pulls: jax.Array
    """f[n]: number of pulls."""
    total: jax.Array
    """f[n]: summed reward."""


def init_counts(n: int) -> Counts:
    """No pulls yet."""
    return Counts(jnp.zeros(n), jnp.zeros(n))


def add_pulls(counts: Counts, arms: jax.Array, rewards: jax.Array) -> Counts:
    """Credit each pull to its arm; empty slots fall out of bounds and are dropped."""
    return Counts(
        counts.n_pulls.at[arms].add(1.0, mode="drop"),
        counts.total.at[arms].add(rewards, mode="drop"),
    )


def mean_reward(counts: Counts, unpulled: float = -jnp.inf) -> jax.Array:
    """Mean reward of each arm; ``unpulled`` where there is none (the inner ``where`` keeps 0/0 away)."""
    pulled = counts.n_pulls > 0
    return jnp.where(pulled, counts.total / jnp.where(pulled, counts.n_pulls, 1.0), unpulled)


@dataclasses.dataclass(frozen=True)
class MeanRewardPolicy(Policy):
    """A policy that remembers how often each arm was pulled and what it gave: its subclasses only select."""

    def init(self, n: int) -> Counts:
        """Return the state before the first pull of ``n`` arms."""
        return init_counts(n)

    def update(self, state: Counts, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> Counts:
        """Credit each reward to its arm."""
        return add_pulls(state, arms, rewards)

    def value(self, state: Counts) -> jax.Array:
        """Return the mean reward ``f[n]`` of each arm; ``-inf`` where it was never pulled."""
        return mean_reward(state)


def top_k(key: jax.Array, index: jax.Array, active: jax.Array, k: int) -> jax.Array:
    """Return the ``k`` active arms of highest ``index``, ties broken at random; ``n`` where fewer are active."""
    n = index.shape[0]
    # Shuffled first, with the inactive arms behind the others: `lax.top_k` is stable, and keeps that order where the
    # index ties, be it at -inf. On a CPU, in float32, it is a call to a library; a sort with a comparator is compiled.
    _, shuffled = lax.top_k(jnp.where(active, jax.random.uniform(key, (n,)), -1), n)
    on = active[shuffled]
    _, place = lax.top_k(jnp.where(on & ~jnp.isnan(index[shuffled]), index[shuffled], -jnp.inf), min(k, n))
    arms = jnp.where(on, shuffled, n)[place]
    return jnp.pad(arms, (0, max(0, k - n)), constant_values=n)
