r"""Mean ranks, and what is read off them: the critical difference, and the methods that a test does not tell apart.

Notation. :math:`N` is the number of data sets, :math:`k` the number of methods, :math:`r_{ij}` the rank of method
:math:`j` on data set :math:`i`. Rank 1 is the best.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.integrate import IntegrationWarning

from skbandit.stats._table import (
    LEVEL,
    Floats,
    Names,
    as_floats,
    as_table,
    check,
    check_int,
    check_number,
    check_one_of,
)

#: Methods that there may be.
MOST_METHODS = 10**6


class MeanRanks(NamedTuple):
    """The ranks of several methods, from `mean_ranks`."""

    mean_ranks: Floats  #: f[n_methods]; 1 is the best
    ranks: Floats  #: f[n_data_sets, n_methods]; equal scores share the mean of their ranks
    n_tied: NDArray[np.int64]  #: i[n_data_sets]: how many methods share their rank with another one
    names: Names  #: in the order of the columns


def mean_ranks(
    scores: ArrayLike, *, higher_is_better: bool = True, names: Sequence[str] | None = None, decimals: int | None = None
) -> MeanRanks:
    r"""Rank the methods on each data set, and average the ranks: :math:`R_j = \frac1N \sum_i r_{ij}`.

    Parameters
    ----------
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them.
    higher_is_better : bool, default=True
        Whether the highest score gets rank 1; otherwise the lowest.
    names : sequence of str, default=None
        The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
    decimals : int, default=None
        Round the scores to this number of decimals first. That makes ties, and should be reported with the result.

    Returns
    -------
    result : MeanRanks
        Mean ranks, ranks, numbers of ties, and names.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two columns, or the names do not fit it.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.mean_ranks([[0.9, 0.8, 0.8], [0.7, 0.6, 0.5]], names=["a", "b", "c"])
    >>> result.mean_ranks, result.n_tied
    (array([1.  , 2.25, 2.75]), array([2, 0]))
    """
    table, method_names = as_table("mean_ranks", scores, higher_is_better, names, decimals)
    ranks = rank_rows(table)
    shared = np.sum(ranks[:, :, None] == ranks[:, None, :], axis=-1) > 1
    return MeanRanks(ranks.mean(axis=0), ranks, shared.sum(axis=1), method_names)


def critical_difference(n_methods: int, n_data_sets: int, *, alpha: float = 0.05, test: str = "nemenyi") -> float:
    r"""Return how far apart two mean ranks must be to differ at level α: :math:`q_\alpha \sqrt{k (k + 1) / (6 N)}`.

    For Nemenyi's test of all pairs, :math:`q_\alpha` is the upper α quantile of the studentized range (k groups,
    infinitely many degrees of freedom) over √2. For Bonferroni and Dunn's comparison with a control, it is the upper
    α / (2 (k - 1)) quantile of the normal distribution.

    Parameters
    ----------
    n_methods : int
        The number k of methods, at least 2.
    n_data_sets : int
        The number N of data sets, at least 1.
    alpha : float, default=0.05
        The family-wise error rate, in (0, 1).
    test : {"nemenyi", "bonferroni-dunn"}, default="nemenyi"
        Whether all pairs are compared, or all methods with a control.

    Returns
    -------
    difference : float
        In ranks.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> from skbandit import stats
    >>> round(stats.critical_difference(4, 14), 2)
    1.25
    """
    owner = "critical_difference"
    check_int(owner, "n_methods", n_methods, 2, MOST_METHODS)
    check_int(owner, "n_data_sets", n_data_sets, 1, 2**53)
    check_number(owner, "alpha", alpha, *LEVEL)
    alpha = float(alpha)
    check_one_of(owner, "test", test, ("nemenyi", "bonferroni-dunn"))
    if test == "nemenyi":
        q = studentized_range("isf", alpha, n_methods) / np.sqrt(2)
    else:
        q = stats.norm.isf(alpha / (2 * (n_methods - 1)))
    return float(q * standard_error(n_data_sets, n_methods))


def cliques(mean_ranks: ArrayLike, p_values: ArrayLike, *, alpha: float = 0.05) -> list[tuple[int, ...]]:
    """Return the groups of methods that a test does not tell apart: the crossbars of a critical-difference diagram.

    A clique is a run of two or more neighbours, in the order of mean ranks, no pair of which differs (p > α for all),
    and which is not part of a longer run. Two methods that do not differ may be in no common clique, if one between
    them differs from either: only the p-values show that.

    Parameters
    ----------
    mean_ranks : array-like of shape (n_methods,)
        Mean ranks.
    p_values : array-like of shape (n_methods, n_methods)
        Symmetric, and adjusted for all pairs. Those of a comparison with a control leave pairs out, and are refused.
    alpha : float, default=0.05
        The level.

    Returns
    -------
    cliques : list of tuple of int
        The columns of the methods of each clique, the best method first.

    Raises
    ------
    ValueError
        If the p-values are not of the shape (n_methods, n_methods), or one is NaN.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.cliques([1.2, 2.9, 1.9], [[1, 0.01, 0.3], [0.01, 1, 0.2], [0.3, 0.2, 1]])
    [(0, 2), (2, 1)]
    """
    mean, p = as_floats("cliques", "mean_ranks", mean_ranks), as_floats("cliques", "p_values", p_values)
    check("cliques", "mean_ranks", mean_ranks, mean.ndim == 1 and np.isfinite(mean).all(), "a vector of finite numbers")
    fits = p.shape == (mean.size, mean.size) and np.allclose(p, p.T, rtol=1e-9) and not np.isnan(p).any()
    check(
        "cliques", "p_values", p_values, fits, f"symmetric, without NaN, and of the shape of {mean.size} 'mean_ranks'"
    )
    check_number("cliques", "alpha", alpha, *LEVEL)
    order = np.argsort(mean, kind="stable")
    same = (p[np.ix_(order, order)] > alpha) | np.eye(mean.size, dtype=bool)
    runs: list[tuple[int, ...]] = []
    last_end = 0
    for start in range(mean.size):
        end = start + 1
        while end < mean.size and same[start:end, end].all():
            end += 1
        if end - start > 1 and end > last_end:
            runs.append(tuple(order[start:end].tolist()))
            last_end = end
    return runs


def rank_rows(table: Floats) -> Floats:
    """Rank each row of a table in which higher is better; equal scores share the mean of their ranks."""
    ranks: Floats = stats.rankdata(-table, axis=1)
    return ranks


def studentized_range(method: str, at: Any, k: int) -> Any:
    """Return what a ``method`` of the studentized range of k groups, with infinitely many degrees of freedom, is."""
    with warnings.catch_warnings():
        # Its integrals round at the tenth digit, and say so.
        warnings.simplefilter("ignore", IntegrationWarning)
        return getattr(stats.studentized_range, method)(at, k, np.inf)


def standard_error(n: int, k: int) -> float:
    """Return that of the difference of two mean ranks, if all k methods are equivalent and no scores tied."""
    return float(np.sqrt(k * (k + 1) / (6 * n)))
