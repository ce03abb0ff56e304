"""A little of everything: shows that the evidence runs. No claim.

Two tables and the digits of scikit-learn, and a generated task; six methods, one seed.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes

from benchmarks.evidence import methods
from benchmarks.evidence.cells import Clock, Runner, Store
from benchmarks.tabular import protocol

TABLES = {"diabetes": (load_diabetes, "regression"), "breast_cancer": (load_breast_cancer, "classification")}
BELOW, TERMS, WIDTH = 6, 4, 4
RATIO = 0.5


def sums(seed: int) -> Any:
    """Return rows of a generated task: four numbers below 6, one-hot, and the class: their sum, divided by 4."""
    from benchmarks.deep.pairs.pair import Parts, Rows

    terms = np.array(list(itertools.product(range(BELOW), repeat=TERMS)))
    X, y = np.eye(BELOW, dtype=np.float32)[terms].reshape(len(terms), -1), terms.sum(axis=1) // WIDTH
    order = np.random.default_rng(seed).permutation(len(terms))
    # fit, select, guard, report; as many rows to select on as the digits have, so that programs are shared.
    cut = np.split(order, np.cumsum([600, 256, 200]))
    return Parts(*(Rows(X[rows], y[rows].astype(np.int32)) for rows in cut))


def main(out: Path | None = None, say: Callable[[str], Any] = print) -> None:
    """Run it; leave with what failed, if anything did."""
    with tempfile.TemporaryDirectory() as folder:
        path = out or Path(folder, "evidence.jsonl")
        runner = Runner(Store(path), Clock(600), say)
        deep(runner, path.with_suffix(""))
        tabular(runner)
        failed = [record for record in runner.store.records() if "error" in record]
    if failed:
        raise SystemExit("failed: " + "; ".join(f"{record['method']}: {record['error']}" for record in failed))


def deep(runner: Runner, folder: Path) -> None:
    """Two tiny networks: rankings, removal, fine-tuning, a control."""
    from benchmarks.evidence.deep import Work
    from benchmarks.evidence.digits import DIGITS

    generated = DIGITS._replace(name="mlp-sums", data="sums", kind="reasoning", parts=sums, gate=0.2)
    for pair, stages in ((DIGITS, ("raw", "tuned")), (generated, ("raw",))):
        Work(runner, pair, 0, folder, methods.QUICK).some(methods.QUICK, RATIO, stages)


def tabular(runner: Runner) -> None:
    """Two tables: raw, repaired and tuned."""
    from benchmarks.evidence.tabular import Work

    small = {"hidden_layer_sizes": (16, 16), "max_iter": 20}
    for name, (loader, task) in TABLES.items():

        def load(name: str, loader: Any = loader, task: str = task) -> protocol.Table:
            return protocol.bundled(name, loader, task)

        Work(runner, name, task, 0, methods.QUICK, load=load, options=small).some(methods.QUICK, RATIO)
