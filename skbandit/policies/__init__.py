"""Multi-armed bandit policies: they choose the arms to pull, and estimate how safe each arm is to remove.

A policy is a pure bandit and knows no network. `skbandit.policies.base` defines the interface.
"""

from __future__ import annotations

import difflib

from skbandit._core.constraints import Number, OneOf, Where
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.policies.base import Counts, MeanRewardPolicy, Policy
from skbandit.policies.csar import CSAR
from skbandit.policies.epsilon_greedy import EpsilonGreedy
from skbandit.policies.exp3 import EXP3, EXP3State
from skbandit.policies.hedge import Hedge
from skbandit.policies.identification import Goal, IdentificationPolicy, Moments
from skbandit.policies.lucb import LUCB
from skbandit.policies.racing import Racing, RacingState
from skbandit.policies.softmax import Softmax
from skbandit.policies.thompson import GaussianThompson, Thompson
from skbandit.policies.top_two_thompson import TopTwoThompson
from skbandit.policies.ucb import UCB1
from skbandit.policies.uniform import Uniform

__all__ = [
    "CSAR",
    "EXP3",
    "LUCB",
    "POLICIES",
    "UCB1",
    "Counts",
    "EXP3State",
    "EpsilonGreedy",
    "GaussianThompson",
    "Goal",
    "Hedge",
    "IdentificationPolicy",
    "MeanRewardPolicy",
    "Moments",
    "Number",
    "OneOf",
    "Policy",
    "Racing",
    "RacingState",
    "Softmax",
    "Thompson",
    "TopTwoThompson",
    "Uniform",
    "Where",
    "get",
    "pytree_dataclass",
    "static",
]

#: Every policy, by the name that the ``policy`` argument takes.
POLICIES: dict[str, type[Policy]] = {
    cls.name: cls
    for cls in (
        *(EpsilonGreedy, Softmax, UCB1, Thompson, GaussianThompson, Hedge, EXP3, Uniform),
        *(Racing, LUCB, CSAR, TopTwoThompson),
    )
}


def get(name: str) -> Policy:
    """Return the policy of this name, with its default parameters.

    Parameters
    ----------
    name : str
        A key of ``POLICIES``.

    Returns
    -------
    policy : Policy

    Raises
    ------
    ValueError
        If there is no policy of this name.

    Examples
    --------
    >>> from skbandit import policies
    >>> policies.get("ucb1")
    UCB1(exploration=1.0)
    """
    if isinstance(name, str) and name in POLICIES:
        return POLICIES[name]()
    nearest = difflib.get_close_matches(name, POLICIES, n=1) if isinstance(name, str) else []
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    found = repr(name) if isinstance(name, str) else f"a {type(name).__name__}"
    raise ValueError(f"The name of a policy must be one of {', '.join(map(repr, POLICIES))}; got {found}.{hint}")
