"""The Bayesian signed-rank test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import C45, DEEP, FEW, MODEL, TS, UCB1, tables

from skbandit import stats


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
