"""The protocol of earlier code: its policies, and its confounds."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evidence import protocol2017
from benchmarks.evidence.design import PAPER
from benchmarks.tabular import protocol

#: As of units whose removal changes the accuracy by a few hundredths.
REWARDS = 0.2 - np.linspace(0, 0.05, 30)


@pytest.mark.parametrize("name", PAPER)
def test_a_policy_spends_its_horizon(name):
    sums, counts = protocol2017.summed_rewards(name, REWARDS, 90, np.random.default_rng(0))
    assert counts.sum() == 90
    np.testing.assert_allclose(sums, counts * REWARDS)


def test_ucb1_is_a_round_robin_so_that_its_sums_keep_the_order_of_rewards():
    sums, counts = protocol2017.summed_rewards("ucb1", REWARDS, 90, np.random.default_rng(0))
    assert (counts == 3).all()
    assert (np.argsort(-sums) == np.arange(30)).all()


@pytest.mark.parametrize("name", [name for name in PAPER if name != "ucb1"])
def test_sums_of_other_policies_count_pulls(name):
    orders = []
    for seed in range(20):
        sums, counts = protocol2017.summed_rewards(name, REWARDS, 90, np.random.default_rng(seed))
        orders += [np.corrcoef(sums, counts)[0, 1]]
        assert counts.max() > counts.min()
    assert np.mean(orders) > 0.9


def test_the_pruned_network_is_scored_on_the_rows_that_chose_it_and_on_fresh_ones():
    table = protocol.bundled("breast_cancer", load_breast_cancer, "classification")
    case = protocol2017.Case(table, 0)
    assert set(case.scores([])) == {"report", "fresh"}
    assert case.rewards.min() >= 0
    X, y = case.rows["report"]
    unit = int(np.argmin(case.rewards))
    masked = np.mean(case.network.predict(X, [unit]) == y) - np.mean(case.network.predict(X) == y)
    assert case.rewards[unit] == pytest.approx(max(0, 0.2 + masked))
    one, many = case.pruned("ucb1_one_unit", 6), case.pruned("ucb1", 6)
    assert one["pulls"] == many["pulls"] == 120
    assert len(case.rows["fresh"][1]) + len(y) == pytest.approx(len(table.y) / 3, abs=1)
