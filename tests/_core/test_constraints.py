"""What a parameter may be: of any value, in any precision, and however it is shown."""

from decimal import Decimal
from fractions import Fraction

import jax
import numpy as np
import pytest

from skbandit._core.constraints import (
    BOOL,
    NON_NEGATIVE,
    NONE,
    POSITIVE,
    UNIT,
    Number,
    OneOf,
    Where,
    check_values,
    rounded,
    shown,
)

COUNT = Number(1, integral=True)


def of_type(value):
    """Name a case by the type of a value, which may be long or not be shown."""
    return type(value).__name__


class Raises:
    """An object whose every method raises."""

    def _raise(self, *args):
        raise KeyError("asked")

    __eq__ = __bool__ = __float__ = __len__ = __iter__ = __repr__ = __str__ = __lt__ = _raise
    __hash__ = object.__hash__


class Unprintable(str):
    def __repr__(self):
        raise KeyError("shown")


def error_of(value, *allowed, dtype="float32"):
    """Return the message; empty where the value is accepted."""
    try:
        check_values("Owner", {"name": value}, {"name": allowed}, dtype)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("value", "allowed", "in_float32", "in_float64"),
    [
        (1e-300, POSITIVE, "0", ""),
        (1e-40, POSITIVE, "0", ""),  # below the smallest normal number
        (1e-310, POSITIVE, "0", "0"),
        (1.2e-38, POSITIVE, "", ""),
        (1e39, POSITIVE, "inf", ""),
        (1e300, NON_NEGATIVE, "inf", ""),
        (10**400, NON_NEGATIVE, "inf", "inf"),
        (Fraction(10**400, 3), NON_NEGATIVE, "inf", "inf"),
        (np.longdouble("1e400"), NON_NEGATIVE, "inf", "inf"),
        (0.99999999, UNIT, "1", ""),
        (0.9999999, UNIT, "", ""),
        (0.99999999, Number(0, 1, closed="both"), "", ""),
        (1e-300, NON_NEGATIVE, "", ""),
        (-1e-300, Number(-1, 0, closed="neither"), "0", ""),
    ],
    ids=of_type,
)
def test_a_number_is_judged_as_the_precision_holds_it(value, allowed, in_float32, in_float64):
    for dtype, becomes in (("float32", in_float32), ("float64", in_float64)):
        message = error_of(value, allowed, dtype=dtype)
        if becomes:
            assert message.startswith(f"The 'name' parameter of Owner must be {allowed}. Got ")
            assert message.endswith(f", which is {float(becomes):g} in dtype={dtype!r}.")
        else:
            assert not message


def test_a_number_becomes_what_xla_computes_with():
    double = jax.jit(lambda x: x + x)  # XLA takes what is subnormal for 0
    with np.errstate(over="ignore", under="ignore"):
        for value in (1e-40, 1.2e-38, 0.99999999, 1e39, -1e-40, 0.1):
            assert 2 * rounded(value, "float32") == float(double(np.float32(value)))


def test_whole_numbers_have_64_bits():
    assert not error_of(2**63 - 1, COUNT)
    assert not error_of(10**18, COUNT)
    for value in (2**63, 10**400):
        assert error_of(value, COUNT).endswith(", which int64 cannot hold.")
    assert error_of(-(10**400), COUNT).endswith(" instead.")


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(False), 1j, Decimal(1), "1", np.array(1.0), np.array([1.0]), None, np.nan, Raises(), [1.0]],
    ids=of_type,
)
def test_what_is_no_number_is_none(value):
    assert not NON_NEGATIVE.accepts(value)
    assert not COUNT.accepts(value)


@pytest.mark.parametrize("value", [1, 1.0, np.float16(1), np.int8(1), np.float64(1), Fraction(1, 1)])
def test_numbers_of_any_library_are_numbers(value):
    assert NON_NEGATIVE.accepts(value)
    assert COUNT.accepts(value) == (float(value).is_integer() and not isinstance(value, (float, Fraction, np.floating)))


@pytest.mark.parametrize("constraint", [POSITIVE, COUNT, BOOL, NONE, OneOf(("a",)), Where(lambda v: v == 1, "1")])
@pytest.mark.parametrize("value", [Raises(), [Raises()], Unprintable("b"), np.array([1, 1]), 10**5000], ids=of_type)
def test_a_value_that_cannot_be_asked_or_shown_is_refused_in_words(constraint, value):
    message = error_of(value, constraint)
    assert isinstance(value, int) or not constraint.accepts(value)
    assert isinstance(value, int) or f"'name' parameter of Owner must be {constraint}" in message
    assert len(message) < 500


def test_the_first_that_accepts_is_enough():
    assert not error_of(10**18, COUNT, Where(lambda v: v == np.inf, "inf"))
    assert not error_of(np.inf, COUNT, Where(lambda v: v == np.inf, "inf"))
    assert error_of("b", COUNT, OneOf(("auto",))).endswith("an int in the range [1, inf) or 'auto'. Got 'b' instead.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (1.5, "1.5"),
        (Raises(), "<Raises instance at"),
        (Unprintable("a"), "<Unprintable instance at"),
        (10**5000, "an object of type int"),
    ],
    ids=of_type,
)
def test_values_are_shown(value, text):
    assert shown(value).startswith(text)


@pytest.mark.parametrize(
    "value", ["x" * 10**6, 10**400, list(range(10**5)), np.zeros((1000, 1000)), {"a": "b" * 10**5}], ids=of_type
)
def test_values_are_shown_cut_short(value):
    assert len(shown(value)) < 500


def test_the_ends_of_an_interval_are_written_out():
    assert str(Number(0, 2**32 - 1, closed="both", integral=True)) == "an int in the range [0, 4294967295]"
    assert str(Number(1, 1e9, closed="both")) == "a float in the range [1, 1e+09]"


def test_values_are_shown_on_one_line():
    assert "\n" not in shown(np.eye(9))
    assert "\n" not in shown(np.ma.masked_array(np.eye(9), np.eye(9) > 0))
    assert shown([1.5, "a"]) == "[1.5, 'a']"
