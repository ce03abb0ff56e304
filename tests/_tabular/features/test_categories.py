"""How values match categories, by a table of what tables of people hold and by random columns."""

import datetime
import decimal
import io
import pickle
import unicodedata
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.features.categories import Categories, Found

NAN = np.nan
SINGLE = float(np.float32(0.1))
NOON = datetime.datetime(2020, 1, 1, 12, 30)
UUID = uuid.UUID(int=7)


def column(values):
    """Return an array of objects, whatever the values."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def codes(seen, asked):
    return Categories.of(column(seen)).find(column(asked)).codes


def match(seen, value):
    """Return what a value is taken for; None where it is unknown."""
    (code,) = codes(seen, [value])
    return None if np.isnan(code) else Categories.of(column(seen)).values[int(code)]


@pytest.mark.parametrize(
    ("seen", "value", "meant"),
    [
        # whole numbers: text of CSV and JSON, floats beside missing values, and the text of those
        *[([3, 4], value, 3) for value in ("3", "3.0", " 3 ", "03", 3.0, np.int8(3), decimal.Decimal(3), b"3")],
        *[(["3", "4"], value, "3") for value in (3, 3.0, "3.0", np.float32(3), "03")],
        *[(["3.0", "4.0"], value, "3.0") for value in (3, 3.0, "3")],
        *[(["007", "008"], value, "007") for value in (7, "7", 7.0)],
        *[([7], value, 7) for value in ("007", "+7")],
        ([2**63 + 1], str(2**63 + 1), 2**63 + 1),
        # other numbers
        *[([0.1, 0.5], value, 0.1) for value in ("0.1", "0.10", np.float32(0.1), SINGLE, decimal.Decimal("0.1"))],
        *[([SINGLE, 0.5], value, SINGLE) for value in (0.1, "0.1", np.float32(0.1))],
        (["0.1", "0.5"], 0.1, "0.1"),
        (["0.1", "0.5"], np.float32(0.1), "0.1"),
        ([0.3], 0.1 + 0.2, 0.3),
        ([1e-05, 1e16], "1e-05", 1e-05),
        ([1e-05, 1e16], "1e+16", 1e16),
        # truth values
        *[([True, False], value, True) for value in (1, 1.0, "True", "true", "TRUE", "1", np.True_)],
        *[([0, 1], value, 1) for value in (True, "True", "true")],
        *[(["true", "false"], value, "true") for value in (True, "True", 1, "1")],
        *[(["True", "False", "not asked"], value, "True") for value in (True, "true")],
        ([True, False, "not asked"], "true", True),
        # text
        *[(["Ulm", "Bonn"], value, "Ulm") for value in (" Ulm ", "Ulm\n", b"Ulm", np.str_("Ulm"), np.bytes_(b"Ulm "))],
        ([" Ulm"], "Ulm", " Ulm"),
        ([b"Ulm"], "Ulm", b"Ulm"),
        (["Köln"], unicodedata.normalize("NFD", "Köln"), "Köln"),
        (["Köln"], "Köln".encode(), "Köln"),
        # dates
        *[(["2020-01-01"], value, "2020-01-01") for value in (pd.Timestamp("2020-01-01"), datetime.date(2020, 1, 1))],
        *[([pd.Timestamp(NOON)], value, NOON) for value in ("2020-01-01 12:30", "2020-01-01T12:30:00", NOON)],
        (["2020-01-01 00:00:00"], "2020-01-01", "2020-01-01 00:00:00"),
        # other objects
        ([pd.Interval(0, 10)], "(0, 10]", pd.Interval(0, 10)),
        ([str(UUID)], UUID, str(UUID)),
        (["2020Q1"], pd.Period("2020Q1"), "2020Q1"),
    ],
)
def test_the_same_value_in_another_type_is_known(seen, value, meant):
    assert match(seen, value) == meant


@pytest.mark.parametrize(
    ("seen", "value"),
    [
        (["a", "b"], 0),  # codes in place of labels
        ([1, 2], "x"),
        ([1, 2], ""),
        (["Ulm"], "ulm"),
        # texts that are one number, but may be two codes or versions
        (["07"], "007"),
        (["1.1"], "1.10"),
        # what looks like a number to some
        ([100_000], "1e5"),
        ([1000], "1_000"),
        ([1000], "1,000"),
        ([1], "\u0661"),  # a digit of another script
        # other numbers: 1700000000.5 has the float32 of the second
        ([1_700_000_000.5], 1_700_000_050.25),
        ([2**24 + 1], float(2**24)),
        ([1e-300], 1e-310),
        ([0, 1, 2], "true"),
        ([1], decimal.Decimal("1e999999999")),  # written out, it would not end
        ([1], "1e+999999999"),
        ([1], "9" * 5000),
        ([1], 1j),
        ([1], float("inf")),
        ([NOON], "2020-01-01"),
    ],
)
def test_another_value_is_unknown(seen, value):
    assert match(seen, value) is None


@pytest.mark.parametrize(
    ("seen", "ambiguous"),
    [
        ([1, "1"], "1.0"),
        (["a", " a"], "a  "),
        (["007", "7"], 7),
        (["007", "7"], "07"),
        (["1.1", "1.10"], 1.1),
        ([0.1, np.nextafter(0.1, 1)], np.nextafter(0.1, 0)),
        (["true", "True"], "TRUE"),
        (["2020-01-01", datetime.date(2020, 1, 1)], pd.Timestamp("2020-01-01")),
    ],
)
def test_what_would_match_two_categories_matches_none(seen, ambiguous):
    categories = Categories.of(column(seen))
    assert len(categories.values) == 2
    np.testing.assert_array_equal(categories.find(column(categories.values)).codes, [0, 1])
    assert match(seen, ambiguous) is None


def test_unknown_and_missing_values_are_counted():
    found = Categories(("a", "b")).find(column(["a", "x", None, " b", "x", NAN, pd.NA, "y", pd.NaT]))
    np.testing.assert_array_equal(found.codes, [0, NAN, NAN, 1, NAN, NAN, NAN, NAN, NAN])
    assert found[1:] == (4, 3, ("x", "y"))
    assert Categories(("a",)).find(column(["a"]))[1:] == Found(NAN)[1:] == (0, 0, ())


def test_new_categories_come_behind_those_that_are_known():
    categories = Categories.of(column(["m", "c"])).extended(["z", "a", "m", None, NAN])
    assert categories.values == ("c", "m", "a", "z")
    np.testing.assert_array_equal(categories.find(column(["a", " z ", "c"])).codes, [2, 3, 0])


def test_dates_of_an_array_are_read_as_text():
    dates = np.array(["2020-01-02", "NaT", "2020-01-01"], "M8[ns]")
    categories = Categories.of(dates)
    np.testing.assert_array_equal(categories.find(dates).codes, [1, NAN, 0])
    np.testing.assert_array_equal(categories.find(column(["2020-01-01"])).codes, [0])


def test_pickled_categories_are_their_values():
    categories = Categories(("a", "b"))
    before = pickle.dumps(categories)
    categories.find(column([" a"]))
    assert pickle.dumps(categories) == before
    np.testing.assert_array_equal(pickle.loads(before).find(column([" a"])).codes, [0])


# Random columns

NUMBERS = st.one_of(st.integers(-3, 12), st.integers(), st.floats(allow_nan=False), st.floats(-2, 2, width=16))
WORDS = st.sampled_from(["a", " a", "a ", "", "7", "07", "007", "7.0", "1.10", "1.1", "true", "True", "1e5", "nan"])
PEOPLE = st.one_of(
    st.lists(NUMBERS, min_size=1, max_size=8),
    st.lists(st.one_of(WORDS, st.text(max_size=3)), min_size=1, max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=8),
    st.lists(st.dates(), min_size=1, max_size=8),
    st.lists(
        st.one_of(NUMBERS, WORDS, st.booleans(), st.dates(), st.datetimes(), st.decimals(allow_nan=False), st.none()),
        min_size=1,
        max_size=8,
    ),
)
#: What happens to values on their way; None where it does not apply.
CHANGES = {
    "text": str,
    "padded": lambda value: f" {value} ",
    "bytes": lambda value: str(value).encode("utf-8", "surrogateescape"),
    "float": lambda value: float(value) if isinstance(value, (int, float)) and abs(value) < 2**53 else None,
    "float32": lambda value: float(np.float32(value)) if isinstance(value, float) and abs(value) < 1e30 else None,
    "text of float": lambda value: str(float(value)) if isinstance(value, int) and abs(value) < 2**53 else None,
    "lower": lambda value: str(value).lower() if isinstance(value, bool) else None,
}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(seen=PEOPLE, change=st.sampled_from(list(CHANGES)))
def test_a_changed_value_is_known_as_itself_or_not_at_all(seen, change):
    categories = Categories.of(column(seen))
    known = column(categories.values)
    np.testing.assert_array_equal(categories.find(known).codes, np.arange(len(known)))
    for code, value in enumerate(known):
        changed = CHANGES[change](value)
        if changed is None:
            continue
        (got,) = categories.find(column([changed])).codes
        # What equals another category is that category: "1" beside 1.
        equal = [other for other, category in enumerate(categories.values) if category == changed]
        assert np.isnan(got) or got == (equal[0] if equal else code)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seen=PEOPLE, asked=PEOPLE)
def test_rows_are_read_alone_as_together(seen, asked):
    together = codes(seen, asked * 3)
    alone = np.concatenate([codes(seen, [value]) for value in asked] * 3)
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.lists(st.integers(-99, 99), min_size=1),
        st.lists(st.floats(-9, 9), min_size=1),
        st.lists(st.booleans(), min_size=1),
        st.lists(st.dates(datetime.date(1700, 1, 1)), min_size=1),
        st.lists(st.text("abc xyz", min_size=1).filter(str.strip), min_size=1),
    )
)
def test_a_column_comes_back_from_csv(values):
    right = codes(values, values)
    text = pd.DataFrame({"c": values}).to_csv(index=False)
    for dtype in (None, str):
        back = pd.read_csv(io.StringIO(text), dtype=dtype, keep_default_na=False)["c"]
        np.testing.assert_array_equal(codes(values, back.tolist()), right)


@pytest.mark.parametrize(
    ("values", "column", "known"),
    [
        # Two days of January 2024 round to one number in float32, and a third stays itself.
        ([20240103, 20240104, 20240116], np.array([20240103, 20240104, 20240116], "float32"), [False, False, True]),
        ([20240102, 20240104], np.array([20240102, 20240104], "float32"), [True, True]),
        ([7, 2**53, 2**53 + 1], np.array([7, 2**53, 2**53 + 1], "float64"), [True, False, False]),
        ([2049, 2050, 2051], np.array([2049, 2050, 2051], "float16"), [False, True, False]),
        ([2049, 2050], np.array([2049, 2050], "float32"), [True, True]),
    ],
)
@pytest.mark.parametrize("copies", [1, 20])
def test_a_float_that_several_whole_numbers_round_to_is_none_of_them(values, column, known, copies):
    found = Categories.of(np.array(values)).find(np.repeat(column, copies))
    expected = [code if sure else np.nan for code, sure in zip(range(len(values)), known, strict=True)]
    np.testing.assert_array_equal(found.codes, np.repeat(expected, copies))
    assert found.n_unknown == copies * known.count(False)


def test_infinity_is_known_by_its_text():
    known = Categories.of(np.array([1.0, 2.0, np.inf, -np.inf]))
    np.testing.assert_array_equal(known.find(np.array(["inf", "-inf", "2.0"], dtype=object)).codes, [3, 0, 2])
