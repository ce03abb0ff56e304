"""The methods of the comparison: by name, what ranks the units, with which budget, in how many rounds."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.evidence import design
from skbandit import policies
from skbandit.criteria import CRITERIA, Bandit, BudgetedGreedy, LeaveOneOut, Magnitude, Taylor, WarmRacing
from skbandit.policies import POLICIES

#: Passes over all select rows, forward and backward, of the criteria that spend no pulls.
_PASSES = {
    "taylor": (1, 1),
    "fisher": (1, 1),
    "apoz": (1, 0),
    # A mean, then a covariance around it.
    "activation_variance": (2, 0),
    "greedy_activation_variation": (2, 0),
    "obs": (2, 0),
    "submodular": (2, 0),
}


class Method(NamedTuple):
    """How a method ranks units.

    Attributes
    ----------
    name : str
    policy : Policy or Criterion
        What `skbandit.rank_units` is given.
    budget : float
        Pulls per unit, where it spends any.
    rounds : int
        Rankings: with more than one, a part of the units leaves after each, and the others are ranked again.
    rank_by : str
        The summary of damages, for records; "" where there are none.
    looks_at_ratio : bool
        Whether the ranking depends on how many units are to leave.
    passes : tuple of int
        Forward and backward passes over all select rows, beside pulls.
    tenths : bool
        Whether each round removes a tenth of all units, scored exactly on mini-batches of its own.
    scope : {"layer", "global"}
        Whether the same share of each group leaves, or units of all groups are ranked together.
    batch : int
        Rows of a mini-batch.
    """

    name: str
    policy: Any
    budget: float = design.BUDGET
    rounds: int = 1
    rank_by: str = "mean"
    looks_at_ratio: bool = False
    passes: tuple[int, int] = (0, 0)
    tenths: bool = False
    scope: str = "layer"
    batch: int = design.BATCH

    @property
    def is_bandit(self) -> bool:
        """Whether damages are looked up of a recorded matrix: all pulls are of the network before any removal."""
        return isinstance(self.policy, (Bandit, LeaveOneOut)) and self.rounds == 1 and not self.tenths

    @property
    def spends(self) -> bool:
        """Whether the budget is anything to it."""
        return isinstance(self.policy, (Bandit, BudgetedGreedy))

    @property
    def params(self) -> dict[str, Any]:
        """What a record says of it."""
        said: dict[str, Any] = {"rounds": self.rounds}
        if self.rank_by:
            said["rank_by"] = self.rank_by
        return said | {"budget": self.budget} if self.spends else said


def _bandit(name: str, rank_by: str = "mean", **options: Any) -> Method:
    policy = policies.get(name)
    looks = isinstance(policy, policies.IdentificationPolicy)
    full = name if rank_by == "mean" else f"{name}_{rank_by}"
    # The slopes take a backward pass on each mini-batch.
    options["passes"] = (1, 1) if rank_by == "curvature" else (0, 0)
    return Method(full, Bandit(policy, rank_by=rank_by), rank_by=rank_by, looks_at_ratio=looks, **options)


def _criterion(name: str, **options: Any) -> Method:
    return Method(name, CRITERIA[name](), rank_by="", passes=_PASSES.get(name, (0, 0)), **options)


def _table() -> dict[str, Method]:
    found = [_bandit(name) for name in POLICIES if name not in ("csar", "gaussian_thompson")]
    found += [_bandit("racing", "rms"), _bandit("uniform", "rms")]
    found += [_bandit(name, "curvature") for name in ("ucb1", "uniform", "racing")]
    for rank_by in ("mean", "rms", "curvature"):
        end = "" if rank_by == "mean" else f"_{rank_by}"
        passes = (1, 1) if rank_by == "curvature" else (0, 0)
        found.append(Method(f"leave_one_out{end}", LeaveOneOut(rank_by=rank_by), rank_by=rank_by, passes=passes))
        # Each round's mini-batches are new ones, as long as there are any.
        exact = LeaveOneOut(rank_by=rank_by)
        found.append(Method(f"sequential{end}", exact, 4.0, rounds=9, rank_by=rank_by, tenths=True))
    found += [_criterion(name) for name in ("random", "magnitude", "apoz", "activation_variance", "taylor", "fisher")]
    found += [_criterion(name) for name in ("greedy_activation_variation", "obd", "obs")]
    found.append(Method("magnitude_product", Magnitude(of="product"), rank_by=""))
    looking = {"looks_at_ratio": True}
    found.append(_criterion("submodular", **looking))
    found.append(_criterion("budgeted_greedy", **looking))
    found.append(_criterion("sequential_racing", rounds=4, **looking))
    for name in ("ucb1", "racing"):
        found.append(_bandit(name, rounds=4)._replace(name=f"{name}@4", looks_at_ratio=True))
    for rank_by in ("rms", "curvature"):
        found.append(_bandit("ucb1", rank_by, rounds=4)._replace(name=f"ucb1@4_{rank_by}", looks_at_ratio=True))
    as_prune: dict[str, Any] = {"rounds": 4, "scope": "global", "batch": design.PRUNE_BATCH}
    for name, rank_by in zip(design.AS_PRUNE, ("mean", "rms", "curvature"), strict=False):
        found.append(_bandit("ucb1", rank_by, **as_prune)._replace(name=name, looks_at_ratio=True))
    found.append(_criterion("taylor", **as_prune, **looking)._replace(name=design.AS_PRUNE[-1]))
    for rank_by, end in (("mean", ""), ("rms", "_rms")):
        after = WarmRacing(prior=Taylor(), rank_by=rank_by)
        found.append(Method(f"taylor_racing{end}", after, rank_by=rank_by, passes=_PASSES["taylor"], **looking))
    return {method.name: method for method in found}


METHODS: dict[str, Method] = _table()

#: Ranked beside the confirmatory methods, all else that can be run on any network.
SECONDARY = tuple(
    name
    for name in METHODS
    if name not in (*design.CONFIRMATORY, *design.REFERENCES, *design.LATER, *design.DEFAULTS[1:], *design.AS_PRUNE)
    and not name.startswith("taylor_racing")
)
#: The methods of the quick run.
QUICK = ("ucb1", "uniform", "racing", "leave_one_out", "magnitude", "random")


def get(name: str) -> Method:
    """Return a method; raise ValueError if there is none of this name."""
    if name not in METHODS:
        raise ValueError(f"No method {name!r}. There are: {', '.join(METHODS)}.")
    return METHODS[name]
