"""How far to prune: a share of the units, as far as a tolerance allows, or the set that the criterion names."""

from __future__ import annotations

import dataclasses

import numpy as np

from skbandit.criteria.base import Criterion
from skbandit.pruning.engine import Ending, Goal, Network, Pruner
from skbandit.pruning.results import Outcome
from skbandit.pruning.schedules import affordable_rounds, n_of_share, pulls_per_round
from skbandit.pruning.selection import choose_units, room_of_groups

#: A round of `WithinTolerance` proposes this share of the units that are left; if the proposal fails, half as many,
#: down to the smallest share.
SHARE = 0.5
SMALLEST_SHARE = 1 / 32
#: It spends this share of the budget per unit: rounds that halve the network leave half of the budget for finer ones.
BUDGET_SHARE = 1 / 4

_STOPPED = "stopped by a callback"


@dataclasses.dataclass(frozen=True)
class FixedRatio:
    """Remove a share of all units in a number of rounds; units that are gone already count.

    Parameters
    ----------
    ratio : float
    n_rounds : int
        Fewer are made where the budget could not give every unit a pull in each.
    """

    ratio: float
    n_rounds: int = 4

    def pursue(self, pruner: Pruner, now: Network) -> Ending:
        """Remove the same share of what is left in each round."""
        n_start, groups = now.n_active, pruner.groups
        # Half a unit rounds away from removal; every group keeps some.
        target = n_of_share(self.ratio, groups.n_units) - (groups.n_units - n_start)
        target = min(target, n_start - int(pruner.least.sum()))
        removals = affordable_rounds(n_start, target, self.n_rounds, pruner.budget)
        sizes = [int(n) for n in n_start - np.cumsum([0, *removals[:-1]])] if removals else []
        pulls = pulls_per_round(sizes, pruner.budget, n_start)
        for r, (n_remove, pulls_of_round) in enumerate(zip(removals, pulls, strict=True)):
            now, verdict = pruner.score(now, r, pulls_of_round, n_remove)
            sets, last = pruner.sets(now, verdict, n_remove), r == len(removals) - 1
            now, record = pruner.attempt(now, r, verdict, sets, last=last)
            if pruner.accept(now, record):
                return Ending(Outcome.STOPPED, f"{_STOPPED} after round {r}")
        status = f"removed {n_start - now.n_active} of {n_start} units in {len(removals)} rounds"
        return Ending(Outcome.REACHED, status)


@dataclasses.dataclass(frozen=True)
class WithinTolerance:
    """Go on removing while the guard loss, and what the user scores by, stay within a tolerance.

    Parameters
    ----------
    tolerance : float
        Relative rise of the loss that is accepted, and fall of the score.
    """

    tolerance: float = 0.01

    def pursue(self, pruner: Pruner, now: Network) -> Ending:
        """Propose half of what is left, then less; end where the smallest proposal fails."""
        n_start = now.n_active
        limit = now.loss + self.tolerance * abs(now.loss)
        lowest = pruner.quality(now) - self.tolerance
        left = int(pruner.budget * n_start)

        def ending(outcome: Outcome, why: str) -> Ending:
            n_gone = n_start - now.n_active
            return Ending(outcome, f"removed {n_gone} of {n_start} units in {len(pruner.history)} rounds; {why}")

        r = 0
        while True:
            n_active = now.n_active
            if n_active <= pruner.least.sum():
                one = (pruner.least == 1).all()
                return ending(Outcome.SMALLEST, "one is left in each layer" if one else "no layer may lose more")
            if left < n_active:
                return ending(Outcome.BUDGET, "the budget is used up")
            most = n_active - int(pruner.least.sum())
            n_remove = max(1, min(int(n_active * SHARE), most))
            pulls = min(left, int(n_active * max(1, pruner.budget * BUDGET_SHARE)))
            now, verdict = pruner.score(now, r, pulls, n_remove)
            left -= min(verdict.n_pulls, pulls)  # some criteria ask for all there is to know
            smallest = max(1, min(int(n_active * SMALLEST_SHARE), most))
            while n_remove >= smallest:
                proposal, record = pruner.attempt(now, r, verdict, pruner.sets(now, verdict, n_remove))
                if proposal.loss <= limit and pruner.quality(proposal) >= lowest:
                    break
                n_remove //= 2
            else:
                return ending(Outcome.TOLERANCE, f"removing {smallest} more costs over the tolerance")
            now = proposal
            if pruner.accept(now, record):
                return ending(Outcome.STOPPED, _STOPPED)
            r += 1


@dataclasses.dataclass(frozen=True)
class SuggestedSet:
    """Remove the set that the criterion names, whole: it needs no tolerance."""

    def pursue(self, pruner: Pruner, now: Network) -> Ending:
        """One round, with all pulls; no quota but that each group keeps some units."""
        n_active = now.n_active
        n_remove = max(1, n_active - int(pruner.least.sum()))
        now, verdict = pruner.score(now, 0, int(pruner.budget * n_active), n_remove, "global")
        assert verdict.suggested is not None
        suggested = verdict.suggested & now.active
        n_suggested = int(suggested.sum())
        if n_suggested == 0:
            return Ending(Outcome.SUGGESTED, f"removed 0 of {n_active} units: the criterion suggests none")
        # Of a group that would have too few, the least safe units stay.
        room = room_of_groups(now.active, pruner.group, n_suggested, "global", pruner.least)
        n_remove = int(np.minimum(np.bincount(pruner.group[suggested], minlength=room.size), room).sum())
        value = np.where(suggested, verdict.value, -np.inf)
        removed = suggested & choose_units(value, now.active, pruner.group, n_remove, "global", pruner.least)
        now, record = pruner.attempt(now, 0, verdict, {"global": removed})
        if pruner.accept(now, record):
            return Ending(Outcome.STOPPED, f"{_STOPPED} after round 0")
        status = f"removed {record.n_removed} of {n_active} units; the criterion suggests {n_suggested}"
        return Ending(Outcome.SUGGESTED, status)


def goal_of(pruning_ratio: float | str, *, n_rounds: int, tolerance: float, criterion: Criterion) -> Goal:
    """Return the goal that ``pruning_ratio`` asks for: a number, or ``"auto"``."""
    if pruning_ratio != "auto":
        return FixedRatio(float(pruning_ratio), n_rounds)
    return SuggestedSet() if criterion.suggests else WithinTolerance(tolerance)
