"""Random numbers inside compiled loops: a generator that compiles fast, and Beta variates.

On a CPU, XLA compiles JAX's ``threefry2x32`` for 0.15 s at every place in a program that draws, and a round of pruning
draws in several. The generator here is a counter run through two rounds of a 32-bit integer hash, one small kernel.
Its bits decide which arms are explored, how ties fall and what drops out; they are not for cryptography, nor for a
simulation that needs more than the 2^32 words of a key. `jax.random` takes its keys like any other, but for
`jax.random.poisson`, which needs one of JAX's own generator: ``jax.random.key(jax.random.bits(key))``.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.imports import importing


def _mix(x: jax.Array) -> jax.Array:
    """Scramble u32[...], one to one: C. Wellons' triple32 (hash-prospector, 2018)."""
    x = (x ^ (x >> jnp.uint32(17))) * jnp.uint32(0xED5AD4BB)
    x = (x ^ (x >> jnp.uint32(11))) * jnp.uint32(0xAC4C1B51)
    x = (x ^ (x >> jnp.uint32(15))) * jnp.uint32(0x31848BAB)
    scrambled: jax.Array = x ^ (x >> jnp.uint32(14))
    return scrambled


_making = threading.Lock()
#: Streams of a key below this one serve the functions of the generator.
_FREE_STREAM = 6


def _word(key: jax.Array, counter: jax.Array, stream: int | jax.Array) -> jax.Array:
    """Return a word u32[...] for each counter; the streams of a key, u32[...], are unrelated."""
    return _mix(_mix(counter ^ key[0]) + key[1] + jnp.asarray(stream, jnp.uint32) * jnp.uint32(0x9E3779B9))


def _counters(shape: tuple[int, ...]) -> jax.Array:
    return lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)


def _seed(seed: jax.Array) -> jax.Array:
    low = _mix(jnp.asarray(seed).astype(jnp.uint32) + jnp.uint32(0x9E3779B9))  # the hash of 0 is 0
    return jnp.stack([low, _mix(low)])


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack([_word(key, _counters(shape), stream) for stream in (2, 3)], axis=-1)


def _fold_in(key: jax.Array, data: jax.Array | int) -> jax.Array:
    data = jnp.asarray(data).astype(jnp.uint32)
    return jnp.stack([_word(key, data, stream) for stream in (4, 5)])


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    low = _word(key, _counters(shape), 0)
    if bit_width == 64:
        high = _word(key, _counters(shape), 1)
        both: jax.Array = (high.astype(jnp.uint64) << jnp.uint64(32)) | low.astype(jnp.uint64)
        return both
    return low.astype(f"uint{bit_width}")


def bits_of_rows(key: jax.Array, row_id: jax.Array, n: int) -> jax.Array:
    """Draw u32[len(row_id), n]: each row's by the key and its id, u32[len(row_id)], alone."""
    return _word(jax.random.key_data(key), row_id[:, None], _counters((n,)) + jnp.uint32(_FREE_STREAM))


def counter_hash() -> Any:
    """Return the generator, for ``impl=`` of `jax.random.key`.

    It is made when a program is traced: to import `jax.extend` takes longer than to load a program.
    """
    with _making:  # JAX knows it by its name, which may be given once
        return _made()


@functools.cache
def _made() -> Any:
    with importing():
        from jax.extend.random import define_prng_impl

    return define_prng_impl(
        key_shape=(2,),
        seed=_seed,
        split=_split,
        random_bits=_random_bits,
        fold_in=_fold_in,
        name="counter_hash",
        tag="chash",
    )


def key_of(seed: Any) -> jax.Array:
    """Return the key of a seed below 2^32.

    `jax.random.key` returns the same, but for adding the user's ``jax_random_seed_offset``: that is for the user's own
    keys, and ours go by ``random_state`` alone.
    """
    key: jax.Array = jax.random.wrap_key_data(_seed(seed), impl=counter_hash())
    return key


def beta(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Draw from Beta(a, b), f[n] each, as the ratio of gamma variates.

    One loop for all variates: Marsaglia and Tsang's (2000) rejection accepts more than 95 % of the proposals, so that
    it ends after a few turns; `jax.random.beta`, a loop per variate, takes three times as long to compile. In
    logarithms, so that nothing underflows at small shapes.
    """
    shape = jnp.stack([a, b])
    d = jnp.where(shape < 1, shape + 1, shape) - 1 / 3
    c = 1 / jnp.sqrt(9 * d)

    def log_uniforms(turn: jax.Array, count: int) -> jax.Array:
        # log1p(-u) is finite: u < 1.
        return jnp.log1p(-jax.random.uniform(jax.random.fold_in(key, turn), (count, *d.shape), d.dtype))

    def propose(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        turn, log_gamma, done = carry
        radius, angle, log_u = log_uniforms(turn, 3)
        x = jnp.sqrt(-2 * radius) * jnp.cos(2 * jnp.pi * jnp.exp(angle))  # Box and Muller (1958): normal
        root = 1 + c * x
        log_v = 3 * jnp.log(jnp.where(root > 0, root, 1))
        accepted = (root > 0) & (log_u < 0.5 * x * x + d * (1 - jnp.exp(log_v) + log_v))
        return turn + 1, jnp.where(accepted & ~done, jnp.log(d) + log_v, log_gamma), done | accepted

    # A shape that is not a positive number (NaN, say) has no variate, and must not keep the loop waiting for one.
    valid = (shape > 0) & jnp.isfinite(shape)
    start = jnp.uint32(1), jnp.where(valid, 0, jnp.nan).astype(d.dtype), ~valid
    _, log_gamma, _ = lax.while_loop(lambda carry: ~jnp.all(carry[2]), propose, start)
    # Gamma(s) = Gamma(s + 1) U^(1/s) for s < 1.
    log_gamma = log_gamma + jnp.where(shape < 1, log_uniforms(jnp.uint32(0), 1)[0] / shape, 0)
    return jax.nn.sigmoid(log_gamma[0] - log_gamma[1])
