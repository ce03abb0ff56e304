"""The table of policies and the lookup by name."""

import pickle

import pytest
from sklearn.base import clone

from skbandit import policies
from skbandit.policies import POLICIES, EpsilonGreedy, Policy


def test_the_table_has_every_policy_by_its_name():
    assert list(POLICIES) == [
        *("epsilon_greedy", "softmax", "ucb1", "thompson", "gaussian_thompson", "hedge", "exp3", "uniform"),
        *("racing", "lucb", "csar", "top_two_thompson"),
    ]
    for name, cls in POLICIES.items():
        assert issubclass(cls, Policy)
        assert cls.name == name
        assert cls.__name__ in policies.__all__


@pytest.mark.parametrize("name", POLICIES)
def test_get_returns_the_policy_with_its_defaults(name):
    assert policies.get(name) == POLICIES[name]()


def test_get_names_the_parameter_the_value_the_nearest_and_the_allowed():
    with pytest.raises(
        ValueError, match=r"policy must be one of 'epsilon_greedy', .*; got 'ubc1'\. Did you mean 'ucb1'\?"
    ):
        policies.get("ubc1")


@pytest.mark.parametrize("nonsense", ["zzz", "", 3, None, ["ucb1"]])
def test_get_refuses_what_is_no_name(nonsense):
    with pytest.raises(ValueError, match="policy must be one of"):
        policies.get(nonsense)


@pytest.mark.parametrize("name", POLICIES)
def test_policies_clone_copy_and_pickle(name):
    policy = policies.get(name)
    params = policy.get_params()
    assert clone(policy) == policy
    assert policy.set_params(**params) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_set_params_leaves_the_original_alone():
    policy = EpsilonGreedy()
    assert policy.set_params(epsilon=0.3) == EpsilonGreedy(epsilon=0.3)
    assert policy == EpsilonGreedy()
    with pytest.raises(ValueError, match="Invalid parameter 'eps'"):
        policy.set_params(eps=0.3)
