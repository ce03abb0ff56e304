"""The loop over chunks: where they are cut does not show."""

import dataclasses
import functools

import numpy as np
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.training import plan as planning
from skbandit._tabular.training.epochs import run_epochs
from skbandit._tabular.training.loop import Stop, init_state
from skbandit._tabular.training.plan import Planner
from skbandit._tabular.training.rates import leaf_rates
from skbandit._tabular.training.solvers import Hyper


@pytest.mark.parametrize("early_stopping", [False, True])
def test_chunks_are_invisible_bit_for_bit(early_stopping, base_settings, make_listener, rows, train, assert_equal):
    options = {"held_out": rows(20, seed=1), "early_stopping": early_stopping, "max_iter": 40}
    whole = train(rows(), **options)
    one_by_one = train(rows(), listener=make_listener(every_epoch=True), **options)
    assert len(whole.loss_curve) == 40 > base_settings.max_iter
    assert_equal(one_by_one.network, whole.network)
    assert one_by_one.loss_curve == whole.loss_curve
    assert one_by_one.validation_scores == whole.validation_scores
    assert one_by_one.n_steps == whole.n_steps == 40 * 4


def test_smaller_chunks_are_invisible_bit_for_bit(monkeypatch, rows, train, assert_equal):
    whole = train(rows())
    monkeypatch.setattr(planning, "CHUNK_EPOCHS", 3)
    cut = train(rows())
    assert_equal(cut.network, whole.network)
    assert cut.loss_curve == whole.loss_curve


def test_a_stop_within_a_chunk_leaves_no_trace_of_the_epochs_planned_after_it(make_listener, rows, train, assert_equal):
    stops = {"hyper": Hyper(tol=1e3, n_iter_no_change=2.0), "max_iter": 30}
    whole = train(rows(), **stops)
    one_by_one = train(rows(), listener=make_listener(every_epoch=True), **stops)
    assert whole.status == one_by_one.status == "converged"
    assert whole.n_steps == one_by_one.n_steps == 4 * len(whole.loss_curve)
    assert_equal(one_by_one.network, whole.network)


@pytest.mark.parametrize(("one_by_one", "sizes"), [(False, [32, 8]), (True, [1] * 40)])
def test_chunks_add_up_to_the_epochs(one_by_one, sizes, base_settings, small_network, rows):
    start = ({}, init_params(small_network.mlp.layer_sizes, "relu", np.random.RandomState(0), "float32"))
    with jax_scope():
        chunks = run_epochs(
            init_state(start, "adam"),
            Planner(np.random.default_rng(0), 50, 64, 16, lambda steps: np.full(steps.shape, 0.01)),
            40,
            dataclasses.replace(base_settings, hyper=Hyper(patience_on=0.0)),
            gates=(np.ones(4, "float32"),),
            data=rows().pad("float32"),
            validation=None,
            rates=leaf_rates(start, "standard", "adam"),
            one_by_one=one_by_one,
        )
        found = [(len(losses), len(scores), Stop(int(state.stop))) for state, losses, scores in chunks]
    assert found == [(size, size, Stop.RUNNING) for size in sizes]


def test_the_chunk_where_training_stops_is_the_last(base_settings, small_network, rows):
    start = ({}, init_params(small_network.mlp.layer_sizes, "relu", np.random.RandomState(0), "float32"))
    planner = Planner(np.random.default_rng(0), 50, 64, 16, lambda steps: np.full(steps.shape, 0.01))
    with jax_scope():
        run = functools.partial(
            run_epochs,
            gates=(np.ones(4, "float32"),),
            data=rows().pad("float32"),
            validation=None,
            rates=leaf_rates(start, "standard", "adam"),
            one_by_one=False,
        )
        state = init_state(start, "adam")
        settings = dataclasses.replace(base_settings, hyper=Hyper(tol=1e3, n_iter_no_change=2.0))
        # The first epoch improves on infinity; three more do not by 1000.
        ((state, losses, _),) = run(state, planner, 100, settings)
        assert (len(losses), int(state.stop)) == (4, Stop.CONVERGED)
        planner.schedule = lambda steps: np.full(steps.shape, 1e30)
        state, losses, _ = list(run(init_state(start, "adam"), planner, 100, base_settings))[-1]
        assert int(state.stop) == Stop.NOT_FINITE
        assert not np.isfinite(losses[-1])
        assert np.isfinite(losses[:-1]).all()
