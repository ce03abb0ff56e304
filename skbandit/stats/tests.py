r"""Comparison of methods over data sets: ranks, tests and intervals.

A comparison in steps: `friedman` (is there any difference?), `wilcoxon_holm` (between which methods?), then
`bayesian_signed_rank` (is it large enough to matter?). `nemenyi` is there to continue the diagrams of earlier work: its
verdict on two methods depends on which others are in the table (Benavoli, Corani and Mangili, JMLR 17, 2016).

Conventions, for all functions. N is the number of data sets, k that of methods, :math:`R_j` a mean rank; rank 1 is best
and a positive difference is an advantage. Methods come out in the order of the columns. Parameters that many share:

scores : array-like (n_data_sets, n_methods)
    One number per data set and method (the mean over seeds, say), or a data frame of them. NaN is refused.
higher_is_better : bool
    Whether the highest score gets rank 1; otherwise the lowest.
names : sequence of str, optional
    The methods' names; by default a data frame's columns, or "method 0", "method 1", …
decimals : int, optional
    Round the scores first. That makes ties, and should be reported with the result.
control : int or str
    A method's column, or its name.
random_state : int, numpy.random.Generator or None
    The source of random numbers.

A function's result is a NamedTuple whose fields are described with it. ValueError names the parameter that is out of
its range.

Sources: J. Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7, 2006; for the Bayesian test
A. Benavoli, G. Corani, J. Demšar and M. Zaffalon, Time for a change, JMLR 18, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Names = tuple[str, ...]

#: Differences below this share of the scores are none. 0.82 - 0.81 and 0.58 - 0.57 must tie, and in floating point they
#: do not: a subtraction leaves some 2e-16 of the larger number.
ROUND_OFF = 1e-12

#: Up to so many data sets, signed-rank p-values are exact: N sums over N² values, 1e6 operations for a pair of methods.
MOST_EXACT = 100


class MeanRanks(NamedTuple):
    """What `mean_ranks` returns."""

    mean_ranks: Floats  #: f[n_methods]; 1 is best
    ranks: Floats  #: f[n_data_sets, n_methods]; equal scores share the mean of their ranks
    n_tied: NDArray[np.int64]  #: i[n_data_sets]: how many methods share their rank with another one
    names: Names


class Friedman(NamedTuple):
    """What `friedman` returns."""

    chi2: float  #: Friedman's statistic, corrected for ties
    p_value: float  #: from the χ² distribution
    f: float  #: Iman and Davenport's statistic
    f_p_value: float  #: from the F distribution
    df: tuple[int, int]  #: (k - 1, (k - 1)(N - 1)), for F; the first one for χ²
    kendall_w: float  #: effect size: 0 where data sets rank the methods at random, 1 where all agree


class Nemenyi(NamedTuple):
    """What `nemenyi` returns."""

    critical_difference: float
    p_values: Floats  #: f[n_methods, n_methods], adjusted for all pairs; 1 on the diagonal
    mean_ranks: Floats  #: f[n_methods]
    names: Names


class ControlComparison(NamedTuple):
    """What `compare_with_control` returns; z = 0 and p = 1 for the control itself."""

    z: Floats  #: f[n_methods]; positive where a method ranks better than the control
    p_values: Floats  #: f[n_methods], two-sided, not adjusted
    bonferroni_dunn: Floats  #: f[n_methods], adjusted for k - 1 comparisons
    holm: Floats  #: f[n_methods], adjusted for the same
    critical_difference: float  #: Bonferroni and Dunn's
    mean_ranks: Floats  #: f[n_methods]
    names: Names
    control: int  #: the control's column


class PairwiseWilcoxon(NamedTuple):
    """What `wilcoxon_holm` returns, each f[n_methods, n_methods]; NaN where a pair was not compared."""

    p_values: Floats  #: adjusted for the pairs compared; 1 on the diagonal
    raw_p_values: Floats  #: two-sided, not adjusted
    rank_biserial: Floats  #: effect size, (W⁺ - W⁻) / (W⁺ + W⁻): 1 where the row's method is never the worse one
    names: Names


class BayesianSignedRank(NamedTuple):
    """What `bayesian_signed_rank` returns, each f[n_methods, n_methods]; for a pair the three add up to 1."""

    left: Floats  #: P(the row's method is better, by more than the ROPE)
    rope: Floats  #: P(the two are practically equivalent)
    right: Floats  #: P(the column's method is better): ``left`` transposed
    names: Names


class BootstrapInterval(NamedTuple):
    """An estimate and the ends of its confidence interval, each f[n_methods]."""

    estimate: Floats
    low: Floats
    high: Floats
    names: Names


def mean_ranks(
    scores: ArrayLike, *, higher_is_better: bool = True, names: Sequence[str] | None = None, decimals: int | None = None
) -> MeanRanks:
    r"""Rank the methods on each data set, and average: :math:`R_j = \frac1N \sum_i r_{ij}`.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.mean_ranks([[0.9, 0.8, 0.8], [0.7, 0.6, 0.5]], names=["a", "b", "c"])
    >>> result.mean_ranks, result.n_tied
    (array([1.  , 2.25, 2.75]), array([2, 0]))
    """
    table, method_names = _table("mean_ranks", scores, higher_is_better, names, decimals)
    ranks = _ranks(table)
    shared = np.sum(ranks[:, :, None] == ranks[:, None, :], axis=-1) > 1
    return MeanRanks(ranks.mean(axis=0), ranks, shared.sum(axis=1), method_names)


def friedman(scores: ArrayLike, *, higher_is_better: bool = True, decimals: int | None = None) -> Friedman:
    r"""Test whether all methods are equivalent: Friedman's χ², and Iman and Davenport's F (the less conservative one).

    .. math::
        \chi^2 = \frac{1}{c}\,\frac{12 N}{k (k + 1)} \Bigl[\sum_j R_j^2 - \frac{k (k + 1)^2}{4}\Bigr], \quad
        c = 1 - \frac{\sum_t (t^3 - t)}{N k (k^2 - 1)}, \quad
        F = \frac{(N - 1)\,\chi^2}{N (k - 1) - \chi^2}

    with a sum over the groups of t tied methods. It takes two data sets and three methods at least; for two methods
    there is `wilcoxon_holm`.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.friedman([[1, 2, 3], [1, 2, 3], [2, 1, 3], [1, 2, 3]])
    >>> round(result.chi2, 3), round(result.f, 3), result.df
    (6.5, 13.0, (2, 6))
    """
    table, _ = _table("friedman", scores, higher_is_better, None, decimals, least=(2, 3))
    n, k = table.shape
    df = (k - 1, (k - 1) * (n - 1))
    if np.all(table == table[:, :1]):
        return Friedman(0.0, 1.0, 0.0, 1.0, df, 0.0)
    chi2, p_value = map(float, stats.friedmanchisquare(*table.T))
    rest = n * (k - 1) - chi2
    # Where all data sets agree, what is left of the denominator is rounding.
    f = (n - 1) * chi2 / rest if rest > ROUND_OFF * chi2 else np.inf
    return Friedman(chi2, p_value, f, float(stats.f.sf(f, *df)), df, chi2 / (n * (k - 1)))


def critical_difference(n_methods: int, n_data_sets: int, *, alpha: float = 0.05, test: str = "nemenyi") -> float:
    r"""How many ranks two mean ranks must be apart to differ at level α: :math:`q_\alpha \sqrt{k (k + 1) / (6 N)}`.

    For Nemenyi's test of all pairs, q is the upper α quantile of the studentized range (k groups, infinitely many
    degrees of freedom), over √2; for Bonferroni and Dunn's comparison with a control, the normal distribution's upper
    α / (2(k - 1)) quantile.

    Parameters
    ----------
    n_methods, n_data_sets : int
        k ≥ 2 and N ≥ 1.
    alpha : float
        The family-wise error rate, in (0, 1).
    test : {"nemenyi", "bonferroni-dunn"}
        All pairs, or all methods with a control.

    Examples
    --------
    >>> from skbandit import stats
    >>> round(stats.critical_difference(4, 14), 2)
    1.25
    """
    owner = "critical_difference"
    _check(owner, "n_methods", n_methods, n_methods >= 2, "at least 2")
    _check(owner, "n_data_sets", n_data_sets, n_data_sets >= 1, "at least 1")
    _check(owner, "alpha", alpha, 0 < alpha < 1, "in the range (0, 1)")
    _check(owner, "test", test, test in ("nemenyi", "bonferroni-dunn"), "'nemenyi' or 'bonferroni-dunn'")
    if test == "nemenyi":
        q = stats.studentized_range.isf(alpha, n_methods, np.inf) / np.sqrt(2)
    else:
        q = stats.norm.isf(alpha / (2 * (n_methods - 1)))
    return float(q * _standard_error(n_data_sets, n_methods))


def nemenyi(
    scores: ArrayLike,
    *,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    decimals: int | None = None,
    alpha: float = 0.05,
) -> Nemenyi:
    r"""Compare all pairs of methods by mean ranks, with Nemenyi's test.

    .. math:: p_{ij} = P\Bigl(Q \ge \sqrt2\,|R_i - R_j| \Big/ \sqrt{\tfrac{k (k + 1)}{6 N}}\Bigr)

    with Q the studentized range of k groups and infinitely many degrees of freedom.

    Parameters
    ----------
    scores, higher_is_better, names, decimals
        As the module says.
    alpha : float
        The level of the critical difference.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.nemenyi([[1, 2, 3]] * 6).p_values[0].round(4)
    array([1.    , 0.1932, 0.0015])
    """
    table, method_names = _table("nemenyi", scores, higher_is_better, names, decimals)
    n, k = table.shape
    mean = _ranks(table).mean(axis=0)
    i, j = np.triu_indices(k, 1)
    distance = np.abs(mean[i] - mean[j]) / _standard_error(n, k)
    p_values = np.ones((k, k))
    p_values[i, j] = p_values[j, i] = np.clip(stats.studentized_range.sf(np.sqrt(2) * distance, k, np.inf), 0, 1)
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
    r"""Compare every method with a control, by mean ranks.

    .. math:: z_j = (R_0 - R_j) \Big/ \sqrt{\tfrac{k (k + 1)}{6 N}}, \qquad p_j = 2\,(1 - \Phi(|z_j|))

    Parameters
    ----------
    scores, control, higher_is_better, names, decimals
        As the module says.
    alpha : float
        The level of the critical difference.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.compare_with_control([[1, 2, 3]] * 6, control=0)
    >>> result.z.round(3), result.holm.round(4)
    (array([0.   , 1.732, 3.464]), array([1.    , 0.0833, 0.0011]))
    """
    table, method_names = _table("compare_with_control", scores, higher_is_better, names, decimals)
    column = _column("compare_with_control", control, method_names)
    n, k = table.shape
    mean = _ranks(table).mean(axis=0)
    z = (mean[column] - mean) / _standard_error(n, k)
    p_values = 2 * stats.norm.sf(np.abs(z))
    bonferroni_dunn = np.minimum((k - 1) * p_values, 1)
    # The control's own p = 1, the largest, would come last: without it the others are a family of k - 1.
    adjusted = np.insert(holm(np.delete(p_values, column)), column, 1)
    difference = critical_difference(k, n, alpha=alpha, test="bonferroni-dunn")
    return ControlComparison(z, p_values, bonferroni_dunn, adjusted, difference, mean, method_names, column)


def holm(p_values: ArrayLike) -> Floats:
    r"""Adjust m p-values for multiple tests, by Holm's (1979) step-down procedure.

    With the p-values in rising order, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\,p_{(j)})`. Rejecting
    where :math:`\tilde p \le \alpha` keeps the family-wise error rate at α, whatever the tests' dependence.

    Parameters
    ----------
    p_values : array-like (m,)
        In any order; the adjusted ones come out in the same.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=float)
    _check("holm", "p_values", p_values, p.ndim == 1 and np.all((p >= 0) & (p <= 1)), "numbers in the range [0, 1]")
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
    all tosses, given the ranks, ties and zeros as they are.

    Parameters
    ----------
    scores, higher_is_better, names, decimals
        As the module says. Differences are freed of floating-point noise, so that equal ones tie.
    control : int or str, optional
        Compare with this method only: a family of k - 1 pairs instead of k(k - 1)/2.
    zero_method : {"pratt", "wilcox"}
        Differences of zero are ranked with the others and then left out (Pratt, 1959), or left out at once (Wilcoxon).
    exact : bool, optional
        Exact p-values, or the normal approximation; by default exact up to 100 data sets.

    Examples
    --------
    >>> from skbandit import stats
    >>> result = stats.wilcoxon_holm([[1, 2, 4], [1, 3, 7], [1, 4, 3], [1, 5, 9], [1, 6, 8], [1, 7, 11]])
    >>> result.raw_p_values[0], result.p_values[0]
    (array([1.     , 0.03125, 0.03125]), array([1.     , 0.09375, 0.09375]))
    """
    owner = "wilcoxon_holm"
    table, method_names = _table(owner, scores, higher_is_better, names, decimals)
    _check(owner, "zero_method", zero_method, zero_method in ("pratt", "wilcox"), "'pratt' or 'wilcox'")
    n, k = table.shape
    pairs = list(combinations(range(k), 2))
    if control is not None:
        column = _column(owner, control, method_names)
        pairs = [pair for pair in pairs if column in pair]
    exact = n <= MOST_EXACT if exact is None else exact
    tests = [_signed_rank(_difference(table, i, j), zero_method, exact) for i, j in pairs]
    i, j = np.transpose(pairs)
    raw, adjusted, effect = (np.where(np.eye(k, dtype=bool), own, np.nan) for own in (1.0, 1.0, 0.0))
    raw[i, j], effect[i, j] = np.transpose(tests)
    adjusted[i, j] = holm(raw[i, j])
    raw[j, i], adjusted[j, i], effect[j, i] = raw[i, j], adjusted[i, j], -effect[i, j]
    return PairwiseWilcoxon(adjusted, raw, effect, method_names)


def cliques(mean_ranks: ArrayLike, p_values: ArrayLike, *, alpha: float = 0.05) -> list[tuple[int, ...]]:
    """Groups of methods that a test does not tell apart: the crossbars of a critical-difference diagram.

    A clique is a run of two or more neighbours, in the order of mean ranks, no pair of which differs (p > α for all),
    and which is not part of a longer one. Its methods come out as columns, best first. Pairs that do not differ may be
    in no common clique, where one between them differs: that only the p-values show.

    Parameters
    ----------
    mean_ranks : array-like (n_methods,)
        Mean ranks.
    p_values : array-like (n_methods, n_methods)
        Symmetric and adjusted; not of a comparison with a control only, which leaves pairs out.
    alpha : float
        The level.

    Examples
    --------
    >>> from skbandit import stats
    >>> stats.cliques([1.2, 2.9, 1.9], [[1, 0.01, 0.3], [0.01, 1, 0.2], [0.3, 0.2, 1]])
    [(0, 2), (2, 1)]
    """
    mean, p = np.asarray(mean_ranks, dtype=float), np.asarray(p_values, dtype=float)
    fits = mean.ndim == 1 and p.shape == (mean.size, mean.size) and not np.isnan(p).any()
    _check("cliques", "p_values", p_values, fits, "(n_methods, n_methods) without NaN")
    order = np.argsort(mean, kind="stable")
    same = (p[np.ix_(order, order)] > alpha) | np.eye(mean.size, dtype=bool)
    runs = []
    last_end = 0
    for start in range(mean.size):
        end = start + 1
        while end < mean.size and same[start:end, end].all():
            end += 1
        if end - start > 1 and end > last_end:
            runs.append(tuple(order[start:end].tolist()))
            last_end = end
    return runs


def bayesian_signed_rank(
    scores: ArrayLike,
    *,
    rope: float = 0.0,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    prior_strength: float = 0.5,
    n_samples: int = 50_000,
    random_state: Any = None,
) -> BayesianSignedRank:
    r"""Compare all pairs of methods by the Bayesian signed-rank test, with a region of practical equivalence (ROPE).

    With the differences :math:`d_1, \dots, d_N`, a pseudo-observation :math:`d_0 = 0` and the weights
    :math:`w \sim \operatorname{Dirichlet}(s, 1, \dots, 1)`, a draw from the posterior is

    .. math::
        \theta_\text{left} = \sum_{i,j} w_i w_j [d_i + d_j > 2r], \quad
        \theta_\text{right} = \sum_{i,j} w_i w_j [d_i + d_j < -2r], \quad
        \theta_\text{rope} = 1 - \theta_\text{left} - \theta_\text{right}

    (on the boundary, one half). P(left) is the share of draws in which :math:`\theta_\text{left}` is the largest, and
    so on. There is no correction for the number of pairs: the probabilities are not error rates.

    Parameters
    ----------
    scores, higher_is_better, names, random_state
        As the module says. All pairs share the draws.
    rope : float
        Differences up to r = ``rope`` do not matter, in the scores' units. 0: there is no such region.
    prior_strength : float
        The weight s of the pseudo-observation, in data sets.
    n_samples : int
        Draws. A probability's standard error is at most 1 / (2 √n_samples): 0.0022 by default.

    Examples
    --------
    >>> from skbandit import stats
    >>> scores = [[0.90, 0.86], [0.71, 0.68], [0.82, 0.80], [0.95, 0.94], [0.66, 0.60]]
    >>> result = stats.bayesian_signed_rank(scores, rope=0.01, random_state=0)
    >>> f"better by more than a point: {result.left[0, 1]:.2f}, equivalent: {result.rope[0, 1]:.2f}"
    'better by more than a point: 0.99, equivalent: 0.01'
    """
    owner = "bayesian_signed_rank"
    table, method_names = _table(owner, scores, higher_is_better, names)
    _check(owner, "rope", rope, 0 <= rope < np.inf, "a finite number, at least 0")
    _check(owner, "prior_strength", prior_strength, 0 < prior_strength < np.inf, "a positive number")
    _check(owner, "n_samples", n_samples, n_samples >= 1, "at least 1")
    rng = np.random.default_rng(random_state)
    n, k = table.shape
    pairs = list(combinations(range(k), 2))
    wins = np.zeros((len(pairs), 3))
    chunk = max(1, 2**22 // (n + 1))  # draws that take 32 MiB
    for start in range(0, n_samples, chunk):
        w = rng.dirichlet([prior_strength, *np.ones(n)], min(chunk, n_samples - start))
        for pair, (i, j) in enumerate(pairs):
            d = np.append(0.0, _difference(table, i, j))
            noise = ROUND_OFF * np.abs(table[:, [i, j]]).max()
            beyond = (sign * (d[:, None] + d) - 2 * rope for sign in (1, -1))
            inside = (np.where(np.abs(excess) <= noise, 0.5, excess > 0) for excess in beyond)
            left, right = (np.sum(w @ indicator * w, axis=1) for indicator in inside)
            theta = np.stack([left, 1 - left - right, right], axis=1)
            # Regions of equal weight share a draw: methods that are equal everywhere, at rope=0, win half of them each.
            largest = theta >= theta.max(axis=1, keepdims=True) - ROUND_OFF
            wins[pair] += np.sum(largest / largest.sum(axis=1, keepdims=True), axis=0)
    i, j = np.transpose(pairs)
    p_left, p_rope = np.zeros((k, k)), np.eye(k)
    p_left[i, j], p_rope[i, j], p_left[j, i] = wins.T / n_samples
    p_rope[j, i] = p_rope[i, j]
    return BayesianSignedRank(p_left, p_rope, p_left.T, method_names)


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
    random_state: Any = None,
) -> BootstrapInterval:
    """Confidence intervals of mean ranks, or of an advantage over a control; data sets are drawn with replacement.

    Parameters
    ----------
    scores, control, higher_is_better, names, decimals, random_state
        As the module says; at least two data sets.
    statistic : {"mean_rank", "mean", "median"}
        The mean rank, or the mean or median of a method's advantages over the ``control``, which these two need.
    confidence_level : float
        In (0, 1); of each interval on its own, not of all together.
    interval : {"percentile", "basic", "BCa"}
        The kind, as in `scipy.stats.bootstrap`. "BCa" is more accurate for a mean; for a median, or where many values
        are equal, it may not exist (NaN, and SciPy's warning).
    n_resamples : int
        How often the data sets are drawn.

    Examples
    --------
    >>> from skbandit import stats
    >>> scores = [[0.90, 0.86], [0.71, 0.68], [0.82, 0.80], [0.95, 0.94], [0.66, 0.60]]
    >>> result = stats.bootstrap_interval(scores, statistic="mean", control=1, random_state=0)
    >>> f"{result.estimate[0]:.3f} in [{result.low[0]:.3f}, {result.high[0]:.3f}]"
    '0.032 in [0.018, 0.048]'
    """
    owner = "bootstrap_interval"
    table, method_names = _table(owner, scores, higher_is_better, names, decimals, least=(2, 2))
    _check(owner, "statistic", statistic, statistic in ("mean_rank", "mean", "median"), "'mean_rank', 'mean', 'median'")
    _check(owner, "confidence_level", confidence_level, 0 < confidence_level < 1, "in the range (0, 1)")
    _check(owner, "interval", interval, interval in ("percentile", "basic", "BCa"), "'percentile', 'basic' or 'BCa'")
    _check(owner, "n_resamples", n_resamples, n_resamples >= 1, "at least 1")
    if statistic == "mean_rank":
        values = _ranks(table)
    else:
        column = _column(owner, control, method_names)
        values = np.stack([_difference(table, j, column) for j in range(table.shape[1])], axis=1)
    average = np.median if statistic == "median" else np.mean
    estimate = average(values, axis=0)
    low, high = estimate.copy(), estimate.copy()
    varying = np.ptp(values, axis=0) > 0  # a constant has no bootstrap distribution, and SciPy would warn
    if varying.any():
        options: dict[str, Any] = {"confidence_level": confidence_level, "method": interval, "n_resamples": n_resamples}
        options["batch"] = max(1, 2**22 // values.size)  # resamples that take 32 MiB
        options["random_state"] = np.random.default_rng(random_state)
        result = stats.bootstrap((values[:, varying],), average, axis=0, **options)
        low[varying], high[varying] = result.confidence_interval
    return BootstrapInterval(estimate, low, high, method_names)


def _check(owner: str, name: str, value: Any, valid: Any, allowed: str) -> None:
    if not valid:
        raise ValueError(f"The {name!r} parameter of {owner} must be {allowed}. Got {value!r} instead.")


def _table(
    owner: str, scores: Any, higher_is_better: bool, names: Any, decimals: int | None = None, least: Any = (1, 2)
) -> tuple[Floats, Names]:
    """Return the scores, turned so that higher is better, and the methods' names."""
    table = np.asarray(scores, dtype=float)
    fits = table.ndim == 2 and table.shape[0] >= least[0] and table.shape[1] >= least[1]
    _check(owner, "scores", table.shape, fits, f"of a shape (n_data_sets, n_methods) of at least {least}")
    k = table.shape[1]
    if names is None:
        names = getattr(scores, "columns", None)
    method_names = tuple(f"method {j}" for j in range(k)) if names is None else tuple(str(name) for name in names)
    _check(owner, "names", method_names, len(set(method_names)) == len(method_names) == k, f"{k} different names")
    for row, column in np.argwhere(~np.isfinite(table)):
        where = f"finite, and is not for {method_names[column]!r} on data set {row}"
        _check(owner, "scores", table[row, column], False, where)
    if decimals is not None:
        table = np.round(table, decimals)
    return (table if higher_is_better else -table), method_names


def _column(owner: str, control: int | str | None, names: Names) -> int:
    known = control in names or control in range(len(names))
    _check(owner, "control", control, known, f"a column (0 to {len(names) - 1}) or one of {names}")
    return names.index(control) if isinstance(control, str) else int(control)  # type: ignore[arg-type]


def _ranks(table: Floats) -> Floats:
    return stats.rankdata(-table, axis=1)


def _standard_error(n: int, k: int) -> float:
    """Of the difference of two mean ranks, were all methods equivalent and no scores tied."""
    return float(np.sqrt(k * (k + 1) / (6 * n)))


def _difference(table: Floats, i: int, j: int) -> Floats:
    """How much better method i is than method j on each data set, without floating-point noise."""
    scale = np.abs(table[:, [i, j]]).max()
    if scale == 0:
        return np.zeros(len(table))
    quantum = ROUND_OFF * 2.0 ** np.ceil(np.log2(scale))
    return np.rint((table[:, i] - table[:, j]) / quantum) * quantum


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
