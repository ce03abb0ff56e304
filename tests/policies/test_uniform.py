import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from skbandit.policies import Uniform

POLICY = Uniform()
ACTIVE = jnp.array([True, True, False, True, True])


@pytest.mark.parametrize("k", [3, 5])
def test_no_arm_is_ever_more_than_one_pull_ahead(select, update, k):
    state = POLICY.init(5)
    for key in map(jax.random.key, range(7)):
        arms, probs = select(POLICY, key, state, ACTIVE, k)
        state = update(POLICY, state, arms, jnp.zeros(k), probs)
        pulls = np.asarray(state.n_pulls)
        assert np.ptp(pulls[ACTIVE]) <= 1
        assert pulls[2] == 0
    assert pulls.sum() == 7 * min(k, 4)


def test_a_sweep_takes_every_active_arm_in_random_order(draws):
    """So that the first slots of a sweep, all that a spent budget may leave of it, are a random subset."""
    arms, probs = map(np.asarray, draws(POLICY, POLICY.init(5), ACTIVE, 5, 2000))
    assert np.all(np.sort(arms, axis=1) == [0, 1, 3, 4, 5])
    assert np.all(probs == 1.0)
    assert np.all(arms[:, -1] == 5)
    for slot in (0, 3):
        assert chisquare(np.bincount(arms[:, slot], minlength=5)[ACTIVE]).pvalue > 1e-3


def test_value_is_the_mean():
    state = POLICY.update(POLICY.init(3), jnp.array([0, 0, 1]), jnp.array([0.25, 0.75, 1.0]), jnp.ones(3))
    assert POLICY.value(state).tolist() == [0.5, 1.0, -np.inf]
