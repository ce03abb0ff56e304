"""How models are compared: rows, folds, scores, times, and the file of records.

Rows are capped at a fixed random subset (stratified for classification); rows of classes with fewer members than
folds are left out. The rest is split into three shuffled folds (stratified for classification), anew for every seed,
which seeds the models too. A record is one model on one fold.

Seconds of a fit are of the wall clock, in a process that has fitted other models before; what XLA compiled meanwhile
is recorded apart. Our pruned models of one size come from one dense model: their seconds are its fit and their pruning.
"""

from __future__ import annotations

import datetime
import pickle
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from benchmarks.common import datasets, records
from benchmarks.common.machine import cpu_model, n_cores, versions
from benchmarks.common.timing import COMPILE_CLOCK, Cost, latency, timed
from benchmarks.tabular.models import (
    MODELS,
    Info,
    Ours,
    families,
    hidden_layer_sizes,
    last_step,
    n_parameters,
    prepared,
    takes_frames,
)

#: What tells records apart.
KEY = ("data", "seed", "fold", "model", "max_rows")
N_FOLDS = 3
MAX_ROWS = 2000
PACKAGES = (
    *("skbandit", "jax", "jaxlib", "numpy", "scipy", "pandas", "scikit-learn", "xgboost", "lightgbm", "catboost"),
    *("pytabkit", "torch", "stochtree"),
)


# ---------------------------------------------------------------------- data


class Table(NamedTuple):
    """A data set as all models of a comparison see it."""

    name: str
    task: str
    X: pd.DataFrame
    """Columns of ``float64`` and ``category``."""
    y: np.ndarray
    """Numbers; classes are counted from 0."""
    n_classes: int | None
    note: str


def load(name: str, max_rows: int = MAX_ROWS) -> Table:
    """Read a public set and cap its rows."""
    return as_table(datasets.load(name, max_rows, stratify=True))


def bundled(name: str, loader: Callable[..., Bunch], task: str) -> Table:
    """Make a table of a set that scikit-learn brings."""
    frame = loader(as_frame=True)
    return as_table(datasets.DataSet(name, task, frame.data, frame.target.to_numpy()))


def as_table(data: datasets.DataSet) -> Table:
    """Give columns their dtypes and classes their numbers; drop classes that not every fold can have."""
    X, y, note = datasets.with_categories(data.X), data.y, ""
    if data.task == "regression":
        return Table(data.name, data.task, X.reset_index(drop=True), y.astype(float), None, note)
    classes, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    rare = counts < N_FOLDS
    if rare.any():
        keep = ~rare[y]
        note = f"{(~keep).sum()} rows of {rare.sum()} class(es) with fewer than {N_FOLDS} rows"
        X, y = X[keep], np.unique(y[keep], return_inverse=True)[1]
    return Table(data.name, data.task, X.reset_index(drop=True), y, int(len(classes) - rare.sum()), note)


def split(table: Table, seed: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the test rows of a fold."""
    kind = KFold if table.task == "regression" else StratifiedKFold
    folds = kind(N_FOLDS, shuffle=True, random_state=seed).split(table.X, table.y)
    return list(folds)[fold]


# ---------------------------------------------------------------------- fits


class Fitted(NamedTuple):
    """A model on a fold; ``model`` is None where ``error`` says why."""

    name: str
    model: Any = None
    cost: Cost = Cost()
    inputs: str = ""
    error: str | None = None
    skipped: bool = False


def fit_family(names: Sequence[str], task: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Iterator[Fitted]:
    """Fit the models of one family (see `models.families`); what fails comes with its error."""
    info = Info(
        n_rows=len(X),
        n_features=X.shape[1],
        categorical=tuple(i for i, dtype in enumerate(X.dtypes) if dtype == "category"),
        n_classes=None if task == "regression" else len(np.unique(y)),
    )
    ours = Ours.of(names[0])
    if ours is not None:
        yield from prune_all({name: {"pruning_ratio": Ours.of(name).ratio} for name in names}, ours, task, X, y, seed)
        return
    (name,) = names
    spec = MODELS[name]
    obstacle = spec.obstacle(info)
    if obstacle is not None:
        yield Fitted(name, inputs=spec.inputs, error=obstacle, skipped=True)
        return
    try:
        model = prepared(spec.build(task, seed, info), spec.inputs)  # imports the library, which is not timed
        yield Fitted(name, *timed(lambda: model.fit(X, y)), spec.inputs)
    except Exception as error:
        yield Fitted(name, inputs=spec.inputs, error=describe(error))


def prune_all(
    prunings: dict[str, dict[str, Any] | None],
    dense: Any,
    task: str,
    X: pd.DataFrame,
    y: np.ndarray,
    seed: int,
) -> Iterator[Fitted]:
    """Fit one dense model of ours, and prune it once for every name.

    Parameters
    ----------
    prunings : dict
        By name, the parameters of ``prune``; None, or a ``pruning_ratio`` of 0, stands for the dense model.
    dense : object
        What has ``build(task, seed)``, which returns the unfitted model.
    """
    COMPILE_CLOCK.listen()
    inputs = ""
    try:
        model = dense.build(task, seed)
        front: list[Any] = []
        inputs = "frame"
        if not takes_frames(model):
            inputs, front = "matrix", [datasets.preprocessing()]
        fitted, fit_cost = timed(lambda: make_pipeline(*front, model).fit(X, y))
    except Exception as error:
        yield from (Fitted(name, inputs=inputs, error=describe(error)) for name in prunings)
        return

    def prune(params: dict[str, Any]) -> Any:
        matrix = fitted[:-1].transform(X) if front else X
        return make_pipeline(*(step for _, step in fitted.steps[:-1]), fitted[-1].prune(matrix, y, **params))

    for name, params in prunings.items():
        try:
            pruned, cost = (fitted, Cost())
            if params is not None and params.get("pruning_ratio", None) != 0:
                pruned, cost = timed(lambda params=params: prune(params))
            yield Fitted(name, pruned if front else last_step(pruned), fit_cost.plus(cost), inputs)
        except Exception as error:
            yield Fitted(name, inputs=inputs, error=describe(error))


def describe(error: Exception) -> str:
    """The error in one short line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]


# ---------------------------------------------------------------------- records


def scores(model: Any, task: str, X: pd.DataFrame, y: np.ndarray, n_classes: int | None) -> dict[str, float | None]:
    """Score the predictions; ``score`` is R² or accuracy, and nothing is clipped."""
    predicted = np.asarray(model.predict(X)).ravel()
    if task == "regression":
        r2 = float(r2_score(y, predicted))
        return {"score": r2, "r2": r2, "rmse": float(root_mean_squared_error(y, predicted))}
    accuracy = float(accuracy_score(y, predicted))
    loss = None
    if hasattr(model, "predict_proba"):
        shares = np.asarray(model.predict_proba(X), dtype=float)
        shares /= shares.sum(axis=1, keepdims=True)  # what was computed in float32 adds up to 1 in float32
        loss = float(log_loss(y, shares, labels=np.arange(n_classes or 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = float(balanced_accuracy_score(y, predicted))
    return {"score": accuracy, "accuracy": accuracy, "balanced_accuracy": balanced, "log_loss": loss}


def measure(fitted: Fitted, table: Table, X: pd.DataFrame, y: np.ndarray) -> dict[str, Any]:
    """Return what a record says of a fitted model, on the test rows."""
    result: dict[str, Any] = {"inputs": fitted.inputs, "error": fitted.error, "skipped": fitted.skipped}
    if fitted.model is None:
        return result
    model = fitted.model
    try:
        result |= scores(model, table.task, X, y, table.n_classes)
        thousand = X.iloc[np.resize(np.arange(len(X)), 1000)]
        result |= {
            "fit_seconds": fitted.cost.wall,
            "cpu_seconds": fitted.cost.cpu,
            "compile_seconds": fitted.cost.compile,
            "predict_1_seconds": latency(model.predict, X.iloc[:1]),
            "predict_1000_seconds": latency(model.predict, thousand),
            "bytes": len(pickle.dumps(model)),
        }
        counts = n_parameters(model)
        if counts is not None:
            result |= {"n_parameters_before": counts[0], "n_parameters": counts[1]}
        hidden = hidden_layer_sizes(model)
        if hidden is not None:
            result["hidden_layer_sizes"] = hidden
    except Exception as error:
        result["error"] = describe(error)
    return result


def environment() -> dict[str, Any]:
    """Return versions and the machine."""
    return {"machine": f"{cpu_model()}, {n_cores()} cores", "versions": versions(PACKAGES)}


def key_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of `KEY`."""
    return tuple(record[name] for name in KEY)


def read(*paths: Path) -> list[dict[str, Any]]:
    """Read records; of those with the same `KEY` the last one counts."""
    return records.latest((record for path in paths for record in records.read(path)), key_of)


# ---------------------------------------------------------------------- the run


class Unit(NamedTuple):
    """What is fitted in one go."""

    data: str
    seed: int
    fold: int
    family: str


class Work(NamedTuple):
    """A kind of comparison: what it fits on a fold."""

    families: Callable[[str], dict[str, list[str]]]
    """By task, the names of each family."""
    fit: Callable[[Sequence[str], str, pd.DataFrame, np.ndarray, int], Iterator[Fitted]]


class Plan(NamedTuple):
    """What to run, in what share, and for how long."""

    sets: dict[str, str]
    """Task by name of data set."""
    seeds: int
    folds: int
    max_rows: int
    part: tuple[int, int]
    """i of n, counted from 1."""
    seconds: float
    out: Path | None
    retry: bool


def part_of(groups: Sequence[Any], part: tuple[int, int]) -> list[Any]:
    """Deal the groups out to n parts and return those of part i, always the same."""
    i, n = part
    dealt = list(groups)
    random.Random(0).shuffle(dealt)
    mine = set(dealt[i - 1 :: n])
    return [group for group in groups if group in mine]


def run(work: Work, plan: Plan, loader: Callable[[str, int], Table] = load) -> list[dict[str, Any]]:
    """Fit everything of the plan that the file does not have yet; append a line for each, and print it.

    Parts are dealt by data set and seed, so that programs compiled for one fold serve the others. The time limit is
    kept by not beginning what would take as long as the longest so far.
    """
    before = [] if plan.out is None else read(plan.out)
    failed = {key_of(r) for r in before if r["error"] and not r["skipped"]}
    done = {key_of(r) for r in before} - (failed if plan.retry else set())
    start, longest, made = time.perf_counter(), 0.0, []
    common = environment()
    for data, seed in part_of([(data, seed) for seed in range(plan.seeds) for data in plan.sets], plan.part):
        table = None
        for fold in range(plan.folds):
            for family, names in work.families(plan.sets[data]).items():
                todo = [name for name in names if (data, seed, fold, name, plan.max_rows) not in done]
                if not todo:
                    continue
                begun = time.perf_counter()
                if begun - start + longest > plan.seconds:
                    print(f"time is up before {Unit(data, seed, fold, family)}; the same command goes on", flush=True)
                    return made
                table = table or loader(data, plan.max_rows)
                for record in run_unit(work, todo, table, seed, fold):
                    record |= {"max_rows": plan.max_rows} | common
                    made.append(record)
                    print(format_record(record), flush=True)
                    if plan.out is not None:
                        records.append(plan.out, record)
                longest = max(longest, time.perf_counter() - begun)
    print(f"all done: {len(made)} records, {time.perf_counter() - start:.0f} s", flush=True)
    return made


def run_unit(work: Work, names: Sequence[str], table: Table, seed: int, fold: int) -> Iterator[dict[str, Any]]:
    """Fit and measure what belongs together, on one fold."""
    train, test = split(table, seed, fold)
    X, y = table.X.iloc[train].reset_index(drop=True), table.y[train]
    X_test, y_test = table.X.iloc[test].reset_index(drop=True), table.y[test]
    about = {"data": table.name, "task": table.task, "seed": seed, "fold": fold}
    shape = {"n_train": len(X), "n_test": len(X_test), "n_features": X.shape[1], "n_classes": table.n_classes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, mostly: the defaults are what is compared
        for fitted in work.fit(names, table.task, X, y, seed):
            record = about | {"model": fitted.name} | shape | {"note": table.note}
            record |= measure(fitted, table, X_test, y_test)
            yield record | {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}


def format_record(record: dict[str, Any]) -> str:
    """One line for the screen."""
    head = f"{record['data']:26s} seed {record['seed']} fold {record['fold']}  {record['model']:24s}"
    if record["error"]:
        return f"{head} {'skipped' if record['skipped'] else 'FAILED'}: {record['error']}"
    text = f"{head} score {record['score']:8.4f}  fit {record['fit_seconds']:6.2f} s"
    if record["compile_seconds"]:
        text += f" ({record['compile_seconds']:.1f} compiling)"
    text += f"  1 row {1e3 * record['predict_1_seconds']:.2f} ms  {record['bytes'] / 2**10:.0f} KiB"
    if "hidden_layer_sizes" in record:
        text += f"  {record['hidden_layer_sizes']}"
    return text


def work_of(names: Sequence[str]) -> Work:
    """The comparison of named models."""
    return Work(lambda task: families(names, task), fit_family)
