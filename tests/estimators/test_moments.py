"""Mean and spread of rows that come in parts."""

import numpy as np
import pytest
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


# Squares of these are no numbers: 2**-600 squared is 0, 2**600 squared is infinite.
@pytest.mark.parametrize("exponent", [-1000, -600, -100, 0, 100, 600, 1000])
@pytest.mark.parametrize("weight_exponent", [-900, 0, 900])
def test_the_spread_scales_with_the_values_whatever_their_size(exponent, weight_exponent):
    rng = np.random.default_rng(0)
    Y, weight = rng.normal(3, [1, 5], (50, 2)), rng.exponential(size=50) * (rng.random(50) < 0.8)
    mean, there = np.average(Y, axis=0, weights=weight), weight > 0
    spread = np.sqrt(np.average(np.square(Y - mean)[there], axis=0, weights=weight[there]))
    scaled, weight = np.ldexp(Y, exponent), np.ldexp(weight, weight_exponent)
    whole = Moments.of(scaled, weight)
    np.testing.assert_array_equal(np.ldexp([whole.mean, whole.spread], -exponent), [mean, spread])
    parts = Moments.of(scaled[:20], weight[:20]).merged(Moments.of(scaled[20:], weight[20:]))
    np.testing.assert_allclose(np.ldexp([parts.mean, parts.spread], -exponent), [mean, spread], rtol=1e-12)


def test_zeros_before_tiny_values_do_not_hide_their_spread():
    zeros, tiny = np.zeros((1, 1)), np.array([[2.0**-600]])
    for first, second in ((zeros, tiny), (tiny, zeros)):
        both = Moments.of(first, np.ones(1)).merged(Moments.of(second, np.ones(1)))
        assert (both.mean.item(), both.spread.item()) == (2.0**-601, 2.0**-601)


def test_rows_of_weight_0_have_no_say_whatever_their_values():
    Y, weight = np.array([[1e-200], [3e-200], [1e300]]), np.array([1.0, 1.0, 0.0])
    moments = Moments.of(Y, weight)
    assert (moments.mean.item(), moments.spread.item()) == pytest.approx((2e-200, 1e-200))


def test_moments_saved_without_an_exponent_are_in_units_of_1():
    old = Moments.__new__(Moments)
    old.__dict__.update(weight=2.0, mean=np.array([2.0]), variance=np.array([2.0]))
    both = old.merged(Moments.of(np.array([[5.0]]), np.ones(1)))
    # Squared deviations of 2 * 2 + (2 / 3) * 9.
    assert (both.mean.item(), both.spread.item()) == pytest.approx((3, np.sqrt(10 / 3)))
