"""How many units leave in which round."""

from __future__ import annotations

import numpy as np


def n_of_share(share: float, n_units: int) -> int:
    """Return how many units a share of them is; a part of a unit stays.

    Examples
    --------
    >>> n_of_share(0.3, 10), n_of_share(0.99, 10)
    (3, 9)
    """
    return int(np.floor(share * n_units + 1e-9))


def geometric(n_units: int, n_remove: int, n_rounds: int) -> list[int]:
    """Return the units to remove in each round: the same share of what is left, rounded so that they sum up.

    Rounds that would remove nothing are left out.

    Examples
    --------
    >>> geometric(100, 50, 4)
    [16, 13, 12, 9]
    """
    if n_remove <= 0:
        return []
    n_rounds = min(n_rounds, n_remove)
    keep = (n_units - n_remove) / n_units
    left = np.round(n_units * keep ** (np.arange(n_rounds + 1) / n_rounds)).astype(int)
    left[-1] = n_units - n_remove
    return [int(k) for k in -np.diff(left) if k > 0]


def pulls_per_round(n_active: list[int], budget: float, n_units: int) -> list[int]:
    """Share ``budget · n_units`` pulls over rounds in proportion to the units active in each.

    Parameters
    ----------
    n_active : list of int
        Active units at the start of each round.
    budget : float
        Mean number of pulls per unit in the whole pruning phase.
    n_units : int
        Units at its start.
    """
    total = int(budget * n_units)
    edges = np.floor(total * np.cumsum([0, *n_active]) / max(sum(n_active), 1)).astype(int)
    return [int(k) for k in np.diff(edges)]


def affordable_rounds(n_units: int, n_remove: int, n_rounds: int, budget: float) -> list[int]:
    """Return the geometric schedule with as many rounds as the budget can give every active unit a pull in.

    Examples
    --------
    >>> affordable_rounds(100, 50, 4, budget=2)
    [29, 21]
    """
    for rounds in range(min(n_rounds, max(n_remove, 1)), 0, -1):
        removals = geometric(n_units, n_remove, rounds)
        active = n_units - np.cumsum([0, *removals[:-1]])
        pulls = pulls_per_round([int(a) for a in active], budget, n_units)
        if all(p >= a for p, a in zip(pulls, active, strict=True)):
            break
    return removals
