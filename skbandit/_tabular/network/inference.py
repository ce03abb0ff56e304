"""The forward pass of a fitted network in NumPy: no JAX, no compilation, in the dtype of the input.

The rows go through in chunks, so that memory stays bounded whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skbandit._tabular.features.sparse_rows import chunk_rows, product
from skbandit._tabular.network.activations import activate

#: Rows per chunk: a layer's activations stay near the cache, and with 1 000 float64 units they take 16 MB.
CHUNK_ROWS = 2048


def hidden_activations(
    X: Any,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    activation: str,
    gates: Sequence[np.ndarray] | None = None,
    slopes: Sequence[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Return the activations of every hidden layer.

    Parameters
    ----------
    X : f[n, n_features], dense or CSR
        What the first layer reads.
    coefs, intercepts : list of f[fan_in, fan_out], list of f[fan_out]
        Of all layers; those of the output layer are not used.
    activation : str
        A name of `ACTIVATIONS`.
    gates : list of f[n_l], optional
        What the activations of each hidden layer are multiplied by.
    slopes : list of f[n_l], optional
        Of a parametric activation.

    Returns
    -------
    hidden : list of f[n, n_l]
    """
    layers, h = [], X
    for i, (W, b) in enumerate(zip(coefs[:-1], intercepts[:-1], strict=True)):
        h = activate(np, activation, product(h, W) + b, slopes[i] if slopes else None)
        if gates is not None:
            h = h * gates[i]
        layers.append(h)
    return layers


def raw_output(
    X: Any,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    activation: str,
    slopes: Sequence[np.ndarray] | None = None,
    features: Callable[[Any], Any] | None = None,
) -> np.ndarray:
    """Return the output layer's pre-activation f[n, n_outputs] for dense or CSR rows.

    Computed in the dtype of ``X``, but for the last intercept, which is added in its own where that is wider.

    Parameters
    ----------
    X : [n, ...], dense or CSR
        Rows: what the first layer reads, f[n, n_features], or what ``features`` takes.
    coefs, intercepts : list of f[fan_in, fan_out], list of f[fan_out]
    activation : str
        A name of `ACTIVATIONS`.
    slopes : list of f[n_l], optional
        Of a parametric activation.
    features : callable, optional
        From rows to what the first layer reads; called on a chunk of rows at a time.
    """
    coefs = [W if W.dtype == X.dtype else W.astype(X.dtype) for W in coefs]
    n = X.shape[0]
    network = coefs, intercepts, activation, slopes or (None,) * len(coefs), features
    step = chunk_rows(X, CHUNK_ROWS)
    if n <= step:
        return _forward(X, *network)
    out = np.empty((n, coefs[-1].shape[1]), dtype=np.result_type(X.dtype, intercepts[-1].dtype))
    for start in range(0, n, step):
        out[start : start + step] = _forward(X[start : start + step], *network)
    return out


def _forward(
    h: Any,
    coefs: Sequence[np.ndarray],
    intercepts: Sequence[np.ndarray],
    activation: str,
    slopes: Sequence[np.ndarray | None],
    features: Callable[[Any], Any] | None,
) -> np.ndarray:
    """Compute the output of one chunk of rows."""
    # In place where that is possible, and so in the dtype of the rows. But the last intercept keeps its precision: a
    # target's mean may be large beside its spread.
    if features is not None:
        h = features(h)
    for layer in range(len(coefs) - 1):
        z = h @ coefs[layer]
        z += intercepts[layer]
        h = (
            np.maximum(z, 0, out=z)
            if activation == "relu" and slopes[layer] is None
            else activate(np, activation, z, slopes[layer])
        )
    z_out: np.ndarray = h @ coefs[-1] + intercepts[-1]
    return z_out
