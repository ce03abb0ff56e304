import contextlib
import dataclasses
import functools

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import softmax
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit import _fit, training
from skbandit._fit import Rows, TrainSettings
from skbandit.data import Data
from skbandit.losses import score, weighted_mean
from skbandit.network import MLP, init_params
from skbandit.runtime import jax_scope
from skbandit.training import SOLVERS, Hyper, Planner, full_loss, init_state, run_chunk

NETWORK = MLP((3, 4, 1), "relu", "squared_error")
SETTINGS = TrainSettings(
    network=NETWORK,
    solver="adam",
    hyper=Hyper(),
    learning_rate="constant",
    learning_rate_init=1e-2,
    power_t=0.5,
    batch_size=16,
    max_iter=7,
    horizon=7,
    shuffle=True,
    early_stopping=False,
    max_fun=15000,
    dtype="float32",
)


class Listener:
    """Hears of every epoch, after its chunk or one at a time."""

    def __init__(self, every_epoch=False, after=None):
        self.every_epoch = every_epoch
        self.after = after
        self.losses = []

    def epoch(self, n_iter, loss, score, params):
        self.losses.append(loss)
        assert n_iter == len(self.losses)
        return self.after is not None and bool(self.after(n_iter, params))


def rows(n=50, seed=0, loss="squared_error", fractional=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = {
        "squared_error": X.sum(axis=1) + 0.1 * rng.normal(size=n),
        "poisson": rng.poisson(np.exp(X[:, 0] / 2)),
        "log_loss": np.argsort(X, axis=1)[:, 0],
        "binary_log_loss": X[:, 0] > 0,
    }[loss]
    return Rows(X, y[:, None].astype(float), rng.exponential(size=n) if fractional else np.ones(n))


def train(on, start=None, seed=0, held_out=None, listener=None, data=None, opt_leaves=None, n_steps=0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    network = settings.network
    with jax_scope(settings.dtype):
        if start is None:
            start = init_params(network.layer_sizes, network.activation, np.random.RandomState(0), settings.dtype)
        if data is not None:
            data = data(settings.dtype)
        listener = listener or Listener()
        return _fit.train(start, opt_leaves, on, held_out, settings, seed, n_steps, reporter=listener, data=data)


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_close(a, b, atol):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=atol), a, b)


@contextlib.contextmanager
def compilations():
    """Collect the programs that XLA builds, or finds among the stored ones, within the block."""
    found = []

    def listen(event, duration, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(kwargs.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


# --- what training computes -----------------------------------------------------------------------------------------

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
def test_weights_are_those_of_scikit_learn(name, weighted):
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
    network = MLP((3, 4, n_outputs), activation, loss)
    solver = "sgd_nesterov" if model.solver == "sgd" and model.nesterovs_momentum else model.solver
    ours = train(
        on,
        init_params(network.layer_sizes, activation, np.random.RandomState(3), "float64"),
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
    assert_close(ours.params, theirs, 1e-9 if name == "lbfgs" else 1e-12)
    if solver != "lbfgs" and not weighted:  # scikit-learn divides a weighted epoch's loss by the number of rows
        np.testing.assert_allclose(ours.loss_curve, model.loss_curve_, rtol=1e-11)


def by_hand(solver, h, rate, gradient, params, n_steps):
    """The update rules, as their papers write them; ``params`` is a flat vector, its first half the weights."""
    m, v = np.zeros_like(params), np.zeros_like(params)
    for t in range(1, n_steps + 1):
        g = gradient(params)
        if solver in ("sgd", "sgd_nesterov"):
            m = h.momentum * m + g
            step = g + h.momentum * m if solver == "sgd_nesterov" else m
        elif solver == "lion":
            step = np.sign(h.beta_1 * m + (1 - h.beta_1) * g)
            m = h.beta_2 * m + (1 - h.beta_2) * g
        elif solver == "rmsprop":
            v = h.beta_2 * v + (1 - h.beta_2) * g**2
            step = g / np.sqrt(v + h.epsilon)
        else:
            m = h.beta_1 * m + (1 - h.beta_1) * g
            v = h.beta_2 * v + (1 - h.beta_2) * g**2
            mean = m / (1 - h.beta_1**t)
            if solver == "nadam":
                mean = h.beta_1 * m / (1 - h.beta_1 ** (t + 1)) + (1 - h.beta_1) * g / (1 - h.beta_1**t)
            step = mean / (np.sqrt(v / (1 - h.beta_2**t)) + h.epsilon)
            if solver == "adamw":
                step = step + h.alpha * params * np.array([1, 1, 0, 0])
        params = params - rate * step
    return params


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_of_every_solver_are_those_of_its_update_rule(solver):
    # f = w2·(w1·x + b1) + b2, flat parameters (w1, w2, b1, b2).
    x, y, weight = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, -2.0]), np.array([1.0, 2.0, 0.5])
    hyper = Hyper(alpha=0.3, beta_1=0.8, beta_2=0.95, epsilon=1e-3, momentum=0.7)

    def gradient(p):
        w1, w2, b1, b2 = p
        hidden = w1 * x + b1
        r = weight * (w2 * hidden + b2 - y) / weight.sum()
        penalty = np.zeros(4) if solver == "adamw" else hyper.alpha * np.array([w1, w2, 0, 0]) / weight.sum()
        return np.array([(r * w2 * x).sum(), (r * hidden).sum(), (r * w2).sum(), r.sum()]) + penalty

    p = np.array([0.7, -1.2, 0.1, 0.4])
    start = tuple((w.reshape(1, 1), b.reshape(1)) for w, b in zip(p[:2], p[2:], strict=True))
    trained = train(
        Rows(x[:, None], y[:, None], weight),
        start,
        network=MLP((1, 1, 1), "identity", "squared_error"),
        solver=solver,
        hyper=hyper,
        learning_rate_init=0.1,
        max_iter=3,
        shuffle=False,
        dtype="float64",
    )
    (W1, b1), (W2, b2) = trained.params
    ours = np.array([W1.item(), W2.item(), b1.item(), b2.item()])
    np.testing.assert_allclose(ours, by_hand(solver, hyper, 0.1, gradient, p, 3), rtol=1e-12)


def test_any_optax_optimizer_can_train():
    on = rows()
    named = train(on, dtype="float64")
    given = train(on, dtype="float64", solver=optax.adam(1e-2))
    # 28 steps; optax multiplies by the learning rate in another place.
    assert_close(given.params, named.params, 1e-12)


def test_reported_loss_is_the_objective():
    # One batch: the loss of an epoch is that of the weights before its step.
    on = rows(n=12)
    start = init_params(NETWORK.layer_sizes, "relu", np.random.RandomState(0), "float64")
    (W1, b1), (W2, b2) = start
    z = np.maximum(on.X @ W1 + b1, 0) @ W2 + b2
    total = on.weight.sum()
    penalty = 0.5 * 2.0 / total * ((W1**2).sum() + (W2**2).sum())
    expected = weighted_mean("squared_error", z, on.y, on.weight) + penalty
    curve = train(on, start, hyper=Hyper(alpha=2.0), max_iter=1, dtype="float64").loss_curve
    np.testing.assert_allclose(curve, [expected], rtol=1e-14)
    with jax_scope("float64"):
        loss, _ = full_loss(start, Data.pad(*on, "float64"), 2.0, network=NETWORK)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_full_gradient_equals_finite_differences(loss):
    on = rows(n=12, loss=loss)
    network = MLP((3, 4, 3 if loss == "log_loss" else 1), "tanh", loss)
    leaves, tree = jax.tree.flatten(init_params(network.layer_sizes, "tanh", np.random.RandomState(1), "float64"))
    h = 6e-6
    with jax_scope("float64"):
        data = Data.pad(*on, "float64")

        def value(leaves):
            return float(full_loss(jax.tree.unflatten(tree, leaves), data, 0.7, network=network)[0])

        _, gradient = full_loss(jax.tree.unflatten(tree, leaves), data, 0.7, network=network)
        for k, slope in enumerate(jax.tree.leaves(gradient)):
            for index in np.ndindex(leaves[k].shape):
                up, down = ([a.copy() for a in leaves] for _ in range(2))
                up[k][index] += h
                down[k][index] -= h
                # Rounding: eps·2/h = 7e-11; truncation: h²/6·|f'''| = 6e-12·10.
                assert slope[index] == pytest.approx((value(up) - value(down)) / (2 * h), abs=1e-9)


def test_an_integer_weight_is_a_repeated_row():
    counts = np.array([3, 0, 1, 2, 1, 4, 1, 1, 2, 0])
    once = rows(n=10)
    repeated = np.repeat(np.arange(10), counts)
    full = {"batch_size": 200, "dtype": "float64", "hyper": Hyper(alpha=0.5)}
    weighted = train(once._replace(weight=counts.astype(float)), **full)
    copies = train(Rows(once.X[repeated], once.y[repeated], np.ones(repeated.size)), **full)
    # Seven steps of Adam on sums in another order.
    assert_close(weighted.params, copies.params, 1e-12)
    np.testing.assert_allclose(weighted.loss_curve, copies.loss_curve, rtol=1e-12)


def test_training_with_gates_is_training_the_compact_network():
    gates = (np.array([1.0, 0, 1, 0, 0, 1]),)
    network = MLP((3, 6, 1), "logistic", "squared_error")
    params = init_params(network.layer_sizes, "logistic", np.random.RandomState(0), "float64")
    params = network.groups.zero(params, [np.flatnonzero(gates[0] == 0)])
    kept = [np.flatnonzero(gates[0])]
    on, hyper = rows(), Hyper(alpha=0.1)
    with jax_scope("float64"):
        data = Data.pad(*on, "float64")
        planner = Planner(np.random.default_rng(0), 50, data.X.shape[0], 16, lambda steps: np.full(steps.shape, 0.01))
        state, *_ = run_chunk(
            init_state(params, "adam"),
            gates=gates,
            data=data,
            validation=None,
            plan=planner.next(7),
            hyper=Hyper(*map(np.float64, hyper)),
            network=network,
            solver="adam",
            width=16,
            has_validation=False,
        )
        masked = _fit.to_numpy(state.params)
    small = MLP((3, 3, 1), "logistic", "squared_error")
    compact = train(on, network.groups.compact(params, kept), network=small, hyper=hyper, dtype="float64")
    assert_close(network.groups.compact(masked, kept), compact.params, 1e-12)
    assert_equal(network.groups.zero(masked, [np.flatnonzero(gates[0] == 0)]), masked)  # what is gone stays gone


# --- what must not show ---------------------------------------------------------------------------------------------


def padded(on, size):
    return lambda dtype: Data.pad(*on, dtype, rows=size)


@pytest.mark.parametrize("batch_size", [16, 200])
@pytest.mark.parametrize("size", [80, 256])
def test_padding_is_invisible_bit_for_bit(size, batch_size):
    # With fractional weights: a sum over another number of zeros must not be another sum.
    on = rows()
    small = train(on, batch_size=batch_size)
    large = train(on, batch_size=batch_size, data=padded(on, size))
    assert_equal(large.params, small.params)
    assert_equal(large.opt_leaves, small.opt_leaves)
    assert large.loss_curve == small.loss_curve


@pytest.mark.parametrize("early_stopping", [False, True])
def test_chunks_are_invisible_bit_for_bit(early_stopping):
    options = {"held_out": rows(20, seed=1), "early_stopping": early_stopping, "max_iter": 40}
    whole = train(rows(), **options)
    one_by_one = train(rows(), listener=Listener(every_epoch=True), **options)
    assert len(whole.loss_curve) == 40 > SETTINGS.max_iter
    assert_equal(one_by_one.params, whole.params)
    assert one_by_one.loss_curve == whole.loss_curve
    assert one_by_one.validation_scores == whole.validation_scores
    assert one_by_one.n_steps == whole.n_steps == 40 * 4


def test_smaller_chunks_are_invisible_bit_for_bit(monkeypatch):
    whole = train(rows())
    monkeypatch.setattr(training, "_CHUNK_EPOCHS", 3)
    cut = train(rows())
    assert_equal(cut.params, whole.params)
    assert cut.loss_curve == whole.loss_curve


def test_a_stop_within_a_chunk_leaves_no_trace_of_the_epochs_planned_after_it():
    stops = {"hyper": Hyper(tol=1e3, n_iter_no_change=2.0), "max_iter": 30}
    whole = train(rows(), **stops)
    one_by_one = train(rows(), listener=Listener(every_epoch=True), **stops)
    assert whole.status == one_by_one.status == "converged"
    assert whole.n_steps == one_by_one.n_steps == 4 * len(whole.loss_curve)
    assert_equal(one_by_one.params, whole.params)


def test_same_seed_same_weights_other_seed_other_weights():
    assert_equal(train(rows(), seed=5).params, train(rows(), seed=5).params)
    assert (train(rows(), seed=5).params[0][0] != train(rows(), seed=6).params[0][0]).any()
    # Without shuffling the seed has nothing to decide.
    assert_equal(train(rows(), seed=5, shuffle=False).params, train(rows(), seed=6, shuffle=False).params)


def test_going_on_from_where_training_ended_is_training_on():
    on = rows()
    whole = train(on, max_iter=6, shuffle=False)
    half = train(on, max_iter=3, shuffle=False)
    rest = train(on, half.params, max_iter=3, shuffle=False, opt_leaves=half.opt_leaves, n_steps=half.n_steps)
    assert_equal(rest.params, whole.params)
    assert rest.n_steps == whole.n_steps


def test_a_batch_without_weight_moves_neither_weights_nor_optimizer():
    on = rows(32, fractional=False)
    on.weight[16:] = 0
    alone = train(Rows(*(a[:16] for a in on)), shuffle=False)
    with_idle = train(on, shuffle=False)
    assert_equal(with_idle.params, alone.params)
    assert_equal(with_idle.opt_leaves, alone.opt_leaves)
    assert with_idle.loss_curve == alone.loss_curve


def test_one_program_serves_all_hyper_parameters_rows_and_epochs():
    train(rows())
    stepwise = {"adaptive": 1.0, "patience_on": 0.0}
    with compilations() as found:
        train(rows(64, seed=1), seed=3, max_iter=35)
        train(rows(17), max_iter=2, shuffle=False)
        train(rows(), learning_rate_init=1, learning_rate="invscaling", power_t=1)
        train(rows(), learning_rate="cosine", hyper=Hyper(1, 0, 0.5, 1, 1, 1, 3, **stepwise))  # integers, too
        train(rows(), listener=Listener(every_epoch=True))
        state = train(rows(), max_iter=2)
        train(rows(), state.params, opt_leaves=state.opt_leaves, n_steps=state.n_steps)
    assert found == []


def test_one_program_serves_all_gates():
    with jax_scope():
        data = Data.pad(*rows(), "float32")
        planner = Planner(np.random.default_rng(0), 50, 64, 16, np.ones_like)
        run = functools.partial(
            run_chunk,
            init_state(init_params(NETWORK.layer_sizes, "relu", np.random.RandomState(0), "float32"), "adam"),
            data=data,
            validation=None,
            hyper=Hyper(*map(np.float32, Hyper())),
            network=NETWORK,
            solver="adam",
            width=16,
            has_validation=False,
        )
        run(gates=(np.ones(4, "float32"),), plan=planner.next(2))
        with compilations() as found:
            run(gates=(np.array([1, 0, 0, 1], "float32"),), plan=planner.next(1))
    assert found == []


# --- when training ends ---------------------------------------------------------------------------------------------


def test_training_ends_after_epochs_without_improvement():
    # Nothing improves by 1000. The first epoch counts as an improvement on infinity; then come n_iter_no_change + 1.
    for patience in (1, 3):
        trained = train(rows(), max_iter=40, hyper=Hyper(tol=1e3, n_iter_no_change=float(patience)))
        assert trained.status == "converged"
        assert len(trained.loss_curve) == 1 + patience + 1
    assert len(train(rows(), hyper=Hyper(tol=1e3, n_iter_no_change=1.0, patience_on=0.0)).loss_curve) == 7


def test_training_ends_where_scikit_learns_rule_says():
    tol, patience = 2e-3, 4
    hyper = Hyper(tol=tol, n_iter_no_change=float(patience))
    trained = train(rows(), max_iter=200, learning_rate_init=0.05, hyper=hyper)
    best, stale, expected = np.inf, 0, None
    for epoch, loss in enumerate(np.float32(trained.loss_curve), start=1):
        stale = stale + 1 if loss > best - np.float32(tol) else 0
        best = min(best, loss)
        if stale > patience:
            expected = epoch
            break
    assert patience + 2 < len(trained.loss_curve) < 200
    assert len(trained.loss_curve) == expected
    assert trained.best_loss == min(trained.loss_curve)


def test_training_that_improves_runs_to_the_end():
    trained = train(rows(), hyper=Hyper(tol=0.0))
    assert trained.status == "max_iter"
    assert len(trained.loss_curve) == SETTINGS.max_iter


def test_early_stopping_returns_the_weights_of_the_best_score():
    held_out = rows(20, seed=1)
    seen = []
    watch = Listener(every_epoch=True, after=lambda n, params: seen.append(params()))
    trained = train(
        rows(),
        held_out=held_out,
        early_stopping=True,
        max_iter=60,
        learning_rate_init=0.3,  # wild enough to go past the best
        hyper=Hyper(n_iter_no_change=3.0),
        listener=watch,
    )
    assert trained.status == "converged"
    best = int(np.argmax(trained.validation_scores))
    assert best < len(trained.validation_scores) - 1
    assert_equal(trained.params, seen[best])
    assert trained.best_score == trained.validation_scores[best]
    for params, reported in zip(seen, trained.validation_scores, strict=True):
        (W1, b1), (W2, b2) = params
        z = np.maximum(held_out.X @ W1 + b1, 0) @ W2 + b2
        # float32, with 1 - R² a quotient of sums of 20 terms.
        expected = score(np, "squared_error", z, held_out.y, held_out.weight)
        assert reported == pytest.approx(expected, abs=1e-5 * max(1, abs(expected)))


def test_adaptive_rate_is_divided_by_five_until_it_is_tiny():
    # Stale after 3 epochs, then after 2 more each time: 1e-5 → 2e-6 → 4e-7, which is below 1e-6: 3 + 2 + 2 epochs.
    trained = train(
        rows(),
        solver="sgd",
        max_iter=40,
        learning_rate_init=1e-5,
        hyper=Hyper(tol=1e3, n_iter_no_change=1.0, adaptive=1.0),
    )
    assert trained.status == "converged"
    assert len(trained.loss_curve) == 7


def test_training_stops_where_the_loss_is_not_finite():
    trained = train(rows(), learning_rate_init=1e30, max_iter=40, hyper=Hyper(tol=0.0))
    assert trained.status == "not finite"
    assert len(trained.loss_curve) < 40
    assert np.isfinite(trained.loss_curve[:-1]).all()
    assert not np.isfinite(trained.loss_curve[-1])


@pytest.mark.parametrize("every_epoch", [False, True])
def test_a_listener_can_stop_training(every_epoch):
    trained = train(rows(), listener=Listener(every_epoch, after=lambda n, params: n == 2))
    assert trained.status == "stopped"
    # Called once an epoch it stops there; called once a chunk, the chunk is done.
    assert len(trained.loss_curve) == (2 if every_epoch else SETTINGS.max_iter)


def test_an_interrupt_keeps_the_epochs_done():
    def interrupt(n, params):
        if n == 4:
            raise KeyboardInterrupt

    trained = train(rows(), listener=Listener(every_epoch=True, after=interrupt))
    assert trained.status == "interrupted"
    assert_equal(trained.params, train(rows(), max_iter=4).params)
    assert trained.loss_curve == train(rows(), max_iter=4).loss_curve


def test_lbfgs_can_be_watched_stopped_and_interrupted():
    def interrupt(n, params):
        if n == 3:
            raise KeyboardInterrupt

    whole = train(rows(), solver="lbfgs", max_iter=3)
    assert whole.status == "max_iter"
    watch = Listener(after=lambda n, params: n == 3)
    stopped = train(rows(), solver="lbfgs", max_iter=50, listener=watch)
    interrupted = train(rows(), solver="lbfgs", max_iter=50, listener=Listener(after=interrupt))
    assert (stopped.status, interrupted.status) == ("stopped", "interrupted")
    for trained in (stopped, interrupted):
        assert_equal(trained.params, whole.params)
        assert trained.loss_curve == whole.loss_curve
    assert watch.losses == whole.loss_curve
    assert (np.diff(whole.loss_curve) < 0).all()


def test_lbfgs_converges_where_there_is_nothing_left_to_gain():
    options = {"solver": "lbfgs", "max_iter": 2000, "hyper": Hyper(alpha=1.0, tol=1e-6), "dtype": "float64"}
    trained = train(rows(), **options)
    assert trained.status == "converged"
    again = train(rows(), trained.params, **options)
    # SciPy also stops where a step gains 2e-9 of the loss; a fresh start may find some more of such steps.
    assert 0 <= trained.best_loss - again.best_loss < 1e-6 * trained.best_loss


def test_results_are_numpy_arrays_of_the_dtype_asked_for():
    for dtype in ("float32", "float64"):
        trained = train(rows(), dtype=dtype)
        for leaf in jax.tree.leaves(trained.params):
            assert type(leaf) is np.ndarray
            assert leaf.dtype == dtype


# --- what the host plans --------------------------------------------------------------------------------------------


def test_learning_rates_by_hand():
    steps = np.arange(6).reshape(3, 2)

    def rates(name, **changes):
        settings = dataclasses.replace(SETTINGS, learning_rate=name, horizon=3, **changes)
        return _fit.schedule(settings, n_rows=9, steps_per_epoch=2)(steps)

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


def test_a_classifier_learns():
    on = rows(200, loss="log_loss", fractional=False)
    network = MLP((3, 4, 3), "tanh", "log_loss")
    trained = train(on, network=network, max_iter=60, learning_rate_init=0.05)
    (W1, b1), (W2, b2) = trained.params
    probability = softmax(np.tanh(on.X @ W1 + b1) @ W2 + b2, axis=1)
    # Which of three coordinates is the smallest: three linear pieces, which four units can hold.
    assert np.mean(probability.argmax(axis=1) == on.y[:, 0]) > 0.95
    assert jnp.asarray(trained.loss_curve[-1]) < 0.5 * trained.loss_curve[0]


def test_programs_are_forgotten_before_there_are_too_many(monkeypatch):
    monkeypatch.setattr(_fit, "MOST_PROGRAMS", 2)
    monkeypatch.setattr(_fit, "_programs", set())
    cleared = []
    monkeypatch.setattr(_fit, "JITTED", [type("Jitted", (), {"clear_cache": lambda self: cleared.append(1)})()])
    for program, n_cleared in (("a", 0), ("b", 0), ("a", 0), ("c", 1), ("c", 1), ("d", 1), ("e", 2)):
        _fit.make_room(program)
        assert len(cleared) == n_cleared


def test_a_schedule_stays_at_its_end():
    settings = dataclasses.replace(SETTINGS, learning_rate="cosine", horizon=3, max_iter=1)
    rates = _fit.schedule(settings, n_rows=9, steps_per_epoch=2)(np.arange(12))
    assert (np.diff(rates) <= 0).all()
    np.testing.assert_allclose(rates[6:], 0, atol=1e-18)
