import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from skbandit.policies import Counts, Softmax

MEANS = np.array([0.5, 0.9, 0.25, 0.0])
SEEN = Counts(jnp.full(4, 2.0), jnp.array(2 * MEANS))
ACTIVE = jnp.array([True, False, True, True])  # the best arm is out
PMF = softmax([0.5 / 0.5, -np.inf, 0.25 / 0.5, 0.0])  # temperature 0.5: about 0.506, 0, 0.307, 0.186
POLICY = Softmax(temperature=0.5)


def test_samples_from_its_own_pmf(draws):
    size = 20_000
    arms, probs = draws(POLICY, SEEN, ACTIVE, 1, size)
    counts = np.bincount(arms[:, 0], minlength=4)
    assert counts[1] == 0
    assert chisquare(counts[ACTIVE], size * PMF[ACTIVE]).pvalue > 1e-3
    np.testing.assert_allclose(probs, PMF[arms], rtol=1e-5)
    # The argmax of a Dirichlet sample around the pmf (a trap of a peer) is told apart at this size.
    dirichlet = np.array([0.524, 0.300, 0.176])
    assert chisquare(counts[ACTIVE], size * dirichlet).pvalue < 1e-3


def test_slots_are_drawn_one_after_the_other_without_replacement(draws):
    size = 6000
    arms, probs = map(np.asarray, draws(POLICY, SEEN, ACTIVE, 2, size))
    pairs = [(i, j) for i in (0, 2, 3) for j in (0, 2, 3) if i != j]
    expected = np.array([PMF[i] * PMF[j] / (1 - PMF[i]) for i, j in pairs])
    counts = np.array([np.sum((arms == pair).all(axis=1)) for pair in pairs])
    assert counts.sum() == size
    assert chisquare(counts, size * expected).pvalue > 1e-3
    np.testing.assert_allclose(probs[:, 0], PMF[arms[:, 0]], rtol=1e-5)
    np.testing.assert_allclose(probs[:, 1], PMF[arms[:, 1]] / (1 - PMF[arms[:, 0]]), rtol=1e-5)


def test_a_low_temperature_does_not_underflow(select):
    # The gaps between the means are thousands of temperatures: exp(-2500) is 0 in any precision.
    arms, probs = select(Softmax(temperature=1e-4), jax.random.key(0), SEEN, ACTIVE, 4)
    assert arms.tolist() == [0, 2, 3, 4]
    assert probs.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_temperature_is_constant_or_falls_with_the_logarithm_of_the_pulls():
    np.testing.assert_allclose(POLICY.logits(SEEN), MEANS / 0.5, rtol=1e-6)
    # 4 arms x 2 pulls = 8 pulls.
    annealed = Softmax(temperature=0.5, annealed=True)
    np.testing.assert_allclose(annealed.logits(SEEN), MEANS / (0.5 / np.log(np.e + 8)), rtol=1e-6)


@pytest.mark.parametrize("policy", [POLICY, Softmax(temperature=0.5, annealed=True)], ids=["constant", "annealed"])
def test_an_arm_that_was_never_pulled_counts_as_the_best_there_can_be(policy):
    np.testing.assert_allclose(policy.logits(policy.init(4)), 1.0 / 0.5, rtol=1e-6)  # ln(e + 0) = 1
