import decimal
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import OrdinalEncoder

from skbandit._tabular.features.reader import FeatureReader

NAN = np.nan
FRAMES = {"pandas": pd.DataFrame, "polars": lambda data: pl.DataFrame(data, strict=False)}


def categorical(library, values):
    return pd.Categorical(values) if library == "pandas" else pl.Series(values, dtype=pl.Categorical)


@pytest.fixture(params=["pandas", "polars"])
def library(request):
    return request.param


@pytest.fixture
def frame(library):
    """Return a frame with a column of categories between two of numbers."""
    data = {"age": [20.5, 30.0, 40.0], "colour": categorical(library, ["red", None, "blue"]), "n": [1, 2, 3]}
    return FRAMES[library](data)


CODES = [[20.5, 1, 1], [30, NAN, 2], [40, 0, 3]]


# Which columns


def test_from_dtype_finds_the_categories_of_a_frame(frame):
    reader = FeatureReader.fit(frame)
    assert reader.categories == (0, 2, 0)
    assert reader.values == ((), ("blue", "red"), ())
    assert reader.names == ("age", "colour", "n")
    converted = reader.convert(frame)
    assert converted.dtype == np.float64
    np.testing.assert_array_equal(converted, CODES)


def test_from_dtype_finds_a_polars_enum():
    frame = pl.DataFrame({"size": pl.Series(["S", "L", None], dtype=pl.Enum(["S", "M", "L"])), "n": [1, 2, 3]})
    reader = FeatureReader.fit(frame)
    assert reader.values == (("L", "S"), ())  # what occurs, in the order of the values
    np.testing.assert_array_equal(reader.convert(frame), [[1, 1], [0, 2], [NAN, 3]])


@pytest.mark.parametrize(
    "categorical_features",
    [
        *(["colour"], ("colour",), np.array(["colour"]), pd.Index(["colour"]), [1], np.array([1], np.uint8), [1, 1]),
        *([False, True, False], np.array([False, True, False]), pd.Series([False, True, False])),
    ],
)
def test_categories_are_declared_by_name_number_or_mask(frame, categorical_features):
    np.testing.assert_array_equal(FeatureReader.fit(frame, categorical_features).convert(frame), CODES)


@pytest.mark.parametrize("categorical_features", [None, "from_dtype", [], np.array([]), [False, False]])
@pytest.mark.parametrize(
    "X",
    [
        *(np.ones((3, 2), np.float32), [[1, 2], [3, 4]], pd.DataFrame({"a": [1, 2]}, index=[5, 6]).assign(b=True)),
        *(
            pl.DataFrame({"a": [1.5, None], "b": [True, False]}),
            pd.DataFrame({"a": pd.array([1, None]), "b": ["1", "2"]}),
        ),
    ],
)
def test_without_categories_x_passes_untouched(X, categorical_features):
    reader = FeatureReader.fit(X, categorical_features)
    assert reader.is_trivial
    assert reader.categories == ()
    assert reader.convert(X) is X


def test_sparse_rows_pass_untouched():
    X = sparse.csr_array(np.eye(3))
    assert FeatureReader.fit(X).convert(X) is X
    assert FeatureReader.fit(X, []).convert(X) is X


@pytest.mark.parametrize("X", [np.float64(1), [1, 2], "text", None])
def test_what_is_no_table_is_left_to_scikit_learn(X):
    assert FeatureReader.fit(X).convert(X) is X


# Values


def test_rows_of_python_objects():
    X = [["a", 1.5, True], ["b", None, False], [None, 3, None]]
    reader = FeatureReader.fit(X, [0, 2])
    assert reader.values == (("a", "b"), (), (False, True))
    np.testing.assert_array_equal(reader.convert(X), [[0, 1.5, 1], [1, NAN, 0], [NAN, 3, NAN]])
    np.testing.assert_array_equal(reader.convert(np.array(X, dtype=object)), reader.convert(X))


@pytest.mark.parametrize("missing", [None, NAN, float("nan"), pd.NA, pd.NaT, np.float32("nan"), decimal.Decimal("NaN")])
def test_whatever_is_missing_is_nan(missing):
    X = np.array([["b", 1], [missing, missing], ["a", 2]], dtype=object)
    reader = FeatureReader.fit(X, [0])
    assert reader.categories == (2, 0)
    np.testing.assert_array_equal(reader.convert(X), [[1, 1], [NAN, NAN], [0, 2]])
    # At prediction alone, too.
    np.testing.assert_array_equal(FeatureReader.fit(X[[0, 2]], [0]).convert(X), reader.convert(X))


def test_an_unseen_category_is_nan(frame, library):
    reader = FeatureReader.fit(frame)
    new = FRAMES[library]({"age": [1.0], "colour": categorical(library, ["green"]), "n": [1]})
    np.testing.assert_array_equal(reader.convert(new), [[1, NAN, 1]])


def test_a_column_of_missing_categories_has_one_that_never_occurs():
    X = pd.DataFrame({"a": pd.Categorical([None, None]), "b": [1, 2]})
    reader = FeatureReader.fit(X)
    assert reader.categories == (1, 0)
    assert reader.values == ((), ())
    np.testing.assert_array_equal(reader.convert(X), [[NAN, 1], [NAN, 2]])


def test_categories_of_rows_that_do_not_count_are_forgotten():
    X = pd.DataFrame({"c": pd.Categorical(["z", "a", None, "m", "z"]), "x": np.arange(5.0)})
    reader = FeatureReader.fit(X)
    fewer, codes = reader.restricted(reader.convert(X), np.array([True, False, True, True, True]))
    assert fewer.values == (("m", "z"), ())
    np.testing.assert_array_equal(codes[:, 0], [1, np.nan, np.nan, 0, 1])
    np.testing.assert_array_equal(codes, fewer.convert(X))
    assert reader.values == (("a", "m", "z"), ())
    none, codes = reader.restricted(reader.convert(X), X["x"].to_numpy() == 2)
    assert (none.values, none.categories) == (((), ()), (1, 0))
    assert np.isnan(codes[:, 0]).all()


def test_a_column_of_several_types_is_sorted_by_type():
    X = np.array([["b"], [2], ["a"], [(1, 2)], [10], [None]], dtype=object)
    reader = FeatureReader.fit(X, [0])
    assert reader.values == ((10, 2, "a", "b", (1, 2)),)
    np.testing.assert_array_equal(reader.convert(X)[:, 0], [3, 1, 2, 4, 0, NAN])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.one_of(
        st.lists(st.one_of(st.integers(-5, 5), st.floats(-2, 2)), min_size=1),
        st.lists(st.one_of(st.text(max_size=2), st.none()), min_size=1).filter(any),
    )
)
def test_the_codes_are_those_of_scikit_learn(values):
    X = np.array(values, dtype=object)[:, None]
    # To scikit-learn None is another category.
    X_nan = np.array([NAN if value is None else value for value in values], dtype=object)[:, None]
    oracle = OrdinalEncoder(encoded_missing_value=NAN).fit_transform(X_nan)
    np.testing.assert_array_equal(FeatureReader.fit(X, [0]).convert(X), oracle)


@pytest.mark.parametrize("values", [[1, None], [True, None], [1.5, None], ["1.5", None]])
def test_numbers_beside_categories_become_floats(library, values):
    X = FRAMES[library]({"number": values, "c": categorical(library, ["a", "b"])})
    np.testing.assert_array_equal(FeatureReader.fit(X).convert(X), [[float(values[0]), 0], [NAN, 1]])


@pytest.mark.parametrize("dtype", ["Int8", "boolean", "Float64", object, "Sparse"])
def test_the_dtypes_of_pandas_become_floats(dtype):
    X = pd.DataFrame({"number": pd.Series([1, None], dtype=dtype), "c": pd.Categorical(["a", "b"])})
    np.testing.assert_array_equal(FeatureReader.fit(X).convert(X), [[1, 0], [NAN, 1]])


def test_float32_stays_where_all_numbers_are(library):
    number = np.array([1, 2], np.float32)
    X = FRAMES[library]({"a": number, "c": categorical(library, ["a", "b"])})
    assert FeatureReader.fit(X).convert(X).dtype == np.float32
    X = FRAMES[library]({"a": number, "c": categorical(library, ["a", "b"]), "b": [1, 2]})
    assert FeatureReader.fit(X).convert(X).dtype == np.float64
    array = np.array([[1, 2], [3, 4]], np.float32)
    converted = FeatureReader.fit(array, [1]).convert(array)
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, [[1, 0], [3, 1]])
    np.testing.assert_array_equal(array, [[1, 2], [3, 4]])
    assert FeatureReader.fit(array, [0, 1]).convert(array).dtype == np.float64


def test_categories_are_mapped_by_value_whatever_their_order():
    fitted = pd.DataFrame({"c": pd.Categorical(["b", "a", "c"], categories=["c", "b", "a"], ordered=True)})
    reader = FeatureReader.fit(fitted)
    np.testing.assert_array_equal(reader.convert(fitted)[:, 0], [1, 0, 2])
    for c in (
        pd.Categorical(["b", "c", "d"], categories=["d", "c", "b"]),
        pd.Series(["b", "c", "d"]),
        pd.Series(["b", "c", "d"], dtype=object),
    ):
        np.testing.assert_array_equal(reader.convert(pd.DataFrame({"c": c}))[:, 0], [1, 2, NAN])
    for dtype in (pl.String, pl.Categorical, pl.Enum(["d", "c", "b"])):
        new = pl.DataFrame({"c": pl.Series(["b", "c", "d"], dtype=dtype)})
        np.testing.assert_array_equal(reader.convert(new)[:, 0], [1, 2, NAN])


def test_an_array_serves_where_a_frame_was_fitted(frame):
    reader = FeatureReader.fit(frame)
    array = np.array([[20.5, "red", 1], [30, None, 2], [40, "blue", 3]], dtype=object)
    np.testing.assert_array_equal(reader.convert(array), CODES)
    np.testing.assert_array_equal(reader.convert(array.tolist()), CODES)
    np.testing.assert_array_equal(reader.convert(array[[0, 2]].astype(str)), np.array(CODES)[[0, 2]])


def test_one_row_equals_the_batch(frame):
    reader = FeatureReader.fit(frame)
    for i, codes in enumerate(CODES):
        np.testing.assert_array_equal(reader.convert(frame[i : i + 1]), [codes])


def test_a_reader_survives_pickling(frame):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(FeatureReader.fit(frame))).convert(frame), CODES)


# Text


TEXT = {"pandas": ["str", "string", "object"], "polars": [pl.String]}


@pytest.mark.parametrize("dtype", range(3))
def test_a_column_of_few_texts_holds_categories(library, dtype):
    kinds = TEXT[library]
    series = pd.Series if library == "pandas" else pl.Series
    city = series(["Ulm", "Bonn", None, "Ulm"], dtype=kinds[min(dtype, len(kinds) - 1)])
    X = FRAMES[library]({"n": [1, 2, 3, 4], "city": city})
    reader = FeatureReader.fit(X)
    assert reader.values == ((), ("Bonn", "Ulm"))
    np.testing.assert_array_equal(reader.convert(X)[:, 1], [1, 0, NAN, 1])
    # What fit found holds, however the column comes back.
    for back in (categorical(library, ["Bonn"]), ["Bonn "]):
        np.testing.assert_array_equal(reader.convert(FRAMES[library]({"n": [1], "city": back})), [[1, 0]])
    np.testing.assert_array_equal(reader.convert(FRAMES[library]({"n": [1], "city": [2.5]})), [[1, NAN]])


@pytest.mark.parametrize(
    ("n_distinct", "n_rows", "holds"),
    [(10, 10, True), (11, 11, False), (11, 32, False), (11, 33, True), (33, 99, True), (33, 98, False)],
)
def test_texts_are_few_where_each_has_three_rows_on_average(library, n_distinct, n_rows, holds):
    texts = [f"city {i % n_distinct}" for i in range(n_rows)]
    X = FRAMES[library]({"city": [*texts, None, None]})  # missing ones do not count
    if holds:
        assert FeatureReader.fit(X).categories == (n_distinct,)
    else:
        message = (
            f"Column 'city' of X must hold numbers, but .*'city 0'.* declare the column in 'categorical_features'.*"
            f" {n_distinct} distinct texts in {n_rows} rows, too many"
        )
        with pytest.raises(ValueError, match=message):
            FeatureReader.fit(X)
        assert FeatureReader.fit(X, ["city"]).categories == (n_distinct,)


def test_text_that_is_numbers_is_numbers(library):
    X = FRAMES[library]({"n": ["1.5", None, "-2"], "city": ["Ulm", "Ulm", "Bonn"]})
    reader = FeatureReader.fit(X)
    assert reader.categories == (0, 2)
    np.testing.assert_array_equal(reader.convert(X), [[1.5, 1], [NAN, 1], [-2, 0]])
    assert FeatureReader.fit(X[["n"]]).is_trivial


@pytest.mark.parametrize("texts", [[f"{i},5" for i in range(11)], [str(i) for i in range(11)] + ["n/a"]])
def test_many_numbers_written_badly_are_no_categories(library, texts):
    X = FRAMES[library]({"price": texts * 9})
    with pytest.raises(ValueError, match=r"Column 'price' of X must hold numbers.*Most of its texts look like numbers"):
        FeatureReader.fit(X)
    # Few of them may be meant as they are: numbers of children, "3+" among them.
    children = ["0", "1", "2", "3+"] * 9
    assert FeatureReader.fit(FRAMES[library]({"children": children})).values == (("0", "1", "2", "3+"),)


def test_numbers_beside_text_are_no_categories():
    X = pd.DataFrame({"n": pd.Series([1, "1", "a", "a"], dtype=object)})
    with pytest.raises(ValueError, match=r"Column 'n' of X must hold numbers, but .*'a'"):
        FeatureReader.fit(X)
    assert FeatureReader.fit(X, ["n"]).values == ((1, "1", "a"),)


def test_answers_are_numbers():
    X = pd.DataFrame({"a": [True, False], "b": pd.Series([True, None], dtype=object)})
    assert FeatureReader.fit(X).is_trivial
    np.testing.assert_array_equal(FeatureReader.fit(X.assign(c="Ulm")).convert(X.assign(c="Ulm"))[0], [1, 1, 0])


# Remarks


def test_a_column_of_unknown_categories_is_remarked_on(library):
    def of(kinds):
        return FRAMES[library]({"kind": categorical(library, kinds), "n": np.arange(len(kinds))})

    reader = FeatureReader.fit(of(["a", "b", "c"]))
    (remark,) = reader.read(of(["x", "y", "x", "x", "z", "a", None, None])).remarks
    assert remark == (
        "Column 'kind' of X has unknown categories in 5 of 6 rows, such as ['x', 'y', 'z']: they count as missing. "
        "Known are those of the fit, such as ['a', 'b', 'c']. Give the values that were given to fit."
    )
    assert not reader.read(of(["x"] * 4)).remarks  # a few rows only
    assert not reader.read(of(["x", "a"] * 50)).remarks  # not most
    assert reader.read(of(["x", "a"] * 50 + ["x"])).remarks
    assert not reader.read(of([None] * 50)).remarks
    assert not reader.read(of([" a", "b ", "c", "c", "c"])).remarks


def test_categories_where_fit_had_none_are_remarked_on():
    reader = FeatureReader.fit(pd.DataFrame({"c": pd.Categorical([None, None])}))
    (remark,) = reader.read(pd.DataFrame({"c": ["x"] * 9})).remarks
    assert "Known are those of the fit, of which there was none: all were missing." in remark


def test_long_values_are_cut_short_in_a_remark():
    reader = FeatureReader.fit(pd.DataFrame({"c": pd.Categorical([f"{i}" * 99 for i in range(9)])}))
    (remark,) = reader.read(pd.DataFrame({"c": ["x" * 99] * 9})).remarks
    assert len(remark) < 500


@pytest.mark.parametrize(
    ("n_categories", "n_rows", "remarked"), [(19, 19, False), (20, 20, True), (17, 20, True), (16, 20, False)]
)
def test_a_column_of_almost_as_many_categories_as_rows_is_remarked_on(n_categories, n_rows, remarked):
    names = [f"p{i % n_categories}" for i in range(n_rows)]
    X = pd.DataFrame({"who": pd.Categorical([*names, None]), "n": 1.0})
    reader = FeatureReader.fit(X)
    remarks = reader.remarks_on_categories(reader.convert(X))
    assert bool(remarks) == remarked
    if remarked:
        assert f"Column 'who' of X has {n_categories} categories in {n_rows} rows, such as ['p0', " in remarks[0]


# Errors


def test_a_lazy_frame_has_no_rows(frame, library):
    reader = FeatureReader.fit(frame)
    lazy = pl.LazyFrame({"age": [1.0], "colour": ["red"], "n": [1]})
    for call in (FeatureReader.fit, reader.convert, FeatureReader.fit(np.eye(2)).convert):
        with pytest.raises(ValueError, match=r"X is a LazyFrame, .* call \.collect\(\) first"):
            call(lazy)


@pytest.mark.parametrize(
    ("categorical_features", "message"),
    [
        ("colour", r"must be None, 'from_dtype', or an array-like of .*Got 'colour' instead"),
        (1, r"must be None.*Got 1 instead"),
        ([1.0], r"must be None.*Got \[1\.0\] instead"),
        ([1, "colour"], r"must be None.*Got \[1, 'colour'\] instead"),
        ([True, 1, 0], r"must be None.*Got \[True, 1, 0\] instead"),
        (["color", "n"], r"has \['color'\], which X has not. Its columns are \['age', 'colour', 'n'\]"),
        ([0, 3], r"has \[3\], which X has not. Its columns are 0 to 2"),
        ([-1], r"has \[-1\], which X has not"),
        ([True, False], r"is a mask of 2 columns, but X has 3"),
    ],
)
def test_what_categorical_features_cannot_be(frame, categorical_features, message):
    with pytest.raises(ValueError, match="'categorical_features' " + message):
        FeatureReader.fit(frame, categorical_features)


def test_names_need_a_frame():
    with pytest.raises(ValueError, match=r"'categorical_features' names columns, \['a'\], but X is no data frame"):
        FeatureReader.fit(np.ones((2, 2)), ["a"])


def test_sparse_rows_have_no_categories():
    X = sparse.csr_array(np.eye(3))
    with pytest.raises(ValueError, match=r"'categorical_features'=\[0\] needs a dense X"):
        FeatureReader.fit(X, [0])
    with pytest.raises(ValueError, match="X is sparse"):
        FeatureReader.fit(np.eye(3), [0]).convert(X)


def test_text_must_be_declared(library):
    X = FRAMES[library]({"n": [1, 2], "city": ["Rome", None], "c": categorical(library, ["a", "b"])})
    message = "Column 'city' of X must hold numbers, but .*'Rome'. .* declare the column in 'categorical_features'"
    for categorical_features in (["c"], None, [0]):
        with pytest.raises(ValueError, match=message):
            FeatureReader.fit(X, categorical_features)
    with pytest.raises(ValueError, match=r"Column 'c' of X must hold numbers.*'a'"):
        FeatureReader.fit(X, ["city"])
    with pytest.raises(ValueError, match=r"Column 1 of X must hold numbers.*'Rome'"):
        FeatureReader.fit([["a", "Rome"]], [0]).convert([["a", "Rome"]])


def test_dates_are_no_numbers():
    X = pd.DataFrame({"when": pd.to_datetime(["2020-01-01"]), "c": pd.Categorical(["a"])})
    with pytest.raises(ValueError, match="Column 'when' of X must hold numbers, but it is of dtype datetime64"):
        FeatureReader.fit(X)


def test_lists_are_no_categories():
    X = np.empty((1, 1), object)
    X[0, 0] = [1, 2]
    with pytest.raises(ValueError, match=r"Column 0 of X cannot hold categories: .*list"):
        FeatureReader.fit(X, [0])
    with pytest.raises(ValueError, match=r"Column 0 of X cannot hold categories: .*list"):
        FeatureReader.fit([["a"]], [0]).convert(X)


def test_columns_at_prediction_are_those_of_fit(frame):
    reader = FeatureReader.fit(frame)
    with pytest.raises(ValueError, match="X has 2 features, but 3 are expected"):
        reader.convert(frame[["age", "colour"]])
    with pytest.raises(
        ValueError, match=r"must be those of fit, \['age', 'colour', 'n'\]. Got \['n', 'colour', 'age'\]"
    ):
        reader.convert(frame[["n", "colour", "age"]])
    with pytest.raises(ValueError, match=r"Expected a 2D X, got an array of shape \(3,\)"):
        reader.convert(["a", "b", "c"])


# ---------------------------------------------------------------------- more rows


def test_other_rows_bring_categories_behind_those_that_are_known():
    reader = FeatureReader.fit([["b", 1.0], ["c", 2.0]], [0]).extended(
        [["a", 3.0], ["b", 4.0], ["d", 5.0], [None, 6.0]]
    )
    assert reader.values == (("b", "c", "a", "d"), ())
    np.testing.assert_array_equal(reader.convert([["d", 0.0], ["b", 0.0]])[:, 0], [3, 0])


def test_rows_without_others_leave_the_reader_as_it_is():
    reader = FeatureReader.fit([["b", 1.0], ["c", 2.0]], [0])
    assert reader.extended([["c", 1.0], [None, 2.0]]) is reader
    assert reader.extended([["c"]]) is reader  # for `read` to complain of
    # What matches loosely is no other category.
    numbers = FeatureReader.fit([[1], [2]], [0])
    assert numbers.extended([["1"], [2.0]]) is numbers


def test_categories_that_are_known_stay_where_rows_lack_them():
    reader = FeatureReader.fit([["b"], ["c"]], [0]).extended([["a"], ["d"]])
    codes = reader.convert([["a"], ["d"]])
    restricted, codes = reader.restricted(codes, np.array([False, True]), (2,))
    assert restricted.values == (("b", "c", "d"),)
    np.testing.assert_array_equal(codes, [[np.nan], [2]])


def test_what_is_named_beforehand_is_all_there_is():
    reader = FeatureReader.fit([["b"], [None]], None, {0: ["c", "b"]})
    assert reader.values == (("c", "b"),)
    assert reader.restricted(reader.convert([["b"]]), np.array([False]))[0].values == (("c", "b"),)
    with pytest.raises(ValueError, match=r"Column 0 of X has values that 'categories' does not name.*\['x'\]"):
        reader.extended([["x"]])
    assert np.isnan(reader.convert([["x"]])).all()


@pytest.mark.parametrize("texts", [["1,5", "2,5", "10,0"], ["12%", "5%"], ["1.000.000", "2.500.000"]])
def test_few_texts_that_all_look_like_numbers_are_not_taken_for_categories(texts):
    with pytest.raises(ValueError, match=r"'price'.*look like numbers.*categorical_features|look like numbers"):
        FeatureReader.fit(pd.DataFrame({"price": texts * 10}))


@pytest.mark.parametrize("texts", [["0", "1", "2", "3+"], ["0-17", "18-25"], ["A1/B2", "A2"]])
def test_labels_with_digits_are_categories(texts):
    assert FeatureReader.fit(pd.DataFrame({"age": texts * 10})).categories == (len(texts),)


def test_rows_that_are_not_there_do_not_tell_whether_text_is_categories():
    frame = pd.DataFrame({"city": ["Ulm", "Rom"] * 20 + [f"street {i}" for i in range(20)]})
    with pytest.raises(ValueError, match="22 distinct texts in 60 rows"):
        FeatureReader.fit(frame)
    assert FeatureReader.fit(frame, rows=np.arange(60) < 40).columns[0] is not None


@pytest.mark.parametrize("values", [[(1, 2), (3, 4)], [[1, 2], [3, 4]]])
def test_a_column_of_sequences_is_named(values):
    with pytest.raises(ValueError, match=r"Column 'n' of X must hold numbers, but its values are sequences"):
        FeatureReader.fit(pd.DataFrame({"n": values * 9, "c": list("ab") * 9}))


@pytest.mark.parametrize("values", [np.array(3), np.array([["a", "b"]]), "ab"])
def test_named_categories_are_a_list(values):
    with pytest.raises(ValueError, match="'categories' must give a list of values for Column 'c' of X"):
        FeatureReader.fit(pd.DataFrame({"c": list("ab") * 9}), categories={"c": values})
