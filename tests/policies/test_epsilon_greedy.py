import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom, chisquare

from skbandit.policies import Counts, EpsilonGreedy

# Five active arms, greedy order 2, 0, 4, 5, 3; arm 1 would be the best but is out.
SEEN = Counts(jnp.full(6, 2.0), jnp.array([1.6, 2.0, 1.8, 0.2, 1.0, 0.6]))
ACTIVE = jnp.array([True, False, True, True, True, True])
GREEDY = [2, 0, 4, 5, 3]
SIZE = 4000


def test_one_slot_follows_the_pmf(draws):
    arms, probs = draws(EpsilonGreedy(epsilon=0.3), SEEN, ACTIVE, 1, SIZE)
    pmf = np.full(6, 0.3 / 5)  # exploring reaches the last arm as often as any, and the greedy one too
    pmf[1] = 0.0
    pmf[2] += 0.7
    counts = np.bincount(arms[:, 0], minlength=6)
    assert counts[1] == 0
    assert chisquare(counts[ACTIVE], SIZE * pmf[ACTIVE]).pvalue > 1e-3
    np.testing.assert_allclose(probs, pmf[arms], rtol=1e-5)
    np.testing.assert_allclose(pmf.sum(), 1.0)


def test_every_slot_tosses_its_own_coin(draws):
    arms, probs = map(np.asarray, draws(EpsilonGreedy(epsilon=0.5), SEEN, ACTIVE, 3, SIZE))
    # m = 0..3 of the three slots explore with probability 1/8, 3/8, 3/8, 1/8, then draw m of the 2 + m arms left.
    # The arm at place 0 is missed when all explore and none finds it, (1/8)(2/5); the one at place 1 also when two
    # explore, (3/8)(2/4); the one at place 2 also when one does, (3/8)(2/3).
    missed = np.array([1 / 20, 1 / 20 + 3 / 16, 1 / 20 + 3 / 16 + 1 / 4])
    # The two behind are missed when none explores, 1/8, and alike otherwise.
    missed = np.append(missed, np.repeat(1 / 8 + 1 / 4 + 3 / 16 + 1 / 20, 2))
    included = np.zeros(6)
    included[GREEDY] = 1.0 - missed
    np.testing.assert_allclose(included.sum(), 3.0)
    np.testing.assert_allclose(probs, included[arms], rtol=1e-5)
    # A coin for the whole step would find the best arm with probability 1/2 + (1/2)(3/5) = 0.8, not 0.95.
    frequency = np.bincount(arms.ravel(), minlength=6) / SIZE
    assert np.all(np.abs(frequency - included) <= 4 * np.sqrt(included * (1 - included) / SIZE))


def test_every_subset_has_the_probability_of_its_derivation(draws):
    """Greedy slots first, then a uniform sample without replacement of what is left."""
    epsilon, k = 0.5, 3
    arms, _ = draws(EpsilonGreedy(epsilon=epsilon), SEEN, ACTIVE, k, SIZE)
    subsets = [frozenset(s) for s in itertools.combinations(GREEDY, k)]
    pmf = dict.fromkeys(subsets, 0.0)
    for m in range(k + 1):
        rest = list(itertools.combinations(GREEDY[k - m :], m))
        for sample in rest:
            pmf[frozenset(GREEDY[: k - m]) | frozenset(sample)] += binom.pmf(m, k, epsilon) / len(rest)
    counts = dict.fromkeys(subsets, 0)
    for row in np.asarray(arms).tolist():
        counts[frozenset(row)] += 1
    assert chisquare(list(counts.values()), SIZE * np.array(list(pmf.values()))).pvalue > 1e-3


def test_without_exploration_the_greedy_arms_are_certain(select):
    arms, probs = select(EpsilonGreedy(epsilon=0.0), jax.random.key(0), SEEN, ACTIVE, 3)
    assert set(arms.tolist()) == {2, 0, 4}
    assert probs.tolist() == [1.0, 1.0, 1.0]


def test_with_exploration_only_all_arms_are_alike(select):
    _, probs = select(EpsilonGreedy(epsilon=1.0), jax.random.key(0), SEEN, ACTIVE, 3)
    np.testing.assert_allclose(probs, 3 / 5, rtol=1e-5)


def test_an_arm_that_was_never_pulled_comes_first(select):
    state = Counts(SEEN.n_pulls.at[3].set(0.0), SEEN.total.at[3].set(0.0))
    for seed in range(5):
        arms, _ = select(EpsilonGreedy(epsilon=0.0), jax.random.key(seed), state, ACTIVE, 3)
        assert set(arms.tolist()) == {3, 2, 0}


@pytest.mark.parametrize(
    ("n_pulls", "expected"),
    [
        (0.0, 1.0),  # nothing known yet: min(1, 0.5 * 5 / 1)
        (1.0, 0.5),  # one pull of each of the 5 active arms: 0.5 * 5 / 5
        (10.0, 0.05),  # 0.5 * 5 / 50
    ],
)
def test_annealed_exploration_falls_with_the_number_of_pulls(n_pulls, expected):
    state = Counts(jnp.full(6, n_pulls), jnp.zeros(6))
    assert EpsilonGreedy(epsilon=0.5, annealed=True).exploration(state, ACTIVE) == pytest.approx(expected)
    assert EpsilonGreedy(epsilon=0.5).exploration(state, ACTIVE) == 0.5
