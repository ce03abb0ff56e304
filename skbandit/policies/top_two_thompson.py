"""Top-two Thompson sampling for sets: pulls the arms on which two samples of the posterior differ."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.pytree import pytree_dataclass
from skbandit.policies.base import top_k
from skbandit.policies.identification import MomentsPolicy, aimed, doubts, posterior

#: Number of pairs of samples in a step.
N_PAIRS = 8


@pytree_dataclass
class TopTwoThompson(MomentsPolicy):
    r"""Top-two Thompson sampling for the set of the ``m`` best arms.

    A sample draws :math:`\theta_i \sim N(\hat\mu_i, s_i^2)` for every arm; the arms of the ``m`` highest values are a
    sampled answer. A step draws 8 pairs of sampled answers. It pulls the arms that are in exactly one answer of a pair,
    those of most pairs first, and then arms on which all pairs agree, in random order.

    Notes
    -----
    Top-two sampling [1]_ identifies one best arm: it also pulls the best arm of a second sample that differs from the
    first. The extension to sets, by their symmetric difference, is our own.

    References
    ----------
    .. [1] D. Russo (2016). Simple Bayesian algorithms for best arm identification. COLT. arXiv 1602.08448.
    """

    name: ClassVar[str] = "top_two_thompson"

    def select(self, key: jax.Array, state: Any, active: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
        """Choose the arms on which most pairs of samples differ."""
        moments, goal = state[0], aimed(state[1])
        draw_key, tie_key = jax.random.split(key)
        mean, error = posterior(moments, goal)
        nobody = jnp.zeros(active.shape[0], bool)
        # An arm with one pull has an infinite standard error: it counts for every pair.
        unknown = jnp.isinf(error)
        normal = jax.random.normal(draw_key, (N_PAIRS, 2, active.shape[0]))
        samples = mean + jnp.where(unknown, 0, error) * normal
        believed = jax.vmap(jax.vmap(lambda s: doubts(s, goal, nobody, goal.active)[0]))(samples)
        votes = jnp.sum(believed[:, 0] != believed[:, 1], axis=0) + jnp.where(unknown, N_PAIRS, 0)
        return top_k(tie_key, votes.astype(float), active, k), jnp.ones(k)
