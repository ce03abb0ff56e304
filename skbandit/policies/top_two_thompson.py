"""Top-two Thompson sampling for sets: pull where two beliefs about the best arms differ."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import top_k
from skbandit.policies.identification import MomentsPolicy, aimed, doubts, posterior

#: Pairs of samples of a step.
N_PAIRS = 8


@pytree_dataclass
class TopTwoThompson(MomentsPolicy):
    r"""Pull the arms on which samples of the posterior disagree whether they are among the ``m`` best.

    A sample draws :math:`\theta_i \sim N(\hat\mu_i, s_i^2)` for every arm; its ``m`` highest are a belief about the
    answer. A step draws 8 pairs of beliefs and pulls the arms that are in one belief of a pair and not in the other, in
    most pairs first; then arms on which all agree, at random.

    Notes
    -----
    Top-two sampling [1]_ looks for one best arm, and pulls the best arm of a second sample if it differs from that of
    the first. The extension to sets by their symmetric difference is our own.

    References
    ----------
    .. [1] D. Russo (2016). Simple Bayesian algorithms for best arm identification. COLT. arXiv 1602.08448.
    """

    name: ClassVar[str] = "top_two_thompson"

    def select(self, key: jax.Array, state: Any, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the arms on which most pairs of beliefs differ."""
        moments, goal = state[0], aimed(state[1])
        draw_key, tie_key = jax.random.split(key)
        mean, error = posterior(moments, goal)
        nobody = jnp.zeros(active.shape[0], bool)
        # An arm with one pull is as uncertain as can be: it is on every pair's list.
        unknown = jnp.isinf(error)
        normal = jax.random.normal(draw_key, (N_PAIRS, 2, active.shape[0]))
        samples = mean + jnp.where(unknown, 0, error) * normal
        believed = jax.vmap(jax.vmap(lambda s: doubts(s, goal, nobody, goal.active)[0]))(samples)
        votes = jnp.sum(believed[:, 0] != believed[:, 1], axis=0) + jnp.where(unknown, N_PAIRS, 0)
        return top_k(tie_key, votes.astype(float), active, k), jnp.ones(k)
