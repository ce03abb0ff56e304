"""The generator of compiled loops, and Beta variates, against SciPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from skbandit._core.random import beta, bits_of_rows, counter_hash, key_of

#: Chance that a sound generator fails one of the tests below; the seeds are fixed.
RARE = 1e-4


def key(seed):
    return jax.random.key(np.uint32(seed), impl=counter_hash())


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_uniforms_are_uniform(seed):
    draws = np.asarray(jax.random.uniform(key(seed), (100_000,)), float)
    assert stats.kstest(draws, "uniform").pvalue > RARE


@pytest.mark.parametrize("seed", range(3))
def test_every_bit_is_a_fair_coin(seed):
    bits = np.asarray(jax.random.bits(key(seed), (2**16,)))
    ones = ((bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1).sum(axis=0)
    worst = min(stats.binomtest(int(k), 2**16).pvalue for k in ones)
    assert worst > RARE / 32


@pytest.mark.parametrize("lag", [1, 2, 100])
def test_successive_draws_are_independent(lag):
    draws = np.asarray(jax.random.uniform(key(5), (2**16,)), float)
    pairs, *_ = np.histogram2d(draws[:-lag], draws[lag:], bins=16)
    assert stats.chisquare(pairs.ravel()).pvalue > RARE


def streams():
    root = key(3)
    yield from (jax.random.fold_in(root, t) for t in range(4))
    yield from jax.random.split(root, 3)
    yield from (key(4), root)


def test_streams_of_related_keys_are_unrelated():
    draws = [np.asarray(jax.random.normal(k, (20_000,)), float) for k in streams()]
    for a, b in itertools.combinations(draws, 2):
        assert stats.pearsonr(a, b).pvalue > RARE
        assert not np.isin(a, b).mean() > 0.01


def test_keys_of_many_steps_differ():
    steps = jax.vmap(lambda t: jax.random.fold_in(key(0), t))(jnp.arange(10_000))
    assert len(np.unique(np.asarray(jax.random.key_data(steps)), axis=0)) == 10_000
    first = jax.vmap(jax.random.uniform)(steps)
    assert stats.kstest(np.asarray(first, float), "uniform").pvalue > RARE


def test_draws_do_not_depend_on_how_many_there_are():
    np.testing.assert_array_equal(jax.random.bits(key(1), (7,)), jax.random.bits(key(1), (100,))[:7])


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_every_width_of_bits(width):
    with jax.enable_x64(width == 64):
        bits = np.asarray(jax.random.bits(key(2), (4000,), f"uint{width}"))
    assert bits.dtype == f"uint{width}"
    assert stats.chisquare(np.bincount((bits >> np.uint64(width - 3)).astype(int), minlength=8)).pvalue > RARE


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.5, 1.2), (0.3, 0.4), (50.0, 80.0), (1.0, 9.5)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_beta_variates_follow_their_distribution(a, b, dtype):
    with jax.enable_x64(dtype == "float64"):
        draws = np.asarray(beta(key(0), jnp.full(20_000, a, dtype), jnp.full(20_000, b, dtype)))
    assert draws.dtype == dtype
    assert stats.kstest(draws.astype(float), stats.beta(a, b).cdf).pvalue > RARE


def test_beta_without_a_distribution_is_nan_and_ends():
    a = jnp.array([1.0, jnp.nan, 0.0, jnp.inf, 2.0])
    draws = np.asarray(beta(key(0), a, jnp.ones(5)))
    np.testing.assert_array_equal(np.isnan(draws), [False, True, True, True, False])


@pytest.mark.parametrize(
    "names", [np.arange(2000), np.random.default_rng(0).integers(2**32, size=2000)], ids=["in order", "hashes"]
)
def test_bits_of_rows_are_fair_and_unrelated(names):
    bits = np.asarray(bits_of_rows(key(1), jnp.asarray(names, jnp.uint32), 128))
    ones = ((bits[..., None] >> np.arange(32, dtype=np.uint32)) & 1).sum(axis=(0, 1))
    assert min(stats.binomtest(int(k), bits.size).pvalue for k in ones) > RARE / 32
    uniform = bits / 2**32
    for a, b in [(uniform[:-1], uniform[1:]), (uniform[:, :-1], uniform[:, 1:])]:  # neighbours: rows, units
        assert stats.pearsonr(a.ravel(), b.ravel()).pvalue > RARE
    other = np.asarray(bits_of_rows(key(2), jnp.asarray(names, jnp.uint32), 128)) / 2**32
    assert stats.pearsonr(uniform.ravel(), other.ravel()).pvalue > RARE
    assert np.unique(bits).size > bits.size - 50  # 2^18 draws of 2^32: eight coincide on average


def test_bits_of_a_row_depend_on_its_name_alone():
    names = np.array([7, 3, 7, 2**32 - 1], np.uint32)
    bits = np.asarray(bits_of_rows(key(0), jnp.asarray(names), 5))
    np.testing.assert_array_equal(bits[0], bits[2])
    np.testing.assert_array_equal(np.asarray(bits_of_rows(key(0), jnp.asarray(names[::-1]), 5)), bits[::-1])


@pytest.mark.parametrize("x64", [False, True])
def test_keys_are_those_of_jax_but_for_the_users_offset(x64):
    def data(key):
        return np.asarray(jax.random.key_data(key))

    seeds = np.array([0, 1, 2**32 - 1], np.uint32)
    with jax.enable_x64(x64):
        expected = [data(jax.random.key(seed, impl=counter_hash())) for seed in seeds]
        jax.config.update("jax_random_seed_offset", 5)
        try:
            found = [data(jax.jit(key_of)(seed)) for seed in seeds]
            moved = data(jax.random.key(seeds[0], impl=counter_hash()))
        finally:
            jax.config.update("jax_random_seed_offset", 0)
    np.testing.assert_array_equal(found, expected)
    assert (moved != expected[0]).any()
