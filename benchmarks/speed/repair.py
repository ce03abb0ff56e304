"""Repair by least squares: what it adds to a pruning phase of wide layers.

A dense network, trained for an epoch, is pruned by half in four rounds, by magnitude and without fine-tuning: nearly
all that is left is the repair after each round. Beside it the same phase without repair.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row

ROWS, FEATURES = 2000, 20
HIDDEN = ((512,), (2048,), (8192,), (1024, 1024))
#: Phases of more units are repeated three times.
MANY_UNITS = 4096


def run(options: Options) -> Output:
    rows = 200 if options.quick else ROWS
    X, y = models.regression(rows, FEATURES, "float32")
    for hidden in ((16,),) if options.quick else HIDDEN:
        dense = models.ours(hidden, 1, pruning_ratio=0).fit(X, y)

        def prune(dense: Any = dense, **params: Any) -> Any:
            return dense.prune(X, y, policy="magnitude", pruning_ratio=0.5, fine_tune_iter=0, **params)

        sides = {"ours": prune, "unrepaired": lambda prune=prune: prune(compensate=False)}
        repeats = min(options.repeats, 3) if sum(hidden) > MANY_UNITS else options.repeats
        seconds = interleave(sides, repeats, warm_up=1)
        sizes = "x".join(map(str, hidden))
        yield Row(f"{rows} rows, {sizes}", seconds["ours"], seconds["unrepaired"], "without repair", at_most=True)
