"""What the epochs of a chunk compute: losses, gradients, steps, dropout, and what they make of an epoch."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax

from skbandit._core.rows import Data
from skbandit._core.scope import jax_scope, to_numpy
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.training import plan as planning
from skbandit._tabular.training.loop import full_loss, init_state, run_chunk
from skbandit._tabular.training.plan import Planner
from skbandit._tabular.training.rates import leaf_rates
from skbandit._tabular.training.solvers import Hyper
from skbandit._tabular.types import Network, Rows


def test_reported_loss_is_the_objective(small_network, rows, train):
    # One batch: the loss of an epoch is that of the weights before its step.
    on = rows(n=12)
    start = init_params(small_network.mlp.layer_sizes, "relu", np.random.RandomState(0), "float64")
    (W1, b1), (W2, b2) = start
    z = np.maximum(on.X @ W1 + b1, 0) @ W2 + b2
    total = on.weight.sum()
    penalty = 0.5 * 2.0 / total * ((W1**2).sum() + (W2**2).sum())
    expected = LOSSES["squared_error"].mean(z, on.y, on.weight) + penalty
    curve = train(on, start, hyper=Hyper(alpha=2.0), max_iter=1, dtype="float64").loss_curve
    np.testing.assert_allclose(curve, [expected], rtol=1e-14)
    with jax_scope("float64"):
        loss, _ = full_loss(({}, start), on.pad("float64"), 2.0, 0.0, network=small_network)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


@pytest.mark.parametrize(("loss", "smoothing"), [("squared_error", 0.0), ("log_loss", 0.0), ("log_loss", 0.3)])
def test_full_gradient_equals_finite_differences(loss, smoothing, trainable, rows):
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


@pytest.mark.parametrize("embedding", ["periodic", "piecewise_linear"])
def test_gradients_reach_embeddings_scales_and_slopes(embedding, tabular):
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


def test_an_integer_weight_is_a_repeated_row(rows, train, assert_close):
    counts = np.array([3, 0, 1, 2, 1, 4, 1, 1, 2, 0])
    once = rows(n=10)
    repeated = np.repeat(np.arange(10), counts)
    full = {"batch_size": 200, "dtype": "float64", "hyper": Hyper(alpha=0.5)}
    weighted = train(once._replace(weight=counts.astype(float)), **full)
    copies = train(Rows(once.X[repeated], once.y[repeated], np.ones(repeated.size)), **full)
    # Seven steps of Adam on sums in another order.
    assert_close(weighted.network, copies.network, 1e-12)
    np.testing.assert_allclose(weighted.loss_curve, copies.loss_curve, rtol=1e-12)


def test_an_integer_weight_is_a_repeated_row_where_units_drop_out(rows, train, assert_close, with_dropout):
    counts = np.array([3, 0, 1, 2, 1, 4, 1, 1, 2, 0])
    once = rows(n=10)._replace(row_id=np.arange(10, dtype=np.uint32) * 77)
    full = {**with_dropout, "batch_size": 200, "dtype": "float64"}
    weighted = train(once._replace(weight=counts.astype(float)), **full)
    copies = once.take(np.repeat(np.arange(10), counts))
    together = train(copies._replace(weight=np.ones(len(copies.X))), **full)
    assert_close(weighted.network, together.network, 1e-12)
    apart = train(copies._replace(weight=np.ones(len(copies.X)), row_id=None), **full)
    assert np.abs(apart.network.layers[0][0] - weighted.network.layers[0][0]).max() > 1e-3


def test_a_batch_without_weight_moves_neither_weights_nor_optimizer(rows, train, assert_equal):
    on = rows(32, fractional=False)
    on.weight[16:] = 0
    alone = train(on.take(np.arange(16)), shuffle=False)
    with_idle = train(on, shuffle=False)
    assert_equal(with_idle.network, alone.network)
    assert_equal(with_idle.opt_leaves, alone.opt_leaves)
    assert with_idle.loss_curve == alone.loss_curve


def test_training_with_gates_is_training_the_compact_network(trainable, rows, train, assert_equal, assert_close):
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
        )
        _, masked = to_numpy(state.params)
    small = trainable((3, 3, 1), "logistic", "squared_error")
    compact = train(on, network.mlp.groups.compact(params, kept), network=small, hyper=hyper, dtype="float64")
    assert_close(network.mlp.groups.compact(masked, kept), compact.network.layers, 1e-12)
    assert_equal(network.mlp.groups.zero(masked, [np.flatnonzero(gates[0] == 0)]), masked)  # what is gone stays gone


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "sgd_nesterov"])
def test_ntk_is_training_with_explicit_factors(solver, trainable, rows, train, assert_close):
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


def test_decoupled_weight_decay_by_hand(train):
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


# --- dropout and label smoothing ------------------------------------------------------------------------------------


@pytest.fixture
def dropping(trainable):
    """Changes of the settings: the mean of four units that emit 1, each times 1 / (1 - dropout) or 0.

    Nothing is learned.
    """
    return {
        "network": dataclasses.replace(trainable((3, 4, 1), "identity", "squared_error"), dropout=True),
        "start": ((np.zeros((3, 4), "f"), np.ones(4, "f")), (np.full((4, 1), 0.25, "f"), np.zeros(1, "f"))),
        "solver": "sgd",
        "learning_rate_init": 1e-30,
        "batch_size": 2000,
    }


@pytest.fixture
def loss_with_dropout(train, dropping):
    """``loss_with_dropout(target, dropout, **options)``: the loss of each epoch."""

    def curve(target, dropout, **options):
        on = Rows(np.zeros((2000, 3)), np.full((2000, 1), float(target)), np.ones(2000))
        hyper = Hyper(alpha=0.0, dropout=dropout, n_iter_no_change=np.inf)
        return np.array(train(on, hyper=hyper, **{**dropping, **options}).loss_curve)

    return curve


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_keeps_the_expectation(dropout, loss_with_dropout):
    # ½ z² - ½ (z - 1)² = z - ½, with the same masks.
    mean = np.mean(loss_with_dropout(0, dropout) - loss_with_dropout(1, dropout)) + 0.5
    # Of z, the mean of four units, over 2000 rows and 7 epochs: variance p / (1 - p) / 4 / 14000; five deviations.
    variance = dropout / (1 - dropout) / 4
    assert mean == pytest.approx(1, abs=5 * np.sqrt(variance / 14000))
    # ½ (z - 1)² tells the variance, to a relative sqrt(2 / 14000) = 0.012 for a normal z; here kurtosis is at most 3.7.
    assert 2 * np.mean(loss_with_dropout(1, dropout)) == pytest.approx(variance, rel=0.08)


def test_dropout_follows_the_schedule_of_regularization(loss_with_dropout):
    curve = loss_with_dropout(1, 0.5, regularization_schedule="cosine", max_iter=7, horizon=7)
    p = 0.25 * (1 + np.cos(np.pi * np.arange(7) / 7))  # one step an epoch
    # 2000 rows an epoch: relative errors of sqrt(2 / 2000) = 0.03, somewhat more where dropout is rare.
    np.testing.assert_allclose(curve, p / (1 - p) / 8, rtol=0.25)
    assert (np.diff(curve) < 0).all()


def test_dropout_of_0_is_no_dropout(loss_with_dropout, dropping):
    without = dataclasses.replace(dropping["network"], dropout=False)
    np.testing.assert_array_equal(loss_with_dropout(1, 0.0), loss_with_dropout(1, 0.5, network=without))


def test_dropout_follows_the_seed_and_not_the_chunks(
    monkeypatch, make_listener, rows, train, assert_equal, with_dropout
):
    whole = train(rows(), seed=3, max_iter=40, **with_dropout)
    assert (train(rows(), seed=4, max_iter=40, **with_dropout).network.layers[0][0] != whole.network.layers[0][0]).any()
    one_by_one = train(rows(), seed=3, max_iter=40, listener=make_listener(every_epoch=True), **with_dropout)
    assert_equal(one_by_one.network, whole.network)
    half = train(rows(), seed=3, max_iter=20, **with_dropout)
    goes_on = {"opt_leaves": half.opt_leaves, "n_steps": half.n_steps}
    assert_equal(train(rows(), half.network, seed=3, max_iter=20, **goes_on, **with_dropout).network, whole.network)
    monkeypatch.setattr(planning, "CHUNK_EPOCHS", 3)
    assert_equal(train(rows(), seed=3, max_iter=40, **with_dropout).network, whole.network)


def test_dropout_is_off_where_the_held_out_rows_are_judged(make_listener, rows, train, with_dropout):
    held_out, seen = rows(20, seed=1), []
    trained = train(
        rows(),
        held_out=held_out,
        early_stopping=True,
        listener=make_listener(every_epoch=True, after=lambda n, network: seen.append(network().layers)),
        dtype="float64",
        **with_dropout,
    )
    for ((W1, b1), (W2, b2)), reported in zip(seen, trained.validation_scores, strict=True):
        z = np.maximum(held_out.X @ W1 + b1, 0) @ W2 + b2
        assert reported == pytest.approx(LOSSES["squared_error"].score(np, z, held_out.y, held_out.weight), rel=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "binary_log_loss"])
def test_label_smoothing_is_cross_entropy_with_soft_targets(loss, trainable, rows, train):
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


def test_label_smoothing_is_nothing_for_regression(rows, train, assert_equal):
    on = rows()
    assert_equal(train(on, hyper=Hyper(label_smoothing=0.3)).network, train(on).network)


# --- when an epoch is the best, or the last -------------------------------------------------------------------------


def test_training_ends_where_scikit_learns_rule_says(rows, train):
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


def test_early_stopping_returns_the_weights_of_the_best_score(make_listener, rows, train, assert_equal):
    held_out = rows(20, seed=1)
    seen = []
    watch = make_listener(every_epoch=True, after=lambda n, network: seen.append(network()))
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
def test_the_best_epoch_is_that_of_the_best_score_or_of_the_smallest_loss(
    monitor_loss, trainable, make_listener, rows, train, assert_equal
):
    held_out = rows(20, seed=2, loss="log_loss")
    seen = []
    trained = train(
        rows(loss="log_loss"),
        network=trainable((3, 4, 3), "tanh", "log_loss"),
        held_out=held_out,
        early_stopping=True,
        max_iter=25,
        learning_rate_init=0.3,
        hyper=Hyper(n_iter_no_change=np.inf, label_smoothing=0.4, monitor_loss=monitor_loss),
        listener=make_listener(every_epoch=True, after=lambda n, network: seen.append(network().layers)),
        dtype="float64",
    )
    outputs = [np.tanh(held_out.X @ W1 + b1) @ W2 + b2 for (W1, b1), (W2, b2) in seen]
    # The held-out loss is that of training: of labels that are smoothed.
    losses = [
        0.6 * LOSSES["log_loss"].mean(z, held_out.y, held_out.weight)
        - 0.4 * np.average(log_softmax(z, axis=1).mean(axis=1), weights=held_out.weight)
        for z in outputs
    ]
    scores = [LOSSES["log_loss"].score(np, z, held_out.y, held_out.weight) for z in outputs]
    np.testing.assert_allclose(trained.validation_scores, scores, rtol=1e-12)
    # The two disagree here.
    by_loss, by_score = int(np.argmin(losses)), int(np.flatnonzero(np.array(scores) > max(scores) - 1e-12)[-1])
    assert by_loss != by_score
    assert_equal(trained.network.layers, seen[by_loss if monitor_loss else by_score])


def test_of_epochs_that_score_the_same_the_last_is_kept(trainable, make_listener, rows, train, assert_equal):
    seen = []
    trained = train(
        rows(loss="binary_log_loss"),
        network=trainable((3, 4, 1), "relu", "binary_log_loss"),
        held_out=rows(20, seed=1, loss="binary_log_loss"),
        early_stopping=True,
        learning_rate_init=1e-6,  # too small to change what is predicted
        listener=make_listener(every_epoch=True, after=lambda n, network: seen.append(network())),
    )
    assert len(set(trained.validation_scores)) == 1
    assert (seen[-1].layers[0][0] != seen[0].layers[0][0]).any()
    assert_equal(trained.network, seen[-1])


def test_adaptive_rate_is_divided_by_five_until_it_is_tiny(rows, train):
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


# --- what must not show ---------------------------------------------------------------------------------------------


def padded(on, size):
    return lambda dtype: Data.pad(*on[:3], dtype, rows=size)


@pytest.mark.parametrize("batch_size", [16, 200])
@pytest.mark.parametrize("size", [80, 256])
def test_padding_is_invisible_bit_for_bit(size, batch_size, rows, train, assert_equal):
    # With fractional weights: a sum over another number of zeros must not be another sum.
    on = rows()
    small = train(on, batch_size=batch_size)
    large = train(on, batch_size=batch_size, data=padded(on, size))
    assert_equal(large.network, small.network)
    assert_equal(large.opt_leaves, small.opt_leaves)
    assert large.loss_curve == small.loss_curve


def test_one_program_serves_all_hyper_parameters_rows_and_epochs(make_listener, rows, train, compilations):
    train(rows())
    stepwise = {"adaptive": 1.0, "patience_on": 0.0}
    compilations.clear()
    train(rows(64, seed=1), seed=3, max_iter=35)
    train(rows(17), max_iter=2, shuffle=False)
    train(rows(), learning_rate_init=1, learning_rate="invscaling", power_t=1)
    train(rows(), learning_rate="cosine", hyper=Hyper(1, 0, 0.5, 1, 1, 1, 3, **stepwise))  # integers, too
    train(rows(), listener=make_listener(every_epoch=True))
    train(rows(), learning_rate="coslog4", parametrization="ntk", regularization_schedule="flat_cosine")
    train(rows(), balanced_batches=True)
    train(rows(), hyper=Hyper(label_smoothing=0.1, monitor_loss=1.0, n_iter_no_change=np.inf))
    state = train(rows(), max_iter=2)
    train(rows(), state.network, opt_leaves=state.opt_leaves, n_steps=state.n_steps)
    assert compilations == []


def test_one_program_serves_all_gates(small_network, rows, compilations):
    with jax_scope():
        data = rows().pad("float32")
        planner = Planner(np.random.default_rng(0), 50, 64, 16, np.ones_like)
        start = Network({}, init_params(small_network.mlp.layer_sizes, "relu", np.random.RandomState(0), "float32"))
        run = functools.partial(
            run_chunk,
            init_state(tuple(start), "adam"),
            data=data,
            validation=None,
            hyper=Hyper(*map(np.float32, Hyper())),
            rates=leaf_rates(start, "standard", "adam"),
            network=small_network,
            solver="adam",
            width=16,
        )
        run(gates=(np.ones(4, "float32"),), plan=planner.next(2))
        compilations.clear()
        run(gates=(np.array([1, 0, 0, 1], "float32"),), plan=planner.next(1))
    assert compilations == []
