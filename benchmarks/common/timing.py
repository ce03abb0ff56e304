"""Seconds: of functions that take turns, of one call with its CPU and compile time, of a model's predictions.

All sides of a comparison take turns in one process (A B A B …) after warm-up calls, so that a slow minute of the
machine hits all of them.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# What is timed is trained each time, in this process and in those that it starts: the fits of a process share trained
# networks, and one that is repeated would find its own. `speed.search`, whose fits are a user's, switches that on.
os.environ.setdefault("SKBANDIT_SHARE_TRAINING", "0")

#: Seconds between two timings: worker threads of OpenMP and OpenBLAS spin for some milliseconds after their work, on
#: cores that the next side needs.
PAUSE = 0.02

#: What JAX calls the event of a program that XLA has compiled.
COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


def alternate(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[Any]]:
    """Call the functions in turn, ``repeats`` times, and collect what they return."""
    results: dict[str, list[Any]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            gc.collect()
            time.sleep(PAUSE)
            results[name].append(function())
    return results


def interleave(
    functions: dict[str, Callable[[], Any]], repeats: int, *, warm_up: int = 2, at_least: float = 0.0
) -> dict[str, list[float]]:
    """Time the functions in turn; each must have finished its work when it returns.

    Parameters
    ----------
    warm_up : int
        Calls of each function before, not timed: they compile, fill caches and start threads.
    at_least : float
        Seconds of one timing: a function that is faster is called as often as this takes, and the time of one call
        is what counts.

    Returns
    -------
    seconds : dict of lists
        Seconds of one call, one per repeat.
    """
    timings = {}
    for name, function in functions.items():
        for _ in range(warm_up):
            function()
        calls = math.ceil(at_least / seconds_of(function)) if at_least else 1
        timings[name] = lambda function=function, calls=calls: seconds_of(function, calls)
    return alternate(timings, repeats)


def seconds_of(function: Callable[[], Any], calls: int = 1) -> float:
    """Return the seconds of one of ``calls`` calls."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def best_of(function: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of the fastest call after a warm-up: for what a machine can do, and for choices, not for comparisons."""
    function()
    return min(seconds_of(function) for _ in range(repeats))


# ---------------------------------------------------------------------- the cost of one call


class Cost(NamedTuple):
    """Seconds: of the wall clock, of all cores together, and inside XLA's compiler.

    Where several threads compile at once, the last are those of all of them.
    """

    wall: float = 0.0
    cpu: float = 0.0
    compile: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))


class _CompileClock:
    """Adds up the seconds that XLA compiles; listens from the first of our estimators on."""

    seconds = 0.0
    listening = False

    def listen(self) -> None:
        if self.listening:
            return
        import jax

        self.listening = True
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, seconds: float, **_: Any) -> None:
        if event == COMPILE_EVENT:
            self.seconds += seconds


COMPILE_CLOCK = _CompileClock()


def timed(function: Callable[[], Any]) -> tuple[Any, Cost]:
    """Call a function; return its result and what it cost."""
    gc.collect()
    compiled, cpu, wall = COMPILE_CLOCK.seconds, time.process_time(), time.perf_counter()
    result = function()
    ends = time.perf_counter() - wall, time.process_time() - cpu, COMPILE_CLOCK.seconds - compiled
    return result, Cost(*ends)


def latency(predict: Callable[[Any], Any], X: Any, repeats: int = 5, at_most: float = 1.0) -> float:
    """Median seconds of a call after a first one; fewer repeats, at least one, where they take too long."""
    predict(X)
    seconds: list[float] = []
    while not seconds or (len(seconds) < repeats and sum(seconds) < at_most):
        start = time.perf_counter()
        predict(X)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
