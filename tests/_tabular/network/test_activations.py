import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from skbandit._tabular.network.activations import ACTIVATIONS, Activation

#: The definitions, from SciPy: not the forms that the package computes.
DEFINITIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0),
    "gelu": lambda z: z * norm.cdf(z),
    "silu": lambda z: z * expit(z),
    # The constants, from Klambauer et al. (2017), make mean 0 and variance 1 a fixed point.
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
}
GRID = np.linspace(-8, 8, 161)
EVERY = pytest.mark.parametrize("name", ACTIVATIONS)


def test_every_activation_has_a_definition_here():
    assert ACTIVATIONS.keys() == DEFINITIONS.keys()


@EVERY
def test_equals_its_definition(name):
    # |z| <= 8 and a handful of operations: errors stay within a few eps·8 = 2e-15.
    np.testing.assert_allclose(ACTIVATIONS[name](np, GRID), DEFINITIONS[name](GRID), rtol=1e-14, atol=1e-14)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jax_and_numpy_agree_and_keep_the_dtype(name, dtype):
    z = GRID.astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        on_device = ACTIVATIONS[name](jnp, jnp.asarray(z))
        assert on_device.dtype == dtype
        on_device = np.asarray(on_device)
    on_host = ACTIVATIONS[name](np, z)
    assert on_host.dtype == dtype
    # XLA's tanh and erf are rational approximations: within 10 eps of 1, times |z| <= 8.
    np.testing.assert_allclose(on_device, on_host, rtol=0, atol=80 * np.finfo(dtype).eps)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_inputs_overflow_nowhere(name, dtype):
    z = np.array([-1e30, -1e4, -100, 100, 1e4, 1e30], dtype)
    value = ACTIVATIONS[name](np, z)  # a RuntimeWarning would be an error
    with np.errstate(over="ignore"):
        selu = DEFINITIONS["selu"](z)
    expected = {"identity": z, "tanh": np.sign(z), "logistic": z > 0, "selu": selu}.get(name, np.where(z > 0, z, 0))
    # exp(-100) = 4e-44 is what is left of logistic(-100) and, times 100, of silu(-100) and
    # mish(-100).
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-40)


@EVERY
def test_slopes_are_finite_at_large_inputs_and_at_zero(name):
    z = jnp.asarray([-1e4, -100.0, 0.0, 100.0, 1e4])
    slope = jax.vmap(jax.grad(lambda x: ACTIVATIONS[name](jnp, x)))(z)
    assert np.isfinite(slope).all()


@EVERY
def test_slope_equals_finite_differences(name):
    z = GRID[np.abs(GRID) > 1e-3]  # not at the kink of relu
    h = 6e-6
    f = ACTIVATIONS[name]
    difference = (f(np, z + h) - f(np, z - h)) / (2 * h)
    with jax.enable_x64(True):
        slope = np.asarray(jax.vmap(jax.grad(lambda x: f(jnp, x)))(jnp.asarray(z)))
    # Rounding: eps·|f|/h = 2.2e-16·8/6e-6 = 3e-10; truncation: h²/6·|f'''| <= 6e-12·2.
    np.testing.assert_allclose(slope, difference, rtol=0, atol=1e-9)


@EVERY
@pytest.mark.parametrize("slope", [None, 0.3, -0.7, 1.5])
def test_bounds_hold_between_the_ends(name, slope):
    """Of random intervals, at a thousand points each: a wrong shape (a minimum that is not known) shows here."""
    rng = np.random.default_rng(0)
    low = rng.normal(scale=4, size=200)
    high = low + rng.exponential(scale=3, size=200)
    least, most = ACTIVATIONS[name].bounds(np, low, high, slope)
    values = ACTIVATIONS[name](np, np.linspace(low, high, 1001), slope)
    assert (values >= least - 1e-9).all()
    assert (values <= most + 1e-9).all()
    if slope is None:  # and they are reached, but for the distance of the points
        np.testing.assert_allclose(values.min(axis=0), least, atol=1e-3)
        np.testing.assert_allclose(values.max(axis=0), most, atol=1e-3)


@EVERY
def test_linear_from_there_on(name):
    at = ACTIVATIONS[name].linear_from
    z = np.linspace(max(at, -50.0), 50.0, 101) if at < np.inf else np.array([])
    np.testing.assert_array_equal(ACTIVATIONS[name](np, z), z)
    if np.isfinite(at):
        assert ACTIVATIONS[name](np, np.array(at - 1e-3)) != at - 1e-3


def test_a_wave_that_claims_to_rise_is_found_out():
    wave = Activation(lambda xp, z: xp.sin(z), lowest_at=-np.inf)
    _, most = wave.bounds(np, np.array([0.0]), np.array([np.pi]))
    assert most < 0.1 < np.sin(1.0)  # what the test over the registry would refuse
