"""Values that a parameter may be given by mistake; `test_junk_for_functions` and others try each in each place."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd


class Hostile:
    """An object whose methods raise: to look at it is to fail."""

    def _fail(self, *args):
        raise RuntimeError("looked at")

    __repr__ = __len__ = __bool__ = __iter__ = __eq__ = __lt__ = __gt__ = __float__ = __array__ = __getitem__ = _fail
    __hash__ = object.__hash__


#: Name -> how it is made: some can be read once only.
JUNK = {
    "None": lambda: None,
    "True": lambda: True,
    "0": lambda: 0,
    "-1": lambda: -1,
    "7": lambda: 7,
    "2.5": lambda: 2.5,
    "-0.5": lambda: -0.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: -float("inf"),
    "1e150": lambda: 1e150,
    "1e308": lambda: 1e308,
    "5e-324": lambda: 5e-324,
    "2**70": lambda: 2**70,
    "10**400": lambda: 10**400,
    "-10**400": lambda: -(10**400),
    "10**5000": lambda: 10**5000,
    "1j": lambda: 1j,
    "text": lambda: "x",
    "empty text": lambda: "",
    "digits": lambda: "3",
    "NUL": lambda: "a\0b",
    "bytes": lambda: b"x",
    "list": lambda: [],
    "tuple": lambda: (),
    "dict": lambda: {},
    "dict of text": lambda: {"a": 1},
    "set": lambda: {4, 3},
    "ragged": lambda: [[1], [1, 2]],
    "list of None": lambda: [None, None],
    "object": object,
    "type": lambda: type,
    "function": lambda: print,
    "iterator": lambda: iter([4]),
    "generator": lambda: (i for i in (1, 2)),
    "range": lambda: range(3),
    "slice": lambda: slice(3),
    "Ellipsis": lambda: ...,
    "Decimal": lambda: Decimal("0.5"),
    "Fraction": lambda: Fraction(1, 2),
    "float16": lambda: np.float16(0.5),
    "int8": lambda: np.int8(3),
    "bool of NumPy": lambda: np.bool_(True),
    "text of NumPy": lambda: np.str_("x"),
    "array of ints": lambda: np.array([1, 2]),
    "array of floats": lambda: np.array([[0.5, 1.5], [2.5, np.nan]]),
    "array of huge floats": lambda: np.full((4, 3), 1e150),
    "array of the largest floats": lambda: np.array([[1e308, -1e308, 0.0]] * 4),
    "array of tiny floats": lambda: np.array([[5e-324, 1e-323, 0.0]] * 4),
    "array of no axis": lambda: np.array(0.5),
    "empty array": lambda: np.empty((0, 3)),
    "array of text": lambda: np.array([["1", "2", "3"]] * 4),
    "array of complex": lambda: np.ones((4, 3)) * 1j,
    "array of objects": lambda: np.array([[1, None, "a"]] * 4, object),
    "array of huge ints": lambda: np.array([[10**400, 1, 2]] * 4, object),
    "array of bools": lambda: np.ones((4, 3), bool),
    "array of dates": lambda: np.array(["2020-01-01"] * 3, "datetime64[D]"),
    "date": lambda: np.datetime64("2020-01-01"),
    "NA": lambda: pd.NA,
    "NaT": lambda: pd.NaT,
    "frame": lambda: pd.DataFrame({"a": [1.0, 2.0], "b": [None, 1.0]}),
    "series of text": lambda: pd.Series(["a", "b"]),
    "hostile": Hostile,
}
