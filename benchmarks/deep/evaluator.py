"""All arms of a layer: the evaluator of a traced function against one ``vmap`` of the whole gated forward pass.

``python -m benchmarks.deep evaluator``: a convolutional network (16 x 16 pictures, batch 32, three convolutions and two
dense layers) and a transformer (two blocks of width 64, 16 texts of 24 tokens), with random weights: the time does not
depend on them. The networks take turns in one process; medians.

- *naive*: every unit of the network in one vector of gates, tiles of 8 arms under ``vmap``: the whole network is
  evaluated for each arm.
- *evaluator*: `skbandit.networks.TracedNetwork.damages`.

The least that an evaluator has to compute is one forward pass, and what lies behind each arm. The share of the roofline
is what the products of that take at the machine's measured rate of matrix products, over the measured time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common.machine import cpu_model, n_cores
from benchmarks.common.records import KEPT, Record
from benchmarks.common.tables import markdown, number
from benchmarks.common.timing import interleave
from benchmarks.speed.rates import matmul_rates
from skbandit.networks import TracedNetwork, infer_groups

OUT = KEPT / "deep" / "evaluator.jsonl"
PAGE = Path("docs/results/deep/evaluator.md")
REPEATS = 7
TILE = 8


class Case(NamedTuple):
    """A network and a mini-batch."""

    apply: Any
    params: Any
    X: Any


def draw(rng: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(rng.normal(size=shape) * np.sqrt(2 / max(int(np.prod(shape[:-1])), 1)), jnp.float32)


def convolutional() -> Case:
    """Return the convolutional network."""
    rng = np.random.default_rng(0)
    params = {
        **{"conv1": draw(rng, 3, 3, 1, 16), "conv2": draw(rng, 3, 3, 16, 32), "conv3": draw(rng, 3, 3, 32, 32)},
        **{"dense": draw(rng, 512, 64), "out": draw(rng, 64, 10)},
    }

    def apply(p: Any, x: Any) -> Any:
        for name in ("conv1", "conv2", "conv3"):
            numbers = ("NHWC", "HWIO", "NHWC")
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, p[name], (1, 1), "SAME", dimension_numbers=numbers))
            if name != "conv3":
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return jax.nn.relu(x.reshape(x.shape[0], -1) @ p["dense"]) @ p["out"]

    return Case(apply, params, draw(rng, 32, 16, 16, 1))


def transformer(width: int = 64, heads: int = 8, hidden: int = 128, length: int = 24, rows: int = 16) -> Case:
    """Return the transformer."""
    rng = np.random.default_rng(0)

    def block() -> dict[str, jax.Array]:
        shapes = dict.fromkeys(("query", "key", "value", "out"), (width, width))
        shapes |= {"up": (width, hidden), "down": (hidden, width)}
        return {name: draw(rng, *shape) for name, shape in shapes.items()}

    params = {
        **{"embedding": draw(rng, 50, width), "position": draw(rng, length, width)},
        **{"block1": block(), "block2": block(), "head": draw(rng, width, 5)},
    }

    def normalized(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-5)

    def apply(p: Any, x: Any) -> Any:
        h = p["embedding"][x] + p["position"]
        for b in (p["block1"], p["block2"]):
            y = normalized(h)
            q, k, v = ((y @ b[name]).reshape(*y.shape[:2], heads, -1) for name in ("query", "key", "value"))
            weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", q, k) / np.sqrt(width // heads))
            h = h + jnp.einsum("bhst,bthd->bshd", weights, v).reshape(h.shape) @ b["out"]
            h = h + jax.nn.gelu(normalized(h) @ b["up"]) @ b["down"]
        return normalized(h).mean(1) @ p["head"]

    return Case(apply, params, jnp.asarray(rng.integers(0, 50, size=(rows, length)), jnp.int32))


CASES = {"convolutional": convolutional, "transformer": transformer}


def cross_entropy(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Return the loss of each row."""
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], 1)[:, 0]


def key(record: Record) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    return record["network"], record["group"]


def run(names: Sequence[str] = ()) -> Iterator[Record]:
    """Measure each group of the networks that are named, then all groups together."""
    rates = matmul_rates(512)
    common = {"cpu": cpu_model(), "cores": n_cores(), "jax": jax.__version__, "gflops": max(rates.values()) / 1e9}
    for name, make in CASES.items():
        if not names or name in names:
            for record in measure(make(), common["gflops"]):
                yield {"network": name} | record | common


def measure(case: Case, gflops: float) -> Iterator[Record]:
    """Yield a record for each group, and one for all."""
    groups = infer_groups(*case)
    network = TracedNetwork.of(case.apply, groups, cross_entropy, case.params, case.X)
    n = case.X.shape[0]
    y, weight = jnp.arange(n) % 5, jnp.full(n, 1 / n)
    gates = tuple(jnp.ones(size) for size in groups.sizes)
    zeros = tuple(map(jnp.zeros_like, gates))
    rows = case.X, y, weight

    @jax.jit
    def evaluator(params: Any, arms: Any) -> Any:
        return network.damages(params, gates, zeros, *rows, arms)

    @jax.jit
    def naive(params: Any, units: Any) -> Any:
        flat = jnp.concatenate(gates)
        base = network.batch_loss(params, gates, zeros, *rows)

        def one(unit: Any) -> Any:
            return network.batch_loss(params, groups.split(flat.at[unit].set(0)), zeros, *rows) - base

        return jax.lax.map(one, units, batch_size=TILE)

    @jax.jit
    def forward(params: Any) -> Any:
        return network.batch_loss(params, gates, zeros, *rows)

    for g, name in [*enumerate(group.name for group in groups.groups), (None, "all")]:
        mine = np.ones(groups.n_units, bool) if g is None else groups.group_of() == g
        arms, units = jnp.asarray(mine), jnp.asarray(np.flatnonzero(mine))
        functions = {
            "naive": lambda units=units: naive(case.params, units).block_until_ready(),
            "evaluator": lambda arms=arms: evaluator(case.params, arms).block_until_ready(),
            "forward": lambda: forward(case.params).block_until_ready(),
        }
        apart = float(jnp.abs(naive(case.params, units) - evaluator(case.params, arms)[units]).max())
        seconds = {who: float(np.median(times)) for who, times in interleave(functions, REPEATS).items()}
        n_units = int(mine.sum())
        least = 2 * n * network.n_macs(groups.sizes) / (gflops * 1e9)
        yield {
            "group": name,
            "units": n_units,
            "seconds": seconds,
            "ratio": seconds["naive"] / seconds["evaluator"],
            "pulls_per_second": n_units / seconds["evaluator"],
            "forward_passes": seconds["evaluator"] / seconds["forward"],
            "roofline_of_forward": least / seconds["forward"],
            "difference": apart,
        }


def line(record: Record) -> str:
    """Return a record as a line to read."""
    seconds = record["seconds"]
    return (
        f"{record['network']:14s} {record['group']:16s} {record['units']:4d} units  "
        f"naive {seconds['naive'] * 1e3:7.1f} ms  evaluator {seconds['evaluator'] * 1e3:6.1f} ms  "
        f"{record['ratio']:5.1f}x  {record['pulls_per_second']:8.0f} pulls/s  "
        f"= {record['forward_passes']:.1f} forward passes  "
        f"differ by {record['difference']:.0e}"
    )


def page(records: Sequence[Record]) -> str:
    """Return the page of the records."""
    rows = [
        [
            *(r["network"], r["group"], str(r["units"]), number(r["seconds"]["naive"] * 1e3)),
            *(number(r["seconds"]["evaluator"] * 1e3), f"{r['ratio']:.1f}", f"{r['pulls_per_second']:.0f}"),
            *(f"{r['forward_passes']:.1f}", f"{r['difference']:.0e}"),
        ]
        for r in records
    ]
    heading = ["network", "group", "units", "naive, ms", "evaluator, ms", "ratio", "pulls/s", "forwards", "differ by"]
    first = records[0]
    shares = ", ".join(
        f"{share} ({name})"
        for name, share in {r["network"]: f"{r['roofline_of_forward']:.0%}" for r in records}.items()
    )
    return f"""# All arms of a layer

Made by `python -m benchmarks.deep report` of the [records](../../../benchmarks/records/deep/evaluator.jsonl) of
`python -m benchmarks.deep evaluator`.

A convolutional network (16 x 16 pictures, 32 rows, three convolutions and two dense layers) and a transformer (two
blocks of width 64, 16 texts of 24 tokens). *naive*: the whole network for each arm, tiles of {TILE} arms under `vmap`.
*evaluator*: `skbandit.networks.TracedNetwork.damages`, which computes once what lies before a group, takes a unit out
of a product by subtracting its term, and evaluates for each arm only what lies behind. Medians of {REPEATS} timings, in
turn.

{markdown(heading, rows)}

*forwards*: time of the evaluator in gated forward passes. The first groups of a network, and the residual stream, gain
little: nearly everything lies behind them. One gated forward pass runs at {shares}
of the measured rate of matrix products, {first["gflops"]:.0f} GFLOP/s in float32. Other work ran on the machine, which
has {first["cores"]} cores ({first["cpu"]}, JAX {first["jax"]}).
"""
