"""Tables: scikit-learn's bundled data sets, and CSV files with one target column."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import re
import textwrap
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

Array = NDArray[Any]

#: Text, in lower case, that stands for a missing value: what spreadsheets, databases, pandas, R and UCI files write.
MISSING = frozenset(["", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"])
#: A numeric target with more distinct values than this, or with a fraction, is regressed on.
MOST_CLASSES = 20
#: Fewer rows than this say nothing about a model.
FEWEST_ROWS = 20
#: Training, its held-out part and the test rows must each be able to hold a row of every class.
FEWEST_ROWS_OF_A_CLASS = 4
#: A number with a decimal comma. Points that group thousands are no part of it: 1.234 would be one thing or another.
DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?", re.IGNORECASE)
#: Such a number whose comma may as well group thousands, and other numbers with grouped thousands.
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
GROUPED = re.compile(r"[+-]?\d{1,3}([.,' \u00a0\u202f]\d{3})+([.,]\d+)?")
#: Larger numbers, infinity among them, have no variance in double precision.
LARGEST = 1e150


class InputError(ValueError):
    """The input cannot be used; the message names the file, and the column where there is one."""


class Table(NamedTuple):
    """A prediction problem, and how to treat it."""

    name: str
    X: Array
    """f[n, n_columns], NaN for missing numbers; of objects where some column holds text: str, and NaN for missing."""
    y: Array
    """Targets f[n], or classes [n]."""
    task: str
    """"classification" or "regression"."""
    columns: list[str]
    """Names of the columns of ``X``."""
    text: list[int]
    """Which columns of ``X`` hold text."""
    early_stopping: bool
    """Whether scikit-learn's MLP stops when a held-out tenth of the training rows is no longer predicted better."""
    notes: list[str]
    """What to tell about the reading."""

    @property
    def lacks_numbers(self) -> bool:
        """Whether a column of numbers has a missing one."""
        return bool(np.isnan(np.delete(self.X, self.text, axis=1).astype(np.float64)).any())


def bundled(name: str) -> Table:
    """Load one of scikit-learn's bundled data sets, by the name of its ``load_`` function.

    Early stopping is what is better for scikit-learn's MLP (three hidden layers of 128 units, three splits). Most of
    the target of diabetes is noise: R² is -0.06 to 0.13 without, and 0.34 to 0.41 with it. The labels of the others are
    clean, and the held-out rows are missed in training: the accuracy on digits is 0.969 to 0.976 without, and 0.958 to
    0.969 with it.
    """
    data = getattr(datasets, f"load_{name}")()
    columns = [str(column) for column in data.feature_names]
    regression = name == "diabetes"
    task = "regression" if regression else "classification"
    return Table(f"{name} (bundled with scikit-learn)", data.data, data.target, task, columns, [], regression, [])


def read_csv(path: Path, decimal: str = ".") -> tuple[list[str], list[list[str]], list[int]]:
    """Read a CSV file; return the column names, the rows, and the line number of each row."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); convert it first") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    between = delimiter(text, decimal)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, skipinitialspace=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if not row:
                continue
            if not header:
                header = [name.strip() or f"column {i}" for i, name in enumerate(row, start=1)]
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(row)} fields where the header has {len(header)}"
                    + ("; between commas, numbers with a comma need quotes" if between == decimal else "")
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise InputError(f"{path}: the column name {twice[0]!r} stands more than once in the header")
    if all(is_number(name) for name in header):
        raise InputError(f"{path}: the first row holds numbers; it must hold the names of the columns")
    if not rows:
        raise InputError(f"{path}: there is a header but no row of data")
    return header, rows, lines


def delimiter(text: str, decimal: str = ".") -> str:
    """Return what stands between the fields: what the sniffer finds if the header has it, else a comma.

    Where commas are decimal, anything else that the header has comes first.
    """
    header = text.lstrip().split("\n", 1)[0]
    candidates = ";\t|" if decimal == "," and any(mark in header for mark in ";\t|") else ",;\t|"
    try:
        found = csv.Sniffer().sniff(text[:10_000], delimiters=candidates).delimiter
    except csv.Error:
        found = ""
    if found and found in header:
        return found
    return "," if "," in candidates else max(candidates, key=header.count)


def is_missing(cell: str) -> bool:
    """Whether the cell stands for a missing value."""
    return cell.strip().lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether ``float`` reads the cell."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def has_decimal_commas(cells: Sequence[str]) -> bool:
    """Whether all values are numbers without a point, and some have a decimal comma."""
    if not any("," in cell for cell in cells):  # as in most columns, which may be long
        return False
    values = [cell.strip() for cell in cells if not is_missing(cell)]
    commas = [DECIMAL_COMMA.fullmatch(value) is not None for value in values]
    return any(commas) and all(
        comma or (is_number(value) and "." not in value) for comma, value in zip(commas, values, strict=True)
    )


def with_points(path: Path, name: str, cells: Sequence[str], lines: Sequence[int]) -> Sequence[str]:
    """Return the cells of a column with a point for each decimal comma, if it is one of such numbers.

    Raises
    ------
    InputError
        If all values are numbers, and some have a point: it may stand for the comma, or group thousands.
    """
    if has_decimal_commas(cells):
        return [cell.replace(",", ".") for cell in cells]
    number = [is_missing(cell) or is_number(cell) or DECIMAL_COMMA.fullmatch(cell.strip()) for cell in cells]
    pointed = [i for i, cell in enumerate(cells) if "." in cell and is_number(cell)]
    if all(number) and pointed:
        raise InputError(
            f"{path}, line {lines[pointed[0]]}: column {name!r} holds {cells[pointed[0]].strip()!r}; with --decimal , "
            "numbers have no point"
        )
    return cells


def remarks_on_text(name: str, cells: Sequence[str], lines: Sequence[int], decimal: str) -> list[str]:
    """Say what it is that keeps a column of text from being one of numbers, where most of its values are numbers."""
    with_comma: list[tuple[str, int]] = []
    grouped: list[tuple[str, int]] = []
    others: list[tuple[str, int]] = []
    n_values = 0
    for cell, line in zip(cells, lines, strict=True):
        value = cell.strip()
        n_values += not is_missing(value)
        if is_missing(value) or is_number(value):
            continue
        kind = with_comma if DECIMAL_COMMA.fullmatch(value) else grouped if GROUPED.fullmatch(value) else others
        kind.append((value, line))
    if 2 * len(others) >= n_values:
        return []

    def shown(of: list[tuple[str, int]]) -> str:
        value, line = of[0]
        return f"{value if len(value) <= 40 else value[:37] + '...'!r} (line {line})"

    hint = ". If a comma is decimal, use --decimal ," if with_comma and decimal == "." else ""
    about = f"column {name!r} is text"
    if others:
        numbers = n_values - len(others)
        return [f"{about}: {numbers} of its {n_values} values are numbers, {shown(others)} is none{hint}"]
    if grouped:
        return [f"{about}: its numbers group thousands, as {shown(grouped)} does; write them without marks{hint}"]
    if with_comma and decimal == ".":
        return [f"{about}: some of its numbers have a comma, as {shown(with_comma)} has, and others none{hint}"]
    return []


def remark_on_commas(cells: Sequence[str], decimal: str) -> str:
    """Say how the numbers of a column are read that have a comma, where they may mean something else; "" otherwise.

    ``{}`` stands where `of_columns` writes the names.
    """
    if not has_decimal_commas(cells):
        return ""
    ambiguous = all(AMBIGUOUS.fullmatch(cell.strip()) for cell in cells if "," in cell)
    if decimal == ",":
        return "commas are read as decimal ({}), and have three digits behind them in all rows" if ambiguous else ""
    mark = "decimal, and does not group thousands" if ambiguous else "decimal"
    return f"numbers with a comma are read as text ({{}}); if it is {mark}, use --decimal ,"


def of_columns(remark: str, names: list[str]) -> str:
    """Return a remark with the names of the columns that it is about."""
    return remark.format(textwrap.shorten(", ".join(names), 300, placeholder=" ..."))


def parse_column(cells: Sequence[str]) -> Array:
    """Return float64 if all values are numbers or all are true/false, else text; NaN where a value is missing."""
    values = [None if is_missing(cell) else cell.strip() for cell in cells]
    if {value.lower() for value in values if value is not None} <= {"true", "false"}:
        values = [value and str(int(value.lower() == "true")) for value in values]
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return np.array([np.nan if value is None else value for value in values], dtype=object)


def load_csv(path: Path, target: str | None, task: str, decimal: str = ".") -> Table:
    """Read the problem "predict ``target`` from the other columns" from a CSV file.

    Parameters
    ----------
    path : Path
        The file, plain or gzip-compressed.
    target : str or None
        The column to predict. None is refused with the list of the columns.
    task : {"auto", "classification", "regression"}
        "auto": as `infer_task` says.
    decimal : {".", ","}
        What stands before the fraction of a number.

    Returns
    -------
    table : Table
        The rows that have a target.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no such problem.
    """
    header, rows, lines = read_csv(path, decimal)
    listed = textwrap.shorten(", ".join(header), 300, placeholder=" ...")
    if target is None:
        raise InputError(f"{path}: --target is needed; the columns are: {listed}")
    if target not in header:
        lower = {name.lower(): name for name in header}
        near = difflib.get_close_matches(target.lower(), lower, n=1)
        hint = f"did you mean {lower[near[0]]!r}? " if near else ""
        raise InputError(f"{path}: there is no column {target!r}; {hint}The columns are: {listed}")
    if len(header) == 1:
        raise InputError(f"{path}: there is no column besides the target {target!r}")
    t = header.index(target)
    notes: list[str] = []

    known = [i for i, row in enumerate(rows) if not is_missing(row[t])]
    if len(known) < len(rows):
        notes.append(f"rows left out because column {target!r} is missing: {len(rows) - len(known)}")
    labels = [rows[i][t].strip() for i in known]
    if task != "classification":
        remark = remark_on_commas(labels, decimal)
        notes += [of_columns(remark, [target])] if remark else []
        if task == "auto" and not (has_decimal_commas(labels) or all(map(is_number, labels))):
            notes += remarks_on_text(target, labels, [lines[i] for i in known], decimal)
    if decimal == ",":
        labels = list(with_points(path, target, labels, [lines[i] for i in known]))
        for i, label in zip(known, labels, strict=True):
            rows[i][t] = label
    if task == "auto":
        task = infer_task(labels)
        notes.append(f"the target says {task}; --task says otherwise, if it is not")
    if task == "classification":
        frequent = {label for label, count in Counter(labels).items() if count >= FEWEST_ROWS_OF_A_CLASS}
        if len(frequent) < len(set(labels)):
            known = [i for i, label in zip(known, labels, strict=True) if label in frequent]
            notes.append(
                f"rows left out because their class of column {target!r} has fewer than {FEWEST_ROWS_OF_A_CLASS} rows: "
                f"{len(labels) - len(known)}"
            )
    if len(known) < FEWEST_ROWS:
        raise InputError(f"{path}: {len(known)} usable rows, at least {FEWEST_ROWS} are needed" + reasons(notes))
    rows, lines = [rows[i] for i in known], [lines[i] for i in known]

    columns: list[Array] = []
    text: list[int] = []
    commas: dict[str, list[str]] = {}
    names = header[:t] + header[t + 1 :]
    cells = list(zip(*rows, strict=True))
    y = parse_target(path, target, cells.pop(t), lines, task, decimal)
    for j, (name, given) in enumerate(zip(names, cells, strict=True)):
        column = with_points(path, name, given, lines) if decimal == "," else given
        values = parse_column(column)
        commas.setdefault(remark_on_commas(given, decimal), []).append(name)
        if values.dtype == object:
            text.append(j)
            notes += [] if has_decimal_commas(given) else remarks_on_text(name, given, lines, decimal)
        else:
            if np.isnan(values).all():
                raise InputError(f"{path}: column {name!r} has no value in any usable row; remove it")
            if (np.abs(values) > LARGEST).any():
                line = lines[int(np.argmax(np.abs(values) > LARGEST))]
                raise InputError(f"{path}, line {line}: column {name!r} holds a number beyond {LARGEST:g}")
        columns.append(values)
    notes += [of_columns(remark, named) for remark, named in commas.items() if remark]
    return Table(str(path), np.column_stack(columns), y, task, names, text, True, notes)


def reasons(notes: list[str]) -> str:
    """Put the notes in brackets, to end an error message with."""
    return f" ({'; '.join(notes)})" if notes else ""


def infer_task(labels: Sequence[str]) -> str:
    """Return "classification" if the labels are text, or integers of at most ``MOST_CLASSES`` distinct values."""
    distinct = set(labels)
    if not all(is_number(label) for label in distinct):
        return "classification"
    numbers = {float(label) for label in distinct}
    few_integers = len(numbers) <= MOST_CLASSES and all(number.is_integer() for number in numbers)
    return "classification" if few_integers else "regression"


def parse_target(
    path: Path, target: str, labels: Sequence[str], lines: Sequence[int], task: str, decimal: str = "."
) -> Array:
    """Return the target of every row.

    Parameters
    ----------
    path, target : Path, str
        The file and the column, for messages.
    labels : sequence of str
        The cells of the column.
    lines : sequence of int
        The lines of the file that they are in, for messages.
    task : {"classification", "regression"}
        What they are targets of.
    decimal : {".", ","}
        What stands before the fraction of a number in the file.

    Returns
    -------
    y : ndarray
        float64 for regression. For classification int64 if all are integers, else text.

    Raises
    ------
    InputError
        If there is only one class or value, or a target of a regression is no number.
    """
    labels = [label.strip() for label in labels]
    if task == "classification":
        if len(set(labels)) == 1:
            raise InputError(f"{path}: column {target!r} holds one class only, {labels[0]!r}")
        numbers = [float(label) for label in labels if is_number(label)]
        if len(numbers) == len(labels) and all(x.is_integer() and abs(x) < 2**53 for x in numbers):
            return np.array(numbers).astype(np.int64)
        return np.array(labels, dtype=str)
    bad = [
        (label, line)
        for label, line in zip(labels, lines, strict=True)
        if not is_number(label) or abs(float(label)) > LARGEST
    ]
    if bad:
        # With --decimal , the numbers of a column with other values are left as they are.
        others = [one for one in bad if decimal == "." or not DECIMAL_COMMA.fullmatch(one[0])]
        label, line = (others or bad)[0]
        hint = decimal == "." and DECIMAL_COMMA.fullmatch(label)
        raise InputError(
            f"{path}, line {line}: column {target!r} holds {label!r}; a regression needs numbers up to {LARGEST:g}"
            + ("; if it has a decimal comma, use --decimal ," if hint else "")
        )
    y = np.array([float(label) for label in labels])
    if np.ptp(y) == 0:
        raise InputError(f"{path}: column {target!r} holds one value only, {labels[0]}")
    return y
