"""How files are read."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from sample_files import frame, numeric_csv, write

from skbandit.cli import compare, report, table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_every_delimiter_and_line_end(tmp_path, delimiter, end):
    lines = ["a,b,y", *(f"{i},x{i % 3},{i / 2}" for i in range(30))]
    path = write(tmp_path, end.join(lines).replace(",", delimiter))
    data = table.load_csv(path, "y", "auto")
    assert data.columns == ["a", "b"]
    assert data.text == [1]
    np.testing.assert_array_equal(data.X[:, 0].astype(float), np.arange(30))
    assert set(data.X[:, 1]) == {"x0", "x1", "x2"}
    np.testing.assert_array_equal(data.y, np.arange(30) / 2)


def test_reads_gzip_byte_order_mark_quotes_and_blank_lines(tmp_path):
    rows = "".join(f'"north, ""old""\ntown",{i},{i}.5\n\n' for i in range(25))
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(('"the place", n ,y\n' + rows).encode("utf-8-sig")))
    data = table.load_csv(path, "y", "auto")
    assert data.columns == ["the place", "n"]
    assert set(data.X[:, 0]) == {'north, "old"\ntown'}
    assert data.X.shape == (25, 2)


def test_a_decimal_comma_does_not_mislead_the_search_for_the_delimiter(tmp_path):
    path = write(tmp_path, "a;b;y\n" + "1,5;2,5;3\n2,5;3,5;4\n" * 15)
    assert table.load_csv(path, "y", "auto").columns == ["a", "b"]


EUROPEAN = "a;b;c;y\n" + "".join(f"{i},5;-{i};x{i % 3};{2 * i},25\n" for i in range(30))


def test_decimal_commas_are_read_where_they_are_asked_for(tmp_path):
    text = EUROPEAN.replace("\n3,5;", "\n;").replace("\n4,5;", "\n45e-1;")
    data = table.load_csv(write(tmp_path, text), "y", "auto", ",")
    assert data.task == "regression"
    assert data.text == [2]
    np.testing.assert_array_equal(data.y, 2 * np.arange(30) + 0.25)
    a = data.X[:, 0].astype(float)
    np.testing.assert_array_equal(a, np.where(np.arange(30) == 3, np.nan, np.arange(30) + 0.5))
    np.testing.assert_array_equal(data.X[:, 1].astype(float), -np.arange(30))
    assert not any("comma" in note for note in data.notes)


def test_decimal_commas_that_are_read_as_text_are_told(tmp_path):
    path = write(tmp_path, EUROPEAN.replace(",25\n", "\n"))
    data = table.load_csv(path, "y", "regression")
    assert data.text == [0, 2]
    assert data.notes == ["numbers with a comma are read as text (a); if it is decimal, use --decimal ,"]
    with pytest.raises(table.InputError, match=r"holds '0,25'; .*; if it has a decimal comma, use --decimal ,"):
        table.load_csv(write(tmp_path, EUROPEAN), "y", "regression")
    # As classes they are few or many.
    with pytest.raises(table.InputError, match=r"0 usable rows.* text \(y\); if it is decimal, use --decimal ,"):
        table.load_csv(write(tmp_path, EUROPEAN), "y", "auto")
    few = write(tmp_path, "a;y\n" + "".join(f"{i};{i % 2},5\n" for i in range(30)))
    assert any("text (y); if it is decimal, use --decimal ," in note for note in table.load_csv(few, "y", "auto").notes)
    assert not table.load_csv(few, "y", "classification").notes


def test_commas_that_may_group_thousands_are_told(tmp_path):
    path = write(tmp_path, "a;b;y\n" + "".join(f"{i + 1},{100 + i};{i};{i}\n" for i in range(30)))
    [note] = table.load_csv(path, "y", "regression").notes
    assert note.endswith("text (a); if it is decimal, and does not group thousands, use --decimal ,")
    data = table.load_csv(path, "y", "regression", ",")
    np.testing.assert_allclose(data.X[:, 0], [i + 1 + (100 + i) / 1000 for i in range(30)])
    assert data.notes == ["commas are read as decimal (a), and have three digits behind them in all rows"]


def test_a_bad_target_is_the_one_that_is_named(tmp_path):
    text = EUROPEAN.replace(";40,25\n", ";unknown\n")
    with pytest.raises(table.InputError, match=r"line 22: column 'y' holds 'unknown'; a regression needs .*1e\+150$"):
        table.load_csv(write(tmp_path, text), "y", "regression", ",")


@pytest.mark.parametrize("row", ["1.234;5", "1.234,5;5", "2,5;1.5"])
def test_a_point_where_commas_are_decimal_is_no_number(tmp_path, row):
    path = write(tmp_path, "a;y\n" + "".join(f"{i},5;{i},5\n" for i in range(30)) + f"{row}\n")
    if row == "1.234,5;5":  # a number with both is text in any case
        data = table.load_csv(path, "y", "auto", ",")
        assert data.text == [0]
        note = "column 'a' is text: its numbers group thousands, as '1.234,5' (line 32) does; write them without marks"
        assert note in data.notes
    else:
        with pytest.raises(table.InputError, match=r"line 32: column '\w' holds '1\.\d+'; with --decimal , numbers"):
            table.load_csv(path, "y", "auto", ",")


IS_NONE = "column 'age' is text: 29 of its 30 values are numbers, 'unknown' (line 9) is none"


@pytest.mark.parametrize(
    ("cells", "decimal", "note"),
    [
        ([f"{i}" for i in range(30)], ".", IS_NONE),
        ([f"{i},5" for i in range(30)], ",", IS_NONE),
        ([f"{i},5" for i in range(30)], ".", f"{IS_NONE}. If a comma is decimal, use --decimal ,"),
    ],
)
def test_what_keeps_a_column_from_being_numeric_is_told(tmp_path, cells, decimal, note):
    cells[7] = "unknown"
    path = write(tmp_path, "age;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells)))
    assert table.load_csv(path, "y", "regression", decimal).notes == [note]


@pytest.mark.parametrize(
    ("of", "decimal", "note"),
    [
        (
            lambda i: f"{i},5" if i % 2 else f"{i}.5",
            ".",
            "some of its numbers have a comma, as '1,5' (line 3) has, and",
        ),
        (lambda i: f"1.2{i:02d},50", ",", "its numbers group thousands, as '1.200,50' (line 2) does"),
        (lambda i: f"1\u202f2{i:02d}", ".", "its numbers group thousands, as '1\\u202f200' (line 2) does"),
        (lambda i: f"1,2{i:02d},000", ".", "its numbers group thousands"),
    ],
)
def test_numbers_of_another_format_are_told(tmp_path, of, decimal, note):
    path = write(tmp_path, "age;y\n" + "".join(f"{of(i)};{i}\n" for i in range(30)))
    data = table.load_csv(path, "y", "regression", decimal)
    assert data.text == [0]
    [said] = data.notes
    assert said.startswith(f"column 'age' is text: {note}")


def test_text_is_no_number_of_another_format(tmp_path):
    cells = ["01.02.2024", "10.1.2.3", "1-2", "north, south", "3,4;5"]
    for cell in cells:
        path = write(tmp_path, "a\ty\n" + "".join(f'"{cell}"\t{i}\n' for i in range(30)))
        for decimal in ".,":
            assert table.load_csv(path, "y", "regression", decimal).notes == []


def test_between_semicolons_a_comma_of_the_header_is_no_delimiter(tmp_path):
    path = write(tmp_path, "a, in m;y\n" + "".join(f"{i},5;{i}\n" for i in range(30)))
    assert table.load_csv(path, "y", "regression", ",").columns == ["a, in m"]
    quoted = write(tmp_path, "a,y\n" + "".join(f'"{i},5","{i},25"\n' for i in range(30)))
    assert table.load_csv(quoted, "y", "regression", ",").y[3] == 3.25
    bare = write(tmp_path, "a,y\n" + "".join(f"{i},5,{i},25\n" for i in range(30)))
    with pytest.raises(table.InputError, match="4 fields where the header has 2; between commas, numbers with a comma"):
        table.load_csv(bare, "y", "regression", ",")


def test_a_column_without_a_name_is_called_by_its_number(tmp_path):
    path = tmp_path / "data.csv"
    frame().to_csv(path)  # pandas writes its index under an empty name
    assert table.load_csv(path, "price", "auto").columns[0] == "column 1"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2.5", "-3e2"], [1.0, 2.5, -300.0]),
        (["1", "", "NA", "?", "n/a", "NaN", "<NA>", "null", "None"], [1.0] + [np.nan] * 8),
        (["True", "false", "", "TRUE"], [1.0, 0.0, np.nan, 1.0]),
        (["1", "two", ""], ["1", "two", np.nan]),
        (["yes", "no"], ["yes", "no"]),
        (["", "NA"], [np.nan, np.nan]),
    ],
)
def test_a_column_is_numeric_if_every_value_is(cells, expected):
    values = table.parse_column(cells)
    text = any(isinstance(value, str) for value in expected)
    assert values.dtype == (object if text else np.float64)
    assert [value if value == value else None for value in values] == [
        value if value == value else None for value in expected
    ]


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["cat", "dog"], "classification"),
        (["0", "1", "1"], "classification"),
        (["1.0", "2.0"], "classification"),
        ([str(i) for i in range(20)], "classification"),
        ([str(i) for i in range(21)], "regression"),
        (["0.5", "1"], "regression"),
        (["True", "False"], "classification"),
    ],
)
def test_the_task_follows_from_the_target(labels, task):
    assert table.infer_task(labels) == task


def test_integer_labels_stay_integers_and_other_labels_stay_text():
    assert table.parse_target(Path("f"), "y", ["1", "2"], [2, 3], "classification").dtype == np.int64
    assert table.parse_target(Path("f"), "y", ["1.0", "2.5"], [2, 3], "classification").tolist() == ["1.0", "2.5"]


def test_a_table_without_text_is_an_array_of_floats(tmp_path):
    data = table.load_csv(write(tmp_path, numeric_csv()), "y", "auto")
    assert data.X.dtype == np.float64
    assert not data.lacks_numbers
    data = table.load_csv(write(tmp_path, numeric_csv().replace("\n3,", "\n,")), "y", "auto")
    assert data.X.dtype == np.float64
    assert data.lacks_numbers


def test_missing_text_is_no_missing_number(tmp_path):
    body = "".join(f"{i},{'xy '[i % 3].strip()},{i}.5\n" for i in range(30))
    data = table.load_csv(write(tmp_path, "a,b,y\n" + body), "y", "auto")
    assert data.X.dtype == object
    assert sum(value != value for value in data.X[:, 1]) == 10
    assert not data.lacks_numbers


def test_rows_without_a_target_and_rare_classes_are_left_out_with_a_message(tmp_path):
    body = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(30)) + "1,\n2,NA\n3,c\n"
    data = table.load_csv(write(tmp_path, "x,y\n" + body), "y", "auto")
    assert len(data.y) == 30
    text = report.describe(data, compare.make_estimator(data, "ucb1", 8, 0.5, 0))
    assert "column 'y' is missing: 2" in text
    assert "class of column 'y' has fewer than 4 rows: 1" in text
