"""Bandits that do not begin from nothing: a cheap criterion, or the round before, tells them where to look."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import BOOL, NONE, OneOf, Where
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.criteria.bandit import Bandit
from skbandit.criteria.base import Criterion, Problem, Scores, checked
from skbandit.criteria.gradient import Fisher
from skbandit.networks.capabilities import Capability
from skbandit.policies import IdentificationPolicy, Policy, Racing, TopTwoThompson


class Previous(NamedTuple):
    """What the round before has found out."""

    value: jax.Array
    """f[n]"""
    known: jax.Array
    """bool: there was one."""


@pytree_dataclass
class WarmStartedBandit(Bandit):
    r"""A bandit that is given a hint of every arm before the first pull.

    The hint is the value of another criterion, ``prior``; from the second round on, with ``carry``, it is the estimate
    of the round before. A hint is no damage: only its order is used. An arm is expected to be like the arms of similar
    hint, as far as the pulls show these to be alike (`skbandit.policies.identification.posterior`). So a hint that says
    nothing costs little, and what has changed since the round before widens the belief by itself: the spread of the new
    damages around what the old ones predict is the inflation of the variance.

    Parameters
    ----------
    policy : IdentificationPolicy
        Chooses the arms: one that looks for the ``m`` best arms and works with posterior means.
    prior : Criterion or None, default=Fisher()
        Gives the hints; should cost little. With None there are none in the first round.
    carry : bool, default=True
        From the second round on, take the estimates of the round before as hints.

    Notes
    -----
    Not published elsewhere. Re-scoring after every chunk of removals, with posteriors that are carried on, is the
    remedy for units that stand in for one another: each of two copies is safe to remove until the other has gone.
    """

    name: ClassVar[str] = ""
    constraints: ClassVar = Bandit.constraints | {
        "policy": (
            Where(
                lambda p: isinstance(p, IdentificationPolicy), "a policy that looks for the m best arms: Racing(), …"
            ),
        ),
        "rank_by": (OneOf(("damage",)),),
        "prior": (NONE, Where(lambda p: isinstance(p, Criterion), "a Criterion")),
        "carry": (BOOL,),
    }

    policy: Policy = Racing()
    prior: Criterion | None = Fisher()
    carry: bool = static(default=True)

    def required(self) -> tuple[Capability[Any], ...]:
        """Return what the policy and the criterion that gives the hints need."""
        return (*super().required(), *(self.prior.required() if self.prior is not None else ()))

    def init(self, key: jax.Array, problem: Problem) -> Any:
        """Nothing is known of a round before the first."""
        return Previous(jnp.zeros(problem.n_units, problem.gates[0].dtype), jnp.zeros((), bool))

    def hint(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> jax.Array:
        """Return the prior's value, or that of the round before."""

        def ask() -> jax.Array:
            if self.prior is None:
                return jnp.full_like(state.value, jnp.nan)
            prior_key, init_key = jax.random.split(jax.random.fold_in(key, 2**31 - 1))
            start = self.prior.init(init_key, problem)
            _, scores = checked(self.prior, self.prior.step(prior_key, start, problem, active), problem.n_units)
            return scores.value.astype(state.value.dtype)

        hint: jax.Array = lax.cond(state.known & self.carry, lambda: state.value, ask)
        return hint

    def remember(self, state: Previous, scores: Scores, active: jax.Array) -> Previous:
        """Keep the estimates."""
        if not self.carry:
            return state
        return Previous((-scores.damage).astype(state.value.dtype), jnp.ones((), bool))


@pytree_dataclass
class WarmRacing(WarmStartedBandit):
    """Racing, begun with the Fisher information of the gates."""

    name: ClassVar[str] = "warm_racing"


@pytree_dataclass
class WarmTopTwoThompson(WarmStartedBandit):
    """Top-two Thompson sampling, begun with the Fisher information of the gates."""

    name: ClassVar[str] = "warm_top_two_thompson"

    policy: Policy = TopTwoThompson()


@pytree_dataclass
class SequentialRacing(WarmStartedBandit):
    """Racing that goes on from the estimates of the round before; the first round begins from nothing."""

    name: ClassVar[str] = "sequential_racing"

    prior: Criterion | None = None
