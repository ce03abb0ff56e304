"""The categories of one column: the code of each value, also where it comes back in another type than in fit.

Tables lose types on their way: CSV and JSON make text of whole numbers, a missing value makes floats of them, float32
rounds, SQL pads text. So a value that equals no category may still match one *loosely*, where it is the same number,
the same moment or the same text:

- a number in any type (int, float, Decimal, bool, NumPy's) and its text: ``3``, ``3.0``, ``"3"``, ``"3.0"``; ``7`` and
  ``"007"``. Not with a bare exponent: ``"1e5"`` is a part number more often than 100 000;
- numbers that are not whole also where they agree to 15 digits, and where one is the other rounded to float32: ``0.1``
  and ``numpy.float32(0.1)``;
- ``True`` and the text of it in any case; 1 too, where it is so written (``"true"``) or all categories are 0 and 1;
- a date or time and its ISO text, at midnight with and without the time;
- text with and without blanks around it, composed or decomposed (Unicode's NFC), as str or as UTF-8 bytes;
- any other object and its text, such as an interval or a UUID.

Two texts that are the same number may be two codes or two versions. They match where the number is whole and not both
are padded by zeros: ``"3"`` and ``"3.0"``, ``"7"`` and ``"007"``, but neither ``"07"`` and ``"007"`` nor ``"1.1"`` and
``"1.10"``.

Equality comes first, but for a float that several whole numbers round to: dates such as 20240103 as float32, or ids of
more than 53 bits beside a missing value. What would match several categories matches none, so that no two become one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from skbandit._core.addresses import saved

#: Bounded, as whole numbers are written out.
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:e[+-]\d{1,3})?", re.ASCII | re.IGNORECASE)
#: What the text of a number or a date begins with; most text does not.
_NUMERIC = frozenset("+-.0123456789")
_PADDED = re.compile(r"[+-]?0\d", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?\s?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
_TRUTH = {"true": 1, "false": 0}
#: In place of a code.
MISSING, UNKNOWN = -1, -2
#: A loop takes so few rows faster than NumPy does.
FEW_ROWS = 16
#: A decimal number of more digits before the point is compared as a float.
MOST_DIGITS = 400


class Written(NamedTuple):
    """How a value is written."""

    text: bool = False
    padded: bool = False
    """Whether it is a number of leading zeros."""
    single: bool = False
    """Whether it is a number that float32 holds."""


class Found(NamedTuple):
    """What the values of a column are."""

    codes: np.ndarray
    """f[n]: NaN for what is missing or unknown."""
    n_missing: int = 0
    n_unknown: int = 0
    """Values that match no category."""
    unknown: tuple[Any, ...] = ()
    """Which these are, each once, in the order of the rows."""


_OBJECT, _TEXT = Written(), Written(text=True)


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Categories:
    """The categories of a column; the code of a category is its place.

    scikit-learn's ``OrdinalEncoder`` would do for equal values, but for a single row it takes 0.3 ms per column, a
    dictionary 1 µs, and it takes neither ``pd.NA`` nor values of several types in one column.

    Parameters
    ----------
    values : tuple
        Hashable, no two of them equal.
    """

    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: Any) -> Categories:
        """Number the distinct values of a column in ascending order; those of several types by type, then as text.

        Parameters
        ----------
        column : narwhals.Series or ndarray of shape (n,)

        Raises
        ------
        TypeError
            If a value is not hashable.
        """
        return cls().extended(items_of(column))

    def extended(self, values: Iterable[Any]) -> Categories:
        """Return these categories and behind them, in ascending order, the values that equal none of them.

        Values that are missing are left out. What matches loosely is not known to be meant: the caller, who has
        `find`, leaves out what matches.
        """
        new = [value for value in set(values).difference(self.values) if not is_missing(value)]
        try:
            new.sort()
        except TypeError:
            new.sort(key=lambda value: (type(value).__name__, str(value)))
        return Categories((*self.values, *new))

    def find(self, column: Any) -> Found:
        """Look up the values of a column.

        Parameters
        ----------
        column : narwhals.Series or ndarray of shape (n,)

        Raises
        ------
        TypeError
            If a value is not hashable.
        """
        items = items_of(column)
        found = self._find_few(items) if len(items) <= FEW_ROWS else self._find_many(items)
        alike = self._alike.get(_float_type(column))
        if not alike:
            return found
        doubtful = [
            row for row, value in enumerate(items) if type(value) is float and value in alike and found.codes[row] >= 0
        ]
        if not doubtful:
            return found
        codes = found.codes.copy()
        codes[doubtful] = np.nan
        unknown = dict.fromkeys((*found.unknown, *(items[row] for row in doubtful)))
        return Found(codes, found.n_missing, found.n_unknown + len(doubtful), tuple(unknown))

    def _find_few(self, items: list[Any]) -> Found:
        exact = [self._exact.get(value) for value in items]
        if None not in exact:
            return Found(np.array(exact, np.float64))
        codes = [self._match(value) if code is None else code for value, code in zip(items, exact, strict=True)]
        unknown = dict.fromkeys(value for value, code in zip(items, codes, strict=True) if code == UNKNOWN)
        found = np.array([code if code >= 0 else np.nan for code in codes])
        return Found(found, codes.count(MISSING), codes.count(UNKNOWN), tuple(unknown))

    def _find_many(self, items: list[Any]) -> Found:
        codes = np.fromiter(map(self._exact.get, items, itertools.repeat(np.nan)), np.float64, len(items))
        rows = missed = np.flatnonzero(np.isnan(codes)).tolist()
        if not missed:
            return Found(codes)
        with contextlib.suppress(TypeError):  # of pd.NA
            # Each NaN is an object of its own, and there may be many.
            rows = [row for row in missed if items[row] == items[row]]
        others = [items[row] for row in rows]
        # A value is matched once, however often it occurs.
        matches = {value: self._match(value) for value in set(others)}
        matched = np.fromiter(map(matches.__getitem__, others), np.float64, len(others))
        codes[rows] = np.where(matched >= 0, matched, np.nan)
        unknown = [value for value in others if matches[value] == UNKNOWN] if UNKNOWN in matches.values() else []
        n_found = int(np.count_nonzero(matched >= 0))
        return Found(codes, len(missed) - n_found - len(unknown), len(unknown), tuple(dict.fromkeys(unknown)))

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values}  # the look-ups are made when they are needed

    @cached_property
    def _exact(self) -> dict[Any, float]:
        return {value: float(code) for code, value in enumerate(self.values)}

    @cached_property
    def _alike(self) -> dict[Any, set[float]]:
        """By type of float, the values that several categories round to."""
        numbers = [float(v) if isinstance(v, np.number) else v for v in self.values]
        large = [v for v in numbers if isinstance(v, (int, float)) and 2**11 <= abs(v) < 2**1000]
        alike = {}
        for kind in (np.float16, np.float32, np.float64):
            with np.errstate(over="ignore"):
                counts = Counter(float(kind(v)) for v in large if abs(v) >= 2.0 ** (np.finfo(kind).nmant + 1))
            if rounded := {value for value, n in counts.items() if n > 1}:
                alike[kind] = rounded
        return alike

    @cached_property
    def _loose(self) -> dict[Hashable, tuple[int, Written] | None]:
        """By key the only category that has it; None where several do."""
        keyed = [list(_keys(value)) for value in self.values]
        binary = all(any(key in (0, 1) for key, _ in keys) for keys in keyed)
        table: dict[Hashable, tuple[int, Written] | None] = {}
        for code, (value, keys) in enumerate(zip(self.values, keyed, strict=True)):
            numbers = [(key, how) for key, how in keys if key in (0, 1)]
            own: list[tuple[Hashable, Written]] = list(keys)
            if binary or _is_bool(value):
                own += [(text, how) for key, how in numbers for text, bit in _TRUTH.items() if bit == key]
            for key, how in dict.fromkeys(own):
                table[key] = None if key in table else (code, how)
        return table

    def _match(self, value: Any) -> int:
        """Return the code of the category that a value matches loosely, where there is just one.

        Else `MISSING` or `UNKNOWN`.
        """
        if is_missing(value):
            return MISSING
        for key, asked in _keys(value, asked=True):
            if key in self._loose:
                match = self._loose[key]
                return match[0] if match is not None and _agree(key, asked, match[1]) else UNKNOWN
        return UNKNOWN


def items_of(column: Any) -> list[Any]:
    """Return the values of a column, narwhals' or NumPy's, as Python objects."""
    if isinstance(column, nw.Series):
        return column.to_list()
    if column.dtype.kind in "mM":  # as Python objects these would be bare integers
        return [None if text == "NaT" else text for text in column.astype(str).tolist()]
    items: list[Any] = column.tolist()
    return items


def _float_type(column: Any) -> Any:
    """Return the type of float that a column is of, or that its values are where it is of objects."""
    if isinstance(column, nw.Series):
        return np.float32 if column.dtype == nw.Float32 else np.float64
    return column.dtype.type if column.dtype.kind == "f" else np.float64


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pd.NA is neither equal to itself nor unequal
        return True
    except ValueError:  # an array
        return False


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _keys(value: Any, *, asked: bool = False) -> Iterator[tuple[Hashable, Written]]:
    """Yield what a value matches by, the strictest first: its stripped text, then its number, moment or plain text.

    Values that share a key share the later ones. "true" and "false" have the keys of 1 and 0 as well, as long as they
    are categories: a value that is asked for is then looked up as the text first.
    """
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    how = _TEXT
    if not isinstance(text, str):  # the check that is slow comes last
        if _is_bool(value):
            yield int(value), _OBJECT
            return
        if isinstance(value, (Real, Decimal)):
            yield from _number_keys(value, _OBJECT)
            return
        text, how = str(value), _OBJECT
    text = text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()
    if how is _TEXT:
        yield ("text", text), how
    lower = text.lower()
    if lower in _TRUTH:
        yield lower, how
        if not asked:
            yield _TRUTH[lower], how
    elif text[:1] not in _NUMERIC:
        yield text, how
    elif _NUMBER.fullmatch(text):
        yield from _number_keys(Decimal(text), how._replace(padded=bool(_PADDED.match(text))))
    else:
        yield _moment(text), how


def _number_keys(number: Any, how: Written) -> Iterator[tuple[Hashable, Written]]:
    """Yield the keys of a number: an int where it is whole, else a float, one of 15 digits, and one of float32."""
    if isinstance(number, Decimal) and number.adjusted() > MOST_DIGITS:
        number = float(number)  # not written out
    try:
        whole = int(number)
    except OverflowError:  # infinite
        yield float(number), how
        yield str(float(number)), how
        return
    if whole == number:
        yield whole, how
        return
    number = float(number)
    yield number, how
    yield ("digits", float(f"{number:.15g}")), how
    with np.errstate(over="ignore", under="ignore"):
        single = float(np.float32(number))
    if np.finfo(np.float32).tiny <= abs(single) < np.inf:
        yield ("float32", single), how._replace(single=single == number)


def _agree(key: Hashable, asked: Written, known: Written) -> bool:
    """Return whether two values of the same key are the same, going by how they are written."""
    if isinstance(key, tuple) and key[0] == "float32" and not (asked.single or known.single):
        return False
    if not (asked.text and known.text) or isinstance(key, str) or (isinstance(key, tuple) and key[0] == "text"):
        return True
    return isinstance(key, int) and not (asked.padded and known.padded)


def _moment(text: str) -> str:
    """Return the shortest ISO form of a date or time; other text as it is."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return text
    day, minute, second, fraction, zone = match.groups("")
    time = f"{minute or '00:00'}:{second or '00'}.{fraction.rstrip('0')}".rstrip(".")
    zone = zone.upper().replace(":", "").replace("Z", "+0000")
    return day if time == "00:00:00" and not zone else f"{day}T{time}{zone}"
