"""Uniform sampling: pulls every arm equally often, on the same mini-batches."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import Counts, MeanRewardPolicy, top_k


@pytree_dataclass
class Uniform(MeanRewardPolicy):
    """Round robin: the arms with the fewest pulls come first, with ties broken at random.

    A step pulls every active arm on one mini-batch. All means are therefore over the same mini-batches, and their
    noise cancels in differences of means. A step with fewer slots than active arms takes a random subset of the arms
    with the fewest pulls, so that no arm is ever more than one pull ahead of another. This is the baseline for all
    adaptive policies.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from skbandit.policies import Uniform
    >>> policy = Uniform()
    >>> state = policy.update(policy.init(4), jnp.array([0, 2]), jnp.array([0.4, 0.8]), jnp.ones(2))
    >>> arms, probs = policy.select(jax.random.key(0), state, jnp.ones(4, bool), k=2)
    >>> print(jnp.sort(arms))
    [1 3]
    >>> print(policy.value(state))
    [ 0.4 -inf  0.8 -inf]
    """

    name: ClassVar[str] = "uniform"
    sweeps: ClassVar[bool] = True

    def select(self, key: jax.Array, state: Counts, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the ``k`` active arms with the fewest pulls."""
        return top_k(key, -state.n_pulls, active, k), jnp.ones(k)
