"""The machine: what it is, and the rates that rooflines are drawn from, measured and not looked up."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  (its BLAS is another one than NumPy's; loaded, so that its threads are counted)
from threadpoolctl import threadpool_info

from benchmarks.speed.measure import best_of, call_in_process, missing

PACKAGES = ("skbandit", "jax", "jaxlib", "optax", "numpy", "scipy", "scikit-learn", "torch", "torch-pruning")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Rates in float32, and descriptions for the records."""

    flops: float
    """Floating-point operations per second of a matrix product, the best of NumPy and JAX on all cores."""
    copy_bandwidth: float
    """Bytes read plus bytes written per second of copying an array that no cache holds."""
    rates: dict[str, float]
    """FLOP/s by library and number of cores."""
    description: dict[str, Any]

    def roofline(self, flops: float, n_bytes: float = 0.0) -> float:
        """Seconds that work of so many operations and bytes takes at least, at the measured rates."""
        return max(flops / self.flops, n_bytes / self.copy_bandwidth)

    def _busy(self) -> str:
        """A warning if others were computing when we came."""
        load = self.description["load"]
        if load is None or load < 0.5:
            return ""
        return f"\nWARNING: load average {load:.1f} at the start: if others compute here, ratios will be off"

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in self.rates.items())
        threads = ", ".join(f"{name} {n}" for name, n in self.description["threads"].items())
        versions = ", ".join(f"{name} {version}" for name, version in self.description["versions"].items())
        return (
            f"machine: {self.description['cpu']}; matrix product float32 in GFLOP/s: {rates}; "
            f"copy {self.copy_bandwidth / 1e9:.1f} GB/s (read + written)\nthreads: {threads}\nversions: {versions}"
            f"{self._busy()}"
        )


def measure_machine(quick: bool) -> Machine:
    """Measure the rates (a few seconds); with ``quick``, on small arrays and all cores only."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    size = 256 if quick else 1024
    rates = {f"{name}, all cores": rate for name, rate in matmul_rates(size).items()}
    if not quick and hasattr(os, "sched_setaffinity"):
        alone = call_in_process("one_core_rates", size=size)
        rates |= {f"{name}, one core": rate for name, rate in alone.items()}
    description = {"cpu": cpu_model(), "threads": threads(), "versions": versions(), "load": load}
    return Machine(max(rates.values()), copy_bandwidth(2**22 if quick else 2**28), rates, description)


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


def cpu_model() -> str:
    """The processor's name, or its architecture where the system does not say."""
    with_names = Path("/proc/cpuinfo")
    if with_names.exists():
        for line in with_names.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> dict[str, int]:
    """Threads that each library takes: nobody's are changed."""
    found = {"cores": n_cores()}
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            library = "scipy" if "scipy.libs" in pool["filepath"] else "numpy"
            found[f"BLAS of {library}"] = pool["num_threads"]
    if missing("torch") is None:
        import torch

        found["torch"] = torch.get_num_threads()
    return found


def versions() -> dict[str, str]:
    """Versions of what is compared."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
