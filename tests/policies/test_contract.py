"""What every policy promises, over all of the table: no policy is a special case here."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from skbandit.policies import EXP3, POLICIES, EpsilonGreedy, Hedge, Policy, Softmax

N = 6
CASES = {name: cls() for name, cls in POLICIES.items()} | {
    "epsilon_greedy-annealed": EpsilonGreedy(annealed=True),
    "softmax-annealed": Softmax(annealed=True),
    "hedge-constant": Hedge(learning_rate=0.5),
    "exp3-constant": EXP3(gamma=0.1),
    "exp3-classical": EXP3(variant="classical"),
    "exp3-classical-constant": EXP3(gamma=0.1, variant="classical"),
}
ALL = jnp.ones(N, bool)
EVERYONE = jnp.arange(N, dtype=jnp.int32)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def policy(request):
    return request.param


def slots(policy):
    return N if policy.sweeps else 3


@pytest.fixture
def play(select, update):
    """Run a policy as the engine does: every arm once, then ``n_steps`` of its own; reward(key, arms) pays."""

    def run(policy, reward, n_steps, active=ALL, seed=0):
        k = slots(policy)
        state = policy.init(N)
        forced = jnp.where(active, EVERYONE, N)
        state = update(policy, state, forced, reward(jax.random.key(seed), forced), jnp.ones(N))
        for key in jax.random.split(jax.random.key(seed + 1), n_steps):
            draw_key, reward_key = jax.random.split(key)
            arms, probs = select(policy, draw_key, state, active, k)
            state = update(policy, state, arms, reward(reward_key, arms), probs)
        return state

    return run


@jax.jit
def bernoulli(key, arms, means=jnp.array([0.1, 0.9, 0.2, 0.3, 0.1, 0.2])):
    return (jax.random.uniform(key, arms.shape) < means.at[arms].get(mode="fill", fill_value=0.0)).astype(float)


@pytest.fixture
def seen(policy, play):
    """The policy's state after a short run."""
    return play(policy, bernoulli, 5)


def test_is_a_frozen_record_with_a_name(policy):
    assert isinstance(policy, Policy)
    assert POLICIES[policy.name] is type(policy)
    assert policy.sweeps or not policy.full_information
    for field in dataclasses.fields(policy):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(policy, field.name, 0.5)


def test_numeric_fields_are_leaves(policy):
    numeric = [v for v in policy.get_params().values() if isinstance(v, float)]
    assert jax.tree.leaves(policy) == numeric


def test_shapes_and_types(policy, seen, select, value):
    k = slots(policy)
    arms, probs = select(policy, jax.random.key(0), seen, ALL, k)
    assert (arms.shape, arms.dtype) == ((k,), jnp.int32)
    assert (probs.shape, probs.dtype) == ((k,), jnp.float32)
    assert value(policy, seen).shape == (N,)
    # An integer weight times 1.5 stays what it was: nothing in a state may be an integer.
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(policy.init(N)))


def test_nothing_is_traced_twice(policy):
    """Keys, states, active sets and hyper-parameters are data."""
    k, n_traces = slots(policy), 0

    @jax.jit
    def step(policy, key, state, active, rewards):
        nonlocal n_traces
        n_traces += 1
        arms, probs = policy.select(key, state, active, k)
        state = policy.update(state, arms, rewards, probs)
        return state, policy.value(state)

    state, _ = step(policy, jax.random.key(0), policy.init(N), ALL, jnp.full(k, 0.5))
    halved = jax.tree.map(lambda x: 0.5 * x, policy)
    step(halved, jax.random.key(1), state, ALL.at[0].set(False), jnp.full(k, 0.25))
    assert n_traces == 1


def test_is_deterministic_for_a_key(policy, seen, select):
    first, again = (select(policy, jax.random.key(7), seen, ALL, slots(policy)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("out", [[0], [1, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]], ids=str)
def test_arms_are_active_and_distinct_and_the_other_slots_empty(policy, play, select, update, out):
    """Worst case: the arms that are out look best, the others pay the least there is or were never pulled."""
    k, active = slots(policy), ALL.at[jnp.array(out)].set(False)
    pay_out = jax.jit(lambda key, arms: jnp.isin(arms, jnp.array(out)).astype(float))
    contrary = play(policy, pay_out, 1)
    only_out = update(policy, policy.init(N), jnp.where(active, N, EVERYONE), jnp.ones(N), jnp.ones(N))
    for state in (policy.init(N), contrary, only_out):
        for seed in range(10):
            arms, probs = map(np.asarray, select(policy, jax.random.key(seed), state, active, k))
            filled = arms[arms < N]
            assert not set(filled) & set(out)
            assert np.all(arms[arms >= N] == N)
            assert np.all(probs[arms == N] == 1.0)
            assert np.all((probs > 0) & (probs <= 1 + 1e-6))
            if policy.replacement:
                assert len(filled) == (k if len(out) < N else 0)
            else:
                assert len(filled) == len(set(filled)) == min(k, N - len(out))


def test_one_slot_takes_one_active_arm(policy, seen, select):
    if policy.full_information:
        with pytest.raises(ValueError, match="k must be 6, got 1"):
            policy.select(jax.random.key(0), seen, ALL, 1)
        return
    arms, probs = select(policy, jax.random.key(0), seen, ALL.at[1].set(False), 1)
    assert arms[0] in (0, 2, 3, 4, 5)
    assert 0 < probs[0] <= 1


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_stays_finite_under_constant_rewards(policy, play, select, value, reward):
    constant = jax.jit(lambda key, arms: jnp.full(arms.shape, reward))
    state = play(policy, constant, 100)
    _, probs = select(policy, jax.random.key(0), state, ALL, slots(policy))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, probs, value(policy, state))))
    assert np.all(np.abs(value(policy, state) - reward) <= 0.5)


def test_update_and_value_do_not_care_how_arms_are_numbered(policy, update, value):
    arms, rewards, probs = jnp.array([0, 3, 3, 5, 6, 1]), jnp.linspace(0.1, 0.9, 6), jnp.linspace(0.5, 1.0, 6)
    renumber = jnp.array([4, 2, 0, 5, 1, 3, 6])  # an empty slot stays one
    plain = update(policy, policy.init(N), arms, rewards, probs)
    renumbered = update(policy, policy.init(N), renumber[arms], rewards, probs)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(renumbered), strict=True):
        np.testing.assert_array_equal(a, b[renumber[:N]])
    np.testing.assert_array_equal(value(policy, plain), value(policy, renumbered)[renumber[:N]])


def test_empty_slots_teach_nothing(policy, seen, update):
    arms, rewards, probs = jnp.array([2, N, 4, N]), jnp.array([0.5, 1.0, 0.25, 0.0]), jnp.array([0.5, 1.0, 0.25, 1.0])
    with_empty = update(policy, seen, arms, rewards, probs)
    without = update(policy, seen, arms[::2], rewards[::2], probs[::2])
    for a, b in zip(jax.tree.leaves(with_empty), jax.tree.leaves(without), strict=True):
        np.testing.assert_array_equal(a, b)


def test_value_is_the_same_in_one_batch_or_one_by_one(policy, update, value):
    arms, rewards, probs = jnp.array([0, 3, 3, 5]), jnp.array([0.25, 0.5, 1.0, 0.0]), jnp.full(4, 0.5)
    together = update(policy, policy.init(N), arms, rewards, probs)
    alone = policy.init(N)
    for i in range(4):
        alone = update(policy, alone, arms[i : i + 1], rewards[i : i + 1], probs[i : i + 1])
    np.testing.assert_array_equal(value(policy, together), value(policy, alone))


def test_value_is_minus_infinity_where_never_pulled(policy, update, value):
    state = update(policy, policy.init(N), jnp.array([0, 3, N]), jnp.array([0.0, 1.0, 1.0]), jnp.ones(3))
    assert np.isneginf(value(policy, policy.init(N))).all()
    assert np.isfinite(value(policy, state)).tolist() == [True, False, False, True, False, False]


def test_value_ranks_by_the_mean_not_by_the_sum(policy, update, value):
    # Arm 0: ten pulls that give 0.4. Arm 1: one pull that gives 0.6.
    arms = jnp.array([0] * 10 + [1])
    state = update(policy, policy.init(N), arms, jnp.array([0.4] * 10 + [0.6]), jnp.full(11, 0.5))
    assert value(policy, state)[1] > value(policy, state)[0]


def test_finds_the_best_arm(policy, play, value):
    hits = sum(int(value(policy, play(policy, bernoulli, 20, seed=100 * s)).argmax()) == 1 for s in range(10))
    # By chance, 10 runs over 6 arms hit the best more often than this with probability 1e-4.
    assert hits > binom.isf(1e-4, 10, 1 / N)


def test_works_in_double_precision(policy):
    with jax.enable_x64(True):
        state, active = policy.init(N), jnp.ones(N, bool)
        state = policy.update(state, jnp.arange(N), jnp.linspace(0.0, 1.0, N), jnp.ones(N))
        select = jax.jit(lambda key, state: policy.select(key, state, active, slots(policy)))
        arms, probs = select(jax.random.key(0), state)
        state = policy.update(state, arms, jnp.full(arms.shape, 0.5), probs)
        assert arms.dtype == jnp.int32
        assert probs.dtype == jnp.float64
        assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves((state, policy.value(state))))
        assert np.isfinite(policy.value(state)).all()
