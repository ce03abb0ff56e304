"""Count compilations in a grid search over policy and budget, and time it.

``python -m benchmarks.search`` runs ``GridSearchCV`` over the six policies of the paper and three budgets,
with five folds, on the diabetes data, in one process; then again with two worker processes, and compares the scores.
"""

from __future__ import annotations

import argparse
import collections
import time
import warnings

import jax
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbandit import BanditPrunedMLPRegressor

POLICIES = ("epsilon_greedy", "softmax", "ucb1", "thompson", "hedge", "exp3")
BUDGETS = (2, 8, 32)


class CompilationCounter:
    """Counts XLA compilations by the name of the compiled function, from the moment it is made."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **kwargs) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.counts[str(kwargs.get("fun_name"))] += 1


def search(policies, budgets, folds: int, n_jobs: int | None = None) -> GridSearchCV:
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), BanditPrunedMLPRegressor(max_iter=50, random_state=0))
    grid = {
        "banditprunedmlpregressor__policy": list(policies),
        "banditprunedmlpregressor__budget": list(budgets),
    }
    return GridSearchCV(model, grid, cv=folds, n_jobs=n_jobs, refit=False).fit(X, y)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two policies, two budgets, two folds, one process")
    args = parser.parse_args(argv)
    policies, budgets, folds = (POLICIES[2:4], BUDGETS[:2], 2) if args.quick else (POLICIES, BUDGETS, 5)
    warnings.simplefilter("ignore", ConvergenceWarning)
    counter = CompilationCounter()
    start = time.perf_counter()
    one = search(policies, budgets, folds)
    seconds = time.perf_counter() - start
    n_fits = len(policies) * len(budgets) * folds
    print(f"{n_fits} fits in one process: {seconds:.1f} s, compilation included")
    print("compilations:", dict(counter.counts.most_common(8)))
    start = time.perf_counter()
    search(policies, budgets, folds)
    print(f"the same again, compiled: {time.perf_counter() - start:.1f} s")

    X, y = load_diabetes(return_X_y=True)
    start = time.perf_counter()
    for _ in range(n_fits):
        MLPRegressor(max_iter=50, random_state=0).fit(
            X[: len(X) * (folds - 1) // folds], y[: len(y) * (folds - 1) // folds]
        )
    print(f"{n_fits} fits of scikit-learn's MLPRegressor, same network and epochs: {time.perf_counter() - start:.1f} s")
    if not args.quick:
        start = time.perf_counter()
        two = search(policies, budgets, folds, n_jobs=2)
        print(f"two worker processes: {time.perf_counter() - start:.1f} s")
        scores = [name for name in one.cv_results_ if name.startswith("split")]
        same = all(np.array_equal(one.cv_results_[name], two.cv_results_[name]) for name in scores)
        print("same scores in one process and in two:", same)


if __name__ == "__main__":
    main()
