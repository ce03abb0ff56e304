"""Which members an ensemble should have: ``python -m benchmarks.tabular.members``, on the development sets.

Each recipe is fitted once on a fold, as an ensemble of four networks that are not pruned. Means over some of the
networks' predictions are then the predictions of smaller and of mixed ensembles (`MIXES`). The k-th networks of all
recipes hold out the same rows. Folds and scores are those of `benchmarks.tabular.protocol`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score

from benchmarks.common import datasets, records
from benchmarks.common.tables import markdown, number
from benchmarks.tabular import earlier, options, protocol

OUT = records.NEW / "members.jsonl"
#: What stands above the tables of the page.
HEAD = Path(__file__).with_name("members_head.md")
KEY = ("data", "seed", "fold", "mix", "max_rows")
#: The ensemble that others are compared with.
REFERENCE = "one 3x128"
N_MEMBERS = 4

_SMALL = {"hidden_layer_sizes": (64, 64, 64)}
#: By letter: the earlier preset, and what differs from it.
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "R": ("fast", {}),
    "F": ("fast", _SMALL),
    "N": ("strong", _SMALL | {"numeric_embedding": None}),
    "S": ("strong", _SMALL),
    "L": ("strong", _SMALL | {"numeric_embedding": "piecewise_linear"}),
}
#: By name: the networks, each by the letter of its recipe and its number.
MIXES = {
    REFERENCE: "R0",
    "F4": "F0 F1 F2 F3",
    "N1": "N0",
    "N4": "N0 N1 N2 N3",
    "S1": "S0",
    "S2": "S0 S2",
    "S3": "S0 S1 S2",
    "S4": "S0 S1 S2 S3",
    "L2": "L0 L2",
    "L4": "L0 L1 L2 L3",
    "F2 S2": "F0 S1 F2 S3",
    "F2 L2": "F0 L1 F2 L3",
    "N2 S2": "N0 S1 N2 S3",
    "N2 L2": "N0 L1 N2 L3",
    "N2 L1 S1": "N0 L1 N2 S3",
    "N2 L1": "N0 L1 N2",
    "N1 L1": "N0 L2",
    "F4 S4": "F0 F1 F2 F3 S0 S1 S2 S3",
    "F4 L4": "F0 F1 F2 F3 L0 L1 L2 L3",
    "N4 S4": "N0 N1 N2 N3 S0 S1 S2 S3",
    "N4 L4": "N0 N1 N2 N3 L0 L1 L2 L3",
    "N4 L2 S2": "N0 N1 N2 N3 L1 L3 S0 S2",
    "S4 L4": "S0 S1 S2 S3 L0 L1 L2 L3",
}


def fit(recipe: str, task: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> tuple[list[Any], float]:
    """Fit the networks of a recipe; returns them and the CPU seconds of each."""
    preset, changes = RECIPES[recipe]
    n_members = 1 if recipe == "R" else N_MEMBERS
    own = changes | {"n_members": n_members, "pruning_ratio": 0, "random_state": seed}
    model = earlier.estimator(preset, task, **own)
    start = time.process_time()
    model.fit(X, y)
    seconds = (time.process_time() - start) / n_members
    return (model.estimators_ if n_members > 1 else [model]), seconds


def judge(task: str, predicted: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Score predictions f[n], or probabilities f[n, n_classes]."""
    if task == "regression":
        return {"score": float(r2_score(y, predicted))}
    shares = np.clip(predicted[np.arange(len(y)), y], 1e-9, 1)
    return {"score": float((predicted.argmax(axis=1) == y).mean()), "log_loss": float(-np.log(shares).mean())}


def run(plan: protocol.Plan) -> None:
    """Fit what the file lacks, and append a record for each ensemble."""
    done = {tuple(record[name] for name in KEY) for record in records.read(plan.out or OUT)}
    began = time.perf_counter()
    pairs = [(data, seed) for seed in range(plan.seeds) for data in plan.sets]
    for data, seed in protocol.part_of(pairs, plan.part):
        for fold in range(plan.folds):
            if all((data, seed, fold, mix, plan.max_rows) in done for mix in MIXES):
                continue
            if time.perf_counter() - began > plan.seconds:
                print("time is up; the same command goes on", flush=True)
                return
            made = one_fold(data, seed, fold, plan.max_rows)
            records.append(plan.out or OUT, *made)
            best = max(made, key=lambda record: record["score"])
            print(f"{data:24s} seed {seed} fold {fold}: best {best['mix']} {best['score']:.4f}", flush=True)


def one_fold(data: str, seed: int, fold: int, max_rows: int) -> list[records.Record]:
    """Return the records of all ensembles on a fold."""
    table = protocol.load(data, max_rows)
    train, test = protocol.split(table, seed, fold)
    X, y = table.X.iloc[train].reset_index(drop=True), table.y[train]
    X_test = table.X.iloc[test].reset_index(drop=True)
    predicted, seconds = {}, {}
    for recipe in RECIPES:
        networks, of_each = fit(recipe, table.task, X, y, seed)
        for k, network in enumerate(networks):
            of_test = network.predict(X_test) if table.task == "regression" else network.predict_proba(X_test)
            predicted[f"{recipe}{k}"], seconds[f"{recipe}{k}"] = of_test, of_each
    return [
        {"data": data, "task": table.task, "seed": seed, "fold": fold, "mix": mix, "max_rows": max_rows}
        | judge(table.task, np.mean([predicted[name] for name in names.split()], axis=0), table.y[test])
        | {"cpu_seconds": sum(seconds[name] for name in names.split()), "n_train": len(X)}
        for mix, names in MIXES.items()
    ]


def changes(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return log(value / value of the reference) of each set and ensemble, of means over folds and seeds."""
    means = frame.pivot_table(index="data", columns="mix", values=value)[list(MIXES)]
    means = means[(means > 0).all(axis=1)]
    return np.log(means).sub(np.log(means[REFERENCE]), axis=0)


def show(found: Sequence[records.Record], without: Sequence[str] = ()) -> list[str]:
    """Return a table for each task and for both, in Markdown."""
    frame = pd.DataFrame(found)
    frame = frame[~frame["data"].isin(without)].assign(error=lambda of: 1 - of["score"])
    complete = frame.groupby(["data", "seed", "fold"])["mix"].transform("nunique") == len(MIXES)
    frame = frame[complete]
    texts = []
    for title, part in [*frame.groupby("task"), ("both", frame)]:
        change = changes(part, "error")
        loss = changes(part, "log_loss") if title == "classification" else None
        seconds = part.groupby("mix")["cpu_seconds"].mean()
        rows = []
        for mix in MIXES:
            of_mix = change[mix]
            row = [mix, *_spread(of_mix), f"{(of_mix < 0).sum()} / {(of_mix > 0).sum()}"]
            row += [] if loss is None else _spread(loss[mix])
            rows.append([*row, number(seconds[mix] / seconds[REFERENCE])])
        head = ["ensemble", "error %", "± s.e.", "median %", "better / worse"]
        head += [] if loss is None else ["log loss %", "± s.e.", "median %"]
        n_fits = part.groupby("data")[["seed", "fold"]].apply(lambda of: len(of.drop_duplicates()))
        texts.append(
            f"## {str(title).capitalize()}: {len(change)} sets, {n_fits.min()} to {n_fits.max()} folds of each"
        )
        texts.append(markdown([*head, "CPU seconds"], rows))
    return texts


def _spread(change: pd.Series) -> list[str]:
    deviation = 100 * change.std(ddof=1) / np.sqrt(len(change))
    return [f"{100 * np.expm1(change.mean()):+.1f}", f"{deviation:.1f}", f"{100 * np.expm1(change.median()):+.1f}"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.members", description=__doc__)
    parser.add_argument("--table", action="store_true", help="fit nothing, print the tables of what is there")
    parser.add_argument("--without", nargs="+", default=(), metavar="SET", help="sets that the tables leave out")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the tables there, too")
    options.add_run_options(parser, OUT)
    args = parser.parse_args(argv)
    if not args.table:
        if not datasets.available():
            raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
        run(options.plan_of(args, options.tasks_of(args.sets, datasets.DEVELOPMENT)))
    texts = show(records.read(args.out), args.without)
    print("\n\n".join(texts))
    if args.markdown is not None:
        about = HEAD.read_text(encoding="utf-8").rstrip().replace("{out}", str(args.out))
        args.markdown.write_text("\n\n".join(["# Members", about, *texts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
