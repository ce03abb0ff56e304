"""Truncated log-normal noise, against published constants and against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from skbandit._core.scope import jax_scope
from skbandit.criteria import noise

#: μ, σ, KL, E[θ], SNR, ΔF of BMRS_N (the limit of a narrow reduced prior), BMRS_U with 8 and with 4 bits.
VECTORS = [
    (0, np.exp(-5), 7.269941, 9.946465e-01, 246.69921, -4.405285e6, -3.38652e5, -8.46673e4),
    (-0.5, 0.05, 4.572526, 6.072893e-01, 19.98750, -76044.92747, -5095.64210, -1037.25017),
    (-1, 0.3, 2.783767, 3.845118e-01, 3.28057, -2002.27436, -117.75688, -19.75990),
    (-3, 1, 1.584801, 8.032599e-02, 0.84773, -142.42186, -4.55456, -0.10856),
    (-8, 2, 0.883946, 2.422437e-03, 0.19040, -16.61632, 0.53784, 0.41331),
    (-10, 5, 0.127053, 1.722905e-02, 0.21099, -1.48608, 0.33865, 0.25182),
    (-19, 1, 1.893348, 1.072960e-08, 0.84773, 1.74955, -5.97148, -6.20787),
    (-20, 0.1, 4.572526, 2.236491e-09, 16.08320, 5.07253, -826.48730, -826.72368),
    (-2.2, 11.5, 0.051680, 6.674071e-02, 0.39309, -0.89989, 0.00664, 0.07102),
    (0, np.exp(5), 0.000004, 5.014910e-02, 0.33388, -0.00606, 0.00020, 0.00071),
    (2, 1, 2.986763, 7.228584e-01, 3.65552, -236.14002, -26.98417, -9.70953),
]  # fmt: skip
MU, SIGMA, KL, MEAN, SNR, NORMAL, EIGHT, FOUR = np.array(VECTORS).T
LOG_SIGMA = np.log(SIGMA)
#: Where training may take the parameters.
GRID = [grid.ravel() for grid in np.meshgrid(np.linspace(-30, 5, 36), np.linspace(-20, 5, 26))]
INSIDE = (GRID[0] >= noise.LOW) & (GRID[0] <= noise.HIGH)


@pytest.fixture(autouse=True)
def double():
    with jax_scope("float64"):
        yield


@pytest.mark.parametrize(
    ("function", "expected", "digits"),
    [
        (noise.divergence, KL, 5e-7),
        (noise.evidence_change_uniform, EIGHT, 5e-6),
        (lambda m, s: noise.evidence_change_uniform(m, s, bits=4.0), FOUR, 5e-6),
    ],
    ids=["divergence", "uniform, 8 bits", "uniform, 4 bits"],
)
def test_published_vectors(function, expected, digits):
    found = np.asarray(function(MU, LOG_SIGMA))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=digits)


def test_published_moments():
    np.testing.assert_allclose(noise.mean(MU, LOG_SIGMA), MEAN, rtol=1e-6)
    np.testing.assert_allclose(noise.signal_to_noise(MU, LOG_SIGMA), SNR, rtol=2e-5)


def test_published_evidence_of_the_narrow_prior():
    found = np.asarray(noise.evidence_change_normal(MU, LOG_SIGMA, width=1e-9))
    np.testing.assert_allclose(found, NORMAL, rtol=1e-6, atol=5e-5)
    # The paper's own width is within 1e-4 of the limit where the posterior is much wider.
    wide = SIGMA > 0.05
    np.testing.assert_allclose(noise.evidence_change_normal(MU, LOG_SIGMA)[wide], NORMAL[wide], rtol=1e-6, atol=1e-4)
    released = noise.evidence_change_normal(MU, LOG_SIGMA, width=1e-9, offset=noise.RELEASED_OFFSET)
    np.testing.assert_allclose(released - found, 0.918939, atol=1e-6)


def test_published_evidence_of_a_wide_reduced_prior():
    mu, sigma = np.array([-3, -17, -19, -10.0]), np.array([1, 0.5, 1, 5.0])
    found = noise.evidence_change_normal(mu, np.log(sigma), location=-18.0, width=0.5)
    np.testing.assert_allclose(found, [-88.033396, 1.423399, 1.737978, -0.758361], atol=1e-6)


def truncated(mu, sigma):
    return stats.truncnorm((noise.LOW - mu) / sigma, (noise.HIGH - mu) / sigma, loc=mu, scale=sigma)


@pytest.mark.parametrize(("mu", "sigma"), [(-3, 2), (-10, 5), (-2.2, 11.5), (2, 4)])
def test_quadrature(mu, sigma):
    x, reduced = truncated(mu, sigma), truncated(-18, 0.5)
    args = (np.array(mu), np.log(sigma))

    def integral(f, at):
        return integrate.quad(f, noise.LOW, noise.HIGH, limit=500, epsabs=0, points=[at])[0]

    expected = integral(lambda t: x.pdf(t) * (x.logpdf(t) + np.log(20)), -1)
    assert float(noise.divergence(*args)) == pytest.approx(expected, rel=1e-7)
    moments = [integral(lambda t: x.pdf(t) * np.exp(t), -1), integral(lambda t: x.pdf(t) * np.exp(2 * t), -1)]
    np.testing.assert_allclose([noise.log_moment(k, *args) for k in (1, 2)], np.log(moments), atol=1e-7)
    # ΔF = log E_q[p~ / p]
    expected = np.log(integral(lambda t: 20 * reduced.pdf(t) * x.pdf(t), -18))
    assert float(noise.evidence_change_normal(*args, location=-18.0, width=0.5)) == pytest.approx(expected, rel=1e-6)
    inside = x.cdf(-8 * np.log(2)) - x.cdf(-23 * np.log(2))
    expected = np.log(20 / (15 * np.log(2)) * inside)
    assert float(noise.evidence_change_uniform(*args)) == pytest.approx(expected, rel=1e-6)


def rows(n):
    return jnp.arange(n, dtype="uint32")


@pytest.mark.parametrize(("mu", "sigma"), [(-1, 0.3), (-10, 5), (-0.5, 2)])
def test_samples_have_the_distribution(mu, sigma):
    theta = noise.sample(jax.random.key(0), jnp.array([mu, mu], float), jnp.full(2, np.log(sigma)), rows(20_000))
    assert theta.shape == (20_000, 2)
    assert stats.kstest(np.log(np.asarray(theta[:, 0])), truncated(mu, sigma).cdf).pvalue > 1e-4
    assert np.abs(stats.pearsonr(theta[:, 0], theta[:, 1]).statistic) < 0.03


def test_gradients_flow_through_samples():
    def mean(mu, log_sigma):
        return noise.sample(jax.random.key(1), mu, log_sigma, rows(200_000)).mean()

    at = jnp.array([-1.0]), jnp.log(jnp.array([0.5]))
    found = jax.grad(mean, argnums=(0, 1))(*at)
    expected = jax.grad(lambda m, s: noise.mean(m, s).sum(), argnums=(0, 1))(*at)
    # Of 200 000 draws; the tails that are clipped at 1e-5 count for less.
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected), atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "function",
    [
        noise.divergence,
        noise.mean,
        noise.signal_to_noise,
        noise.evidence_change_normal,
        noise.evidence_change_uniform,
        lambda m, s: noise.sample(jax.random.key(0), m, s, rows(3)),
    ],
    ids=["divergence", "mean", "SNR", "normal", "uniform", "sample"],
)
def test_nothing_is_nan(function, dtype):
    at = [jnp.asarray(grid, dtype) for grid in GRID]
    assert not np.isnan(np.asarray(function(*at))).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_the_divergence_are_finite_where_it_is_trained(dtype):
    at = [jnp.asarray(grid, dtype)[INSIDE] for grid in GRID]
    slopes = jax.grad(lambda m, s: noise.divergence(m, s).sum(), argnums=(0, 1))(*at)
    assert np.isfinite(np.asarray(slopes)).all()


def test_float32_decides_as_float64_does():
    for function in (noise.evidence_change_normal, noise.evidence_change_uniform):
        single = function(*(jnp.asarray(grid[INSIDE], "float32") for grid in GRID))
        double = function(*(jnp.asarray(grid[INSIDE]) for grid in GRID))
        sure = np.abs(np.asarray(double)) > 1e-2
        np.testing.assert_array_equal((np.asarray(single) >= 0)[sure], (np.asarray(double) >= 0)[sure])
