"""The arguments of `skbandit.prune` and `skbandit.rank_units`, checked and converted."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import numpy as np
from sklearn.utils import check_random_state

from skbandit._core.rows import Batches
from skbandit.networks.capabilities import PRUNABLE, Prunable, offers

Params = Any


def checked_network(owner: str, network: Any) -> None:
    """Raise ValueError if ``network`` cannot be pruned; ``owner`` is the function that was given it."""
    if not offers(network, PRUNABLE):
        raise ValueError(
            f"The 'network' parameter of {owner} must have 'groups' and 'batch_loss', as a GatedNetwork has. "
            f"Got {network!r} instead."
        )


def checked_params(network: Prunable, params: Params) -> Params:
    """Return the parameters on the host, floats as float32; raise ValueError if the groups do not fit them."""

    def to_host(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        return np.asarray(array, "float32") if np.issubdtype(array.dtype, np.floating) else array

    params = jax.tree.map(to_host, params)
    network.groups.check(params)
    return params


def seed_of(random_state: Any) -> int:
    """Return an int for ``random_state`` as scikit-learn understands it."""
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def checked_rows(seed: int, width: int, X: Any, y: Any, weight: Any = None) -> Batches:
    """Return the rows of positive weight in mini-batches, in float32.

    Parameters
    ----------
    seed : int
        Of the shuffle.
    width : int
        Rows of a mini-batch at most.
    X, y : array-like of shape (n, ...)
    weight : array-like of shape (n,), optional

    Raises
    ------
    ValueError
        If the numbers of rows differ, or the weights cannot be weights.
    """
    X, y = np.asarray(X.toarray() if hasattr(X, "toarray") else X), np.asarray(y)
    weight = np.ones(len(X)) if weight is None else np.asarray(weight, float)
    if not len(X) == len(y) == len(weight) > 0:
        raise ValueError(f"X, y and sample_weight must have one row each: got {len(X)}, {len(y)}, {len(weight)}.")
    if not (weight >= 0).all() or not 0 < weight.sum() < np.inf:
        raise ValueError("sample_weight must be non-negative and finite, and positive for some row.")
    there = weight > 0
    with jax.enable_x64(False):
        return Batches.partition(np.random.default_rng(seed), X[there], y[there], weight[there], "float32", width)
