import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from skbandit import stats

FEW = settings(max_examples=25, deadline=None, derandomize=True)

#: Demšar (2006), table 6: AUC of four variants of C4.5. On voting the paper ranks the third before the fourth, though
#: both are printed as .975: hence the .97501.
C45 = np.array([
    [0.763, 0.768, 0.771, 0.798],  # adult
    [0.599, 0.591, 0.590, 0.569],  # breast cancer
    [0.954, 0.971, 0.968, 0.967],  # breast cancer Wisconsin
    [0.628, 0.661, 0.654, 0.657],  # cmc
    [0.882, 0.888, 0.886, 0.898],  # ionosphere
    [0.936, 0.931, 0.916, 0.931],  # iris
    [0.661, 0.668, 0.609, 0.685],  # liver disorders
    [0.583, 0.583, 0.563, 0.625],  # lung cancer
    [0.775, 0.838, 0.866, 0.875],  # lymphography
    [1.000, 1.000, 1.000, 1.000],  # mushroom
    [0.940, 0.962, 0.965, 0.962],  # primary tumor
    [0.619, 0.666, 0.614, 0.669],  # rheum
    [0.972, 0.981, 0.97501, 0.975],  # voting
    [0.957, 0.978, 0.946, 0.970],  # wine
])  # fmt: skip
C45_NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]

#: Accuracies of pruned deep networks, 14 tasks, from the tables published with the bandit pruning papers.
DEEP_NAMES = ["model", "eps", "dec eps", "softmax", "dec softmax", "ucb1", "ts", "hedge", "exp3", "magnitude", "greedy"]
DEEP = np.array([
    [0.786, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.75, 0.74],
    [0.98, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.97, 0.95],
    [0.50, 0.57, 0.57, 0.55, 0.55, 0.58, 0.58, 0.53, 0.54, 0.53, 0.57],
    [0.56, 0.58, 0.58, 0.56, 0.56, 0.57, 0.57, 0.56, 0.56, 0.55, 0.54],
    [0.81, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.81, 0.80],
    [0.43, 0.45, 0.45, 0.44, 0.45, 0.45, 0.45, 0.44, 0.44, 0.43, 0.41],
    [0.87, 0.89, 0.89, 0.88, 0.89, 0.89, 0.89, 0.89, 0.88, 0.83, 0.84],
    [0.96, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.90, 0.92],
    [0.99, 1.00, 0.99, 0.99, 0.99, 1.00, 1.00, 0.99, 0.99, 0.93, 0.93],
    [0.80, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.79, 0.78],
    [0.82, 0.84, 0.83, 0.83, 0.83, 0.84, 0.84, 0.83, 0.80, 0.80, 0.81],
    [0.82, 0.83, 0.83, 0.83, 0.83, 0.83, 0.83, 0.83, 0.80, 0.80, 0.80],
    [0.86, 0.87, 0.88, 0.87, 0.87, 0.88, 0.87, 0.87, 0.88, 0.81, 0.83],
    [0.96, 0.97, 0.95, 0.98, 0.97, 0.98, 0.97, 0.98, 0.98, 0.90, 0.92],
])  # fmt: skip
MODEL, UCB1, TS, MAGNITUDE, GREEDY = (DEEP_NAMES.index(name) for name in ("model", "ucb1", "ts", "magnitude", "greedy"))
POLICIES = slice(1, 9)

#: The studentized range's quantile over √2, for k = 2, 3, …
NEMENYI_05 = [1.960, 2.344, 2.569, 2.728, 2.850, 2.948, 3.031, 3.102, 3.164]
NEMENYI_05 += [3.219, 3.268, 3.313, 3.354, 3.391, 3.426, 3.458, 3.489, 3.517, 3.544]
NEMENYI_10 = [1.645, 2.052, 2.291, 2.460, 2.589, 2.693, 2.780, 2.855, 2.920, 2.978, 3.030]
DUNN_05 = [1.960, 2.241, 2.394, 2.498, 2.576, 2.638, 2.690, 2.734, 2.773, 2.807, 2.838]


@st.composite
def tables(draw, least=(2, 3)):
    """Scores in twentieths, so that ties are frequent and sums are inexact."""
    shape = draw(st.tuples(st.integers(least[0], 8), st.integers(least[1], 5)))
    return draw(arrays(int, shape, elements=st.integers(0, 20))) / 20


def continuous(shape=(12, 4), seed=0):
    return np.random.default_rng(seed).normal(size=shape) + 0.3 * np.arange(shape[1])


# ---- ranks and Friedman


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


# ---- mean-rank tests


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


# ---- Holm, Wilcoxon, cliques


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


# ---- Bayesian signed-rank test


@pytest.mark.parametrize(
    ("d", "prior_strength", "left"),
    [
        # One difference d, and weights (w, 1 - w) of the pseudo-observation 0 and of d: w ~ Beta(s, 1), P(w < x) = x^s.
        # d > 2r: only the pseudo-observation with itself is in the ROPE: left = 1 - w² > w² where w < √½.
        (0.3, 0.5, 0.5**0.25),
        (0.3, 1.0, 0.5**0.5),
        # r < d < 2r: only d with itself is out of it: left = (1 - w)² > ½ where w < 1 - √½.
        (0.15, 0.5, (1 - 0.5**0.5) ** 0.5),
        (0.15, 2.0, (1 - 0.5**0.5) ** 2),
        (0.05, 0.5, 0.0),  # d < r: everything is inside
    ],
)
def test_bayesian_signed_rank_in_closed_form(d, prior_strength, left):
    options = {"rope": 0.1, "prior_strength": prior_strength, "n_samples": 40_000, "random_state": 0}
    result = stats.bayesian_signed_rank([[1 + d, 1]], **options)
    # Five standard errors of a share of 40 000 draws: 5 · ½ / 200.
    assert result.left[0, 1] == pytest.approx(left, abs=0.0125)
    assert result.rope[0, 1] == pytest.approx(1 - left, abs=0.0125)


def test_a_difference_as_large_as_the_rope_is_on_its_boundary():
    # 0.58 - 0.57 is a little more than 0.01 in floating point. On the boundary half of (1 - w)² is left, never most.
    result = stats.bayesian_signed_rank([[0.58, 0.57]], rope=0.01, n_samples=1000, random_state=0)
    assert result.rope[0, 1] == 1


@FEW
@given(tables(least=(1, 2)), st.sampled_from([0, 0.05, 0.1]))
def test_bayesian_probabilities_add_up_and_mirror(scores, rope):
    result = stats.bayesian_signed_rank(scores, rope=rope, n_samples=200, random_state=0)
    np.testing.assert_allclose(result.left + result.rope + result.right, 1)
    np.testing.assert_array_equal(result.left, result.right.T)
    np.testing.assert_array_equal(result.rope, result.rope.T)
    mirrored = stats.bayesian_signed_rank(-scores, rope=rope, n_samples=200, random_state=0)
    np.testing.assert_allclose(mirrored.left, result.right, atol=1e-12)


def test_equal_methods_are_equivalent_or_without_a_rope_each_as_likely():
    scores = [[0.5, 0.5], [0.7, 0.7]]
    assert stats.bayesian_signed_rank(scores, rope=0.01, n_samples=100).rope[0, 1] == 1
    assert stats.bayesian_signed_rank(scores, n_samples=100).left[0, 1] == 0.5


def test_bayesian_verdicts_on_the_deep_network_table():
    columns = [MODEL, UCB1, TS]
    result = stats.bayesian_signed_rank(DEEP[:, columns], rope=0.01, random_state=0)
    assert result.rope[1, 2] > 0.99
    assert result.left[1, 0] == pytest.approx(0.98, abs=0.01)


def test_random_state_repeats_the_draws():
    first, second = (stats.bayesian_signed_rank(C45, rope=0.01, n_samples=500, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first.left, second.left)
    generator = np.random.default_rng(3)
    third = stats.bayesian_signed_rank(C45, rope=0.01, n_samples=500, random_state=generator)
    np.testing.assert_array_equal(first.left, third.left)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rope", [0, 0.005, 0.01])
def test_bayesian_signed_rank_equals_baycomp(rope):
    baycomp = pytest.importorskip("baycomp")
    n = 10_000
    # Not in steps of the ROPE: baycomp has no tolerance for floating-point noise on its boundary.
    scores = C45[:, [0, 1]] + np.random.default_rng(0).uniform(0, 1e-5, (14, 2))
    oracle = baycomp.SignedRankTest.probs(scores[:, 0], scores[:, 1], rope=rope, nsamples=n, random_state=0)
    ours = stats.bayesian_signed_rank(scores, rope=rope, n_samples=n, random_state=0)
    # Five standard errors of the difference of two shares: 5 · √(2 · ¼ / n).
    tolerance = 5 * np.sqrt(0.5 / n)
    expected = oracle if rope else (oracle[0], 0, oracle[1])
    found = (ours.left[0, 1], ours.rope[0, 1], ours.right[0, 1])
    assert found == pytest.approx(expected, abs=tolerance)


# ---- bootstrap


def test_bootstrap_of_two_data_sets_by_hand():
    # Advantages 0 and 1: a resample's mean is 0, ½ or 1 with probability ¼, ½, ¼.
    scores = [[0, 0], [1, 0]]
    options = {"statistic": "mean", "control": 1, "random_state": 0}
    wide = stats.bootstrap_interval(scores, **options)
    assert (wide.low[0], wide.estimate[0], wide.high[0]) == (0, 0.5, 1)
    narrow = stats.bootstrap_interval(scores, confidence_level=0.4, **options)
    assert (narrow.low[0], narrow.high[0]) == (0.5, 0.5)
    assert wide.low[1] == wide.high[1] == 0


@pytest.mark.parametrize("interval", ["percentile", "basic", "BCa"])
def test_bootstrap_equals_scipy(interval):
    scores = continuous((15, 2))
    ours = stats.bootstrap_interval(scores, statistic="mean", control=0, interval=interval, random_state=1)
    oracle = scipy_stats.bootstrap(
        (scores[:, 1] - scores[:, 0],), np.mean, method=interval, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (ours.low[1], ours.high[1]) == pytest.approx((oracle.low, oracle.high), rel=1e-9)


def test_median_and_direction_of_an_advantage():
    errors = np.array([[1.0, 3], [1, 4], [2, 9]])
    result = stats.bootstrap_interval(
        errors, statistic="median", control=1, higher_is_better=False, n_resamples=99, random_state=0
    )
    assert result.estimate[0] == 3  # of 2, 3 and 7
    assert (result.low[0], result.high[0]) == (2, 7)


def test_bootstrap_of_mean_ranks_surrounds_them():
    result = stats.bootstrap_interval(DEEP, names=DEEP_NAMES, random_state=0)
    np.testing.assert_allclose(result.estimate, stats.mean_ranks(DEEP).mean_ranks)
    assert (result.low < result.estimate).all()
    assert (result.estimate < result.high).all()
    assert result.high[UCB1] < result.low[MODEL]


# ---- what holds for all


def everything(scores, **options):
    """All that depends on the scores by their ranks only; arrays with the methods along the axes."""
    nemenyi = stats.nemenyi(scores, **options)
    return [stats.mean_ranks(scores, **options).mean_ranks, nemenyi.p_values]


@FEW
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_data_sets_and_of_methods_does_not_matter(scores, random):
    rows, columns = (random.sample(range(n), n) for n in scores.shape)
    moved = scores[np.ix_(rows, columns)]
    assert stats.friedman(moved).chi2 == pytest.approx(stats.friedman(scores).chi2, abs=1e-9)
    index = np.ix_(columns, columns)
    for before, after in zip(everything(scores), everything(moved), strict=True):
        np.testing.assert_allclose(after, before[columns] if before.ndim == 1 else before[index], atol=1e-10)
    before, after = stats.wilcoxon_holm(scores), stats.wilcoxon_holm(moved)
    np.testing.assert_allclose(after.p_values, before.p_values[index], rtol=1e-9)
    np.testing.assert_allclose(after.rank_biserial, before.rank_biserial[index], atol=1e-12)


@FEW
@given(tables(), st.floats(0.5, 3), st.floats(-5, 5))
def test_ranks_and_their_tests_do_not_see_a_monotone_transformation(scores, power, shift):
    # Another one on each data set: units differ from task to task.
    units = np.linspace(1, 2, len(scores))[:, None]
    transformed = units * (scores + 0.1) ** power + shift
    assert stats.friedman(transformed) == stats.friedman(scores)
    for before, after in zip(everything(scores), everything(transformed), strict=True):
        np.testing.assert_array_equal(before, after)


@FEW
@given(tables())
def test_lower_is_better_is_the_same_as_negated_scores(scores):
    for before, after in zip(everything(scores, higher_is_better=False), everything(-scores), strict=True):
        np.testing.assert_array_equal(before, after)
    ours = stats.wilcoxon_holm(scores, higher_is_better=False).rank_biserial
    np.testing.assert_array_equal(ours, stats.wilcoxon_holm(-scores).rank_biserial)


def test_a_wilcoxon_p_value_does_not_depend_on_other_methods_as_a_mean_rank_does():
    two = C45[:, :2]
    crowd = np.column_stack([two, two[:, :1] + 1e-4, two[:, :1] + 2e-4])
    assert stats.wilcoxon_holm(crowd).raw_p_values[0, 1] == stats.wilcoxon_holm(two).raw_p_values[0, 1]
    # The second is better on ten data sets, worse on two and equal on two: 8 / 14 of a rank. With two methods that are
    # the first one, a little better, the ten count three ranks each: 28 / 14, from the same scores.
    apart = [np.diff(stats.mean_ranks(table).mean_ranks[:2])[0] for table in (two, crowd)]
    assert apart == pytest.approx([-8 / 14, -28 / 14])


def test_a_data_frame_names_the_methods():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(C45, columns=C45_NAMES)
    assert stats.mean_ranks(frame).names == tuple(C45_NAMES)
    assert stats.nemenyi(frame, names="abcd").names == ("a", "b", "c", "d")
    assert stats.compare_with_control(frame, "C4.5+cf").control == 2
    np.testing.assert_array_equal(stats.nemenyi(frame).p_values, stats.nemenyi(C45).p_values)
    assert stats.mean_ranks([[1, 2]]).names == ("method 0", "method 1")


WITH_NAN = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 1.0)
FUNCTIONS = {
    "mean_ranks": stats.mean_ranks,
    "friedman": stats.friedman,
    "nemenyi": stats.nemenyi,
    "compare_with_control": lambda scores: stats.compare_with_control(scores, 0),
    "wilcoxon_holm": stats.wilcoxon_holm,
    "bayesian_signed_rank": stats.bayesian_signed_rank,
    "bootstrap_interval": stats.bootstrap_interval,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_is_refused_and_found(name):
    with pytest.raises(ValueError, match=f"'scores' parameter of {name} must be finite.*'method 1' on data set 2"):
        FUNCTIONS[name](WITH_NAN)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scores", [[1, 2, 3], [[1], [2]], np.ones((0, 3)), np.ones((2, 3, 4))])
def test_scores_of_another_shape_are_refused(name, scores):
    with pytest.raises(ValueError, match=f"'scores' parameter of {name} must be of a shape"):
        FUNCTIONS[name](scores)


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda: stats.mean_ranks(C45, names=["a", "b"]), "names"),
        (lambda: stats.mean_ranks(C45, names=["a", "b", "c", "a"]), "names"),
        (lambda: stats.friedman(C45[:, :2]), "scores"),
        (lambda: stats.friedman(C45[:1]), "scores"),
        (lambda: stats.critical_difference(1, 10), "n_methods"),
        (lambda: stats.critical_difference(3, 0), "n_data_sets"),
        (lambda: stats.critical_difference(3, 10, alpha=0), "alpha"),
        (lambda: stats.critical_difference(3, 10, test="tukey"), "test"),
        (lambda: stats.compare_with_control(C45, 4), "control"),
        (lambda: stats.compare_with_control(C45, "x"), "control"),
        (lambda: stats.wilcoxon_holm(C45, control=-1), "control"),
        (lambda: stats.wilcoxon_holm(C45, zero_method="zsplit"), "zero_method"),
        (lambda: stats.holm([0.5, 1.5]), "p_values"),
        (lambda: stats.holm([np.nan]), "p_values"),
        (lambda: stats.cliques([1, 2, 3], np.ones((2, 2))), "p_values"),
        (lambda: stats.cliques([1, 2], [[1, np.nan], [np.nan, 1]]), "p_values"),
        (lambda: stats.bayesian_signed_rank(C45, rope=-1), "rope"),
        (lambda: stats.bayesian_signed_rank(C45, prior_strength=0), "prior_strength"),
        (lambda: stats.bayesian_signed_rank(C45, n_samples=0), "n_samples"),
        (lambda: stats.bootstrap_interval(C45, statistic="mean"), "control"),
        (lambda: stats.bootstrap_interval(C45, statistic="mode"), "statistic"),
        (lambda: stats.bootstrap_interval(C45, confidence_level=95), "confidence_level"),
        (lambda: stats.bootstrap_interval(C45, interval="bca"), "interval"),
        (lambda: stats.bootstrap_interval(C45, n_resamples=0), "n_resamples"),
    ],
)
def test_errors_name_the_parameter(call, parameter):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of"):
        call()


# ---- another library


@pytest.mark.filterwarnings("ignore")
def test_p_values_equal_those_of_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    np.testing.assert_allclose(stats.nemenyi(DEEP).p_values, posthocs.posthoc_nemenyi_friedman(DEEP), atol=1e-9)
    scores = continuous()  # no ties: SciPy's exact p-values, too
    oracle = posthocs.posthoc_wilcoxon(list(scores.T), p_adjust="holm")
    np.testing.assert_allclose(stats.wilcoxon_holm(scores).p_values, oracle, rtol=1e-9)
