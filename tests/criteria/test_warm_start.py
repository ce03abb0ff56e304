from typing import ClassVar

import jax
import numpy as np
import pytest

from skbandit._core.pytree import pytree_dataclass
from skbandit.criteria import (
    Criterion,
    Scores,
    SequentialRacing,
    WarmRacing,
    WarmStartedBandit,
    WarmTopTwoThompson,
    resolve,
)
from skbandit.policies import LUCB, UCB1, Racing

N = 6
ALL = np.ones(N, bool)


@pytree_dataclass
class Oracle(Criterion):
    """Knows the order of the damages, on another scale."""

    name: ClassVar = "oracle"
    constraints: ClassVar = {}
    sign: float = 1.0

    def step(self, key, state, problem, active):
        value = -self.sign * problem.params["damage"] ** 3
        return state, Scores(value, np.int32(0), 0 * value)


@pytest.fixture(scope="module")
def step():
    def call(criterion, state, seed, problem, active):
        return criterion.step(jax.random.key(seed), state, problem, active)

    return jax.jit(call, compiler_options={"xla_backend_optimization_level": 0})


def hits(score, bench, criterion, n_runs=30):
    """How many of the three safest units are among the three of highest value, on average."""
    found = 0
    for seed in range(n_runs):
        table = bench(damage=np.arange(N) * 0.4, noise=6.0, seed=seed)
        exact = np.average(table.batch_damages(), axis=0)
        scores = score(criterion, seed, table.problem(2 * N), ALL)
        found += len(set(np.argsort(exact)[:3]) & set(np.argsort(-np.asarray(scores.value))[:3]))
    return found / n_runs


def test_a_good_prior_finds_more_of_the_safest(score, bench):
    plain = hits(score, bench, resolve("racing"))
    assert hits(score, bench, WarmStartedBandit(prior=Oracle())) > plain


def test_the_round_before_is_the_hint_of_the_next(step, bench):
    problem = bench(damage=np.arange(N), noise=1.0).problem(2 * N)
    criterion = SequentialRacing()
    state = criterion.init(jax.random.key(0), problem)
    assert not state.known
    state, scores = step(criterion, state, 0, problem, ALL)
    assert state.known
    np.testing.assert_array_equal(state.value, -scores.damage)
    again, _ = step(criterion, state, 1, problem, ALL)
    assert again.known
    forgetful = WarmRacing(carry=False, prior=Oracle())
    state, _ = step(forgetful, forgetful.init(jax.random.key(0), problem), 0, problem, ALL)
    assert not state.known


@pytest.mark.parametrize("criterion", [WarmRacing(prior=Oracle()), WarmTopTwoThompson(prior=Oracle())])
def test_with_all_batches_seen_the_ranking_is_exact_whatever_the_prior(score, bench, criterion):
    table = bench(noise=2.0)
    for sign in (1.0, -1.0):
        changed = criterion.set_params(prior__sign=sign)
        scores = score(changed, 0, table.problem(10**4), ALL)
        np.testing.assert_allclose(scores.damage, table.batch_damages().mean(axis=0), rtol=1e-4, atol=1e-5)


def test_only_policies_of_identification_take_hints():
    assert resolve(WarmStartedBandit(policy=LUCB())).policy == LUCB()
    with pytest.raises(ValueError, match="'policy' parameter of WarmStartedBandit must be a policy that looks for"):
        resolve(WarmStartedBandit(policy=UCB1()))
    with pytest.raises(ValueError, match="'prior' parameter of WarmStartedBandit must be"):
        resolve(WarmStartedBandit(policy=Racing(), prior="fisher"))
