import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.metrics import accuracy_score, log_loss, mean_poisson_deviance, mean_squared_error, r2_score

from skbandit._tabular.network import losses
from skbandit._tabular.network.losses import LOSSES

EVERY = pytest.mark.parametrize("name", LOSSES)
FEW = settings(max_examples=25, deadline=None, derandomize=True)


def rows(name, n=40, n_outputs=3, seed=0):
    """Pre-activations, encoded targets and fractional weights, some of them 0."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, n_outputs))
    y = {
        "squared_error": rng.normal(size=(n, n_outputs)),
        "poisson": rng.poisson(1.0, (n, n_outputs)),
        "log_loss": rng.integers(n_outputs, size=(n, 1)),
        "binary_log_loss": rng.integers(2, size=(n, n_outputs)),
    }[name]
    weight = rng.exponential(size=n)
    weight[::7] = 0
    return z, y.astype(float), weight


def oracle(name, z, y, weight):
    """The same number from scikit-learn's metrics."""
    if name == "squared_error":
        return 0.5 * mean_squared_error(y, z, sample_weight=weight)
    if name == "poisson":
        columns = zip(y.T, np.exp(z).T, strict=True)
        return np.mean([0.5 * mean_poisson_deviance(t, p, sample_weight=weight) for t, p in columns])
    if name == "log_loss":
        return log_loss(y[:, 0], softmax(z, axis=1), sample_weight=weight, labels=np.arange(z.shape[1]))
    columns = zip(y.T, expit(z).T, strict=True)
    return sum(log_loss(t, p, sample_weight=weight, labels=[0, 1]) for t, p in columns)


@EVERY
def test_weighted_mean_equals_scikit_learn(name):
    z, y, weight = rows(name)
    assert LOSSES[name].mean(z, y, weight) == pytest.approx(oracle(name, z, y, weight), rel=1e-12)


@EVERY
def test_jax_and_numpy_agree(name):
    z, y, _ = rows(name)
    with jax.enable_x64(True):
        on_device = np.asarray(LOSSES[name].rows(jnp, jnp.asarray(z), jnp.asarray(y)))
    np.testing.assert_allclose(on_device, LOSSES[name].rows(np, z, y), rtol=1e-13, atol=1e-14)


def test_the_log_loss_of_many_classes_is_that_of_few():
    # Outputs far below the others change nothing.
    z, y, _ = rows("log_loss", n=50, n_outputs=4)
    many = np.full((50, 3000), -1e4)
    many[:, :4] = z
    np.testing.assert_allclose(LOSSES["log_loss"].rows(np, many, y), LOSSES["log_loss"].rows(np, z, y), rtol=1e-13)


@EVERY
def test_gradient_equals_finite_differences(name):
    z, y, _ = rows(name, n=5)
    h = 6e-6
    with jax.enable_x64(True):
        slope = np.asarray(jax.grad(lambda z: jnp.sum(LOSSES[name].rows(jnp, z, jnp.asarray(y))))(jnp.asarray(z)))
    for i, o in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[i, o] = h
        difference = (LOSSES[name].rows(np, z + step, y)[i] - LOSSES[name].rows(np, z - step, y)[i]) / (2 * h)
        # Rounding: eps·10/h = 4e-10; truncation: h²/6·|l'''| = 6e-12·e^2.
        assert slope[i, o] == pytest.approx(difference, abs=2e-9)


@EVERY
def test_leading_axes_are_independent_arms(name):
    _, y, _ = rows(name, n=6)
    z = np.random.default_rng(1).normal(size=(2, 4, 6, 3))
    together = LOSSES[name].rows(np, z, y)
    assert together.shape == (2, 4, 6)
    for arm in np.ndindex(2, 4):
        np.testing.assert_array_equal(together[arm], LOSSES[name].rows(np, z[arm], y))


@EVERY
@FEW
@given(data=st.data())
def test_an_integer_weight_is_a_repeated_row(name, data):
    z, y, _ = rows(name, n=8)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(any)))
    repeated = np.repeat(np.arange(8), counts)
    expected = LOSSES[name].mean(z[repeated], y[repeated], np.ones(repeated.size))
    assert LOSSES[name].mean(z, y, counts) == pytest.approx(expected, rel=1e-13)


def test_squared_error_by_hand():
    # ½·((1-3)² + (2-2)²)/2 = 1
    assert LOSSES["squared_error"].rows(np, np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]])) == [1.0]


def test_poisson_of_a_zero_count_is_the_predicted_mean():
    np.testing.assert_allclose(LOSSES["poisson"].rows(np, np.log([[2.0]]), np.zeros((1, 1))), [2.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_lose_nothing(dtype):
    z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0]], dtype)
    # -log softmax(z)[y] = max z - z[y] where the other terms vanish: 0 for the first class, 1e4 - -1e4 for the second.
    np.testing.assert_array_equal(LOSSES["log_loss"].rows(np, z, np.array([[0], [1]], dtype)), [0, 2e4])
    # Labels (1, 0, ·) are right; labels (0, 1, ·) are wrong by 1e4 each; z = 0 costs log 2 either way.
    labels = np.array([[1, 0, 0], [0, 1, 0]], dtype)
    np.testing.assert_allclose(
        LOSSES["binary_log_loss"].rows(np, z, labels), [np.log(2), 2e4 + np.log(2)], rtol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss"])
def test_gradient_at_extreme_logits_is_the_difference_of_probability_and_target(name):
    z = jnp.asarray([[1e4, -1e4, 0.0]])
    y = jnp.asarray([[1.0]]) if name == "log_loss" else jnp.asarray([[0.0, 1.0, 0.0]])
    slope = jax.grad(lambda z: LOSSES[name].rows(jnp, z, y)[0])(z)
    # softmax(z) = (1, 0, 0) and y = class 1: (1, -1, 0). logistic(z) = (1, 0, ½) and y = (0, 1, 0): (1, -1, ½).
    np.testing.assert_allclose(slope, [[1, -1, 0 if name == "log_loss" else 0.5]], atol=1e-6)


@EVERY
def test_score_equals_scikit_learn(name):
    z, y, weight = rows(name)
    if name == "log_loss":
        expected = accuracy_score(y[:, 0], z.argmax(axis=1), sample_weight=weight)
    elif name == "binary_log_loss":
        expected = accuracy_score(y.astype(int), (z > 0).astype(int), sample_weight=weight)
    else:
        expected = r2_score(y, np.exp(z) if name == "poisson" else z, sample_weight=weight)
    assert LOSSES[name].score(np, z, y, weight) == pytest.approx(expected, rel=1e-12)
    with jax.enable_x64(True):
        on_device = LOSSES[name].score(jnp, *map(jnp.asarray, (z, y, weight)))
    assert float(on_device) == pytest.approx(expected, rel=1e-12)


def test_r2_of_a_constant_target_is_that_of_scikit_learn():
    y = np.full((4, 2), 0.5)
    z = y.copy()
    z[:, 1] += 1
    weight = np.ones(4)
    # First output perfect: 1; second wrong on a target without spread: 0.
    assert LOSSES["squared_error"].score(np, z, y, weight) == r2_score(y, z) == 0.5


def test_rows_of_weight_zero_do_not_count():
    z, y, weight = rows("squared_error")
    y[weight == 0] = 1e6
    kept = weight > 0
    expected = LOSSES["squared_error"].score(np, z[kept], y[kept], weight[kept])
    assert LOSSES["squared_error"].score(np, z, y, weight) == pytest.approx(expected, rel=1e-12)


def test_links_by_hand():
    z = np.array([[0.0, np.log(3)]])
    links = {loss.out_activation: loss.link for loss in LOSSES.values()}
    np.testing.assert_allclose(links["identity"](z), z)
    np.testing.assert_allclose(links["exp"](z), [[1, 3]])
    np.testing.assert_allclose(links["logistic"](z), [[0.5, 0.75]])
    np.testing.assert_allclose(links["softmax"](z), [[0.25, 0.75]])
    assert len(links) == 4


@pytest.mark.parametrize("name", ["binary_log_loss", "log_loss"])
def test_probabilities_of_extreme_outputs_are_finite(name):
    np.testing.assert_array_equal(LOSSES[name].link(np.array([[1e4, -1e4]], np.float32)), [[1, 0]])


@EVERY
def test_what_smoothing_mixes_in_is_the_mean_over_all_labels(name):
    z, y, _ = rows(name)
    if LOSSES[name].uniform is None:
        assert LOSSES[name].out_activation in ("identity", "exp")  # there are no labels
        return
    labels = range(z.shape[1]) if name == "log_loss" else (0, 1)
    by_label = [LOSSES[name].rows(np, z, np.full_like(y, label)) for label in labels]
    np.testing.assert_allclose(LOSSES[name].uniform(np, z), np.mean(by_label, axis=0), rtol=1e-12)


def test_counts_are_not_negative():
    assert LOSSES["poisson"].domain.accepts(np.array([0.0, 2.5]))
    assert not LOSSES["poisson"].domain.accepts(np.array([0.0, -1e-9]))


def test_poisson_does_not_cancel_at_large_counts():
    # Half the deviance near its minimum is y u² / 2 with u = z - log y: 1e6 · (1e-3)² / 2 = 0.5, up to u³ / 6.
    y = np.full((1, 1), 1e6, np.float32)
    z = np.log(y.astype(np.float64)) + 1e-3
    exact = 1e6 * (np.expm1(1e-3) - 1e-3)
    # float32 holds z ≈ 13.8 to 1e-6, and with it u = 1e-3 to 1e-3 of itself, the loss to twice that.
    np.testing.assert_allclose(LOSSES["poisson"].rows(np, z.astype(np.float32), y)[0], exact, rtol=3e-3)


@EVERY
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_no_other_constant_has_a_smaller_loss(name, smoothing):
    _, y, weight = rows(name)
    loss, n_outputs = LOSSES[name], 3

    def mean(z):
        z = np.broadcast_to(z, (len(y), n_outputs))
        uniform = None if loss.uniform is None else np.average(loss.uniform(np, z), weights=weight)
        plain = loss.mean(z, y, weight)
        return plain if uniform is None else (1 - smoothing) * plain + smoothing * uniform

    z = loss.constant(y, weight, n_outputs, smoothing)
    assert z.shape == (n_outputs,)
    best = loss.of_constant(y, weight, n_outputs, smoothing)
    assert best == pytest.approx(mean(z), rel=1e-12)
    for step in np.concatenate([0.1 * np.eye(n_outputs), -0.1 * np.eye(n_outputs)]):
        assert best < mean(z + step)


@EVERY
def test_a_constant_fits_rows_that_are_alike_without_a_loss(name):
    y = np.full((5, 1 if name == "log_loss" else 3), 1.0)
    assert LOSSES[name].of_constant(y, np.ones(5), 3) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_blocks_of_rows_do_not_show(monkeypatch, name, block):
    rng = np.random.default_rng(0)
    z, weight = rng.normal(size=(20, 3)).astype(np.float32), rng.exponential(size=20)
    y = rng.integers(0, 2, (20, 1 if name == "log_loss" else 3)).astype(np.float64)
    loss = LOSSES[name]
    expected = loss.rows(np, z, y), loss.of_constant(y, weight, 3, 0.1)
    monkeypatch.setattr(losses, "BLOCK_VALUES", block)
    np.testing.assert_array_equal(loss.rows_in_blocks(z, y), expected[0])
    assert loss.of_constant(y, weight, 3, 0.1) == expected[1]
    assert loss.mean(z, y, weight) == np.average(expected[0], weights=weight)
