"""Criteria: they rank the units of a network by how safe they are to remove."""

from __future__ import annotations

import difflib

from skbandit._core.constraints import Number, OneOf, Where, shown
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.criteria.ablation import BudgetedGreedy, GreedyLeaveOneOut, LeaveOneOut
from skbandit.criteria.activation import ActivationVariance, APoZ, GreedyActivationVariation
from skbandit.criteria.bandit import Bandit
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.criteria.bmrs import BMRSNormal, BMRSUniform, ExpectedGate, SignalToNoise
from skbandit.criteria.gates import DAIS, BiP, IterativeSoftShrinkage, MaskDecay
from skbandit.criteria.gradient import OBD, Fisher, Taylor
from skbandit.criteria.reconstruction import OBS, Submodular
from skbandit.criteria.stable import StableUnits
from skbandit.criteria.warm_start import SequentialRacing, WarmRacing, WarmStartedBandit, WarmTopTwoThompson
from skbandit.criteria.weights import Magnitude, Random
from skbandit.policies import POLICIES, Policy

__all__ = [
    "CRITERIA",
    "DAIS",
    "OBD",
    "OBS",
    "APoZ",
    "ActivationVariance",
    "BMRSNormal",
    "BMRSUniform",
    "Bandit",
    "BiP",
    "BudgetedGreedy",
    "Criterion",
    "ExpectedGate",
    "Fisher",
    "GreedyActivationVariation",
    "GreedyLeaveOneOut",
    "IterativeSoftShrinkage",
    "LeaveOneOut",
    "Magnitude",
    "MaskDecay",
    "Number",
    "OneOf",
    "Problem",
    "Random",
    "Scores",
    "SequentialRacing",
    "SignalToNoise",
    "StableUnits",
    "Submodular",
    "Taylor",
    "WarmRacing",
    "WarmStartedBandit",
    "WarmTopTwoThompson",
    "Where",
    "pytree_dataclass",
    "resolve",
    "scores_without_pulls",
    "static",
]

#: Every criterion with a name, by the name that the ``policy`` argument takes; policies have names of their own.
CRITERIA: dict[str, type[Criterion]] = {
    c.name: c
    for c in (
        *(Random, Magnitude, APoZ, ActivationVariance, GreedyActivationVariation),
        *(Taylor, Fisher, OBD, OBS, Submodular, StableUnits),
        *(BMRSNormal, BMRSUniform, SignalToNoise, ExpectedGate),
        *(DAIS, BiP, IterativeSoftShrinkage, MaskDecay),
        *(LeaveOneOut, GreedyLeaveOneOut, BudgetedGreedy),
        *(WarmRacing, WarmTopTwoThompson, SequentialRacing),
    )
}


def _refused(policy: object, meant: str) -> ValueError:
    names = sorted({**POLICIES, **CRITERIA})
    hint = f" Did you mean {meant}?" if meant else ""
    return ValueError(
        f"The 'policy' parameter must be a Policy, a Criterion, or one of the names {names}. Got {shown(policy)}.{hint}"
    )


def make(name: str) -> Policy | Criterion:
    """Return the policy or criterion of this name, with default parameters; raise ValueError if there is none."""
    if name in POLICIES:
        return POLICIES[name]()
    if name in CRITERIA:
        return CRITERIA[name]()
    close = difflib.get_close_matches(str(name)[:40], sorted({**POLICIES, **CRITERIA}), n=1)
    raise _refused(name, repr(close[0]) if close else "")


def resolve(policy: str | Policy | Criterion) -> Criterion:
    """Return the criterion of a ``policy`` argument.

    Parameters
    ----------
    policy : str, Policy or Criterion
        A name is looked up; a policy becomes the policy of a `Bandit`.

    Returns
    -------
    criterion : Criterion

    Raises
    ------
    ValueError
        If there is no such name, the object is of another type, or one of its fields is invalid.
    """
    if isinstance(policy, str):
        policy = make(policy)
    if isinstance(policy, Policy):
        policy = Bandit(policy=policy)
    if isinstance(policy, Criterion):
        return policy.check()
    a_class = isinstance(policy, type) and issubclass(policy, (Policy, Criterion))
    raise _refused(policy, f"{policy.__name__}()" if a_class else "")
