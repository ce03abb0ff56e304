"""The rates that rooflines are drawn from, measured and not looked up."""

from __future__ import annotations

import numpy as np

from benchmarks.common.timing import best_of


def matmul_rates(size: int) -> dict[str, float]:
    """FLOP/s of a float32 product of two square matrices, best of five, by library."""
    import jax

    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    on_device = jax.device_put(a)
    product = jax.jit(lambda m: m @ m)
    functions = {"NumPy": lambda: a @ a, "JAX": lambda: product(on_device).block_until_ready()}
    return {name: 2 * size**3 / best_of(function) for name, function in functions.items()}


def copy_bandwidth(n_bytes: int) -> float:
    """Bytes per second, reading and writing both counted."""
    source = np.ones(n_bytes // 8)
    target = np.empty_like(source)
    return 2 * n_bytes / best_of(lambda: np.copyto(target, source))
