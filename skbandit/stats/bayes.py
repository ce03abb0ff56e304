"""The Bayesian signed-rank test: the probability that one method is better than another, by enough to matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skbandit.stats._table import (
    MOST_DRAWS,
    ROUND_OFF,
    Floats,
    Names,
    as_table,
    check_int,
    check_number,
    difference,
    generator_of,
)

#: Weights that are drawn at a time: 32 MiB in double precision.
CHUNK = 2**22


class BayesianSignedRank(NamedTuple):
    """Probabilities of pairs of methods, from `bayesian_signed_rank`; for a pair the three add up to 1."""

    left: Floats  #: f[n_methods, n_methods]: P(the row's method is better, by more than the ROPE)
    rope: Floats  #: f[n_methods, n_methods]: P(the two are practically equivalent)
    right: Floats  #: f[n_methods, n_methods]: P(the column's method is better): ``left`` transposed
    names: Names  #: in the order of the columns


def bayesian_signed_rank(
    scores: ArrayLike,
    *,
    rope: float = 0.0,
    higher_is_better: bool = True,
    names: Sequence[str] | None = None,
    prior_strength: float = 0.5,
    n_samples: int = 50_000,
    random_state: int | np.random.Generator | None = None,
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
    scores : array-like of shape (n_data_sets, n_methods)
        One finite number for each data set and method, for example the mean over seeds; or a data frame of them.
    rope : float, default=0.0
        Differences up to r = ``rope``, in the units of the scores, do not matter. 0: there is no such region.
    higher_is_better : bool, default=True
        Whether a higher score is better; otherwise a lower one is.
    names : sequence of str, default=None
        The methods' names. None: the columns of a data frame, or "method 0", "method 1" and so on.
    prior_strength : float, default=0.5
        The weight s of the pseudo-observation, in data sets.
    n_samples : int, default=50000
        Draws from the posterior, the same for all pairs. The standard error of a probability is at most
        1 / (2 √n_samples): 0.0022 by default.
    random_state : int, numpy.random.Generator or None, default=None
        The source of random numbers.

    Returns
    -------
    result : BayesianSignedRank
        The three probabilities of each pair, and names.

    Raises
    ------
    ValueError
        If the scores are no table of finite numbers with at least two columns, or a parameter is out of its range.

    References
    ----------
    A. Benavoli, G. Corani, J. Demšar and M. Zaffalon. Time for a change: a tutorial for comparing multiple classifiers
    through Bayesian analysis. JMLR 18, 2017.

    Examples
    --------
    >>> from skbandit import stats
    >>> scores = [[0.90, 0.86], [0.71, 0.68], [0.82, 0.80], [0.95, 0.94], [0.66, 0.60]]
    >>> result = stats.bayesian_signed_rank(scores, rope=0.01, random_state=0)
    >>> f"better by more than a point: {result.left[0, 1]:.2f}, equivalent: {result.rope[0, 1]:.2f}"
    'better by more than a point: 0.99, equivalent: 0.01'
    """
    owner = "bayesian_signed_rank"
    table, method_names = as_table(owner, scores, higher_is_better, names)
    check_number(owner, "rope", rope, lambda r: 0 <= r < np.inf, "a finite number, at least 0")
    check_number(owner, "prior_strength", prior_strength, lambda s: 0 < s < np.inf, "a positive number")
    check_int(owner, "n_samples", n_samples, 1, MOST_DRAWS)
    rng = generator_of(owner, random_state)
    n, k = table.shape
    pairs = list(combinations(range(k), 2))
    wins = np.zeros((len(pairs), 3))
    chunk = max(1, CHUNK // (n + 1))
    for start in range(0, n_samples, chunk):
        w = rng.dirichlet([prior_strength, *np.ones(n)], min(chunk, n_samples - start))
        for pair, (i, j) in enumerate(pairs):
            d = np.append(0.0, difference(table, i, j))
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
