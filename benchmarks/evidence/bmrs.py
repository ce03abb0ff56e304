"""The experiment of BMRS (arXiv 2406.01345) at our size: ``python -m benchmarks.evidence.bmrs``.

The paper trains LeNet-5 with noise on MNIST and Fashion-MNIST and removes the units that Bayesian model reduction
names, with no ratio to set. Its table 1 gives the share of parameters removed and the accuracy. Here the same network
is trained on 8 000 rows (MNIST) or 10 000. The noise model is trained for fewer steps at a higher rate and judged once,
not after every epoch, and what is left is trained on without noise. Beside it: the network as it was, magnitude with as
many units removed as by `bmrs_n`, and the shape that `bmrs_n` came to, trained from scratch.

The paper's criteria: ``bmrs_n`` with the constant of the authors' code (which its figures come from) and with that of
its equation 8, ``bmrs_u`` with p = 8 and 4, and a signal-to-noise ratio below 1.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.common import datasets
from benchmarks.common.machine import cpu_model, versions
from benchmarks.common.records import NEW, Record, append, read
from benchmarks.common.tables import markdown
from benchmarks.deep import data
from benchmarks.evidence.certified import Rows, mnist
from skbandit import prune
from skbandit.criteria import BMRSNormal, BMRSUniform, Criterion, SignalToNoise
from skbandit.networks import GatedNetwork, Group, Groups, Slice

Params = dict[str, dict[str, Any]]
Vectors = tuple[jax.Array, ...]

OUT = NEW / "bmrs.jsonl"
SETS = ("mnist10k", "fashion_mnist20k")
WIDTHS = {"conv1": 6, "conv2": 16, "dense1": 120, "dense2": 84}
N_CLASSES = 10
BATCH, RATE, EPOCHS, FINE_TUNING = 64, 2e-3, 10, 3
#: Steps of the noise model; the paper's are 18 750 and 75 000, at a tenth of the rate of the noise.
STEPS = 3000


def criteria(n_steps: int) -> dict[str, Criterion]:
    """Return the criteria by the names of the records."""
    return {
        "bmrs_n": BMRSNormal(n_steps=n_steps),
        "bmrs_n, equation 8": BMRSNormal(n_steps=n_steps, offset=0.0),
        "bmrs_u, 8": BMRSUniform(n_steps=n_steps),
        "bmrs_u, 4": BMRSUniform(n_steps=n_steps, bits=4.0),
        "snr": SignalToNoise(n_steps=n_steps),
    }


METHODS = ("unpruned", *criteria(1), "magnitude", "scratch")
#: Table 1 of the paper, LeNet-5: share of parameters removed and accuracy, both in percent, means of ten runs.
PAPER = {
    "mnist10k": {
        "unpruned": (0.0, 99.07),
        "magnitude": (83.42, 11.35),
        "snr": (92.66, 62.70),
        "bmrs_n": (86.90, 95.59),
        "bmrs_u, 8": (86.11, 95.27),
        "bmrs_u, 4": (87.58, 96.66),
    },
    "fashion_mnist20k": {
        "unpruned": (0.0, 89.16),
        "magnitude": (83.62, 10.00),
        "snr": (98.47, 17.01),
        "bmrs_n": (88.02, 77.90),
        "bmrs_u, 8": (87.61, 77.23),
        "bmrs_u, 4": (88.72, 81.10),
    },
}

ABOUT = """\
LeNet-5 as in the paper of BMRS ([arXiv 2406.01345](https://arxiv.org/abs/2406.01345), its table 1): units leave where
Bayesian model reduction says so, and no ratio is set (`python -m benchmarks.evidence.bmrs`). The paper has 60 000 rows,
trains the noise model for 50 epochs (18 750 and 75 000 steps), removes units after each of them, and trains what is
left for 10 more. Here there are fewer rows and steps, at a higher rate, one decision at the end, and 3 epochs without
noise afterwards: *trained on* is nearest to the paper's accuracy. `magnitude` removes as many units as `bmrs_n` has,
`scratch` is the shape that `bmrs_n` came to with new weights."""

# ---------------------------------------------------------------------- the network


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve images by one product of shifted copies: on a CPU the gradient is many times faster so."""
    height, width, *channels = kernel.shape
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    copies = [x[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
    return jnp.concatenate(copies, axis=-1) @ kernel.reshape(height * width * channels[0], channels[1])


def pool(x: jax.Array) -> jax.Array:
    """Return the maxima of squares of 2 by 2."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def apply(params: Params, gates: Vectors, x: jax.Array) -> jax.Array:
    """Return logits f[n, 10] of images f[n, 28, 28, 1]; gates are vectors, or have a row for each image."""
    for name, gate in zip(("conv1", "conv2"), gates, strict=False):
        x = pool(jax.nn.relu(convolve(x, params[name]["kernel"]) + params[name]["bias"]))
        x = x * (gate if gate.ndim == 1 else gate[:, None, None])
    x = x.reshape(len(x), -1)
    for name, gate in zip(("dense1", "dense2"), gates[2:], strict=True):
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"]) * gate
    return x @ params["head"]["kernel"] + params["head"]["bias"]


def batch_loss(params: Params, gates: Vectors, X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Return the weighted mean cross-entropy."""
    return jnp.sum(weight * optax.softmax_cross_entropy_with_integer_labels(apply(params, gates, X), y))


def shapes(widths: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the kernels."""
    a, b, c, d = widths.values()
    sizes = {"conv1": (5, 5, 1, a), "conv2": (5, 5, a, b), "dense1": (16 * b, c), "dense2": (c, d)}
    return sizes | {"head": (d, N_CLASSES)}


def draw(seed: int, widths: dict[str, int]) -> Params:
    """Draw parameters with He's variance."""
    rng = np.random.default_rng([seed, 1])
    return {
        name: {
            "kernel": rng.normal(scale=np.sqrt(2 / np.prod(shape[:-1])), size=shape).astype(np.float32),
            "bias": np.zeros(shape[-1], np.float32),
        }
        for name, shape in shapes(widths).items()
    }


def _groups() -> Groups:
    at_dense = np.tile(np.arange(WIDTHS["conv2"]), 16)  # 4 by 4 positions, filters last
    readers = {"conv1": ("conv2", 2, None), "conv2": ("dense1", 0, at_dense)}
    readers |= {"dense1": ("dense2", 0, None), "dense2": ("head", 0, None)}
    return Groups(
        [
            Group(
                name,
                size,
                incoming=[Slice((name, "kernel"), len(shapes(WIDTHS)[name]) - 1), Slice((name, "bias"), 0)],
                outgoing=[Slice((readers[name][0], "kernel"), *readers[name][1:])],
            )
            for name, size in WIDTHS.items()
        ]
    )


NETWORK = GatedNetwork(batch_loss, _groups(), gates_by_row=True)

# ---------------------------------------------------------------------- training


def widths_of(params: Params) -> dict[str, int]:
    """Return the units of each layer."""
    return {name: len(params[name]["bias"]) for name in WIDTHS}


def _all_on(params: Params) -> Vectors:
    return tuple(jnp.ones(n) for n in widths_of(params).values())


@functools.lru_cache
def _optimizer(n_steps: int, rate: float) -> optax.GradientTransformation:
    return optax.adamw(optax.cosine_decay_schedule(rate, n_steps), weight_decay=1e-3)


@functools.partial(jax.jit, static_argnums=(5, 6))
def _step(params: Params, state: Any, X: jax.Array, y: jax.Array, rows: jax.Array, n_steps: int, rate: float) -> Any:
    weight = jnp.full(BATCH, 1 / BATCH)
    gradient = jax.grad(lambda p: batch_loss(p, _all_on(p), X[rows], y[rows], weight))(params)
    updates, state = _optimizer(n_steps, rate).update(gradient, state, params)
    return optax.apply_updates(params, updates), state


def train(params: Params, rows: Rows, epochs: int, rate: float, seed: int) -> Params:
    """Train with AdamW, at a rate that falls to zero."""
    n_steps = len(rows.y) // BATCH * epochs
    params = jax.tree.map(jnp.asarray, params)
    state, X, y = _optimizer(n_steps, rate).init(params), jnp.asarray(rows.X), jnp.asarray(rows.y)
    rng = np.random.default_rng([seed, 3])
    for _ in range(epochs):
        for batch in data.batches(rng, len(rows.y), BATCH):
            params, state = _step(params, state, X, y, batch, n_steps, rate)
    return jax.tree.map(np.asarray, params)


def accuracy(params: Params, rows: Rows) -> float:
    """Return the share of right classes."""
    right = 0
    for first in range(0, len(rows.y), 1000):
        logits = jax.jit(apply)(params, _all_on(params), rows.X[first : first + 1000])
        right += int((np.asarray(logits).argmax(axis=1) == rows.y[first : first + 1000]).sum())
    return right / len(rows.y)


def size(params: Params) -> int:
    """Return the number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


# ---------------------------------------------------------------------- what is compared


class Split(NamedTuple):
    """Rows to train on, and to score."""

    train: Rows
    report: Rows


def split_of(name: str, seed: int) -> Split:
    """Read a set; images are f32[n, 28, 28, 1]."""
    if name == "mnist10k":
        X, y = mnist("images").astype(np.float32)[..., None] / 255, mnist("labels").astype(np.int32)
        order = np.random.default_rng([seed, 2]).permutation(len(y))
        return Split(*(Rows(X[rows], y[rows]) for rows in (order[2000:], order[:2000])))
    found = data.images(name)
    return Split(Rows(found.X_train, found.y_train), Rows(found.X_test, found.y_test))


def key_of(record: Record) -> tuple[Any, ...]:
    """What tells one record from another."""
    return record["data"], record["seed"], record["method"], record["steps"]


def run(name: str, seed: int, n_steps: int, done: Sequence[tuple[Any, ...]] = ()) -> Iterator[Record]:
    """Yield the records that are not done; criteria come before the controls that need their ratio."""
    todo = [method for method in METHODS if (name, seed, method, n_steps) not in done]
    if not todo:
        return
    split = split_of(name, seed)
    dense = train(draw(seed, WIDTHS), split.train, EPOCHS, RATE, seed)
    reached: dict[str, int] = {}
    for method in METHODS:
        if method not in todo and not (method == "bmrs_n" and {"magnitude", "scratch"} & set(todo)):
            continue
        start = time.perf_counter()
        params = dense
        if method == "scratch":
            params = draw(seed, reached)
        elif method != "unpruned":
            params = removed(method, dense, split.train, seed, n_steps, reached)
        raw = accuracy(params, split.report)
        if method == "bmrs_n":
            reached = widths_of(params)
        epochs, rate = (EPOCHS + FINE_TUNING, RATE) if method == "scratch" else (FINE_TUNING, RATE / 2)
        tuned = accuracy(train(params, split.train, epochs, rate, seed + 1), split.report)
        if method in todo:
            yield {
                "kind": "bmrs",
                "data": name,
                "architecture": "lenet5",
                "seed": seed,
                "method": method,
                "steps": n_steps,
                "accuracy_raw": None if method == "scratch" else raw,
                "accuracy": tuned,
                "compression": 1 - size(params) / size(dense),
                "parameters": size(params),
                "widths": widths_of(params),
                "rows": len(split.train.y),
                "seconds": time.perf_counter() - start,
                "versions": versions(("skbandit", "jax", "jaxlib", "numpy", "optax")),
                "cpu": cpu_model(),
                "load": os.getloadavg()[0],
                "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            }


def removed(method: str, params: Params, rows: Rows, seed: int, n_steps: int, reached: dict[str, int]) -> Params:
    """Remove the set that a criterion names; by magnitude as many units as ``bmrs_n`` has removed."""
    policy: Any = criteria(n_steps).get(method, method)
    total = sum(WIDTHS.values())
    ratio: Any = "auto" if method in criteria(1) else (total - sum(reached.values())) / total
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where a criterion suggests no unit
        result = prune(
            NETWORK,
            params,
            *rows,
            policy=policy,
            pruning_ratio=ratio,
            scope="global",
            n_rounds=1,
            batch_size=BATCH,
            random_state=seed,
        )
    return result.params


def line(record: Record) -> str:
    """Return a record as a line to read."""
    head = f"{record['data']:18s} seed {record['seed']}  {record['method']:20s}"
    numbers = f"accuracy {record['accuracy']:.4f}  removed {record['compression']:.3f}  {record['seconds']:.0f} s"
    return f"{head} {numbers}  {list(record['widths'].values())}"


def table(records: Sequence[Record], name: str) -> str:
    """Return a table of one data set: ours, means over seeds, and the paper's."""
    rows = []
    for method in METHODS:
        own = [r for r in records if (r["data"], r["method"]) == (name, method)]
        cells = ["-"] * 3
        if own:
            raw = [r["accuracy_raw"] for r in own if r["accuracy_raw"] is not None]
            means = [np.mean([r["compression"] for r in own]), np.mean(raw) if raw else np.nan]
            means.append(np.mean([r["accuracy"] for r in own]))
            cells = ["-" if np.isnan(value) else f"{100 * value:.1f}" for value in means]
        published = PAPER[name].get(method)
        rows.append([method, *cells, *(["-"] * 2 if published is None else [f"{value:.1f}" for value in published])])
    header = ["LeNet-5", "parameters removed, %", "accuracy, raw", "accuracy, trained on"]
    return markdown([*header, "paper: removed, %", "paper: accuracy"], rows)


def section(records: Sequence[Record]) -> str:
    """Return the text of the report: a table of each data set; an empty text without records."""
    parts = []
    last = {key_of(r): r for r in records}.values()
    for name, steps in sorted({(r["data"], r["steps"]) for r in last}, key=lambda of: (SETS.index(of[0]), of[1])):
        own = [r for r in last if (r["data"], r["steps"]) == (name, steps)]
        by_method = [{r["seed"] for r in own if r["method"] == method} for method in {r["method"] for r in own}]
        seeds = sorted(set.intersection(*by_method))  # a mean over others would be one of other networks
        own = [r for r in own if r["seed"] in seeds]
        if own:
            head = f"### {name}: {own[0]['rows']} rows to train on, {steps} steps of the noise model"
            parts += [head, f"Seeds: {', '.join(map(str, seeds))}.", table(own, name)]
    if not parts:
        return ""
    return "\n\n".join([ABOUT, *parts])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.bmrs", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="SET")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the noise model (default: {STEPS})")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl")
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables of what is there")
    args = parser.parse_args(argv)
    if not args.table:
        if not datasets.available():
            raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
        for seed in range(args.seeds):
            for name in args.sets:
                for record in run(name, seed, args.steps, [key_of(r) for r in read(args.out)]):
                    append(args.out, record)
                    print(line(record), flush=True)
    records = [r for r in read(args.out) if r["steps"] == args.steps]
    for name in args.sets:
        print(f"\n{name}\n\n{table(records, name)}")


if __name__ == "__main__":
    main()
