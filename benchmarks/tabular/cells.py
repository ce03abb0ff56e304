"""Tables of few distinct rows: two categories whose combinations are cells, each measured some times.

Each cell has a mean of its own (unit variance, noise of standard deviation 0.5) or a probability of its own (uniform
from 0.05 to 0.95). Models are fitted to the measured rows and judged on the cells themselves: by R² against the true
means, or by the Kullback-Leibler divergence from the true probabilities, which is the excess of the expected log loss.
Every model is at its defaults; histogram gradient boosting has the categories as such, scikit-learn's MLP as one-hot
columns.

A higher R² and a lower divergence are better. Figures are means over seeds; "-" was not run. Where one of our models
has fewer seeds than the others, its column must not be compared with theirs. A figure of ours is bold if it is worse,
on the seeds of this model alone, than the better one of boosting and MLP, by more than is said below the table.

Run ``python -m benchmarks.tabular.cells`` for the table; ``--part 1/4`` does a quarter of it, ``--table`` prints what
the records have.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import xlogy
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.common import records
from benchmarks.common.options import part
from benchmarks.common.tables import markdown
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

OUT = records.NEW / "cells.jsonl"
#: Levels of the two categories, by the number of cells.
LEVELS = {4: (2, 2), 12: (3, 4), 24: (4, 6), 48: (6, 8), 100: (10, 10), 300: (15, 20), 1000: (25, 40)}
COPIES = (1, 2, 7, 50)
#: With one row a cell and many cells, a table is like any other table of distinct rows: nothing says that it has cells.
MOST_CELLS_OF_ONE_ROW = 48
SEEDS = 5
NOISE = 0.5
TASKS = ("regression", "two classes")
MODELS = ("default", "strong", "boosting", "MLP")
KEYS = ("task", "cells", "copies", "seed", "model")
#: A cell of the table may be worse by this than the better one of scikit-learn's two models.
SLACK = {"regression": 0.02, "two classes": 0.01}


class Table(NamedTuple):
    """Measured rows, and the truth about the cells."""

    X: pd.DataFrame
    y: np.ndarray
    cells: pd.DataFrame
    """One row for each cell."""
    truth: np.ndarray
    """Mean, or probability of class 1, of each cell."""


def make(task: str, n_cells: int, copies: int, seed: int) -> Table:
    """Draw a table of ``copies`` rows for each cell."""
    rng = np.random.default_rng((n_cells, copies, seed))
    a, b = np.divmod(np.arange(n_cells), LEVELS[n_cells][1])
    cells = pd.DataFrame({"a": pd.Categorical(a), "b": pd.Categorical(b)})
    truth = rng.normal(size=n_cells) if task == "regression" else rng.uniform(0.05, 0.95, n_cells)
    row = rng.permutation(np.repeat(np.arange(n_cells), copies))
    if task == "regression":
        return Table(cells.iloc[row], truth[row] + NOISE * rng.normal(size=row.size), cells, truth)
    y = (rng.random(row.size) < truth[row]).astype(int)
    y[:2] = y[:2] if y.min() < y.max() else [0, 1]  # a classifier needs both
    return Table(cells.iloc[row], y, cells, truth)


def models(task: str, seed: int) -> dict[str, Any]:
    """Return the unfitted models."""
    ours, boosting, mlp = {
        "regression": (BanditPrunedMLPRegressor, HistGradientBoostingRegressor, MLPRegressor),
        "two classes": (BanditPrunedMLPClassifier, HistGradientBoostingClassifier, MLPClassifier),
    }[task]
    one_hot = make_column_transformer((OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["a", "b"]))
    return {
        "default": ours(random_state=seed),
        "strong": ours.from_preset("strong", random_state=seed),
        "boosting": boosting(random_state=seed),
        "MLP": make_pipeline(one_hot, mlp(random_state=seed)),
    }


def judge(task: str, model: Any, table: Table) -> float:
    """Return R² against the true means, or the Kullback-Leibler divergence from the true probabilities."""
    if task == "regression":
        residual = np.square(model.predict(table.cells) - table.truth).mean()
        return float(1 - residual / table.truth.var())
    p, q = table.truth, np.clip(model.predict_proba(table.cells)[:, 1].astype(float), 1e-15, 1 - 1e-15)
    losses = xlogy(p, p / q) + xlogy(1 - p, (1 - p) / (1 - q))
    return float(losses.mean())


def settings() -> list[tuple[str, int, int]]:
    """Return task, cells and copies of every cell of the table."""
    product = itertools.product(TASKS, LEVELS, COPIES)
    return [(t, n, c) for t, n, c in product if c > 1 or n <= MOST_CELLS_OF_ONE_ROW]


def run(seeds: Sequence[int], chosen: Sequence[tuple[str, int, int]], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Fit and judge; yields a record for each model."""
    for (task, n_cells, copies), seed in itertools.product(chosen, seeds):
        table = make(task, n_cells, copies, seed)
        for name in names:
            model = models(task, seed)[name]
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(table.X, table.y)
            seconds = time.perf_counter() - start
            score = judge(task, model, table)
            key = {"task": task, "cells": n_cells, "copies": copies, "seed": seed, "model": name}
            yield key | {"score": score, "seconds": seconds}


def show(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table for each task, means over seeds, in Markdown; a figure of ours that falls short is bold.

    A model is compared with the better one of scikit-learn's two on the seeds that it has itself.
    """
    texts = []
    frame = pd.DataFrame(found, columns=[*KEYS, "score", "seconds"])
    for task, of_task in frame.groupby("task", sort=False):
        better = 1 if task == "regression" else -1
        scores = of_task.pivot_table(index=["cells", "copies", "seed"], columns="model", values="score")
        ours = [name for name in ("default", "strong") if name in scores]
        rivals = [name for name in ("boosting", "MLP") if name in scores]
        rows, short, n_figures = [], 0, 0
        for (n_cells, copies), of_setting in scores.groupby(["cells", "copies"]):
            line = [f"{n_cells} x {copies}", " / ".join(str(of_setting[name].count()) for name in ours)]
            for name in (*ours, *rivals):
                there = of_setting.dropna(subset=[name])
                mean = there[name].mean()
                gap = (better * there[rivals].mean()).max() - better * mean if name in ours else 0.0
                worse = gap > SLACK[str(task)]
                n_figures, short = n_figures + (name in ours and len(there) > 0), short + worse
                line.append("-" if there.empty else f"**{mean:.3f}**" if worse else f"{mean:.3f}")
            rows.append(line)
        what = "R²" if task == "regression" else "Kullback-Leibler divergence of the predicted probabilities (nats)"
        texts.append(f"## {str(task).capitalize()}: {what}")
        texts.append(markdown(["cells x rows of each", f"seeds of {' / '.join(ours)}", *ours, *rivals], rows))
        texts.append(
            f"{short} of {n_figures} figures are worse by more than {SLACK[str(task)]} (bold) than the better one of "
            "scikit-learn's two models on the same seeds."
        )
    return texts


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.cells", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of seeds (default: {SEEDS})")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cells", type=int, nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--copies", type=int, nargs="+", choices=COPIES, default=COPIES)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--part", type=part, default=(1, 1), metavar="I/N", help="do the I-th of N shares")
    parser.add_argument("--table", action="store_true", help="fit nothing, print the tables of what is there")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write the tables there, too")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl", help=f"records (default: {OUT})")
    args = parser.parse_args(argv)

    def key(record: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(record[name] for name in KEYS)

    if not args.table:
        chosen = [s for s in settings() if s[0] in args.tasks and s[1] in args.cells and s[2] in args.copies]
        i, n = args.part
        for record in run(range(args.first_seed, args.first_seed + args.seeds), chosen[i - 1 :: n], args.models):
            records.append(args.out, record)
    found = records.latest(records.read(args.out), key)
    texts = show(found)
    print("\n\n".join(texts))
    if args.markdown is not None:
        about = (__doc__ or "").partition("\n\nRun ")[0]
        raw = "Raw records: [cells.jsonl](../../../benchmarks/records/tabular/cells.jsonl)."
        args.markdown.write_text("\n\n".join(["# Cells", about, *texts, raw]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
