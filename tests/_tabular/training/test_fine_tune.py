"""Fine-tuning of the layers."""

import dataclasses

import numpy as np
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.training.fine_tune import fine_tune
from skbandit._tabular.training.solvers import Hyper
from skbandit._tabular.types import Network


@pytest.mark.parametrize(("solver", "strict"), [("adam", {"dropout": 0.5}), ("adamw", {"alpha": 0.5})])
def test_dropout_and_decoupled_decay_are_off_in_fine_tuning(
    solver, strict, base_settings, make_listener, rows, train, assert_equal, with_dropout
):
    on = rows()
    start = Network({}, init_params((3, 4, 1), "relu", np.random.RandomState(0), "float32"))

    def tuned(hyper):
        settings = dataclasses.replace(base_settings, **{**with_dropout, "hyper": hyper, "solver": solver})
        listener = make_listener()
        listener.fine_tune_epoch = lambda loss, layers: False
        with jax_scope():
            data, gates = on.pad("float32"), (np.ones(4, "float32"),)
            return fine_tune(start, gates, data, None, 50, settings, 3, np.random.default_rng(0), listener)

    free = Hyper(alpha=0.0)
    assert_equal(tuned(free._replace(**strict)), tuned(free))
    assert (tuned(free)[0][0] != start.layers[0][0]).any()
    # What is off would show.
    options = {**with_dropout, "solver": solver, "max_iter": 3}
    trained = [train(on, start, **{**options, "hyper": hyper}) for hyper in (free, free._replace(**strict))]
    assert (trained[0].network.layers[0][0] != trained[1].network.layers[0][0]).any()


@pytest.fixture
def tune(base_settings, make_listener, tabular):
    """Fine-tune the layers of a network with inputs; returns their start, what is left, and what was reported."""

    def run(gates=(1.0, 1.0, 1.0, 1.0), n_epochs=5, stop_at=None, every_epoch=False, held_out=None, **changes):
        on, network, start = tabular("periodic")
        settings = dataclasses.replace(base_settings, network=network, dtype="float64", **changes)
        listener, reported = make_listener(every_epoch), []

        def fine_tune_epoch(loss, layers):
            reported.append((loss, layers()))
            return len(reported) == stop_at

        listener.fine_tune_epoch = fine_tune_epoch
        with jax_scope("float64"):
            rng, validation = np.random.default_rng(0), None if held_out is None else on.take(held_out).pad("float64")
            data = on.pad("float64")
            tuned = fine_tune(
                start.folded(), (np.array(gates),), data, validation, 30, settings, n_epochs, rng, listener
            )
        return start.folded().layers, tuned, reported

    return run


def test_it_ends_after_its_epochs_whatever_the_patience(tune, assert_equal):
    _, tuned, reported = tune(hyper=Hyper(tol=1e3, n_iter_no_change=1.0))
    assert len(reported) == 5
    assert_equal(reported[-1][1], tuned)


def test_a_unit_that_is_masked_stays_as_it_is(tune):
    start, tuned, _ = tune(gates=(1.0, 0.0, 1.0, 1.0), hyper=Hyper(alpha=0.0))
    (W, b, a), (W_out, _) = tuned
    np.testing.assert_array_equal(W[:, 1], start[0][0][:, 1])
    np.testing.assert_array_equal((b[1], a[1]), (start[0][1][1], start[0][2][1]))
    np.testing.assert_array_equal(W_out[1], start[1][0][1])
    assert (W[:, 0] != start[0][0][:, 0]).all()


def test_the_reporter_can_end_it(tune, assert_equal):
    _, tuned, reported = tune(stop_at=2, every_epoch=True)
    assert len(reported) == 2
    assert_equal(reported[-1][1], tuned)


def test_the_rate_falls_along_a_cosine_from_that_of_training(tune):
    # One batch of all rows an epoch, and "sgd" without momentum: at a rate so small that the gradient stays the same,
    # the steps are to each other as ½ (1 + cos(π t / 4)) for t = 0, 1, 2, 3.
    plain = {"solver": "sgd", "hyper": Hyper(alpha=0.0, momentum=0.0), "batch_size": 200}
    start, _, reported = tune(n_epochs=4, every_epoch=True, learning_rate_init=1e-7, **plain)
    outgoing = np.array([start[1][0], *(layers[1][0] for _, layers in reported)])[:, :, 0]
    steps = np.diff(outgoing, axis=0)
    # Rounding of the weights, 1e-16, against steps of at least 1e-9.
    share = 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4))
    np.testing.assert_allclose(steps / steps[0], np.outer(share, np.ones(4)), rtol=1e-4)


def test_under_coslog4_it_begins_at_a_tenth_of_the_highest_rate(tune, assert_equal):
    _, waves, _ = tune(learning_rate="coslog4", learning_rate_init=0.01)
    _, constant, _ = tune(learning_rate="constant", learning_rate_init=0.001)
    assert_equal(waves, constant)


def test_with_held_out_rows_the_best_epoch_is_kept(tune, assert_equal):
    # Two rows are held out, and the rate is wild: the last epoch is not the best.
    _, tuned, reported = tune(held_out=np.array([0, 7]), every_epoch=True, learning_rate_init=0.5, n_epochs=8)
    same = [all(np.array_equal(a, b) for a, b in zip(layers[1], tuned[1], strict=True)) for _, layers in reported]
    assert sum(same) == 1
    assert not same[-1]
