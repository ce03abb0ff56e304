import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._core.pytree import pytree_dataclass
from skbandit.criteria import Bandit, LeaveOneOut, resolve
from skbandit.policies import EXP3, POLICIES, UCB1, IdentificationPolicy, Policy, Uniform
from skbandit.rewards import OffsetClipReward, SmoothReward

N, N_BATCHES = 6, 5
ALL = np.ones(N, bool)
EVERY = pytest.mark.parametrize("policy", [cls() for cls in POLICIES.values()], ids=POLICIES)


def pulls(scores):
    return np.asarray(scores.info["pulls"]).astype(int)


@EVERY
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_pulls_stay_within_the_budget_and_use_it_up(policy, bench, score, data):
    budget = data.draw(st.integers(0, 80), "budget")
    active = np.array(data.draw(st.lists(st.booleans(), min_size=N, max_size=N).filter(any), "active"))
    n_active, n_batches = int(active.sum()), int(bench().problem(1).batches.n_batches)
    # As the engine has it: at least a sweep, and no more than every active unit on every mini-batch.
    budget = min(max(budget, n_active), n_active * n_batches)
    scores = score(Bandit(policy=policy), data.draw(st.integers(0, 9), "seed"), bench().problem(budget), active)
    n_pulls = int(scores.n_pulls)
    # `info` counts the distinct pairs of unit and mini-batch: no pull is a repetition.
    assert n_pulls == pulls(scores).sum()
    # A sweep that cannot be completed is not begun where it must be complete; otherwise nothing is left over.
    assert 0 <= budget - n_pulls < (n_active if policy.full_information else 1)
    # Every active unit is pulled; the others never are.
    assert (pulls(scores)[active] >= 1).all()
    assert not pulls(scores)[~active].any()


@EVERY
def test_same_seed_same_pulls(policy, bench, score):
    problem = bench(noise=2.0).problem(47)
    first, second = (score(Bandit(policy=policy), 3, problem, ALL) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("policy", [EXP3(), UCB1()], ids=["exp3", "ucb1"])
def test_another_seed_makes_other_choices(policy, bench, score):
    # UCB1 draws lots among ties only: equal damages.
    problem = bench(damage=np.zeros(N), noise=0.0).problem(14)
    counts = {tuple(pulls(score(Bandit(policy=policy), seed, problem, ALL))) for seed in range(8)}
    assert len(counts) > 1


@EVERY
def test_with_one_batch_the_ranking_is_exact(policy, bench, score):
    # Rows that fill one batch: every pull of a unit measures the same damage.
    table = bench(noise=1.0, n=8)
    problem = table.problem(30)
    scores = score(Bandit(policy=policy), 0, problem, ALL)
    exact = score(LeaveOneOut(), 0, problem, ALL)
    assert exact.n_pulls == N
    np.testing.assert_array_equal(np.argsort(scores.value), np.argsort(exact.value))
    # float32: once multiplied by the weight of the batch, and divided.
    np.testing.assert_allclose(scores.damage, exact.damage, rtol=4 * np.finfo("float32").eps)


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_unit_whose_damage_is_not_finite_hurts_no_other(policy, bad, bench, score):
    damage = np.array([0.1, 0.2, bad, 0.4, 0.5, 0.6])
    scores = score(Bandit(policy=policy), 0, bench(damage=damage, noise=0.0).problem(40), ALL)
    others = np.arange(N) != 2
    assert scores.n_pulls <= 40
    assert (pulls(scores)[others] >= 1).all()
    np.testing.assert_allclose(np.asarray(scores.damage)[others], damage[others], rtol=1e-5)
    assert not scores.value[2] > scores.value[5]


def test_a_budget_below_one_pull_each_still_pulls_each_once(bench, score):
    scores = score(Bandit(), 0, bench().problem(2), ALL)
    np.testing.assert_array_equal(pulls(scores), 1)


def test_value_is_minus_the_mean_damage_over_the_batches_seen(bench, score):
    # Two full sweeps of a round robin: batches 0 and 1 for every unit.
    table = bench(noise=1.0)
    scores = score(Bandit(policy=Uniform()), 0, table.problem(2 * N), ALL)
    expected = table.batch_damages()[:2].mean(axis=0)
    np.testing.assert_allclose(scores.damage, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(scores.value, -scores.damage)


@EVERY
def test_with_budget_for_all_every_policy_measures_the_exact_damages(policy, bench, score):
    # Batches of 8 and 7 rows with weights of their own: each counts by its weight, as its rows do in the whole.
    weight = np.random.default_rng(3).exponential(size=40)
    problem = bench(noise=1.0, n=38, weight=weight).problem(N_BATCHES * N)
    scores, exact = score(Bandit(policy=policy), 0, problem, ALL), score(LeaveOneOut(), 0, problem, ALL)
    np.testing.assert_array_equal(pulls(scores), N_BATCHES)
    np.testing.assert_allclose(scores.damage, exact.damage, rtol=0, atol=1e-6)
    # ... and whoever looks for the best set finds it.
    if isinstance(policy, IdentificationPolicy):
        assert set(np.argsort(-scores.value)[:3]) == set(np.argsort(exact.damage)[:3])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["warm_racing", "warm_top_two_thompson", "sequential_racing", "racing", "lucb"])
def test_a_damage_that_is_not_finite_does_not_spoil_the_ranking(name, bad, bench, score):
    damage = np.array([0.1, 0.5, bad, 0.2, 0.6, 0.3])
    criterion = resolve(name)
    if hasattr(criterion, "prior"):
        criterion = dataclasses.replace(criterion, prior=None)
    value = np.asarray(score(criterion, 0, bench(damage=damage, noise=0.05).problem(24), ALL).value)
    assert set(np.argsort(np.where(np.isnan(value), np.inf, -value))[:3]) == {0, 3, 5}


def test_a_budget_beyond_every_pull_there_is_ends(bench, score):
    for budget in (N_BATCHES * N + 1, 2**30):
        assert score(Bandit(), 0, bench().problem(budget), ALL).n_pulls == N_BATCHES * N


@pytree_dataclass
class Recorder(Policy):
    """Takes the units in turn, and remembers who was pulled when, and what it was paid."""

    def init(self, n):
        return jnp.zeros((), jnp.int32), jnp.full((20, n), n), jnp.zeros((20, n)), jnp.zeros((20, n))

    def select(self, key, state, active, k):
        # The opening sweep is step 0.
        return ((state[0] - 1) * k + jnp.arange(k)) % N, jnp.full(k, 0.25)

    def update(self, state, arms, rewards, probs):
        t, *rows = state
        return t + 1, *(row.at[t].set(new) for row, new in zip(rows, (arms, rewards, probs), strict=True))

    def value(self, state):
        return state


def record(score, problem, reward):
    scores = score(Bandit(policy=Recorder(), reward=reward, rank_by="reward"), 0, problem, ALL)
    t, *rows = map(np.asarray, scores.value)
    return scores, [row[:t] for row in rows]


def test_units_of_a_step_see_the_same_batch_and_successive_steps_successive_ones(bench, score):
    table = bench(damage=np.zeros(N), noise=0.3)
    damages = table.batch_damages()
    _, (arms, rewards, probs) = record(score, table.problem(N + 2 * 7), OffsetClipReward(offset=0.5))
    np.testing.assert_array_equal(arms[0], np.arange(N))  # the opening sweep
    assert len(arms) == 8
    for t in range(8):
        slots = arms[t][arms[t] < N]
        if t > 0:
            assert slots.tolist() == [(2 * t - 2) % N, (2 * t - 1) % N]
        # The reward ½ - damage tells which batch was seen; after five steps the batches come again.
        np.testing.assert_allclose(rewards[t][: slots.size], 0.5 - damages[t % N_BATCHES][slots], rtol=0, atol=1e-6)
    # What was forced has probability 1, what was drawn the probability of the draw.
    np.testing.assert_array_equal(probs[0], 1)
    np.testing.assert_array_equal(probs[1:, :2], 0.25)


def test_the_opening_sweep_fixes_the_scale_of_the_reward(bench, score):
    table = bench(noise=3.0)
    damages = table.batch_damages()
    scores, (arms, rewards, _) = record(score, table.problem(N + 2 * 7), SmoothReward())
    scale = np.sort(np.abs(damages[0]))[(N - 1) // 2]
    assert scores.info["scale"] == pytest.approx(scale, rel=1e-5)
    for t in range(8):
        slots = arms[t][arms[t] < N]
        expected = 1 / (1 + np.exp(damages[t % N_BATCHES][slots] / scale))
        np.testing.assert_allclose(rewards[t][: slots.size], expected, rtol=0, atol=1e-5)


def test_the_last_step_takes_what_is_left_of_the_budget(bench, score):
    scores, (arms, _, _) = record(score, bench().problem(N + 3), SmoothReward())
    assert scores.n_pulls == N + 3
    assert [int((row < N).sum()) for row in arms] == [N, 2, 1]


def test_ranking_by_reward_and_by_damage_may_differ(bench, score):
    # Unit 0 always costs 1. Unit 1 costs nothing on four batches of five and 10 on the fifth: 2 on average.
    table = bench(damage=[1, 0, 1, 1, 1, 1], noise=0.0)
    table.X[table.parts()[1], 1] = 10
    problem = table.problem(N * N_BATCHES)
    by_damage = score(Bandit(policy=Uniform()), 0, problem, ALL).value
    np.testing.assert_allclose(by_damage[:2], [-1, -2], rtol=1e-6)
    # The scale is 1, the median of five times 1 (0 does not count). The rewards: 1/(1 + e), and (4·½ + 1/(1 + e^10))/5.
    by_reward = score(Bandit(policy=Uniform(), rank_by="reward"), 0, problem, ALL).value
    np.testing.assert_allclose(by_reward[:2], [0.268941, 0.400009], rtol=1e-5)


def test_parameters_reach_the_policy_and_the_reward():
    bandit = Bandit().set_params(policy__exploration=0.1, reward__width=3.0, rank_by="reward")
    assert bandit.get_params(deep=False) == {
        "policy": UCB1(exploration=0.1),
        "reward": SmoothReward(width=3.0),
        "rank_by": "reward",
    }
    assert bandit.get_params()["policy__exploration"] == 0.1


@pytest.mark.parametrize(
    "draw",
    [
        lambda arms, probs: arms,
        lambda arms, probs: (arms[1:], probs),
        lambda arms, probs: (arms, 1.0),
        lambda arms, probs: (arms * 1.0, probs),
    ],
)
def test_a_policy_that_draws_other_than_asked_is_refused(draw, bench, score):
    @pytree_dataclass
    class Mine(Uniform):
        def select(self, key, state, active, k):
            return draw(*super().select(key, state, active, k))

    with pytest.raises(ValueError, match=r"Mine.select must return \(arms, probs\), i32\[6\] and f\[6\]"):
        score(Bandit(policy=Mine()), 0, bench().problem(20), ALL)


# --- what policies and rewards of one's own return -------------------------------------------------------------------


def of_update(change):
    @pytree_dataclass
    class Wrong(UCB1):
        def update(self, state, arms, rewards, probs):
            return change(super().update(state, arms, rewards, probs))

    return Bandit(policy=Wrong())


def of_reward(**methods):
    return Bandit(reward=pytree_dataclass(type("Wrong", (SmoothReward,), methods))())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: of_update(lambda state: None), "Wrong.update must return a state like that of Wrong.init"),
        (lambda: of_update(lambda state: state._replace(total=state.total[:1])), r"float32\[6\] and is float32\[1\]"),
        (lambda: of_update(lambda state: state._replace(total=state.total > 0)), r"float32\[6\] and is bool\[6\]"),
        (
            lambda: of_reward(scale=lambda self, damage, active: damage),
            r"Wrong.scale must return floats of the shape \[\]",
        ),
        (lambda: of_reward(scale=lambda self, damage, active: None), "Wrong.scale .* It returned None"),
        (lambda: of_reward(__call__=lambda self, damage, scale: damage[:1]), r"Wrong.__call__ .* of the shape \[6\]"),
        (lambda: of_reward(__call__=lambda self, damage, scale: "x"), "Wrong.__call__ .* It returned 'x'"),
    ],
)
def test_what_a_policy_or_reward_returns_is_named_where_it_is_something_else(make, message, bench, score):
    with pytest.raises(ValueError, match=message):
        score(make(), 0, bench().problem(20), ALL)


def test_a_state_may_begin_with_numbers_of_python(bench, score):
    @pytree_dataclass
    class Counting(UCB1):
        def init(self, n):
            return super().init(n), 0

        def update(self, state, arms, rewards, probs):
            return super().update(state[0], arms, rewards, probs), state[1] + 1

        def index(self, state):
            return super().index(state[0])

        def value(self, state):
            return super().value(state[0])

    problem = bench().problem(20)
    np.testing.assert_array_equal(
        score(Bandit(policy=Counting()), 0, problem, ALL).value, score(Bandit(policy=UCB1()), 0, problem, ALL).value
    )
