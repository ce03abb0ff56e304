"""What a choice of units costs, and what it is worth: rows, seconds, set regret and scores side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.evidence.design import BUDGET, CONFIRMATORY_RATIOS, PRICE
from benchmarks.evidence.report import figures, ranks
from benchmarks.evidence.report.reading import Evidence

EXACT, CHEAP = "leave_one_out", "taylor"
#: Methods without pulls, or of all pulls, and policies with a budget.
FIXED = (ranks.CHANCE, "magnitude", "greedy_activation_variation", CHEAP, EXACT, "leave_one_out_rms", "sequential")
POLICIES = ("uniform", "ucb1", "thompson", "racing", "taylor_racing", "uniform_rms", "racing_rms", "taylor_racing_rms")
DRAWN = ("uniform", "ucb1", "racing", "racing_rms", "taylor_racing_rms", CHEAP, EXACT, "leave_one_out_rms")
KEY = ["pair", "repeat", "method", "ratio", "budget"]
FIGURE = "score_against_rows.png"


def points(evidence: Evidence) -> pd.DataFrame:
    """Return one row for each network, method, ratio and budget.

    Columns: ``pair``, ``repeat``, ``method``, ``ratio``, ``budget`` (NaN for methods without), ``share`` (rows, a
    backward pass as two forward ones, over those of the exact ranking), ``time`` (seconds over those of it, where they
    were measured), ``regret``, ``raw`` and ``tuned`` (accuracy). Only networks that Taylor's criterion has been run on.
    """
    scores = evidence.scores[
        (evidence.scores["suite"] == "deep")
        & (evidence.scores["metric"] == "accuracy")
        & (evidence.scores["part"] == "report")
        & (evidence.scores["protocol"] == "paired")
        & (evidence.scores["scope"] == "layer")
        & evidence.scores["method"].isin([*FIXED, *POLICIES])
        & evidence.scores["ratio"].round(6).isin(CONFIRMATORY_RATIOS)
        & evidence.scores["stage"].isin(["raw", "tuned"])
        & ~evidence.scores["pair"].isin([*evidence.missed, *evidence.only_rankings])
    ]
    if CHEAP not in set(scores["method"]):
        return pd.DataFrame(columns=[*KEY, "share", "time", "regret", "raw", "tuned"])
    wide = scores.assign(budget=scores["budget"].fillna(0.0))
    wide = wide.groupby([*KEY, "stage"])["value"].mean().unstack("stage").reindex(columns=["raw", "tuned"])
    costs = _costs(evidence)
    found = wide.join(costs).reset_index()
    measured = found.loc[found["method"] == CHEAP, ["pair", "repeat"]].drop_duplicates()
    found = found.merge(measured, on=["pair", "repeat"])
    exact = costs.xs(EXACT, level="method").groupby(["pair", "repeat"])[["rows", "seconds"]].first()
    found = found.join(exact.add_suffix("_exact"), on=["pair", "repeat"])
    found = found.assign(
        share=found["rows"] / found["rows_exact"],
        time=found["seconds"] / found["seconds_exact"],
        budget=found["budget"].replace(0.0, np.nan),
    )
    return found.drop(columns=["rows", "seconds", "rows_exact", "seconds_exact"])


def _costs(evidence: Evidence) -> pd.DataFrame:
    """Return rows, seconds and set regret of each ranking; of curves, the means over repetitions."""
    found = evidence.rankings[(evidence.rankings["suite"] == "deep")]
    found = found[found["ratio"].round(6).isin(CONFIRMATORY_RATIOS)]
    found = found.assign(budget=found["budget"].where(found["method"].isin(POLICIES)).fillna(0.0))
    replays = found["kind"] == "replay"
    regret = found.sort_values("kind", key=lambda kind: kind == "replay", kind="stable")
    by_key = regret.groupby(KEY)[["regret", "rows"]].last()
    return by_key.join(found[~replays].groupby(KEY)["seconds"].last())


def section(evidence: Evidence, out: Path) -> str:
    """Return the text of the page, and draw its figure; an empty text where there are no records."""
    found = points(evidence)
    if found.empty:
        return ""
    at_budget = found[found["budget"].isna() | (found["budget"] == BUDGET)]
    whole = _networks_of_all(at_budget)
    at_budget, found = _only(at_budget, whole), _only(found, whole)
    seeds = sorted({repeat for _, repeat in whole})
    about = (
        f"{len({pair for pair, _ in whole})} pairs, seed {', '.join(seeds)}. *Rows*: of all forward passes, a backward "
        f"pass as two, over those of the exact ranking (`{EXACT}`); *time*: seconds over its seconds, without "
        "compilation (damages that are looked up count what they took when they were recorded); medians over the "
        f"networks. `{CHEAP}` takes one backward pass and no pull; `taylor_racing` is racing that starts from its "
        f"order. {', '.join(f'`{name}`' for name in PRICE)} were added when two seeds of the others had been seen: no "
        f"verdict is read on them. Policies have {BUDGET:g} pulls a unit in the first table."
    )
    return "\n\n".join([about, _table(at_budget), *_by_pulls(found), _crossings(found), _figure(found, out)])


def _networks_of_all(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the networks, pair and repeat, that have all methods that most of them have."""
    has = rows.groupby(["pair", "repeat"])["method"].agg(set)
    counts = rows.drop_duplicates(["pair", "repeat", "method"])["method"].value_counts()
    wanted = {name for name, n in counts.items() if n > len(has) / 2}
    return [key for key, names in has.items() if wanted <= names]


def _only(rows: pd.DataFrame, networks: Sequence[tuple[str, str]]) -> pd.DataFrame:
    return rows[pd.MultiIndex.from_frame(rows[["pair", "repeat"]]).isin(networks)]


def _mean(rows: pd.DataFrame, column: str, method: str, ratio: float) -> float:
    own = rows[(rows["method"] == method) & np.isclose(rows["ratio"], ratio)]
    return float(own[column].mean())


def _table(rows: pd.DataFrame) -> str:
    body = []
    for method in (*FIXED, *POLICIES):
        own = rows[rows["method"] == method]
        if own.empty:
            continue
        # Rankings that do not look at the share removed have one record for all.
        share, time = own["share"].median(), own["time"].median()
        row = [f"**{method}**" if method in PRICE else method]
        row += ["-" if np.isnan(value) else f"{100 * value:.2g} %" for value in (share, time)]
        values = [
            (_mean(rows, column, method, ratio), form)
            for ratio in sorted(CONFIRMATORY_RATIOS)
            for column, form in (("regret", "{:.2f}"), ("raw", "{:.3f}"), ("tuned", "{:.3f}"))
        ]
        body.append([*row, *("-" if np.isnan(value) else form.format(value) for value, form in values)])
    of = [f"{ratio:.0%}" for ratio in sorted(CONFIRMATORY_RATIOS)]
    names = ("set regret", "accuracy, raw", "accuracy, tuned")
    return markdown(["", "rows", "time", *(f"{name}, {ratio}" for ratio in of for name in names)], body)


def _by_pulls(rows: pd.DataFrame) -> list[str]:
    """Return the raw accuracy by pulls per unit, a table for each ratio."""
    parts = []
    for ratio in sorted(CONFIRMATORY_RATIOS):
        own = rows[np.isclose(rows["ratio"], ratio) & rows["budget"].notna()]
        wide = own.pivot_table(index="method", columns="budget", values="raw")
        budgets = [budget for budget in wide.columns if wide[budget].notna().sum() > 1]
        if len(budgets) < 2:
            continue
        body = [
            [name, *("-" if np.isnan(value) else f"{value:.3f}" for value in wide.loc[name, budgets])]
            for name in POLICIES
            if name in wide.index
        ]
        header = [f"{ratio:.0%} removed, raw accuracy by pulls per unit", *(f"{budget:g}" for budget in budgets)]
        parts.append(markdown(header, body))
    return parts


def _crossings(rows: pd.DataFrame) -> str:
    """Say from which budget on each policy is as good as Taylor's criterion, and as the exact rankings."""
    lines = []
    for ratio in sorted(CONFIRMATORY_RATIOS):
        own = rows[np.isclose(rows["ratio"], ratio)]
        for rival in (CHEAP, EXACT, "leave_one_out_rms"):
            level = _mean(own, "raw", rival, ratio)
            if np.isnan(level):
                continue
            said = []
            for name in POLICIES:
                means = own[own["method"] == name].groupby("budget")["raw"].mean()
                reached = [budget for budget, value in means.items() if value >= level]
                if len(means) > 1:
                    said.append(f"`{name}` {f'{min(reached):g}' if reached else 'none'}")
            if said:
                lines.append(f"- {ratio:.0%} removed, `{rival}` ({level:.3f}): {', '.join(said)}.")
    if not lines:
        return ""
    head = "The least pulls per unit, of those run, with which the mean raw accuracy is as high as that of:"
    return "\n".join([head, "", *lines])


def _figure(rows: pd.DataFrame, out: Path) -> str:
    panels: figures.Panels = {}
    for ratio in sorted(CONFIRMATORY_RATIOS):
        own = rows[np.isclose(rows["ratio"], ratio) & (rows["share"] > 0) & rows["raw"].notna()]
        lines = {}
        for name in DRAWN:
            of = own[own["method"] == name].fillna({"budget": 0.0}).groupby("budget")
            x, y = of["share"].median().to_numpy(), of["raw"].mean().to_numpy()
            if len(x):
                lines[name] = figures.Line(x, y, y, y)
        if lines:
            panels[f"{ratio:.0%} of the units removed"] = lines
    if not any(len(line.x) > 1 for lines in panels.values() for line in lines.values()):
        return ""
    xlabel = f"rows, over those of {EXACT} (median over networks)"
    figures.small_multiples(panels, out / FIGURE, xlabel=xlabel, ylabel="accuracy, raw (mean)", log=True)
    return f"![accuracy right after removal against the rows that the choice took]({FIGURE})"
