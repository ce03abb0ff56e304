"""Mean ranks of all methods in each cell, and how much of the final score is due to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.evidence.design import APART, CONTROLS, DECIMALS, STAGES
from benchmarks.evidence.report import cells
from benchmarks.evidence.report.cells import METRIC_NAMES, STAGE_NAMES, Book, Cell, Table, higher_is_better
from skbandit import stats

#: The second score of a task: accuracy saturates where the loss still tells networks apart.
SECOND = {"accuracy": "log_loss", "r2": "rmse", "certified": "certified"}
#: What choices are compared with: the mean over several draws.
CHANCE = "random"


class Ranked(NamedTuple):
    """Methods ranked in one cell."""

    cell: Cell
    table: Table
    ranks: dict[str, float]
    means: dict[str, float]
    few: dict[str, int]
    """Methods on too few pairs to be ranked."""

    @property
    def n(self) -> int:
        """Pairs in the ranks."""
        return len(self.table.scores)


def ranked(
    book: Book,
    cell: Cell,
    scope: str = "layer",
    methods: Sequence[str] | None = None,
) -> Ranked | None:
    """Rank methods in a cell; None where there are fewer than two, or no pair has all of them.

    By default these are all but those of `design.APART`.
    """
    sheet = book.sheet(cell, scope=scope)
    if sheet is None:
        return None
    planned = [name for name in sheet.methods if name not in APART]
    there = planned if methods is None else [name for name in sheet.methods if name in methods]
    # What has no ratio has records in a cell where nothing else has.
    if len(there) < 2 or set(there) <= sheet.constant:
        return None
    among, few = sheet.enough(there)
    table = sheet.table(among)
    if len(among) < 2 or table.scores.empty:
        return None
    found = stats.mean_ranks(table.scores, higher_is_better=higher_is_better(cell.metric), decimals=DECIMALS)
    ranks = dict(zip(among, found.mean_ranks.tolist(), strict=True))
    return Ranked(cell, table, ranks, table.scores.mean().to_dict(), few)


def suites(book: Book) -> list[tuple[str, str, str]]:
    """Return suite, task and first score of what there are records of."""
    found = book.rows[["suite", "task"]].drop_duplicates().itertuples(index=False)
    return sorted((suite, task, "r2" if task == "regression" else "accuracy") for suite, task in found)


def ratios(book: Book, suite: str, task: str) -> list[float]:
    """Return the ratios of a suite, in rising order."""
    rows = book.suite_rows(suite, task)
    return sorted(rows["ratio"].dropna().round(6).unique().tolist())


def rank_table(book: Book, suite: str, task: str, metric: str, ratio: float, scope: str = "layer") -> str:
    """Return the table of a suite at a ratio: mean ranks and means after each stage; an empty text without records."""
    found: dict[str, Ranked] = {}
    for stage in STAGES:
        one = ranked(book, Cell(suite, ratio, stage, metric, task), scope)
        if one is not None:
            found[stage] = one
    if not found:
        return ""
    last = found[list(found)[-1]]
    second = ranked(book, last.cell._replace(metric=SECOND[metric]), scope)
    methods = list(dict.fromkeys(name for one in found.values() for name in one.ranks))
    methods.sort(key=lambda name: (last.ranks.get(name, np.inf), name))
    of = shares(book, suite, task, metric, ratio, scope)
    header = ["method", *(f"{what}, {_stage(stage)}" for what in ("rank", METRIC_NAMES[metric]) for stage in found)]
    header += [f"rank by {METRIC_NAMES[SECOND[metric]]}, {_stage(last.cell.stage)}"] if second else []
    header += ["choice", "repair", "tuning"] if of else []
    rows = []
    for name in methods:
        row = [f"*{name}*" if name in CONTROLS else name]
        row += [_text(one.ranks.get(name), "{:.2f}") for one in found.values()]
        row += [_text(one.means.get(name), "{:.3f}") for one in found.values()]
        row += [_text(second.ranks.get(name), "{:.2f}")] if second else []
        row += [_text(value, "{:+.3f}") for value in of.get(name, [None] * 3)] if of else []
        rows.append(row)
    return "\n\n".join([markdown(header, rows), *_notes(found, suite)])


def _stage(stage: str) -> str:
    return STAGE_NAMES.get(stage, stage)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None or np.isnan(value) else form.format(value)


def _notes(found: dict[str, Ranked], suite: str) -> list[str]:
    """Return the tests of each stage, and what is left out."""
    lines = []
    for stage, one in found.items():
        line = f"{_stage(stage).capitalize()}: n = {one.n}, {len(one.ranks)} methods"
        if one.n >= 2 and len(one.ranks) >= 3:
            f = stats.friedman(one.table.scores, higher_is_better=higher_is_better(one.cell.metric), decimals=DECIMALS)
            line += f"; Friedman χ² = {f.chi2:.1f}, p = {f.p_value:.2g}; "
            line += f"Iman-Davenport F = {f.f:.2f}, p = {f.f_p_value:.2g}; Kendall's W = {f.kendall_w:.2f}"
        missing = cells.what_is_missing(one.table.left_out, one.table.known, cells.noun_of(suite))
        few = ", ".join(f"{name} ({n})" for name, n in one.few.items())
        line += f". {missing}" if missing else "."
        line += f" Not ranked, on too few: {few}." if few else ""
        lines.append(f"- {line}")
    return ["\n".join(lines)]


# ---------------------------------------------------------------------- shares of the final score


def shares(
    book: Book, suite: str, task: str, metric: str, ratio: float, scope: str = "layer"
) -> dict[str, list[float]]:
    """Return what the choice of units, the repair and fine-tuning add to the score, for each method.

    Choice: raw score over that of a random choice. Repair: repaired score over the raw one. Tuning: tuned score over
    the repaired one, or over the raw one where there is none. The three add up to the tuned score over the raw score of
    a random choice. Means over the pairs that have all of them; NaN where there is no repair.
    """
    by_stage = {}
    for stage in ("raw", "repaired", "tuned"):
        cell = Cell(suite, ratio, stage, metric, task)
        sheet = book.sheet(cell, scope=scope)
        columns = [] if sheet is None else [name for name in sheet.methods if name not in sheet.constant]
        by_stage[stage] = pd.DataFrame() if sheet is None else sheet.means[columns]
    raw, repaired, tuned = by_stage.values()
    if CHANCE not in raw or tuned.empty:
        return {}
    sign = 1 if higher_is_better(metric) else -1
    found = {}
    for method in tuned:
        if method not in raw:
            continue
        between = repaired[method] if method in repaired else raw[method]
        parts = [raw[method] - raw[CHANCE], between - raw[method], tuned[method] - between]
        gain = pd.concat(parts, axis=1).dropna()
        if len(gain):
            mean = (sign * gain.mean()).tolist()
            found[str(method)] = [mean[0], mean[1] if method in repaired else np.nan, mean[2]]
    return found


def share_sentence(found: dict[str, list[float]], methods: Sequence[str]) -> str:
    """Say what choice, repair and tuning add to the raw score of a random choice, on average over some methods."""
    rows = np.array([found[name] for name in methods if name in found])
    if not len(rows):
        return ""
    parts = np.nan_to_num(rows).mean(axis=0)
    names = ("the choice of units", "repair", "fine-tuning")
    named = [f"{name} {part:+.3f}" for name, part in zip(names, parts, strict=True) if part != 0]
    return f"Added to the raw score of a random choice, on average over {len(rows)} methods: {', '.join(named)}."
