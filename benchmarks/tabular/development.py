"""Our recipes on the development sets: ``python -m benchmarks.tabular development FILE --reference MODEL``."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown, number
from benchmarks.tabular.protocol import read
from benchmarks.tabular.report import CONTROLS, model_order, of_one_machine

REFERENCE = "earlier_fast-1 @0"
PAGE = Path("docs/results/tabular/development.md")
ABOUT = """
The estimators of this package on the sets that their defaults were chosen on, at {rows} rows at most, three folds of
each seed. Names are those of [the comparison](README.md); `earlier_fast-1` is the default before
[decision 0023](../../decisions/0023-small-networks-of-two-kinds.md), one network of 3 x 128. What makes this page:

    {command}

*Error*: 1 - R² or 1 - accuracy, means over folds and seeds, relative to `{reference}` on the same set; geometric means
over the sets, ± the standard error of the mean logarithm; below 0 is better. *Log loss*, of the classification sets:
the same. Seconds, size and milliseconds are medians over fits in a process with one core, of the whole pipeline on a
data frame; {timed}.
"""


def changes(frame: pd.DataFrame, value: str, reference: str) -> pd.DataFrame:
    """Return log(value / value of the reference), sets by models, of means over the folds and seeds that all have."""
    wide = frame.pivot_table(index=["data", "seed", "fold"], columns="model", values=value, sort=False)
    means = wide.reindex(columns=model_order(frame["model"].unique())).dropna().groupby("data", sort=False).mean()
    # A set that is predicted without an error has no relative change.
    logs = np.log(means[(means > 0).all(axis=1)])
    return logs.sub(logs[reference], axis=0)


def spread(change: pd.Series) -> str:
    """Return the geometric mean of a change in percent, and the standard error of the mean logarithm."""
    if len(change) < 2:
        return f"{100 * np.expm1(change.mean()):+.1f}"
    return f"{100 * np.expm1(change.mean()):+.1f} ± {100 * change.std(ddof=1) / np.sqrt(len(change)):.1f}"


def overall(frame: pd.DataFrame, reference: str) -> str:
    """Return the table of all models over the sets."""
    frame = frame.assign(error=1 - frame["score"])
    both = changes(frame, "error", reference)
    tasks = {task: changes(part, "error", reference) for task, part in frame.groupby("task", sort=True)}
    losses = None
    if "classification" in tasks:
        losses = changes(frame[frame["task"] == "classification"], "log_loss", reference)
    _, timed = of_one_machine(frame)
    cost = timed.groupby("model")[["cpu_seconds", "predict_1_seconds", "predict_1000_seconds", "bytes"]].median()
    rows = []
    for name in both:
        change = both[name]
        row = [name, spread(change), f"{100 * np.expm1(change.median()):+.1f}"]
        row += [f"{(change < 0).sum()} / {(change > 0).sum()}"]
        row += [spread(of[name]) for of in tasks.values()]
        row += [] if losses is None else [spread(losses[name])]
        seconds, one, thousand, size = cost.loc[name] if name in cost.index else [np.nan] * 4
        rows.append([row[0], *row[1:], *map(number, (seconds, size / 2**10, 1e3 * one, 1e3 * thousand))])
    head = ["", f"error %, {len(both)} sets", "median %", "better / worse"]
    head += [f"{task}, {len(of)} sets" for task, of in tasks.items()]
    head += [] if losses is None else ["log loss %"]
    return markdown([*head, "CPU s", "KiB", "1 row, ms", "1 000 rows, ms"], rows)


def by_set(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """Return the mean score of each model on each set."""
    means = frame.pivot_table(index=["task", "data"], columns="model", values="score")[list(names)]
    rows = [[str(data), str(task), *(f"{value:.3f}" for value in row)] for (task, data), row in means.iterrows()]
    return markdown(["", "task", *names], rows)


def page(files: Sequence[Path], reference: str, without: Sequence[str], out: Path, command: str) -> str:
    """Return the text of the page."""
    frame = pd.DataFrame(read(*files))
    frame = frame[frame["error"].isna()]
    names = model_order(frame["model"].unique())
    repeats = frame.pivot_table(index=["data", "seed", "fold"], columns="model", values="score").reindex(columns=names)
    fold = ["data", "seed", "fold"]
    frame = frame[frame.set_index(fold).index.isin(repeats.dropna().index)]
    kept = frame[~frame["data"].isin(without)]
    n_repeats = kept[fold].drop_duplicates().groupby("data").size()
    counted = f"{n_repeats.min()}" if n_repeats.nunique() == 1 else f"{n_repeats.min()} to {n_repeats.max()}"
    machine, there = of_one_machine(frame)
    timed = f"those of {len(there)} of {len(frame)} fits, on {machine}"
    rows = int(frame["max_rows"].max())
    about = ABOUT.strip().format(rows=f"{rows:,}".replace(",", " "), reference=reference, timed=timed, command=command)
    said = (f"{name} ({_errors(frame, name, reference)})" for name in without)
    left_out = f" Without {'; '.join(said)}." if without else ""
    links = ", ".join(f"[{path.name}]({Path(os.path.relpath(path, out.parent)).as_posix()})" for path in files)
    return "\n\n".join(
        [
            "# Development sets",
            about,
            f"## Against `{reference}`: {len(n_repeats)} sets, {counted} fits of each\n\n"
            f"Fits that all models have.{left_out}",
            overall(kept, reference),
            f"## R² or accuracy of each set\n\n{by_set(frame, names)}",
            f"Records: {links}.",
        ]
    )


def _errors(frame: pd.DataFrame, data: str, reference: str) -> str:
    """Return the errors of the reference and of our main models on a set."""
    means = 1 - frame[frame["data"] == data].groupby("model")["score"].mean()
    return ", ".join(f"error {means[name]:.4f} of {name}" for name in (reference, *CONTROLS) if name in means)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular development", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--reference", default=REFERENCE, metavar="MODEL", help="default: %(default)s")
    parser.add_argument("--without", nargs="+", default=[], metavar="SET", help="sets that are in no mean")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE.md", help="default: %(default)s")
    args = parser.parse_args(argv)
    if absent := [str(path) for path in args.files if not path.exists()]:
        parser.error(f"there is no file {', '.join(absent)}")
    given = [*map(str, args.files), *(["--reference", args.reference] if args.reference != REFERENCE else [])]
    given += ["--without", *args.without] if args.without else []
    command = f"python -m benchmarks.tabular development {shlex.join(given)}"
    frame = pd.DataFrame(read(*args.files))
    for name, what, known in [
        (args.reference, "model", frame["model"]),
        *((s, "set", frame["data"]) for s in args.without),
    ]:
        if name not in set(known):
            parser.error(f"there is no {what} {name!r}, only {', '.join(sorted(set(known)))}")
    args.out.write_text(page(args.files, args.reference, args.without, args.out, command) + "\n", encoding="utf-8")
    print(f"wrote {args.out}")
