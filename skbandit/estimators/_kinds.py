"""Kinds of values that parameters take, beside numbers and names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Set
from numbers import Integral
from typing import Any

import numpy as np

from skbandit._core.constraints import Number
from skbandit._tabular.features.embeddings import NUMERIC_EMBEDDINGS

AT_LEAST_1 = Number(1, integral=True)


def as_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers; an int stands for one layer."""
    if isinstance(hidden_layer_sizes, Integral):
        return (int(hidden_layer_sizes),)
    return tuple(int(size) for size in hidden_layer_sizes)


def _is_listing(value: Any) -> bool:
    """Say whether a value is a sequence of items: not text, and nothing without an order or that is read only once."""
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping, Set, Iterator)):
        return False
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and getattr(value, "ndim", 1) == 1


def is_sizes(value: Any) -> bool:
    """Say whether a value is the widths of the hidden layers: a positive int, or some in an order."""
    sizes = [value] if isinstance(value, Integral) else list(value) if _is_listing(value) else []
    return len(sizes) > 0 and all(AT_LEAST_1.accepts(size) and not AT_LEAST_1.lost(size, "float64") for size in sizes)


def is_list_of_embeddings(value: Any) -> bool:
    """Say whether a value is a sequence of names of embeddings, with None for none."""
    items = list(value) if _is_listing(value) else []
    return len(items) > 0 and all(
        item is None or (isinstance(item, str) and item in NUMERIC_EMBEDDINGS) for item in items
    )


def as_embeddings(numeric_embedding: Any, n_members: int) -> tuple[str | None, ...]:
    """Return the embedding of each member; they take turns through a sequence."""
    if numeric_embedding is None or isinstance(numeric_embedding, str):
        return (numeric_embedding,) * n_members
    items = [None if item is None else str(item) for item in numeric_embedding]
    return tuple(items[k % len(items)] for k in range(n_members))


def may_name_columns(value: Any) -> bool:
    """Say whether a value may be a mask over columns, their numbers or their names."""
    if not (_is_listing(value) or isinstance(value, Set)):
        return False
    return all(isinstance(item, (bool, np.bool_, Integral, str)) for item in value)


def is_random_state(value: Any) -> bool:
    """Say whether a value is a random state of NumPy's, or the module that has one."""
    return isinstance(value, np.random.RandomState) or value is np.random


def is_place_for_a_cache(value: Any) -> bool:
    """Say whether a value is a path, and may be that of a folder; whether that can be written to, the fit finds out."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        return False
    try:
        return stat.S_ISDIR(os.stat(os.path.expanduser(os.fspath(value))).st_mode)
    except (FileNotFoundError, PermissionError):
        return True
    except (OSError, ValueError):  # below a file; a name that is too long, or holds a NUL
        return False


def has_cache(value: Any) -> bool:
    """Say whether a value has the interface of `joblib.Memory`."""
    return not isinstance(value, type) and callable(getattr(value, "cache", None))


def is_schedule(value: Any) -> bool:
    """Say whether a value can be called with a step number."""
    return callable(value) and not isinstance(value, type)


def is_transformation(value: Any) -> bool:
    """Say whether a value has the interface of an optax transformation; the functions that make one have not."""
    return (
        not isinstance(value, type)
        and callable(getattr(value, "init", None))
        and callable(getattr(value, "update", None))
    )
