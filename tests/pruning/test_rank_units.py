"""Scores of units with nothing removed."""

import jax
import numpy as np
import pytest
from planted import NETWORK, USELESS, output, trained

from skbandit import prune, rank_units
from skbandit.policies import EXP3


def rank(**options):
    params, X, y = trained()
    return rank_units(NETWORK, params, X, y, **{"batch_size": 16} | options)


def test_units_that_feed_nothing_have_the_highest_values():
    scores = rank(policy="leave_one_out")
    assert set(np.argsort(-scores.value)[: USELESS.size]) == set(USELESS)
    np.testing.assert_allclose(scores.damage[USELESS], 0, atol=1e-9)
    assert scores.n_pulls == 14 * 4  # four mini-batches


@pytest.mark.parametrize("policy", ["leave_one_out", "ucb1", "racing", "fisher", "magnitude"])
def test_the_choice_of_one_round_of_pruning_goes_by_the_same_values(policy):
    params, X, y = trained(planted=False)
    options = {"policy": policy, "batch_size": 16, "pruning_ratio": 0.25, "random_state": 7}
    kept = prune(NETWORK, params, X, y, n_rounds=1, **options).kept
    value = rank_units(NETWORK, params, X, y, **options).value
    gone = np.setdiff1d(np.arange(14), np.concatenate([kept[0], kept[1] + 8]))
    if policy in ("leave_one_out", "fisher", "magnitude"):  # what is measured on all rows is the same in any order
        assert set(np.argsort(-value)[:3]) == set(gone)
    assert gone.size == 3


@pytest.mark.parametrize(("budget", "n_pulls"), [(1, 14), (2.5, 35), (100, 56)])
def test_the_budget_is_spent_and_no_unit_sees_a_mini_batch_twice(budget, n_pulls):
    assert rank(policy="ucb1", budget=budget).n_pulls == n_pulls


def test_units_that_are_not_there_do_not_count():
    params, X, y = trained(planted=False)
    active = ~np.isin(np.arange(14), [0, 9])
    gone = [np.flatnonzero(~part) for part in NETWORK.groups.split(active)]
    zeroed = NETWORK.groups.zero(params, gone)
    scores = rank_units(NETWORK, zeroed, X, y, policy="leave_one_out", active=active, batch_size=16)
    assert scores.n_pulls == 12 * 4
    small = NETWORK.groups.compact(params, [np.flatnonzero(part) for part in NETWORK.groups.split(active)])
    base = np.mean((output(small, X) - y) ** 2) / 2
    without = [np.flatnonzero(part) for part in NETWORK.groups.split(active & (np.arange(14) != 3))]
    masked = np.mean((output(NETWORK.groups.compact(params, without), X) - y) ** 2) / 2
    assert scores.damage[3] == pytest.approx(masked - base, rel=1e-3)


def test_what_masked_units_emit_changes_their_damage():
    zero, one = rank(policy="leave_one_out"), rank(policy="leave_one_out", emissions=(np.ones(8), np.ones(6)))
    used = np.setdiff1d(np.arange(14), USELESS)
    assert (np.abs(zero.damage - one.damage)[used] > 1e-6).all()


def test_the_seed_decides_and_precision_outside_does_not():
    policy = EXP3()
    first, second, other = (rank(policy=policy, budget=2, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.value, second.value)
    assert (first.value != other.value).any()
    with jax.enable_x64(True):
        wide = rank(policy=policy, budget=2, random_state=1)
    np.testing.assert_array_equal(first.value, wide.value)
    assert all(isinstance(part, np.ndarray) for part in (wide.value, wide.damage, wide.n_pulls))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"budget": 0}, "'budget' parameter of rank_units must be"),
        ({"pruning_ratio": "auto"}, "'pruning_ratio' parameter of rank_units must be a float in the range"),
        ({"scope": "all"}, "'scope' parameter of rank_units"),
        ({"scope": "auto"}, "one of 'global', 'layer'"),
        ({"batch_size": 0}, "'batch_size' parameter of rank_units"),
        ({"active": np.ones(13, bool)}, "'active' parameter of rank_units must be a mask over the 14 units"),
        ({"active": np.zeros(14, bool)}, "with some of them in it"),
        ({"active": np.ones(14)}, "dtype float64"),
        (
            {"emissions": (np.ones(8),)},
            r"'emissions' parameter of rank_units must have a vector for each group, of \[8",
        ),
        ({"emissions": (np.ones(8), np.full(6, np.nan))}, "'emissions' .* finite numbers. Got NaN or infinity"),
        ({"emissions": (np.ones(8), np.full(6, 1e300))}, "'emissions' .* finite numbers. Got NaN or infinity"),
        ({"emissions": (np.ones(8), np.ones(6) * 1j)}, "'emissions' parameter of rank_units must"),
        ({"emissions": (np.ones(8), "text")}, "Part 1 of the 'emissions' parameter of rank_units must be an array"),
        ({"emissions": 3}, "'emissions' .* Got int"),
        ({"active": [[True], [True, False]]}, "'active' parameter of rank_units must be a mask"),
        ({"active": "all"}, "'active' parameter of rank_units must be a mask"),
        ({"policy": "ucb"}, "'policy' parameter must be"),
    ],
)
def test_what_it_cannot_take_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        rank(**wrong)


def test_a_network_must_have_a_loss_and_groups():
    _, X, y = trained()
    with pytest.raises(ValueError, match="'network' parameter of rank_units must have 'groups' and 'batch_loss'"):
        rank_units(print, (), X, y)
