import jax
import jax.numpy as jnp
import numpy as np

from skbandit.policies import UCB1, Counts

index = jax.jit(lambda policy, state: policy.index(state))


def test_index_by_hand():
    # 10 pulls in all, ln 10 = 2.302585. Arm 0: 0.5 + sqrt(2 * 2.302585 / 4) = 0.5 + 1.072983;
    # arm 1: 0.25 + sqrt(2 * 2.302585 / 1) = 0.25 + 2.145966; arm 2: 0.9 + sqrt(2 * 2.302585 / 5) = 0.9 + 0.959705.
    state = Counts(jnp.array([4.0, 1.0, 5.0]), jnp.array([2.0, 0.25, 4.5]))
    np.testing.assert_allclose(index(UCB1(), state), [1.572983, 2.395966, 1.859705], rtol=1e-6)
    np.testing.assert_allclose(index(UCB1(exploration=0.5), state), [1.036492, 1.322983, 1.379853], rtol=1e-6)


def test_an_unpulled_arm_has_an_infinite_index_and_makes_no_nan():
    with jax.debug_nans(True):
        assert np.isposinf(UCB1().index(UCB1().init(3))).all()
        one_pull = UCB1().index(Counts(jnp.array([0.0, 1.0, 0.0]), jnp.array([0.0, 0.5, 0.0])))
    assert one_pull.tolist() == [np.inf, 0.5, np.inf]  # ln 1 = 0


def test_slots_take_the_arms_of_highest_index(select):
    state = Counts(jnp.array([4.0, 1.0, 5.0, 0.0]), jnp.array([2.0, 0.25, 4.5, 0.0]))
    active = jnp.ones(4, bool)
    assert select(UCB1(), jax.random.key(0), state, active, 3)[0].tolist() == [3, 1, 2]
    assert select(UCB1(exploration=0.0), jax.random.key(0), state, active, 3)[0].tolist() == [3, 2, 0]


def test_the_pulls_of_arms_that_have_left_count_as_time(select):
    # Among the 5 pulls of arms 0 and 1 alone the indices would be sqrt(2 ln 5) = 1.79 and 1 + sqrt(2 ln 5 / 4) = 1.90.
    state = Counts(jnp.array([1.0, 4.0, 1e6, 1.0]), jnp.array([0.0, 4.0, 0.0, 0.0]))
    # With all 1 000 006 they are sqrt(2 ln t) = 5.256522 and 1 + sqrt(2 ln t / 4) = 3.628261.
    np.testing.assert_allclose(index(UCB1(), state)[:2], [5.256522, 3.628261], rtol=1e-6)
    arms, _ = select(UCB1(), jax.random.key(0), state, jnp.array([True, True, False, False]), 3)
    assert arms.tolist() == [0, 1, 4]


def test_arms_that_were_never_pulled_come_first(select, update):
    policy, state = UCB1(), UCB1().init(4)
    for seed in range(2):
        arms, probs = select(policy, jax.random.key(seed), state, jnp.ones(4, bool), 3)
        state = update(policy, state, arms, jnp.ones(3), probs)
    assert sorted(state.n_pulls.tolist()) == [1.0, 1.0, 2.0, 2.0]
