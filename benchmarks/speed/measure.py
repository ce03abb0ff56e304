"""What all scenarios share: calls that take turns, processes of their own, the table and the records.

All sides of a comparison take turns in one process (A B A B …) after warm-up calls, so that a slow minute of the
machine hits all of them. The ratio is that of the medians; its spread is the interquartile range of the ratios of
neighbours.
"""

from __future__ import annotations

import datetime
import gc
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

#: Seconds between two timings: worker threads of OpenMP and OpenBLAS spin for some milliseconds after their work, on
#: cores that the next side needs.
PAUSE = 0.02

CACHE_VARIABLES = ("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE", "JAX_ENABLE_COMPILATION_CACHE")


class Options(NamedTuple):
    """How a scenario is to be run."""

    repeats: int
    quick: bool
    machine: Any
    """Measured rates: `machine.Machine`."""
    plot_dir: Path | None


class Row(NamedTuple):
    """One line of the table: our values and a peer's, one per repeat, in the same unit."""

    case: str
    ours: Sequence[float]
    peer: Sequence[float] | None = None
    peer_name: str = ""
    target: float | None = None
    at_most: bool = False
    """The ratio is ours / peer, and ``target`` its upper bound; otherwise peer / ours, and its lower bound."""
    roofline: float | None = None
    """The least that the machine could take for our work, in the unit of ``ours``."""
    unit: str = "s"
    """"s", "B", or a rate, for which more is better."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster we are; with ``at_most``, how many times what the peer takes we take."""
        if self.peer is None:
            return None
        return self._ratio(np.median(self.ours), np.median(self.peer))

    @property
    def ratio_quartiles(self) -> tuple[float, float] | None:
        """Quartiles of the ratios of neighbouring measurements."""
        if self.peer is None or len(self.peer) != len(self.ours):
            return None
        return quartiles([self._ratio(a, b) for a, b in zip(self.ours, self.peer, strict=True)])

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    @property
    def roofline_fraction(self) -> float | None:
        """Share of the machine's measured rate that our side reaches."""
        return None if self.roofline is None else self.roofline / float(np.median(self.ours))

    def _ratio(self, ours: float, peer: float) -> float:
        more_is_better = self.unit not in ("s", "B")
        return float(ours / peer if self.at_most or more_is_better else peer / ours)


#: A scenario yields rows and, as plain strings, remarks; both are printed as they come.
Output = Iterable[Row | str]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


# ---------------------------------------------------------------------- timing


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


# ---------------------------------------------------------------------- other processes


def run_python(code: str, *arguments: str, **environment: str) -> str:
    """Run Python code in a fresh process, in the top folder of the checkout, and return what it printed.

    A compilation cache that the caller's environment sets up is left out: whether there is one is what is compared.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CACHE_VARIABLES)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"A measured process failed:\n{done.stderr}")
    return done.stdout


def call_in_process(
    name: str, environment: dict[str, str] | None = None, *, here: bool = False, **arguments: Any
) -> Any:
    """Call a function of `benchmarks.speed.children` in a fresh process and return its result.

    Its first argument is the time when the process's code began. With ``here`` it is called in this process, to save
    the time that a process takes to start.
    """
    if here:
        from benchmarks.speed import children

        return getattr(children, name)(time.perf_counter(), **arguments)
    code = (
        "import time; start = time.perf_counter(); import json, sys; from benchmarks.speed import children; "
        "print(json.dumps(getattr(children, sys.argv[1])(start, **json.loads(sys.argv[2]))))"
    )
    return json.loads(run_python(code, name, json.dumps(arguments), **(environment or {})).splitlines()[-1])


def missing(*packages: str) -> str | None:
    """Say which of the packages are not installed; None if all are."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return f"skipped: {', '.join(absent)} not installed" if absent else None


# ---------------------------------------------------------------------- table and records

HEADER = (
    f"{'case':48s} {'ours':>10s} {'peer':>10s} {'ratio':>7s} {'spread':>13s} {'target':>8s} {'':7s} "
    f"{'roofline':>8s}  peer"
)


def format_value(value: float, unit: str) -> str:
    """Three digits and a unit that fits."""
    if unit == "B":
        return f"{value / 2**20:.1f} MiB"
    if unit != "s":
        return f"{value:.3g} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def format_row(row: Row) -> str:
    """One line under `HEADER`, and the note below it."""
    peer = "" if row.peer is None else format_value(float(np.median(row.peer)), row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    spread = "" if row.ratio_quartiles is None else "{:.2f}-{:.2f}".format(*row.ratio_quartiles)
    target = "" if row.target is None else f"{'<=' if row.at_most else '>='} {row.target:g}x"
    verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
    roofline = "" if row.roofline_fraction is None else f"{row.roofline_fraction:.1%}"
    line = (
        f"{row.case:48s} {format_value(float(np.median(row.ours)), row.unit):>10s} {peer:>10s} {ratio:>7s} "
        f"{spread:>13s} {target:>8s} {verdict:7s} {roofline:>8s}  {row.peer_name}"
    )
    return line.rstrip() + (f"\n    {row.note}" if row.note else "")


def records(scenario: str, row: Row, common: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is written of a row: one record for us and one for the peer."""
    values_name = {"s": "seconds", "B": "bytes"}.get(row.unit, row.unit)

    def record(who: str, values: Sequence[float]) -> dict[str, Any]:
        return {
            "scenario": scenario,
            "case": row.case,
            "who": who,
            values_name: [float(v) for v in values],
            "unit": row.unit,
            "median": float(np.median(values)),
            "quartiles": quartiles(values),
        }

    verdict = {
        "reference": row.peer_name or None,
        "ratio": row.ratio,
        "ratio_is": "ours / reference, lower is better" if row.at_most else "times better than the reference",
        "ratio_quartiles": row.ratio_quartiles,
        "target": row.target,
        "reached": row.reached,
        "roofline_fraction": row.roofline_fraction,
        "note": row.note,
    }
    found = [record("skbandit", row.ours) | verdict]
    if row.peer is not None:
        found.append(record(row.peer_name, row.peer))
    common = common | {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    return [one | common for one in found]
