"""What the machine is, and what is installed on it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Sequence
from pathlib import Path


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
    import scipy.linalg  # noqa: F401  (its BLAS is another one than NumPy's; loaded, so that its threads are counted)
    from threadpoolctl import threadpool_info

    found = {"cores": n_cores()}
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            library = "scipy" if "scipy.libs" in pool["filepath"] else "numpy"
            found[f"BLAS of {library}"] = pool["num_threads"]
    if missing("torch") is None:
        import torch

        found["torch"] = torch.get_num_threads()
    return found


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def missing(*modules: str) -> str | None:
    """Say which of the modules are not installed; None if all are."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    return f"skipped: {', '.join(absent)} not installed" if absent else None
