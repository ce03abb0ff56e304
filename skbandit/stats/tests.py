r"""Frequentist tests: Friedman's, those of mean ranks, and Wilcoxon's signed-rank test with Holm's correction.

Notation. :math:`N` is the number of data sets, :math:`k` the number of methods, :math:`R_j` the mean rank of method
:math:`j`. Rank 1 is the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skbandit.stats._table import (
    LEVEL,
    ROUND_OFF,
    Floats,
    Names,
    as_floats,
    as_table,
    check,
    check_bool,
    check_number,
    check_one_of,
    column_of,
    difference,
)
from skbandit.stats.ranks import critical_difference, rank_rows, standard_error, studentized_range

#: Up to so many data sets, signed-rank p-values are exact: N sums over N² values, 1e6 operations for a pair of methods.
MOST_EXACT = 100


class Friedman(NamedTuple):
    """Statistics, p-values and effect size of Friedman's test, from `friedman`."""

    chi2: float  #: Friedman's statistic, corrected for ties
    p_value: float  #: from the χ² distribution
    f: float  #: Iman and Davenport's statistic
    f_p_value: float  #: from the F distribution
    df: tuple[int, int]  #: (k - 1, (k - 1)(N - 1)), for F; the first one for χ²
    kendall_w: float  #: effect size: 0 where data sets rank the methods at random, 1 where all agree


class Nemenyi(NamedTuple):
    """All pairs of methods compared by mean ranks, from `nemenyi`."""

    critical_difference: float  #: in ranks, at the level asked for
    p_values: Floats  #: f[n_methods, n_methods], adjusted for all pairs; 1 on the diagonal
    mean_ranks: Floats  #: f[n_methods]
    names: Names  #: in the order of the columns


class ControlComparison(NamedTuple):
    """All methods compared with one by mean ranks, from `compare_with_control`; the control has z = 0 and p = 1."""

    z: Floats  #: f[n_methods]; positive where a method ranks better than the control
    p_values: Floats  #: f[n_methods], two-sided, not adjusted
    bonferroni_dunn: Floats  #: f[n_methods], adjusted for k - 1 comparisons
    holm: Floats  #: f[n_methods], adjusted for the same
    critical_difference: float  #: that of Bonferroni and Dunn, in ranks
    mean_ranks: Floats  #: f[n_methods]
    names: Names  #: in the order of the columns
    control: int  #: the control's column


class PairwiseWilcoxon(NamedTuple):
    """Pairs of methods compared by differences, from `wilcoxon_holm`; NaN where a pair was not compared."""

    p_values: Floats  #: f[n_methods, n_methods], adjusted for the pairs compared; 1 on the diagonal
    raw_p_values: Floats  #: f[n_methods, n_methods], two-sided, not adjusted
    rank_biserial: Floats
    """f[n_methods, n_methods]: effect size, (W⁺ - W⁻) / (W⁺ + W⁻); 1 where the row's method is never the worse one."""
    names: Names  #: in the order of the columns


def friedman(scores: ArrayLike, *, higher_is_better: bool = True, decimals: int | None = None) -> Friedman:
    r"""Test whether all methods are equivalent, by Friedman's χ² and by Iman and Davenport's F.

    .. math::
        \chi^2 = \frac{1}{c}\,\frac{12 N}{k (k + 1)} \Bigl[\sum_j R_j^2 - \frac{k (k + 1)^2}{4}\Bigr], \quad
        c = 1 - \frac{\sum_t (t^3 - t)}{N k (k^2 - 1)}, \quad
        F = \frac{(N - 1)\,\chi^2}{N (k - 1) - \chi^2}

    with a sum over the groups of t tied methods. F is the less conservative one. For two methods there is
    `wilcoxon_holm`.

    Parameters
    ----------
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them. At
        least two data sets and three methods.
    higher_is_better : bool, default=True
        Whether the highest score gets rank 1; otherwise the lowest.
    decimals : int, default=None
        Round the scores to this number of decimals first. That makes ties, and should be reported with the result.

    Returns
    -------
    result : Friedman
        Both statistics with their p-values and degrees of freedom, and Kendall's W.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two rows and three columns.

    References
    ----------
    M. Friedman. The use of ranks to avoid the assumption of normality. JASA 32, 1937.
    R. L. Iman and J. M. Davenport. Approximations of the critical region of the Friedman statistic. Communications in
    Statistics 9, 1980.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.friedman([[1, 2, 3], [1, 2, 3], [2, 1, 3], [1, 2, 3]])
    >>> round(result.chi2, 3), round(result.f, 3), result.df
    (6.5, 13.0, (2, 6))
    """
    table, _ = as_table("friedman", scores, higher_is_better, None, decimals, least=(2, 3))
    n, k = table.shape
    df = (k - 1, (k - 1) * (n - 1))
    if np.all(table == table[:, :1]):
        return Friedman(0.0, 1.0, 0.0, 1.0, df, 0.0)
    chi2, p_value = map(float, stats.friedmanchisquare(*table.T))
    rest = n * (k - 1) - chi2
    # Where all data sets agree, what is left of the denominator is rounding.
    f = (n - 1) * chi2 / rest if rest > ROUND_OFF * chi2 else np.inf
    return Friedman(chi2, p_value, f, float(stats.f.sf(f, *df)), df, chi2 / (n * (k - 1)))


def nemenyi(
    scores: ArrayLike,
    *,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    decimals: int | None = None,
    alpha: float = 0.05,
) -> Nemenyi:
    r"""Compare all pairs of methods by their mean ranks, with Nemenyi's test.

    .. math:: p_{ij} = P\Bigl(Q \ge \sqrt2\,|R_i - R_j| \Big/ \sqrt{\tfrac{k (k + 1)}{6 N}}\Bigr)

    with Q the studentized range of k groups and infinitely many degrees of freedom. The verdict on two methods depends
    on which other methods are in the table (Benavoli, Corani and Mangili, JMLR 17, 2016); the unadjusted p-values of
    `wilcoxon_holm` do not.

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
    alpha : float, default=0.05
        The level of the critical difference, in (0, 1).

    Returns
    -------
    result : Nemenyi
        The critical difference, p-values that are adjusted for all pairs, mean ranks, and names.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two columns, or a parameter is out of its range.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.nemenyi([[1, 2, 3]] * 6).p_values[0].round(4)
    array([1.    , 0.1932, 0.0015])
    """
    table, method_names = as_table("nemenyi", scores, higher_is_better, names, decimals)
    check_number("nemenyi", "alpha", alpha, *LEVEL)
    n, k = table.shape
    mean = rank_rows(table).mean(axis=0)
    i, j = np.triu_indices(k, 1)
    distance = np.abs(mean[i] - mean[j]) / standard_error(n, k)
    p_values = np.ones((k, k))
    p_values[i, j] = p_values[j, i] = np.clip(studentized_range("sf", np.sqrt(2) * distance, k), 0, 1)
    return Nemenyi(critical_difference(k, n, alpha=alpha), p_values, mean, method_names)


def compare_with_control(
    scores: ArrayLike,
    control: int | str,
    *,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    decimals: int | None = None,
    alpha: float = 0.05,
) -> ControlComparison:
    r"""Compare every method with a control, by their mean ranks.

    .. math:: z_j = (R_0 - R_j) \Big/ \sqrt{\tfrac{k (k + 1)}{6 N}}, \qquad p_j = 2\,(1 - \Phi(|z_j|))

    Parameters
    ----------
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them.
    control : int or str
        The control's column, or its name.
    higher_is_better : bool, default=True
        Whether the highest score gets rank 1; otherwise the lowest.
    names : sequence of str, default=None
        The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
    decimals : int, default=None
        Round the scores to this number of decimals first. That makes ties, and should be reported with the result.
    alpha : float, default=0.05
        The level of the critical difference, in (0, 1).

    Returns
    -------
    result : ControlComparison
        z, p-values as they are and adjusted in two ways, the critical difference, mean ranks, names, and the control's
        column.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two columns, or a parameter is out of its range.

    References
    ----------
    J. Demšar. Statistical comparisons of classifiers over multiple data sets. JMLR 7, 2006.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.compare_with_control([[1, 2, 3]] * 6, control=0)
    >>> result.z.round(3), result.holm.round(4)
    (array([0.   , 1.732, 3.464]), array([1.    , 0.0833, 0.0011]))
    """
    table, method_names = as_table("compare_with_control", scores, higher_is_better, names, decimals)
    check_number("compare_with_control", "alpha", alpha, *LEVEL)
    column = column_of("compare_with_control", control, method_names)
    n, k = table.shape
    mean = rank_rows(table).mean(axis=0)
    z = (mean[column] - mean) / standard_error(n, k)
    p_values = 2 * stats.norm.sf(np.abs(z))
    bonferroni_dunn = np.minimum((k - 1) * p_values, 1)
    # The control's own p = 1, the largest, would come last: without it the others are a family of k - 1.
    adjusted = np.insert(holm(np.delete(p_values, column)), column, 1)
    critical = critical_difference(k, n, alpha=alpha, test="bonferroni-dunn")
    return ControlComparison(z, p_values, bonferroni_dunn, adjusted, critical, mean, method_names, column)


def holm(p_values: ArrayLike) -> Floats:
    r"""Adjust m p-values for multiple tests, by Holm's step-down procedure.

    With the p-values in rising order, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\,p_{(j)})`. Rejecting
    where :math:`\tilde p \le \alpha` keeps the family-wise error rate at α, whatever the tests' dependence.

    Parameters
    ----------
    p_values : array-like of shape (m,)
        In any order.

    Returns
    -------
    adjusted : ndarray of shape (m,)
        In the same order.

    Raises
    ------
    ValueError
        If one is not in [0, 1].

    References
    ----------
    S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = as_floats("holm", "p_values", p_values)
    check("holm", "p_values", p_values, p.ndim == 1 and np.all((p >= 0) & (p <= 1)), "numbers in the range [0, 1]")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order]), 1)
    return adjusted


def wilcoxon_holm(
    scores: ArrayLike,
    *,
    control: int | str | None = None,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    decimals: int | None = None,
    zero_method: str = "pratt",
    exact: bool | None = None,
) -> PairwiseWilcoxon:
    r"""Compare pairs of methods by Wilcoxon's signed-rank test, with Holm's correction over the pairs.

    The statistic is :math:`W^+ = \sum_{i : d_i > 0} \operatorname{rank} |d_i|`, with :math:`d_i` the difference of two
    methods on data set i. Under the null hypothesis each sign is the toss of a fair coin; the exact p-value sums over
    all tosses, given the ranks, ties and zeros as they are. Differences are freed of floating-point noise first: equal
    ones tie.

    Parameters
    ----------
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them.
    control : int or str, default=None
        The column or name of a method to compare the others with: k - 1 pairs. None: all k(k - 1)/2 pairs.
    higher_is_better : bool, default=True
        Whether a higher score is better; otherwise a lower one is.
    names : sequence of str, default=None
        The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
    decimals : int, default=None
        Round the scores to this number of decimals first. That makes ties, and should be reported with the result.
    zero_method : {"pratt", "wilcox"}, default="pratt"
        Differences of zero are ranked with the others and then left out (Pratt, 1959), or left out at once (Wilcoxon).
    exact : bool, default=None
        Whether p-values are exact, or by the normal approximation. None: exact up to 100 data sets.

    Returns
    -------
    result : PairwiseWilcoxon
        p-values, adjusted for the pairs compared and as they are, rank-biserial correlations, and names.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two columns, or a parameter is out of its range.

    References
    ----------
    F. Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1, 1945.
    J. W. Pratt. Remarks on zeros and ties in the Wilcoxon signed rank procedures. JASA 54, 1959.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.wilcoxon_holm([[1, 2, 4], [1, 3, 7], [1, 4, 3], [1, 5, 9], [1, 6, 8], [1, 7, 11]])
    >>> result.raw_p_values[0], result.p_values[0]
    (array([1.     , 0.03125, 0.03125]), array([1.     , 0.09375, 0.09375]))
    """
    owner = "wilcoxon_holm"
    table, method_names = as_table(owner, scores, higher_is_better, names, decimals)
    check_one_of(owner, "zero_method", zero_method, ("pratt", "wilcox"))
    if exact is not None:
        check_bool(owner, "exact", exact)
    n, k = table.shape
    pairs = list(combinations(range(k), 2))
    if control is not None:
        column = column_of(owner, control, method_names)
        pairs = [pair for pair in pairs if column in pair]
    is_exact = n <= MOST_EXACT if exact is None else exact
    tests = [_signed_rank(difference(table, i, j), zero_method, is_exact) for i, j in pairs]
    i, j = np.transpose(pairs)
    raw, adjusted, effect = (np.where(np.eye(k, dtype=bool), own, np.nan) for own in (1.0, 1.0, 0.0))
    raw[i, j], effect[i, j] = np.transpose(tests)
    adjusted[i, j] = holm(raw[i, j])
    raw[j, i], adjusted[j, i], effect[j, i] = raw[i, j], adjusted[i, j], -effect[i, j]
    return PairwiseWilcoxon(adjusted, raw, effect, method_names)


def _signed_rank(d: Floats, zero_method: str, exact: bool) -> tuple[float, float]:
    """Return the two-sided p-value of Wilcoxon's signed-rank test and the rank-biserial correlation."""
    # Own code: SciPy's exact distribution knows no ties, and scores of two or three decimals are full of them.
    if zero_method == "wilcox":
        d = d[d != 0]
    ranks = stats.rankdata(np.abs(d))[d != 0]
    if ranks.size == 0:
        return 1.0, 0.0
    total = ranks.sum()
    plus = ranks[d[d != 0] > 0].sum()
    smaller = min(plus, total - plus)
    if exact:
        # P(W = w) by convolution over the coins; in units of ½, so that the shared ranks of ties are integers.
        probability = np.zeros(round(2 * total) + 1)
        probability[0] = 1
        for rank in np.rint(2 * ranks).astype(int):
            tails = 0.5 * probability
            probability = tails.copy()
            probability[rank:] += tails[:-rank]
        tail = probability[: round(2 * smaller) + 1].sum()
    else:
        # The variance of a coin that pays r or nothing is r²/4: corrections for ties and zeros are built in.
        tail = stats.norm.cdf((smaller - total / 2) / np.sqrt(np.sum(ranks**2) / 4))
    return min(1.0, 2 * float(tail)), float((2 * plus - total) / total)
