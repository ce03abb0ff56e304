import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skbandit._tabular.features import encoder as encoding
from skbandit._tabular.features.encoder import MAX_ONE_HOT, FeatureEncoder
from skbandit._tabular.features.sparse_rows import dense

FEW = settings(max_examples=60, deadline=None, derandomize=True)
NAN = np.nan


@st.composite
def tables(draw):
    """Numbers with few distinct values and NaN, and codes of 1, 2, 4 and 10 categories."""
    n = draw(st.integers(1, 30))
    numbers = st.sampled_from([NAN, -2.0, 0.0, 1.0, 1.5, 7.0])
    categories = (0, 0, 1, 2, 4, 10)
    kinds = [st.integers(-1, c - 1).map(lambda v: NAN if v < 0 else float(v)) if c else numbers for c in categories]
    rows = draw(st.lists(st.tuples(*kinds), min_size=n, max_size=n))
    return np.array(rows, float), categories


def fields(encoder):
    return {name: value for name, value in vars(encoder).items() if not name.startswith(("_", "is_"))}


def assert_equal(first, second, **tolerance):
    for name, value in fields(first).items():
        np.testing.assert_allclose(value, fields(second)[name], err_msg=name, **{"rtol": 0, "atol": 0, **tolerance})


# Numbers


def test_without_clipping_it_is_affine():
    X = np.array([[1.0, 10], [2, 30], [3, 20], [4, 50], [5, 40]])
    encoder = FeatureEncoder.fit(X, clip=False)
    centre, scale = encoder.affine()
    np.testing.assert_array_equal(centre, [3, 30])
    np.testing.assert_allclose(scale, [1 / 2, 1 / 20])
    np.testing.assert_allclose(encoder.transform(X), (X - centre) * scale)


def test_what_is_not_affine_has_no_centre_and_scale():
    X = np.array([[0.0, 1], [1, 2], [2, NAN]])
    for columns, options in [([0], {}), ([1], {"clip": False}), ([0], {"clip": False, "categories": (3,)})]:
        assert FeatureEncoder.fit(X[:, columns], **options).affine() is None
    assert FeatureEncoder.fit(X[:2, :1], clip=False, categories=(2,)).affine() is None
    assert FeatureEncoder.fit(X[:1, :1], clip=False, categories=(1,)).affine() is None
    assert FeatureEncoder.fit(X[:, :1], clip=False).affine() is not None
    assert FeatureEncoder.fit(np.full((3, 1), NAN), clip=False).affine() is None


def test_a_missing_number_is_the_median_and_an_indicator_says_so(column, clipped):
    encoder = FeatureEncoder.fit(column(1, 2, 3, 4, 5, NAN))
    np.testing.assert_allclose(encoder.transform(column(5, NAN, 3)), [[clipped(1), 0], [0, 1], [0, 0]])
    assert (encoder.n_embeddable, encoder.n_dense) == (1, 2)


def test_numbers_to_embed_come_first():
    # The first column has two values.
    X = np.array([[0.0, 1, 5], [1, 2, 6], [0, 3, 7], [NAN, 4, 8]])
    encoder = FeatureEncoder.fit(X, clip=False)
    assert encoder.names() == ["x1", "x2", "x0", "x0_nan"]
    assert (encoder.n_embeddable, encoder.n_dense, encoder.n_outputs) == (2, 4, 4)
    np.testing.assert_array_equal(encoder.columns, [1, 2, 0])
    assert FeatureEncoder.fit(X, embed=False).names() == ["x0", "x1", "x2", "x0_nan"]
    assert FeatureEncoder.fit(X, embed=False).n_embeddable == 0


def test_unscaled_numbers_pass_as_they_are():
    X = np.array([[0.0, 1e300, 2], [1, 2, 1], [0, NAN, 0], [0, 1, 0]])
    encoder = FeatureEncoder.fit(X, categories=(0, 0, 3), scale=False)
    np.testing.assert_array_equal(encoder.transform(X)[:, :2], X[:, [1, 0]])


# Categories


def test_one_category_has_a_column_only_beside_missing_values(column):
    X = np.column_stack([column(0, 0, 0), [1, 2, 3]])
    assert FeatureEncoder.fit(X, categories=(1, 0)).names() == ["x1"]
    X[0, 0] = NAN
    encoder = FeatureEncoder.fit(X, categories=(1, 0), scale=False)
    np.testing.assert_array_equal(encoder.transform(X), [[1, 0], [2, 1], [3, 1]])


def test_there_is_always_an_output(column):
    encoder = FeatureEncoder.fit(column(0, 0), categories=(1,))
    np.testing.assert_array_equal(encoder.transform(column(0, NAN)), [[0], [0]])


def test_many_categories_are_codes_for_an_embedding():
    codes = np.arange(MAX_ONE_HOT + 1.0)
    X = np.column_stack([codes, codes % MAX_ONE_HOT, codes])
    encoder = FeatureEncoder.fit(X, categories=(MAX_ONE_HOT + 1, MAX_ONE_HOT, 0))
    assert encoder.cardinalities == (MAX_ONE_HOT + 2,)
    assert (encoder.n_embeddable, encoder.n_dense, encoder.n_outputs) == (1, 1 + MAX_ONE_HOT, 2 + MAX_ONE_HOT)
    np.testing.assert_array_equal(encoder.transform(X)[:, -1], codes + 1)
    assert encoder.transform(np.array([[NAN, 0, 0]]))[0, -1] == 0
    assert encoder.names()[-1] == "x0"


def test_max_one_hot_says_how_many_categories_are_many(column):
    X = column(*range(20), 0)
    assert FeatureEncoder.fit(X, categories=(20,), max_one_hot=100).n_dense == 20
    assert FeatureEncoder.fit(X, categories=(20,), max_one_hot=19).cardinalities == (21,)
    assert FeatureEncoder.fit(X % 2, categories=(2,), max_one_hot=0).cardinalities == ()


@pytest.mark.parametrize("code", [-1.0, -2.0, 3.0, 1e30, NAN])
def test_a_code_out_of_range_is_unknown(code, column):
    X = np.column_stack([column(0, 1, 2), column(0, 1, 2), column(0, 1, 1)])
    encoder = FeatureEncoder.fit(X, categories=(3, 3, 0), max_one_hot=2, scale=False)
    np.testing.assert_array_equal(encoder.transform(np.array([[code, code, 0]])), [[0, 0, 0]])
    encoder = FeatureEncoder.fit(X, categories=(3, 3, 0), scale=False)
    np.testing.assert_array_equal(encoder.transform(np.array([[code, 1, 0]])), [[0, 0, 0, 0, 0, 1, 0]])


# All together


@FEW
@given(table=tables(), scale=st.booleans(), data=st.data())
def test_an_integer_weight_is_a_repeated_row(table, scale, data):
    X, categories = table
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X))))
    weighted = FeatureEncoder.fit(X, counts.astype(float), categories, scale=scale)
    assert_equal(weighted, FeatureEncoder.fit(np.repeat(X, counts, axis=0), None, categories, scale=scale))


@FEW
@given(table=tables(), data=st.data())
def test_neither_the_order_of_the_rows_nor_the_unit_of_the_weights_matters(table, data):
    X, categories = table
    order = np.array(data.draw(st.permutations(range(len(X)))))
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X))))
    encoder = FeatureEncoder.fit(X, counts.astype(float), categories)
    # Tenths have no exact sums.
    assert_equal(encoder, FeatureEncoder.fit(X[order], counts[order] * 0.1, categories))


@FEW
@given(table=tables(), scale=st.booleans())
def test_one_row_equals_the_batch(table, scale):
    X, categories = table
    encoder = FeatureEncoder.fit(X, None, categories, scale=scale)
    out = encoder.transform(X, np.float32)
    assert out.shape == (len(X), encoder.n_outputs)
    assert len(encoder.names()) == encoder.n_outputs
    for i in range(len(X)):
        np.testing.assert_array_equal(encoder.transform(X[i : i + 1], np.float32), out[i : i + 1])


@FEW
@given(table=tables())
def test_scaled_dense_columns_are_finite_and_between_minus_three_and_three(table):
    X, categories = table
    encoder = FeatureEncoder.fit(X, None, categories)
    assert (np.abs(encoder.transform(X)[:, : encoder.n_dense]) <= 3).all()


@pytest.fixture
def mixed():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(50, 3))
    numbers[::7, 1] = NAN
    X = np.column_stack([numbers, *(rng.integers(0, c, 50) for c in (2, 4, 30))])
    X[::5, 4] = NAN
    return X, FeatureEncoder.fit(X, None, (0, 0, 0, 2, 4, 30))


def test_chunks_are_invisible(mixed, monkeypatch):
    X, encoder = mixed
    whole = encoder.transform(X)
    monkeypatch.setattr(encoding, "CHUNK_VALUES", 3 * encoder.n_outputs)
    np.testing.assert_array_equal(encoder.transform(X), whole)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_output_is_contiguous_and_the_input_is_left_alone(mixed, order):
    X, encoder = mixed
    given_X = np.array(X, order=order)
    given_X.setflags(write=False)
    for part in (encoder, FeatureEncoder.fit(given_X[:, :1]), FeatureEncoder.fit(given_X[:, [0, 2]])):
        out = part.transform(given_X[:, : part.n_features])
        assert out.flags.c_contiguous
        assert out.flags.writeable
        assert not np.shares_memory(out, given_X)
    np.testing.assert_array_equal(given_X, X)


def test_the_dtype_is_that_of_the_input_unless_told(mixed):
    X, encoder = mixed
    assert encoder.transform(X).dtype == np.float64
    assert encoder.transform(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(encoder.transform(X, np.float32), encoder.transform(X).astype(np.float32))


def test_an_encoder_survives_pickling_and_is_small(mixed):
    X, encoder = mixed
    out = encoder.transform(X)
    data = pickle.dumps(encoder)
    assert len(data) < 4096
    np.testing.assert_array_equal(pickle.loads(data).transform(X), out)


@FEW
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.02, 0.2, 0.7]),
    options=st.fixed_dictionaries({name: st.booleans() for name in ("scale", "clip", "embed")}),
    chunk=st.sampled_from([1, encoding.CHUNK_VALUES]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_sparse_rows_are_learned_from_and_encoded_as_dense_ones(seed, density, options, chunk, dtype):
    rng = np.random.default_rng(seed)
    X = rng.choice([NAN, 1.0, 2.0, -3.5, 1e30], (40, 12)) * (rng.random((40, 12)) < density)
    X[:, 0], X[:, 1] = rng.normal(size=40), 4.0  # zeros of the first column do not stay zeros; the second is constant
    X = X.astype(dtype)
    thin, weight = sparse.csr_array(X), rng.integers(0, 3, 40).astype(float) if seed % 2 else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK_VALUES", chunk)
        encoder = FeatureEncoder.fit(X, weight, **options)
        assert_equal(FeatureEncoder.fit(thin, weight, **options), encoder)
        out = encoder.transform(thin)
        assert out.dtype == dtype
        np.testing.assert_array_equal(dense(out), encoder.transform(X))
        none = encoder.transform(sparse.csr_array((3, 12), dtype=dtype))
        np.testing.assert_array_equal(dense(none), encoder.transform(np.zeros((3, 12), dtype)))


def test_what_is_mostly_zeros_stays_sparse(column):
    X = np.zeros((40, 30))
    X[:3], X[:, 7] = 1.0, np.arange(40.0)
    X[5, 2] = NAN
    encoder = FeatureEncoder.fit(sparse.csr_array(X))
    out = encoder.transform(sparse.csr_array(X), np.float32)
    assert out.format == "csr"
    assert out.dtype == "float32"
    # Three rows, a column whose zeros are zeros no more, and a missing value, which becomes 0, with its indicator.
    assert out.nnz == 3 * 30 + 37 + 2
    np.testing.assert_array_equal(out.toarray(), encoder.transform(X, np.float32))
    assert isinstance(encoder.transform(sparse.csr_array(X[:3])), np.ndarray)


def test_the_identity_returns_what_it_gets(column):
    X = column(1, NAN, 1e300)
    encoder = FeatureEncoder.identity(1)
    assert encoder.is_identity
    assert encoder.transform(X, np.float32) is X
    assert (encoder.n_embeddable, encoder.n_dense, encoder.n_outputs, encoder.cardinalities) == (1, 1, 1, ())
    assert encoder.names(["age"]) == ["age"]
    np.testing.assert_array_equal(encoder.affine(), [[0], [1]])


def test_only_what_changes_nothing_is_the_identity():
    X = np.array([[0.0, 1], [1, 2], [1, 3]])
    assert FeatureEncoder.fit(X, scale=False, embed=False).is_identity
    assert not FeatureEncoder.fit(X, scale=False).is_identity  # the first column moves to the end
    assert not FeatureEncoder.fit(X, embed=False).is_identity
    assert not FeatureEncoder.fit(X, categories=(2, 0), scale=False).is_identity
    assert not FeatureEncoder.fit(X - [1, 2], clip=False, embed=False).is_identity
