"""Bandits with prior knowledge of the arms: from a cheap criterion, or from the previous round."""

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
    """Estimates of the previous round."""

    value: jax.Array
    """f[n]: minus the estimated damage of each unit."""
    known: jax.Array
    """bool: whether there was a previous round."""


@pytree_dataclass
class WarmStartedBandit(Bandit):
    r"""A bandit that has a hint of every arm before the first pull.

    The hint is the value of another criterion, ``prior``. From the second round on, with ``carry=True``, it is the
    estimate of the previous round. Only the order of the hints is used. An arm is expected to be like the arms of
    similar hint, as far as the pulls show that these are alike (`skbandit.policies.identification.posterior`). An
    uninformative hint therefore costs little. Changes since the previous round widen the prior automatically: its
    variance is that of the new damages among arms of similar hint.

    Parameters
    ----------
    policy : IdentificationPolicy
        Policy that chooses the arms. It must identify the ``m`` best arms and use posterior means.
    prior : Criterion or None, default=Fisher()
        Criterion whose values are the hints; it should be cheap. None: no hints in the first round.
    carry : bool, default=True
        Whether the hints are the estimates of the previous round, from the second round on.

    Notes
    -----
    The method is our own. Measuring again after each round, with the estimates of the previous one, is a remedy for
    redundant units: each of two copies is safe to remove until the other has been removed.
    """

    name: ClassVar[str] = ""
    constraints: ClassVar = Bandit.constraints | {
        "policy": (
            Where(
                lambda p: isinstance(p, IdentificationPolicy), "a policy that looks for the m best arms: Racing(), …"
            ),
        ),
        # Not the absolute mean: the posterior is of the mean of what the policy learns from, |damage|.
        "rank_by": (OneOf(("mean", "rms", "curvature")),),
        "prior": (NONE, Where(lambda p: isinstance(p, Criterion), "a Criterion")),
        "carry": (BOOL,),
    }

    policy: Policy = Racing()
    prior: Criterion | None = Fisher()
    carry: bool = static(default=True)

    def required(self) -> tuple[Capability[Any], ...]:
        """Return the capabilities that the policy and the prior need."""
        return (*super().required(), *(self.prior.required() if self.prior is not None else ()))

    def init(self, key: jax.Array, problem: Problem) -> Any:
        """Return the state without a previous round."""
        return Previous(jnp.zeros(problem.n_units, problem.gates[0].dtype), jnp.zeros((), bool))

    def hint(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> jax.Array:
        """Return the values of the prior, or those of the previous round."""

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
        """Return the estimates of this round."""
        if not self.carry:
            return state
        return Previous(scores.info["estimate"].astype(state.value.dtype), jnp.ones((), bool))


@pytree_dataclass
class WarmRacing(WarmStartedBandit):
    """Racing with the Fisher information of the gates as hints in the first round."""

    name: ClassVar[str] = "warm_racing"


@pytree_dataclass
class WarmTopTwoThompson(WarmStartedBandit):
    """Top-two Thompson sampling with the Fisher information of the gates as hints in the first round."""

    name: ClassVar[str] = "warm_top_two_thompson"

    policy: Policy = TopTwoThompson()


@pytree_dataclass
class SequentialRacing(WarmStartedBandit):
    """Racing with the estimates of the previous round as hints; the first round has none."""

    name: ClassVar[str] = "sequential_racing"

    prior: Criterion | None = None
