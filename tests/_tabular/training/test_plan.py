"""What the host plans: orders, batches, numbers of steps."""

import numpy as np
import pytest

from skbandit._core.rows import bucket
from skbandit._tabular.training.plan import Planner, batch_width, steps_per_epoch


def test_every_epoch_visits_every_row_once():
    planner = Planner(np.random.default_rng(0), 50, 64, 16, np.ones_like)
    plan = planner.next(5)
    assert plan.n_epochs == 5
    for order in plan.order[:5]:
        assert sorted(order[:50]) == list(range(50))
    assert (plan.order[0, :50] != plan.order[1, :50]).any()


def test_steps_are_counted_over_chunks():
    planner = Planner(np.random.default_rng(0), 50, 64, 16, lambda steps: steps.astype(float))
    assert planner.steps_per_epoch == 4  # 16 + 16 + 16 + 2 rows
    np.testing.assert_array_equal(planner.next(2).lr[:2, :4], [[0, 1, 2, 3], [4, 5, 6, 7]])
    np.testing.assert_array_equal(planner.next(1).lr[:1, :4], [[8, 9, 10, 11]])


def test_chunks_of_many_rows_stay_short():
    planner = Planner(np.random.default_rng(0), 10**6, 2**20, 256, np.ones_like)
    assert planner.chunk == 1
    assert Planner(np.random.default_rng(0), 50, 64, 16, np.ones_like).chunk == 32


@pytest.mark.parametrize(("n_rows", "batch_size", "sizes"), [(41, 20, [13, 14, 14]), (40, 20, [20, 20]), (7, 20, [7])])
def test_balanced_batches_differ_by_a_row_at_most(n_rows, batch_size, sizes):
    planner = Planner(np.random.default_rng(0), n_rows, 64, batch_size, np.zeros_like, balanced=True)
    edges = planner.next(1).edges
    np.testing.assert_array_equal(np.diff(edges[: len(sizes) + 1]), sizes)
    assert planner.steps_per_epoch == len(sizes)


def test_balanced_batches_are_batches_of_that_size(rows, train, assert_close):
    # 34 rows in batches of at most 20: two of 17.
    balanced = train(rows(34), batch_size=20, balanced_batches=True, dtype="float64")
    assert_close(tuple(balanced.network), tuple(train(rows(34), batch_size=17, dtype="float64").network), 1e-12)
    ragged = train(rows(34), batch_size=20, dtype="float64")
    assert (balanced.network.layers[0][0] != ragged.network.layers[0][0]).any()


def test_every_row_is_in_one_balanced_batch(rows, train):
    """A batch's mean loss at a rate of 0 is that of its rows: an epoch's mean is that of all rows."""
    on = rows(n=41)
    even, tail = (
        train(on, batch_size=20, balanced_batches=balanced, learning_rate_init=1e-30, max_iter=1).loss_curve[0]
        for balanced in (True, False)
    )
    assert even == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 200, 256])
@pytest.mark.parametrize("balanced", [True, False])
def test_a_width_holds_the_batches_of_all_rows_of_a_bucket(batch_size, balanced):
    for n_rows in range(1, 1300):
        width = batch_width(n_rows, batch_size, balanced)
        assert width == batch_width(bucket(n_rows), batch_size, balanced)
        steps = steps_per_epoch(n_rows, batch_size)
        assert -(-n_rows // steps) <= width <= batch_size
        assert balanced or steps == -(-n_rows // width)


@pytest.mark.parametrize(("n_rows", "width"), [(50, 64), (235, 128), (282, 160), (384, 192), (400, 200), (5000, 200)])
def test_balanced_batches_are_no_wider_than_they_need(n_rows, width):
    assert batch_width(n_rows, 200, balanced=True) == width


def test_narrower_batches_learn_the_same(rows, train, assert_close):
    # 90 rows in batches of at most 80: two of 45, in a width of 48. The order of the rows is that of a width of 80.
    narrow = train(rows(90), batch_size=80, balanced_batches=True, dtype="float64")
    assert batch_width(90, 80, balanced=True) == 48
    assert narrow.n_steps == 14
    assert_close(narrow.network, train(rows(90), batch_size=45, dtype="float64").network, 1e-12)
