"""Command line: run scenarios, print a table for each, append records to a file."""

from __future__ import annotations

import argparse
import importlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.common.records import append
from benchmarks.speed.measure import HEADER, Options, Row, format_row, records
from benchmarks.speed.roofline import measure_machine

SCENARIOS = {
    "sweep": "all arms of one mini-batch, against vmapped gated forward passes",
    "prune_phase": "a whole pruning phase, against a bandit loop written by hand in PyTorch",
    "repair": "what least squares add to a pruning phase of wide layers",
    "training": "training alone, against scikit-learn's MLPRegressor and a loop in PyTorch",
    "fit": "training and pruning, against scikit-learn's MLPRegressor, which does not prune",
    "defaults": "a fit of a preset, against scikit-learn and gradient boosting; four members against four fits and one",
    "cold_start": "from the start of the process to a fitted model; imports alone",
    "search": "a grid search of 90 fits in a fresh process, against one with scikit-learn's MLPRegressor",
    "predict": "a row and many, against scikit-learn's unpruned MLPRegressor; the presets against boosted trees",
    "wide": "tables of many columns, sparse and dense, against scikit-learn's MLPClassifier; memory of a sparse one",
    "scale": "memory at a million rows; growth with rows, features, units, layers, budget, classes, members",
    "devices": "pulls per second on one device, on several, on a GPU",
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    lines = [f"  {name:12s} {line}" for name, line in SCENARIOS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__.splitlines()[0],
        epilog="\n".join(["scenarios:", *lines, f"  {'all':12s} all of them"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="see below; with --quick, all by default")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each side (default: 7; at least 5)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repeat: only shows that everything runs")
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help="append one JSON line per measurement")
    parser.add_argument("--plot-dir", type=Path, metavar="DIR", help="write figures there (needs matplotlib)")
    args = parser.parse_args(argv)
    if not args.scenarios and not args.quick:
        parser.error("name a scenario, or 'all'")
    if not args.scenarios or "all" in args.scenarios:
        args.scenarios = list(SCENARIOS)
    unknown = sorted(set(args.scenarios) - set(SCENARIOS))
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if args.repeats < 1:
        parser.error("--repeats must be positive")
    return args


def run(name: str, options: Options, out: Path | None, common: dict[str, Any]) -> list[bool]:
    """Run a scenario, print and write as it goes; return which targets were reached."""
    print(f"\n== {name}: {SCENARIOS[name]}\n{HEADER}", flush=True)
    scenario = importlib.import_module(f"benchmarks.speed.{name}")
    reached, start = [], time.perf_counter()
    for item in scenario.run(options):
        if not isinstance(item, Row):
            print(f"  {item}", flush=True)
            continue
        if options.quick:
            item = item._replace(target=None)  # at these sizes it would say nothing
        print(format_row(item), flush=True)
        if item.reached is not None:
            reached.append(item.reached)
        if out is not None:
            append(out, *records(name, item, common))
    print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
    return reached


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    warnings.simplefilter("ignore")  # ConvergenceWarning: the number of epochs is fixed on purpose
    if args.quick:
        # Before JAX is imported, and for the child processes too: compiling is most of what tiny runs do.
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    start = time.perf_counter()
    machine = measure_machine(args.quick)
    print(machine)
    if args.plot_dir is not None:
        args.plot_dir.mkdir(parents=True, exist_ok=True)
    options = Options(1 if args.quick else args.repeats, args.quick, machine, args.plot_dir)
    common = machine.description | {"rates": machine.rates, "copy_bandwidth": machine.copy_bandwidth}
    common |= {"quick": args.quick, "repeats": options.repeats}
    reached = [hit for name in args.scenarios for hit in run(name, options, args.out, common)]
    verdict = "quick sizes: not for quoting" if args.quick else f"{sum(reached)} of {len(reached)} targets reached"
    print(f"\n{verdict}; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
