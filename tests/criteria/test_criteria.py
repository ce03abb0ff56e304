import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit.criteria import (
    CRITERIA,
    Bandit,
    Criterion,
    LeaveOneOut,
    Magnitude,
    Scores,
    StableUnits,
    make,
    pytree_dataclass,
    resolve,
    static,
)
from skbandit.criteria.base import checked, scores_without_pulls
from skbandit.policies import POLICIES, UCB1, Policy
from skbandit.rewards import Reward


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_every_name_gives_a_criterion(name):
    criterion = resolve(name)
    assert isinstance(criterion, Criterion)
    assert (criterion.policy if type(criterion) is Bandit else criterion).name == name
    assert isinstance(make(name), Policy if name in POLICIES else Criterion)


def test_no_policy_and_criterion_share_a_name():
    assert not POLICIES.keys() & CRITERIA.keys()


def test_a_policy_is_lifted_and_a_criterion_taken_as_it_is():
    policy, criterion = UCB1(exploration=0.5), Magnitude(order=1)
    assert resolve(policy) == Bandit(policy=policy)
    assert resolve(criterion) is criterion


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"The 'policy' parameter .* Got 'magnitud'\. Did you mean 'magnitude'\?"):
        resolve("magnitud")
    with pytest.raises(ValueError, match=r"Got 'qqq'\.$"):
        resolve("qqq")


@pytest.mark.parametrize("wrong", [3, None, UCB1, Magnitude])
def test_what_is_neither_name_nor_policy_nor_criterion_is_refused(wrong):
    hint = rf".* Did you mean {wrong.__name__}\(\)\?" if isinstance(wrong, type) else ""
    with pytest.raises(ValueError, match=r"must be a Policy, a Criterion, or one of the names \['activation.*" + hint):
        resolve(wrong)


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_criteria_are_pytrees_of_their_numeric_fields(name):
    criterion = resolve(name)
    leaves, tree = jax.tree.flatten(criterion)
    assert all(np.isscalar(leaf) for leaf in leaves)
    assert jax.tree.unflatten(tree, leaves) == criterion


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_criteria_can_be_cloned_by_their_parameters(name):
    criterion = resolve(name)
    assert type(criterion)(**criterion.get_params(deep=False)) == criterion


def test_one_program_serves_all_budgets_active_sets_seeds_and_hyper_parameters(score, bench):
    score(Bandit(policy=UCB1()), 0, bench().problem(20), np.ones(6, bool))
    compiled = score._cache_size()
    score(Bandit(policy=UCB1(exploration=0.2)), 1, bench(seed=1).problem(31), np.arange(6) > 2)
    score(Bandit(policy=UCB1()), 2, bench(n=11).problem(6), np.arange(6) > 4)
    assert score._cache_size() == compiled


def test_leave_one_out_ignores_the_budget(score, bench):
    assert score(LeaveOneOut(), 0, bench().problem(1), np.arange(6) < 4).n_pulls == 5 * 4


@pytest.mark.parametrize(
    "wrong",
    [
        UCB1(exploration=-1.0),
        UCB1(exploration="big"),
        Bandit(rank_by="luck"),
        Bandit(policy=UCB1(np.nan)),
        Bandit(policy="ucb1"),
        Bandit(policy=UCB1),
        Bandit(policy=Magnitude()),
        Bandit(reward=None),
    ],
)
def test_fields_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"'(exploration|rank_by|policy|reward)' parameter of (UCB1|Bandit) must be"):
        resolve(wrong)


def test_an_interface_is_no_criterion():
    for interface in (Criterion, Policy, Reward):
        with pytest.raises(TypeError, match="abstract"):
            interface()


def step_by_number(self, key, state, problem, active):
    return state, scores_without_pulls(jnp.arange(problem.n_units) * 1.0)


def test_a_class_without_its_decorator_is_told_so():
    class Bare(Criterion):
        step = step_by_number

    class BarePolicy(UCB1):
        pass

    for wrong in (Bare(), BarePolicy()):
        with pytest.raises(ValueError, match=rf"class {type(wrong).__name__} lacks its decorator, @pytree_dataclass"):
            resolve(wrong)


def test_a_string_among_the_numbers_is_told_where_it_belongs():
    @pytree_dataclass
    class Named(Criterion):
        side: str = "left"
        step = step_by_number

    with pytest.raises(ValueError, match=r"field 'side' of Named holds 'left'.* side: str = static\(default="):
        resolve(Named())


def test_a_class_whose_decorator_was_run_in_another_process_is_made_a_pytree_here():
    @pytree_dataclass
    class Sent(Criterion):
        weight: float = 2.0
        side: str = static(default="left")

        def step(self, key, state, problem, active):
            return state, None

    # By value, as joblib sends what a script or a notebook defines. (Its older versions bring a copy of the library.)
    cloudpickle = pytest.importorskip("cloudpickle")
    code = (
        "import sys, cloudpickle, jax; from skbandit.criteria import resolve\n"
        "sent = cloudpickle.load(sys.stdin.buffer); print(jax.tree.leaves(resolve(sent)), sent.side)"
    )
    sent = cloudpickle.dumps(Sent(weight=3.0))
    run = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=False)
    assert run.stdout.decode().split() == ["[3.0]", "left"], run.stderr.decode()


def test_a_class_that_was_registered_by_other_means_stays_as_it_is():
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Registered(Criterion):
        weight: float = 2.0
        step = step_by_number

    assert jax.tree.leaves(resolve(Registered())) == [2.0]


VALUE = jnp.zeros(6)
FINE = {"value": VALUE, "n_pulls": 0, "damage": VALUE}
WRONG = {
    "a column": {"value": VALUE[:, None]},
    "too few": {"value": VALUE[1:]},
    "a scalar": {"value": 0.0},
    "flags": {"value": VALUE > 0},
    "a part for each layer": {"value": (VALUE[:3], VALUE[3:])},
    "no damage": {"damage": None},
    "pulls of each unit": {"n_pulls": jnp.zeros(6, jnp.int32)},
    "half a pull": {"n_pulls": 0.5},
    "indices": {"suggested": jnp.arange(3)},
    "numbers": {"suggested": VALUE},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_scores_of_other_shapes_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"LeaveOneOut\.step must return Scores whose '{name}' is \w+\[.*\]"):
        checked(LeaveOneOut(), ((), Scores(**FINE | wrong)), 6)
    assert checked(LeaveOneOut(), ((), Scores(**FINE)), 6) == ((), Scores(**FINE))


@pytest.mark.parametrize("wrong", [None, Scores(**FINE), ((), VALUE)])
def test_a_step_without_state_or_scores_is_refused(wrong):
    with pytest.raises(ValueError, match=r"LeaveOneOut\.step must return \(state, Scores\)"):
        checked(LeaveOneOut(), wrong, 6)


def test_a_criterion_that_suggests_must_do_so():
    with pytest.raises(ValueError, match=r"whose 'suggested' is bool\w*\[6\], with 6 units. It is None"):
        checked(StableUnits(), ((), Scores(**FINE)), 6)


def test_no_two_classes_have_one_structure():
    """Two structures that are equal may share a program, which would be that of the wrong one."""
    objects = [make(name) for name in (*POLICIES, *CRITERIA)]
    for i, a in enumerate(objects):
        for b in objects[i + 1 :]:
            assert jax.tree.structure(a) != jax.tree.structure(b), (a, b)
        assert jax.tree.structure(a) == jax.tree.structure(make((*POLICIES, *CRITERIA)[i]))
