"""Mean and spread of rows that come in parts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skbandit.estimators._moments import Moments


@given(seed=st.integers(0, 2**20), sizes=st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_the_moments_of_parts_are_those_of_the_whole(seed, sizes):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal(0, 10, 2), rng.uniform(0.1, 5, 2), (n, 2)) for n in sizes]
    weights = [rng.uniform(0.1, 3, n) for n in sizes]
    first, *others = map(Moments.of, parts, weights)
    for other in others:
        first = first.merged(other)
    whole = Moments.of(np.concatenate(parts), np.concatenate(weights))
    np.testing.assert_allclose(first.weight, whole.weight)
    np.testing.assert_allclose(first.mean, whole.mean, atol=1e-9)
    np.testing.assert_allclose(first.variance, whole.variance, atol=1e-9)


def test_two_rows_by_hand():
    # 1 and 4 with weights 2 and 1: mean 2, variance (2 * 1 + 4) / 3.
    both = Moments.of(np.array([[1.0]]), np.array([2.0])).merged(Moments.of(np.array([[4.0]]), np.array([1.0])))
    assert (both.weight, both.mean.item(), both.variance.item()) == (3, 2, 2)
