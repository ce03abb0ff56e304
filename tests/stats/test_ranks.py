"""Mean ranks, critical differences and cliques."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import C45, FEW, tables

from skbandit import stats

#: The studentized range's quantile over √2, for k = 2, 3, …
NEMENYI_05 = [1.960, 2.344, 2.569, 2.728, 2.850, 2.948, 3.031, 3.102, 3.164]
NEMENYI_05 += [3.219, 3.268, 3.313, 3.354, 3.391, 3.426, 3.458, 3.489, 3.517, 3.544]
NEMENYI_10 = [1.645, 2.052, 2.291, 2.460, 2.589, 2.693, 2.780, 2.855, 2.920, 2.978, 3.030]
DUNN_05 = [1.960, 2.241, 2.394, 2.498, 2.576, 2.638, 2.690, 2.734, 2.773, 2.807, 2.838]


def test_ties_share_the_mean_of_their_ranks_and_are_counted():
    result = stats.mean_ranks([[3, 2, 2, 1], [5, 5, 5, 1], [1, 2, 3, 4]])
    np.testing.assert_array_equal(result.ranks, [[1, 2.5, 2.5, 4], [2, 2, 2, 4], [4, 3, 2, 1]])
    np.testing.assert_array_equal(result.n_tied, [2, 3, 0])
    np.testing.assert_allclose(result.mean_ranks, [7 / 3, 7.5 / 3, 6.5 / 3, 3])


def test_decimals_round_before_ranking():
    scores = [[0.901, 0.904, 0.92]]
    np.testing.assert_array_equal(stats.mean_ranks(scores).ranks, [[3, 2, 1]])
    np.testing.assert_array_equal(stats.mean_ranks(scores, decimals=2).ranks, [[2.5, 2.5, 1]])


def test_mean_ranks_are_those_that_demsar_published():
    np.testing.assert_allclose(stats.mean_ranks(C45).mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)


@pytest.mark.parametrize(
    ("test", "alpha", "table"),
    [("nemenyi", 0.05, NEMENYI_05), ("nemenyi", 0.10, NEMENYI_10), ("bonferroni-dunn", 0.05, DUNN_05)],
)
def test_critical_values_are_the_tabulated_ones(test, alpha, table):
    for k, q in enumerate(table, start=2):
        difference = stats.critical_difference(k, 14, alpha=alpha, test=test)
        assert difference / np.sqrt(k * (k + 1) / (6 * 14)) == pytest.approx(q, abs=5.1e-4)


@pytest.mark.parametrize(
    ("k", "n", "alpha", "test", "published"),
    [
        (4, 14, 0.05, "nemenyi", 1.25),  # Demšar's example
        (4, 14, 0.10, "nemenyi", 1.12),
        (4, 14, 0.05, "bonferroni-dunn", 1.17),
        (4, 14, 0.10, "bonferroni-dunn", 1.04),
        (11, 14, 0.05, "nemenyi", 4.03),  # beyond the tables' usual end at k = 10
        (25, 16, 0.05, "nemenyi", 9.52),
        (19, 6, 0.05, "nemenyi", 11.43),
    ],
)
def test_critical_difference_of_known_cases(k, n, alpha, test, published):
    assert stats.critical_difference(k, n, alpha=alpha, test=test) == pytest.approx(published, abs=5.1e-3)


@FEW
@given(tables(), st.integers(0, 99))
def test_cliques_are_the_maximal_runs_without_a_significant_pair(scores, seed):
    k = scores.shape[1]
    p_values = np.random.default_rng(seed).uniform(0, 0.2, (k, k))
    p_values = np.maximum(p_values, p_values.T)
    mean = stats.mean_ranks(scores).mean_ranks
    order = np.argsort(mean, kind="stable")
    runs = [order[i:j] for i in range(k) for j in range(i + 2, k + 1)]
    quiet = [set(run) for run in runs if all(p_values[a, b] > 0.05 for a, b in itertools.combinations(run, 2))]
    maximal = [run for run in quiet if not any(run < other for other in quiet)]
    assert [set(clique) for clique in stats.cliques(mean, p_values)] == maximal
