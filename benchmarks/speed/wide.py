"""Tables of many columns, sparse and dense, and a small one beside them: a warm fit against scikit-learn's MLP.

All sides make the same number of passes over the rows: what training and fine-tuning of ours make together (the
defaults hold a fifth of the rows out). The plain network is timed without pruning and with it, the recipe of the
defaults with it. scikit-learn trains on the non-zeros of sparse rows; ours are dense on the device, so that what a pass
costs there is in proportion to all columns.

Memory is that of a fresh process (Linux): the high-water mark of its resident memory during a fit, above the level
before it, in sizes of the rows as a dense float32 array. JAX is loaded before, by a fit of 300 of the rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from benchmarks.common.timing import interleave
from benchmarks.speed import children, models
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import call_in_process

#: Rows, columns, ones in each row of a sparse table, and how many times as long as scikit-learn a fit may take.
CASES = ((300, 20_000, 20, 3), (500, 5000, None, 3), (1000, 10, None, None))
QUICK_CASES = ((60, 200, 5, None), (60, 20, None, None))
#: Passes over the rows: two of training and one in each of four rounds of pruning.
EPOCHS, ROUNDS = 2, 4
MEMORY_ROWS, MEMORY_COLUMNS = 10_000, 20_000
#: One copy, a part of it to measure on, and what compiling takes.
MEMORY_TARGET = 1.5


def run(options: Options) -> Output:
    for rows, columns, per_row, target in QUICK_CASES if options.quick else CASES:
        yield from compare(options, rows, columns, per_row, target)
    if not options.quick and os.access("/proc/self/clear_refs", os.W_OK):
        results = [
            call_in_process(children.fit_of_sparse_rows, rows=MEMORY_ROWS, columns=MEMORY_COLUMNS)
            for _ in range(min(options.repeats, 3))
        ]
        peak, dense = ([result[name] for result in results] for name in ("peak", "dense"))
        case = f"peak memory, sparse {MEMORY_ROWS}x{MEMORY_COLUMNS}"
        yield Row(case, peak, dense, "a dense copy", MEMORY_TARGET, at_most=True, unit="B")


def compare(options: Options, rows: int, columns: int, per_row: int | None, target: float | None) -> Iterator[Row]:
    X, y = models.words(rows, columns, per_row) if per_row else models.classes(rows, columns)
    total = EPOCHS + ROUNDS
    pruned: dict[str, Any] = {"max_iter": EPOCHS, "n_rounds": ROUNDS, "fine_tune_iter": 1}
    fits = {
        "plain, not pruned": models.small_classifier("plain", max_iter=total, pruning_ratio=0),
        "plain": models.small_classifier("plain", **pruned),
        "defaults": models.small_classifier("fast", **pruned),
        "theirs": models.their_small_classifier(max_iter=total),
    }
    sides = {name: lambda model=model: model.fit(X, y) for name, model in fits.items()}
    seconds = interleave(sides, options.repeats, warm_up=1)
    table = f"{'sparse ' if per_row else ''}{rows}x{columns}"
    for name in list(fits)[:-1]:
        yield Row(f"{table}, {name}", seconds[name], seconds["theirs"], "scikit-learn", target, at_most=True)
