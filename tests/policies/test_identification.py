"""The boundary between the chosen arms and the others, under the room of groups; and hints."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit.policies import CSAR, Goal
from skbandit.policies.identification import add_rewards, doubts, init_moments, posterior, standard_error


def goal(n, n_choose, group=None, room=None, hint=None, budget=1000, n_batches=10**6):
    group = np.zeros(n, np.int32) if group is None else np.asarray(group, np.int32)
    room = np.full(group.max() + 1, n, np.int32) if room is None else np.asarray(room, np.int32)
    return Goal(np.int32(n_choose), np.int32(budget), np.int32(n_batches), np.ones(n, bool), group, room, None, hint)


def best_set(mean, n_choose, group, room, must=(), never=()):
    """Return the best sum over all allowed sets, by brute force; minus infinity if there is none."""
    best = -np.inf, ()
    for chosen in itertools.combinations(range(len(mean)), n_choose):
        counts = np.bincount(group[list(chosen)], minlength=len(room)) if chosen else np.zeros(len(room))
        if np.all(counts <= room) and set(must) <= set(chosen) and not set(never) & set(chosen):
            best = max(best, (mean[list(chosen)].sum(), chosen))
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("room", [(9, 9, 9), (1, 2, 1), (2, 1, 9), (0, 3, 1)])
def test_the_choice_and_its_gaps_are_those_of_brute_force(seed, room):
    mean, group = np.random.default_rng(seed).normal(size=8).astype("float32"), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    n_choose, room = 4, np.array(room)
    total, expected = best_set(mean, n_choose, group, room)
    chosen, gap = doubts(jnp.asarray(mean), goal(8, n_choose, group, room), jnp.zeros(8, bool), jnp.ones(8, bool))
    assert set(np.flatnonzero(chosen)) == set(expected)
    for arm in range(8):
        if arm in expected:
            otherwise, _ = best_set(mean, n_choose, group, room, never=[arm])
        else:
            otherwise, _ = best_set(mean, n_choose, group, room, must=[arm])
        np.testing.assert_allclose(gap[arm], total - otherwise, rtol=1e-5)


def test_accepted_arms_take_room_and_are_not_chosen_again():
    mean, group = jnp.array([1.0, 2.0, 3.0, 4.0]), [0, 0, 1, 1]
    accepted = jnp.array([False, False, False, True])
    chosen, _ = doubts(mean, goal(4, 3, group, [2, 1]), accepted, ~accepted)
    assert chosen.tolist() == [True, True, False, False]


def moments_of(rewards):
    moments = init_moments(rewards.shape[1])
    for row in rewards:
        moments = add_rewards(moments, jnp.arange(rewards.shape[1]), jnp.asarray(row))
    return moments


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(0)
    truth = np.sort(rng.exponential(size=200)).astype("float32")
    return truth, (truth + 2 * rng.normal(size=(3, 200))).astype("float32")


def test_a_good_hint_brings_the_estimates_nearer(noisy):
    truth, rewards = noisy
    moments = moments_of(rewards)
    plain, error = posterior(moments, goal(200, 100))
    np.testing.assert_array_equal(error, standard_error(moments, goal(200, 100)))
    hinted, hinted_error = posterior(moments, goal(200, 100, hint=jnp.asarray(truth**2)))
    assert np.mean((hinted - truth) ** 2) < 0.3 * np.mean((plain - truth) ** 2)
    assert np.all(hinted_error < error)


def test_a_hint_that_says_nothing_does_little_harm(noisy):
    truth, rewards = noisy
    moments = moments_of(rewards)
    hinted, _ = posterior(moments, goal(200, 100, hint=jax.random.uniform(jax.random.key(0), (200,))))
    assert np.mean((hinted - truth) ** 2) < 1.1 * np.mean((moments.mean - truth) ** 2)


def test_no_hint_moves_an_arm_that_has_seen_all(noisy):
    truth, rewards = noisy
    moments = moments_of(rewards)
    hinted, error = posterior(moments, goal(200, 100, hint=jnp.asarray(truth), n_batches=3))
    np.testing.assert_allclose(hinted, moments.mean, rtol=1e-5)
    assert not error.any()


def test_one_pull_of_each_arm_is_believed_by_half_at_most(noisy):
    truth, rewards = noisy
    hinted, error = posterior(moments_of(rewards[:1]), goal(200, 100, hint=jnp.asarray(truth)))
    assert np.isfinite(error).all()
    assert np.mean((hinted - truth) ** 2) < 0.5 * np.mean((rewards[0] - truth) ** 2)


def test_csar_decides_on_its_schedule():
    n, budget = 16, 16 * 12
    policy = CSAR()
    state = policy.aim(policy.init(n), goal(n, 8, budget=budget))
    log_n = np.sum(1 / np.arange(1, n + 1))
    due = np.ceil((budget - n) / (log_n * (n - np.arange(n))))  # T_1, ..., T_n
    rng, means = np.random.default_rng(0), np.arange(n)
    spent = n_decided = 0
    while True:
        active = np.ones(n, bool)
        arms, _ = policy.select(jax.random.key(spent), state, active, n)
        arms = arms[: budget - spent]
        undecided = ~(np.asarray(state.accepted) | np.asarray(state.rejected))
        if len(set(np.asarray(arms)) - {n}) == 0 or undecided.sum() <= 1:
            break
        spent += int((arms < n).sum())
        state = policy.update(
            state, arms, jnp.asarray(means[np.minimum(arms, n - 1)] + rng.normal(size=arms.size)), 1.0
        )
        n_decided = int((state.accepted | state.rejected).sum())
        pulls = np.asarray(state.moments.n_pulls)[undecided].min()
        assert n_decided == (min((due <= pulls).sum(), n - 1) if pulls >= 2 else 0)
    assert spent <= budget
    assert set(np.flatnonzero(state.accepted)) <= set(range(6, 16))


def multiplications(widths):
    return sum(a * b for a, b in itertools.pairwise(widths))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_csar_saves_the_multiplications_asked_for(share):
    """By hand: units in the order of damage per multiplication, until the network is small enough."""
    rng = np.random.default_rng(0)
    group, ends = np.repeat([0, 1], [6, 4]), np.array([20, 2])
    damage = rng.exponential(size=10)
    policy = CSAR(multiplications=share)
    asked = goal(10, 3, group, [5, 3], budget=20)._replace(ends=ends)
    state = policy.aim(policy.init(10), asked)
    state = policy.update(state, jnp.arange(10), jnp.asarray(-damage), 1.0)
    chosen = np.asarray(policy.choice(state))

    price = np.where(group == 0, 20 + 4, 6 + 2)
    left, room, expected = [20, 6, 4, 2], [5, 3], set()
    for unit in np.argsort(damage / price):
        if multiplications(left) <= (1 - share) * multiplications([20, 6, 4, 2]):
            break
        if room[group[unit]] > 0:
            room[group[unit]] -= 1
            left[1 + group[unit]] -= 1
            expected.add(int(unit))
    assert set(np.flatnonzero(chosen)) == expected


def test_csar_needs_a_dense_network_to_count():
    policy = CSAR(multiplications=0.5)
    state = policy.aim(policy.init(4), goal(4, 2))
    with pytest.raises(ValueError, match="for dense networks only"):
        policy.choice(state)
