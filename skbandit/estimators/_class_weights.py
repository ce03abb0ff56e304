"""Weights of the classes of many labels at once."""

from __future__ import annotations

import numpy as np

#: Values of an indicator matrix that are looked at together: some MB, with what is computed of them.
BLOCK_VALUES = 2**18


def balanced_by_label(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the balanced weights of each label's two classes, f[n_labels, 2]: 1 for a class that no row has.

    They are those of scikit-learn's `compute_class_weight` for each column of y by itself, summed in the same order.

    Parameters
    ----------
    y : array of shape (n, n_labels)
        Zeros and ones.
    weight : f[n]
        Rows of weight 0 are not there.
    """
    there = weight > 0
    if not there.all():
        y, weight = y[there], weight[there]
    n_labels = y.shape[1]
    mass, present = np.zeros((n_labels, 2)), np.zeros((n_labels, 2), bool)
    width = max(BLOCK_VALUES // max(len(y), 1), 1)
    for start in range(0, n_labels, width):
        block = slice(start, start + width)
        labels = y[:, block].astype(bool)
        k = labels.shape[1]
        cell = (2 * np.arange(k) + labels).ravel()
        mass[block] = np.bincount(cell, np.repeat(weight, k), minlength=2 * k).reshape(k, 2)
        present[block] = np.bincount(cell, minlength=2 * k).reshape(k, 2) > 0
    n_classes = np.count_nonzero(present, axis=1)[:, None]
    total, weights = mass.sum(axis=1, keepdims=True), np.ones_like(mass)
    np.divide(total, n_classes * mass, out=weights, where=present)
    return weights


def weights_of_label_sets(y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weight of each row, f[n]: the product, over labels, of the weight of the class that it has.

    Parameters
    ----------
    y : array of shape (n, n_labels)
        Zeros and ones.
    weights : f[n_labels, 2]
    """
    out, step = np.empty(len(y)), max(BLOCK_VALUES // max(len(weights), 1), 1)
    for start in range(0, len(y), step):
        rows = y[start : start + step]
        out[start : start + step] = np.prod(np.where(rows > 0, weights[:, 1], weights[:, 0]), axis=1)
    return out
