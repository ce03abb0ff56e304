"""What the machine could do at best: its measured rates, and the least time that work takes at them."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from benchmarks.common.machine import cpu_model, threads, versions
from benchmarks.speed import children
from benchmarks.speed.processes import call_in_process
from benchmarks.speed.rates import copy_bandwidth, matmul_rates

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
        alone = call_in_process(children.one_core_rates, size=size)
        rates |= {f"{name}, one core": rate for name, rate in alone.items()}
    description = {"cpu": cpu_model(), "threads": threads(), "versions": versions(PACKAGES), "load": load}
    return Machine(max(rates.values()), copy_bandwidth(2**22 if quick else 2**28), rates, description)
