import contextlib
import dataclasses
import functools

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit._core import programs
from skbandit._core.rows import Data
from skbandit._core.scope import jax_scope
from skbandit._tabular.features.embeddings import Inputs, fold_scale
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.training import fit as _fit
from skbandit._tabular.training import loop as training
from skbandit._tabular.training.fit import Network, Rows, TrainSettings
from skbandit._tabular.training.loop import SOLVERS, Hyper, Planner, Trainable, full_loss, init_state, run_chunk
from skbandit._tabular.training.rates import leaf_rates


def trainable(layer_sizes, activation, loss, **inputs):
    """Return a network whose inputs are plain columns."""
    return Trainable(MLP(layer_sizes, activation, loss), Inputs(layer_sizes[0], **inputs))


NETWORK = trainable((3, 4, 1), "relu", "squared_error")
SETTINGS = TrainSettings(
    network=NETWORK,
    solver="adam",
    hyper=Hyper(),
    parametrization="standard",
    regularization_schedule="constant",
    learning_rate="constant",
    learning_rate_init=1e-2,
    power_t=0.5,
    batch_size=16,
    balanced_batches=False,
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

    def epoch(self, n_iter, loss, score, network):
        self.losses.append(loss)
        assert n_iter == len(self.losses)
        return self.after is not None and bool(self.after(n_iter, network))


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
    mlp = settings.network.mlp
    with jax_scope(settings.dtype):
        if start is None:
            start = init_params(mlp.layer_sizes, mlp.activation, np.random.RandomState(0), settings.dtype)
        if not isinstance(start, Network):
            start = Network({}, start)
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
        network=trainable((1, 1, 1), "identity", "squared_error"),
        solver=solver,
        hyper=hyper,
        learning_rate_init=0.1,
        max_iter=3,
        shuffle=False,
        dtype="float64",
    )
    (W1, b1), (W2, b2) = trained.network.layers
    ours = np.array([W1.item(), W2.item(), b1.item(), b2.item()])
    np.testing.assert_allclose(ours, by_hand(solver, hyper, 0.1, gradient, p, 3), rtol=1e-12)


def test_any_optax_optimizer_can_train():
    on = rows()
    named = train(on, dtype="float64")
    given = train(on, dtype="float64", solver=optax.adam(1e-2))
    # 28 steps; optax multiplies by the learning rate in another place.
    assert_close(given.network, named.network, 1e-12)


def test_reported_loss_is_the_objective():
    # One batch: the loss of an epoch is that of the weights before its step.
    on = rows(n=12)
    start = init_params(NETWORK.mlp.layer_sizes, "relu", np.random.RandomState(0), "float64")
    (W1, b1), (W2, b2) = start
    z = np.maximum(on.X @ W1 + b1, 0) @ W2 + b2
    total = on.weight.sum()
    penalty = 0.5 * 2.0 / total * ((W1**2).sum() + (W2**2).sum())
    expected = LOSSES["squared_error"].mean(z, on.y, on.weight) + penalty
    curve = train(on, start, hyper=Hyper(alpha=2.0), max_iter=1, dtype="float64").loss_curve
    np.testing.assert_allclose(curve, [expected], rtol=1e-14)
    with jax_scope("float64"):
        loss, _ = full_loss(({}, start), on.pad("float64"), 2.0, 0.0, network=NETWORK)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


@pytest.mark.parametrize(("loss", "smoothing"), [("squared_error", 0.0), ("log_loss", 0.0), ("log_loss", 0.3)])
def test_full_gradient_equals_finite_differences(loss, smoothing):
    on = rows(n=12, loss=loss)
    network = trainable((3, 4, 3 if loss == "log_loss" else 1), "tanh", loss)
    start = init_params(network.mlp.layer_sizes, "tanh", np.random.RandomState(1), "float64")
    leaves, tree = jax.tree.flatten(({}, start))
    h = 6e-6
    with jax_scope("float64"):
        data = on.pad("float64")

        def value(leaves):
            return float(full_loss(jax.tree.unflatten(tree, leaves), data, 0.7, smoothing, network=network)[0])

        _, gradient = full_loss(jax.tree.unflatten(tree, leaves), data, 0.7, smoothing, network=network)
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
    assert_close(weighted.network, copies.network, 1e-12)
    np.testing.assert_allclose(weighted.loss_curve, copies.loss_curve, rtol=1e-12)


def test_an_integer_weight_is_a_repeated_row_where_units_drop_out():
    counts = np.array([3, 0, 1, 2, 1, 4, 1, 1, 2, 0])
    once = rows(n=10)._replace(row_id=np.arange(10, dtype=np.uint32) * 77)
    full = {**WITH_DROPOUT, "batch_size": 200, "dtype": "float64"}
    weighted = train(once._replace(weight=counts.astype(float)), **full)
    copies = once.take(np.repeat(np.arange(10), counts))
    together = train(copies._replace(weight=np.ones(len(copies.X))), **full)
    assert_close(weighted.network, together.network, 1e-12)
    apart = train(copies._replace(weight=np.ones(len(copies.X)), row_id=None), **full)
    assert np.abs(apart.network.layers[0][0] - weighted.network.layers[0][0]).max() > 1e-3


def test_training_with_gates_is_training_the_compact_network():
    gates = (np.array([1.0, 0, 1, 0, 0, 1]),)
    network = trainable((3, 6, 1), "logistic", "squared_error")
    params = init_params(network.mlp.layer_sizes, "logistic", np.random.RandomState(0), "float64")
    params = network.mlp.groups.zero(params, [np.flatnonzero(gates[0] == 0)])
    kept = [np.flatnonzero(gates[0])]
    on, hyper = rows(), Hyper(alpha=0.1)
    with jax_scope("float64"):
        data = on.pad("float64")
        planner = Planner(np.random.default_rng(0), 50, data.X.shape[0], 16, lambda steps: np.full(steps.shape, 0.01))
        state, *_ = run_chunk(
            init_state(({}, params), "adam"),
            gates=gates,
            data=data,
            validation=None,
            plan=planner.next(7),
            hyper=Hyper(*map(np.float64, hyper)),
            rates=leaf_rates(({}, params), "standard", "adam"),
            network=network,
            solver="adam",
            width=16,
            has_validation=False,
        )
        _, masked = _fit.to_numpy(state.params)
    small = trainable((3, 3, 1), "logistic", "squared_error")
    compact = train(on, network.mlp.groups.compact(params, kept), network=small, hyper=hyper, dtype="float64")
    assert_close(network.mlp.groups.compact(masked, kept), compact.network.layers, 1e-12)
    assert_equal(network.mlp.groups.zero(masked, [np.flatnonzero(gates[0] == 0)]), masked)  # what is gone stays gone


# --- the options of recipes for tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "sgd_nesterov"])
def test_ntk_is_training_with_explicit_factors(solver):
    # z = W x / sqrt(d) + b: optax's own optimizers on W and b, at 1 and 1/10 of the learning rate; scales at 6 times.
    on, rate, rng = rows(60, fractional=False), 0.02, np.random.default_rng(0)
    hyper = Hyper(alpha=0.3, beta_2=0.95, epsilon=1e-30, momentum=0.8)  # epsilon is compared with a gradient
    start = {
        "scale": np.ones(3),
        "weight": (rng.normal(size=(3, 4)), rng.normal(size=(4, 1))),
        "bias": (rng.normal(size=4), rng.normal(size=1)),
    }

    def arrays(p):
        (W1, W2), (b1, b2) = p["weight"], p["bias"]
        return (W1 / np.sqrt(3), b1), (W2 / 2, b2)

    def loss(p, X, y):
        (W1, b1), (W2, b2) = arrays(p)
        z = jnp.tanh(X * p["scale"] @ W1 + b1) @ W2 + b2
        penalty = 0 if solver == "adamw" else hyper.alpha * (jnp.sum(W1**2) + jnp.sum(W2**2))
        return 0.5 * jnp.mean((z - y) ** 2) + 0.5 * penalty / len(X)

    def optimizer(factor, decays=False):
        if solver == "adam":
            return optax.adam(factor * rate, b2=hyper.beta_2, eps=hyper.epsilon)
        if solver == "adamw":
            # The factor acts twice on the decay, as in RealMLP's code; a bias has none.
            decay = factor * hyper.alpha * decays
            return optax.adamw(factor * rate, b2=hyper.beta_2, eps=hyper.epsilon, weight_decay=decay)
        return optax.sgd(factor * rate, momentum=hyper.momentum, nesterov=solver == "sgd_nesterov")

    tx = optax.multi_transform(
        {"scale": optimizer(6, True), "weight": optimizer(1, True), "bias": optimizer(0.1)},
        {"scale": "scale", "weight": ("weight", "weight"), "bias": ("bias", "bias")},
    )
    with jax_scope("float64"):
        p = jax.tree.map(jnp.asarray, start)
        state = tx.init(p)
        for step in range(9):  # three epochs of three batches
            batch = slice(20 * (step % 3), 20 * (step % 3) + 20)
            updates, state = tx.update(jax.grad(loss)(p, on.X[batch], on.y[batch]), state, p)
            p = optax.apply_updates(p, updates)
        expected = jax.tree.map(np.asarray, ({"scale": p["scale"]}, arrays(p)))
    ours = train(
        on,
        Network({"scale": start["scale"]}, arrays(start)),
        network=trainable((3, 4, 1), "tanh", "squared_error", scaled=True),
        solver=solver,
        hyper=hyper,
        parametrization="ntk",
        learning_rate_init=rate,
        batch_size=20,
        max_iter=3,
        shuffle=False,
        dtype="float64",
    )
    # Nine steps, whose sums are in another order; some of the scales have moved by a half.
    assert_close(tuple(ours.network), expected, 1e-12)
    assert np.abs(expected[0]["scale"] - 1).max() > 0.1


def test_decoupled_weight_decay_by_hand():
    # Nothing to learn: the network gives 0, and 0 is the target. Four epochs of two steps.
    layers = ((np.ones((3, 4)), np.full(4, 0.5)), (np.zeros((4, 1)), np.zeros(1)))
    on = Rows(np.ones((32, 3)), np.zeros((32, 1)), np.ones(32))

    def decayed(alpha, rate, schedule):
        trained = train(
            on,
            layers,
            solver="adamw",
            hyper=Hyper(alpha=alpha),
            regularization_schedule=schedule,
            learning_rate_init=rate,
            max_iter=4,
            horizon=4,
            dtype="float64",
        )
        (W, b), _ = trained.network.layers
        np.testing.assert_array_equal(b, np.full(4, 0.5))  # biases do not decay
        np.testing.assert_array_equal(W, W[0, 0])
        return W[0, 0]

    assert decayed(0.3, 0.1, "constant") == pytest.approx(0.97**8, rel=1e-12)
    # t = 0, 1/8, ..., 7/8: on until ½, then ½ (1 + cos(π (2t - 1))) = 1, (1 + cos 45°)/2, ½, (1 - cos 45°)/2.
    share = np.array([1, 1, 1, 1, 1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])
    assert decayed(0.3, 0.1, "flat_cosine") == pytest.approx(np.prod(1 - 0.03 * share), rel=1e-12)
    # A step takes half of a weight at most.
    assert decayed(40.0, 0.1, "constant") == pytest.approx(0.5**8, rel=1e-12)


#: The mean of four units that emit 1, each times 1 / (1 - dropout) or 0; nothing is learned.
DROPPING = {
    "network": dataclasses.replace(trainable((3, 4, 1), "identity", "squared_error"), dropout=True),
    "start": ((np.zeros((3, 4), "f"), np.ones(4, "f")), (np.full((4, 1), 0.25, "f"), np.zeros(1, "f"))),
    "solver": "sgd",
    "learning_rate_init": 1e-30,
    "batch_size": 2000,
}


def loss_with_dropout(target, dropout, **options):
    on = Rows(np.zeros((2000, 3)), np.full((2000, 1), float(target)), np.ones(2000))
    hyper = Hyper(alpha=0.0, dropout=dropout, n_iter_no_change=np.inf)
    return np.array(train(on, hyper=hyper, **{**DROPPING, **options}).loss_curve)


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_keeps_the_expectation(dropout):
    # ½ z² - ½ (z - 1)² = z - ½, with the same masks.
    mean = np.mean(loss_with_dropout(0, dropout) - loss_with_dropout(1, dropout)) + 0.5
    # Of z, the mean of four units, over 2000 rows and 7 epochs: variance p / (1 - p) / 4 / 14000; five deviations.
    variance = dropout / (1 - dropout) / 4
    assert mean == pytest.approx(1, abs=5 * np.sqrt(variance / 14000))
    # ½ (z - 1)² tells the variance, to a relative sqrt(2 / 14000) = 0.012 for a normal z; here kurtosis is at most 3.7.
    assert 2 * np.mean(loss_with_dropout(1, dropout)) == pytest.approx(variance, rel=0.08)


def test_dropout_follows_the_schedule_of_regularization():
    curve = loss_with_dropout(1, 0.5, regularization_schedule="cosine", max_iter=7, horizon=7)
    p = 0.25 * (1 + np.cos(np.pi * np.arange(7) / 7))  # one step an epoch
    # 2000 rows an epoch: relative errors of sqrt(2 / 2000) = 0.03, somewhat more where dropout is rare.
    np.testing.assert_allclose(curve, p / (1 - p) / 8, rtol=0.25)
    assert (np.diff(curve) < 0).all()


def test_dropout_of_0_is_no_dropout():
    without = dataclasses.replace(DROPPING["network"], dropout=False)
    np.testing.assert_array_equal(loss_with_dropout(1, 0.0), loss_with_dropout(1, 0.5, network=without))


#: A network that learns, with dropout in its program.
WITH_DROPOUT = {"network": dataclasses.replace(NETWORK, dropout=True), "hyper": Hyper(dropout=0.5), "shuffle": False}


def test_dropout_follows_the_seed_and_not_the_chunks(monkeypatch):
    whole = train(rows(), seed=3, max_iter=40, **WITH_DROPOUT)
    assert (train(rows(), seed=4, max_iter=40, **WITH_DROPOUT).network.layers[0][0] != whole.network.layers[0][0]).any()
    one_by_one = train(rows(), seed=3, max_iter=40, listener=Listener(every_epoch=True), **WITH_DROPOUT)
    assert_equal(one_by_one.network, whole.network)
    half = train(rows(), seed=3, max_iter=20, **WITH_DROPOUT)
    goes_on = {"opt_leaves": half.opt_leaves, "n_steps": half.n_steps}
    assert_equal(train(rows(), half.network, seed=3, max_iter=20, **goes_on, **WITH_DROPOUT).network, whole.network)
    monkeypatch.setattr(training, "_CHUNK_EPOCHS", 3)
    assert_equal(train(rows(), seed=3, max_iter=40, **WITH_DROPOUT).network, whole.network)


def test_dropout_is_off_where_the_held_out_rows_are_judged():
    held_out, seen = rows(20, seed=1), []
    trained = train(
        rows(),
        held_out=held_out,
        early_stopping=True,
        listener=Listener(every_epoch=True, after=lambda n, network: seen.append(network().layers)),
        dtype="float64",
        **WITH_DROPOUT,
    )
    for ((W1, b1), (W2, b2)), reported in zip(seen, trained.validation_scores, strict=True):
        z = np.maximum(held_out.X @ W1 + b1, 0) @ W2 + b2
        assert reported == pytest.approx(LOSSES["squared_error"].score(np, z, held_out.y, held_out.weight), rel=1e-12)


@pytest.mark.parametrize(("solver", "strict"), [("adam", {"dropout": 0.5}), ("adamw", {"alpha": 0.5})])
def test_dropout_and_decoupled_decay_are_off_in_fine_tuning(solver, strict):
    on = rows()
    start = Network({}, init_params((3, 4, 1), "relu", np.random.RandomState(0), "float32"))

    def tuned(hyper):
        settings = dataclasses.replace(SETTINGS, **{**WITH_DROPOUT, "hyper": hyper, "solver": solver})
        listener = Listener()
        listener.fine_tune_epoch = lambda loss, layers: False
        with jax_scope():
            data, gates = on.pad("float32"), (np.ones(4, "float32"),)
            return _fit.fine_tune(start, gates, data, None, 50, settings, 3, np.random.default_rng(0), listener)

    free = Hyper(alpha=0.0)
    assert_equal(tuned(free._replace(**strict)), tuned(free))
    assert (tuned(free)[0][0] != start.layers[0][0]).any()
    # What is off would show.
    options = {**WITH_DROPOUT, "solver": solver, "max_iter": 3}
    trained = [train(on, start, **{**options, "hyper": hyper}) for hyper in (free, free._replace(**strict))]
    assert (trained[0].network.layers[0][0] != trained[1].network.layers[0][0]).any()


@pytest.mark.parametrize("loss", ["log_loss", "binary_log_loss"])
def test_label_smoothing_is_cross_entropy_with_soft_targets(loss):
    on, smoothing = rows(n=12, loss=loss), 0.3
    network = trainable((3, 4, 3 if loss == "log_loss" else 1), "tanh", loss)
    start = init_params(network.mlp.layer_sizes, "tanh", np.random.RandomState(0), "float64")
    (W1, b1), (W2, b2) = start
    z = np.tanh(on.X @ W1 + b1) @ W2 + b2
    if loss == "binary_log_loss":
        z, classes = np.column_stack([-z / 2, z / 2]), 2
    else:
        classes = 3
    targets = (1 - smoothing) * (on.y == np.arange(classes)) + smoothing / classes
    expected = -np.average((targets * log_softmax(z, axis=1)).sum(axis=1), weights=on.weight)
    with jax_scope("float64"):
        value, _ = full_loss(({}, start), on.pad("float64"), 0.0, smoothing, network=network)
    assert value == pytest.approx(expected, rel=1e-12)
    # One batch: the loss of an epoch is that of the weights before its step.
    hyper = Hyper(alpha=0.0, label_smoothing=smoothing)
    curve = train(on, start, network=network, hyper=hyper, max_iter=1, dtype="float64").loss_curve
    assert curve == [pytest.approx(expected, rel=1e-12)]


def test_label_smoothing_is_nothing_for_regression():
    on = rows()
    assert_equal(train(on, hyper=Hyper(label_smoothing=0.3)).network, train(on).network)


#: A number that is embedded, one that is not, and a code of three categories.
TABULAR = {"n_dense": 2, "n_embedded": 1, "cardinalities": (3,), "scaled": True}


def tabular(embedding, **changes):
    """Return rows, a network of four units with slopes, and its start, away from what is special about it."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(30, 2)), rng.integers(3, size=30)])
    on = Rows(X, X[:, :1] + (X[:, 2:] == 1), rng.exponential(size=30))
    inputs = Inputs(embedding=embedding, **TABULAR)
    network = Trainable(MLP((inputs.n_features, 4, 1), "mish", "squared_error", parametric=True), inputs)
    params = inputs.init(np.random.RandomState(1), "float64", X)
    params["scale"] = rng.normal(size=inputs.n_features)
    (W1, b1), last = init_params(network.mlp.layer_sizes, "mish", np.random.RandomState(1), "float64")
    return on, network, Network(params, ((W1, b1, rng.normal(size=4)), last))


@pytest.mark.parametrize("embedding", ["periodic", "piecewise_linear"])
def test_gradients_reach_embeddings_scales_and_slopes(embedding):
    on, network, start = tabular(embedding)
    leaves, tree = jax.tree.flatten(tuple(start))
    h = 6e-6
    with jax_scope("float64"):
        data = on.pad("float64")

        def value(leaves):
            return float(full_loss(jax.tree.unflatten(tree, leaves), data, 0.7, 0.0, network=network)[0])

        _, gradient = full_loss(tuple(start), data, 0.7, 0.0, network=network)
        checked = 0
        for path, (leaf, slope) in zip(
            [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tuple(start))],
            zip(leaves, jax.tree.leaves(gradient), strict=True),
            strict=True,
        ):
            if "edges" in path:  # not learned
                continue
            for index in list(np.ndindex(leaf.shape))[:8]:
                up, down = (leaf.copy() for _ in range(2))
                up[index] += h
                down[index] -= h
                values = [value([a if b is leaf else b for b in leaves]) for a in (up, down)]
                assert slope[index] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-8), path
                checked += bool(slope[index])
    assert checked > 40


@pytest.mark.parametrize("solver", ["adam", "adamw", "lbfgs"])
def test_all_is_trained_but_the_edges_of_bins(solver):
    on, network, start = tabular("piecewise_linear")
    trained = train(on, start, network=network, solver=solver, parametrization="ntk", dtype="float64")
    assert_equal(trained.network.inputs["edges"], start.inputs["edges"])
    for name in ("weight", "bias", "tables", "scale"):
        assert (np.ravel(trained.network.inputs[name]) != np.ravel(start.inputs[name])).any()
    (_, _, slope), _ = trained.network.layers
    assert (slope != start.layers[0][2]).all()


def test_what_is_reported_in_mid_training_has_its_scale_folded():
    on, network, start = tabular("periodic")
    seen = []
    watch = Listener(every_epoch=True, after=lambda n, reported: seen.append(reported()))
    trained = train(on, start, network=network, listener=watch, max_iter=2, dtype="float64")
    assert_equal(seen[-1], Network(*fold_scale(*trained.network)))
    assert (trained.network.inputs["scale"] != 1).all()


# --- what must not show ---------------------------------------------------------------------------------------------


def padded(on, size):
    return lambda dtype: Data.pad(*on[:3], dtype, rows=size)


@pytest.mark.parametrize("batch_size", [16, 200])
@pytest.mark.parametrize("size", [80, 256])
def test_padding_is_invisible_bit_for_bit(size, batch_size):
    # With fractional weights: a sum over another number of zeros must not be another sum.
    on = rows()
    small = train(on, batch_size=batch_size)
    large = train(on, batch_size=batch_size, data=padded(on, size))
    assert_equal(large.network, small.network)
    assert_equal(large.opt_leaves, small.opt_leaves)
    assert large.loss_curve == small.loss_curve


@pytest.mark.parametrize("early_stopping", [False, True])
def test_chunks_are_invisible_bit_for_bit(early_stopping):
    options = {"held_out": rows(20, seed=1), "early_stopping": early_stopping, "max_iter": 40}
    whole = train(rows(), **options)
    one_by_one = train(rows(), listener=Listener(every_epoch=True), **options)
    assert len(whole.loss_curve) == 40 > SETTINGS.max_iter
    assert_equal(one_by_one.network, whole.network)
    assert one_by_one.loss_curve == whole.loss_curve
    assert one_by_one.validation_scores == whole.validation_scores
    assert one_by_one.n_steps == whole.n_steps == 40 * 4


def test_smaller_chunks_are_invisible_bit_for_bit(monkeypatch):
    whole = train(rows())
    monkeypatch.setattr(training, "_CHUNK_EPOCHS", 3)
    cut = train(rows())
    assert_equal(cut.network, whole.network)
    assert cut.loss_curve == whole.loss_curve


def test_a_stop_within_a_chunk_leaves_no_trace_of_the_epochs_planned_after_it():
    stops = {"hyper": Hyper(tol=1e3, n_iter_no_change=2.0), "max_iter": 30}
    whole = train(rows(), **stops)
    one_by_one = train(rows(), listener=Listener(every_epoch=True), **stops)
    assert whole.status == one_by_one.status == "converged"
    assert whole.n_steps == one_by_one.n_steps == 4 * len(whole.loss_curve)
    assert_equal(one_by_one.network, whole.network)


def test_same_seed_same_weights_other_seed_other_weights():
    assert_equal(train(rows(), seed=5).network, train(rows(), seed=5).network)
    assert (train(rows(), seed=5).network.layers[0][0] != train(rows(), seed=6).network.layers[0][0]).any()
    # Without shuffling the seed has nothing to decide.
    assert_equal(train(rows(), seed=5, shuffle=False).network, train(rows(), seed=6, shuffle=False).network)


def test_going_on_from_where_training_ended_is_training_on():
    on = rows()
    whole = train(on, max_iter=6, shuffle=False)
    half = train(on, max_iter=3, shuffle=False)
    rest = train(on, half.network, max_iter=3, shuffle=False, opt_leaves=half.opt_leaves, n_steps=half.n_steps)
    assert_equal(rest.network, whole.network)
    assert rest.n_steps == whole.n_steps


def test_a_batch_without_weight_moves_neither_weights_nor_optimizer():
    on = rows(32, fractional=False)
    on.weight[16:] = 0
    alone = train(on.take(np.arange(16)), shuffle=False)
    with_idle = train(on, shuffle=False)
    assert_equal(with_idle.network, alone.network)
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
        train(rows(), learning_rate="coslog4", parametrization="ntk", regularization_schedule="flat_cosine")
        train(rows(), balanced_batches=True)
        train(rows(), hyper=Hyper(label_smoothing=0.1, monitor_loss=1.0, n_iter_no_change=np.inf))
        state = train(rows(), max_iter=2)
        train(rows(), state.network, opt_leaves=state.opt_leaves, n_steps=state.n_steps)
    assert found == []


def test_one_program_serves_all_gates():
    with jax_scope():
        data = rows().pad("float32")
        planner = Planner(np.random.default_rng(0), 50, 64, 16, np.ones_like)
        start = Network({}, init_params(NETWORK.mlp.layer_sizes, "relu", np.random.RandomState(0), "float32"))
        run = functools.partial(
            run_chunk,
            init_state(tuple(start), "adam"),
            data=data,
            validation=None,
            hyper=Hyper(*map(np.float32, Hyper())),
            rates=leaf_rates(start, "standard", "adam"),
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


def test_training_that_is_never_to_end_early_is_completed():
    trained = train(rows(), max_iter=40, hyper=Hyper(tol=1e3, n_iter_no_change=np.inf))
    assert trained.status == "completed"
    assert len(trained.loss_curve) == 40


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
    watch = Listener(every_epoch=True, after=lambda n, network: seen.append(network()))
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
    assert_equal(trained.network, seen[best])
    for (_, layers), reported in zip(seen, trained.validation_scores, strict=True):
        (W1, b1), (W2, b2) = layers
        z = np.maximum(held_out.X @ W1 + b1, 0) @ W2 + b2
        # float32, with 1 - R² a quotient of sums of 20 terms.
        expected = LOSSES["squared_error"].score(np, z, held_out.y, held_out.weight)
        assert reported == pytest.approx(expected, abs=1e-5 * max(1, abs(expected)))


@pytest.mark.parametrize("monitor_loss", [0.0, 1.0])
def test_the_best_epoch_is_that_of_the_best_score_or_of_the_smallest_loss(monitor_loss):
    held_out = rows(20, seed=2, loss="log_loss")
    seen = []
    trained = train(
        rows(loss="log_loss"),
        network=trainable((3, 4, 3), "tanh", "log_loss"),
        held_out=held_out,
        early_stopping=True,
        max_iter=25,
        learning_rate_init=0.3,
        # Smoothed labels are for training: the held-out loss is that of the labels.
        hyper=Hyper(n_iter_no_change=np.inf, label_smoothing=0.4, monitor_loss=monitor_loss),
        listener=Listener(every_epoch=True, after=lambda n, network: seen.append(network().layers)),
        dtype="float64",
    )
    outputs = [np.tanh(held_out.X @ W1 + b1) @ W2 + b2 for (W1, b1), (W2, b2) in seen]
    losses = [LOSSES["log_loss"].mean(z, held_out.y, held_out.weight) for z in outputs]
    scores = [LOSSES["log_loss"].score(np, z, held_out.y, held_out.weight) for z in outputs]
    np.testing.assert_allclose(trained.validation_scores, scores, rtol=1e-12)
    # The two disagree here.
    by_loss, by_score = int(np.argmin(losses)), int(np.flatnonzero(np.array(scores) > max(scores) - 1e-12)[-1])
    assert by_loss != by_score
    assert_equal(trained.network.layers, seen[by_loss if monitor_loss else by_score])


def test_of_epochs_that_score_the_same_the_last_is_kept():
    seen = []
    trained = train(
        rows(loss="binary_log_loss"),
        network=trainable((3, 4, 1), "relu", "binary_log_loss"),
        held_out=rows(20, seed=1, loss="binary_log_loss"),
        early_stopping=True,
        learning_rate_init=1e-6,  # too small to change what is predicted
        listener=Listener(every_epoch=True, after=lambda n, network: seen.append(network())),
    )
    assert len(set(trained.validation_scores)) == 1
    assert (seen[-1].layers[0][0] != seen[0].layers[0][0]).any()
    assert_equal(trained.network, seen[-1])


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
    trained = train(rows(), listener=Listener(every_epoch, after=lambda n, network: n == 2))
    assert trained.status == "stopped"
    # Called once an epoch it stops there; called once a chunk, the chunk is done.
    assert len(trained.loss_curve) == (2 if every_epoch else SETTINGS.max_iter)


def test_an_interrupt_keeps_the_epochs_done():
    def interrupt(n, network):
        if n == 4:
            raise KeyboardInterrupt

    trained = train(rows(), listener=Listener(every_epoch=True, after=interrupt))
    assert trained.status == "interrupted"
    assert_equal(trained.network, train(rows(), max_iter=4).network)
    assert trained.loss_curve == train(rows(), max_iter=4).loss_curve


def test_lbfgs_can_be_watched_stopped_and_interrupted():
    def interrupt(n, network):
        if n == 3:
            raise KeyboardInterrupt

    whole = train(rows(), solver="lbfgs", max_iter=3)
    assert whole.status == "max_iter"
    watch = Listener(after=lambda n, network: n == 3)
    stopped = train(rows(), solver="lbfgs", max_iter=50, listener=watch)
    interrupted = train(rows(), solver="lbfgs", max_iter=50, listener=Listener(after=interrupt))
    assert (stopped.status, interrupted.status) == ("stopped", "interrupted")
    for trained in (stopped, interrupted):
        assert_equal(trained.network, whole.network)
        assert trained.loss_curve == whole.loss_curve
    assert watch.losses == whole.loss_curve
    assert (np.diff(whole.loss_curve) < 0).all()


def test_lbfgs_converges_where_there_is_nothing_left_to_gain():
    options = {"solver": "lbfgs", "max_iter": 2000, "hyper": Hyper(alpha=1.0, tol=1e-6), "dtype": "float64"}
    trained = train(rows(), **options)
    assert trained.status == "converged"
    again = train(rows(), trained.network, **options)
    # SciPy also stops where a step gains 2e-9 of the loss; a fresh start may find some more of such steps.
    assert 0 <= trained.best_loss - again.best_loss < 1e-6 * trained.best_loss


def test_results_are_numpy_arrays_of_the_dtype_asked_for():
    for dtype in ("float32", "float64"):
        trained = train(rows(), dtype=dtype)
        for leaf in jax.tree.leaves(trained.network):
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
    network = trainable((3, 4, 3), "tanh", "log_loss")
    trained = train(on, network=network, max_iter=60, learning_rate_init=0.05)
    (W1, b1), (W2, b2) = trained.network.layers
    probability = softmax(np.tanh(on.X @ W1 + b1) @ W2 + b2, axis=1)
    # Which of three coordinates is the smallest: three linear pieces, which four units can hold.
    assert np.mean(probability.argmax(axis=1) == on.y[:, 0]) > 0.95
    assert jnp.asarray(trained.loss_curve[-1]) < 0.5 * trained.loss_curve[0]


def test_programs_are_forgotten_before_there_are_too_many(monkeypatch):
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 2)
    monkeypatch.setattr(programs, "_programs", set())
    cleared = []
    monkeypatch.setattr(programs, "_jitted", [type("Jitted", (), {"clear_cache": lambda self: cleared.append(1)})()])
    for program, n_cleared in (("a", 0), ("b", 0), ("a", 0), ("c", 1), ("c", 1), ("d", 1), ("e", 2)):
        programs.make_room(program)
        assert len(cleared) == n_cleared


def test_a_schedule_stays_at_its_end():
    settings = dataclasses.replace(SETTINGS, learning_rate="cosine", horizon=3, max_iter=1)
    rates = _fit.schedule(settings, n_rows=9, steps_per_epoch=2)(np.arange(12))
    assert (np.diff(rates) <= 0).all()
    np.testing.assert_allclose(rates[6:], 0, atol=1e-18)


@pytest.mark.parametrize(("n_rows", "batch_size", "sizes"), [(41, 20, [13, 14, 14]), (40, 20, [20, 20]), (7, 20, [7])])
def test_balanced_batches_differ_by_a_row_at_most(n_rows, batch_size, sizes):
    planner = Planner(np.random.default_rng(0), n_rows, 64, batch_size, np.zeros_like, balanced=True)
    edges = planner.next(1).edges
    np.testing.assert_array_equal(np.diff(edges[: len(sizes) + 1]), sizes)
    assert planner.steps_per_epoch == len(sizes)


def test_balanced_batches_are_batches_of_that_size():
    # 34 rows in batches of at most 20: two of 17.
    balanced = train(rows(34), batch_size=20, balanced_batches=True, dtype="float64")
    assert_close(tuple(balanced.network), tuple(train(rows(34), batch_size=17, dtype="float64").network), 1e-12)
    ragged = train(rows(34), batch_size=20, dtype="float64")
    assert (balanced.network.layers[0][0] != ragged.network.layers[0][0]).any()


def test_every_row_is_in_one_balanced_batch():
    """A batch's mean loss at a rate of 0 is that of its rows: an epoch's mean is that of all rows."""
    on = rows(n=41)
    even, tail = (
        train(on, batch_size=20, balanced_batches=balanced, learning_rate_init=1e-30, max_iter=1).loss_curve[0]
        for balanced in (True, False)
    )
    assert even == pytest.approx(tail, rel=1e-6)
