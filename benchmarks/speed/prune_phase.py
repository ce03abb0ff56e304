"""A whole pruning phase, warm, against a UCB1 loop written by hand in PyTorch.

One dense network, trained by us; both sides prune it on the same rows by half, without fine-tuning, and spend the same
number of pulls of 256 rows. Ours is ``estimator.prune``: validation of the input, four rounds, least-squares repair and
cutting the arrays included. The loop by hand masks one unit at a time and pays a paired evaluation of the network for
each pull; it removes all units at the end, without repair. Its form is in `torch_peers.TextbookBandit`. As information:

* the same loop with mini-batches and their unmasked losses prepared once, which is no longer what one writes first;
* our phase without the repair;
* Torch-Pruning's Taylor criterion, which spends no pulls: one backward pass over the rows. Another criterion, not
  another implementation of ours.

The notes give the loss on all rows after removal, without fine-tuning.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common.machine import missing
from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row

ROWS, FEATURES, HIDDEN, EPOCHS = 5000, 20, (256, 256), 20
RATIO, BUDGET, WIDTH = 0.5, 8, 256
TARGET = 30


def run(options: Options) -> Output:
    if reason := missing("torch"):
        yield reason
        return
    from benchmarks.speed import torch_peers

    rows, hidden, epochs = (400, (16, 16), 2) if options.quick else (ROWS, HIDDEN, EPOCHS)
    X, y = models.regression(rows, FEATURES, "float32")
    dense = models.ours(hidden, epochs, pruning_ratio=0).fit(X, y)
    net = torch_peers.from_estimator(dense)

    def ours(**params: Any) -> Any:
        return dense.prune(X, y, policy="ucb1", pruning_ratio=RATIO, budget=BUDGET, fine_tune_iter=0, **params)

    pruned = ours()
    n_pulls = pruned.n_pulls_

    def by_hand(n_pulls: int, hoist: bool = False) -> Any:
        bandit = torch_peers.TextbookBandit(net, X, y, WIDTH, hoist)
        bandit.run(n_pulls, RATIO)
        return bandit.net

    n_threads = torch_peers.best_threads(lambda: by_hand(n_pulls // 40))
    sides = {
        "ours": ours,
        "unrepaired": lambda: ours(compensate=False),
        "by hand": torch_peers.on_threads(n_threads, lambda: by_hand(n_pulls)),
        "hoisted": torch_peers.on_threads(n_threads, lambda: by_hand(n_pulls, hoist=True)),
    }
    if missing("torch_pruning") is None:
        sides["Taylor"] = lambda: torch_peers.torch_pruning_removal(net, X, y, WIDTH, RATIO)
    after = {name: side() for name, side in sides.items()}
    losses = {name: models.loss(after[name], X, y) for name in ("ours", "unrepaired")}
    losses |= {name: torch_peers.loss_of(after[name], X, y) for name in sides if name not in losses}
    before = models.loss(dense, X, y)
    seconds = interleave(sides, options.repeats, warm_up=0)

    peer = f"PyTorch loop, threads: {n_threads}"
    case = f"{rows}x{FEATURES}, {'x'.join(map(str, hidden))}, {n_pulls} pulls"
    sizes = (FEATURES, *hidden, 1)
    yield Row(
        case,
        seconds["ours"],
        seconds["by hand"],
        peer,
        TARGET,
        roofline=options.machine.roofline(models.phase_flops(sizes, min(WIDTH, rows), n_pulls)),
        note=f"loss before {before:.4f}, after: ours {losses['ours']:.4f}, by hand {losses['by hand']:.4f}",
    )
    yield Row(f"{case}, no repair", seconds["unrepaired"], seconds["by hand"], peer)
    yield Row(
        f"{case}, batches prepared",
        seconds["ours"],
        seconds["hoisted"],
        "PyTorch loop, unmasked losses known",
        note=f"loss after: ours without repair {losses['unrepaired']:.4f}, by hand {losses['hoisted']:.4f}",
    )
    if "Taylor" in sides:
        kept = [layer.out_features for layer in after["Taylor"][:-1:2]]
        yield Row(
            "another criterion, no pulls",
            seconds["ours"],
            seconds["Taylor"],
            "Torch-Pruning, Taylor",
            note=f"loss after: ours {losses['ours']:.4f}, Torch-Pruning {losses['Taylor']:.4f} with {kept} units left "
            f"(ours {list(pruned.hidden_layer_sizes_)})",
        )
    else:
        yield f"Torch-Pruning {missing('torch_pruning')}"
