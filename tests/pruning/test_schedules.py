import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skbandit.pruning.schedules import affordable_rounds, geometric, pulls_per_round

FEW = settings(max_examples=100, deadline=None, derandomize=True)
UNITS = st.integers(1, 2000)


def active_per_round(n_units, removals):
    return [int(n) for n in n_units - np.cumsum([0, *removals[:-1]])]


def test_geometric_by_hand():
    # Half of 16 units in two rounds: 16·2^-½ = 11.3 → 11 are left, then 8.
    assert geometric(16, 8, 2) == [5, 3]


@FEW
@given(n_units=UNITS, share=st.floats(0, 1), n_rounds=st.integers(1, 12))
def test_geometric_removes_exactly_what_was_asked_for(n_units, share, n_rounds):
    n_remove = int(share * (n_units - 1))
    removals = geometric(n_units, n_remove, n_rounds)
    assert sum(removals) == n_remove
    assert all(n > 0 for n in removals)
    assert len(removals) <= n_rounds


@FEW
@given(n_units=UNITS, share=st.floats(0, 1), n_rounds=st.integers(1, 12))
def test_geometric_removes_the_same_share_in_each_round(n_units, share, n_rounds):
    n_remove = int(share * (n_units - 1))
    assume(n_remove >= 1)
    removals = geometric(n_units, n_remove, n_rounds)
    assume(len(removals) == n_rounds)
    left = np.array([*active_per_round(n_units, removals), n_units - n_remove])
    exact = n_units * ((n_units - n_remove) / n_units) ** (np.arange(n_rounds + 1) / n_rounds)
    assert np.abs(left - exact).max() <= 0.5 + 1e-9  # rounded, nothing else


@pytest.mark.parametrize("n_remove", [0, -3])
def test_nothing_to_remove_takes_no_round(n_remove):
    assert geometric(10, n_remove, 4) == []
    assert affordable_rounds(10, n_remove, 4, 8.0) == []


@FEW
@given(
    n_active=st.lists(st.integers(1, 500), min_size=1, max_size=8),
    budget=st.floats(0.0, 64.0),
    n_units=UNITS,
)
def test_pulls_spend_the_budget_and_no_more(n_active, budget, n_units):
    pulls = pulls_per_round(n_active, budget, n_units)
    total = int(budget * n_units)
    assert sum(pulls) == total
    # In proportion to the active units; both edges of a round's share are rounded down.
    share = total * np.array(n_active) / sum(n_active)
    assert np.abs(np.array(pulls) - share).max() < 1 + 1e-6


def test_no_round_gets_no_pulls():
    assert pulls_per_round([], 8.0, 10) == []


@FEW
@given(n_units=UNITS, share=st.floats(0, 1), n_rounds=st.integers(1, 12), budget=st.floats(1.0, 16.0))
def test_every_round_can_pull_every_active_unit_within_the_budget(n_units, share, n_rounds, budget):
    n_remove = int(share * (n_units - 1))
    removals = affordable_rounds(n_units, n_remove, n_rounds, budget)
    active = active_per_round(n_units, removals) if removals else []
    pulls = pulls_per_round(active, budget, n_units)
    assert sum(removals) == n_remove
    assert all(p >= a for p, a in zip(pulls, active, strict=True))
    assert sum(pulls) <= budget * n_units


@FEW
@given(n_units=st.integers(2, 500), n_rounds=st.integers(1, 8), budget=st.floats(1.0, 16.0))
def test_no_affordable_round_is_given_up(n_units, n_rounds, budget):
    n_remove = n_units // 2
    removals = affordable_rounds(n_units, n_remove, n_rounds, budget)
    for more in range(len(removals) + 1, n_rounds + 1):
        longer = geometric(n_units, n_remove, more)
        active = active_per_round(n_units, longer)
        if len(longer) > len(removals):
            pulls = pulls_per_round(active, budget, n_units)
            assert any(p < a for p, a in zip(pulls, active, strict=True))


def test_a_budget_of_one_pull_affords_one_round():
    assert affordable_rounds(100, 50, 4, 1.0) == [50]
    # Two rounds of halving 100: 100 + 71 active units = 171 pulls for one each.
    assert len(affordable_rounds(100, 50, 4, 1.7)) == 1
    assert len(affordable_rounds(100, 50, 4, 1.72)) == 2
