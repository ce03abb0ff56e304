r"""Statistical comparison of several methods over several data sets.

The input is a table of scores: a row for each data set, a column for each method. The comparison has three steps:

1. `friedman` tests whether there is any difference between the methods;
2. `wilcoxon_holm` tests which pairs of methods differ;
3. `bayesian_signed_rank` estimates how likely it is that a difference is large enough to matter.

`mean_ranks` and `bootstrap_interval` describe the table; `cliques`, and `skbandit.CriticalDifferenceDisplay`, show what
a test says about it. `nemenyi`, `compare_with_control` and `critical_difference` compare mean ranks, as diagrams of
earlier work do.

In all functions rank 1 is the best, a positive difference is an advantage, and methods come out in the order of the
columns. The result is a NamedTuple with a description of each field. A ValueError names the parameter that is out of
its range.

Examples
--------
Four methods and eight data sets; ``names`` are those of the columns.

>>> from skbandit import stats
>>> names = ["ucb1", "racing", "magnitude", "random"]
>>> scores = [
...     [0.91, 0.92, 0.85, 0.84],
...     [0.76, 0.75, 0.70, 0.71],
...     [0.88, 0.90, 0.83, 0.80],
...     [0.69, 0.68, 0.62, 0.64],
...     [0.95, 0.96, 0.90, 0.88],
...     [0.82, 0.84, 0.75, 0.77],
...     [0.58, 0.59, 0.55, 0.51],
...     [0.79, 0.78, 0.73, 0.74],
... ]
>>> stats.friedman(scores).f_p_value < 0.001
True
>>> ranks = stats.mean_ranks(scores, names=names)
>>> dict(zip(names, ranks.mean_ranks.tolist()))
{'ucb1': 1.625, 'racing': 1.375, 'magnitude': 3.5, 'random': 3.5}
>>> pairs = stats.wilcoxon_holm(scores, names=names)
>>> pairs.p_values[0].round(3)
array([1.   , 0.688, 0.047, 0.047])
>>> stats.cliques(ranks.mean_ranks, pairs.p_values)
[(1, 0), (2, 3)]
>>> bayes = stats.bayesian_signed_rank(scores, rope=0.02, random_state=0)
>>> f"ucb1 and racing are equivalent: {bayes.rope[0, 1]:.2f}; ucb1 is better than random: {bayes.left[0, 3]:.2f}"
'ucb1 and racing are equivalent: 1.00; ucb1 is better than random: 1.00'
"""

from skbandit.stats.bayes import BayesianSignedRank, bayesian_signed_rank
from skbandit.stats.bootstrap import BootstrapInterval, bootstrap_interval
from skbandit.stats.ranks import MeanRanks, cliques, critical_difference, mean_ranks
from skbandit.stats.tests import (
    ControlComparison,
    Friedman,
    Nemenyi,
    PairwiseWilcoxon,
    compare_with_control,
    friedman,
    holm,
    nemenyi,
    wilcoxon_holm,
)

__all__ = [
    "BayesianSignedRank",
    "BootstrapInterval",
    "ControlComparison",
    "Friedman",
    "MeanRanks",
    "Nemenyi",
    "PairwiseWilcoxon",
    "bayesian_signed_rank",
    "bootstrap_interval",
    "cliques",
    "compare_with_control",
    "critical_difference",
    "friedman",
    "holm",
    "mean_ranks",
    "nemenyi",
    "wilcoxon_holm",
]
