"""The controls of the deep suite: what pruning is compared with beside other ways to choose units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from benchmarks.common.records import Record
from benchmarks.evidence import replay
from benchmarks.evidence.cells import Stopwatch
from benchmarks.evidence.design import DRAWS
from benchmarks.evidence.subject import SHORT, Removed, Subject


def unpruned(subject: Subject, ratio: float | None, stage: str) -> Record:
    """The dense network."""
    whole = Removed(subject.params, subject.sizes)
    return {"scores": subject.scores(subject.params), "seconds": 0.0} | subject.size(whole, with_latency=True)


def trained_on(subject: Subject, ratio: float | None, stage: str) -> Record:
    """The dense network with as many more epochs as pruned ones are fine-tuned."""
    watch, epochs = Stopwatch(), _epochs(subject, stage)
    params = subject.tune(subject.params, epochs)
    found = {"seconds": watch.seconds, "epochs": epochs, "scores": subject.scores(params)}
    return found | subject.size(Removed(params, subject.sizes))


def scratch(subject: Subject, ratio: float | None, stage: str) -> Record:
    """A network of the pruned shape, drawn anew; as many epochs as the dense network's and those of fine-tuning."""
    assert ratio is not None
    shape = subject.remove(np.arange(subject.n_units), ratio)
    shapes = jax.tree.map(np.shape, shape.params)
    watch, epochs = Stopwatch(), subject.epochs + _epochs(subject, stage)
    params = subject.pair.draw(jax.random.key(subject.seed), shapes)
    params = subject.trained(params, epochs, subject.pair.rate)
    found = {"seconds": watch.seconds, "epochs": epochs, "scores": subject.scores(params)}
    return found | subject.size(Removed(params, shape.sizes))


def worst(subject: Subject, ratio: float | None, stage: str) -> Record:
    """Units of the highest exact damage leave first."""
    assert ratio is not None
    assert subject.matrix is not None
    watch = Stopwatch()
    removed = subject.remove(replay.order_of(subject.matrix.exact), ratio)
    found = {"seconds": watch.seconds, "scores": subject.scores(removed.params)}
    return found | subject.size(removed)


def random_draws(subject: Subject, ratio: float, scope: str) -> Record:
    """The mean of some random choices, and each of them."""
    draws = (np.random.default_rng([subject.seed, draw]).permutation(subject.n_units) for draw in range(DRAWS))
    return mean_of(subject, draws, ratio, scope)


def mean_of(subject: Subject, orders: Iterable[Any], ratio: float, scope: str) -> Record:
    """The mean score after removal by several orders of the units, and each score; seconds are those of one removal."""
    draws: list[dict[str, dict[str, float]]] = []
    seconds = 0.0
    for order in orders:
        watch = Stopwatch()
        removed = subject.remove(order, ratio, scope)
        seconds += watch.seconds
        draws.append(subject.scores(removed.params))
    mean: Any = jax.tree.map(lambda *values: float(np.mean(values)), *draws)
    found = {"seconds": seconds / len(draws), "scores": mean, "draws": [one["report"] for one in draws]}
    return found | subject.size(removed, with_latency=scope == "layer")


def _epochs(subject: Subject, stage: str) -> int:
    return SHORT if stage == "tuned" else subject.long


#: By name. A dense network of the pruned one's parameters and of even widths is the pruned shape itself: the same
#: share of each layer leaves.
CONTROLS: dict[str, Callable[[Subject, float | None, str], Record]] = {
    "unpruned": unpruned,
    "trained_on": trained_on,
    "scratch": scratch,
    "worst": worst,
}
