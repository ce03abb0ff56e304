"""What holds for all functions: invariances, names, and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import C45, C45_NAMES, FEW, tables

from skbandit import stats


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


NOT_NUMBERS = [
    *("abc", [["1", "2"], ["3", "4"]], [[1], [1, 2]], [[1j, 2], [3, 4]], np.ones((2, 3)) * 1j, [[None, 1], [2, 3]]),
    *([[10**400, 1], [2, 3]], np.zeros((3, 3), "datetime64[D]"), {"a": 1}, iter([[1, 2]]), None),
]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scores", NOT_NUMBERS, ids=lambda scores: f"{scores!r:.30}".partition(" object at ")[0])
def test_what_numpy_would_make_numbers_of_is_refused(name, scores):
    with pytest.raises(ValueError, match=f"'scores' parameter of {name} must be an array of numbers"):
        FUNCTIONS[name](scores)


@pytest.mark.parametrize(
    ("function", "parameter", "values"),
    [
        (stats.mean_ranks, "higher_is_better", ["yes", 1, None]),
        (stats.mean_ranks, "names", [3, {"a", "b"}, {"a": 1}, b"abcd", iter("abcd"), np.array(0.5)]),
        (stats.mean_ranks, "decimals", [2.5, "1", True, 2**70, -(10**400), np.ones(2)]),
        (stats.nemenyi, "alpha", ["x", None, np.nan, 1j, True, 0, 1, -0.1, 1e-300, np.ones(2), 10**400]),
        (stats.compare_with_control, "alpha", ["x", None, 0, 1]),
        (stats.wilcoxon_holm, "control", [True, 1.0, np.ones(2), [], 4, -1]),
        (stats.wilcoxon_holm, "zero_method", [None, 3, [], np.array(["pratt"])]),
        (stats.wilcoxon_holm, "exact", ["no", 1, np.ones(2)]),
        (stats.bayesian_signed_rank, "rope", ["x", None, np.nan, np.inf, True, 10**400, np.ones(2)]),
        (stats.bayesian_signed_rank, "prior_strength", ["x", None, np.nan, 0, True]),
        (stats.bayesian_signed_rank, "n_samples", [2.5, "x", True, 0, 2**70, 10**400]),
        (stats.bayesian_signed_rank, "random_state", ["x", -1, 2.5, True, object(), 1j]),
        (stats.bootstrap_interval, "random_state", ["x", -1, 2.5, True]),
        (stats.bootstrap_interval, "statistic", [None, 3, []]),
        (stats.bootstrap_interval, "interval", [None, 3, []]),
        (stats.bootstrap_interval, "confidence_level", ["x", None, True, np.nan, 1j]),
        (stats.bootstrap_interval, "n_resamples", [2.5, "x", True, 2**70]),
        (stats.bootstrap_interval, "control", [True, 2.0, "x"]),
    ],
    ids=lambda value: getattr(value, "__name__", value if isinstance(value, str) else ""),
)
def test_errors_name_the_parameter_whatever_it_is_given(function, parameter, values):
    needed = {"control": 0} if function is stats.compare_with_control else {}
    for value in values:
        with pytest.raises(ValueError, match=f"The '{parameter}' parameter of .* Got "):
            function(C45, **needed | {parameter: value})


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"n_methods": 2.5}, "n_methods"),
        ({"n_methods": "x"}, "n_methods"),
        ({"n_methods": 10**400}, "n_methods"),
        ({"n_data_sets": 10**400}, "n_data_sets"),
        ({"n_data_sets": True}, "n_data_sets"),
        ({"alpha": 10**5000}, "alpha"),  # more digits than Python prints
        ({"test": 3}, "test"),
    ],
)
def test_errors_of_the_critical_difference_name_the_parameter(options, parameter):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of critical_difference must be"):
        stats.critical_difference(**{"n_methods": 3, "n_data_sets": 10} | options)


@pytest.mark.parametrize(
    ("mean_ranks", "p_values", "alpha", "parameter"),
    [
        ([1, np.nan], np.ones((2, 2)), 0.05, "mean_ranks"),
        (["a", "b"], np.ones((2, 2)), 0.05, "mean_ranks"),
        ([1, 2], [["a", "b"]] * 2, 0.05, "p_values"),
        ([1, 2], [[1, 0.1], [0.2, 1]], 0.05, "p_values"),  # not symmetric
        ([1, 2], np.ones((2, 2)), "x", "alpha"),
        ([1, 2], np.ones((2, 2)), 2, "alpha"),
    ],
)
def test_errors_of_cliques_name_the_parameter(mean_ranks, p_values, alpha, parameter):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of cliques must be"):
        stats.cliques(mean_ranks, p_values, alpha=alpha)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("factor", [2.0**500, 2.0**-1030], ids=["huge", "tiny"])
def test_the_magnitude_of_scores_does_not_matter(name, factor):
    def call(scores):
        return (
            stats.bayesian_signed_rank(scores, random_state=0)
            if name == "bayesian_signed_rank"
            else FUNCTIONS[name](scores)
        )

    scores = np.round(C45 * 2**10)  # whole numbers: of tiny ones, no digit is lost
    if name == "bootstrap_interval":
        options = {"statistic": "mean", "control": 0, "interval": "BCa", "n_resamples": 50, "random_state": 0}
        found, expected = (stats.bootstrap_interval(table, **options) for table in (scores * factor, scores))
        np.testing.assert_allclose(found.low[1:] / factor, expected.low[1:], rtol=1e-6)
        return
    found, expected = call(scores * factor), call(scores)
    for a, b in zip(found, expected, strict=True):
        if isinstance(b, np.ndarray | float):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_scores_whose_differences_are_beyond_floats_are_refused():
    with pytest.raises(ValueError, match="'scores' parameter of mean_ranks must be of magnitudes up to 1e"):
        stats.mean_ranks([[1e308, -1e308]])
    with pytest.raises(ValueError, match="'decimals' parameter of mean_ranks must be few enough"):
        stats.mean_ranks([[1e200, -1e200]], decimals=200)


def test_a_level_that_scipy_cannot_resolve_is_refused():
    # It would return 100, the end of its search; the quantile is at 52.
    with pytest.raises(ValueError, match=r"'alpha' parameter of critical_difference must be .* Got 1e-300"):
        stats.critical_difference(3, 10, alpha=1e-300)
    assert stats.critical_difference(3, 6, alpha=1e-10) == pytest.approx(
        9.3777 / np.sqrt(2) * np.sqrt(12 / 36), rel=1e-4
    )
