import dataclasses

import jax
import numpy as np
import pytest

from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import Magnitude, Problem, Random, resolve

NETWORK = MLP((2, 2, 1, 1), "relu", "squared_error")
#: Unit 0: in (3, 4), bias 12, out 2; unit 1: in (1, -2), bias 2, out -1; unit 2: in (2, -1), bias 0, out 5.
PARAMS = (
    (np.array([[3.0, 1.0], [4.0, -2.0]]), np.array([12.0, 2.0])),
    (np.array([[2.0], [-1.0]]), np.array([0.0])),
    (np.array([[5.0]]), np.array([7.0])),
)


def score(criterion, params=PARAMS, seed=0):
    none = NETWORK.groups.split(np.zeros(3, np.float32))
    problem = Problem(params, none, none, None, np.int32(0), np.int32(1), np.full(9, 9), NETWORK, 1)
    return criterion.step(jax.random.key(seed), (), problem, np.ones(3, bool))[1]


@pytest.mark.parametrize(
    ("of", "order", "norms"),
    [
        ("in", 2, [13, 3, np.sqrt(5)]),  # √(9 + 16 + 144), √(1 + 4 + 4), √(4 + 1)
        ("in", 1, [19, 5, 3]),
        ("out", 2, [2, 1, 5]),
        ("out", 1, [2, 1, 5]),
        ("product", 2, [26, 3, 5 * np.sqrt(5)]),
        ("product", 1, [38, 5, 15]),
    ],
)
def test_magnitude_by_hand(of, order, norms):
    scores = score(Magnitude(of=of, order=order))
    np.testing.assert_allclose(scores.value, -np.array(norms), rtol=1e-6)
    assert scores.n_pulls == 0
    assert np.isnan(scores.damage).all()


def test_outgoing_norms_are_over_all_that_a_unit_feeds():
    network = MLP((1, 1, 3), "relu", "squared_error")
    params = ((np.ones((1, 1)), np.zeros(1)), (np.array([[1.0, -2.0, 2.0]]), np.zeros(3)))
    one = (np.ones(1, np.float32),)
    problem = Problem(params, one, one, None, np.int32(0), np.int32(1), np.full(9, 9), network, 1)
    for order, norm in [(1, 5), (2, 3)]:
        value = Magnitude(of="out", order=order).step(jax.random.key(0), (), problem, np.ones(1, bool))[1].value
        np.testing.assert_allclose(value, [-norm], rtol=1e-6)


def test_the_product_does_not_change_when_a_relu_unit_is_rescaled():
    scale = np.array([10.0, 0.1])
    (W1, b1), (W2, b2), last = PARAMS
    rescaled = ((W1 * scale, b1 * scale), (W2 / scale[:, None], b2), last)
    before, after = (np.asarray(score(Magnitude(of="product"), p).value)[:2] for p in (PARAMS, rescaled))
    np.testing.assert_allclose(after, before, rtol=1e-6)
    in_before, in_after = (np.asarray(score(Magnitude(of="in"), p).value)[:2] for p in (PARAMS, rescaled))
    np.testing.assert_allclose(in_after, in_before * scale, rtol=1e-6)


@pytest.mark.parametrize(("field", "value"), [("of", "both"), ("order", 3)])
def test_magnitude_refuses_what_it_does_not_know(field, value):
    with pytest.raises(ValueError, match=f"'{field}' parameter of Magnitude must be .* Got {value!r}"):
        resolve(dataclasses.replace(Magnitude(), **{field: value}))


def test_random_depends_on_the_seed_alone():
    first, again, other = (score(Random(), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.value, again.value)
    assert (first.value != other.value).all()
    assert first.n_pulls == 0
    assert np.isnan(first.damage).all()
