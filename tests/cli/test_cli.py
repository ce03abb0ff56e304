"""``python -m skbandit``: how files are read, what is refused, what the summary says, and what ``--out`` keeps."""

import gzip
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from skbandit.__main__ import main
from skbandit.cli import compare as _cli


def write(tmp_path: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def numeric_csv(n: int = 40) -> str:
    """``y = 2a - b + 0.5``: not integers, so a regression."""
    return "a,b,y\n" + "".join(f"{i},{i % 7},{2 * i - i % 7 + 0.5}\n" for i in range(n))


def frame(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Numbers, text and truth values, with holes; the price follows from size and district."""
    rng = np.random.default_rng(seed)
    size = rng.normal(100, 20, n)
    district = rng.choice(["north", "south", "east, inner"], n)
    price = 3 * size + 50 * (district == "south") + rng.normal(0, 5, n)
    data = pd.DataFrame({"size": size, "district": district, "garden": rng.random(n) < 0.5, "price": price})
    data["size"] = data["size"].mask(rng.random(n) < 0.1)
    data["district"] = data["district"].mask(rng.random(n) < 0.1)
    return data


@pytest.fixture
def quick(monkeypatch):
    """Networks so small, and measurements so short, that a test can afford them."""
    monkeypatch.setattr(_cli, "LATENCY_SECONDS", 0.01)
    monkeypatch.setattr(_cli, "HIDDEN_LAYER_SIZES", (12, 8))
    monkeypatch.setattr(_cli, "MAX_ITER", 5)


# --- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_every_delimiter_and_line_end(tmp_path, delimiter, end):
    lines = ["a,b,y", *(f"{i},x{i % 3},{i / 2}" for i in range(30))]
    path = write(tmp_path, end.join(lines).replace(",", delimiter))
    table = _cli.load_csv(path, "y", "auto")
    assert table.columns == ["a", "b"]
    assert table.text == [1]
    np.testing.assert_array_equal(table.X[:, 0].astype(float), np.arange(30))
    np.testing.assert_array_equal(table.y, np.arange(30) / 2)


def test_reads_gzip_byte_order_mark_quotes_and_blank_lines(tmp_path):
    rows = "".join(f'"north, ""old""\ntown",{i},{i}.5\n\n' for i in range(25))
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(('"the place", n ,y\n' + rows).encode("utf-8-sig")))
    table = _cli.load_csv(path, "y", "auto")
    assert table.columns == ["the place", "n"]
    assert set(table.X[:, 0]) == {'north, "old"\ntown'}
    assert table.X.shape == (25, 2)


def test_a_decimal_comma_does_not_mislead_the_search_for_the_delimiter(tmp_path):
    path = write(tmp_path, "a;b;y\n" + "1,5;2,5;3\n2,5;3,5;4\n" * 15)
    assert _cli.load_csv(path, "y", "auto").columns == ["a", "b"]


def test_a_column_without_a_name_is_called_by_its_number(tmp_path):
    path = tmp_path / "data.csv"
    frame().to_csv(path)  # pandas writes its index under an empty name
    assert _cli.load_csv(path, "price", "auto").columns[0] == "column 1"


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
    values = _cli.parse_column(cells)
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
    assert _cli.infer_task(labels) == task


def test_integer_labels_stay_integers_and_other_labels_stay_text():
    assert _cli.parse_target(Path("f"), "y", ["1", "2"], [2, 3], "classification").dtype == np.int64
    assert _cli.parse_target(Path("f"), "y", ["1.0", "2.5"], [2, 3], "classification").tolist() == ["1.0", "2.5"]


def test_rows_without_a_target_and_rare_classes_are_left_out_with_a_message(tmp_path):
    body = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(30)) + "1,\n2,NA\n3,c\n"
    table = _cli.load_csv(write(tmp_path, "x,y\n" + body), "y", "auto")
    assert len(table.y) == 30
    text = _cli.describe(table)
    assert "column 'y' is missing: 2" in text
    assert "class of column 'y' has fewer than 4 rows: 1" in text


# --- what is refused ------------------------------------------------------------------------------------------------

REFUSED = {
    "empty file": ("", [], "the file is empty"),
    "only a header": ("a,y\n", [], "no row of data"),
    "no header": ("1,2\n3,4\n", [], "must hold the names of the columns"),
    "no such column": (numeric_csv(), ["--target", "Y"], "no column 'Y'; did you mean 'y'? The columns are: a, b, y"),
    "nothing near": (numeric_csv(), ["--target", "price"], "no column 'price'; The columns are: a, b, y"),
    "target only": ("y\n" + "1\n2\n" * 20, [], "no column besides the target 'y'"),
    "ragged row": (numeric_csv().replace("\n3,3,", "\n3,3,9,"), [], "line 5: 4 fields where the header has 3"),
    "name twice": (numeric_csv().replace("a,b,y", "a,a,y"), [], "'a' stands more than once"),
    "column without a value": ("a,b,y\n" + "".join(f"{i},,{i}.5\n" for i in range(30)), [], "column 'b' has no value"),
    "infinite number": (numeric_csv().replace("\n4,", "\ninf,"), [], "line 6: column 'a' holds a number beyond 1e+150"),
    "infinite target": (numeric_csv().replace(",1.5\n", ",1e999\n"), [], "line 3: column 'y' holds '1e999'"),
    "text as a number": (
        numeric_csv().replace(",1.5\n", ",high\n"),
        ["--task", "regression"],
        "column 'y' holds 'high'",
    ),
    "constant target": ("a,y\n" + "".join(f"{i},7\n" for i in range(30)), ["--task", "regression"], "column 'y' holds"),
    "one class": ("a,y\n" + "".join(f"{i},yes\n" for i in range(30)), [], "column 'y' holds one class only, 'yes'"),
    "too few rows": (numeric_csv(12), [], "12 usable rows, at least 20"),
    "no target at all": ("a,y\n" + "1,\n" * 30, [], "0 usable rows"),
    "all labels differ": ("a,y\n" + "".join(f"{i},n{i}\n" for i in range(30)), [], "0 usable rows"),
    "unknown policy": (numeric_csv(), ["--policy", "ucb7"], "ucb7"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named_and_exits_with_2(tmp_path, capsys, quick, case):
    text, arguments, message = REFUSED[case]
    path = write(tmp_path, text)
    target = [] if "--target" in arguments else ["--target", "y"]
    assert main([str(path), *target, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    if case != "unknown policy":
        assert str(path) in error


def test_files_that_cannot_be_read_are_named(tmp_path, capsys):
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"a,y\n1,2\n")
    latin = write(tmp_path, "größe,y\n1,2\n", "latin.csv", "latin-1")
    for path, message in [
        (tmp_path / "absent.csv", "No such file"),
        (tmp_path, "directory"),
        (broken, "gzip"),
        (latin, "not UTF-8"),
    ]:
        assert main([str(path), "--target", "y"]) == 2
        error = capsys.readouterr().err
        assert str(path) in error
        assert message in error


def test_a_missing_target_option_lists_the_columns(tmp_path, capsys):
    assert main([str(write(tmp_path, numeric_csv()))]) == 2
    assert "--target is needed; the columns are: a, b, y" in capsys.readouterr().err


def test_out_is_checked_before_the_work(tmp_path, capsys):
    path = write(tmp_path, numeric_csv())
    assert main([str(path), "--target", "y", "--out", str(tmp_path / "absent" / "model.pkl")]) == 2
    assert "folder of --out does not exist" in capsys.readouterr().err
    assert main([str(path), "--target", "y", "--out", str(tmp_path)]) == 2
    assert "names a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ratio", "1"],
        ["--ratio", "half"],
        ["--budget", "0"],
        ["--budget", "nan"],
        ["--seed", "-1"],
        ["--seed", "x"],
        ["--task", "ranking"],
        ["--dataset", "mnist"],
        ["--target", "y"],
        ["data.csv", "--target", "y", "--dataset", "wine"],
    ],
)
def test_bad_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err


def test_help_states_how_files_are_read(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("--target", "--out", "--policy", "--budget", "--ratio", "median", "OneHotEncoder", "object array"):
        assert word in text


# --- preprocessing --------------------------------------------------------------------------------------------------


def test_the_preprocessor_takes_unseen_and_missing_values():
    X = np.array([[1.0, "a"], [np.nan, "b"], [3.0, np.nan], [4.0, "a"]], dtype=object)
    preprocess = _cli.preprocessor(2, [1]).fit(X)
    Z = preprocess.transform(np.array([[np.nan, "new"], [3.0, np.nan]], dtype=object))
    # Scaled number, indicator of its absence (scaled too), then one column for each of a, b and missing.
    assert Z.shape == (2, 5)
    # Training: the missing number becomes the median 3, so the column is 1, 3, 3, 4 with mean 2.75.
    np.testing.assert_allclose(Z[:, 0], (3 - 2.75) / np.std([1, 3, 3, 4]))
    assert Z[0, 1] > 0 > Z[1, 1]
    np.testing.assert_array_equal(Z[:, 2:], [[0, 0, 0], [0, 0, 1]])


def test_rare_categories_share_a_column():
    X = np.array([[f"c{i}"] for i in range(50)] + [["often"]] * 50, dtype=object)
    assert _cli.preprocessor(1, [0]).fit_transform(X).shape == (100, 20)


# --- the summary ----------------------------------------------------------------------------------------------------


def test_the_difference_is_the_difference_of_the_scores():
    rng = np.random.default_rng(0)
    y, a, b = rng.normal(size=(3, 200))
    difference, (low, high) = _cli.paired_difference("regression", y, a, b)
    assert difference == pytest.approx(r2_score(y, a) - r2_score(y, b))
    assert low < difference < high
    labels, p, q = rng.integers(0, 3, size=(3, 200))
    difference, interval = _cli.paired_difference("classification", labels, p, q)
    assert difference == pytest.approx(np.mean(p == labels) - np.mean(q == labels))
    # Equal predictions: no difference, and no doubt about it.
    assert _cli.paired_difference("classification", labels, p, p) == (0, (0, 0))
    # By hand: differences of the hits 1, 0, 0, 0 have mean 1/4 and standard deviation 1/2.
    difference, interval = _cli.paired_difference(
        "classification", np.array([1, 1, 1, 1]), np.array([1, 1, 1, 1]), np.array([0, 1, 1, 1])
    )
    assert difference == 0.25
    assert interval == pytest.approx((0.25 - 1.96 * 0.25, 0.25 + 1.96 * 0.25))


def invented(pruned: float, unpruned: float, other: float, half: float, units=(100, 50)) -> _cli.Comparison:
    """Return a comparison with these scores."""
    rows = [
        _cli.Row("skbandit MLP, pruned (ucb1)", pruned, 500, 1e-5, 1e-3, 2500, 2.0),
        _cli.Row("skbandit MLP, unpruned", unpruned, 1000, 2e-5, 2e-3, 5000, 1.0),
        _cli.Row("ridge", other, 11, 1e-5, 1e-4, 600, 0.0),
    ]
    difference = pruned - unpruned
    interval = (difference - half, difference + half)
    return _cli.Comparison("regression", "ucb1", rows, 80, units, difference, interval, [], None)


@pytest.mark.parametrize(
    ("scores", "half", "expected"),
    [
        ((0.5, 0.4, 0.3), 0.05, ["+0.100", "pruning helped", "rank 1; none has a higher score"]),
        ((0.4, 0.5, 0.3), 0.05, ["-0.100", "pruning cost something", "rank 2; the best is skbandit MLP, unpruned"]),
        ((0.4, 0.5, 0.6), 0.20, ["no difference", "rank 3; the best is ridge (0.600)"]),
        ((0.5, 0.5, 0.5), 0.0, ["+0.000", "no difference", "rank 1; none has a higher score"]),
        ((-0.1, -0.2, -0.3), 0.01, ["pruning helped", "rank 1"]),
    ],
)
def test_the_verdict_fits_every_outcome(scores, half, expected):
    text = " ".join(_cli.verdict(invented(*scores, half)).split())
    assert "ucb1 removed 50 of the 100 hidden units" in text
    assert "50% of the parameters and 50% of the bytes" in text
    for part in expected:
        assert part in text


def test_the_table_has_aligned_columns():
    lines = _cli.render(invented(0.4, 0.5, 0.6, 0.2)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == [
        "model",
        "R²",
        "parameters",
        "1",
        "row,",
        "µs",
        "1000",
        "rows,",
        "ms",
        "bytes",
        "fit,",
        "s",
    ]


# --- end to end -----------------------------------------------------------------------------------------------------

LOAD_AND_PREDICT = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
with open(sys.argv[2], "rb") as file:
    X = pickle.load(file)
with open(sys.argv[3], "wb") as file:
    pickle.dump(model.predict(X), file)
assert "jax" not in sys.modules
"""


@pytest.mark.parametrize("target", ["price", "district"])
def test_the_saved_pipeline_predicts_the_same_in_another_process(tmp_path, capsys, quick, target):
    data = frame()
    path, out = tmp_path / "homes.csv", tmp_path / "model.pkl"
    data.to_csv(path, index=False)
    assert main([str(path), "--target", target, "--out", str(out), "--budget", "2"]) == 0
    printed = capsys.readouterr().out
    name, others = {
        "price": ("R²", ["ridge", "SVR"]),
        "district": ("accuracy", ["logistic regression", "SVC"]),
    }[target]
    shared = ["skbandit MLP, pruned (ucb1)", "skbandit MLP, unpruned", "scikit-learn MLP", "k-nearest neighbours"]
    for part in [name, *shared, *others, "random forest", "hist. gradient boosting", "removed 10 of the 20"]:
        assert part in printed

    model = pickle.loads(out.read_bytes())
    new = frame(30, seed=1).drop(columns=target).to_numpy(dtype=object)
    expected = model.predict(new)
    assert len(expected) == 30
    assert sum(model[-1].hidden_layer_sizes_) == 10
    rows, answer = tmp_path / "rows.pkl", tmp_path / "answer.pkl"
    rows.write_bytes(pickle.dumps(new))
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, out, rows, answer], check=True)
    np.testing.assert_array_equal(pickle.loads(answer.read_bytes()), expected)


def test_bundled_data_need_no_argument(capsys, quick):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "bundled with scikit-learn" in printed
    assert "removed 10 of the 20 hidden units" in printed


def test_a_ratio_of_zero_leaves_the_network_alone(capsys, quick):
    assert main(["--dataset", "wine", "--ratio", "0"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "removed 0 of the 20 hidden units" in printed
    assert "100% of the parameters" in printed
    assert "accuracy is +0.000" in printed


def test_support_vector_machines_are_left_out_where_they_would_take_hours(monkeypatch, capsys, quick):
    monkeypatch.setattr(_cli, "MOST_ROWS_OF_SVM", 50)
    assert main(["--dataset", "wine"]) == 0
    printed = capsys.readouterr().out
    assert "SVC" not in printed
    assert "support vector machine is left out" in printed
