"""A dense network of the deep suite, and what is done to it: rankings, removals, training, scores."""

from __future__ import annotations

import functools
import hashlib
import time
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common.given import in_order
from benchmarks.deep.pairs.pair import Pair, Rows
from benchmarks.deep.pairs.train import Dense, scores, train
from benchmarks.evidence import replay
from benchmarks.evidence.cells import Stopwatch
from benchmarks.evidence.design import BATCH
from benchmarks.evidence.methods import Method
from skbandit import prune, rank_units
from skbandit.networks import TracedNetwork, infer_groups

#: Rows of the two measured latencies, and calls of each.
LATENCY_ROWS, LATENCY_CALLS = (1, 256), 30
#: Epochs of the short fine-tuning; the long one takes a third of those of the dense network.
SHORT = 2


class Ranking(NamedTuple):
    """An order of the units, safest first, and what it cost."""

    order: np.ndarray
    pulls: int
    forward_rows: int
    backward_rows: int
    seconds: float
    also: dict[str, Any]
    """Further fields of the record."""


class Removed(NamedTuple):
    """A smaller network."""

    params: Any
    sizes: tuple[int, ...]


def cross_entropy(logits: Any, y: Any) -> Any:
    """Return the log loss of each row."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]


def hash_of(params: Any) -> str:
    """Return what tells networks apart."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        array = np.ascontiguousarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def arguments(X: Any) -> tuple[Any, ...]:
    """Return the arguments of the function behind its parameters: a tuple is several."""
    return X if isinstance(X, tuple) else (X,)


def take(X: Any, rows: Any) -> Any:
    """Return some rows."""
    return jax.tree.map(lambda a: a[rows], X)


class Subject:
    """A dense network with its units.

    Parameters
    ----------
    pair : Pair
    seed : int
    dense : Dense
        Of this pair and seed.
    """

    def __init__(self, pair: Pair, seed: int, dense: Dense) -> None:
        self.pair, self.seed = pair, seed
        self.params, self.parts, self.epochs = jax.tree.map(np.asarray, dense.params), dense.parts, int(dense.epochs)
        self.hash = hash_of(self.params)
        example = take(self.parts.select.X, slice(4))
        # The groups are found once for each process and pair: they depend on shapes alone.
        self.groups = _groups(pair, self.params, example)
        self.network = TracedNetwork.of(pair.apply, self.groups, cross_entropy, self.params, example)
        self.sizes = tuple(int(size) for size in self.groups.sizes)
        self.n_units = sum(self.sizes)
        self.matrix: replay.Matrix | None = None

    @property
    def long(self) -> int:
        """Epochs of the long fine-tuning."""
        return max(SHORT, round(self.epochs / 3))

    # ------------------------------------------------------------------ rankings

    def record(self) -> replay.Matrix:
        """Measure the damages of all units on all mini-batches of the select rows."""
        select = self.parts.select
        options: dict[str, Any] = {"batch_size": BATCH, "random_state": self.seed}
        return replay.record(self.network, self.params, select.X, select.y, **options)

    def rank(self, method: Method, ratio: float, *, live: bool = False) -> Ranking:
        """Rank the units by a method; bandits of one round on the recorded damages, unless ``live``."""
        watch = Stopwatch()
        if method.name == "random":
            order = np.random.default_rng([self.seed, 0]).permutation(self.n_units)
            return Ranking(order, 0, 0, 0, watch.seconds, {"replayed": False})
        if method.tenths:
            return self._in_tenths(method)
        if method.rounds > 1:
            return self._in_rounds(method, ratio)
        replayed = method.is_bandit and not live
        if replayed:
            assert self.matrix is not None
            scores = replay.rank(self.matrix, self.sizes, method, ratio=ratio, random_state=self.seed)
        else:
            scores = self._scores(method, ratio)
        seconds = watch.seconds
        n, pulls = len(self.parts.select.y), int(scores.n_pulls)
        forward, backward = (passes * n for passes in method.passes)
        also: dict[str, Any] = {"replayed": replayed}
        if method.name == "obd":  # of each unit, the derivative of a backward pass: about three pulls on all rows
            forward, backward = self.n_units * n, self.n_units * n
        return Ranking(
            replay.order_of(np.asarray(scores.value)), pulls, forward + pulls * BATCH, backward, seconds, also
        )

    def _scores(self, method: Method, ratio: float, rows: Any = slice(None), **options: Any) -> Any:
        """Score the units of the network itself."""
        select = self.parts.select
        given: dict[str, Any] = {"params": self.params} | options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of values that are all the same
            return rank_units(
                self.network,
                X=take(select.X, rows),
                y=select.y[rows],
                policy=method.policy,
                budget=method.budget,
                pruning_ratio=ratio,
                scope="layer",
                batch_size=BATCH,
                random_state=self.seed,
                **given,
            )

    def _in_tenths(self, method: Method) -> Ranking:
        """Remove a tenth of all units after the other; each is scored on mini-batches that are new, while there are."""
        watch = Stopwatch()
        n_batches, width = len(self.parts.select.y) // BATCH, int(method.budget)
        rows = np.random.default_rng(self.seed).permutation(n_batches * BATCH).reshape(n_batches, BATCH)
        group = self.groups.group_of()
        active, order, pulls = np.ones(self.n_units, bool), [], 0
        for r in range(method.rounds):
            these = rows[(r * width + np.arange(width)) % n_batches].ravel()
            params = self.groups.zero(self.params, [np.flatnonzero(~part) for part in self.groups.split(active)])
            scores = self._scores(method, 0.1, these, params=params, active=active)
            pulls += int(scores.n_pulls)
            ranked = replay.order_of(np.where(active, np.asarray(scores.value), -np.inf))
            left = replay.quotas(self.sizes, int((r + 1) / 10 * self.n_units + 1e-9))
            leaving = []
            for g, quota in enumerate(left):
                gone = int((~active & (group == g)).sum())
                candidates = ranked[(group[ranked] == g) & active[ranked]]
                leaving += candidates[: max(quota - gone, 0)].tolist()
            leaving = [unit for unit in ranked if unit in set(leaving)]
            order += leaving
            active[leaving] = False
        order += [unit for unit in ranked if active[unit]]
        of_slopes = method.rounds * width * BATCH if method.rank_by == "curvature" else 0
        forward = of_slopes + pulls * BATCH
        return Ranking(np.asarray(order), pulls, forward, of_slopes, watch.seconds, {"replayed": False})

    def _in_rounds(self, method: Method, ratio: float) -> Ranking:
        """Prune in rounds, without training; units are in the order of the rounds in which they left."""
        watch = Stopwatch()
        gone: list[np.ndarray] = []

        def note(_: Any, result: Any) -> None:
            left = np.zeros(self.n_units, bool)
            for offset, units in zip(self.groups.offsets, result().kept, strict=True):
                left[offset + units] = True
            gone.append(~left)

        select = self.parts.select
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = prune(
                self.network,
                self.params,
                select.X,
                select.y,
                policy=method.policy,
                budget=method.budget,
                pruning_ratio=ratio,
                scope=method.scope,
                n_rounds=method.rounds,
                batch_size=method.batch,
                on_round=note,
                random_state=self.seed,
            )
        round_of = sum(~mask for mask in gone)  # rounds that a unit has stayed for
        order = np.argsort(round_of, kind="stable")
        # Rounds divide the share anew among the groups: a unit more or less of a group may leave than in one round.
        also: dict[str, Any] = {"replayed": False, "rounds_made": len(gone)}
        if method.scope == "layer":
            also["moved"] = int((replay.chosen(order, self.sizes, ratio) & ~gone[-1]).sum())
        pulls = int(result.n_pulls)
        # Of bandits ranked by curvature it is the most that there may be: a short round does not come to all rows.
        forward, backward = (passes * len(gone) * len(select.y) for passes in method.passes)
        width = min(method.batch, len(select.y))
        return Ranking(order, pulls, forward + pulls * width, backward, watch.seconds, also)

    # ------------------------------------------------------------------ removal, training, scores

    def remove(self, order: Any, ratio: float, scope: str = "layer") -> Removed:
        """Remove the first units of an order, i[n]: exactly ``floor(ratio · n)`` of them."""
        # Which units leave is given: the rows are those of one mini-batch, on which the loss is finite or not.
        select = Rows(take(self.parts.select.X, slice(BATCH)), self.parts.select.y[:BATCH])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a loss that is not finite
            result = prune(
                self.network,
                self.params,
                select.X,
                select.y,
                policy=in_order(order),
                pruning_ratio=ratio,
                scope=scope,
                n_rounds=1,
                batch_size=BATCH,
                random_state=self.seed,
            )
        return Removed(result.params, tuple(len(units) for units in result.kept))

    def tune(self, params: Any, epochs: int) -> Any:
        """Train some more: all networks see the same mini-batches in the same order, from half of the first rate on."""
        return self.trained(params, epochs, self.pair.rate / 2)

    def trained(self, params: Any, epochs: int, rate: float) -> Any:
        """Train on the fit rows."""
        made = train(self.pair, params, self.parts.fit, epochs=epochs, rate=rate, seed=self.seed)
        return jax.tree.map(np.asarray, made)

    def scores(self, params: Any) -> dict[str, dict[str, float]]:
        """Score on the report rows and on the guard rows."""
        return {name: self._score(params, getattr(self.parts, name)) for name in ("report", "guard")}

    def _score(self, params: Any, rows: Rows) -> dict[str, float]:
        found: dict[str, float] = scores(self.pair, params, rows)
        return found

    def size(self, removed: Removed, *, with_latency: bool = False) -> dict[str, Any]:
        """Return parameters, multiply-accumulates of a row, and latency of a network."""
        found = {
            "parameters": sum(int(np.size(leaf)) for leaf in jax.tree.leaves(removed.params)),
            "macs": int(self.network.n_macs(removed.sizes)),
            "sizes": list(removed.sizes),
        }
        return found | ({"latency_ms": self.latency(removed)} if with_latency else {})

    def latency(self, removed: Removed) -> dict[str, float]:
        """Return milliseconds of a compiled call, by rows; of each shape it is measured once in a process."""
        key = self.pair.name, tuple(np.shape(leaf) for leaf in jax.tree.leaves(removed.params))
        if key not in _LATENCIES:
            call, found = _compiled(self.pair.apply), {}
            params = jax.tree.map(jnp.asarray, removed.params)
            for n in LATENCY_ROWS:
                X = jax.tree.map(lambda a, n=n: jnp.asarray(np.resize(a, (n, *a.shape[1:]))), self.parts.report.X)
                seconds = []
                for _ in range(LATENCY_CALLS + 1):
                    start = time.perf_counter()
                    jax.block_until_ready(call(params, X))
                    seconds.append(time.perf_counter() - start)
                found[str(n)] = 1e3 * float(np.median(seconds[1:]))
            _LATENCIES[key] = found
        return _LATENCIES[key]


_LATENCIES: dict[Any, dict[str, float]] = {}
_GROUPS: dict[Any, Any] = {}


@functools.lru_cache(maxsize=64)
def _compiled(apply: Any) -> Any:
    return jax.jit(apply)


def _groups(pair: Pair, params: Any, example: Any) -> Any:
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves((params, example)))
    if (pair.name, shapes) not in _GROUPS:
        _GROUPS[pair.name, shapes] = infer_groups(pair.apply, params, *arguments(example))
    return _GROUPS[pair.name, shapes]
