import jax
import numpy as np
import pytest

from skbandit.criteria import CRITERIA, Bandit, Criterion, LeaveOneOut, Magnitude, make, resolve
from skbandit.policies import POLICIES, UCB1, Policy


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


@pytest.mark.parametrize("wrong", [3, None, UCB1])
def test_what_is_neither_name_nor_policy_nor_criterion_is_refused(wrong):
    with pytest.raises(ValueError, match="must be a name, a Policy or a Criterion"):
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
    "wrong", [UCB1(exploration=-1.0), UCB1(exploration="big"), Bandit(rank_by="luck"), Bandit(policy=UCB1(np.nan))]
)
def test_fields_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"'(exploration|rank_by)' parameter of (UCB1|Bandit) must be"):
        resolve(wrong)


def test_no_two_classes_have_one_structure():
    """Two structures that are equal may share a program, which would be that of the wrong one."""
    objects = [make(name) for name in (*POLICIES, *CRITERIA)]
    for i, a in enumerate(objects):
        for b in objects[i + 1 :]:
            assert jax.tree.structure(a) != jax.tree.structure(b), (a, b)
        assert jax.tree.structure(a) == jax.tree.structure(make((*POLICIES, *CRITERIA)[i]))
