"""Compare pruned networks with the networks that they came from.

For each data set and seed one dense network is trained; every other row starts from it or is trained from scratch:

* ``dense``: the network, unpruned;
* ``dense, trained on``: the same with as many more epochs, at the same falling learning rate, as pruning fine-tunes;
* ``pruned R``: share R of the hidden units removed by UCB1, at the defaults;
* ``small R``: a network of the pruned one's shape, trained from scratch.

Run ``python -m benchmarks.pruning_quality [--seeds 5] [--out results.jsonl]``; a quarter of the rows is the test set.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from benchmarks.common import datasets
from benchmarks.common.records import write
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

ESTIMATORS = {"regression": BanditPrunedMLPRegressor, "classification": BanditPrunedMLPClassifier}
RATIOS = (0.5, 0.8)
PRUNING = {"pruning_ratio": 0, "budget": 8, "n_rounds": 4, "fine_tune_iter": 10}
HIDDEN = (128, 64)
MAX_ROWS = 5000


def split(data: datasets.DataSet, seed: int):
    """Split off a quarter, preprocess on the rest."""
    stratify = data.y if data.task == "classification" else None
    X, X_test, y, y_test = train_test_split(data.X, data.y, test_size=0.25, random_state=seed, stratify=stratify)
    prep = datasets.preprocessing().fit(X)
    return prep.transform(X), prep.transform(X_test), y, y_test


def trained_on(dense, X, y, epochs: int):
    """Train the dense network for more epochs along a cosine, as pruning's fine-tuning does."""
    more = clone(dense).set_params(warm_start=True, max_iter=1, learning_rate_init=1e-12).fit(X, y)
    more.coefs_, more.intercepts_ = [W.copy() for W in dense.coefs_], [b.copy() for b in dense.intercepts_]
    more.set_params(
        learning_rate="cosine", learning_rate_init=dense.learning_rate_init, max_iter=epochs, n_iter_no_change=epochs
    )
    return more.fit(X, y)


def one_run(data: datasets.DataSet, seed: int):
    """Yield a record per model."""
    X, X_test, y, y_test = split(data, seed)
    base = ESTIMATORS[data.task].from_preset("plain", hidden_layer_sizes=HIDDEN, random_state=seed, **PRUNING)

    def record(model, fitted, seconds):
        return {
            "data": data.name,
            "task": data.task,
            "seed": seed,
            "model": model,
            "score": fitted.score(X_test, y_test),
            "units": sum(fitted.hidden_layer_sizes_),
            "hidden": list(fitted.hidden_layer_sizes_),
            "parameters": fitted.n_parameters_[1],
            "seconds": seconds,
        }

    start = time.perf_counter()
    dense = base.fit(X, y)
    yield record("dense", dense, time.perf_counter() - start)
    start = time.perf_counter()
    epochs = dense.n_rounds * dense.fine_tune_iter
    yield record("dense, trained on", trained_on(dense, X, y, epochs), time.perf_counter() - start)
    for ratio in RATIOS:
        start = time.perf_counter()
        pruned = dense.prune(X, y, pruning_ratio=ratio)
        yield record(f"pruned {ratio}", pruned, time.perf_counter() - start)
        start = time.perf_counter()
        small = clone(base).set_params(hidden_layer_sizes=pruned.hidden_layer_sizes_).fit(X, y)
        yield record(f"small {ratio}", small, time.perf_counter() - start)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help="write one JSON line per record")
    parser.add_argument("--sets", nargs="*", help="data sets (default: the reported ones)")
    args = parser.parse_args(argv)
    names = args.sets or [name for task in datasets.REPORT_PRUNING.values() for name in task]
    warnings.simplefilter("ignore", ConvergenceWarning)
    records = []
    for name in names:
        data = datasets.load(name, MAX_ROWS)
        for seed in range(args.seeds):
            records += one_run(data, seed)
        print(name, "done", flush=True)
    if args.out:
        write(args.out, records)
    frame = pd.DataFrame(records)
    order = list(dict.fromkeys(frame["model"]))
    table = frame.pivot_table(index="data", columns="model", values="score", sort=False)[order]
    print(table.round(4).to_string())
    print("mean".ljust(20), table.mean().round(4).to_dict())
    per_seed = frame.pivot_table(index=["data", "seed"], columns="model", values="score")
    for ratio in RATIOS:
        gap = per_seed[f"pruned {ratio}"] - per_seed["dense"]
        mean, error = gap.mean(), gap.std() / np.sqrt(len(gap))
        print(f"pruned {ratio} - dense: {mean:+.4f} ± {error:.4f} (mean over {len(gap)} runs, standard error)")
    print(frame.groupby("model", sort=False)[["units", "parameters", "seconds"]].mean().round(2).to_string())


if __name__ == "__main__":
    main()
