"""Training and pruning, warm, at the defaults, against scikit-learn's fit of the same network without pruning.

The peer does less: no pruning, no fine-tuning. Our side trains for the same number of epochs (asserted), then removes
half of the units in four rounds with eight pulls per unit, refits and fine-tunes for ten epochs after each round.
Rows as float64 and as float32, for the reason given in `training`.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.training import CASES, QUICK_CASES

TARGET = 1.5
#: At the short training of the largest case, fine-tuning (40 epochs) is most of the work; so also with more epochs.
LONGER = (10_000, 50, (256, 256), 100)


def run(options: Options) -> Output:
    for rows, features, hidden, epochs, _ in QUICK_CASES if options.quick else CASES:
        for dtype in ("float32",) if options.quick else ("float64", "float32"):
            yield from compare(options, rows, features, hidden, epochs, dtype)
    if not options.quick:
        yield from compare(options, *LONGER, "float64")


def compare(
    options: Options, rows: int, features: int, hidden: tuple[int, ...], epochs: int, dtype: str
) -> Iterator[Row]:
    X, y = models.regression(rows, features, dtype)
    sides = {
        "ours": lambda: models.fit(models.ours(hidden, epochs, pruning_ratio=0.5, budget=8), X, y),
        "theirs": lambda: models.fit(models.theirs(hidden, epochs), X, y),
    }
    fitted = {name: side() for name, side in sides.items()}
    seconds = interleave(sides, options.repeats, warm_up=0)
    scores = {name: model.score(X, y) for name, model in fitted.items()}
    yield Row(
        f"{rows}x{features}, {'x'.join(map(str, hidden))}, {epochs} epochs, {dtype}",
        seconds["ours"],
        seconds["theirs"],
        "scikit-learn, unpruned",
        TARGET,
        note=f"training R²: pruned to {fitted['ours'].hidden_layer_sizes_} {scores['ours']:.3f}, "
        f"scikit-learn {scores['theirs']:.3f}",
    )
