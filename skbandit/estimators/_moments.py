"""Mean and spread of rows that come in several calls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and spread of the rows seen so far; those of more rows are merged exactly (Chan et al., 1979)."""

    weight: float
    """Summed weight of the rows."""
    mean: np.ndarray
    """f[n_outputs]"""
    variance: np.ndarray
    """f[n_outputs]: mean squared deviation."""

    @classmethod
    def of(cls, columns: np.ndarray, weight: np.ndarray) -> Moments:
        """Return the moments of rows f[n, n_outputs]."""
        mean = np.average(columns, axis=0, weights=weight)
        with np.errstate(over="ignore"):
            variance = np.average(np.square(columns - mean), axis=0, weights=weight)
        return cls(float(weight.sum()), mean, variance)

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        total = self.weight + other.weight
        share = other.weight / total
        shift = other.mean - self.mean
        with np.errstate(over="ignore"):
            within = (1 - share) * self.variance + share * other.variance
            variance = within + share * (1 - share) * np.square(shift)
        return Moments(total, self.mean + share * shift, variance)
