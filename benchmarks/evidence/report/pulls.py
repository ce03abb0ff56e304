"""Pulls: scores after removal and set regret against the mean number of pulls per unit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.evidence.report.cells import Cell
from benchmarks.evidence.report.reading import Evidence

#: The set regret that a policy has to reach: 0 is the exact ranking, 1 is chance.
REGRET = 0.05
#: Policies whose pulls are compared.
COMPARED = ("racing", "uniform")
#: The method whose pulls are all that there are: its ranking has no regret.
EXACT = "leave_one_out"


def regrets(evidence: Evidence, ratio: float) -> pd.DataFrame:
    """Return mean regrets over repetitions: ``pair``, ``repeat``, ``method``, ``pulls``, ``regret``."""
    found = evidence.rankings.dropna(subset=["regret", "budget"])
    if (found["kind"] == "replay").any():  # of a ranking alone there is one budget
        found = found[found["kind"] == "replay"]
    found = found[np.isclose(found["ratio"], ratio) & ~found["pair"].isin([*evidence.missed, *evidence.only_rankings])]
    found = found.assign(pulls=found["budget"])
    keys = ["suite", "pair", "repeat", "method", "pulls"]
    return (
        found.groupby(keys, sort=False)["regret"]
        .mean()
        .reset_index()
        .sort_values("pulls", kind="stable", ignore_index=True)
    )


def exact_pulls(evidence: Evidence) -> dict[str, float]:
    """Return the pulls per unit of the exact ranking of each pair."""
    rows = evidence.rankings[evidence.rankings["method"] == EXACT].dropna(subset=["pulls"])
    return {str(pair): float(value) for pair, value in rows.groupby("pair")["pulls"].median().items()}


def needed(evidence: Evidence, ratio: float = 0.5) -> pd.DataFrame:
    """Return log₂ of the pulls per unit that a method needs for a regret of at most `REGRET`, as scores.

    Between two budgets the regret is taken as linear in the logarithm of the pulls. A method that does not reach it
    with its largest budget gets the pulls of the exact ranking, or twice its largest budget where these are not known.
    Where none of the methods reaches it, or all do with their least budget, nothing is known of their ratio: such a
    repeat has no rows.
    """
    exact = exact_pulls(evidence)
    data = dict(zip(evidence.scores["pair"], evidence.scores["data"], strict=True))
    rows = []
    for (suite, pair, repeat, method), curve in regrets(evidence, ratio).groupby(
        ["suite", "pair", "repeat", "method"], sort=False
    ):
        if method != EXACT:
            at_most = exact.get(pair, 2 * curve["pulls"].max())
            value = _crossing(np.log2(curve["pulls"].to_numpy()), curve["regret"].to_numpy(), np.log2(at_most))
            reached = np.flatnonzero(curve["regret"].to_numpy() <= REGRET)
            side = "never" if not reached.size else "at once" if reached[0] == 0 else str(method)
            about = {"suite": suite, "pair": pair, "repeat": repeat, "method": method}
            rows.append(about | {"value": value, "side": side, "of": method in COMPARED})
    found = pd.DataFrame(rows, columns=["suite", "pair", "repeat", "method", "value", "side", "of"])
    compared = found[found["of"].astype(bool)].groupby(["suite", "pair", "repeat"])["side"]
    censored = compared.agg(lambda sides: len(sides) > 1 and sides.nunique() == 1)
    gone = {key for key, is_so in censored.items() if is_so}
    keys = zip(found["suite"], found["pair"], found["repeat"], strict=True)
    found = found[np.array([key not in gone for key in keys], bool)].drop(columns=["side", "of"])
    fixed = {"task": "classification", "metric": "log2_pulls", "protocol": "paired", "part": "report", "scope": "layer"}
    names = [data.get(pair, pair) for pair in found["pair"]]
    return found.assign(**fixed, data=names, ratio=ratio, stage="", standard=False, parameters=np.nan, macs=np.nan)


def _crossing(x: np.ndarray, regret: np.ndarray, otherwise: float) -> float:
    """Return where a curve first comes down to `REGRET`."""
    below = np.flatnonzero(regret <= REGRET)
    if not below.size:
        return float(max(otherwise, x[-1]))
    i = int(below[0])
    if i == 0:
        return float(x[0])
    share = (regret[i - 1] - REGRET) / (regret[i - 1] - regret[i])
    return float(x[i - 1] + share * (x[i] - x[i - 1]))


def scores_against_pulls(evidence: Evidence, cell: Cell) -> pd.DataFrame:
    """Return scores of a cell with the budgets they were reached with: ``pair``, ``repeat``, ``method``, ``pulls``.

    Of each pair and method, only the seeds that have all of its budgets: others are other networks.
    """
    rows = evidence.scores
    keep = (
        (rows["suite"] == cell.suite)
        & (rows["metric"] == cell.metric)
        & (rows["stage"] == cell.stage)
        & (rows["part"] == "report")
        & (rows["protocol"] == "paired")
        & (rows["scope"] == "layer")
        & np.isclose(rows["ratio"], cell.ratio)
        & rows["budget"].notna()
        & ~rows["pair"].isin(list(evidence.missed))
    )
    keys = ["pair", "repeat", "method", "budget"]
    found = rows[keep].groupby(keys, sort=False)["value"].mean().reset_index()
    n_budgets = found.groupby(keys[:3])["budget"].transform("size")
    most = n_budgets.groupby([found["pair"], found["method"]]).transform("max")
    return found[n_budgets == most].rename(columns={"budget": "pulls"})
