import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from skbandit.policies import Counts, Hedge

ALL = jnp.ones(3, bool)
log_weights = jax.jit(lambda policy, state, active: policy.log_weights(state, active))


def test_step_by_hand(update):
    policy = Hedge(learning_rate=2.0)
    state = policy.init(3)
    for rewards in ([1.0, 0.0, 0.5], [0.5, 0.5, 0.0]):
        state = update(policy, state, jnp.arange(3), jnp.array(rewards), jnp.ones(3))
    # Gains 1.5, 0.5, 0.5: weights e^3, e, e over their sum 25.522. exp(2 * gain) each, nothing else.
    np.testing.assert_allclose(np.exp(log_weights(policy, state, ALL)), [0.786986, 0.106507, 0.106507], rtol=1e-5)
    np.testing.assert_allclose(policy.value(state), [0.75, 0.25, 0.25])


def test_anytime_rate_by_hand():
    # After 7 steps with three arms, sqrt(8 ln 3 / 8) = 1.048147; with two, sqrt(8 ln 2 / 8) = 0.832555.
    state = Counts(jnp.full(3, 7.0), jnp.array([3.0, 2.0, 6.0]))
    np.testing.assert_allclose(
        log_weights(Hedge(), state, ALL), log_softmax(1.048147 * np.array([3.0, 2.0, 6.0])), rtol=1e-5
    )
    without = log_weights(Hedge(), state, jnp.array([True, True, False]))
    np.testing.assert_allclose(without, [*log_softmax(0.832555 * np.array([3.0, 2.0])), -np.inf], rtol=1e-5)


def test_every_active_arm_is_pulled_with_certainty(select):
    arms, probs = select(Hedge(), jax.random.key(0), Hedge().init(3), jnp.array([True, False, True]), 3)
    assert arms.tolist() == [0, 3, 2]
    assert probs.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_partial_feedback_is_refused(k):
    with pytest.raises(ValueError, match=rf"every arm at every step: k must be 3, got {k}"):
        Hedge().select(jax.random.key(0), Hedge().init(3), ALL, k)


@pytest.mark.parametrize("policy", [Hedge(), Hedge(learning_rate=0.9)], ids=["anytime", "constant"])
def test_weights_do_not_overflow(policy):
    """exp(0.9 * 1e5) is far beyond a double; raw weights die after some 800 steps."""
    state = Counts(jnp.full(3, 1e5), jnp.array([1e5, 5e4, 0.0]))
    weights = np.exp(log_weights(policy, state, ALL))
    assert np.all(np.isfinite(log_weights(policy, state, ALL)))
    np.testing.assert_allclose(weights, [1.0, 0.0, 0.0], atol=1e-6)


def test_regret_is_below_the_theorem_for_any_rewards():
    """Cesa-Bianchi and Lugosi, theorem 2.3: sums of rewards, random ones and ones that punish the current leader."""
    rng = np.random.default_rng(0)
    n_steps, n = 300, 3
    for leader_is_punished in (False, True):
        gains, earned = np.zeros(n), 0.0
        for t in range(n_steps):
            weights = np.exp(log_weights(Hedge(), Counts(jnp.full(n, float(t)), jnp.array(gains)), ALL))
            rewards = (np.arange(n) != weights.argmax()).astype(float) if leader_is_punished else rng.random(n)
            earned += weights @ rewards
            gains += rewards
        assert gains.max() - earned <= 2 * np.sqrt(n_steps / 2 * np.log(n)) + np.sqrt(np.log(n) / 8)
