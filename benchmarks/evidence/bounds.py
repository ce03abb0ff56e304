r"""Certified accuracy of dense ReLU networks: interval bounds, CROWN, and an attack as the upper bound.

A network is a sequence of layers ``(W, b)``, ``W`` of shape (inputs, outputs), with a ReLU after each but the last. A
row is certified if no point of its box of inputs changes its class: the margin :math:`z_y - z_j` of every other class
:math:`j` is positive on the whole box. Bounds are sound up to the rounding of the arrays' type.

*Interval bounds* [1]_ propagate a box from layer to layer. *CROWN* [2]_ writes the margins as linear functions of the
activations of a layer, and goes back to the inputs: in each layer a ReLU of pre-activation :math:`l \le z \le u`,
:math:`l < 0 < u`, lies between the lines :math:`a z` and :math:`u (z - l) / (u - l)`, where :math:`a` is 1 if
:math:`u > -l` and 0 otherwise. The bounds :math:`l, u` of a hidden layer come from the same pass, and are intersected
with interval bounds: what is certified by intervals is then certified by CROWN as well.

References
----------
.. [1] S. Gowal et al. (2018). On the effectiveness of interval bound propagation. arXiv 1810.12715.
.. [2] H. Zhang, T.-W. Weng, P.-Y. Chen, C.-J. Hsieh, L. Daniel (2018). Efficient neural network robustness
   certification with general activation functions. NeurIPS. arXiv 1811.00866.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Layers = Sequence[tuple[np.ndarray, np.ndarray]]


class Box(NamedTuple):
    """Bounds of the components of vectors, f[n, size] each."""

    low: np.ndarray
    high: np.ndarray


class Certificate(NamedTuple):
    """What is known of rows."""

    clean: np.ndarray
    """bool[n]: the class is right."""
    attacked: np.ndarray
    """bool[n]: and the attack found no other class in the box."""
    crown: np.ndarray
    """bool[n]: certified by CROWN."""
    interval: np.ndarray
    """bool[n]: certified by interval bounds."""
    unstable: np.ndarray
    """f[n]: share of the ReLUs with l < 0 < u."""


def ball(X: np.ndarray, epsilon: float, within: tuple[float, float] | None = None) -> Box:
    """Return the L-infinity balls around rows, intersected with the range of the inputs, if there is one."""
    low, high = (-np.inf, np.inf) if within is None else within
    return Box(np.clip(X - epsilon, low, high), np.clip(X + epsilon, low, high))


def outputs(layers: Layers, X: np.ndarray) -> np.ndarray:
    """Return the outputs f[n, n_classes]."""
    for W, b in layers[:-1]:
        X = np.maximum(X @ W + b, 0)
    W, b = layers[-1]
    return X @ W + b


def margins(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the margin of the class over each other one, f[n, n_classes]; infinity in its own place."""
    found = np.take_along_axis(z, y[:, None], 1) - z
    np.put_along_axis(found, y[:, None], np.inf, 1)
    return found


def interval_bounds(layers: Layers, box: Box) -> list[Box]:
    """Return interval bounds of the pre-activations of each hidden layer."""
    found: list[Box] = []
    for layer in layers[:-1]:
        found.append(_through(layer, relu(found[-1]) if found else box))
    return found


def interval_margins(layers: Layers, hidden: Sequence[Box], y: np.ndarray) -> np.ndarray:
    """Return lower bounds of the margins f[n, n_classes] on the bounds of the last hidden layer."""
    A, c = _margins_of_activations(layers[-1], y)
    return _own_class_apart(_least(A, c, relu(hidden[-1])), y)


def crown_bounds(layers: Layers, box: Box) -> list[Box]:
    """Return CROWN's bounds of the pre-activations of each hidden layer, intersected with interval bounds."""
    found: list[Box] = []
    for W, b in layers[:-1]:
        low, high = _through((W, b), relu(found[-1]) if found else box)
        if found:  # else intervals are exact
            A = np.broadcast_to(np.ascontiguousarray(W.T), (len(box.low), *W.T.shape))
            c = np.broadcast_to(b, low.shape)
            low = np.maximum(low, _back(layers, found, A, c, box))
            high = np.minimum(high, -_back(layers, found, -A, -c, box))
            low = np.minimum(low, high)  # they may cross by rounding
        found.append(Box(low, high))
    return found


def crown_margins(layers: Layers, hidden: Sequence[Box], y: np.ndarray, box: Box) -> np.ndarray:
    """Return CROWN's lower bounds of the margins f[n, n_classes], given bounds of the hidden layers."""
    return _own_class_apart(_back(layers, hidden, *_margins_of_activations(layers[-1], y), box), y)


def attack(layers: Layers, X: np.ndarray, y: np.ndarray, box: Box, step: float, *, n_steps: int = 20) -> np.ndarray:
    """Return the smallest margin f[n] that projected gradient descent finds, from a random point; X counts as well."""
    smallest = margins(outputs(layers, X), y).min(axis=1)
    drawn = np.random.default_rng(0).uniform(size=X.shape).astype(X.dtype)
    point = box.low + drawn * (box.high - box.low)
    for _ in range(n_steps):
        point = np.clip(point - step * np.sign(_gradient(layers, point, y)), *box)
        smallest = np.minimum(smallest, margins(outputs(layers, point), y).min(axis=1))
    return smallest


def certify(
    layers: Layers,
    X: np.ndarray,
    y: np.ndarray,
    epsilon: float,
    within: tuple[float, float] | None = None,
    *,
    rows_at_once: int = 50,
) -> Certificate:
    """Return what is known of rows whose inputs move by at most ``epsilon``, inside of the range of the inputs."""
    parts = []
    for first in range(0, len(X), rows_at_once):
        rows, classes = X[first : first + rows_at_once], y[first : first + rows_at_once]
        box = ball(rows, epsilon, within)
        plain, hidden = interval_bounds(layers, box), crown_bounds(layers, box)
        by_intervals = interval_margins(layers, plain, classes)
        bounds = np.maximum(interval_margins(layers, hidden, classes), crown_margins(layers, hidden, classes, box))
        clean = margins(outputs(layers, rows), classes).min(axis=1) > 0
        parts.append(
            Certificate(
                clean,
                attack(layers, rows, classes, box, epsilon / 4) > 0,
                clean & (bounds.min(axis=1) > 0),
                clean & (by_intervals.min(axis=1) > 0),
                np.concatenate([(low < 0) & (high > 0) for low, high in hidden], axis=1).mean(axis=1),
            )
        )
    return Certificate(*map(np.concatenate, zip(*parts, strict=True)))


def relu(box: Box) -> Box:
    """Return the bounds of the activations."""
    return Box(np.maximum(box.low, 0), np.maximum(box.high, 0))


# ---------------------------------------------------------------------- one step


def _through(layer: tuple[np.ndarray, np.ndarray], box: Box) -> Box:
    """Return interval bounds behind a layer."""
    W, b = layer
    centre, radius = (box.low + box.high) / 2 @ W + b, (box.high - box.low) / 2 @ np.abs(W)
    return Box(centre - radius, centre + radius)


def _least(A: np.ndarray, c: np.ndarray, box: Box) -> np.ndarray:
    """Return the least values f[n, m] of ``A x + c`` on a box, A of shape (n, m, size)."""
    middle, half = (box.low + box.high)[..., None] / 2, (box.high - box.low)[..., None] / 2
    return c + (A @ middle - np.abs(A) @ half)[..., 0]


def _back(layers: Layers, hidden: Sequence[Box], A: np.ndarray, c: np.ndarray, box: Box) -> np.ndarray:
    """Return lower bounds f[n, m] of ``A x + c``, where x are the activations of the last layer with bounds."""
    for (W, b), (low, high) in zip(reversed(layers[: len(hidden)]), reversed(hidden), strict=True):
        unstable = (low < 0) & (high > 0)
        above = np.where(unstable, high / np.where(unstable, high - low, 1), low >= 0).astype(W.dtype)
        below = np.where(unstable, high > -low, low >= 0).astype(W.dtype)
        shift = np.where(unstable, -above * low, 0).astype(W.dtype)
        negative = np.minimum(A, 0)
        c = c + (negative @ shift[..., None])[..., 0]
        A = np.maximum(A, 0) * below[:, None] + negative * above[:, None]
        c = c + A @ b
        A = (A.reshape(-1, len(b)) @ W.T).reshape(*A.shape[:2], len(W))
    return _least(A, c, box)


def _margins_of_activations(layer: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge the margins into the last layer: return A f[n, n_classes, size] and c f[n, n_classes]."""
    W, b = np.ascontiguousarray(layer[0].T), layer[1]
    return W[y][:, None] - W, b[y][:, None] - b


def _own_class_apart(bounds: np.ndarray, y: np.ndarray) -> np.ndarray:
    bounds = bounds.copy()
    np.put_along_axis(bounds, y[:, None], np.inf, 1)
    return bounds


def _gradient(layers: Layers, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the gradient f[n, n_inputs] of the smallest margin."""
    on = []
    for W, b in layers[:-1]:
        z = X @ W + b
        on.append(z > 0)
        X = np.maximum(z, 0)
    W, b = layers[-1]
    rival = margins(X @ W + b, y).argmin(axis=1)
    gradient = W.T[y] - W.T[rival]
    for (W, _), mask in zip(reversed(layers[:-1]), reversed(on), strict=True):
        gradient = (gradient * mask) @ W.T
    return gradient
