"""Solvers, learning rates, batches, precision, device, and words."""

import warnings

import jax
import numpy as np
import optax
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RATES = {"sgd": 0.2, "lion": 0.02, "rmsprop": 0.02}


def assert_same_network(a, b, rtol=1e-4, atol=1e-5):
    for u, v in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(u, v, rtol=rtol, atol=atol)


def scikit_learns(kind):
    return MLPClassifier if kind == "multi-class" else MLPRegressor


# ---------------------------------------------------------------------- solvers


@pytest.mark.parametrize("solver", ["adam", "adamw", "nadam", "lion", "rmsprop", "sgd", "lbfgs"])
def test_every_solver_learns_and_prunes(solver, make_data, regressor):
    data = make_data("regression")
    rate = RATES.get(solver, 0.05)
    model = regressor(solver=solver, learning_rate_init=rate, max_iter=60).fit(data.X, data.y)
    assert model.loss_curve_[-1] < 0.4 * model.loss_curve_[0]
    assert model.hidden_layer_sizes_ == (4,)
    assert model.score(data.X, data.y) > 0.6


def test_any_optax_transformation_is_a_solver(make_data, regressor):
    data = make_data("regression")
    params = {"pruning_ratio": 0, "momentum": 0.0, "learning_rate_init": 0.2}
    named = regressor(solver="sgd", **params).fit(data.X, data.y)
    ours = regressor(solver=optax.sgd(0.2), **params).fit(data.X, data.y)
    assert_same_network(ours, named)


def test_an_optax_transformation_also_fine_tunes_and_goes_on(make_data, regressor):
    data = make_data("regression")
    solver = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05))
    model = regressor(solver=solver, warm_start=True, pruning_ratio=0).fit(data.X, data.y)
    loss = model.loss_
    model.set_params(pruning_ratio=0.5).fit(data.X, data.y)
    assert model.loss_ < loss
    assert model.hidden_layer_sizes_ == (4,)
    assert any(record["fine_tuned"] for record in model.pruning_history_)


def test_nesterovs_momentum_is_another_path_than_plain_momentum(make_data, regressor):
    data = make_data("regression")
    losses = {
        (momentum, nesterov): regressor(
            solver="sgd", momentum=momentum, nesterovs_momentum=nesterov, pruning_ratio=0
        ).fit(data.X, data.y).loss_
        for momentum in (0.0, 0.9)
        for nesterov in (True, False)
    }  # fmt: skip
    assert losses[0.0, True] == losses[0.0, False]
    assert losses[0.9, True] != losses[0.9, False]
    assert max(losses[0.9, True], losses[0.9, False]) < losses[0.0, True]


def test_lbfgs_drops_nothing_out(make_data, regressor):
    data = make_data("regression")
    model = regressor(solver="lbfgs", dropout=0.5).fit(data.X, data.y)
    np.testing.assert_array_equal(
        model.predict(data.X), regressor(solver="lbfgs", dropout=0.0).fit(data.X, data.y).predict(data.X)
    )


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_lbfgs_reaches_the_loss_of_scikit_learn(kind, make_data, make_estimator):
    data = make_data(kind)
    y = data.y if kind == "multi-class" else (data.y - data.y.mean()) / data.y.std()
    reference = scikit_learns(kind)(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=300, random_state=0)
    reference.fit(data.X, y)
    model = make_estimator(kind, solver="lbfgs", max_iter=300, pruning_ratio=0).fit(data.X, y)
    assert model.loss_ <= 1.05 * reference.loss_
    assert model.n_iter_ == len(model.loss_curve_) <= 300
    assert np.all(np.diff(model.loss_curve_) <= 1e-7)


@pytest.mark.parametrize(("kind", "solver"), [("regression", "adam"), ("multi-class", "adam"), ("regression", "sgd")])
def test_training_is_scikit_learns(kind, solver, make_data, make_estimator):
    # The same start, the same loss and the same steps: an independent implementation gives the same network.
    data = make_data(kind)
    y = data.y if kind == "multi-class" else (data.y - data.y.mean()) / data.y.std()
    # The two add epsilon to √v before and after its bias correction: at a negligible epsilon that is no difference.
    params = {"solver": solver, "max_iter": 20, "alpha": 0.5, "learning_rate_init": 0.05, "epsilon": 1e-16}
    params["random_state"] = 0
    reference = scikit_learns(kind)(hidden_layer_sizes=(8,), **params).fit(data.X, y)
    model = make_estimator(kind, pruning_ratio=0, dtype="float64", **params).fit(data.X, y)
    assert_same_network(model, reference, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-9)


# ---------------------------------------------------------------------- learning rates and stopping


def test_learning_rates_by_name_differ(make_data, regressor):
    data = make_data("regression")
    losses = [
        regressor(learning_rate=name, pruning_ratio=0, learning_rate_init=0.02).fit(data.X, data.y).loss_
        for name in ("constant", "invscaling", "cosine")
    ]
    assert len(set(losses)) == 3
    assert losses[0] < min(losses[1:])  # the others slow down before 30 epochs are enough


def test_invscaling_divides_by_a_power_of_the_rows_seen(make_data, regressor):
    data = make_data("regression")
    inverse = regressor(learning_rate="invscaling", power_t=0.3, pruning_ratio=0).fit(data.X, data.y)
    # Step t comes after t epochs of 60 rows.
    own = regressor(learning_rate=lambda t: 0.05 / (60 * t + 1.0) ** 0.3, pruning_ratio=0).fit(data.X, data.y)
    assert_same_network(own, inverse)


def test_an_optax_schedule_is_a_learning_rate(make_data, regressor):
    data = make_data("regression")
    named = regressor(learning_rate="cosine", batch_size=16, pruning_ratio=0).fit(data.X, data.y)
    # 30 epochs of ⌈60 / 16⌉ = 4 steps.
    ours = regressor(learning_rate=optax.cosine_decay_schedule(0.05, 120), batch_size=16, pruning_ratio=0)
    assert_same_network(ours.fit(data.X, data.y), named)


def test_a_schedule_may_take_one_step_at_a_time(make_data, regressor):
    data = make_data("regression")
    constant = regressor(pruning_ratio=0).fit(data.X, data.y)
    one_by_one = regressor(learning_rate=lambda t: 0.05 if t >= 0 else 0.0, pruning_ratio=0).fit(data.X, data.y)
    assert_same_network(one_by_one, constant, rtol=0, atol=0)


def test_adaptive_lowers_the_rate_where_constant_stops(make_data, regressor):
    data = make_data("regression")
    params = {"solver": "sgd", "tol": 0.1, "n_iter_no_change": 2, "max_iter": 200, "pruning_ratio": 0}
    constant = regressor(**params).fit(data.X, data.y)
    adaptive = regressor(learning_rate="adaptive", **params).fit(data.X, data.y)
    assert constant.n_iter_ < adaptive.n_iter_ < 200
    np.testing.assert_array_equal(adaptive.loss_curve_[: constant.n_iter_], constant.loss_curve_)


def test_training_stops_after_the_same_epochs_as_scikit_learn(make_data, regressor):
    data = make_data("regression")
    params = {"tol": 1e9, "n_iter_no_change": 3, "max_iter": 50}
    assert (
        regressor(**params).fit(data.X, data.y).n_iter_
        == MLPRegressor(hidden_layer_sizes=(8,), **params).fit(data.X, data.y).n_iter_
    )


def test_training_that_has_not_converged_says_so(make_data, regressor):
    data = make_data("regression")
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached"):
        regressor(max_iter=5).fit(data.X, data.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor(max_iter=50, tol=1e9).fit(data.X, data.y)


def test_more_epochs_than_one_call_takes(make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=100, tol=0.0, n_iter_no_change=1000).fit(data.X, data.y)
    assert model.n_iter_ == len(model.loss_curve_) == 100


# ---------------------------------------------------------------------- batches


def test_a_batch_larger_than_the_data_warns(make_data, regressor):
    data = make_data("regression")
    with pytest.warns(UserWarning, match="'batch_size'=64 is larger than the 60 training rows"):
        large = regressor(batch_size=64).fit(data.X, data.y)
    assert_same_network(large, regressor().fit(data.X, data.y))


def test_mini_batches_make_several_steps_per_epoch(make_data, regressor):
    data = make_data("regression")
    params = {"max_iter": 5, "pruning_ratio": 0, "learning_rate_init": 0.01}
    assert regressor(batch_size=16, **params).fit(data.X, data.y).loss_ < regressor(**params).fit(data.X, data.y).loss_


def test_without_shuffling_the_rows_keep_their_order(make_data, regressor):
    data = make_data("regression")
    order = np.random.default_rng(0).permutation(60)
    fits = {
        (shuffle, name): regressor(batch_size=16, shuffle=shuffle, pruning_ratio=0).fit(X, y).coefs_[0]
        for shuffle in (True, False)
        for name, X, y in (("as is", data.X, data.y), ("permuted", data.X[order], data.y[order]))
    }
    assert not np.allclose(fits[False, "as is"], fits[False, "permuted"], atol=1e-3)
    assert not np.allclose(fits[True, "as is"], fits[False, "as is"], atol=1e-3)


def test_alpha_keeps_the_weights_small(make_data, regressor):
    data = make_data("regression")
    for solver in ("adam", "adamw"):
        norms = [
            np.linalg.norm(regressor(solver=solver, alpha=alpha, pruning_ratio=0).fit(data.X, data.y).coefs_[0])
            for alpha in (0.0, 10.0)
        ]
        assert norms[1] < 0.9 * norms[0]


# ---------------------------------------------------------------------- precision, device, words


def test_float64_holds_within_the_fit_only(make_data, regressor):
    data = make_data("regression")
    model = regressor(dtype="float64").fit(data.X, data.y)
    assert {a.dtype for a in (*model.coefs_, *model.intercepts_)} == {np.dtype("float64")}
    assert not jax.config.jax_enable_x64
    assert regressor().fit(data.X, data.y).coefs_[0].dtype == np.float32


def test_float64_holds_within_the_fit_only_also_where_it_fails(make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match="go together"):
        regressor(dtype="float64").fit(data.X, data.y, X_val=data.X_val)
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_device_by_name(device, make_data, regressor):
    data = make_data("regression")
    model = regressor(device=device, pruning_ratio=0).fit(data.X, data.y)
    expected = regressor(pruning_ratio=0).fit(data.X, data.y)
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("device", ["quantum", "cpu:99", "cpu:x", "tpu"])
def test_an_absent_device_is_named_with_those_there_are(device, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"The 'device' parameter .* got '{device}'; available: \['cpu:0'"):
        regressor(device=device).fit(data.X, data.y)


def test_verbose_tells_in_words(make_data, regressor, capsys):
    data = make_data("regression")
    model = regressor(max_iter=3, verbose=True, early_stopping=True).fit(data.X, data.y)
    lines = capsys.readouterr().out.splitlines()
    for i, (loss, score) in enumerate(zip(model.loss_curve_, model.validation_scores_, strict=True)):
        assert lines[i] == f"Iteration {i + 1}, loss = {loss:.8f}, validation score = {score:.6f}"
    assert lines[3] == "Pruning"
    assert lines[4].startswith("Round 0: removed 2 units in 8 pulls, left [6]; loss ")
    assert lines[5].startswith("Round 1: removed 2 units in 6 pulls, left [4]; loss ")
    assert len(lines) == 6


def test_verbose_tells_of_lbfgs(make_data, regressor, capsys):
    data = make_data("regression")
    model = regressor(max_iter=3, verbose=True, solver="lbfgs", pruning_ratio=0).fit(data.X, data.y)
    assert f"Iteration 3, loss = {model.loss_curve_[2]:.8f}" in capsys.readouterr().out


def test_without_verbose_nothing_is_printed(make_data, regressor, capfd):
    data = make_data("regression")
    regressor(max_iter=3).fit(data.X, data.y)
    assert capfd.readouterr() == ("", "")
