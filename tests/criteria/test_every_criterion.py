"""What every criterion promises, over the whole table: no criterion is a special case here."""

import dataclasses

import jax
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import CRITERIA, Bandit, Problem, resolve
from skbandit.criteria.bmrs import NoiseCriterion
from skbandit.criteria.gates import GateCriterion
from skbandit.policies import POLICIES
from skbandit.pruning.scoring import canonical

SIZES = (3, 6, 5, 2)
N = 11
NETWORK = MLP(SIZES, "relu", "squared_error")
GROUP = NETWORK.groups.group_of()
PERMUTATION = np.r_[np.random.default_rng(1).permutation(6), 6 + np.random.default_rng(2).permutation(5)]
#: Their draws go by the number of a unit.
DRAWS = {"random", "bmrs_n", "bmrs_u", "snr", "expected_gate", "budgeted_greedy"} | {
    name for name, cls in CRITERIA.items() if issubclass(cls, Bandit)
}


def few_steps(name):
    criterion = resolve(name)
    if isinstance(criterion, (NoiseCriterion, GateCriterion)):
        criterion = dataclasses.replace(criterion, n_steps=5)
    return canonical(criterion)  # as the engine does


CASES = {name: few_steps(name) for name in (*CRITERIA, *POLICIES)}
EVERY = pytest.mark.parametrize("criterion", CASES.values(), ids=CASES)


def permuted(params):
    first, second, last = params
    a, b = PERMUTATION[:6], PERMUTATION[6:] - 6
    return (first[0][:, a], first[1][a]), (second[0][a][:, b], second[1][b]), (last[0][b], last[1])


def problem(dtype="float32", permute=False, budget=4 * N, n_remove=5, drawn=0, off=()):
    rng = np.random.default_rng(drawn)
    params = init_params(SIZES, "relu", np.random.RandomState(drawn), dtype)
    params = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape).astype(dtype), params)
    if permute:
        params = permuted(params)
    active = np.ones(N, bool)
    active[list(off)] = False
    params = NETWORK.groups.zero(params, [np.flatnonzero(~a) for a in NETWORK.groups.split(active)])
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    made = Problem(
        params=params,
        gates=NETWORK.groups.split(active.astype(dtype)),
        emissions=NETWORK.groups.split(np.zeros(N, dtype)),
        batches=Batches.partition(np.random.default_rng(3), X, y, np.ones(40), dtype, 8),
        budget=np.int32(budget),
        n_remove=np.int32(n_remove),
        room=np.array([5, 4], np.int32) - np.bincount(GROUP[~active], minlength=2).astype(np.int32),
        network=NETWORK,
        arms_per_step=2,
    )
    return made, active


def call(score, criterion, seed=0, **changes):
    return jax.tree.map(np.asarray, score(criterion, seed, *problem(**changes)))


@EVERY
def test_values_are_finite_and_nothing_is_said_of_units_that_have_left(criterion, score):
    for off in ((), (0, 7), (1, 2, 3, 4, 5)):
        scores = call(score, criterion, off=off)
        on = ~np.isin(np.arange(N), off)
        assert scores.value.shape == scores.damage.shape == (N,)
        assert scores.value.dtype == np.float32
        assert np.isfinite(scores.value[on]).all()
        assert scores.n_pulls.dtype == np.int32
        assert scores.suggested is None or not scores.suggested[~on].any()


@EVERY
def test_is_deterministic_for_a_key(criterion, score):
    jax.tree.map(np.testing.assert_array_equal, *(call(score, criterion, seed=4) for _ in range(2)))


@EVERY
def test_nothing_is_compiled_twice(criterion, score):
    call(score, criterion)
    n_programs = score._cache_size()
    call(score, criterion, seed=1, budget=17, n_remove=2, off=(3, 8))
    call(score, jax.tree.map(lambda x: 0.9 * x, criterion))
    assert score._cache_size() == n_programs


@pytest.mark.parametrize("name", [name for name in CRITERIA if name not in DRAWS])
def test_the_numbers_of_units_do_not_matter(name, score):
    # A network without ties (dead units, say), in double precision: where two units are as good as equal, their
    # numbers decide, and what is removed one after the other takes another way from there.
    with jax.enable_x64(True):
        same = {"dtype": "float64", "budget": 10**4, "drawn": 4}
        plain, renumbered = (call(score, CASES[name], permute=permute, **same) for permute in (False, True))
    np.testing.assert_allclose(renumbered.value, plain.value[PERMUTATION], rtol=1e-6, atol=1e-9)


@EVERY
def test_keeps_double_precision(criterion, score):
    with jax.enable_x64(True):
        scores = jax.eval_shape(score, criterion, 0, *problem(dtype="float64"))
    assert scores.value.dtype == scores.damage.dtype == np.float64


@pytest.mark.parametrize("name", CRITERIA)
def test_has_its_name_and_documents_its_parameters(name):
    criterion = CRITERIA[name]
    assert criterion.name == name
    documented = "".join(c.__doc__ or "" for c in criterion.__mro__)
    for field in dataclasses.fields(criterion):
        assert f"{field.name} : " in documented, field.name
        assert field.name in criterion.constraints, field.name
