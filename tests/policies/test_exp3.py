import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import chisquare

from skbandit.policies import EXP3, Counts, EXP3State

IX = EXP3(gamma=0.1)
CLASSICAL = EXP3(gamma=0.2, variant="classical")
BOTH = pytest.mark.parametrize("policy", [IX, CLASSICAL], ids=["ix", "classical"])
ALL = np.ones(4, bool)
MANY = 12_000


def after(n_pulls, score=(0.0, 0.0, 0.0, 0.0)):
    """A state after ``n_pulls`` pulls (who got them does not matter to what is drawn)."""
    return EXP3State(Counts(jnp.array([n_pulls, 0.0, 0.0, 0.0]), jnp.zeros(4)), jnp.array(score))


def test_implicit_exploration_step_by_hand(update):
    # Arm 2, drawn with 0.25, pays 0.3: a loss of 0.7 / (0.25 + 0.1) = 2. Arm 0, drawn with 0.4, pays 0: 1 / 0.5 = 2.
    state = update(IX, IX.init(4), jnp.array([2, 0, 2]), jnp.array([0.3, 0.0, 1.0]), jnp.array([0.25, 0.4, 0.25]))
    np.testing.assert_allclose(state.score, [-2.0, 0.0, -2.0, 0.0], atol=1e-6)
    # Learning rate 2 gamma = 0.2: weights e^-0.4, 1, e^-0.4, 1.
    np.testing.assert_allclose(IX.probabilities(state, ALL), softmax([-0.4, 0.0, -0.4, 0.0]), rtol=1e-5)
    np.testing.assert_allclose(IX.value(state), [0.0, -np.inf, 0.65, -np.inf], rtol=1e-6)


def test_classical_step_by_hand(update):
    # Arm 2, drawn with 0.25, pays 0.5: 0.5 / 0.25 = 2. Arm 0, drawn with 0.4, pays 1: 2.5. The largest is shifted to 0.
    state = update(CLASSICAL, CLASSICAL.init(4), jnp.array([2, 0]), jnp.array([0.5, 1.0]), jnp.array([0.25, 0.4]))
    np.testing.assert_allclose(state.score, [0.0, -2.5, -0.5, -2.5], atol=1e-6)
    # Weights exp(gamma * estimate / K) = exp(0.05 * ...), mixed with the uniform distribution.
    expected = 0.8 * softmax(0.05 * np.array([2.5, 0.0, 2.0, 0.0])) + 0.2 / 4
    np.testing.assert_allclose(CLASSICAL.probabilities(state, ALL), expected, rtol=1e-5)


def test_anytime_rates_by_hand():
    # K = 4, t = 25 pulls + 1: eta = sqrt(ln 4 / (4 * 26)) = 0.115455, gamma = eta / 2.
    np.testing.assert_allclose(EXP3().rates(after(25.0)), [0.115455, 0.0577274], rtol=1e-5)
    # gamma = sqrt(4 ln 4 / (1.718282 * 26)) = 0.352307, eta = gamma / 4; never above 1.
    classical = EXP3(variant="classical")
    np.testing.assert_allclose(classical.rates(after(25.0)), [0.0880767, 0.352307], rtol=1e-5)
    np.testing.assert_allclose(classical.rates(after(0.0)), [0.25, 1.0])


@BOTH
def test_slots_are_independent_draws_from_the_pmf(select, policy):
    """One step of many slots: the same distribution for all of them, and the probability that each was drawn with."""
    active = np.array([True, True, False, True])
    state = after(10.0, score=(0.0, -3.0, 5.0, -8.0))
    arms, probs = map(np.asarray, select(policy, jax.random.key(0), state, active, MANY))
    pmf = np.asarray(policy.probabilities(state, active), float)
    np.testing.assert_allclose(pmf.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(probs, pmf[arms], rtol=1e-6)
    pmf = pmf[active] / pmf.sum()
    counts = np.bincount(arms, minlength=4)
    assert counts[2] == 0
    assert chisquare(counts[active], MANY * pmf).pvalue > 1e-3
    # Neighbouring slots know nothing of each other.
    pairs = np.bincount(4 * arms[::2] + arms[1::2], minlength=16).reshape(4, 4)[active][:, active]
    assert chisquare(pairs.ravel(), MANY / 2 * np.outer(pmf, pmf).ravel()).pvalue > 1e-3


def test_rounding_never_draws_an_arm_that_is_out(select):
    """A cumulative sum, rounded, can step where the probability is 0; with so many arms and draws it does, often."""
    n, rng = 100_000, np.random.default_rng(0)
    active = rng.random(n) < 0.5
    state = EXP3State(Counts(jnp.ones(n), jnp.zeros(n)), jnp.array(3 * rng.standard_normal(n), jnp.float32))
    arms, probs = map(np.asarray, select(EXP3(gamma=0.5), jax.random.key(0), state, active, 200_000))
    assert active[arms].all()
    assert np.all(probs > 0)


@BOTH
def test_estimates_have_the_expectation_of_the_papers(policy, select):
    """Importance weights: unbiased in the classical form, biased to safety by p / (p + gamma) in the implicit one."""
    k = 3
    rewards = jnp.array([0.9, 0.2, 0.5, 0.7])
    state = after(10.0, score=(0.0, -2.0, -4.0, -6.0))
    pmf = np.asarray(policy.probabilities(state, ALL), float)
    arms, probs = (x.reshape(-1, k) for x in select(policy, jax.random.key(0), state, ALL, MANY))  # slots are iid
    scores = jax.vmap(lambda a, p: policy.update(state, a, rewards[a], p).score)(arms, probs) - state.score
    # Scores are known up to a shift: compare with arm 0.
    relative = np.asarray(scores - scores[:, :1], float)
    if policy is CLASSICAL:
        expected = np.asarray(rewards)
    else:
        expected = (np.asarray(rewards) - 1) * pmf / (pmf + 0.1)
    expected = k * (expected - expected[0])
    standard_error = relative.std(axis=0) / np.sqrt(len(relative))
    assert np.all(np.abs(relative.mean(axis=0) - expected) <= 4 * standard_error + 1e-6)


def test_an_estimate_uses_the_probability_that_came_with_the_pull(update):
    """Forced pulls had probability 1, whatever the policy itself would have done."""
    state = after(10.0, score=(0.0, -5.0, -5.0, -5.0))
    forced = update(CLASSICAL, state, jnp.array([0, 1, 2, 3]), jnp.array([0.0, 0.0, 0.0, 0.75]), jnp.ones(4))
    np.testing.assert_allclose(forced.score, [0.0, -5.0, -5.0, -4.25], atol=1e-6)


@BOTH
def test_a_batch_is_as_many_rounds_whose_rewards_arrive_together(policy, update):
    arms, rewards, probs = jnp.array([1, 3, 1]), jnp.array([0.5, 0.25, 1.0]), jnp.array([0.25, 0.5, 0.25])
    together, one_by_one = update(policy, policy.init(4), arms, rewards, probs), policy.init(4)
    for i in range(3):
        one_by_one = update(policy, one_by_one, arms[i : i + 1], rewards[i : i + 1], probs[i : i + 1])
    np.testing.assert_allclose(together.score, one_by_one.score, atol=1e-6)


@pytest.mark.parametrize("policy", [EXP3(), EXP3(gamma=0.5, variant="classical")], ids=["ix", "classical"])
def test_a_hundred_thousand_pulls_stay_finite(policy):
    """Raw weights overflow after 2840 pulls at gamma = 0.5 (a peer's defect)."""

    @jax.jit
    def run(state, keys):
        def step(state, key):
            arms, probs = policy.select(key, state, ALL, 10)
            return policy.update(state, arms, arms / 3.0, probs), probs.min()

        return jax.lax.scan(step, state, keys)

    state, probs = run(policy.init(4), jax.random.split(jax.random.key(0), 10_000))
    assert state.counts.n_pulls.sum() == 1e5
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    assert np.all(probs > 0)
    pmf = policy.probabilities(state, ALL)
    np.testing.assert_allclose(pmf.sum(), 1.0, rtol=1e-5)
    assert pmf.argmax() == 3  # which pays 1, always


def test_mixing_keeps_every_arm_possible():
    pmf = CLASSICAL.probabilities(after(10.0, score=(0.0, -1e6, -1e6, -1e6)), ALL)
    np.testing.assert_allclose(pmf, [0.8 + 0.05, 0.05, 0.05, 0.05], rtol=1e-5)


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="variant must be 'ix' or 'classical', got 'IX'"):
        EXP3(variant="IX").init(4)
