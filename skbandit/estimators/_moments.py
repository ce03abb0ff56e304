"""Mean and spread of rows that come in several calls."""

from __future__ import annotations

import dataclasses

import numpy as np

from skbandit._core.addresses import saved


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Mean and spread of the rows seen so far; those of more rows are merged exactly [1]_.

    Parameters
    ----------
    weight : float
        Summed weight of the rows.
    mean, variance : f[n_outputs]
        The variance is the mean squared deviation.

    References
    ----------
    .. [1] Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    weight: float
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray, weight: np.ndarray) -> Moments:
        """Return the moments of rows f[n, n_outputs]."""
        with np.errstate(over="ignore", invalid="ignore"):  # a spread beyond floats is infinite
            mean = np.average(columns, axis=0, weights=weight)
            there = columns[weight > 0]
            mean = np.where((there == there[0]).all(axis=0), there[0], mean)  # of equal values without rounding
            variance = np.average(np.square(there - mean), axis=0, weights=weight[weight > 0])
        variance = np.where(np.isfinite(variance), variance, np.inf)
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
