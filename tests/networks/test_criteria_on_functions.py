"""Every criterion on functions as they are: a convolution, an LSTM, a transformer."""

import dataclasses

import numpy as np
import pytest
from small_functions import EXAMPLES, cross_entropy

from skbandit import rank_units
from skbandit.criteria import CRITERIA, resolve
from skbandit.networks import infer_groups
from skbandit.policies import POLICIES

DEEP = ("lenet", "lstm", "encoder")
#: One of each family: the others are of the same needs. What takes long to compile runs on one network.
OFTEN = [
    *((name, policy) for name in DEEP for policy in ("ucb1", "magnitude", "apoz", "taylor", "stable_units")),
    *(("lenet", "bmrs_n"), ("lstm", "dais"), ("lstm", "leave_one_out"), ("encoder", "submodular")),
]
EVERY = [(name, policy) for name in DEEP for policy in (*POLICIES, *CRITERIA)]


@pytest.fixture(scope="module")
def groups():
    return {name: infer_groups(*EXAMPLES[name][:3], verify=False) for name in DEEP}


def rank(name, policy, groups):
    criterion = resolve(policy)
    if hasattr(criterion, "n_steps"):
        criterion = dataclasses.replace(criterion, n_steps=3)
    example = EXAMPLES[name]
    rows = np.concatenate([example.X] * 3)
    y = np.arange(len(rows)) % 3
    return rank_units(
        *(example.apply, example.params, rows, y),
        loss=cross_entropy,
        groups=groups[name],
        policy=criterion,
        batch_size=6,
    )


def assert_ranks_or_refuses(name, policy, groups):
    if policy == "stable_units":
        with pytest.raises(ValueError, match="stable_units needs a network that is a chain of dense layers"):
            rank(name, policy, groups)
        return
    scores = rank(name, policy, groups)
    assert scores.value.shape == (groups[name].n_units,)
    assert np.isfinite(scores.value).all()


@pytest.mark.filterwarnings("ignore:.*does not tell one unit from another:UserWarning")
@pytest.mark.parametrize(("name", "policy"), OFTEN)
def test_a_criterion_of_each_family_ranks_or_refuses(name, policy, groups):
    assert_ranks_or_refuses(name, policy, groups)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*does not tell one unit from another:UserWarning")
@pytest.mark.parametrize(("name", "policy"), [case for case in EVERY if case not in OFTEN])
def test_every_criterion_ranks_or_refuses(name, policy, groups):
    assert_ranks_or_refuses(name, policy, groups)


def test_leave_one_out_is_the_rise_of_the_loss_without_the_unit(groups):
    example, found = EXAMPLES["lstm"], groups["lstm"]
    y = np.arange(len(example.X)) % 3 % 2
    scores = rank_units(
        *(example.apply, example.params, example.X, y),
        loss=cross_entropy,
        groups=found,
        policy="leave_one_out",
    )
    base = cross_entropy(example.apply(example.params, example.X), y).mean()
    for unit in range(found.n_units):
        others = [np.setdiff1d(np.arange(found.n_units), [unit])]
        # The function itself follows the shapes of its parameters.
        smaller = found.compact(example.params, others)
        damage = cross_entropy(example.apply(smaller, example.X), y).mean() - base
        np.testing.assert_allclose(scores.damage[unit], damage, atol=1e-6)
