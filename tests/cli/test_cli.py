"""``python -m skbandit``: what is refused, what the summary says, and what ``--out`` keeps."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sample_files import frame, numeric_csv, write

from skbandit.cli import compare, main, table


@pytest.fixture
def quick(monkeypatch):
    """Networks so small, and measurements so short, that a test can afford them."""
    monkeypatch.setattr(compare, "LATENCY_SECONDS", 0.01)
    make_estimator = compare.make_estimator

    def small(*args):
        return make_estimator(*args).set_params(hidden_layer_sizes=(12, 8), max_iter=5)

    monkeypatch.setattr(compare, "make_estimator", small)


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
def test_the_saved_model_predicts_the_same_in_another_process(tmp_path, capsys, quick, target):
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
    for part in [name, *shared, *others, "random forest", "hist. gradient boosting", "removed 40 of the 80"]:
        assert part in printed

    model = pickle.loads(out.read_bytes())
    new = frame(30, seed=1).drop(columns=target).to_numpy(dtype=object)
    expected = model.predict(new)
    assert len(expected) == 30
    assert list(map(sum, model.hidden_layer_sizes_)) == [10] * 4
    rows, answer = tmp_path / "rows.pkl", tmp_path / "answer.pkl"
    rows.write_bytes(pickle.dumps(new))
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, out, rows, answer], check=True)
    np.testing.assert_array_equal(pickle.loads(answer.read_bytes()), expected)


@pytest.mark.parametrize("columns", [["size", "district", "garden"], ["size", "garden"]])
def test_the_saved_model_reads_the_columns_of_the_file(tmp_path, capsys, quick, columns):
    data = frame()[[*columns, "price"]]
    path, out = tmp_path / "homes.csv", tmp_path / "model.pkl"
    data.to_csv(path, index=False)
    assert main([str(path), "--target", "price", "--out", str(out), "--budget", "2"]) == 0
    model = pickle.loads(out.read_bytes())
    text = [columns.index(name) for name in columns if name == "district"]
    assert model.categorical_features == text
    # Numbers as numbers, text as str, NaN where missing: the same predictions as from what the command read.
    X = data[columns].to_numpy(dtype=object)
    np.testing.assert_array_equal(model.predict(X), model.predict(table.load_csv(path, "price", "auto").X))
    # All values missing, or of a category that is new.
    strange = np.array([[np.nan] * len(columns)] * 2, dtype=object)
    strange[0, text] = "west"
    assert np.isfinite(model.predict(strange)).all()


def test_bundled_data_need_no_argument(capsys, quick):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "bundled with scikit-learn" in printed
    assert "removed 40 of the 80 hidden units" in printed


def test_a_ratio_of_zero_leaves_the_network_alone(capsys, quick):
    assert main(["--dataset", "wine", "--ratio", "0"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "removed 0 of the 80 hidden units" in printed
    assert "100% of the parameters" in printed
    assert "accuracy is +0.000" in printed


def test_support_vector_machines_are_left_out_where_they_would_take_hours(monkeypatch, capsys, quick):
    monkeypatch.setattr(compare, "MOST_ROWS_OF_SVM", 50)
    assert main(["--dataset", "wine"]) == 0
    printed = capsys.readouterr().out
    assert "SVC" not in printed
    assert "support vector machine is left out" in printed
