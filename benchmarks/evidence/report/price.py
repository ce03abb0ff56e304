"""What a choice of units costs, and what it is worth: rows, seconds, set regret and scores side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.evidence.design import BUDGET, CONFIRMATORY_RATIOS, PRICE
from benchmarks.evidence.report import figures, ranks
from benchmarks.evidence.report.cells import plural
from benchmarks.evidence.report.reading import Evidence

EXACT, CHEAP = "leave_one_out", "taylor"
#: Methods without pulls, or of all pulls, and policies with a budget.
FIXED = (ranks.CHANCE, "magnitude", "greedy_activation_variation", CHEAP, EXACT, "leave_one_out_rms", "sequential")
POLICIES = ("uniform", "ucb1", "thompson", "racing", "taylor_racing", "uniform_rms", "racing_rms", "taylor_racing_rms")
DRAWN = ("uniform", "ucb1", "racing", "racing_rms", "taylor_racing_rms", CHEAP, EXACT, "leave_one_out_rms")
NETWORK = ["pair", "repeat"]
KEY = [*NETWORK, "method", "ratio", "budget"]
#: What is known of a choice, beside its cost.
RESULTS = ("regret", "raw", "tuned")
FIGURE = "score_against_rows.png"


def points(evidence: Evidence) -> pd.DataFrame:
    """Return one row for each network, method, ratio and budget.

    Columns: ``pair``, ``repeat``, ``method``, ``ratio``, ``budget`` (0 for methods without), ``share`` (rows, a
    backward pass as two forward ones, over those of the exact ranking), ``time`` (seconds of a clock over those of it;
    NaN where pulls were looked up), ``regret``, ``raw`` and ``tuned`` (accuracy). Only networks that Taylor's criterion
    and the exact ranking have been run on.
    """
    scores = evidence.scores
    keep = (
        (scores["suite"] == "deep")
        & (scores["metric"] == "accuracy")
        & (scores["part"] == "report")
        & (scores["protocol"] == "paired")
        & (scores["scope"] == "layer")
        & scores["method"].isin([*FIXED, *POLICIES])
        & scores["ratio"].round(6).isin(CONFIRMATORY_RATIOS)
        & scores["stage"].isin(["raw", "tuned"])
        & ~scores["pair"].isin([*evidence.missed, *evidence.only_rankings])
    )
    if not {CHEAP, EXACT} <= set(scores.loc[keep, "method"]):
        return pd.DataFrame(columns=[*KEY, "share", "time", *RESULTS])
    wide = scores[keep].assign(budget=scores["budget"].fillna(0.0))
    wide = wide.groupby([*KEY, "stage"])["value"].mean().unstack("stage").reindex(columns=["raw", "tuned"])
    costs = _costs(evidence)
    found = wide.join(costs).reset_index()
    exact = costs.reset_index().query("method == @EXACT").groupby(NETWORK)[["rows", "clock"]].first()
    measured = found.loc[found["method"] == CHEAP, NETWORK].drop_duplicates()
    found = found.merge(measured, on=NETWORK).join(exact.add_suffix("_exact"), on=NETWORK, how="inner")
    found = found.assign(share=found["rows"] / found["rows_exact"], time=found["clock"] / found["clock_exact"])
    return found[[*KEY, "share", "time", *RESULTS]]


def _costs(evidence: Evidence) -> pd.DataFrame:
    """Return rows, seconds and set regret of each ranking; regret of policies is a mean over repetitions."""
    found = evidence.rankings[evidence.rankings["suite"] == "deep"]
    found = found[found["ratio"].round(6).isin(CONFIRMATORY_RATIOS)]
    found = found.assign(budget=found["budget"].where(found["method"].isin(POLICIES)).fillna(0.0))
    last = found.sort_values("kind", key=lambda kind: kind == "replay", kind="stable")
    by_key = last.groupby(KEY)[["regret", "rows"]].last()
    # The exact ranking takes as long as recording its pulls did.
    found = found.assign(clock=found["clock"].where(found["method"] != EXACT, found["seconds"]))
    return by_key.join(found[found["kind"] != "replay"].groupby(KEY)["clock"].last())


def section(evidence: Evidence, out: Path) -> str:
    """Return the text of the page, and draw its figure; an empty text where there are no records."""
    found = points(evidence)
    if found.empty:
        return ""
    at_budget = found[found["budget"].isin([0.0, BUDGET])]
    scores = _complete(at_budget, "raw")
    if scores.empty:
        return ""
    added = ", ".join(f"`{name}`" for name in PRICE)
    about = (
        "*Rows*: of all forward passes, a backward pass as two, over those of the exact ranking "
        f"(`{EXACT}`). *Time*: seconds of a clock over its seconds, with tracing and without compilation, where pulls "
        f"were made and not looked up. Both are medians over networks. `{CHEAP}` takes one backward pass and no pull; "
        f"`taylor_racing` is racing that starts from its order. {added} were added when two seeds of the others had "
        "been seen: no verdict is read on them. Set regrets of policies are means of three repetitions, the raw "
        "accuracy of `random` of five; all else is of one."
    )
    return "\n\n".join([about, _table(at_budget, scores), *_by_pulls(found), _figure(found, out)]).strip()


def _complete(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column as a table, networks by (ratio, method, budget), without gaps.

    What half of the networks lack is left out; then networks that lack anything.
    """
    wide = rows.pivot_table(index=NETWORK, columns=["ratio", "method", "budget"], values=column)
    there = wide.notna().mean() > 0.5
    whole: pd.DataFrame = wide.loc[:, there].dropna()
    return whole


def _mean(table: pd.DataFrame, key: tuple[float, str, float]) -> float:
    """Return the mean of a column over pairs, of means over seeds; NaN without the column."""
    return float(table[key].groupby("pair").mean().mean()) if key in table else np.nan


def _count(table: pd.DataFrame) -> str:
    pairs = len(set(table.index.get_level_values("pair")))
    seeds = sorted(set(table.index.get_level_values("repeat")))
    return f"{pairs} {plural(pairs, 'pair')}, {plural(len(seeds), 'seed')} {', '.join(seeds)}."


def _table(rows: pd.DataFrame, scores: pd.DataFrame) -> str:
    """Return cost and worth of each method with 8 pulls a unit, on the networks that have all of them."""
    here = rows[pd.MultiIndex.from_frame(rows[NETWORK]).isin(scores.index)]
    of_ratios = sorted(CONFIRMATORY_RATIOS)
    values = {
        name: here.pivot_table(index=NETWORK, columns=["ratio", "method", "budget"], values=name).dropna(axis=1)
        for name in RESULTS
    }
    body = []
    for method in (*FIXED, *POLICIES):
        own = here[here["method"] == method]
        keys = [(ratio, method, BUDGET if method in POLICIES else 0.0) for ratio in of_ratios]
        if not all(key in scores for key in keys):
            continue
        cost = [own["share"].median(), own["time"].median()]
        row = [f"**{method}**" if method in PRICE else method, *map(_percent, cost)]
        for key in keys:
            row += [_text(_mean(values[name], key), ".2f" if name == "regret" else ".3f") for name in RESULTS]
        body.append(row)
    names = ("set regret", "accuracy, raw", "accuracy, tuned")
    header = [f"{BUDGET:g} pulls a unit", "rows", "time", *(f"{name}, {r:.0%}" for r in of_ratios for name in names)]
    return f"{markdown(header, body)}\n\n{_count(scores)}"


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def _text(value: float, form: str) -> str:
    return "-" if np.isnan(value) else f"{value:{form}}"


def _by_pulls(rows: pd.DataFrame) -> list[str]:
    """Return the raw accuracy by pulls per unit, a table for each ratio, and from which budget on it is enough."""
    rivals = (CHEAP, EXACT, "leave_one_out_rms")
    parts = []
    for ratio in sorted(CONFIRMATORY_RATIOS):
        own = rows[np.isclose(rows["ratio"], ratio) & rows["method"].isin([*POLICIES, *rivals])]
        table = _complete(own, "raw")
        budgets = sorted({budget for _, _, budget in table.columns if budget})
        if not len(table) or len(budgets) < 2:
            continue
        levels = {rival: _mean(table, (ratio, rival, 0.0)) for rival in rivals}
        body: list[list[str]] = []
        said: dict[str, list[str]] = {rival: [] for rival in rivals}
        for name in POLICIES:
            means = {budget: _mean(table, (ratio, name, budget)) for budget in budgets}
            if np.isnan(list(means.values())).all():
                continue
            body.append([name, *(_text(value, ".3f") for value in means.values())])
            for rival, level in levels.items():
                reached = [budget for budget, value in means.items() if value >= level]
                said[rival].append(f"`{name}` {f'{min(reached):g}' if reached else 'none'}")
        header = [f"{ratio:.0%} removed, raw accuracy by pulls per unit", *(f"{budget:g}" for budget in budgets)]
        lines = [
            f"- `{rival}` ({levels[rival]:.3f}): {', '.join(of)}"
            for rival, of in said.items()
            if of and not np.isnan(levels[rival])
        ]
        head = f"{_count(table)} The least of these budgets with which the mean accuracy is as high as that of"
        parts += [markdown(header, body), "\n".join([head, "", *lines])]
    return parts


def _figure(rows: pd.DataFrame, out: Path) -> str:
    panels: figures.Panels = {}
    for ratio in sorted(CONFIRMATORY_RATIOS):
        own = rows[np.isclose(rows["ratio"], ratio) & rows["method"].isin(DRAWN)]
        table = _complete(own, "raw")
        own = own[pd.MultiIndex.from_frame(own[NETWORK]).isin(table.index)]
        share = own.groupby(["method", "budget"])["share"].median()
        lines = {}
        for name in DRAWN:
            keys = [key for key in table.columns if key[1] == name]
            if keys and len(table):
                x = np.array([share[name, budget] for _, _, budget in keys])
                y = np.array([_mean(table, key) for key in keys])
                lines[name] = figures.Line(x, y, y, y)
        if lines:
            panels[f"{ratio:.0%} of the units removed"] = lines
    if not any(len(line.x) > 1 for lines in panels.values() for line in lines.values()):
        return ""
    xlabel = f"rows, over those of {EXACT} (median over networks)"
    figures.small_multiples(panels, out / FIGURE, xlabel=xlabel, ylabel="accuracy, raw (mean)", log=True)
    return f"![accuracy right after removal against the rows that the choice took]({FIGURE})"
