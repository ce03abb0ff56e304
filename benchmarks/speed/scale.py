"""Scale: memory at a million rows, and how a fit's time and memory grow.

Memory is that of a fresh process (Linux): the high-water mark of its resident memory during the first fit of the size,
above the level right before, plus the rows themselves, which are there already. In the case with a target, JAX is
loaded before (by a fit of 64 rows), so that what is counted is what grows with the rows, and compiling; as information,
the same in a process that has not loaded JAX. The growth panels change one size at a time, in one fresh process per
point, with the time of a warm fit (the second one of the process; of the first where that takes over 20 s, of which
compiling is a small share). Pulls are limited to one per unit and mini-batch.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common.machine import missing
from benchmarks.speed import children
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import call_in_process

FEATURES = 20
#: Peak memory of a fit at most, in sizes of the rows.
TARGET = 4.0


class Panel(NamedTuple):
    """A size that changes, and the others meanwhile."""

    label: str
    name: str
    values: tuple[Any, ...]
    base: dict[str, Any]


PANELS = (
    Panel("rows", "rows", (10**3, 10**4, 10**5, 10**6), {"hidden": [64], "epochs": 2}),
    Panel("features", "features", (10, 100, 1000), {"rows": 5000, "hidden": [64]}),
    Panel("hidden units, one layer", "hidden", (64, 512, 2048, 8192), {"rows": 2000}),
    Panel("hidden units, two layers", "hidden", (64, 256, 1024), {"rows": 2000}),
    Panel("layers of 64", "layers", (1, 2, 4, 8), {"rows": 5000}),
    Panel("budget in pulls per unit", "budget", (1, 4, 16, 64), {"rows": 20_000, "hidden": [128, 128], "epochs": 1}),
    Panel("classes", "classes", (10, 100, 1000), {"rows": 20_000, "hidden": [64]}),
    Panel("members", "members", (1, 2, 4, 8), {"rows": 5000, "hidden": [64, 64]}),
)
QUICK_PANELS = (Panel("rows", "rows", (300, 600), {"hidden": [16], "epochs": 2, "preload": False}),)


def run(options: Options) -> Output:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        yield "skipped: the peak of a process's memory is read from /proc, as Linux has it"
        return
    if not options.quick:
        yield from memory(options)
    found = []
    for panel in QUICK_PANELS if options.quick else PANELS:
        points = []
        for value in panel.values:
            result = call_in_process(children.fit_of_size, here=options.quick, **sizes(panel, value))
            points.append((value, result))
            yield Row(f"fit, {panel.label} {value}", time_of(result), note=described(result))
            yield Row(f"memory, {panel.label} {value}", [result["peak"] + result["data"]], unit="B")
        yield slopes(panel, points)
        found.append((panel, points))
    if options.plot_dir is not None:
        yield plot(found, options.plot_dir)


def memory(options: Options) -> Output:
    """A million rows. Three processes at most: memory varies little, and time does not enter."""
    fit = sizes(PANELS[0], PANELS[0].values[-1]) | {"warm_fits": 0}
    case = f"peak memory, 10^6 x {FEATURES} float32"
    for name, preload, target, repeats in (
        (case, True, TARGET, min(options.repeats, 3)),
        (f"{case}, JAX included", False, None, 1),
    ):
        results = [call_in_process(children.fit_of_size, **fit, preload=preload) for _ in range(repeats)]
        peak = [result["peak"] + result["data"] for result in results]
        data = [result["data"] for result in results]
        yield Row(name, peak, data, "the rows", target, at_most=True, unit="B")


def sizes(panel: Panel, value: Any) -> dict[str, Any]:
    """Arguments of `children.fit_of_size` for a point of a panel."""
    changed = {panel.name: value}
    if panel.name == "hidden":
        changed = {"hidden": [value // 2] * 2 if "two" in panel.label else [value]}
    if panel.name == "layers":
        changed = {"hidden": [64] * value}
    defaults = {"features": FEATURES, "hidden": [128], "budget": 8, "epochs": 5, "warm_fits": 1}
    return defaults | panel.base | changed


def time_of(result: dict[str, Any]) -> list[float]:
    """Seconds of the warm fits, or of the first where it was too slow to be repeated."""
    return result["seconds"] or [result["first"]]


def slopes(panel: Panel, points: list[tuple[Any, dict[str, Any]]]) -> str:
    """Say how time and memory grow from size to size: log-log slopes, 1 where they grow in proportion."""
    told = []
    for (small, before), (large, after) in pairwise(points):
        ratio = math.log(large / small)
        time = math.log(time_of(after)[0] / time_of(before)[0]) / ratio
        held = math.log((after["peak"] + after["data"]) / (before["peak"] + before["data"])) / ratio
        told.append(f"{small} to {large}: time {time:.2f}, memory {held:.2f}")
    return f"log-log slopes, {panel.label}: " + "; ".join(told)


def described(result: dict[str, Any]) -> str:
    return f"first fit in the process {result['first']:.2f} s; {result['n_pulls']} pulls"


def plot(found: list[tuple[Panel, list[tuple[Any, dict[str, Any]]]]], folder: Path) -> str:
    """Draw time above memory, one column per panel, both axes logarithmic."""
    if reason := missing("matplotlib"):
        return f"figure {reason}"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(found), 5.6), layout="constrained")
    axes = figure.subplots(2, len(found), squeeze=False, sharex="col", sharey="row")
    for column, (panel, points) in zip(axes.T, found, strict=True):
        values = [value for value, _ in points]
        column[0].loglog(values, [time_of(result)[0] for _, result in points], "o-")
        column[1].loglog(
            values, [(r["peak"] + r["data"]) / 2**20 for _, r in points], "o-", label="peak, with the rows"
        )
        column[1].loglog(values, [r["data"] / 2**20 for _, r in points], "k:", label="the rows alone")
        column[1].set_xlabel(panel.label)
        if values[-1] < 10 * values[0]:  # matplotlib labels every minor tick of less than a decade
            column[1].set_xticks(values, [str(value) for value in values])
            column[1].set_xticks([], minor=True)
        for axis in column:
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("warm fit (s)")
    axes[1, 0].set_ylabel("peak memory (MiB)")
    axes[1, -1].legend(fontsize="small", loc="center")
    path = folder / "scale.png"
    figure.savefig(path, dpi=120)
    return f"figure written to {path}"
