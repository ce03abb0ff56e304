"""Mean and spread of rows that come in several calls."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from skbandit._core.addresses import saved

#: Squares of values between 2**-256 and 2**256, and of their rounding, are normal numbers.
_SQUARES = 256


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Mean and spread of the rows seen so far; those of more rows are merged exactly [1]_.

    Squares leave the range of floats long before values do, so deviations are kept in units of a power of two.

    Parameters
    ----------
    weight : float
        Summed weight of the rows.
    mean : f[n_outputs]
    variance : f[n_outputs]
        The mean squared deviation, in units of ``4**exponent``.
    exponent : i[n_outputs], default=0
        0 unless the largest value of a column is beyond ``2**256`` or below ``2**-256``: then about that value.

    References
    ----------
    .. [1] Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    weight: float
    mean: np.ndarray
    variance: np.ndarray
    exponent: Any = 0

    @classmethod
    def of(cls, columns: np.ndarray, weight: np.ndarray) -> Moments:
        """Return the moments of rows f[n, n_outputs]."""
        there = weight > 0
        # What is divided by a power of two keeps its digits, but for what is nothing beside the largest.
        scaled = np.where(there[:, None], columns, 0.0)
        exponent = _exponent_of(np.abs(scaled).max(axis=0))
        np.ldexp(scaled, -exponent, out=scaled)
        share = np.ldexp(weight, -np.frexp(weight.max())[1])
        mean = np.average(scaled, axis=0, weights=share)
        scaled = scaled[there]
        mean = np.where((scaled == scaled[0]).all(axis=0), scaled[0], mean)  # of equal values without rounding
        variance = np.average(np.square(scaled - mean), axis=0, weights=share[there])
        return cls(float(weight.sum()), np.ldexp(mean, exponent), variance, exponent)

    @property
    def spread(self) -> np.ndarray:
        """Root mean squared deviation, f[n_outputs]."""
        spread: np.ndarray = np.ldexp(np.sqrt(self.variance), self.exponent)
        return spread

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        total = self.weight + other.weight
        share = other.weight / total
        exponent = np.maximum(self.exponent, other.exponent)
        variances = [np.ldexp(part.variance, 2 * (part.exponent - exponent)) for part in (self, other)]
        mean, of_other = (np.ldexp(part.mean, -exponent) for part in (self, other))
        shift = of_other - mean
        within = (1 - share) * variances[0] + share * variances[1]
        variance = within + share * (1 - share) * np.square(shift)
        return Moments(total, np.ldexp(mean + share * shift, exponent), variance, exponent)


def _exponent_of(largest: np.ndarray) -> np.ndarray:
    """Return the exponent for columns of these largest values, f[n_outputs]."""
    exponent = np.frexp(largest)[1]
    exponent[np.abs(exponent) <= _SQUARES] = 0
    return np.where(largest > 0, exponent, np.finfo(np.float64).minexp)  # zeros can be put on any scale
