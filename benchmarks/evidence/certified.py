"""Does pruning raise certified accuracy? ``python -m benchmarks.evidence.certified``.

The claim is that of arXiv 2206.07311: a pruned network has fewer unstable ReLUs, so that more rows can be certified (up
to 8.2 points more on CIFAR-10, of networks trained as usual). Here dense ReLU networks are trained on images (inputs in
[0, 1], and the ball is cut to it) and on tables (standardised columns; epsilon is in standard deviations). Half of each
hidden layer is removed in one round, and what is left is trained for ten epochs. The controls: the network as it was
(``unpruned``), the same after ten epochs more (``trained_on``), and one of the pruned shape, trained from scratch for
as many epochs as the pruned one had in all (``scratch``).

A record is one network and one epsilon; `benchmarks.evidence.bounds` says what is computed. The rows that are certified
are part of those that nothing else has seen.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import gzip
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.model_selection import train_test_split

from benchmarks.common import datasets
from benchmarks.common.machine import cpu_model, versions
from benchmarks.common.records import KEPT, NEW, Record, append, read
from benchmarks.common.tables import markdown
from benchmarks.deep import data
from benchmarks.evidence.bounds import certify, outputs
from skbandit import prune
from skbandit.networks import Group, Groups, Slice

Params = tuple[tuple[Any, Any], ...]
Vectors = tuple[jax.Array, ...]
Key = tuple[Any, ...]

OUT = NEW / "certified.jsonl"
KEPT_RECORDS = KEPT / "evidence" / "certified.jsonl"
PAGE = Path("docs/results/evidence/certified.md")
EPSILONS = tuple(k / 255 for k in (4, 8, 16))
RATIO = 0.5
PRUNED = ("random", "magnitude", "activation_variance", "stable_units", "ucb1", "leave_one_out")
CONTROLS = ("unpruned", "trained_on", "scratch")
METHODS = (*CONTROLS, *PRUNED)
#: Rows to measure damages on; a quarter of the training rows where that is less.
SELECT = 1024
#: Rows that are certified at most.
CERTIFIED_ROWS = 500
BATCH, RATE, WEIGHT_DECAY, WARM_UP = 64, 1e-3, 1e-3, 0.05
EPOCHS, FINE_TUNING = 20, 10


class Net(NamedTuple):
    """A data set, and the widths of the hidden layers."""

    data: str
    hidden: tuple[int, ...]
    image: bool

    @property
    def within(self) -> tuple[float, float] | None:
        """The range of the inputs."""
        return (0.0, 1.0) if self.image else None

    @property
    def architecture(self) -> str:
        """The widths, as text."""
        return "-".join(map(str, self.hidden))


NETS = {
    f"mlp{len(net.hidden)}-{net.data}-{net.architecture}": net
    for net in (
        Net("mnist10k", (256, 128), True),
        Net("mnist10k", (128, 128, 128), True),
        Net("usps", (64, 64), True),
        Net("usps", (256, 128), True),
        Net("satimage", (128, 64), False),
        Net("satimage", (64, 64, 64), False),
        Net("spambase", (128, 64), False),
        Net("spambase", (64, 64, 64), False),
    )
}

# ---------------------------------------------------------------------- the network


@dataclasses.dataclass(frozen=True)
class ReluNetwork:
    """A dense ReLU network with the cross-entropy, as `skbandit.networks.DenseLayers` describes such a chain."""

    layer_sizes: tuple[int, ...]
    """Inputs, hidden widths, classes."""

    linear_from = 0.0

    @property
    def groups(self) -> Groups:
        """One group for each hidden layer."""
        return _groups(self.layer_sizes)

    def forward(self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array) -> tuple[jax.Array, Vectors]:
        """Return the outputs, and what the hidden layers emit."""
        hidden = []
        for (W, b), gate, emission in zip(params[:-1], gates, emissions, strict=True):
            X = gate * jax.nn.relu(X @ W + b) + (1 - gate) * emission
            hidden.append(X)
        W, b = params[-1]
        return X @ W + b, tuple(hidden)

    def batch_loss(
        self, params: Params, gates: Vectors, emissions: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Return the weighted mean cross-entropy."""
        logits = self.forward(params, gates, emissions, X)[0]
        return jnp.sum(weight * optax.softmax_cross_entropy_with_integer_labels(logits, y))

    def activations(self, params: Params, gates: Vectors, X: jax.Array) -> Vectors:
        """Return what the hidden layers emit."""
        return self.forward(params, gates, tuple(map(jnp.zeros_like, gates)), X)[1]

    def activate(self, z: jax.Array) -> jax.Array:
        """Return the activations."""
        return jax.nn.relu(z)

    def bounds(self, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return bounds of the activations."""
        return jax.nn.relu(low), jax.nn.relu(high)

    def n_macs(self, widths: Sequence[Any]) -> Any:
        """Return the multiply-accumulates of a row."""
        return sum(a * b for a, b in pairwise((self.layer_sizes[0], *widths, self.layer_sizes[-1])))


@functools.lru_cache
def _groups(sizes: tuple[int, ...]) -> Groups:
    return Groups(
        [
            Group(f"hidden{i}", size, incoming=[Slice((i, 0), 1), Slice((i, 1), 0)], outgoing=[Slice((i + 1, 0), 0)])
            for i, size in enumerate(sizes[1:-1])
        ]
    )


def draw(seed: int, sizes: Sequence[int]) -> Params:
    """Draw parameters with He's variance."""
    rng = np.random.default_rng([seed, 1])
    return tuple(
        (rng.normal(scale=np.sqrt(2 / a), size=(a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(sizes)
    )


# ---------------------------------------------------------------------- rows


class Rows(NamedTuple):
    """Inputs f32[n, n_features] and classes i32[n]."""

    X: np.ndarray
    y: np.ndarray


class Parts(NamedTuple):
    """Disjoint rows: to train on, to measure damages on, to report."""

    fit: Rows
    select: Rows
    report: Rows

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.fit.y.max()) + 1


def parts_of(net: Net, seed: int) -> Parts:
    """Read the rows and split them; an official split is kept."""
    if net.data == "mnist10k":
        train, report = _split(mnist("images").astype(np.float32) / 255, mnist("labels"), 0.2, seed)
    elif net.image:
        split = data.images(net.data)
        train, report = Rows(split.X_train, split.y_train), Rows(split.X_test, split.y_test)
        order = np.random.default_rng([seed, 2]).permutation(len(report.y))
        report = Rows(report.X[order], report.y[order])
    else:
        table = datasets.load(net.data)
        frame, y = table.X, np.unique(table.y, return_inverse=True)[1]
        train, report = _split(frame, y, 1 / 3, seed)
    fit, select = _split(*train, min(SELECT, len(train.y) // 4), seed + 1)
    found = [fit, select, report]
    if net.image:
        inputs = [part.X.reshape(len(part.y), -1) for part in found]
    else:
        encode = datasets.preprocessing().fit(fit.X)
        inputs = [encode.transform(part.X) for part in found]
    return Parts(
        *(Rows(np.asarray(X, np.float32), part.y.astype(np.int32)) for X, part in zip(inputs, found, strict=True))
    )


def mnist(what: str) -> np.ndarray:
    """Read the images u8[n, 28, 28] or labels u8[n] of mnist10k, which has one part."""
    (path,) = (datasets.FOLDER / "image").glob(f"mnist10k-t10k-{what}-idx*-ubyte.gz")
    content = gzip.decompress(path.read_bytes())
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(10_000, *[28] * (content[3] - 1))


def _split(X: Any, y: np.ndarray, second: float, seed: int) -> tuple[Rows, Rows]:
    X, X_second, y, y_second = train_test_split(X, y, test_size=second, stratify=y, random_state=seed)
    return Rows(X, y), Rows(X_second, y_second)


# ---------------------------------------------------------------------- training

_OPTIMIZER = optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(WEIGHT_DECAY))


def train(params: Params, rows: Rows, *, epochs: int, rate: float, seed: int) -> Params:
    """Train with AdamW; the rate rises for a twentieth of the steps and falls to zero as a cosine."""
    steps = len(rows.y) // BATCH * epochs
    rates = np.asarray(
        jax.vmap(optax.warmup_cosine_decay_schedule(0.0, rate, max(1, int(WARM_UP * steps)), steps))(jnp.arange(steps))
    ).reshape(epochs, -1)
    rng = np.random.default_rng([seed, 3])
    params = jax.tree.map(jnp.asarray, params)
    state, X, y = _OPTIMIZER.init(params), jnp.asarray(rows.X), jnp.asarray(rows.y)
    for of_epoch in rates:
        params, state = _epoch(params, state, X, y, data.batches(rng, len(rows.y), BATCH), of_epoch)
    return jax.tree.map(np.asarray, params)


@jax.jit
def _epoch(params: Params, state: Any, X: jax.Array, y: jax.Array, batches: jax.Array, rates: jax.Array) -> Any:
    network = ReluNetwork((X.shape[1], *(len(b) for _, b in params)))

    def loss(params: Params, rows: jax.Array) -> jax.Array:
        gates = tuple(jnp.ones_like(b) for _, b in params[:-1])
        return network.batch_loss(params, gates, gates, X[rows], y[rows], jnp.full(BATCH, 1 / BATCH))

    def step(carry: Any, at: Any) -> Any:
        params, state = carry
        rows, rate = at
        updates, state = _OPTIMIZER.update(jax.grad(loss)(params, rows), state, params)
        return (optax.apply_updates(params, jax.tree.map(lambda u: -rate * u, updates)), state), None

    return jax.lax.scan(step, (params, state), (batches, rates))[0]


# ---------------------------------------------------------------------- what is compared


class Case(NamedTuple):
    """A network as it was trained."""

    net: Net
    parts: Parts
    params: Params
    sizes: tuple[int, ...]


@functools.lru_cache(maxsize=1)
def case(pair: str, seed: int) -> Case:
    """Train the dense network of a pair."""
    net = NETS[pair]
    parts = parts_of(net, seed)
    sizes = (parts.fit.X.shape[1], *net.hidden, parts.n_classes)
    return Case(net, parts, train(draw(seed, sizes), parts.fit, epochs=EPOCHS, rate=RATE, seed=seed), sizes)


@functools.lru_cache(maxsize=1)
def made(pair: str, seed: int, method: str) -> Params:
    """Return the parameters that a method comes to."""
    _, parts, dense, sizes = case(pair, seed)
    if method == "unpruned":
        return dense
    if method == "scratch":
        kept = [n - int(RATIO * n) for n in sizes[1:-1]]
        params = draw(seed, (sizes[0], *kept, sizes[-1]))
        return train(params, parts.fit, epochs=EPOCHS + FINE_TUNING, rate=RATE, seed=seed)
    params = dense if method == "trained_on" else removed(ReluNetwork(sizes), dense, parts.select, method, seed)
    return train(params, parts.fit, epochs=FINE_TUNING, rate=RATE / 2, seed=seed + 1)


def removed(network: ReluNetwork, params: Params, select: Rows, method: str, seed: int) -> Params:
    """Remove half of each hidden layer, in one round."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # damages near the rounding of the loss, for some seeds
        result = prune(
            network,
            params,
            *select,
            policy=method,
            pruning_ratio=RATIO,
            scope="layer",
            n_rounds=1,
            batch_size=32,
            random_state=seed,
        )
    return result.params


def cells(
    seeds: Sequence[int],
    pairs: Sequence[str] = tuple(NETS),
    methods: Sequence[str] = METHODS,
    epsilons: Sequence[float] = EPSILONS,
) -> Iterator[tuple[Key, Callable[[], Record]]]:
    """Yield the key of each record, and a function that makes it.

    Those of one network stand together: the functions share what is trained, as long as they are called in this order.
    """
    for pair in pairs:
        for seed in seeds:
            for method in methods:
                for epsilon in epsilons:
                    yield (
                        ("certified", pair, seed, method, epsilon),
                        functools.partial(record, pair, seed, method, epsilon),
                    )


def key_of(record: Record) -> Key:
    """Return the key of a record."""
    return tuple(record[name] for name in ("kind", "pair", "seed", "method", "epsilon"))


def record(pair: str, seed: int, method: str, epsilon: float) -> Record:
    """Certify the network that a method comes to."""
    net, parts = NETS[pair], case(pair, seed).parts
    params, report = made(pair, seed, method), parts.report
    start = time.perf_counter()
    found = certify(params, report.X[:CERTIFIED_ROWS], report.y[:CERTIFIED_ROWS], epsilon, net.within)
    seconds = time.perf_counter() - start
    # A method may be chosen on one half of the rows and compared on the other.
    guard = np.arange(len(found.crown)) % 2 == 1
    return {
        "kind": "certified",
        "suite": "certified",
        "pair": pair,
        "data": net.data,
        "architecture": net.architecture,
        "seed": seed,
        "method": method,
        "ratio": 0.0 if method in ("unpruned", "trained_on") else RATIO,
        "epsilon": epsilon,
        "certified": float(found.crown.mean()),
        "certified_halves": {
            "report": float(found.crown[~guard].mean()),
            "guard": float(found.crown[guard].mean()),
        },
        "certified_ibp": float(found.interval.mean()),
        "attacked": float(found.attacked.mean()),
        "clean": float(found.clean.mean()),
        "unstable": float(found.unstable.mean()),
        "rows": len(found.clean),
        "accuracy": float((outputs(params, report.X).argmax(axis=1) == report.y).mean()),
        "widths": [len(b) for _, b in params[:-1]],
        "parameters": sum(W.size + b.size for W, b in params),
        "seconds": seconds,
        "versions": versions(("skbandit", "jax", "jaxlib", "numpy", "optax", "scikit-learn")),
        "cpu": cpu_model(),
        "load": os.getloadavg()[0],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def run(out: Path, seeds: Sequence[int], pairs: Sequence[str], minutes: float) -> bool:
    """Append the records that the file lacks; return whether it has all of them now.

    The time limit is kept by not beginning what would take as long as the longest so far.
    """
    done = {key_of(r) for r in read(out) if "error" not in r}
    start, longest = time.perf_counter(), 0.0
    for key, make in cells(seeds, pairs):
        if key in done:
            continue
        begun = time.perf_counter()
        if begun - start + longest > 60 * minutes:
            print(f"time is up before {key}; the same command goes on", flush=True)
            return False
        found = make()
        append(out, found)
        longest = max(longest, time.perf_counter() - begun)
        print(line(found), flush=True)
    return True


def line(record: Record) -> str:
    """Return a record as a line to read."""
    head = f"{record['pair']:24s} seed {record['seed']}  {record['method']:20s} {255 * record['epsilon']:3.0f}/255"
    names = ("clean", "attacked", "certified", "certified_ibp", "unstable")
    return f"{head}  " + "  ".join(f"{name} {record[name]:.3f}" for name in names)


# ---------------------------------------------------------------------- tables


def table(records: Sequence[Record], epsilon: float) -> str:
    """Return a table of means over networks and seeds, in percent, for one epsilon."""
    columns = ("accuracy", "clean", "attacked", "certified", "certified_ibp", "unstable")
    rows = []
    for method in METHODS:
        own = [r for r in records if r["method"] == method and np.isclose(r["epsilon"], epsilon)]
        rows.append([method, *(f"{100 * _mean_over_nets(own, name):.1f}" for name in columns)])
    return markdown(["network", "accuracy", "clean", "attacked", "CROWN", "intervals", "unstable ReLUs"], rows)


def comparison(records: Sequence[Record], epsilon: float, name: str = "certified") -> str:
    """Return a table of gains in points over each control: mean over networks, networks that gain, Wilcoxon's p.

    The p-values are Holm's, over the pruned networks that are compared with a control. ``records`` are `complete`.
    """
    from skbandit import stats

    means = by_net(records, name)
    pairs = list(dict.fromkeys(r["pair"] for r in records))
    rows = [[method] for method in PRUNED]
    for control in CONTROLS if pairs else ():
        scores = np.array([[means[pair, method, epsilon] for method in (control, *PRUNED)] for pair in pairs])
        gains = 100 * (scores[:, 1:] - scores[:, :1])
        tests = stats.wilcoxon_holm(scores, control=0)
        for row, of_method, p in zip(rows, gains.T, tests.p_values[0, 1:], strict=True):
            row += [f"{of_method.mean():+.1f}", f"{(of_method > 0).sum()} / {len(pairs)}", f"{p:.2g}"]
    header = ["network", *(cell for control in CONTROLS for cell in (f"gain over {control}", "networks", "p"))]
    return markdown(header, rows) if pairs else ""


def complete(records: Sequence[Record]) -> list[Record]:
    """Return the records of networks and seeds that have all methods and epsilons."""
    found: dict[tuple[str, int], dict[Key, Record]] = {}
    for r in records:
        if "error" not in r and r["pair"] in NETS:
            found.setdefault((r["pair"], r["seed"]), {})[key_of(r)] = r
    whole = [own for own in found.values() if len(own) == len(METHODS) * len(EPSILONS)]
    return sorted(
        (r for own in whole for r in own.values()),
        key=lambda r: (list(NETS).index(r["pair"]), r["seed"], METHODS.index(r["method"]), r["epsilon"]),
    )


def by_net(records: Sequence[Record], name: str = "certified") -> dict[tuple[str, str, float], float]:
    """Return the mean over seeds, by pair, method and epsilon."""
    found: dict[tuple[str, str, float], list[float]] = {}
    for r in records:
        found.setdefault((r["pair"], r["method"], r["epsilon"]), []).append(r[name])
    return {key: float(np.mean(values)) for key, values in found.items()}


def _mean_over_nets(records: Sequence[Record], name: str) -> float:
    return float(np.mean(list(by_net(records, name).values()))) if records else np.nan


def page(records: Sequence[Record]) -> str:
    """Return the page of the records."""
    seeds = {pair: sorted({r["seed"] for r in records if r["pair"] == pair}) for pair in NETS}
    nets = [[pair, ", ".join(map(str, seeds[pair])) or "-", *_least_and_most(records, pair)] for pair in NETS]
    parts = [
        f"""# Certified accuracy

Made by `python -m benchmarks.evidence.certified --page` of the
[records](../../../benchmarks/records/evidence/certified.jsonl) of `python -m benchmarks.evidence.certified`.

Dense ReLU networks are pruned by half of each hidden layer in one round (`random`, `magnitude`, `activation_variance`,
`stable_units`, `ucb1`, `leave_one_out`) and trained for {FINE_TUNING} epochs. The controls: the network as it was
(`unpruned`), the same after {FINE_TUNING} epochs more (`trained_on`), and one of the pruned shape from scratch, with as
many epochs as the pruned ones had in all (`scratch`). Up to {CERTIFIED_ROWS} rows that nothing else has seen are
certified by CROWN and by interval bounds, and attacked in 20 steps. What is certified is a lower bound of the accuracy
on the worst inputs in the ball; what withstands the attack is an upper bound. Images have inputs in [0, 1]; epsilon on
the standardised tables is in standard deviations.

{markdown(["network", "seeds", "accuracy, unpruned", "accuracy, pruned"], nets)}

All numbers below are in percent: means over seeds first, then over networks. `clean` is the accuracy on the rows that
are certified, `accuracy` that on all rows of the report part. In the second table of each epsilon, gains in certified
accuracy (CROWN) are in points; the p-values are Wilcoxon's signed-rank test over the networks, with Holm's correction
over the six methods. Two networks share each data set and are not independent, so that the p-values are too small.
"""
    ]
    for epsilon in EPSILONS:
        parts += [f"## Epsilon {255 * epsilon:.0f}/255", table(records, epsilon), comparison(records, epsilon)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _least_and_most(records: Sequence[Record], pair: str) -> tuple[str, str]:
    own = [r for r in records if r["pair"] == pair]
    dense = [r["accuracy"] for r in own if r["method"] == "unpruned"]
    pruned = [r["accuracy"] for r in own if r["method"] in PRUNED]
    dense_range, pruned_range = (sorted({f"{100 * a:.1f}" for a in x}, key=float) for x in (dense, pruned))
    return tuple(" to ".join(dict.fromkeys((x[0], x[-1]))) if x else "-" for x in (dense_range, pruned_range))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.certified", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind (default: 3)")
    parser.add_argument("--pairs", nargs="+", default=list(NETS), choices=list(NETS), metavar="NAME")
    parser.add_argument("--time-limit", type=float, default=20, metavar="MINUTES")
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables of what is there")
    parser.add_argument("--page", action="store_true", help=f"run nothing, write {PAGE} of {KEPT_RECORDS}")
    args = parser.parse_args(argv)
    if args.page:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(complete(read(KEPT_RECORDS))), encoding="utf-8")
        return
    if not args.table:
        if not datasets.available():
            raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
        run(args.out, range(args.seeds), args.pairs, args.time_limit)
    records = [r for r in complete(read(args.out)) if r["pair"] in args.pairs]
    for epsilon in EPSILONS:
        print(f"\nepsilon {255 * epsilon:.0f}/255\n\n{table(records, epsilon)}\n\n{comparison(records, epsilon)}")


if __name__ == "__main__":
    main()
