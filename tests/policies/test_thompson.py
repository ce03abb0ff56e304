import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, norm

from skbandit.policies import Counts, GaussianThompson, Thompson

ALL = jnp.ones(2, bool)
SIZE = 10_000


def share_of_arm_0(draws, policy, state):
    arms, probs = draws(policy, state, ALL, 1, SIZE)
    assert np.all(probs == 1.0)
    return np.mean(arms == 0)


def assert_close_to_probability(share, probability):
    """Within four standard deviations of a binomial share."""
    assert abs(share - probability) <= 4 * np.sqrt(probability * (1 - probability) / SIZE)


@pytest.mark.parametrize("policy", [Thompson(), Thompson(alpha=0.5, beta=2.0)])
def test_beta_posterior_counts_fractions_of_a_success(policy, update):
    rewards = jnp.array([0.25, 0.5, 1.0])
    state = update(policy, policy.init(2), jnp.array([0, 0, 1]), rewards, jnp.ones(3))
    a, b = policy.posterior(state)
    # Sums, not means: a posterior Beta(1 + mean, 1 + n - mean) never narrows around the mean.
    np.testing.assert_allclose(a, [policy.alpha + 0.75, policy.alpha + 1.0])
    np.testing.assert_allclose(b, [policy.beta + 1.25, policy.beta + 0.0])
    np.testing.assert_allclose(policy.value(state), beta(np.array(a), np.array(b)).mean(), rtol=1e-6)


def test_beta_posterior_stays_proper_where_rounding_makes_failures_negative():
    state = Counts(jnp.array([100.0]), jnp.array([100.00001]))
    a, b = Thompson(beta=1e-6).posterior(state)
    assert b[0] > 0
    assert np.isfinite(a).all()


def test_beta_arm_is_pulled_as_often_as_it_is_best(draws):
    # Arm 0: 8 pulls of mean 1/2, Beta(5, 5). Arm 1: 2 pulls of mean 3/4, Beta(2.5, 1.5).
    state = Counts(jnp.array([8.0, 2.0]), jnp.array([4.0, 1.5]))
    first, second = beta(5, 5), beta(2.5, 1.5)
    probability, _ = quad(lambda x: first.pdf(x) * second.cdf(x), 0, 1)
    assert_close_to_probability(share_of_arm_0(draws, Thompson(), state), probability)


def test_gaussian_posterior_by_hand():
    # Arm 0: mean (0.5 + 1.5) / (3 + 1), variance 4 / (3 + 1): standard deviation 1. Arm 1: the prior.
    state = Counts(jnp.array([3.0, 0.0]), jnp.array([1.5, 0.0]))
    mean, std = GaussianThompson(scale=2.0).posterior(state)
    assert mean.tolist() == [0.5, 0.5]
    assert std.tolist() == [1.0, 2.0]
    # The rule of Agrawal and Goyal: mean sum / (n + 1) = 1.5 / 4, variance 1 / (n + 1).
    mean, std = GaussianThompson(prior_mean=0.0).posterior(state)
    assert mean.tolist() == [0.375, 0.0]
    np.testing.assert_allclose(std, np.sqrt([1 / 4, 1.0]))
    assert GaussianThompson(prior_mean=0.0).value(state).tolist() == [0.375, -np.inf]


def test_gaussian_arm_is_pulled_as_often_as_it_is_best(draws):
    # Three pulls each, means 0.6875 and 0.1875: the difference of the samples is N(0.5, 1/4 + 1/4).
    # With the variance for a standard deviation it would be N(0.5, 1/16 + 1/16): 0.92 instead of 0.76.
    state = Counts(jnp.array([3.0, 3.0]), jnp.array([2.25, 0.25]))
    probability = norm.sf(0.0, loc=0.5, scale=np.sqrt(0.5))
    assert_close_to_probability(share_of_arm_0(draws, GaussianThompson(), state), probability)


def test_slots_take_the_best_arms_of_one_posterior_sample(draws):
    """With two slots and three equal arms, every ordered pair is as likely: no slot repeats another's arm."""
    state = Counts(jnp.full(3, 4.0), jnp.full(3, 2.0))
    arms, _ = draws(GaussianThompson(), state, jnp.ones(3, bool), 2, 3000)
    pairs = np.bincount(arms[:, 0] * 3 + arms[:, 1], minlength=9)
    assert pairs[[0, 4, 8]].sum() == 0
    assert np.all(np.abs(pairs[[1, 2, 3, 5, 6, 7]] - 500) <= 4 * np.sqrt(3000 * (1 / 6) * (5 / 6)))
