"""Learning rates and regularization over time."""

import dataclasses

import numpy as np
import optax

from skbandit._tabular.training.settings import regularization, schedule
from skbandit._tabular.training.solvers import Hyper


def test_learning_rates_by_hand(base_settings):
    steps = np.arange(6).reshape(3, 2)

    def rates(name, **changes):
        settings = dataclasses.replace(base_settings, learning_rate=name, horizon=3, **changes)
        return schedule(settings, n_rows=9, steps_per_epoch=2)(steps)

    np.testing.assert_array_equal(rates("constant"), np.full((3, 2), 0.01))
    # lr / (rows seen + 1)^power_t, once an epoch: 1, 10, 19.
    np.testing.assert_allclose(rates("invscaling"), 0.01 / np.sqrt([[1, 1], [10, 10], [19, 19]]))
    # Half a cosine over 3 epochs of 2 steps.
    np.testing.assert_allclose(rates("cosine"), 0.005 * (1 + np.cos(np.pi * steps / 6)))
    np.testing.assert_array_equal(rates(lambda step: 0.5**step), 0.5**steps)
    np.testing.assert_array_equal(rates(lambda step: 0.25), np.full((3, 2), 0.25))
    np.testing.assert_array_equal(rates(lambda step: 1.0 if step < 3 else 0.0), [[1, 1], [1, 0], [0, 0]])
    # A schedule of optax computes in JAX.
    np.testing.assert_allclose(rates(optax.linear_schedule(1.0, 0.0, 4)), [[1, 0.75], [0.5, 0.25], [0, 0]])


def test_a_schedule_stays_at_its_end(base_settings):
    settings = dataclasses.replace(base_settings, learning_rate="cosine", horizon=3, max_iter=1)
    rates = schedule(settings, n_rows=9, steps_per_epoch=2)(np.arange(12))
    assert (np.diff(rates) <= 0).all()
    np.testing.assert_allclose(rates[6:], 0, atol=1e-18)


def test_regularization_by_hand(base_settings):
    steps = np.arange(8.0).reshape(4, 2)
    constant = regularization(base_settings, steps_per_epoch=2)(steps)
    np.testing.assert_array_equal(constant, np.ones((4, 2)))
    settings = dataclasses.replace(base_settings, regularization_schedule="flat_cosine", horizon=4)
    # On for the first two of four epochs, then ½ (1 + cos(π (2 t - 1))) at t = 4/8, ..., 7/8.
    expected = [[1, 1], [1, 1], [1, 0.5 + 0.5**1.5], [0.5, 0.5 - 0.5**1.5]]
    np.testing.assert_allclose(regularization(settings, steps_per_epoch=2)(steps), expected, rtol=1e-12)


def test_programs_differ_by_what_is_static(base_settings, rows):
    def program(n=50, n_held_out=0, **changes):
        settings = dataclasses.replace(base_settings, **changes)
        return settings.program(rows(n).pad("float32"), rows(n_held_out).pad("float32") if n_held_out else None)

    assert len({program(), program(51), program(hyper=Hyper(alpha=3.0), max_iter=9, learning_rate="cosine")}) == 1
    others = [program(100), program(n_held_out=20), program(solver="sgd"), program(batch_size=32)]
    assert len({program(), *others, program(dtype="float64")}) == 6
