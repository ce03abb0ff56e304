"""What runs in processes of its own (`processes.call_in_process`).

Imports stand inside the functions: what they cost is part of what is measured. ``start`` is the time when the process's
code began, before any import. Results are plain JSON.
"""

from __future__ import annotations

import collections
import os
import time
import warnings
from typing import Any

#: Seconds of a first fit beside which compiling does not count, so that it need not be repeated to be timed warm.
SLOW_FIT = 20.0


def one_core_rates(start: float, size: int) -> dict[str, float]:
    """FLOP/s of a matrix product on one core: the process is bound to it before any library starts its threads."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from benchmarks.speed.rates import matmul_rates

    return matmul_rates(size)


# ---------------------------------------------------------------------- search


def search_ours(
    start: float,
    policies: list[str],
    budgets: list[float],
    folds: int,
    epochs: int,
    cache: str | None = None,
    memory: str | None = None,
    again: bool = False,
) -> dict[str, Any]:
    """Grid search over policies and budgets; with ``again``, a second time in the same process."""
    import skbandit

    if cache is not None:
        skbandit.enable_compilation_cache(cache)
    import jax

    counts: collections.Counter[str] = collections.Counter()

    def count(event: str, duration: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counts[str(about.get("fun_name"))] += 1

    jax.monitoring.register_event_duration_secs_listener(count)
    model = skbandit.BanditPrunedMLPRegressor.from_preset(
        "plain", max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=0, memory=memory
    )
    grid = {"policy": policies, "budget": budgets}
    _grid_search(model, grid, folds)
    result = {"seconds": time.perf_counter() - start, "compilations": dict(counts)}
    if again:
        begin = time.perf_counter()
        _grid_search(model, grid, folds)
        result["warm_seconds"] = time.perf_counter() - begin
        result["warm_compilations"] = sum(counts.values()) - sum(result["compilations"].values())
    return result


def search_theirs(start: float, candidates: int, folds: int, epochs: int) -> dict[str, Any]:
    """Grid search over as many values of ``alpha`` with scikit-learn's MLP: the same network, batches and epochs."""
    import numpy as np
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(max_iter=epochs, tol=0, n_iter_no_change=epochs, random_state=0)
    _grid_search(model, {"alpha": np.logspace(-6, 0, candidates).tolist()}, folds)
    return {"seconds": time.perf_counter() - start}


def _grid_search(model: Any, grid: dict[str, list[Any]], folds: int) -> None:
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore")
    X, y = load_diabetes(return_X_y=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", model)])
    grid = {f"mlp__{name}": values for name, values in grid.items()}
    GridSearchCV(pipeline, grid, cv=folds, refit=False, error_score="raise").fit(X, (y - y.mean()) / y.std())


# ---------------------------------------------------------------------- scale


def fit_of_size(
    start: float,
    rows: int,
    features: int,
    hidden: list[int],
    budget: float,
    epochs: int,
    warm_fits: int,
    preload: bool = True,
    classes: int | None = None,
    members: int = 1,
) -> dict[str, Any]:
    """Memory and seconds of the first fit of this size in the process, and seconds of the ones after it.

    The model is a regressor, or a classifier where a number of classes is given. No fit is repeated that takes longer
    than ``SLOW_FIT``. With ``preload``, a fit of 64 rows comes before, so that what JAX itself takes is there already;
    what compiling for the new size takes is counted.
    """
    from benchmarks.speed import models

    warnings.simplefilter("ignore")
    kind = "regressor" if classes is None else "classifier"
    params: dict[str, Any] = {"pruning_ratio": 0.5, "budget": budget, "fine_tune_iter": min(epochs, 10)}
    model = models.ours(hidden, epochs, kind=kind, n_members=members, **params)
    if preload:
        models.ours((4,), 1, fine_tune_iter=1).fit(*models.regression(64, 2, "float32"))
    X, y = models.regression(rows, features, "float32")
    if classes is not None:
        y = models.classes_of(y, classes)
    level = reset_peak()
    begin = time.perf_counter()
    models.fit(model, X, y)
    first = time.perf_counter() - begin
    peak = _status("VmHWM") - level
    seconds = []
    for _ in range(warm_fits if first < SLOW_FIT else 0):
        begin = time.perf_counter()
        models.fit(model, X, y)
        seconds.append(time.perf_counter() - begin)
    return {"peak": peak, "data": X.nbytes, "first": first, "seconds": seconds, "n_pulls": model.n_pulls_}


def fit_of_sparse_rows(start: float, rows: int, columns: int) -> dict[str, int]:
    """Memory of a fit on a bag of words at the defaults, but for its size, and of the rows as a dense float32 array."""
    from benchmarks.speed import models

    warnings.simplefilter("ignore")
    model = models.small_classifier("fast", max_iter=2, fine_tune_iter=1)
    X, y = models.words(rows, columns, per_row=20)
    model.fit(X[:300], y[:300])
    level = reset_peak()
    model.fit(X, y)
    return {"peak": _status("VmHWM") - level, "dense": rows * columns * 4}


def reset_peak() -> int:
    """Make the high-water mark of resident memory start anew at the present level (Linux), and return the level."""
    import gc

    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """Bytes, from /proc/self/status."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


# ---------------------------------------------------------------------- devices


def pulls_per_second(
    start: float,
    rows: int,
    features: int,
    hidden: list[int],
    budget: float,
    repeats: int,
    device: str | None = None,
) -> dict[str, Any]:
    """Time warm pruning phases, without fine-tuning, of a network trained for a few epochs."""
    import jax

    from benchmarks.speed import models, rates

    warnings.simplefilter("ignore")
    platform = device.partition(":")[0] if device else None
    try:
        found = jax.devices(platform)
    except RuntimeError as error:
        return {"reason": str(error).splitlines()[0]}
    X, y = models.regression(rows, features, "float32")
    dense = models.ours(hidden, 2, pruning_ratio=0).fit(X, y)
    prune_on_devices(dense, X, y, budget, device)
    seconds, n_pulls = [], 0
    for _ in range(repeats):
        begin = time.perf_counter()
        n_pulls = prune_on_devices(dense, X, y, budget, device).n_pulls_
        seconds.append(time.perf_counter() - begin)
    with jax.default_device(found[0]):
        rate = rates.matmul_rates(8192 if found[0].platform == "gpu" else 1024)["JAX"]
    return {
        "rates": [n_pulls / s for s in seconds],
        "n_pulls": n_pulls,
        "devices": [d.device_kind for d in found],
        "flops": rate,
    }


def prune_on_devices(dense: Any, X: Any, y: Any, budget: float, device: str | None) -> Any:
    """Run a pruning phase on the devices that the estimator's ``device`` names; the one place that says how."""
    return dense.set_params(device=device).prune(X, y, pruning_ratio=0.5, budget=budget, fine_tune_iter=0)
