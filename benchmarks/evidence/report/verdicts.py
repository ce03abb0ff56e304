"""Verdicts: what the records say of each hypothesis, in each of its primary cells and as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from benchmarks.evidence.design import (
    DECIMALS,
    FORMED_ON_SEEN,
    HYPOTHESES,
    SEEN_PAIRS,
    Hypothesis,
)
from benchmarks.evidence.report import pulls
from benchmarks.evidence.report.cells import Book, Cell, Sheet, Table, higher_is_better
from benchmarks.evidence.report.comparisons import DRAWS, LEAST, ROPE, Comparison, Two, compare, median, wilcoxon
from benchmarks.evidence.report.reading import Evidence, published, to_compare
from skbandit import stats

#: Names of the pairs `SEEN_PAIRS`, for records that do not say the numbers of their pairs.
SEEN_NAMES = ("cnn-fashion", "textcnn-trec", "lstm-trec", "transformer-babi1")


#: The note of a cell without a pair: no records, or no dense network that is good enough.
NOTHING = "nothing to compare"
PULLS_NOTE = (
    "the difference is log₂ of the rival's pulls over the method's, minus 1: from 0 on, at most half the pulls; "
    "between the budgets that were run, regret is taken as linear in the logarithm of the pulls"
)


#: What is said of a method that was chosen on the rows that it is compared on. Such a comparison confirms nothing.
FAVOURED = "on the rows to report, which favours it: nothing is confirmed by it"


class Family(NamedTuple):
    """The comparisons of a hypothesis in a cell, before any test."""

    pairs: list[Two]
    everyone: Table | None
    """All methods of the family, on the pairs that have all of them."""
    note: str
    known: int = 0
    """Pairs of the suite."""


class CellVerdict(NamedTuple):
    """What the records say in one primary cell."""

    cell: Cell
    verdict: str
    comparisons: list[Comparison]
    seen: list[Comparison]
    """The same on the pairs that were looked at before; no verdict is read on them."""
    place: str
    """The place by mean rank of a method that is claimed to be the first."""
    note: str
    known: int
    """Pairs of the suite that there are."""

    @property
    def deciding(self) -> list[Comparison]:
        """The comparisons that the verdict is read on."""
        return [comparison for comparison in self.comparisons if comparison.decides]

    @property
    def n(self) -> tuple[int, int]:
        """The least number of pairs of a deciding comparison, and the number of pairs there are."""
        return min(((c.n, c.known) for c in self.deciding), default=(0, self.known))

    @property
    def text(self) -> str:
        """The verdict, with the number of pairs where they are too few for one."""
        n, known = self.n
        return f"open: {n} of {known}" if self.verdict == "open" and n < LEAST else self.verdict


class Verdict(NamedTuple):
    """What the records say of a hypothesis."""

    hypothesis: Hypothesis
    cells: list[CellVerdict]

    @property
    def verdict(self) -> str:
        """Confirmed if it is in all primary cells, refuted if it is in one of them, else open."""
        found = {cell.verdict for cell in self.cells}
        return "refuted" if "refuted" in found else "confirmed" if found == {"confirmed"} else "open"

    @property
    def text(self) -> str:
        """The verdict, with the number of pairs where they are too few for one."""
        if self.verdict != "open":
            return self.verdict
        few = [cell for cell in self.cells if cell.n[0] < LEAST]
        return few[0].text if len(few) == len(self.cells) else "open"


def verdicts(evidence: Evidence, draws: int = DRAWS) -> list[Verdict]:
    """Return the verdict on each hypothesis."""
    return [verdict(hypothesis, evidence, draws) for hypothesis in HYPOTHESES]


def verdict(hypothesis: Hypothesis, evidence: Evidence, draws: int = DRAWS) -> Verdict:
    """Return the verdict on a hypothesis."""
    return Verdict(hypothesis, [_in_cell(hypothesis, cell, evidence, draws) for cell in primary_cells(hypothesis)])


def primary_cells(hypothesis: Hypothesis) -> list[Cell]:
    """Return the cells that a hypothesis is judged at."""
    named = [(hypothesis.suite, hypothesis.ratio, hypothesis.stage, hypothesis.metric), *hypothesis.also]
    return [Cell(*cell, "regression" if cell[-1] in ("r2", "rmse") else "classification") for cell in named]


def seen_pairs(evidence: Evidence) -> set[str]:
    """Return the names of the pairs that were looked at when some hypotheses were formed."""
    numbers = {gate.pair for gate in evidence.gates if gate.suite == "deep" and gate.number in SEEN_PAIRS}
    return {*SEEN_NAMES, *numbers}


def _in_cell(hypothesis: Hypothesis, cell: Cell, evidence: Evidence, draws: int) -> CellVerdict:
    book = book_for(cell, evidence)
    seen = seen_pairs(evidence) if hypothesis.name in FORMED_ON_SEEN else set()
    pull = hypothesis.relation == "pulls"
    metric, margin = ("log2_pulls", 1.0) if pull else (cell.metric, 0.0)
    family, rope = family_of(hypothesis, cell, book, without=seen), hypothesis.rope
    first = hypothesis.relation == "first"
    comparisons = compare(family.pairs, metric, draws, margin, everyone=first, rope=rope)
    apart = compare(family_of(hypothesis, cell, book, only=seen).pairs, metric, 0, margin, rope=rope) if seen else []
    place, leads = _place(family, metric, hypothesis.ranked_among) if first else ("", FAVOURED not in family.note)
    # Who is the first has no better one among those.
    among = hypothesis.ranked_among or tuple(comparison.rival for comparison in comparisons)
    beaten = first and any(found.outcome == "worse" and found.rival in among for found in comparisons)
    outcomes = [comparison.outcome for comparison in comparisons if comparison.decides] + ["worse"] * beaten
    note = f"{PULLS_NOTE}; {family.note}".rstrip("; ") if pull and family.pairs else family.note
    if rope is not None and family.pairs:
        usual = compare([pair for pair in family.pairs if pair.decides], metric, 0, margin)
        listed = ", ".join(f"{found.method} {found.equal:.2f}" for found in usual if np.isfinite(found.equal))
        note = f"with the margin of other cells, {ROPE[metric]:g}, P(equal) is {listed or 'not known'}"
    return CellVerdict(cell, _decide(hypothesis, outcomes, leads), comparisons, apart, place, note, family.known)


def book_for(cell: Cell, evidence: Evidence) -> Book:
    """Return the scores that a cell is read from: scores of networks, certified accuracies, or pulls."""
    if cell.metric == "certified":
        return Book(certified_scores(evidence), evidence.planned)
    if cell.metric == "regret":
        # A pair on which all reach the regret with the fewest pulls, or none with the most, tells nothing.
        return Book(pulls.needed(evidence, cell.ratio), to_compare(evidence), "not run, or its budgets tell nothing")
    return published(evidence)


def _decide(hypothesis: Hypothesis, outcomes: Sequence[str], leads: bool) -> str:
    claimed = "equal" if hypothesis.relation == "equal" else "better"
    if any(outcome not in (claimed, "open") for outcome in outcomes):
        return "refuted"
    return "confirmed" if outcomes and set(outcomes) == {claimed} and leads else "open"


def _place(family: Family, metric: str, among: Sequence[str]) -> tuple[str, bool]:
    """Return the place by mean rank of the method that is claimed to be the first, and whether it leads."""
    if family.everyone is None:
        return "", False
    scores = family.everyone.scores
    if among:
        scores = scores[[name for name in scores.columns if name in among]]
    if scores.shape[0] < 1 or scores.shape[1] < 2:
        return "", False
    ranks = stats.mean_ranks(scores, higher_is_better=higher_is_better(metric), decimals=DECIMALS).mean_ranks
    names, first = list(scores.columns), scores.columns[0]
    place = 1 + int(np.sum(ranks < ranks[0]))
    best = names[int(np.argmin(ranks))]
    text = f"`{first}` has place {place} of {len(ranks)} by mean rank, {ranks[0]:.2f} (n = {len(scores)})"
    if place > 1:
        text += f"; the best is `{best}`, {ranks.min():.2f}"
    return text, place == 1


# ---------------------------------------------------------------------- which methods are compared


def family_of(
    hypothesis: Hypothesis,
    cell: Cell,
    book: Book,
    *,
    without: Iterable[str] = (),
    only: Iterable[str] | None = None,
    deciding: bool = False,
) -> Family:
    """Return the scores of each comparison: each from the pairs that have both methods with all seeds.

    ``without`` names pairs to leave out; ``only``, where it is given, the pairs to take. With ``deciding`` there are
    no comparisons but those that decide.
    """
    if cell.metric == "regret":
        cell = cell._replace(stage="", metric="log2_pulls")

    def sheet_of(part: str) -> Sheet | None:
        sheet = book.sheet(cell, part)
        return None if sheet is None else sheet.without(without) if only is None else sheet.only(only)

    sheet = sheet_of("report")
    if sheet is None or not len(sheet.suite.data):
        planned = set(book.planned.get((cell.suite, cell.task), ()))
        return Family([], None, NOTHING, len(planned - set(without) if only is None else planned & set(only)))
    left, than, note = hypothesis.better, hypothesis.than, ""
    family = tuple(name for name in hypothesis.family if name in sheet.means)
    if hypothesis.relation == "best":
        best, note = best_of(sheet_of, cell, left)
        left = (best,) if best else ()
    if not than:  # all models of other libraries
        than = family = tuple(sorted(sheet.standard - set(left)))
    if hypothesis.relation == "paired":
        wanted = [(method, rival, True) for method, rival in zip(left, than, strict=True)]
    else:
        others = family if hypothesis.relation in ("first", "better", "best") else ()
        wanted = _without_repeats(
            [(method, rival, True) for method in left for rival in than]
            + [(method, rival, False) for method in left for rival in others]
        )
    found = [
        Two(method, rival, sheet.table([method, rival]), decides)
        for method, rival, decides in wanted
        if decides or not deciding
    ]
    ranked = dict.fromkeys([*left, *family])
    return Family(found, sheet.table(list(ranked)), note, len(sheet.suite.data))


def _without_repeats(wanted: Sequence[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    """Return pairs of two different methods, each once, in either order."""
    found: dict[frozenset[str], tuple[str, str, bool]] = {}
    for method, rival, decides in wanted:
        if method != rival:
            found.setdefault(frozenset((method, rival)), (method, rival, decides))
    return list(found.values())


def best_of(sheet_of: Callable[[str], Sheet | None], cell: Cell, methods: Sequence[str]) -> tuple[str, str]:
    """Return the method with the best mean over the pairs, on the guard rows, and a sentence on it.

    Where a cell has no scores of guard rows, those of the rows to report are taken, which the sentence says.
    """
    for part, of_rows in (("guard", "on the guard rows"), ("report", FAVOURED)):
        sheet = sheet_of(part)
        there = [] if sheet is None else [name for name in methods if name in sheet.means]
        if sheet is None or not there:
            continue
        among, _ = sheet.enough(there)
        table = sheet.table(among).scores
        if len(table):
            mean = table.mean() if higher_is_better(cell.metric) else -table.mean()
            best = str(mean.idxmax())
            return best, f"the best of {len(among)} methods is `{best}`, by its mean {of_rows}"
    return "", ""


def certified_scores(evidence: Evidence) -> pd.DataFrame:
    """Return certified accuracies as scores: means over the radii of a network and seed, of each half of the rows."""
    keys = ["pair", "data", "repeat", "method", "ratio"]
    fixed = {"suite": "certified", "task": "classification", "protocol": "paired", "metric": "certified"}
    found = []
    for part in ("report", "guard"):
        certified = evidence.certified.dropna(subset=[f"certified_{part}"])
        mean = certified.groupby(keys, dropna=False, sort=False)[f"certified_{part}"].mean().reset_index(name="value")
        found.append(mean.assign(**fixed, part=part, scope="layer", stage="", standard=False))
    return pd.concat(found, ignore_index=True)


# ---------------------------------------------------------------------- secondary cells


class Secondary(NamedTuple):
    """A comparison of a hypothesis in a cell that is not a primary one."""

    hypothesis: str
    cell: Cell
    method: str
    rival: str
    n: int
    difference: float
    p: float
    q: float = np.nan
    """Benjamini and Hochberg's, over all of them."""


def secondary(evidence: Evidence) -> list[Secondary]:
    """Return the comparisons of all hypotheses in all other cells that there are records of."""
    book = published(evidence)
    found: dict[tuple[str, Cell, str, str], Secondary] = {}
    for hypothesis in HYPOTHESES:
        primary = primary_cells(hypothesis)
        seen = seen_pairs(evidence) if hypothesis.name in FORMED_ON_SEEN else set()
        for suite, task in dict.fromkeys((cell.suite, cell.task) for cell in primary if cell.metric != "regret"):
            for cell in sorted(_cells_of(book.suite_rows(suite, task)) - set(primary)):
                for method, rival, table, _ in family_of(hypothesis, cell, book, without=seen, deciding=True).pairs:
                    two, higher = table.select([method, rival]), higher_is_better(cell.metric)
                    if len(two) > 1:
                        effect, p = median(two, higher), wilcoxon(two, higher)[0]
                        row = Secondary(hypothesis.name, cell, method, rival, len(two), effect, p)
                        found.setdefault(row[:4], row)
    q = false_discovery_control([row.p for row in found.values()]) if found else ()
    return [row._replace(q=float(value)) for row, value in zip(found.values(), q, strict=True)]


def _cells_of(rows: pd.DataFrame) -> set[Cell]:
    """Return the cells of a suite and task that have records."""
    rows = rows[(rows["part"] == "report") & rows["ratio"].notna() & (rows["scope"] == "layer") & (rows["stage"] != "")]
    unique = rows[["suite", "ratio", "stage", "metric", "task"]].drop_duplicates()
    return {Cell(*row) for row in unique.itertuples(index=False) if row.metric in ROPE}
