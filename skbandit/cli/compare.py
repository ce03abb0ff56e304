"""What ``python -m skbandit`` does: read a table, compare models on it, say what came out."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import pickle
import textwrap
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

#: Text, in lower case, that stands for a missing value: what spreadsheets, databases, pandas, R and UCI files write.
MISSING = frozenset(["", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"])
#: A numeric target with more distinct values than this, or with a fraction, is regressed on.
MOST_CLASSES = 20
#: Fewer rows than this say nothing about a model.
FEWEST_ROWS = 20
#: Training, its held-out part and the test rows must each be able to hold a row of every class.
FEWEST_ROWS_OF_A_CLASS = 4
#: Larger numbers, infinity among them, have no variance in double precision.
LARGEST = 1e150
#: The time of a support vector machine grows with the square of the rows: above this many it is left out.
MOST_ROWS_OF_SVM = 20_000
#: Rows of the batch whose latency is measured.
BATCH = 1000
#: Latency is measured for this long.
LATENCY_SECONDS = 0.3

HIDDEN_LAYER_SIZES = (128, 128)
MAX_ITER = 200


class InputError(ValueError):
    """The input cannot be used; the message names the file, and the column where there is one."""


class Table(NamedTuple):
    """A prediction problem: ``X`` object or float [n, d], ``y`` [n], and how to treat it."""

    name: str
    X: np.ndarray
    y: np.ndarray
    task: str
    columns: list[str]
    text: list[int]
    """Which columns of ``X`` hold text."""
    early_stopping: bool
    """Whether the networks stop when a held-out tenth of the training rows is no longer predicted better."""
    notes: list[str]


class Row(NamedTuple):
    """One line of the printed table."""

    model: str
    score: float
    parameters: int | None
    one_row_seconds: float
    batch_seconds: float
    size: int
    fit_seconds: float


class Comparison(NamedTuple):
    """The table, and what its summary needs: the difference pruned - unpruned with its 95 % interval."""

    task: str
    policy: str
    rows: list[Row]
    n_test: int
    n_units: tuple[int, int]
    difference: float
    interval: tuple[float, float]
    notes: list[str]
    pipeline: Pipeline


# --- the data -------------------------------------------------------------------------------------------------------


def bundled(name: str) -> Table:
    """Load one of scikit-learn's bundled data sets.

    Only diabetes stops early, where the target is mostly noise: R² of the unpruned network on three splits is -0.13 to
    0.05 without and 0.32 to 0.41 with it. The labels of the others are clean, and held-out rows are missed in training:
    the accuracy on the digits is 0.969 to 0.976 without and 0.956 to 0.969 with it.
    """
    data = getattr(datasets, f"load_{name}")()
    columns = [str(column) for column in data.feature_names]
    regression = name == "diabetes"
    task = "regression" if regression else "classification"
    return Table(f"{name} (bundled with scikit-learn)", data.data, data.target, task, columns, [], regression, [])


def read_csv(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(text), skipinitialspace=True)
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


def delimiter(text: str) -> str:
    """Return what stands between the fields: what the sniffer finds if the header has it, else a comma."""
    try:
        found = csv.Sniffer().sniff(text[:10_000], delimiters=",;\t|").delimiter
    except csv.Error:
        return ","
    return found if found in text.lstrip().split("\n", 1)[0] else ","


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


def parse_column(cells: Sequence[str]) -> np.ndarray:
    """Return float64 if all values are numbers or all are true/false, else text; NaN where a value is missing."""
    values = [None if is_missing(cell) else cell.strip() for cell in cells]
    if {value.lower() for value in values if value is not None} <= {"true", "false"}:
        values = [value and str(int(value.lower() == "true")) for value in values]
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return np.array([np.nan if value is None else value for value in values], dtype=object)


def load_csv(path: Path, target: str | None, task: str) -> Table:
    """Read the problem "predict ``target`` from the other columns" from a CSV file."""
    header, rows, lines = read_csv(path)
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
    notes = []

    known = [i for i, row in enumerate(rows) if not is_missing(row[t])]
    if len(known) < len(rows):
        notes.append(f"rows left out because column {target!r} is missing: {len(rows) - len(known)}")
    labels = [rows[i][t].strip() for i in known]
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

    columns, text = [], []
    names = header[:t] + header[t + 1 :]
    cells = list(zip(*rows, strict=True))
    y = parse_target(path, target, cells.pop(t), lines, task)
    for j, (name, column) in enumerate(zip(names, cells, strict=True)):
        values = parse_column(column)
        if values.dtype == object:
            text.append(j)
        else:
            if np.isnan(values).all():
                raise InputError(f"{path}: column {name!r} has no value in any usable row; remove it")
            if (np.abs(values) > LARGEST).any():
                line = lines[int(np.argmax(np.abs(values) > LARGEST))]
                raise InputError(f"{path}, line {line}: column {name!r} holds a number beyond {LARGEST:g}")
        columns.append(values.astype(object))
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


def parse_target(path: Path, target: str, labels: Sequence[str], lines: Sequence[int], task: str) -> np.ndarray:
    """Return float64 targets for regression; int64 labels for classification if all are integers, else text."""
    labels = [label.strip() for label in labels]
    if task == "classification":
        if len(set(labels)) == 1:
            raise InputError(f"{path}: column {target!r} holds one class only, {labels[0]!r}")
        numbers = [float(label) for label in labels if is_number(label)]
        if len(numbers) == len(labels) and all(x.is_integer() and abs(x) < 2**53 for x in numbers):
            return np.array(numbers).astype(np.int64)
        return np.array(labels, dtype=str)
    for label, line in zip(labels, lines, strict=True):
        if not is_number(label) or abs(float(label)) > LARGEST:
            raise InputError(
                f"{path}, line {line}: column {target!r} holds {label!r}; a regression needs numbers up to {LARGEST:g}"
            )
    y = np.array([float(label) for label in labels])
    if np.ptp(y) == 0:
        raise InputError(f"{path}: column {target!r} holds one value only, {labels[0]}")
    return y


def describe(table: Table) -> str:
    """Say what was read."""
    n, d = table.X.shape
    lines = [f"{table.name}: {table.task}, {n:,} rows, {d} columns"]
    if table.text:
        names = textwrap.shorten(", ".join(table.columns[j] for j in table.text), 300, placeholder=" ...")
        lines[0] += f", {len(table.text)} of them text ({names})"
    widths = " and ".join(map(str, HIDDEN_LAYER_SIZES))
    stop = "stop early on held-out rows" if table.early_stopping else "do not stop early"
    lines.append(f"the networks start with {widths} hidden units, train for at most {MAX_ITER} epochs, and {stop}")
    return "\n".join(lines + table.notes)


# --- the models -----------------------------------------------------------------------------------------------------


def preprocessor(n_columns: int, text: Sequence[int]) -> ColumnTransformer:
    """Make every column numeric and scaled: the recipe that ``--help`` states."""
    numbers = [j for j in range(n_columns) if j not in set(text)]
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=20, sparse_output=False)
    return ColumnTransformer(
        [("numbers", make_pipeline(impute, StandardScaler()), numbers), ("text", encode, list(text))]
    )


def baselines(task: str, n_rows: int, network: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return scikit-learn's estimators by name, with their defaults; its MLP with the parameters ``network``."""
    if task == "regression":
        models: dict[str, Any] = {
            "scikit-learn MLP": scaled_target(MLPRegressor(**network)),
            "ridge": Ridge(),
            "k-nearest neighbours": KNeighborsRegressor(),
            "SVR": scaled_target(SVR()),
            "random forest": RandomForestRegressor(random_state=seed),
            "hist. gradient boosting": HistGradientBoostingRegressor(random_state=seed),
        }
    else:
        models = {
            "scikit-learn MLP": MLPClassifier(**network),
            "logistic regression": LogisticRegression(max_iter=1000),
            "k-nearest neighbours": KNeighborsClassifier(),
            "SVC": SVC(),
            "random forest": RandomForestClassifier(random_state=seed),
            "hist. gradient boosting": HistGradientBoostingClassifier(random_state=seed),
        }
    if n_rows > MOST_ROWS_OF_SVM:
        models = {name: model for name, model in models.items() if name not in ("SVR", "SVC")}
    return models


def scaled_target(regressor: Any) -> TransformedTargetRegressor:
    """Standardise the target, for the regressors that need it."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


@threadpool_limits.wrap(limits=1)  # on more, small data take longer, and far longer beside other processes
def compare(table: Table, policy: str, budget: float, ratio: float | str, seed: int) -> Comparison:
    """Train, prune and measure every model on one split of the table; all but JAX on one thread."""
    from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

    classify = table.task == "classification"
    X_train, X_test, y_train, y_test = train_test_split(
        table.X, table.y, test_size=0.25, random_state=seed, stratify=table.y if classify else None
    )
    preprocess = preprocessor(table.X.shape[1], table.text)
    Z_train, Z_test = preprocess.fit_transform(X_train), preprocess.transform(X_test)
    estimator = BanditPrunedMLPClassifier if classify else BanditPrunedMLPRegressor
    network = {
        "hidden_layer_sizes": HIDDEN_LAYER_SIZES,
        "max_iter": MAX_ITER,
        "early_stopping": table.early_stopping,
        "random_state": seed,
    }

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is a choice here, not an accident
        try:
            seconds = -time.perf_counter()
            # The plain network is the one that scikit-learn's MLP can be compared with.
            dense = estimator.from_preset("plain", policy=policy, budget=budget, pruning_ratio=0.0, **network)
            dense.fit(Z_train, y_train)
            seconds += time.perf_counter()
            rows = [measure("skbandit MLP, unpruned", dense, Z_test, y_test, seconds)]
            seconds -= time.perf_counter()
            pruned = dense.prune(Z_train, y_train, policy=policy, budget=budget, pruning_ratio=ratio)
            seconds += time.perf_counter()
            rows.insert(0, measure(f"skbandit MLP, pruned ({policy})", pruned, Z_test, y_test, seconds))
        except ValueError as error:
            raise InputError(str(error)) from error
        for name, model in baselines(table.task, len(y_train), network, seed).items():
            seconds = -time.perf_counter()
            model.fit(Z_train, y_train)
            seconds += time.perf_counter()
            rows.append(measure(name, model, Z_test, y_test, seconds))

    notes = []
    if len(y_train) > MOST_ROWS_OF_SVM:
        notes.append(f"The support vector machine is left out: more than {MOST_ROWS_OF_SVM:,} training rows.")
    difference, interval = paired_difference(table.task, y_test, pruned.predict(Z_test), dense.predict(Z_test))
    return Comparison(
        table.task,
        policy,
        rows,
        len(y_test),
        (sum(dense.hidden_layer_sizes_), sum(pruned.hidden_layer_sizes_)),
        difference,
        interval,
        notes,
        Pipeline([("preprocess", preprocess), ("network", pruned)]),
    )


def measure(name: str, model: Any, X: np.ndarray, y: np.ndarray, fit_seconds: float) -> Row:
    """Score a fitted model on the test rows, and measure what it costs to keep and to call."""
    batch = np.resize(X, (BATCH, X.shape[1]))
    return Row(
        name,
        float(model.score(X, y)),
        n_parameters(model),
        latency(model, X[:1]),
        latency(model, batch),
        len(pickle.dumps(model)),
        fit_seconds,
    )


def n_parameters(model: Any) -> int | None:
    """Count weights and biases; None for models that have none (trees, neighbours, support vectors)."""
    model = getattr(model, "regressor_", model)
    if hasattr(model, "coefs_"):
        return sum(array.size for array in (*model.coefs_, *model.intercepts_))
    if isinstance(model, (Ridge, LogisticRegression)):
        return int(np.size(model.coef_) + np.size(model.intercept_))
    return None


def latency(model: Any, X: np.ndarray) -> float:
    """Return the median seconds of ``predict``, over at least 5 and at most 300 calls."""
    model.predict(X)
    seconds: list[float] = []
    while len(seconds) < 5 or (len(seconds) < 300 and sum(seconds) < LATENCY_SECONDS):
        start = time.perf_counter()
        model.predict(X)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def paired_difference(
    task: str, y: np.ndarray, pruned: np.ndarray, unpruned: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """Return score(pruned) - score(unpruned) and its 95 % interval over the choice of the test rows.

    Both scores are means over rows: of the hits (accuracy), or 1 - (squared error / variance of y) (R²). The
    interval is that of the mean of the rows' differences: ±1.96 standard errors.
    """
    if task == "classification":
        gain = (pruned == y).astype(float) - (unpruned == y)
    else:
        gain = ((unpruned - y) ** 2 - (pruned - y) ** 2) / max(np.var(y), np.finfo(float).tiny)
    mean, half = float(gain.mean()), float(1.96 * gain.std(ddof=1) / np.sqrt(len(gain)))
    return mean, (mean - half, mean + half)


# --- the answer -----------------------------------------------------------------------------------------------------


def score_name(task: str) -> str:
    """Return how the score of the task is called."""
    return "accuracy" if task == "classification" else "R²"


def render(comparison: Comparison) -> str:
    """Lay the rows out as one table of text."""
    header = (
        "model",
        score_name(comparison.task),
        "parameters",
        "1 row, µs",
        f"{BATCH} rows, ms",
        "bytes",
        "fit, s",
    )
    body = [
        (
            row.model,
            f"{row.score:.3f}",
            "-" if row.parameters is None else f"{row.parameters:,}",
            f"{row.one_row_seconds * 1e6:,.0f}",
            f"{row.batch_seconds * 1e3:.2f}",
            f"{row.size:,}",
            f"{row.fit_seconds:.1f}",
        )
        for row in comparison.rows
    ]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in (header, *body)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def verdict(comparison: Comparison) -> str:
    """Say in a few sentences what the figures mean; every word follows from them, whoever won."""
    pruned, unpruned, *_ = comparison.rows
    score = score_name(comparison.task)
    before, after = comparison.n_units
    low, high = comparison.interval
    difference = comparison.difference

    def share(a: float, b: float) -> str:
        return f"{a / b:.0%}"

    assert pruned.parameters is not None
    assert unpruned.parameters is not None
    sentences = [
        f"{comparison.policy} removed {before - after} of the {before} hidden units: the network that is left has "
        f"{share(pruned.parameters, unpruned.parameters)} of the parameters and {share(pruned.size, unpruned.size)} "
        f"of the bytes, and takes {share(pruned.one_row_seconds, unpruned.one_row_seconds)} of the time for one row "
        f"and {share(pruned.batch_seconds, unpruned.batch_seconds)} for {BATCH}."
    ]
    if low > 0:
        meaning = "pruning helped"
    elif high < 0:
        meaning = "pruning cost something"
    else:
        meaning = "these rows show no difference"
    sentences.append(
        f"Its {score} is {difference:+.3f} against the unpruned network's (95% interval over the "
        f"{comparison.n_test} test rows: {low:+.3f} to {high:+.3f}): {meaning}."
    )
    ranked = sorted(comparison.rows, key=lambda row: -row.score)
    rank = 1 + sum(row.score > pruned.score for row in ranked)
    sentences.append(
        f"Among the {len(ranked)} models it has rank {rank}; "
        + (f"the best is {ranked[0].model} ({ranked[0].score:.3f})." if rank > 1 else "none has a higher score.")
    )
    sentences.append("This is one split of one data set: it ranks nothing in general.")
    sentences.append(
        "Everything but JAX runs on one thread; latencies are medians. The seconds of the pruned network include the "
        "training of the unpruned one, and both include compilation."
    )
    return textwrap.fill(" ".join([*sentences, *comparison.notes]), 100)


def check_out(path: Path | None) -> None:
    """Find out before the work whether the result could be written."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path}: --out names a folder; it must name a file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: the folder of --out does not exist")


def save(pipeline: Pipeline, path: Path) -> str:
    """Pickle the pipeline; return the sentence that says so."""
    try:
        path.write_bytes(pickle.dumps(pipeline))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return f"Wrote the pipeline (preprocessing and pruned network, {path.stat().st_size:,} bytes) to {path}."
