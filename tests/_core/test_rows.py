import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skbandit._core import memory
from skbandit._core import rows as module
from skbandit._core.rows import SMALLEST_BUCKET, Batches, Data, bucket, bucket_below, even_width, in_blocks, room

FEW = settings(max_examples=50, deadline=None, derandomize=True)


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


@FEW
@given(n=st.integers(65, 10**9))
def test_the_next_smaller_bucket(n):
    below = bucket_below(bucket(n))
    assert bucket(below) == below < n
    assert bucket(below + 1) == bucket(n)


def test_below_the_smallest_bucket_is_nothing():
    assert bucket_below(SMALLEST_BUCKET) == 0


@pytest.mark.parametrize("at_most", [1, 16, 100, 200, 256])
def test_an_even_width_makes_the_same_batches(at_most):
    for n in range(1, 3000):
        width = even_width(n, at_most)
        assert width == even_width(bucket(n), at_most) <= at_most
        assert -(-n // width) == -(-n // at_most)


def test_an_even_width_by_hand():
    # 257 to 320 rows are two batches of 160 at most.
    assert [even_width(n, 256) for n in (50, 256, 282, 320, 450, 10_000)] == [64, 256, 160, 160, 256, 256]


def test_batches_of_an_even_width_hold_the_same_rows():
    X, ones = np.arange(282.0)[:, None] + 1, np.ones(282)
    made = [Batches.partition(np.random.default_rng(0), X, X, ones, "float32", w) for w in (256, even_width(282, 256))]
    assert [batches.X.shape for batches in made] == [(2, 256, 1), (2, 160, 1)]
    np.testing.assert_array_equal(made[0].X[:, :160], made[1].X)
    np.testing.assert_array_equal(made[0].weight[:, :160], made[1].weight)


def test_pad_fills_up_with_rows_of_weight_zero():
    X, y, weight = np.ones((3, 2)), np.array([[1], [2], [3]]), np.array([1.0, 0.5, 2.0])
    data = Data.pad(X, y, weight, "float32")
    assert data.X.shape == (64, 2)
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


@pytest.mark.parametrize("chunk", [1, 7, module.CHUNK_VALUES])
def test_sparse_rows_become_the_dense_ones(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK_VALUES", chunk)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70, 3)) * (rng.random((70, 3)) < 0.3)
    X[0, 0] = 1e300  # what float32 cannot hold becomes infinite
    y, weight = np.zeros((70, 1)), rng.random(70)
    dense, thin = (Data.pad(rows, y, weight, "float32") for rows in (X, sparse.csr_array(X)))
    np.testing.assert_array_equal(thin.X, dense.X)
    assert thin.X.dtype == "float32"
    for width in (16, 70):
        dense, thin = (
            Batches.partition(np.random.default_rng(1), rows, y, weight, "float32", width)
            for rows in (X, sparse.csr_matrix(X))
        )
        np.testing.assert_array_equal(thin.X, dense.X)


def test_sparse_rows_that_would_fill_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 64 * 10 * 4 - 1)
    X, y, weight = np.zeros((3, 10)), np.zeros((3, 1)), np.ones(3)
    with pytest.raises(MemoryError, match=r"shape \(3, 10\)"):
        Data.pad(sparse.csr_array(X), y, weight, "float32")
    with pytest.raises(MemoryError, match=r"shape \(3, 10\)"):
        Batches.partition(np.random.default_rng(0), sparse.csr_array(X), y, weight, "float32", 3)
    assert Data.pad(X, y, weight, "float32").X.shape == (64, 10)


def partition(n, width, seed=0):
    """Batches of rows that hold their own index, and weigh one more than that."""
    index = np.arange(n)[:, None]
    return Batches.partition(np.random.default_rng(seed), index, index, np.arange(1.0, n + 1), "float32", width)


def rows_of(batches):
    """The real rows of each batch that is not padding."""
    weight, X = np.asarray(batches.weight), np.asarray(batches.X)
    return [X[i, weight[i] > 0, 0] for i in range(int(batches.n_batches))]


@pytest.mark.parametrize("width", [1, 7, 64, 500])
@FEW
@given(n=st.integers(1, 200), seed=st.integers(0, 3))
def test_a_sweep_takes_every_real_row_once(width, n, seed):
    batches = partition(n, width, seed)
    parts = rows_of(batches)
    assert len(parts) == -(-n // width)
    assert sorted(np.concatenate(parts)) == list(range(n))
    sizes = [part.size for part in parts]
    assert max(sizes) <= width
    assert max(sizes) - min(sizes) <= 1
    # X, y and weight belong together; weights sum to 1 in each batch, and `total` keeps what they were.
    np.testing.assert_array_equal(batches.X, batches.y)
    expected = np.where(np.asarray(batches.weight) > 0, np.asarray(batches.X)[..., 0] + 1.0, 0)
    np.testing.assert_array_equal(batches.total, expected.sum(axis=1))
    np.testing.assert_allclose(np.asarray(batches.weight) * np.asarray(batches.total)[:, None], expected, rtol=1e-6)
    # What the bucket adds is empty.
    assert not np.asarray(batches.total)[len(parts) :].any()


@FEW
@given(n=st.integers(1, 300))
def test_batches_share_a_shape_within_a_bucket(n):
    batches = partition(n, 50)
    width = min(50, bucket(n))
    assert batches.X.shape == (-(-bucket(n) // width), width, 1)


def test_the_order_is_shuffled_by_the_generator_alone():
    first, second, other = (np.concatenate(rows_of(partition(50, 7, seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert (first != np.arange(50)).any()


def test_take_returns_one_batch():
    batches = partition(20, 7)
    X, y, weight, total = jax.jit(lambda i: batches.take(i))(1)
    for got, whole in zip((X, y, weight, total), batches[:4], strict=True):
        np.testing.assert_array_equal(got, whole[1])


def test_batches_leave_integers_alone():
    tokens = np.full((3, 2), 2**24 + 1, np.int32)
    batches = Batches.partition(np.random.default_rng(0), tokens, np.zeros((3, 1)), np.ones(3), "float32", 3)
    assert batches.X.dtype == "int32"
    assert (np.asarray(batches.X)[0, :3] == 2**24 + 1).all()


def test_a_batch_of_no_weight_weighs_nothing():
    batches = Batches.partition(np.random.default_rng(0), np.ones((4, 1)), np.ones((4, 1)), np.zeros(4), "float32", 2)
    assert not np.asarray(batches.weight).any()
    assert not np.asarray(batches.total).any()


def test_rows_with_room_for_their_padding_are_not_copied_to_a_cpu():
    X = room(70, 40, "float32")
    X[...] = np.random.default_rng(0).normal(size=X.shape)
    y, weight = np.zeros((70, 1)), np.ones(70)
    with jax.default_device(jax.devices("cpu")[0]):
        data = Data.pad(X, y, weight, "float32")
        assert data.X.unsafe_buffer_pointer() == X.ctypes.data
        np.testing.assert_array_equal(data.X, Data.pad(X.copy(), y, weight, "float32").X)
        # In another precision they are.
        np.testing.assert_array_equal(Data.pad(X, y, weight, "float32", rows=128).X[:70], X)
        assert Data.pad(X.astype("float64"), y, weight, "float32").X.dtype == "float32"


@pytest.mark.parametrize("most_rows", [1, 7, 24, 96, 1000])
def test_blocks_give_what_all_rows_give(most_rows):
    X, y = jnp.arange(96 * 2.0).reshape(96, 2), jnp.arange(96)
    sizes = []

    def of(X, y):
        sizes.append(len(X))
        return {"sum": X.sum(axis=1) + y}, X > 5

    found = jax.jit(lambda X, y: in_blocks(of, (X, y), most_rows))(X, y)
    jax.tree.map(np.testing.assert_array_equal, found, of(X, y))
    # 96 = 3 * 2^5: blocks of 3 rows at least.
    assert sizes[0] == {1: 3, 7: 6, 24: 24, 96: 96, 1000: 96}[most_rows]
