"""Host memory: arrays that the device can take over as they are, and a refusal before a sparse table fills it up."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

#: Bytes. A CPU "device" takes over an array that begins at a multiple of this, and copies any other.
ALIGNMENT = 64


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros that begins where JAX need not copy it."""
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    buffer = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    array: np.ndarray = buffer[start : start + n_bytes].view(dtype).reshape(shape)
    return array


def extended(array: np.ndarray, n_rows: int) -> np.ndarray | None:
    """Return the ``n_rows`` rows of which an array holds the first, the rest zeros, where `zeros` made them so.

    It is no copy. None where the array was not cut from one of `zeros`, or something has been written behind it.
    """
    buffer = getattr(array, "base", None)  # an array of another library has none
    if not isinstance(buffer, np.ndarray) or buffer.dtype != np.uint8 or not array.flags.c_contiguous:
        return None
    start, shape = array.ctypes.data - buffer.ctypes.data, (n_rows, *array.shape[1:])
    stop = start + math.prod(shape) * array.dtype.itemsize
    if buffer.ndim != 1 or not buffer.flags.c_contiguous or array.ctypes.data % ALIGNMENT or stop > buffer.size:
        return None
    rows: np.ndarray = buffer[start:stop].view(array.dtype).reshape(shape)
    return None if rows[len(array) :].any() else rows


def require_memory(shape: tuple[int, ...], n_rows: int, dtype: Any) -> None:
    """Raise MemoryError if a sparse table does not fit into memory as a dense one.

    Parameters
    ----------
    shape : tuple (n, n_features)
        Of the table.
    n_rows : int
        Rows of the dense array: those of the table and its padding.
    dtype : dtype
        Of the dense array.
    """
    needed, available = n_rows * shape[1] * np.dtype(dtype).itemsize, available_memory()
    if available is None or needed <= available:
        return
    raise MemoryError(
        f"A network is trained on dense rows: the sparse table of shape {shape} would take {_readable(needed)} as "
        f"{np.dtype(dtype)}, and about {_readable(available)} are available. Give it fewer columns "
        "(sklearn.decomposition.TruncatedSVD, sklearn.feature_selection, 'max_features' of a vectorizer), or fewer "
        "rows at a time (partial_fit)."
    )


def available_memory() -> int | None:
    """Return how many bytes can be had without swapping, within the limit of a container; None where nobody says."""
    found = [limit for limit in (_of_machine(), _of_container()) if limit is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # no Linux: what is installed
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what the second version of control groups leaves; caches of files count as free."""
    try:
        limit, used = ((folder / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        kept = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        return None if limit == "max" else max(int(limit) - int(used) + int(kept.get("inactive_file", 0)), 0)
    except (OSError, ValueError):
        return None


def _readable(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
