"""What the command line prints and writes: the description of the data, the results, the verdict, and the model."""

from __future__ import annotations

import os
import pickle
import textwrap
from pathlib import Path
from typing import Any

from skbandit.cli.compare import BATCH, Comparison
from skbandit.cli.files import can_be_written, write_whole
from skbandit.cli.table import InputError, Table


def describe(table: Table, estimator: Any) -> str:
    """Say what was read, and how the networks are trained that ``estimator`` stands for."""
    n, d = table.X.shape
    lines = [f"{table.name}: {table.task}, {n:,} rows, {d} columns"]
    if table.text:
        names = textwrap.shorten(", ".join(table.columns[j] for j in table.text), 300, placeholder=" ...")
        lines[0] += f", {len(table.text)} of them text ({names})"
    *widths, last = map(str, estimator.hidden_layer_sizes)
    sizes = f"{', '.join(widths)} and {last}" if widths else last
    stop = "stops early on held-out rows" if table.early_stopping else "does not stop early"
    lines += [
        f"the networks start with {sizes} hidden units; skbandit's models are of {estimator.n_members} each",
        f"each of skbandit's holds out {estimator.validation_fraction:.0%} of the training rows, and keeps the weights "
        "of the epoch that does best on them",
        f"scikit-learn's {stop}",
    ]
    return "\n".join(lines + table.notes)


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
        f"{comparison.policy} removed {before - after} of the {before} hidden units: what is left has "
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
        "Bytes, seconds and latencies of all models include the preprocessing of the columns. Everything but JAX runs "
        "on one thread; latencies are medians. The seconds of the pruned network include the training of the unpruned "
        "one, and both include compilation."
    )
    return textwrap.fill(" ".join([*sentences, *comparison.notes]), 100)


def check_out(path: Path | None) -> None:
    """Find out before the work whether the result could be written."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path}: --out names a folder; it must name a file")
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise InputError(f"{path}: the folder of --out does not exist")
    if not can_be_written(path):
        raise InputError(f"{path}: no permission to write what --out names")


def save(model: Any, path: Path) -> str:
    """Pickle the model; return the sentence that says so."""
    content = pickle.dumps(model)
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return f"Wrote the pruned network, with its preprocessing ({len(content):,} bytes), to {path}."
