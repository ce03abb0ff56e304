import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.features.hashing import row_ranks
from skbandit._tabular.features.splitting import held_out_rows

FEW = settings(max_examples=60, deadline=None, derandomize=True)
#: Few distinct values, so that many rows are equal.
ROWS = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), min_size=1, max_size=40).map(
    lambda rows: np.array(rows, float)
)
SEEDS = st.integers(0, 2**31 - 1)
FRACTIONS = st.floats(0.05, 0.95)


def distinct(X):
    return np.unique(X, axis=0, return_inverse=True)[1].ravel()


@FEW
@given(X=ROWS, seed=SEEDS, fraction=FRACTIONS)
def test_copies_of_a_row_are_on_one_side(X, seed, fraction):
    held = held_out_rows(X, np.ones(len(X)), fraction, seed)
    same = distinct(X)
    for group in range(same.max() + 1):
        assert np.unique(held[same == group]).size == 1


@FEW
@given(X=ROWS, seed=SEEDS, fraction=FRACTIONS, data=st.data())
def test_the_order_of_the_rows_does_not_matter(X, seed, fraction, data):
    order = np.array(data.draw(st.permutations(range(len(X)))))
    weight = np.arange(1.0, len(X) + 1)
    strata = (X[:, 0] > 0).astype(int)
    held = held_out_rows(X, weight, fraction, seed, strata)
    np.testing.assert_array_equal(held_out_rows(X[order], weight[order], fraction, seed, strata[order]), held[order])


@FEW
@given(X=ROWS, seed=SEEDS, fraction=FRACTIONS, data=st.data())
def test_an_integer_weight_is_a_repeated_row(X, seed, fraction, data):
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X))))
    repeated = np.repeat(np.arange(len(X)), counts)
    held = held_out_rows(X, counts.astype(float), fraction, seed)
    np.testing.assert_array_equal(held_out_rows(X[repeated], np.ones(repeated.size), fraction, seed), held[repeated])


@FEW
@given(n=st.integers(2, 60), seed=SEEDS, fraction=FRACTIONS, data=st.data())
def test_the_share_held_out_is_right_to_half_a_row(n, seed, fraction, data):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    weight = np.array(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)), float)
    held = held_out_rows(X, weight, fraction, seed)
    excess = weight[held].sum() - fraction * weight.sum()
    # The row that crosses the share falls on the side where more of it lies; the last row stays for training.
    assert excess <= weight.max() / 2 + 1e-9
    assert excess >= -weight.max() / 2 - 1e-9 or held.sum() == n - 1


@FEW
@given(X=ROWS, seed=SEEDS, fraction=FRACTIONS)
def test_every_class_keeps_a_distinct_row_for_training(X, seed, fraction):
    strata = X[:, 1].astype(int)
    held = held_out_rows(X, np.ones(len(X)), fraction, seed, strata)
    for s in np.unique(strata):
        assert (~held[strata == s]).any()


def test_every_class_keeps_its_share():
    rng = np.random.default_rng(0)
    strata = np.repeat([3, 7, 9], [200, 100, 20])
    held = held_out_rows(rng.normal(size=(320, 2)), np.ones(320), 0.1, 0, strata)
    assert [int(held[strata == s].sum()) for s in (3, 7, 9)] == [20, 10, 2]


def test_a_class_of_one_distinct_row_stays_for_training():
    X = np.array([[1.0], [1.0], [2.0], [3.0]])
    held = held_out_rows(X, np.ones(4), 0.9, 0, np.array([0, 0, 1, 1]))
    assert not held[:2].any()


def test_at_least_one_distinct_row_can_be_asked_for():
    X, weight = np.repeat([1.0, 2.0, 3.0], [5, 4, 4])[:, None], np.ones(13)
    weight[5:9] = 1.5  # six of 2, so that 3 is the lightest
    assert not held_out_rows(X, weight, 0.01, 0).any()
    for seed in range(4):
        np.testing.assert_array_equal(held_out_rows(X, weight, 0.01, seed, at_least_one=True), X[:, 0] == 3)
    # It is more than was asked for, and so of equals any will do; but not the last one of its class.
    strata = (X[:, 0] == 3).astype(int)
    held = held_out_rows(X, np.ones(13), 0.01, 0, strata, at_least_one=True)
    np.testing.assert_array_equal(held, X[:, 0] == 2)
    assert not held_out_rows(X, weight, 0.5, 0, X[:, 0], at_least_one=True).any()


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_what_is_held_out_anyway_is_at_least_one(start):
    X = np.random.default_rng(0).normal(size=(40, 2))
    held = held_out_rows(X, np.ones(40), 0.2, 0, start=start, at_least_one=True)
    np.testing.assert_array_equal(held, held_out_rows(X, np.ones(40), 0.2, 0, start=start))
    assert held.sum() == 8


@pytest.mark.parametrize("n_members", [2, 4, 5])
def test_windows_share_the_rows_evenly(n_members):
    rng = np.random.default_rng(0)
    X, strata = rng.normal(size=(120, 2)), np.repeat([0, 1], [80, 40])
    windows = [held_out_rows(X, np.ones(120), 0.25, 3, strata, start=k / n_members) for k in range(n_members)]
    for held in windows:
        assert [held[strata == s].sum() for s in (0, 1)] == [20, 10]
    # Each row is held out n_members / 4 times, rounded up or down.
    counts = np.sum(windows, axis=0)
    assert set(counts) <= {n_members // 4, -(-n_members // 4)}
    assert counts.sum() == 30 * n_members


def test_a_window_goes_on_from_the_first_row_after_the_last():
    X = np.random.default_rng(0).normal(size=(40, 2))
    order = np.argsort(row_ranks(X, 0))
    held = held_out_rows(X, np.ones(40), 0.25, 0, start=0.9)
    assert sorted(np.flatnonzero(held)) == sorted([*order[36:], *order[:6]])


def test_a_window_counts_weights_as_repeated_rows():
    X, weight = np.random.default_rng(0).normal(size=(30, 2)), np.random.default_rng(1).integers(1, 5, 30)
    once = held_out_rows(X, weight.astype(float), 0.2, 0, start=0.4)
    repeated = held_out_rows(np.repeat(X, weight, axis=0), np.ones(weight.sum()), 0.2, 0, start=0.4)
    np.testing.assert_array_equal(np.repeat(once, weight), repeated)


def test_rows_without_weight_take_no_place():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    weight = np.r_[np.ones(50), np.zeros(50)]
    held = held_out_rows(X, weight, 0.2, 0)
    assert held[:50].sum() == 10
    np.testing.assert_array_equal(held[:50], held_out_rows(X[:50], np.ones(50), 0.2, 0))


def test_another_seed_is_another_split():
    X = np.random.default_rng(0).normal(size=(200, 2))
    splits = [held_out_rows(X, np.ones(200), 0.5, seed) for seed in range(8)]
    for i in range(8):
        for j in range(i):
            # Two independent halves agree on 100 ± 7 rows; 5 standard deviations are 35.
            assert abs(int((splits[i] == splits[j]).sum()) - 100) < 36


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_held_out_rows_look_like_the_others(fraction):
    X = np.random.default_rng(1).normal(size=(2000, 1))
    held = held_out_rows(X, np.ones(2000), fraction, 0)
    n_held = fraction * 2000
    assert abs(X[held].mean() - X[~held].mean()) < 5 * np.sqrt(1 / n_held + 1 / (2000 - n_held))


def test_rows_that_are_equal_in_the_networks_precision_are_on_one_side():
    # 0.1 as a float64, and what is left of it in float32: two rows for the one, one row for the other.
    X = np.random.default_rng(0).normal(size=(40, 2))
    both = np.concatenate([X, X.astype(np.float32).astype(np.float64)])
    assert np.unique(row_ranks(both, 0)).size == 80
    assert np.unique(row_ranks(both, 0, "float32")).size == 40
    held = held_out_rows(both, np.ones(80), 0.5, 0, dtype="float32")
    np.testing.assert_array_equal(held[:40], held[40:])
    # So it does not matter in which precision the rows came.
    np.testing.assert_array_equal(held_out_rows(X.astype(np.float32), np.ones(40), 0.5, 0), held[:40])
