"""The interface of a policy, and what policies that rank arms by mean reward share.

Conventions of all policies:

* There are ``n`` arms. ``active`` is ``bool[n]``; an arm that is not active is never chosen.
* A step has ``k`` *slots*; ``k`` is static. A slot with the index ``n`` is empty: no arm was pulled in it. Scatters
  drop it (``.at[n]`` is out of bounds); gathers must not rely on it.
* Rewards are in [0, 1]; higher = safer to remove. An arm may fill several slots of one step.
* ``probs`` holds, for each pull, the probability with which the arm was drawn at that time. Ties and posterior samples
  are taken as given. A forced pull (in the opening sweep over all arms) has probability 1, and so has an empty slot.
* ``key`` is the first argument and a typed JAX key.
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
    """Interface of a bandit policy.

    Subclasses are frozen dataclasses that are registered as pytrees (`skbandit.policies.pytree_dataclass`).

    See Also
    --------
    skbandit.criteria.Bandit : The criterion that prunes a network by a policy.
    """

    name: ClassVar[str] = ""
    #: Whether a step has a slot for every arm: ``k`` is then ``n``.
    sweeps: ClassVar[bool] = False
    #: Whether a step must pull every active arm (implies ``sweeps``). A step that exceeds the budget is not begun.
    full_information: ClassVar[bool] = False
    #: Whether the slots of a step are independent draws, so that an arm may fill several. Otherwise arms are distinct.
    replacement: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, n: int) -> PolicyState:
        """Return the state of ``n`` arms before the first pull."""

    @abc.abstractmethod
    def select(self, key: jax.Array, state: PolicyState, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the arms of a step.

        Parameters
        ----------
        key : jax.Array
            Typed JAX key.
        state : pytree
            What `init` or `update` returned.
        active : bool[n]
            Arms that may be chosen.
        k : int
            Number of slots.

        Returns
        -------
        arms : i32[k]
            Indices of active arms; ``n`` in an empty slot, where fewer than ``k`` arms are active and none is drawn
            twice. Empty slots come last, except in policies of full information. If the budget ends within a step, its
            last slots are cut off.
        probs : f[k]
            Probability of each draw; 1 in an empty slot.
        """

    @abc.abstractmethod
    def update(self, state: PolicyState, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> PolicyState:
        """Return the state after the rewards of a step.

        Parameters
        ----------
        state : pytree
            What `init` or `update` returned.
        arms : i32[k]
            The arms pulled; ``n`` in an empty slot. ``k`` may be any number.
        rewards : f[k]
            Rewards of the pulls.
        probs : f[k]
            Probability of each draw, as `select` returned it.

        Returns
        -------
        state : pytree
        """

    @abc.abstractmethod
    def value(self, state: PolicyState) -> jax.Array:
        """Return the value ``f[n]`` of each arm: higher = safer to remove; ``-inf`` if it was never pulled."""


class Counts(NamedTuple):
    """Pulls and summed rewards of each arm: the state of the policies that rank arms by mean reward."""

    n_pulls: jax.Array
    """f[n]: number of pulls."""
    total: jax.Array
    """f[n]: summed reward."""


def init_counts(n: int) -> Counts:
    """Return the counts of ``n`` arms before the first pull."""
    return Counts(jnp.zeros(n), jnp.zeros(n))


def add_pulls(counts: Counts, arms: jax.Array, rewards: jax.Array) -> Counts:
    """Return the counts after the pulls of a step.

    Parameters
    ----------
    counts : Counts
        Counts before the step.
    arms : i32[k]
        The arms pulled. The index ``n`` of an empty slot is out of bounds and dropped.
    rewards : f[k]
        Rewards of the pulls.

    Returns
    -------
    counts : Counts
    """
    return Counts(
        counts.n_pulls.at[arms].add(1.0, mode="drop"),
        counts.total.at[arms].add(rewards, mode="drop"),
    )


def mean_reward(counts: Counts, unpulled: float = -jnp.inf) -> jax.Array:
    """Return the mean reward f[n] of each arm; ``unpulled`` if it was never pulled."""
    # The inner `where` avoids 0 / 0, also in gradients.
    pulled = counts.n_pulls > 0
    return jnp.where(pulled, counts.total / jnp.where(pulled, counts.n_pulls, 1.0), unpulled)


@dataclasses.dataclass(frozen=True)
class MeanRewardPolicy(Policy):
    """Base of the policies that rank arms by mean reward; a subclass only selects."""

    def init(self, n: int) -> Counts:
        """Return the state of ``n`` arms before the first pull."""
        return init_counts(n)

    def update(self, state: Counts, arms: jax.Array, rewards: jax.Array, probs: jax.Array) -> Counts:
        """Return the state with each reward added to its arm."""
        return add_pulls(state, arms, rewards)

    def value(self, state: Counts) -> jax.Array:
        """Return the mean reward ``f[n]`` of each arm; ``-inf`` if it was never pulled."""
        return mean_reward(state)


def top_k(key: jax.Array, index: jax.Array, active: jax.Array, k: int) -> jax.Array:
    """Return the active arms of highest index, with ties broken at random.

    Parameters
    ----------
    key : jax.Array
        Typed JAX key, for the ties.
    index : f[n]
        Index of each arm; NaN counts as -inf.
    active : bool[n]
        Arms that may be chosen.
    k : int
        Number of slots.

    Returns
    -------
    arms : i32[k]
        The arms, highest index first; ``n`` in the last slots if fewer than ``k`` arms are active.
    """
    n = index.shape[0]
    # The arms are shuffled first, with the inactive ones last: `lax.top_k` is stable and keeps that order in ties, at
    # -inf too. In float32 on a CPU it is a call to a library; a sort with a comparator would be compiled.
    _, shuffled = lax.top_k(jnp.where(active, jax.random.uniform(key, (n,)), -1), n)
    on = active[shuffled]
    _, place = lax.top_k(jnp.where(on & ~jnp.isnan(index[shuffled]), index[shuffled], -jnp.inf), min(k, n))
    arms = jnp.where(on, shuffled, n)[place]
    return jnp.pad(arms, (0, max(0, k - n)), constant_values=n)
