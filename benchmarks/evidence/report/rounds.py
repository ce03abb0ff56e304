"""The default policy of the estimators: UCB1 in rounds with repair and fine-tuning, and other methods in its place."""

from __future__ import annotations

import numpy as np

from benchmarks.common.records import Record
from benchmarks.common.tables import markdown
from benchmarks.evidence.design import ALPHA, IN_ROUNDS, ROUNDS, ROUNDS_CELLS, SEEDS
from benchmarks.evidence.report import defaults, ranks
from benchmarks.evidence.report.cells import Cell
from benchmarks.evidence.report.reading import Evidence, published, repeat_of, to_compare

#: A control, which is no choice of units.
CHANCE = f"{ranks.CHANCE}@auto"


def found(evidence: Evidence) -> list[defaults.Found]:
    """Return the cells in which all methods have records."""
    metrics = {"classification": "accuracy", "regression": "r2"}
    cells = [Cell("tabular", ratio, "tuned", metrics[task], task) for task, ratio in ROUNDS_CELLS]
    rows = published(evidence, ROUNDS).rows
    return defaults.in_cells(rows[rows["scope"].isin(["layer", ""])], cells, IN_ROUNDS, ())


def section(evidence: Evidence) -> str:
    """Return the text of the page; an empty one where there are no records."""
    cells = found(evidence)
    if not cells:
        return ""
    about = (
        "The estimators prune in rounds, with repair and fine-tuning after each, and score with UCB1. Here other "
        "methods take its place: one network, the same share of each layer, all other parameters at their defaults "
        "(the budget of the bandits too). Stated before they were run: the default becomes a method that is better "
        f"than UCB1 (p < {ALPHA:g}, Holm's correction over all comparisons below) in one of these cells and worse in "
        f"none; of several, the one with the best mean rank. `{CHANCE}`, in which chance decides, is a control. The "
        "dense networks are fits of their own, which may be others than those of the tables above: scores are compared "
        "within this section only."
    )
    chosen = defaults.choice(cells, [name for name in IN_ROUNDS if name != CHANCE])
    said = defaults.verdict(cells, chosen, len(ROUNDS_CELLS), SEEDS["tabular"], to_compare(evidence))
    parts = [
        about,
        defaults.scores_table(cells, ()),
        _seconds(evidence.records),
        defaults.comparisons_table(cells),
        said,
    ]
    return "\n\n".join(filter(None, parts))


def _seconds(records: list[Record]) -> str:
    """Return how long pruning takes by each method, against the default, where one machine and code measured both."""
    took: dict[str, dict[tuple[object, ...], float]] = {}
    for record in records:
        of_section = record.get("kind") == "outcome" and record.get("protocol") == ROUNDS
        if of_section and record.get("method") in IN_ROUNDS and record.get("seconds"):
            where = (record["pair"], repeat_of(record), record["ratio"], record.get("cpu"), record.get("code"))
            took.setdefault(record["method"], {})[where] = record["seconds"]
    base = took.get(IN_ROUNDS[0], {})
    rows = []
    for name in IN_ROUNDS[1:]:
        factors = [seconds / base[where] for where, seconds in took.get(name, {}).items() if where in base]
        if factors:
            rows.append([name, f"{np.median(factors):.2f}", str(len(factors))])
    if not rows:
        return ""
    return markdown(["", f"seconds of pruning over those of {IN_ROUNDS[0]}, median", "networks and ratios"], rows)
