"""Training alone, warm: our regressor without pruning against scikit-learn's and against PyTorch by hand.

All sides have the same network, Adam with the same hyper-parameters, mini-batches of 200 in a new random order each
epoch, the same L2 term, and run all epochs (asserted). Rows and target are standardised, so that our standardising of
the target changes nothing. What is timed is the call of ``fit``, validation of the input included; for PyTorch, making
the network, and the loop. We train in float32; scikit-learn trains in the precision of the rows, so the same rows come
once as float64, which is what a pipeline hands over, and once as float32, the same arithmetic on both sides.

The roofline is that of the products of the forward and backward pass, 6 operations per weight, row and epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common.machine import missing
from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row

#: Rows, features, hidden layers, epochs, and how many times faster than scikit-learn we want to be.
CASES = ((400, 10, (64, 64), 200, 5), (1000, 20, (100,), 200, 4), (10_000, 50, (256, 256), 20, 2))
QUICK_CASES = ((200, 5, (16, 16), 3, 1),)


def run(options: Options) -> Output:
    for rows, features, hidden, epochs, target in QUICK_CASES if options.quick else CASES:
        for dtype in ("float32",) if options.quick else ("float64", "float32"):
            yield from compare(options, rows, features, hidden, epochs, target, dtype)
    if reason := missing("torch"):
        yield f"PyTorch {reason}"


def compare(
    options: Options, rows: int, features: int, hidden: tuple[int, ...], epochs: int, target: float, dtype: str
) -> Iterator[Row]:
    X, y = models.regression(rows, features, dtype)
    sides = {
        "ours": lambda: models.fit(models.ours(hidden, epochs, pruning_ratio=0), X, y),
        "theirs": lambda: models.fit(models.theirs(hidden, epochs), X, y),
    }
    torch_name = ""
    if dtype == "float32" and missing("torch") is None:
        from benchmarks.speed import torch_peers

        n_threads = torch_peers.best_threads(lambda: torch_peers.train(X, y, hidden, max(epochs // 20, 1)))
        torch_name = f"PyTorch loop, threads: {n_threads}"
        sides["torch"] = torch_peers.on_threads(n_threads, lambda: torch_peers.train(X, y, hidden, epochs))
    seconds = interleave(sides, options.repeats, warm_up=1)
    case = f"{rows}x{features}, {'x'.join(map(str, hidden))}, {epochs} epochs, {dtype}"
    roofline = options.machine.roofline(models.training_flops((features, *hidden, 1), rows, epochs))
    yield Row(case, seconds["ours"], seconds["theirs"], "scikit-learn", target, roofline=roofline)
    if torch_name:
        yield Row(case, seconds["ours"], seconds["torch"], torch_name)
