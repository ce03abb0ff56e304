"""Friedman's test, tests of mean ranks, Holm's correction, and Wilcoxon's signed-rank test."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from published import (
    C45,
    C45_NAMES,
    DEEP,
    DEEP_NAMES,
    FEW,
    GREEDY,
    MAGNITUDE,
    MODEL,
    POLICIES,
    UCB1,
    continuous,
    tables,
)
from scipy import stats as scipy_stats

from skbandit import stats


def test_friedman_equals_demsars_example_up_to_the_correction_for_ties():
    # The paper has χ² = 9.28 and F = 3.69, without the correction. Ties: four on one data set, two on three of them,
    # and with it 4³ - 4 + 3 (2³ - 2) = 78 of N k (k² - 1) = 840.
    c = 1 - 78 / 840
    result = stats.friedman(C45)
    assert result.chi2 * c == pytest.approx(9.28, abs=5e-3)
    assert result.df == (3, 39)
    uncorrected = result.chi2 * c
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=5e-3)
    assert result.f == pytest.approx(13 * result.chi2 / (14 * 3 - result.chi2), rel=1e-12)


def test_the_deep_network_table_is_reproduced():
    # Published with rank 11 for the best: 12 - rank.
    published = [3.32, 8.11, 7.61, 6.64, 6.96, 8.68, 8.14, 6.71, 6.04, 1.75, 2.04]
    ranks = stats.mean_ranks(DEEP)
    np.testing.assert_allclose(12 - ranks.mean_ranks, published, atol=5.1e-3)
    result = stats.friedman(DEEP)
    assert result.chi2 == pytest.approx(99.942, abs=5e-4)
    assert result.p_value == pytest.approx(5.6e-17, rel=0.01)
    assert (result.f, result.df) == (pytest.approx(32.4, abs=0.05), (10, 130))
    assert result.f_p_value == pytest.approx(1.09e-30, rel=0.01)
    # Without the correction for ties the same ranks give 12 N / (k (k + 1)) (Σ R² - k (k + 1)² / 4) = 78.40.
    assert 12 * 14 / 132 * (np.sum(ranks.mean_ranks**2) - 11 * 144 / 4) == pytest.approx(78.40, abs=5e-3)


@FEW
@given(tables())
def test_friedman_equals_scipy_and_kendalls_w_is_between_0_and_1(scores):
    result = stats.friedman(scores)
    if np.all(scores == scores[:, :1]):
        assert (result.chi2, result.p_value, result.f, result.f_p_value) == (0, 1, 0, 1)
    else:
        oracle = scipy_stats.friedmanchisquare(*scores.T)
        assert (result.chi2, result.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))
        assert -1e-12 < result.kendall_w < 1 + 1e-12


def test_friedman_where_all_data_sets_agree():
    # χ² takes its largest value, N (k - 1) = 10, and F divides by zero.
    result = stats.friedman([[1, 2, 3]] * 5)
    assert result.chi2 == pytest.approx(10)
    assert (result.f, result.f_p_value, result.kendall_w) == (np.inf, 0, pytest.approx(1))


def test_nemenyi_on_the_deep_network_table():
    result = stats.nemenyi(DEEP, names=DEEP_NAMES)
    assert result.critical_difference == pytest.approx(4.035, abs=5e-4)
    assert result.p_values[UCB1, MODEL] == pytest.approx(0.001, abs=5e-4)
    assert (result.p_values[UCB1, [MAGNITUDE, GREEDY]] < 1e-4).all()
    assert result.p_values[UCB1, POLICIES].min() == pytest.approx(0.57, abs=5e-3)


@FEW
@given(tables(), st.sampled_from([0.01, 0.05, 0.1]))
def test_a_nemenyi_p_value_is_significant_where_the_critical_difference_is_reached(scores, alpha):
    result = stats.nemenyi(scores, alpha=alpha)
    distance = np.abs(result.mean_ranks[:, None] - result.mean_ranks)
    np.testing.assert_array_equal(result.p_values <= alpha, distance >= result.critical_difference)
    np.testing.assert_array_equal(result.p_values, result.p_values.T)
    np.testing.assert_array_equal(np.diag(result.p_values), 1)


def test_comparison_with_a_control_is_demsars():
    result = stats.compare_with_control(C45, "C4.5", names=C45_NAMES)
    # R = 3.143, 2.000, 2.893, 1.964, and a standard error of √(4·5 / (6·14)) = 0.488: z = 1.143 / 0.488 and so on.
    np.testing.assert_allclose(result.z, [0, 2.342, 0.512, 2.416], atol=1e-3)
    np.testing.assert_allclose(result.p_values, [1, 0.019, 0.608, 0.016], atol=6e-4)
    p = result.p_values
    # Rising: the fourth, the second, the third. Holm multiplies by 3, 2, 1 and takes running maxima.
    np.testing.assert_allclose(result.holm, [1, max(3 * p[3], 2 * p[1]), p[2], 3 * p[3]])
    np.testing.assert_allclose(result.bonferroni_dunn, [1, 3 * p[1], 1, 3 * p[3]])
    assert result.critical_difference == pytest.approx(1.17, abs=5e-3)
    assert result.control == 0


def test_holm_by_hand():
    # Rising .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04, and a running maximum.
    np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(stats.holm([0.9, 0.8]), [1, 1])
    assert stats.holm([]).size == 0


@FEW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values):
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    np.testing.assert_allclose(stats.holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-15)


def signed_rank_by_enumeration(d, zero_method):
    """The two-sided p-value, over all 2^n assignments of signs."""
    d = np.asarray(d)[np.asarray(d) != 0] if zero_method == "wilcox" else np.asarray(d)
    ranks = scipy_stats.rankdata(np.abs(d))[d != 0]
    plus = np.array([np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=ranks.size)])
    observed = np.dot(d[d != 0] > 0, ranks)
    return min(1, 2 * min(np.mean(plus <= observed), np.mean(plus >= observed)))


@pytest.mark.parametrize("zero_method", ["pratt", "wilcox"])
@FEW
@given(arrays(int, st.integers(1, 9), elements=st.integers(-4, 4)))
def test_exact_p_value_with_ties_and_zeros_equals_enumeration(zero_method, d):
    result = stats.wilcoxon_holm(np.stack([d, np.zeros_like(d)], axis=1), zero_method=zero_method)
    assert result.p_values[0, 1] == pytest.approx(signed_rank_by_enumeration(d, zero_method), rel=1e-12)


def test_exact_p_values_without_ties_equal_scipy():
    scores = continuous((30, 3))
    result = stats.wilcoxon_holm(scores)
    for i, j in itertools.combinations(range(3), 2):
        oracle = scipy_stats.wilcoxon(scores[:, i], scores[:, j], method="exact").pvalue
        assert result.raw_p_values[i, j] == result.raw_p_values[j, i] == pytest.approx(oracle, rel=1e-12)


@pytest.mark.parametrize("zero_method", ["pratt", "wilcox"])
def test_the_normal_approximation_is_scipys(zero_method):
    d = np.random.default_rng(0).integers(-5, 9, size=40).astype(float)
    assert np.sum(d == 0) > 0
    result = stats.wilcoxon_holm(np.stack([d, 0 * d], axis=1), zero_method=zero_method, exact=False)
    oracle = scipy_stats.wilcoxon(d, zero_method=zero_method, method="asymptotic", correction=False)
    assert result.p_values[0, 1] == pytest.approx(oracle.pvalue, rel=1e-12)


def test_many_data_sets_take_the_normal_approximation():
    scores = continuous((101, 2))
    by_default, exact, normal = (stats.wilcoxon_holm(scores, exact=e).p_values[0, 1] for e in (None, True, False))
    assert by_default == normal != exact == pytest.approx(normal, abs=1e-3)


def test_rank_biserial_correlation_of_demsars_example():
    # C4.5 against C4.5+m: the paper's sums of ranks, 12 and 93, share out the ranks 1 and 2 of two zeros. Without
    # these (Pratt): 10.5 and 91.5, of 102.
    result = stats.wilcoxon_holm(C45)
    assert result.rank_biserial[1, 0] == -result.rank_biserial[0, 1] == pytest.approx((91.5 - 10.5) / 102)


def test_differences_that_are_equal_in_decimals_tie():
    # 0.82 - 0.81, 0.58 - 0.57 and 0.30 - 0.29 are three different floating-point numbers.
    scores = np.array([[0.82, 0.81], [0.57, 0.58], [0.30, 0.29], [0.9, 0.7]])
    assert len({float(a - b) for a, b in np.abs(scores[:3])}) == 3
    # Ranks 2, 2, 2, 4 with one of the 2s against: (8 - 2) / 10.
    assert stats.wilcoxon_holm(scores).rank_biserial[0, 1] == pytest.approx(0.6)


def test_wilcoxon_holm_corrects_for_the_pairs_compared():
    scores = continuous((10, 4))
    every = stats.wilcoxon_holm(scores)
    i, j = np.triu_indices(4, 1)
    np.testing.assert_allclose(every.p_values[i, j], stats.holm(every.raw_p_values[i, j]))
    control = stats.wilcoxon_holm(scores, control=2)
    others = [0, 1, 3]
    np.testing.assert_array_equal(control.raw_p_values[2, others], every.raw_p_values[2, others])
    np.testing.assert_allclose(control.p_values[2, others], stats.holm(every.raw_p_values[2, others]))
    np.testing.assert_array_equal(control.p_values[:, 2], control.p_values[2])
    assert np.isnan(control.p_values[0, 1])


def test_methods_that_are_equal_everywhere_do_not_differ():
    result = stats.wilcoxon_holm([[0.1, 0.1], [0.2, 0.2]])
    assert result.p_values[0, 1] == 1
    assert result.rank_biserial[0, 1] == 0


@pytest.mark.filterwarnings("ignore")
def test_p_values_equal_those_of_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    np.testing.assert_allclose(stats.nemenyi(DEEP).p_values, posthocs.posthoc_nemenyi_friedman(DEEP), atol=1e-9)
    scores = continuous()  # no ties: SciPy's exact p-values, too
    oracle = posthocs.posthoc_wilcoxon(list(scores.T), p_adjust="holm")
    np.testing.assert_allclose(stats.wilcoxon_holm(scores).p_values, oracle, rtol=1e-9)
