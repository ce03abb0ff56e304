"""The forward pass of a fitted network in NumPy: no JAX, no compilation, in the dtype of the input.

The rows go through in chunks, so that memory stays bounded whatever their number and their width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from skbandit._tabular.features.sparse_rows import product
from skbandit._tabular.network.activations import activate

#: Rows per chunk at most: a layer's activations stay near the cache.
CHUNK_ROWS = 2048
#: Bytes that a chunk of rows takes at most, with all that is computed of it; one row in any case.
CHUNK_BYTES = 2**25
#: Values of a layer that are activated at a time, where those of all rows are kept.
BLOCK_VALUES = 2**18
#: Arrays of the size of a layer that there are at a time: an activation has some on the way.
_COPIES = 4


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
        h = product(h, W)
        h += b
        activate_in_place(h, activation, slopes[i] if slopes else None)
        if gates is not None:
            h *= gates[i]
        layers.append(h)
    return layers


def activate_in_place(z: np.ndarray, activation: str, slope: np.ndarray | None = None) -> np.ndarray:
    """Turn pre-activations f[n, n_l] into activations, some rows at a time, and return them.

    An activation has several arrays of the size of what it is given on the way.
    """
    for rows in slices(len(z), max(BLOCK_VALUES // max(z.shape[1], 1), 1)):
        z[rows] = activate(np, activation, z[rows], slope)
    return z


def slices(n: int, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` rows, of ``n`` in all; a single one where there are none."""
    yield from (slice(start, start + step) for start in range(0, max(n, 1), step))


def in_chunks(X: Any, step: int, of: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Return ``of(X)``, an array with a row for each of X, computed for ``step`` rows at a time."""
    n = X.shape[0]
    if n <= step:
        return of(X)
    first, *others = slices(n, step)
    part = of(X[first])
    out = np.empty((n, *part.shape[1:]), part.dtype)
    out[first] = part
    for rows in others:
        out[rows] = of(X[rows])
    return out


def _rows_of(n_bytes: float) -> int:
    """Return the rows of a chunk, of which each takes so many bytes."""
    return max(min(CHUNK_BYTES // max(int(n_bytes), 1), CHUNK_ROWS), 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """A network for rows of one dtype, to which its weights are converted once; made by `of`.

    Parameters
    ----------
    coefs, intercepts : list of f[fan_in, fan_out], list of f[fan_out]
    activation : str
        A name of `ACTIVATIONS`.
    slopes : list of f[n_l] or None
        Of a parametric activation.
    features : callable or None
        From rows to what the first layer reads, f[n, fan_in].
    """

    coefs: Sequence[np.ndarray]
    intercepts: Sequence[np.ndarray]
    activation: str
    slopes: Sequence[np.ndarray | None]
    features: Callable[[Any], Any] | None = None

    @classmethod
    def of(
        cls,
        dtype: Any,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
        activation: str,
        slopes: Sequence[np.ndarray] | None = None,
        features: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Convert all parameters to ``dtype``, but for the last intercept."""
        converted = [W.astype(dtype, copy=False) for W in coefs]
        biases = [*(b.astype(dtype, copy=False) for b in intercepts[:-1]), *intercepts[-1:]]
        of_units = [a.astype(dtype, copy=False) for a in slopes] if slopes else [None] * len(coefs)
        return cls(converted, biases, activation, of_units, features)

    def chunk_rows(self, X: Any, n_members: int = 1) -> int:
        """Return how many rows of X go through at a time, where the outputs of so many networks are held together."""
        return _rows_of(self.bytes_of_row(X, n_members))

    def bytes_of_row(self, X: Any, n_members: int = 1) -> float:
        """Return what a row of X takes on its way, with the outputs of so many networks."""
        size, (*hidden, n_outputs) = X.dtype.itemsize, [W.shape[1] for W in self.coefs]
        # Outputs are as wide as the last intercepts, where those are wider.
        of_outputs = n_members * n_outputs * max([size, *(b.dtype.itemsize for b in self.intercepts[-1:])])
        n_bytes = _COPIES * max(size * max(hidden, default=0), of_outputs)
        if self.features is not None:
            # The columns, dense, and what is made of them: encoded columns, and features, which are as many or more.
            n_bytes += size * (X.shape[1] + 2 * self.coefs[0].shape[0])
        return float(n_bytes)

    def __call__(self, rows: Any) -> np.ndarray:
        """Return the output layer's pre-activation f[n, n_outputs] of a chunk of rows, dense or CSR."""
        # In place where that is possible, and so in the dtype of the rows. But the last intercept keeps its precision:
        # a target's mean may be large beside its spread.
        h = rows if self.features is None else self.features(rows)
        for layer in range(len(self.coefs) - 1):
            z = h @ self.coefs[layer]
            z += self.intercepts[layer]
            slope = self.slopes[layer]
            h = (
                np.maximum(z, 0, out=z)
                if self.activation == "relu" and slope is None
                else activate(np, self.activation, z, slope)
            )
        z_out: np.ndarray = h @ self.coefs[-1] + self.intercepts[-1]
        return z_out


@dataclasses.dataclass(frozen=True, eq=False)
class JoinedForward:
    """Networks of one depth and activation for rows of one dtype, their hidden units side by side; made by `of`.

    An activation is then computed of all of them at once: for a few rows most of the time is that of calling NumPy.

    Parameters
    ----------
    members : sequence of Forward
    intercepts : list of f[n_l]
        Of the hidden layers of all members.
    slopes : list of (f[n_l] or None)
        Likewise.
    features : callable
        From rows to what the first layer of each member reads, a list of f[n, fan_in].
    """

    members: Sequence[Forward]
    intercepts: Sequence[np.ndarray]
    slopes: Sequence[np.ndarray | None]
    features: Callable[[Any], list[Any]]

    @classmethod
    def of(cls, members: Sequence[Forward], features: Callable[[Any], list[Any]]) -> Self:
        """Join networks of the same number of layers and the same activation."""
        layers = range(len(members[0].coefs) - 1)
        intercepts = [np.concatenate([member.intercepts[i] for member in members]) for i in layers]
        of_layers = [[of for member in members if (of := member.slopes[i]) is not None] for i in layers]
        slopes = [np.concatenate(of_members) if of_members else None for of_members in of_layers]
        return cls(members, intercepts, slopes, features)

    def chunk_rows(self, X: Any) -> int:
        """Return how many rows of X go through at a time, where all that is computed of all members is held."""
        return _rows_of(sum(member.bytes_of_row(X) for member in self.members))

    def __call__(self, rows: Any) -> list[np.ndarray]:
        """Return the output layer's pre-activation f[n, n_outputs] of each member, for a chunk of encoded rows."""
        members, hidden = self.members, self.features(rows)
        for layer, (intercept, slope) in enumerate(zip(self.intercepts, self.slopes, strict=True)):
            z, at, parts = np.empty((rows.shape[0], intercept.size), intercept.dtype), 0, []
            for member, h in zip(members, hidden, strict=True):
                part = z[:, at : at + member.coefs[layer].shape[1]]
                if isinstance(h, np.ndarray):
                    np.matmul(h, member.coefs[layer], out=part)
                else:  # sparse rows
                    part[...] = h @ member.coefs[layer]
                parts.append(part)
                at += part.shape[1]
            z += intercept
            z[...] = activate(np, members[0].activation, z, slope)
            hidden = parts
        return [h @ member.coefs[-1] + member.intercepts[-1] for member, h in zip(members, hidden, strict=True)]


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
    forward = Forward.of(X.dtype, coefs, intercepts, activation, slopes, features)
    return in_chunks(X, forward.chunk_rows(X), forward)
