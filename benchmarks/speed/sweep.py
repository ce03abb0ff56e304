r"""All arms of one mini-batch: our evaluator against gated forward passes.

Both sides are jitted and get the same arrays, on the device already; both return the paired damage of every unit.
Before anything is timed, ours must agree to 1e-4 of the largest damage with the definition, one masked forward pass per
unit, in float64. (In float32 the definition is a difference of two rounded losses, and is not that exact itself: the
note gives the error of both.) The peer is what one would write first: ``vmap`` over all arms
of the whole network with one gate at 0. As information, the same in tiles of 8 arms, whose intermediates stay in cache.

Operations that our algorithm needs, with ``w`` the widths from inputs to outputs and ``n`` rows, in multiply-adds:

    n · ( Σ_i w[i] w[i+1]                                     one forward pass, shared
        + Σ_l w[l] · ( w[l+1] + Σ_{i>l} w[i] w[i+1] ) )       per arm: rank-one update, and the layers above it

The roofline is twice that over the measured rate of a matrix product, or the bytes that must move at least (parameters,
rows, one number per unit: the intermediates of a tile may stay in cache) over the measured bandwidth, whichever is
longer. Where a network has one output, most of the work is updates and matrix-vector products, which no machine does at
the rate of a matrix product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common.timing import interleave
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.models import sweep_macs
from skbandit._tabular.network.mlp import MLP
from skbandit.networks import Prunable

Vectors = tuple[jax.Array, ...]

FEATURES, ROWS, WIDTH = 20, 256, 256
#: Hidden layers and how many times faster we want to be, squared error.
TARGETS = {1: 40, 2: 25, 3: 8}
TOLERANCE = 1e-4


def run(options: Options) -> Output:
    width, rows = (16, 32) if options.quick else (WIDTH, ROWS)
    for depth, target in {2: TARGETS[2]}.items() if options.quick else TARGETS.items():
        yield from compare(options, (FEATURES, *[width] * depth, 1), "squared_error", rows, target)
    for depth in () if options.quick else TARGETS:
        yield from compare(options, (FEATURES, *[width] * depth, 10), "log_loss", rows, None)


def compare(
    options: Options, sizes: tuple[int, ...], loss: str, rows: int, target: float | None
) -> Iterator[Row | str]:
    network = MLP(sizes, "relu", loss)
    arguments = problem(network, rows)
    units = network.groups.n_units
    sides = {
        "ours": evaluator(network.damages, arguments),
        "all": evaluator(functools.partial(by_masking, network, tile=units), arguments),
        "tiles": evaluator(functools.partial(by_masking, network, tile=8), arguments),
    }
    exact = exact_damages(network, arguments)
    errors = {name: np.abs(np.asarray(side()) - exact).max() / np.abs(exact).max() for name, side in sides.items()}
    assert errors["ours"] < TOLERANCE, f"ours is wrong by {errors['ours']:.1e} of the largest damage"
    seconds = interleave(sides, options.repeats, warm_up=1 if options.quick else 2, at_least=0.02)
    case = f"{len(sizes) - 2}x{sizes[1]} {loss}"
    n_bytes = sum(a.nbytes for a in jax.tree.leaves(arguments)) + 4 * units
    yield Row(
        case,
        seconds["ours"],
        seconds["all"],
        "vmap over all arms",
        target,
        roofline=options.machine.roofline(2 * sweep_macs(sizes, rows), n_bytes),
        note="largest error, in largest damages: ours {ours:.0e}, peer {all:.0e}".format(**errors),
    )
    yield Row(f"{case}, tiled peer", seconds["ours"], seconds["tiles"], "vmap over 8 arms at a time")


def problem(network: MLP, rows: int) -> tuple[Any, ...]:
    """Arguments of ``damages``, on the device: a new network, random rows, all units on, masked ones at their mean."""
    rng = np.random.RandomState(0)
    sizes = network.layer_sizes
    params = []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(6 / (fan_in + fan_out))  # Glorot's
        W, b = rng.uniform(-bound, bound, (fan_in, fan_out)), rng.uniform(-bound, bound, fan_out)
        params.append((W.astype(np.float32), b.astype(np.float32)))
    X = rng.normal(size=(rows, sizes[0])).astype(np.float32)
    y = rng.randint(sizes[-1], size=(rows, 1)) if network.loss == "log_loss" else rng.normal(size=(rows, sizes[-1]))
    gates = tuple(np.ones(width, np.float32) for width in sizes[1:-1])
    emissions = tuple(np.asarray(h).mean(axis=0) for h in network.activations(tuple(params), gates, X))
    weight = np.full(rows, 1 / rows, np.float32)  # the evaluator wants them to sum to 1
    arms = np.ones(network.groups.n_units, bool)
    return jax.device_put((tuple(params), gates, emissions, X, y.astype(np.float32), weight, arms))


def by_masking(
    network: Prunable,
    params: Any,
    gates: Vectors,
    emissions: Vectors,
    X: jax.Array,
    y: jax.Array,
    weight: jax.Array,
    arms: jax.Array,
    tile: int,
) -> jax.Array:
    """The definition: the loss with a unit masked, minus the loss without; ``tile`` units at a time."""
    base = network.batch_loss(params, gates, emissions, X, y, weight)
    damages = []
    for g, gate in enumerate(gates):

        def one(unit: jax.Array, g: int = g) -> jax.Array:
            masked = (*gates[:g], gates[g].at[unit].set(0), *gates[g + 1 :])
            return network.batch_loss(params, masked, emissions, X, y, weight) - base

        damages.append(jax.lax.map(one, jnp.arange(gate.size), batch_size=min(tile, gate.size)))
    return jnp.where(arms, jnp.concatenate(damages), 0)


def exact_damages(network: MLP, arguments: tuple[Any, ...]) -> np.ndarray:
    """The definition, in float64."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a if a.dtype == bool else np.asarray(a, np.float64), arguments)
        return np.asarray(jax.jit(functools.partial(by_masking, network, tile=8))(*wide))


def evaluator(function: Callable[..., jnp.ndarray], arguments: tuple[Any, ...]) -> Callable[[], jnp.ndarray]:
    """Jit, bind the arguments, and wait for the result."""
    compiled = jax.jit(function)
    return lambda: compiled(*arguments).block_until_ready()
