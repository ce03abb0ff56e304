"""Trained parameters, kept beside the source that trained them, so that a benchmark can be repeated.

They are ``.npz`` files in the folder ``SKBANDIT_CACHE``, by default one for temporary files. A file is named after the
text of the module that trains, and of `benchmarks.deep.data`, or by the caller: what another text trained is not read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.deep import data

FOLDER = Path(os.environ.get("SKBANDIT_CACHE", Path(tempfile.gettempdir()) / "skbandit-benchmarks"))


class Trained(NamedTuple):
    """A tree of arrays, and the seconds that training it took."""

    tree: Any
    seconds: float


def trained(source: str, train: Callable[[], Any], like: Any) -> Trained:
    """Return what ``train`` returns, from a file if the same source has trained it before.

    Parameters
    ----------
    source : str
        Path of the module that trains: its ``__file__``.
    train : callable () → pytree of arrays
    like : pytree
        A tree of the same structure.
    """
    texts = Path(source).read_bytes() + Path(data.__file__).read_bytes()
    return named(f"{Path(source).stem}-{hashlib.sha256(texts).hexdigest()[:12]}", train, like)


def named(name: str, train: Callable[[], Any], like: Any) -> Trained:
    """Return what ``train`` returns, from the file of this name if there is one."""
    leaves, structure = jax.tree.flatten(like)
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        start = time.perf_counter()
        arrays = jax.tree.map(np.asarray, jax.tree.leaves(train()))
        seconds = time.perf_counter() - start
        FOLDER.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(beside, *arrays, seconds=seconds)
        os.replace(beside, path)  # whole, or not there
    with np.load(path) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(leaves))]
        return Trained(jax.tree.unflatten(structure, arrays), float(file["seconds"]))
