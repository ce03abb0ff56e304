"""A grid search of 90 fits in one process, compiling included, against one of 90 fits with scikit-learn's MLP.

Both sides: ``GridSearchCV`` over a pipeline of ``StandardScaler`` and the estimator, five folds of the diabetes data,
18 candidates, one hidden layer of 100 units, 50 epochs a fit, no refit, one job. Ours searches six policies and three
budgets and prunes in every fit; scikit-learn's searches 18 values of ``alpha``. Fresh processes take turns; the time
runs from the first line of the process's code, before any import, to the end of the search. As information: the same
search again in the same process; with JAX's persistent compilation cache, filled before; with ``memory=``, which keeps
the dense network of each fold on disk; and without the networks that the fits of a process share by themselves.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from benchmarks.common.timing import alternate
from benchmarks.speed import children
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import call_in_process

POLICIES = ("epsilon_greedy", "softmax", "ucb1", "thompson", "hedge", "exp3")
BUDGETS = (2, 8, 32)
EPOCHS, FOLDS = 50, 5
TARGET = 2
#: As a user has it; all other benchmarks train at each fit (`benchmarks.common.timing`).
SHARED, NOT_SHARED = {"SKBANDIT_SHARE_TRAINING": "1"}, {"SKBANDIT_SHARE_TRAINING": "0"}


def run(options: Options) -> Output:
    policies, budgets, folds = (POLICIES[2:3], BUDGETS[:1], 2) if options.quick else (POLICIES, BUDGETS, FOLDS)
    grid = {"policies": list(policies), "budgets": list(budgets), "folds": folds, "epochs": EPOCHS}
    candidates = len(policies) * len(budgets)

    def with_memory() -> Any:
        with tempfile.TemporaryDirectory() as memory:  # an empty one each time
            return call_in_process(children.search_ours, SHARED, **grid, memory=memory)

    with tempfile.TemporaryDirectory() as cache:
        sides = {
            "ours": lambda: call_in_process(children.search_ours, SHARED, **grid, again=not options.quick),
            "theirs": lambda: call_in_process(
                children.search_theirs, here=options.quick, candidates=candidates, folds=folds, epochs=EPOCHS
            ),
        }
        if not options.quick:
            sides["cached"] = lambda: call_in_process(children.search_ours, SHARED, **grid, cache=cache)
            sides["cached"]()  # fills it
            sides["memory"] = with_memory
            sides["alone"] = lambda: call_in_process(children.search_ours, NOT_SHARED, **grid, again=True)
        results = alternate(sides, options.repeats)
    yield from rows(results, candidates * folds)


def rows(results: dict[str, list[Any]], n_fits: int) -> Output:
    theirs = seconds(results["theirs"])
    peer = "scikit-learn, unpruned"
    counts = results["ours"][0]["compilations"]
    most = ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda item: -item[1])[:6])
    yield Row(
        f"{n_fits} fits, fresh process",
        seconds(results["ours"]),
        theirs,
        peer,
        TARGET,
        note=f"{sum(counts.values())} compilations: {most}",
    )
    if "warm_seconds" in results["ours"][0]:
        again = int(np.median([result["warm_compilations"] for result in results["ours"]]))
        warm = seconds(results["ours"], "warm_seconds")
        yield Row(f"{n_fits} fits, the same again", warm, theirs, peer, note=f"{again} compilations")
    others = {"cached": "filled cache", "memory": "memory=", "alone": "each fit trains"}
    for name, what in others.items():
        if name in results:
            yield Row(f"{n_fits} fits, fresh process, {what}", seconds(results[name]), theirs, peer)
    if "alone" in results:
        warm = seconds(results["alone"], "warm_seconds")
        yield Row(f"{n_fits} fits, the same again, each fit trains", warm, theirs, peer)


def seconds(results: list[Any], name: str = "seconds") -> list[float]:
    return [result[name] for result in results]
