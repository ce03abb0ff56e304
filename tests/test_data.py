import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit.data import SMALLEST_BUCKET, Batches, Data, bucket

FEW = settings(max_examples=50, deadline=None, derandomize=True)
ROWS = 96


@FEW
@given(n=st.integers(1, 10**9))
def test_bucket_holds_the_rows_and_a_quarter_of_padding_at_most(n):
    assert bucket(n) >= n
    assert bucket(n) <= max(SMALLEST_BUCKET, 1.25 * n)
    assert bucket(bucket(n)) == bucket(n)
    assert bucket(n + 1) >= bucket(n)


def test_buckets_are_few():
    # Four per doubling: 64 rows, then 4 for each of 6 doublings up to 4096.
    assert len({bucket(n) for n in range(1, 4097)}) == 1 + 4 * 6


def test_bucket_by_hand():
    # Steps of 16 up to 128, of 32 up to 256.
    assert [bucket(n) for n in (1, 64, 65, 80, 81, 128, 129)] == [64, 64, 80, 80, 96, 128, 160]


def test_pad_fills_up_with_rows_of_weight_zero():
    X, y, weight = np.ones((3, 2)), np.array([[1], [2], [3]]), np.array([1.0, 0.5, 2.0])
    data = Data.pad(X, y, weight, "float32")
    assert data.X.shape == (64, 2)
    assert data.n == 3
    assert data.X.dtype == data.weight.dtype == "float32"
    np.testing.assert_array_equal(data.X[:3], X)
    np.testing.assert_array_equal(data.y[:3], y)
    np.testing.assert_array_equal(data.weight[:3], weight)
    assert not data.weight[3:].any()
    assert not data.X[3:].any()
    assert Data.pad(X, y, weight, "float32", rows=5).X.shape == (5, 2)


def test_pad_leaves_integers_alone():
    # Token indices beyond 2^24 are no float32 numbers.
    X = np.array([[2**24 + 1]], np.int32)
    data = Data.pad(X, np.zeros((1, 1)), np.ones(1), "float32")
    assert data.X.dtype == "int32"
    assert data.X[0, 0] == 2**24 + 1


def rows_with_their_index(n, size):
    weight = np.zeros(size, np.float32)
    weight[:n] = np.arange(1, n + 1)
    index = jnp.arange(size)[:, None]
    return Data(index, index, jnp.asarray(weight), jnp.asarray(n, jnp.int32))


@functools.partial(jax.jit, static_argnames="width")
def take_some(data, batches, i, width):
    return jax.vmap(lambda i: batches.take(data, i, width))(i)


def sweep(n, width, seed=0, size=ROWS, count=2 * ROWS):
    """The real rows of each batch of one sweep, and all that ``take`` returned for it."""
    batches = Batches.partition(np.random.default_rng(seed), n, size, width)
    n_batches = int(batches.n_batches)
    X, y, weight = (np.asarray(a) for a in take_some(rows_with_their_index(n, size), batches, np.arange(count), width))
    return [X[i, weight[i] > 0, 0] for i in range(n_batches)], X, y, weight


@pytest.mark.parametrize("width", [1, 7, ROWS])
@FEW
@given(n=st.integers(1, ROWS), seed=st.integers(0, 3))
def test_a_sweep_takes_every_real_row_once(width, n, seed):
    parts, X, y, weight = sweep(n, width, seed)
    assert len(parts) == -(-n // width)
    assert sorted(np.concatenate(parts)) == list(range(n))
    sizes = [part.size for part in parts]
    assert max(sizes) <= width
    assert max(sizes) - min(sizes) <= 1
    # X, y and weight belong together; what lies beyond a batch's end has weight 0.
    np.testing.assert_array_equal(X, y)
    np.testing.assert_array_equal(weight, np.where(weight > 0, X[..., 0] + 1, 0))


@FEW
@given(n=st.integers(1, ROWS))
def test_batches_repeat_after_a_sweep(n):
    parts, X, _, weight = sweep(n, 7)
    for i in range(len(parts), 2 * ROWS):
        np.testing.assert_array_equal(X[i], X[i % len(parts)])
        np.testing.assert_array_equal(weight[i], weight[i % len(parts)])


def test_the_order_is_shuffled_by_the_generator_alone():
    first, second, other = (np.concatenate(sweep(50, 7, seed)[0]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert (first != np.arange(50)).any()


def test_the_order_does_not_depend_on_the_padding():
    rng = np.random.default_rng
    small, large = Batches.partition(rng(0), 50, 64, 7), Batches.partition(rng(0), 50, 96, 7)
    np.testing.assert_array_equal(small.order[:50], large.order[:50])


def test_many_rows_overflow_no_index():
    # n·D = 1.4·10^11, and even (n mod D)·D = 46 829·46 876 = 2.2·10^9 is more than int32 holds.
    n, width = 3_000_017, 64
    n_batches = -(-n // width)
    index = jnp.arange(n)[:, None]
    data = Data(index, jnp.zeros((1, 1)), jnp.ones(1), jnp.asarray(n, jnp.int32))
    order = jnp.concatenate([jnp.arange(n, dtype=jnp.int32), jnp.zeros(width, jnp.int32)])
    batches = Batches(order, jnp.asarray(n_batches, jnp.int32))
    shown = np.array([*range(0, n_batches, 997), n_batches - 2, n_batches - 1])

    def starts_and_sizes(i):
        X, _, weight = take_some(data, batches, i, width)
        return np.asarray(X[:, 0, 0], int), np.asarray(weight.sum(axis=1), int)

    starts, sizes = starts_and_sizes(shown)
    next_starts, _ = starts_and_sizes(shown + 1)
    np.testing.assert_array_equal(next_starts, np.where(shown + 1 == n_batches, 0, starts + sizes))
    assert set(sizes) == {63, 64}
    assert starts[-1] + sizes[-1] == n
