"""Values that no parameter is meant to be given, by what they are; each is made anew where it may be used up."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import optax
import pandas as pd
import polars as pl
from scipy import sparse


class Raises:
    """An object of which nothing can be asked."""

    def _raise(self, *args, **kwargs):
        raise RuntimeError("this object cannot be asked")

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _raise
    __float__ = __int__ = __index__ = __str__ = __repr__ = __array__ = __call__ = _raise
    __hash__ = object.__hash__


class LooksRight:
    """What a solver, a cache and a schedule look like, without being one."""

    init = update = cache = __call__ = staticmethod(lambda *args, **kwargs: None)


class Text(str):
    """A text of a type of its own."""


class Unprintable(str):
    """A text that cannot be shown."""

    def __repr__(self):
        raise RuntimeError("this text cannot be shown")


def endless():
    """Yield for ever."""
    while True:
        yield 4


def array_of_odd_objects():
    """Return an array of one of them; `numpy.array` would ask it for its length."""
    array = np.empty(1, object)
    array[0] = Raises()
    return array


#: Factories by what they make.
JUNK = {
    "None": lambda: None,
    "True": lambda: True,
    "numpy's False": lambda: np.False_,
    "0": lambda: 0,
    "-1": lambda: -1,
    "3": lambda: 3,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "10**18": lambda: 10**18,
    "10**400": lambda: 10**400,
    "-10**400": lambda: -(10**400),
    "10**5000": lambda: 10**5000,
    "NaN": lambda: np.nan,
    "inf": lambda: np.inf,
    "-inf": lambda: -np.inf,
    "-0.0": lambda: -0.0,
    "0.5": lambda: 0.5,
    "1e-320": lambda: 1e-320,
    "1e-300": lambda: 1e-300,
    "1e-40": lambda: 1e-40,
    "1e39": lambda: 1e39,
    "1e300": lambda: 1e300,
    "0.99999999": lambda: 0.99999999,
    "0.9999999999999999": lambda: 0.9999999999999999,
    "2.5": lambda: 2.5,
    "1j": lambda: 1j,
    "Decimal": lambda: Decimal("0.5"),
    "Fraction": lambda: Fraction(1, 3),
    "a fraction beyond floats": lambda: Fraction(10**400, 3),
    "numpy's float16": lambda: np.float16(0.5),
    "numpy's float32": lambda: np.float32(0.5),
    "numpy's longdouble": lambda: np.longdouble("1e400"),
    "numpy's int8": lambda: np.int8(3),
    "numpy's complex": lambda: np.complex64(1),
    "numpy's datetime": lambda: np.datetime64("2020-01-01"),
    "pandas' NA": lambda: pd.NA,
    "pandas' NaT": lambda: pd.NaT,
    "an empty text": lambda: "",
    "a text": lambda: "x",
    "NUL": lambda: "\0",
    "a surrogate": lambda: "\ud800",
    "a long text": lambda: "x" * 10**6,
    "auto": lambda: "auto",
    "a text of another type": lambda: Text("auto"),
    "a text that cannot be shown": lambda: Unprintable("x"),
    "numpy's text": lambda: np.str_("x"),
    "bytes": lambda: b"x",
    "a bytearray": lambda: bytearray(b"x"),
    "an empty tuple": lambda: (),
    "an empty list": lambda: [],
    "an empty dict": lambda: {},
    "a tuple": lambda: (4, 3),
    "a tuple of a tuple": lambda: ((4,),),
    "a list of bools": lambda: [True, False, False],
    "a list of floats": lambda: [4.0],
    "a list of NaN": lambda: [np.nan, np.nan],
    "a list of text": lambda: ["a", "b"],
    "a list of a huge int": lambda: [10**400],
    "a list of a large int": lambda: [10**10, 10**10],
    "a list of dicts": lambda: [{0: 1.0, 1: 2.0}],
    "a list of odd objects": lambda: [Raises()],
    "a list of itself": lambda: (lambda items: items.append(items) or items)([]),
    "a set": lambda: {4, 3},
    "a frozenset": lambda: frozenset({4, 3}),
    "a dict": lambda: {0: 1.0},
    "a dict of text": lambda: {"a": "b"},
    "a dict of NaN": lambda: {0: np.nan, 1: 1.0},
    "a dict of lists": lambda: {0: ["a", "b"]},
    "a dict of an iterator": lambda: {0: iter([1.0, 2.0])},
    "a dict of unhashable values": lambda: {0: [[1], [2]]},
    "a dict of a column that is not there": lambda: {99: [1, 2]},
    "a dict of tiny weights": lambda: {0: 1e-300, 1: 1e-300},
    "a dict of huge weights": lambda: {0: 1e300, 1: 1e300},
    "a dict of huge ints": lambda: {0: 10**400, 1: 1},
    "a dict of odd objects": lambda: {0: Raises()},
    "a dict by odd objects": lambda: {Raises(): 1.0},
    "keys": lambda: {4: 0}.keys(),
    "a range": lambda: range(2, 4),
    "an iterator": lambda: iter([4]),
    "a generator": endless,
    "a map": lambda: map(int, ["4"]),
    "an array": lambda: np.array([4, 3]),
    "an array of one": lambda: np.array([4]),
    "an array of floats": lambda: np.array([0.5]),
    "an array of inf": lambda: np.array([np.inf]),
    "an array without axes": lambda: np.array(0.5),
    "an array without axes, of an int": lambda: np.array(4),
    "a matrix": lambda: np.ones((2, 2)),
    "an empty array": lambda: np.empty(0),
    "an array of objects": array_of_odd_objects,
    "a large array": lambda: np.zeros((1000, 1000)),
    "a masked array": lambda: np.ma.array([4, 3], mask=[True, False]),
    "a Series": lambda: pd.Series([4, 3]),
    "a polars Series": lambda: pl.Series([4, 3]),
    "a DataFrame": lambda: pd.DataFrame({"a": [4]}),
    "a sparse matrix": lambda: sparse.eye_array(2, format="csr"),
    "a type": lambda: type,
    "the type of floats": lambda: float,
    "numpy's type": lambda: np.float32,
    "numpy's dtype": lambda: np.dtype("float32"),
    "a function": lambda: print,
    "a function of None": lambda: lambda step: None,
    "a function of text": lambda: lambda step: "a",
    "a function of NaN": lambda: lambda step: np.nan,
    "a function of too many": lambda: lambda step: np.ones((3, 7)),
    "a function that raises": lambda: Raises()._raise,
    "optax' adam": lambda: optax.adam,
    "a module": lambda: optax,
    "a Generator": lambda: np.random.default_rng(0),
    "a bit generator": lambda: np.random.PCG64(0),
    "an object": object,
    "an object that raises": Raises,
    "an object that looks right": LooksRight,
    "a slice": lambda: slice(3),
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "an exception": lambda: ValueError("x"),
    "a complex that is real": lambda: complex(1, 0),
    "a memoryview": lambda: memoryview(b"abc"),
}
