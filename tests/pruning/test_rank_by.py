"""The summary of damages that units are ranked by, as a parameter of the functions."""

import numpy as np
import pytest
from planted import NETWORK, trained

from skbandit import prune, rank_units
from skbandit.criteria import Bandit, LeaveOneOut, Magnitude
from skbandit.policies import EXP3, UCB1

SUMMARIES = ("mean", "absolute", "rms", "curvature")


def rank(**options):
    params, X, y = trained(planted=False)
    return rank_units(NETWORK, params, X, y, batch_size=16, **options)


@pytest.mark.parametrize("rank_by", SUMMARIES)
@pytest.mark.parametrize(
    ("policy", "alike"),
    [
        ("ucb1", lambda rank_by: Bandit(UCB1(), rank_by=rank_by)),
        (EXP3(gamma=0.3), lambda rank_by: Bandit(EXP3(gamma=0.3), rank_by=rank_by)),
        ("leave_one_out", lambda rank_by: LeaveOneOut(rank_by=rank_by)),
    ],
)
def test_it_is_that_of_the_criterion(policy, alike, rank_by):
    given, own = rank(policy=policy, rank_by=rank_by), rank(policy=alike(rank_by))
    np.testing.assert_array_equal(given.value, own.value)
    assert given.n_pulls == own.n_pulls


def test_by_default_it_is_the_mean():
    np.testing.assert_array_equal(rank().value, rank(rank_by="mean").value)
    assert not np.array_equal(rank().value, rank(rank_by="rms").value)


def test_pruning_takes_it_too():
    params, X, y = trained(planted=False)
    y = np.random.default_rng(0).permutation(y)  # many damages are below zero
    options = {"batch_size": 16, "pruning_ratio": 0.5, "n_rounds": 1}

    def kept(**given):
        return [units.tolist() for units in prune(NETWORK, params, X, y, **options, **given).kept]

    assert kept(rank_by="rms") == kept(policy=Bandit(UCB1(), rank_by="rms")) != kept()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank_by": "median"}, "'rank_by'.*median"),
        ({"rank_by": ["rms"]}, "'rank_by'"),
        ({"rank_by": "rms", "policy": "budgeted_greedy"}, "'rank_by'.*rms"),
        ({"rank_by": "rms", "policy": "magnitude"}, "must be None with policy='magnitude', which ranks by no damages"),
        ({"rank_by": "rms", "policy": LeaveOneOut()}, "give it to the criterion, as in LeaveOneOut.rank_by='rms'"),
        ({"rank_by": "rms", "policy": Magnitude()}, "as an object. Got 'rms' and Magnitude"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rank(**options)
