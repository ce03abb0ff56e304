"""What every policy promises, over all of the table: no policy is a special case here."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from skbandit.policies import EXP3, POLICIES, EpsilonGreedy, Goal, Hedge, IdentificationPolicy, Policy, Softmax

N = 6
CASES = {name: cls() for name, cls in POLICIES.items()} | {
    "epsilon_greedy-annealed": EpsilonGreedy(annealed=True),
    "softmax-annealed": Softmax(annealed=True),
    "hedge-constant": Hedge(learning_rate=0.5),
    "exp3-constant": EXP3(gamma=0.1),
    "exp3-classical": EXP3(variant="classical"),
    "exp3-classical-constant": EXP3(gamma=0.1, variant="classical"),
}
ALL = np.ones(N, bool)


def begin(policy):
    """Return the state before the first pull; policies of identification are told to find the two best arms."""
    state = policy.init(N)
    if not isinstance(policy, IdentificationPolicy):
        return state
    return policy.aim(
        state, Goal(np.int32(2), np.int32(8 * N), np.int32(16), ALL, np.zeros(N, np.int32), np.array([N - 1], np.int32))
    )


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def policy(request):
    return request.param


@pytest.fixture
def learn(update):
    """``learn(policy, state, arms, rewards, probs=1)``: an update, with empty slots up to ``N`` (one compilation)."""

    def call(policy, state, arms, rewards, probs=1.0):
        slots = np.full(N, N, np.int32), np.zeros(N, np.float32), np.ones(N, np.float32)
        for slot, given in zip(slots, (arms, rewards, probs), strict=True):
            slot[: len(arms)] = given
        return update(policy, state, *slots)

    return call


@pytest.fixture
def play(select, learn):
    """Run a policy as a criterion does: every arm once, then steps of its own; ``reward(rng, arms)`` pays."""

    def call(policy, reward, n_steps, active=ALL, seed=0):
        rng = np.random.default_rng(seed)
        everyone = np.flatnonzero(active)
        state = learn(policy, begin(policy), everyone, reward(rng, everyone))
        for key in keys(seed, n_steps):
            arms, probs = map(np.asarray, select(policy, key, state, active, n_slots(policy)))
            state = learn(policy, state, arms, reward(rng, arms), probs)
        return state

    return call


def keys(seed, n):
    return [jax.random.key(1000 * seed + i) for i in range(n)]


def n_slots(policy):
    return N if policy.sweeps else 3


def bernoulli(rng, arms):
    """Arm 1 is the best."""
    means = np.array([0.1, 0.9, 0.2, 0.3, 0.1, 0.2, 0.0])
    return rng.random(len(arms)) < means[arms]


def assert_equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_is_a_frozen_record_with_a_name(policy):
    assert isinstance(policy, Policy)
    assert POLICIES[policy.name] is type(policy)
    assert policy.sweeps or not policy.full_information
    for field in dataclasses.fields(policy):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(policy, field.name, 0.5)


def test_numeric_fields_are_leaves(policy):
    assert jax.tree.leaves(policy) == [v for v in policy.get_params().values() if isinstance(v, float)]


@pytest.mark.parametrize("k", [1, 3, N, N + 2])
def test_shapes_and_types(policy, k):
    if policy.full_information and k != N:
        with pytest.raises(ValueError, match=f"k must be {N}, got {k}"):
            policy.select(jax.random.key(0), begin(policy), jnp.ones(N, bool), k)
        return

    def step(key, active, rewards):
        state = begin(policy)
        arms, probs = policy.select(key, state, active, k)
        new = policy.update(state, arms, rewards, probs)
        return state, new, arms, probs, policy.value(new)

    for x64, dtype in [(False, jnp.float32), (True, jnp.float64)]:
        with jax.enable_x64(x64):
            state, new, *out = jax.eval_shape(step, jax.random.key(0), jnp.ones(N, bool), jnp.zeros(k))
        assert [(o.shape, o.dtype) for o in out] == [((k,), jnp.int32), ((k,), dtype), ((N,), dtype)]
        # An integer weight times 1.5 can stay what it was: in a state, integers count and booleans decide.
        others = {jnp.dtype(bool), jnp.dtype("int32")} if isinstance(policy, IdentificationPolicy) else set()
        assert {leaf.dtype for leaf in jax.tree.leaves(state)} - others == {jnp.dtype(dtype)}
        assert state == new  # as types


def test_empty_slots_come_last(policy, select):
    """A step cuts its slots off at the end of the budget; full information is not cut."""
    if policy.full_information:
        return
    active = np.array([False, True, False, True, False, False])
    arms, _ = map(np.asarray, select(policy, jax.random.key(0), begin(policy), active, N))
    filled = arms < N
    assert filled.any()
    assert (np.diff(filled.astype(int)) <= 0).all()


def test_nothing_is_traced_twice(policy):
    """Keys, states, active sets and hyper-parameters are data, not part of the program."""
    n_traces = 0

    @jax.jit
    def step(policy, key, state, active, rewards):
        nonlocal n_traces
        n_traces += 1
        arms, probs = policy.select(key, state, active, n_slots(policy))
        state = policy.update(state, arms, rewards, probs)
        return state, policy.value(state)

    rewards = jnp.full(n_slots(policy), 0.5)
    after, _ = step.eval_shape(policy, jax.random.key(0), begin(policy), ALL, rewards)
    halved = jax.tree.map(lambda x: 0.5 * x, policy)
    step.eval_shape(halved, jax.random.key(1), after, ALL, rewards / 2)
    assert n_traces == 1


def test_is_deterministic_for_a_key(policy, play, select):
    state = play(policy, bernoulli, 3)
    assert_equal(*(select(policy, jax.random.key(7), state, ALL, n_slots(policy)) for _ in range(2)))


@pytest.mark.parametrize("out", [[0], [1, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]], ids=str)
def test_arms_are_active_and_distinct_and_the_other_slots_empty(policy, select, learn, out):
    """Even where the arms that are out look best, and the others pay the least there is or were never pulled."""
    k, active = n_slots(policy), ~np.isin(np.arange(N), out)
    fresh = begin(policy)
    for state in (fresh, learn(policy, fresh, range(N), ~active), learn(policy, fresh, out, 1.0)):
        for key in keys(0, 5):
            arms, probs = map(np.asarray, select(policy, key, state, active, k))
            filled = arms[arms != N]
            assert not set(filled) & set(out)
            assert np.all(probs[arms == N] == 1.0)
            assert np.all((probs > 0) & (probs <= 1 + 1e-6))
            if policy.replacement:
                assert len(filled) == (k if active.any() else 0)
            else:
                assert len(filled) == len(set(filled)) == min(k, active.sum())


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_stays_finite_under_constant_rewards(policy, play, select, value, reward):
    state = play(policy, lambda rng, arms: reward, 50)
    _, probs = select(policy, jax.random.key(0), state, ALL, n_slots(policy))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, probs)))
    # A posterior mean stands nearer to the prior mean, 1/2; after one pull, by a half (Gaussian) or a third (Beta).
    assert np.all(np.abs(value(policy, state) - reward) <= 0.25)


def test_update_and_value_do_not_care_how_arms_are_numbered(policy, learn, value):
    arms, rewards, probs = np.array([0, 3, 3, 5, N, 1]), np.linspace(0.1, 0.9, 6), np.linspace(0.5, 1.0, 6)
    renumber = np.array([4, 2, 0, 5, 1, 3, N])
    plain = learn(policy, begin(policy), arms, rewards, probs)
    renumbered = learn(policy, begin(policy), renumber[arms], rewards, probs)
    assert_equal(plain, jax.tree.map(lambda leaf: leaf[renumber[:N]] if np.shape(leaf) == (N,) else leaf, renumbered))
    assert_equal(value(policy, plain), value(policy, renumbered)[renumber[:N]])


def test_empty_slots_teach_nothing(policy, play, learn):
    state = play(policy, bernoulli, 3)
    with_empty = learn(policy, state, [2, N, 4, N], [0.5, 1.0, 0.25, 0.0], [0.5, 1.0, 0.25, 1.0])
    assert_equal(with_empty, learn(policy, state, [2, 4], [0.5, 0.25], [0.5, 0.25]))
    assert_equal(state, learn(policy, state, [], []))


def test_value_is_the_same_in_one_batch_or_one_by_one(policy, learn, value):
    arms, rewards = [0, 3, 3, 5], [0.25, 0.5, 1.0, 0.0]
    one_by_one = begin(policy)
    for arm, reward in zip(arms, rewards, strict=True):
        one_by_one = learn(policy, one_by_one, [arm], [reward], 0.5)
    assert_equal(value(policy, learn(policy, begin(policy), arms, rewards, 0.5)), value(policy, one_by_one))


def test_value_is_minus_infinity_where_never_pulled(policy, learn, value):
    state = learn(policy, begin(policy), [0, 3, N], [0.0, 1.0, 1.0])
    assert np.isneginf(value(policy, begin(policy))).all()
    assert np.isfinite(value(policy, state)).tolist() == [True, False, False, True, False, False]


def test_value_ranks_by_the_mean_not_by_the_sum(policy, learn, value):
    # Arm 0: five pulls that give 0.4. Arm 1: one pull that gives 0.6.
    state = learn(policy, begin(policy), [0] * 5 + [1], [0.4] * 5 + [0.6])
    assert value(policy, state)[1] > value(policy, state)[0]


def test_finds_the_best_arm(policy, play, value):
    hits = sum(int(value(policy, play(policy, bernoulli, 20, seed=seed)).argmax()) == 1 for seed in range(10))
    # By chance, 10 runs over 6 arms hit the best one more often than this with a probability below 1e-4.
    assert hits > binom.isf(1e-4, 10, 1 / N)


@pytest.mark.parametrize("policy", [cls() for cls in POLICIES.values()], ids=POLICIES)
def test_works_in_double_precision(policy):
    with jax.enable_x64(True):
        state, active = begin(policy), jnp.ones(N, bool)
        state = policy.update(state, jnp.arange(N), jnp.linspace(0.0, 1.0, N), jnp.ones(N))
        arms, probs = policy.select(jax.random.key(0), state, active, N)
        state = policy.update(state, arms, jnp.full(N, 0.5), probs)
        assert np.isfinite(policy.value(state)).all()
