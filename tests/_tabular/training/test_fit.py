"""Training from beginning to end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit._tabular.features.embeddings import fold_scale
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.training.solvers import Hyper
from skbandit._tabular.types import Network

SGD = {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False}
CASES = {
    "adam": ("relu", "squared_error", {"solver": "adam"}),
    "sgd": ("tanh", "squared_error", SGD),
    "nesterov, three classes": ("tanh", "log_loss", {**SGD, "nesterovs_momentum": True}),
    "two classes": ("logistic", "binary_log_loss", {"solver": "adam"}),
    "poisson": ("relu", "poisson", {"solver": "adam", "loss": "poisson"}),
    "invscaling": ("relu", "squared_error", {**SGD, "momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.3}),
    "adaptive": ("relu", "squared_error", {**SGD, "momentum": 0.0, "learning_rate": "adaptive", "tol": 1e3}),
    "lbfgs": ("tanh", "squared_error", {"solver": "lbfgs"}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_scikit_learn(name, weighted, trainable, rows, train, assert_close):
    activation, loss, options = CASES[name]
    on = rows(loss=loss, fractional=weighted)
    cls = MLPRegressor if loss in ("squared_error", "poisson") else MLPClassifier
    model = cls(
        **{"hidden_layer_sizes": (4,), "tol": 0.0, **options},
        activation=activation,
        alpha=0.5,
        batch_size=20,  # 50 rows: the last batch is smaller
        learning_rate_init=0.02,
        max_iter=9,
        n_iter_no_change=2,
        shuffle=False,
        random_state=3,
        # scikit-learn adds it before the bias correction, Kingma and Ba after: without it, both are the same.
        epsilon=1e-18,
    )
    model.fit(on.X, on.y.ravel(), sample_weight=on.weight if weighted else None)
    n_outputs = 3 if loss == "log_loss" else 1
    network = trainable((3, 4, n_outputs), activation, loss)
    solver = "sgd_nesterov" if model.solver == "sgd" and model.nesterovs_momentum else model.solver
    ours = train(
        on,
        init_params(network.mlp.layer_sizes, activation, np.random.RandomState(3), "float64"),
        network=network,
        solver=solver,
        hyper=Hyper(
            alpha=0.5,
            epsilon=1e-18,
            momentum=model.momentum,
            tol=model.tol,
            n_iter_no_change=2.0,
            adaptive=float(model.learning_rate == "adaptive"),
        ),
        learning_rate=model.learning_rate,
        power_t=model.power_t,
        learning_rate_init=0.02,
        batch_size=20,
        max_iter=9,
        shuffle=False,
        dtype="float64",
    )
    # 27 steps that differ in the order of sums only; the line searches of L-BFGS amplify the difference.
    theirs = tuple(zip(model.coefs_, model.intercepts_, strict=True))
    assert_close(ours.network.layers, theirs, 1e-9 if name == "lbfgs" else 1e-12)
    if solver != "lbfgs" and not weighted:  # scikit-learn divides a weighted epoch's loss by the number of rows
        np.testing.assert_allclose(ours.loss_curve, model.loss_curve_, rtol=1e-11)


def test_a_classifier_learns(trainable, rows, train):
    on = rows(200, loss="log_loss", fractional=False)
    network = trainable((3, 4, 3), "tanh", "log_loss")
    trained = train(on, network=network, max_iter=60, learning_rate_init=0.05)
    (W1, b1), (W2, b2) = trained.network.layers
    probability = softmax(np.tanh(on.X @ W1 + b1) @ W2 + b2, axis=1)
    # Which of three coordinates is the smallest: three linear pieces, which four units can hold.
    assert np.mean(probability.argmax(axis=1) == on.y[:, 0]) > 0.95
    assert jnp.asarray(trained.loss_curve[-1]) < 0.5 * trained.loss_curve[0]


@pytest.mark.parametrize("solver", ["adam", "adamw", "lbfgs"])
def test_all_is_trained_but_the_edges_of_bins(solver, train, assert_equal, tabular):
    on, network, start = tabular("piecewise_linear")
    trained = train(on, start, network=network, solver=solver, parametrization="ntk", dtype="float64")
    assert_equal(trained.network.inputs["edges"], start.inputs["edges"])
    for name in ("weight", "bias", "tables", "scale"):
        assert (np.ravel(trained.network.inputs[name]) != np.ravel(start.inputs[name])).any()
    (_, _, slope), _ = trained.network.layers
    assert (slope != start.layers[0][2]).all()


def test_what_is_reported_in_mid_training_has_its_scale_folded(make_listener, train, assert_equal, tabular):
    on, network, start = tabular("periodic")
    seen = []
    watch = make_listener(every_epoch=True, after=lambda n, reported: seen.append(reported()))
    trained = train(on, start, network=network, listener=watch, max_iter=2, dtype="float64")
    assert_equal(seen[-1], Network(*fold_scale(*trained.network)))
    assert (trained.network.inputs["scale"] != 1).all()


def test_results_are_numpy_arrays_of_the_dtype_asked_for(rows, train):
    for dtype in ("float32", "float64"):
        trained = train(rows(), dtype=dtype)
        for leaf in jax.tree.leaves(trained.network):
            assert type(leaf) is np.ndarray
            assert leaf.dtype == dtype


def test_same_seed_same_weights_other_seed_other_weights(rows, train, assert_equal):
    assert_equal(train(rows(), seed=5).network, train(rows(), seed=5).network)
    assert (train(rows(), seed=5).network.layers[0][0] != train(rows(), seed=6).network.layers[0][0]).any()
    # Without shuffling the seed has nothing to decide.
    assert_equal(train(rows(), seed=5, shuffle=False).network, train(rows(), seed=6, shuffle=False).network)


def test_going_on_from_where_training_ended_is_training_on(rows, train, assert_equal):
    on = rows()
    whole = train(on, max_iter=6, shuffle=False)
    half = train(on, max_iter=3, shuffle=False)
    rest = train(on, half.network, max_iter=3, shuffle=False, opt_leaves=half.opt_leaves, n_steps=half.n_steps)
    assert_equal(rest.network, whole.network)
    assert rest.n_steps == whole.n_steps


# --- how training ends ----------------------------------------------------------------------------------------------


def test_training_ends_after_epochs_without_improvement(rows, train):
    # Nothing improves by 1000. The first epoch counts as an improvement on infinity; then come n_iter_no_change + 1.
    for patience in (1, 3):
        trained = train(rows(), max_iter=40, hyper=Hyper(tol=1e3, n_iter_no_change=float(patience)))
        assert trained.status == "converged"
        assert len(trained.loss_curve) == 1 + patience + 1
    assert len(train(rows(), hyper=Hyper(tol=1e3, n_iter_no_change=1.0, patience_on=0.0)).loss_curve) == 7


def test_training_that_is_never_to_end_early_is_completed(rows, train):
    trained = train(rows(), max_iter=40, hyper=Hyper(tol=1e3, n_iter_no_change=np.inf))
    assert trained.status == "completed"
    assert len(trained.loss_curve) == 40


def test_training_that_improves_runs_to_the_end(base_settings, rows, train):
    trained = train(rows(), hyper=Hyper(tol=0.0))
    assert trained.status == "max_iter"
    assert len(trained.loss_curve) == base_settings.max_iter


def test_training_stops_where_the_loss_is_not_finite(rows, train):
    trained = train(rows(), learning_rate_init=1e30, max_iter=40, hyper=Hyper(tol=0.0))
    assert trained.status == "not finite"
    assert len(trained.loss_curve) < 40
    assert np.isfinite(trained.loss_curve[:-1]).all()
    assert not np.isfinite(trained.loss_curve[-1])


@pytest.mark.parametrize("every_epoch", [False, True])
def test_a_listener_can_stop_training(every_epoch, base_settings, make_listener, rows, train):
    trained = train(rows(), listener=make_listener(every_epoch, after=lambda n, network: n == 2))
    assert trained.status == "stopped"
    # Called once an epoch it stops there; called once a chunk, the chunk is done.
    assert len(trained.loss_curve) == (2 if every_epoch else base_settings.max_iter)


def test_an_interrupt_keeps_the_epochs_done(make_listener, rows, train, assert_equal):
    def interrupt(n, network):
        if n == 4:
            raise KeyboardInterrupt

    trained = train(rows(), listener=make_listener(every_epoch=True, after=interrupt))
    assert trained.status == "interrupted"
    assert_equal(trained.network, train(rows(), max_iter=4).network)
    assert trained.loss_curve == train(rows(), max_iter=4).loss_curve
