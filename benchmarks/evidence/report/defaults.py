"""The default of `skbandit.prune`: its four rounds of UCB1 by each summary of damages."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.deep.pairs import PAIRS
from benchmarks.evidence.design import ALPHA, DEFAULT_CELLS, DEFAULTS, LATER_FORMED_ON, SEEDS, SEEN_PAIRS
from benchmarks.evidence.report import ranks
from benchmarks.evidence.report.cells import Cell, Table
from benchmarks.evidence.report.comparisons import Comparison, Two, compare
from benchmarks.evidence.report.reading import Evidence, published
from skbandit import stats

#: Pairs that a summary was formed on.
LEFT_OUT = (
    *LATER_FORMED_ON,
    *(name for name, p in PAIRS.items() if p.number in SEEN_PAIRS and name not in LATER_FORMED_ON),
)
#: What is shown beside them, where there are records.
BESIDE = ("ucb1", "leave_one_out_rms", "sequential", ranks.CHANCE)


class Found(NamedTuple):
    """The summaries in one cell."""

    cell: Cell
    n_repeats: int
    """Seeds of all pairs together."""
    means: pd.DataFrame
    """Means over the seeds that all summaries have, pairs by methods; NaN where another method lacks one of them."""
    mean_ranks: list[float]
    comparisons: list[Comparison]
    """Of each summary but the mean, with the mean."""


def found(evidence: Evidence) -> list[Found]:
    """Return the cells in which all summaries have records."""
    rows, cells = published(evidence).rows, []
    rows = rows[(rows["suite"] == "deep") & (rows["part"] == "report") & (rows["metric"] == "accuracy")]
    rows = rows[rows["scope"].isin(["layer", ""]) & ~rows["pair"].isin(LEFT_OUT)]
    data = rows.drop_duplicates("pair").set_index("pair")["data"]
    for ratio, stage in DEFAULT_CELLS:
        here = rows[np.isclose(rows["ratio"], ratio) & (rows["stage"] == stage)]
        wide = here.pivot_table(index=["pair", "repeat"], columns="method", values="value")
        wide = wide.reindex(columns=[*DEFAULTS, *BESIDE]).dropna(subset=list(DEFAULTS))
        # A mean over fewer seeds would be one of other networks.
        means = wide.groupby("pair").agg(lambda values: values.mean() if values.notna().all() else np.nan)
        if len(means) < 2:
            continue
        table = Table(means[[*DEFAULTS]].round(ranks.DECIMALS), data[means.index], {})
        by_rank = stats.mean_ranks(table.scores, higher_is_better=True, decimals=ranks.DECIMALS)
        pairs = [Two(name, DEFAULTS[0], table, True) for name in DEFAULTS[1:]]
        compared = compare(pairs, "accuracy", draws=0)
        cell = Cell("deep", ratio, stage, "accuracy")
        cells.append(Found(cell, len(wide), means, by_rank.mean_ranks.tolist(), compared))
    corrected = iter(stats.holm([two.p for one in cells for two in one.comparisons]))
    return [
        one._replace(comparisons=[two._replace(holm=float(next(corrected))) for two in one.comparisons])
        for one in cells
    ]


def choice(cells: list[Found]) -> str:
    """Return the method that the rule of the design chooses: the first one, the mean, unless another is better."""
    by_name = {name: [one.comparisons[i] for one in cells] for i, name in enumerate(DEFAULTS[1:])}
    better = [
        name
        for name, compared in by_name.items()
        if any(one.holm < ALPHA and one.difference > 0 for one in compared)
        and not any(one.holm < ALPHA and one.difference < 0 for one in compared)
    ]
    of = {name: float(np.mean([one.mean_ranks[i] for one in cells])) for i, name in enumerate(DEFAULTS)}
    return min(better, key=lambda name: of[name]) if better else DEFAULTS[0]


def section(evidence: Evidence) -> str:
    """Return the text of the page; an empty one where there are no records."""
    cells = found(evidence)
    if not cells:
        return ""
    whole = len(cells) == len(DEFAULT_CELLS)
    about = (
        "`skbandit.prune` scores in four rounds, by default with UCB1 and the mean damage. Here it does so by each "
        "summary of the same damages, with the same share of each group and mini-batches of 32 rows (by default: all "
        "groups together, 256 rows). Stated before they were run: the default becomes a summary that is better than "
        f"the mean (p < {ALPHA:g}, Holm's correction over all comparisons below) in one of these cells and worse in "
        "none; if both are, the one with the better mean rank. Left out, as summaries were formed on them: "
        f"{', '.join(LEFT_OUT)}."
    )
    seeds = min(one.n_repeats / len(one.means) for one in cells)  # a mean over the pairs
    verdict = f"By this rule the default is **`{choice(cells)}`**"
    if not whole or seeds < SEEDS["deep"]:
        verdict += (
            f" as far as there are records: {len(cells)} of {len(DEFAULT_CELLS)} cells, {seeds:.1f} of {SEEDS['deep']} "
            "seeds. It is changed when all are there"
        )
    verdict += "."
    return "\n\n".join([about, _scores(cells), _comparisons(cells), verdict])


def _scores(cells: list[Found]) -> str:
    rows = []
    for name in (*DEFAULTS, *BESIDE):
        means = [one.means[name] for one in cells]
        row = [f"{values.mean():.3f}" if values.notna().all() else "-" for values in means]
        if name in DEFAULTS:
            row += [f"{one.mean_ranks[DEFAULTS.index(name)]:.2f}" for one in cells]
            rows.append([f"**{name}**", *row])
        else:
            rows.append([name, *row, *("-" for _ in cells)])
    where = [f"{one.cell.ratio:.0%}, {one.cell.stage}" for one in cells]
    header = ["", *(f"accuracy, {text}" for text in where), *(f"mean rank, {text}" for text in where)]
    counts = sorted({f"{len(one.means)} pairs, {one.n_repeats} networks" for one in cells})
    return f"{markdown(header, rows)}\n\n{'; '.join(counts)}."


def _comparisons(cells: list[Found]) -> str:
    rows = []
    for one in cells:
        for two in one.comparisons:
            interval = f"{two.low:+.3f} to {two.high:+.3f}"
            share = f"{two.better:.2f} / {two.equal:.2f} / {max(two.worse, 0):.2f}"
            rows.append(
                [
                    str(one.cell),
                    two.method,
                    f"{two.difference:+.3f}",
                    interval,
                    f"{two.p:.2g}",
                    f"{two.holm:.2g}",
                    share,
                ]
            )
    header = ["cell", f"against {DEFAULTS[0]}", "median advantage", "95 % interval", "p", "p (Holm)"]
    return markdown([*header, "P(better / equal / worse)"], rows)
