"""The default of `skbandit.prune`: its four rounds of UCB1 by each summary of damages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.deep.pairs import PAIRS
from benchmarks.evidence.design import ALPHA, AS_PRUNE, DEFAULT_CELLS, DEFAULTS, LATER_FORMED_ON, SEEDS, SEEN_PAIRS
from benchmarks.evidence.report import ranks
from benchmarks.evidence.report.cells import METRIC_NAMES, Cell, Planned, Table, noun_of, plural
from benchmarks.evidence.report.comparisons import Comparison, Two, compare
from benchmarks.evidence.report.reading import Evidence, published, to_compare
from skbandit import stats

#: Pairs that a summary was formed on.
LEFT_OUT = (
    *LATER_FORMED_ON,
    *(name for name, p in PAIRS.items() if p.number in SEEN_PAIRS and name not in LATER_FORMED_ON),
)
#: What is shown beside them, where there are records.
BESIDE = ("ucb1", "leave_one_out_rms", "sequential", ranks.CHANCE)


class Found(NamedTuple):
    """Methods in one cell; the first one is the default, which the others are compared with."""

    cell: Cell
    methods: tuple[str, ...]
    n_repeats: int
    """Seeds of all pairs together."""
    means: pd.DataFrame
    """Means over the seeds that all methods have, pairs by methods; NaN where another method lacks one of them."""
    mean_ranks: list[float]
    comparisons: list[Comparison]
    """Of each method but the first, with the first."""

    @property
    def where(self) -> str:
        """What tells the cells apart: the task on tables, the stage on deep networks."""
        of = self.cell
        return f"{of.task}, {of.ratio:.0%}" if of.suite == "tabular" else f"{of.ratio:.0%}, {of.stage}"


def found(evidence: Evidence) -> list[Found]:
    """Return the cells in which all summaries have records."""
    return _found(evidence, DEFAULTS, BESIDE, "layer")


def found_as_prune(evidence: Evidence) -> list[Found]:
    """Return the cells in which all have records of the settings of `skbandit.prune`."""
    return _found(evidence, AS_PRUNE, (), "global")


def _found(evidence: Evidence, methods: tuple[str, ...], beside: Sequence[str], scope: str) -> list[Found]:
    rows = published(evidence).rows
    rows = rows[~rows["pair"].isin(LEFT_OUT) & rows["scope"].isin([scope, ""])]
    cells = [Cell("deep", ratio, stage, "accuracy") for ratio, stage in DEFAULT_CELLS]
    return in_cells(rows, cells, methods, beside)


def in_cells(rows: pd.DataFrame, cells: Sequence[Cell], methods: tuple[str, ...], beside: Sequence[str]) -> list[Found]:
    """Compare methods in the cells in which all of them have records, with Holm's correction over all cells.

    Parameters
    ----------
    rows : DataFrame
        Scores, as `reading` describes them, of one scope.
    cells : sequence of Cell
    methods : tuple of str
        The first one is what the others are compared with.
    beside : sequence of str
        Methods whose means are shown, where there are records.
    """
    compared = [one for cell in cells if (one := _in_cell(rows, cell, methods, beside)) is not None]
    corrected = iter(stats.holm([two.p for one in compared for two in one.comparisons]))
    return [
        one._replace(comparisons=[two._replace(holm=float(next(corrected))) for two in one.comparisons])
        for one in compared
    ]


def _in_cell(rows: pd.DataFrame, cell: Cell, methods: tuple[str, ...], beside: Sequence[str]) -> Found | None:
    of = {"suite": cell.suite, "task": cell.task, "part": "report", "metric": cell.metric, "stage": cell.stage}
    for column, value in of.items():
        rows = rows[rows[column] == value]
    rows = rows[np.isclose(rows["ratio"], cell.ratio)]
    wide = rows.pivot_table(index=["pair", "repeat"], columns="method", values="value")
    wide = wide.reindex(columns=[*methods, *beside]).dropna(subset=list(methods))
    # A mean over fewer seeds would be one of other networks.
    means = wide.groupby("pair").agg(lambda values: values.mean() if values.notna().all() else np.nan)
    if len(means) < 2:
        return None
    data = rows.drop_duplicates("pair").set_index("pair")["data"]
    table = Table(means[[*methods]].round(ranks.DECIMALS), data[means.index], {})
    by_rank = stats.mean_ranks(table.scores, higher_is_better=True, decimals=ranks.DECIMALS)
    pairs = [Two(name, methods[0], table, True) for name in methods[1:]]
    compared = compare(pairs, cell.metric, draws=0)
    return Found(cell, methods, len(wide), means, by_rank.mean_ranks.tolist(), compared)


def verdict(
    cells: list[Found], chosen: str, n_cells: int, n_seeds: int, planned: Planned, without: Collection[str] = ()
) -> str:
    """Say what a rule of the design chooses; if not all is there, how much of it there is.

    Parameters
    ----------
    cells : list of Found
    chosen : str
    n_cells, n_seeds : int
        Of the design.
    planned : dict of dict
        Its pairs, by suite and task.
    without : collection of str
        Pairs that are left out.
    """
    text = f"By this rule the default is **`{chosen}`**"
    there = what_there_is(cells, n_cells, n_seeds, planned, without)
    return f"{text} as far as there are records: {there}. It is changed when all are there." if there else f"{text}."


def what_there_is(
    cells: list[Found], n_cells: int, n_seeds: int, planned: Planned, without: Collection[str] = ()
) -> str:
    """Say how much of a design there is; "" if all is there. The arguments are those of `verdict`."""
    known = [{*planned.get((one.cell.suite, one.cell.task), ()), *one.means.index} - set(without) for one in cells]
    whole = all(
        len(one.means) == len(n) and one.n_repeats >= n_seeds * len(n) for one, n in zip(cells, known, strict=True)
    )
    if whole and len(cells) == n_cells:
        return ""
    noun = noun_of(cells[0].cell.suite)
    pairs = "; ".join(
        f"{len(one.means)} of {len(n)} {plural(len(n), noun)}" for one, n in zip(cells, known, strict=True)
    )
    seeds = min(one.n_repeats / len(one.means) for one in cells)  # a mean over the pairs
    return f"{len(cells)} of {n_cells} cells ({pairs}), {seeds:.1f} of {n_seeds} seeds"


def choice(cells: list[Found], eligible: Collection[str] | None = None) -> str:
    """Return the method that the rules of the design choose: the first one, unless another is better.

    A method is better if it is so in one of the cells, and worse in none; of several, the one with the best mean rank.
    ``eligible`` are those that can be chosen, all by default.
    """
    methods = cells[0].methods
    by_name = {name: [one.comparisons[i] for one in cells] for i, name in enumerate(methods[1:])}
    better = [
        name
        for name, compared in by_name.items()
        if (eligible is None or name in eligible) and any(map(is_better, compared)) and not any(map(is_worse, compared))
    ]
    of = {name: float(np.mean([one.mean_ranks[i] for one in cells])) for i, name in enumerate(methods)}
    return min(better, key=lambda name: of[name]) if better else methods[0]


def section(evidence: Evidence) -> str:
    """Return the text of the page; an empty one where there are no records."""
    cells = found(evidence)
    if not cells:
        return ""
    about = (
        "`skbandit.prune` scores in four rounds, by default with UCB1 and the mean damage. Here it does so by each "
        "summary of the same damages, with the same share of each group and mini-batches of 32 rows (by default: all "
        "groups together, 256 rows). Stated before they were run: the default becomes a summary that is better than "
        f"the mean (p < {ALPHA:g}, Holm's correction over all comparisons below) in one of these cells and worse in "
        "none; if both are, the one with the better mean rank. Left out, as summaries were formed on them: "
        f"{', '.join(LEFT_OUT)}."
    )
    chosen = choice(cells)
    said = verdict(cells, chosen, len(DEFAULT_CELLS), SEEDS["deep"], to_compare(evidence), LEFT_OUT)
    beside = found_as_prune(evidence)
    if not beside and chosen != DEFAULTS[0]:
        said += " Before, it has to hold in the settings of `skbandit.prune`, of which there are no records."
    parts = [about, scores_table(cells, BESIDE), comparisons_table(cells), said]
    return "\n\n".join([*parts, *(_as_prune(evidence, beside, chosen) if beside else ())])


def _as_prune(evidence: Evidence, cells: list[Found], chosen: str) -> list[str]:
    """Return the paragraphs about the settings of `skbandit.prune`, for what the rule has chosen."""
    about = (
        "*As `skbandit.prune` does it*: all groups are ranked together, mini-batches have 256 rows. Beside the "
        "summaries Taylor's criterion in four rounds, which makes no pulls. Stated before these were run, and when two "
        "of three seeds of the table above had been seen: what is chosen above becomes the default only if it is worse "
        f"than the mean (p < {ALPHA:g}, Holm's correction over all comparisons below) in none of these cells."
    )
    same = dict(zip(DEFAULTS, AS_PRUNE, strict=False))[chosen]
    worse = [one.where for one in cells for two in one.comparisons if two.method == same and is_worse(two)]
    there = what_there_is(cells, len(DEFAULT_CELLS), SEEDS["deep"], to_compare(evidence), LEFT_OUT)
    if same == AS_PRUNE[0]:
        said = "The mean is chosen above: there is nothing to confirm."
    elif worse:
        said = f"`{same}` is worse than the mean at {' and at '.join(worse)}: **the default is not changed**."
    elif there:
        said = f"`{same}` is worse than the mean in none of these cells: not yet confirmed."
    else:
        said = f"`{same}` is worse than the mean in none of {len(cells)} cells: **the choice is confirmed**."
    said += f" Records: {there}." if there else ""
    return [about, scores_table(cells, ()), comparisons_table(cells), said]


def is_better(two: Comparison) -> bool:
    """Whether the method is better than the first one of its table."""
    return two.holm < ALPHA and two.difference > 0


def is_worse(two: Comparison) -> bool:
    """Whether the method is worse than the first one of its table."""
    return two.holm < ALPHA and two.difference < 0


def scores_table(cells: list[Found], beside: Sequence[str]) -> str:
    """Return the means and mean ranks in each cell, and how many networks they are of."""
    rows, methods = [], cells[0].methods
    for name in (*methods, *beside):
        means = [one.means[name] for one in cells]
        row = [f"{values.mean():.3f}" if values.notna().all() else "-" for values in means]
        if name in methods:
            row += [f"{one.mean_ranks[methods.index(name)]:.2f}" for one in cells]
            rows.append([f"**{name}**", *row])
        else:
            rows.append([name, *row, *("-" for _ in cells)])
    header = ["", *(f"{METRIC_NAMES[one.cell.metric]}, {one.where}" for one in cells)]
    header += [f"mean rank, {one.where}" for one in cells]
    noun = noun_of(cells[0].cell.suite)
    counts = sorted({f"{len(one.means)} {plural(len(one.means), noun)}, {one.n_repeats} networks" for one in cells})
    return f"{markdown(header, rows)}\n\n{'; '.join(counts)}."


def comparisons_table(cells: list[Found]) -> str:
    """Return the comparisons with the first method."""
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
    header = ["cell", f"against {cells[0].methods[0]}", "median advantage", "95 % interval", "p", "p (Holm)"]
    return markdown([*header, "P(better / equal / worse)"], rows)
