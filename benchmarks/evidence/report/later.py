"""Methods that were added when the hypotheses had been written down, beside what they are variants of."""

from __future__ import annotations

import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.evidence.design import BUDGET, BUDGETS, LATER, LATER_FORMED_ON
from benchmarks.evidence.report import ranks
from benchmarks.evidence.report.cells import METRIC_NAMES, Book, Cell, Sheet, higher_is_better
from benchmarks.evidence.report.comparisons import Two, compare
from benchmarks.evidence.report.reading import Evidence, published

#: What each method is compared with, where there are records: the same method by another summary, and chance.
RIVALS = {name: (base, f"{base}_rms", ranks.CHANCE) for name in LATER for base in (name.removesuffix("_curvature"),)}
#: Where they are compared, and where all methods are ranked with them.
CELLS = (*(Cell("deep", ratio, "raw", "accuracy") for ratio in (0.5, 0.75)), Cell("deep", 0.9, "tuned", "accuracy"))
RANKED = (CELLS[0], CELLS[-1])


def section(evidence: Evidence) -> str:
    """Return the text of the page; an empty one where there are no records."""
    book = Book(_of_their_networks(published(evidence).rows))
    sheets = {cell: sheet.without(LATER_FORMED_ON) for cell in CELLS if (sheet := book.sheet(cell)) is not None}
    parts = [_means(cell, sheets[cell]) for cell in RANKED if cell in sheets]
    parts += [_comparisons(sheets), _budgets(evidence)]
    parts = [part for part in parts if part]
    if not parts:
        return ""
    about = (
        f'These methods rank units by their damage without its first-order part (`rank_by="curvature"`). They were '
        f"added when the hypotheses had been written down, and formed on the guard rows of the first seed of "
        f"{', '.join(LATER_FORMED_ON)}: these pairs are left out here, no verdict is read, and p is not corrected for "
        "the number of rows."
    )
    return "\n\n".join([about, *parts])


def _of_their_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the networks, pairs and seeds, that these methods have been run on."""
    networks = pd.MultiIndex.from_frame(rows.loc[rows["method"].isin(LATER), ["pair", "repeat"]].drop_duplicates())
    return rows[pd.MultiIndex.from_frame(rows[["pair", "repeat"]]).isin(networks)]


def _means(cell: Cell, sheet: Sheet) -> str:
    """Return the mean ranks of all methods in a cell, on the pairs that have these ones."""
    if not set(LATER) & set(sheet.means):
        return ""
    sheet = sheet.only(
        sheet.means.index[sheet.means[[name for name in LATER if name in sheet.means]].notna().all(axis=1)]
    )
    there = [name for name in sheet.methods if name not in sheet.constant]
    among, _ = sheet.enough(there)
    scores = sheet.table(among).scores
    if len(scores) < 2 or not set(among) & set(LATER):
        return ""
    by_rank = ranks.stats.mean_ranks(scores, higher_is_better=higher_is_better(cell.metric), decimals=ranks.DECIMALS)
    of = dict(zip(among, by_rank.mean_ranks, strict=True))
    rows = [
        [f"**{name}**" if name in LATER else name, f"{of[name]:.2f}", f"{scores[name].mean():.3f}"]
        for name in sorted(among, key=lambda name: of[name])
    ]
    head = ["", f"mean rank of {len(among)}", METRIC_NAMES[cell.metric]]
    return f"### {cell}: {len(scores)} pairs\n\n{markdown(head, rows)}"


def _comparisons(sheets: dict[Cell, Sheet]) -> str:
    """Return the comparisons of each method with its rivals."""
    rows = []
    for cell, sheet in sheets.items():
        for method in LATER:
            rivals = [name for name in RIVALS[method] if name in sheet.means] if method in sheet.means else []
            pairs = [Two(method, rival, sheet.table([method, rival]), True) for rival in rivals]
            for found in compare(pairs, cell.metric, draws=0):
                if found.n > 1:
                    share = f"{found.better:.2f} / {found.equal:.2f} / {max(found.worse, 0):.2f}"
                    numbers = [f"{found.difference:+.3f}", f"{found.p:.2g}", share]
                    rows.append([str(cell), method, found.rival, str(found.n), *numbers])
    header = ["cell", "method", "against", "pairs", "median advantage", "p", "P(better / equal / worse)"]
    return markdown(header, rows) if rows else ""


def _budgets(evidence: Evidence) -> str:
    """Return the accuracy right after removal by pulls per unit."""
    scores = _of_their_networks(evidence.scores)
    rows = scores[
        (scores["suite"] == "deep")
        & (scores["stage"] == "raw")
        & (scores["metric"] == "accuracy")
        & (scores["part"] == "report")
        & (scores["scope"] == "layer")
        & scores["method"].isin([*LATER, *(name.removesuffix("_curvature") for name in LATER)])
        & scores["budget"].isin([float(budget) for budget in BUDGETS])
        & ~scores["pair"].isin([*LATER_FORMED_ON, *evidence.missed])
    ]
    parts = []
    for ratio in (0.5, 0.9):
        table = rows[rows["ratio"] == ratio].pivot_table(index="pair", columns=["method", "budget"], values="value")
        several = [name for name in LATER if name in table and table[name].shape[1] > 1]
        if not several:
            continue
        names = [name for later in several for name in (later, later.removesuffix("_curvature")) if name in table]
        whole = table[names].dropna()
        budgets = sorted({budget for _, budget in whole.columns})
        body = [
            [name, *(f"{whole[name, b].mean():.3f}" if (name, b) in whole else "-" for b in budgets)] for name in names
        ]
        header = [f"{ratio:.0%} removed, raw accuracy by pulls per unit", *(f"{b:g}" for b in budgets)]
        parts.append(f"{markdown(header, body)}\n\nMeans over {len(whole)} pairs; {BUDGET:g} pulls are those above.")
    return "\n\n".join(parts)
