"""Confidence intervals that the bootstrap gives: data sets are drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skbandit.stats._table import (
    MOST_DRAWS,
    Floats,
    Names,
    as_table,
    check_int,
    check_number,
    check_one_of,
    column_of,
    difference,
    generator_of,
)
from skbandit.stats.ranks import rank_rows

#: Resampled numbers that are held at a time: 32 MiB in double precision.
CHUNK = 2**22


class BootstrapInterval(NamedTuple):
    """Estimates and the ends of their confidence intervals, from `bootstrap_interval`."""

    estimate: Floats  #: f[n_methods]
    low: Floats  #: f[n_methods]
    high: Floats  #: f[n_methods]
    names: Names  #: in the order of the columns


def bootstrap_interval(
    scores: ArrayLike,
    *,
    statistic: str = "mean_rank",
    control: int | str | None = None,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    decimals: int | None = None,
    confidence_level: float = 0.95,
    interval: str = "percentile",
    n_resamples: int = 9999,
    random_state: int | np.random.Generator | None = None,
) -> BootstrapInterval:
    """Return confidence intervals of mean ranks, or of the methods' advantages over a control.

    Each resample draws N of the N data sets with replacement. Each interval is one on its own: all of them together
    hold with less than ``confidence_level``.

    Parameters
    ----------
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them. At
        least two data sets.
    statistic : {"mean_rank", "mean", "median"}, default="mean_rank"
        The mean rank; or the mean or median of a method's advantages over the control, where a positive number means
        that the method is better.
    control : int or str, default=None
        A method's column or name; "mean" and "median" need it.
    higher_is_better : bool, default=True
        Whether a higher score is better; otherwise a lower one is.
    names : sequence of str, default=None
        The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
    decimals : int, default=None
        Round the scores to this number of decimals first. That makes ties, and should be reported with the result.
    confidence_level : float, default=0.95
        In (0, 1).
    interval : {"percentile", "basic", "BCa"}, default="percentile"
        The kind, as in `scipy.stats.bootstrap`. "BCa" is more accurate for a mean; for a median, or where many values
        are equal, it may not exist (NaN, and SciPy's warning).
    n_resamples : int, default=9999
        How often the data sets are drawn.
    random_state : int, numpy.random.Generator or None, default=None
        The source of random numbers.

    Returns
    -------
    result : BootstrapInterval
        The statistic on all data sets, the ends of its interval, and names.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two rows and columns, or a parameter is out of its
        range.

    References
    ----------
    B. Efron and R. J. Tibshirani. An introduction to the bootstrap. Chapman and Hall, 1993.

    Examples
    --------
    >>> from skbandit import stats
    >>> scores = [[0.90, 0.86], [0.71, 0.68], [0.82, 0.80], [0.95, 0.94], [0.66, 0.60]]
    >>> result = stats.bootstrap_interval(scores, statistic="mean", control=1, random_state=0)
    >>> f"{result.estimate[0]:.3f} in [{result.low[0]:.3f}, {result.high[0]:.3f}]"
    '0.032 in [0.018, 0.048]'
    """
    owner = "bootstrap_interval"
    table, method_names = as_table(owner, scores, higher_is_better, names, decimals, least=(2, 2))
    check_one_of(owner, "statistic", statistic, ("mean_rank", "mean", "median"))
    check_number(owner, "confidence_level", confidence_level, lambda c: 0 < c < 1, "a number in the range (0, 1)")
    check_one_of(owner, "interval", interval, ("percentile", "basic", "BCa"))
    check_int(owner, "n_resamples", n_resamples, 1, MOST_DRAWS)
    rng = generator_of(owner, random_state)
    if control is not None:
        column_of(owner, control, method_names)
    if statistic == "mean_rank":
        values = rank_rows(table)
    else:
        column = column_of(owner, control, method_names)
        values = np.stack([difference(table, j, column) for j in range(table.shape[1])], axis=1)
    average = np.median if statistic == "median" else np.mean
    estimate: Floats = average(values, axis=0)
    low, high = estimate.copy(), estimate.copy()
    varying = np.ptp(values, axis=0) > 0  # a constant has no bootstrap distribution, and SciPy would warn
    if varying.any():
        # In units of a power of two, so that nothing rounds: BCa takes cubes, which overflow.
        unit = 2.0 ** np.ceil(np.log2(np.abs(values).max()))
        # Called "rng" since SciPy 1.15, which takes both names; earlier versions take this one only.
        source: dict[str, Any] = {"random_state": rng}
        result = stats.bootstrap(
            (values[:, varying] / unit,),
            average,
            axis=0,
            confidence_level=confidence_level,
            method=interval,
            n_resamples=n_resamples,
            batch=max(1, CHUNK // values.size),
            **source,
        )
        low[varying], high[varying] = (unit * end for end in result.confidence_interval)
    return BootstrapInterval(estimate, low, high, method_names)
