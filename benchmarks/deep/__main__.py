"""Command line: run a table's measurements, one JSON line each, or write the page that joins them."""

from __future__ import annotations

import argparse
import importlib
import os
import time
import warnings
from pathlib import Path

from benchmarks.common.records import append, latest, read, write

SCENARIOS = {
    "zoo": "what is found prunable in networks of many kinds, most of them shipped by others",
    "torch_zoo": "the same architectures in PyTorch, pruned by Torch-Pruning",
    "evaluator": "all arms of a layer, against one vmap of the whole gated forward pass",
    "criteria": "which criterion runs on which kind of network",
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    lines = [f"  {name:10s} {text}" for name, text in SCENARIOS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.deep",
        description=__doc__.splitlines()[0],
        epilog="\n".join(["scenarios:", *lines, f"  {'report':10s} the page that joins their records"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=[*SCENARIOS, "report"], metavar="SCENARIO", help="see below")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks or packages; all by default")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file for the records, or for the page")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.scenario == "report":
        from benchmarks.deep import criteria, evaluator, report

        report.main(args.out)
        for scenario in (evaluator, criteria) if args.out is None else ():
            scenario.PAGE.write_text(scenario.page(read(scenario.OUT)), encoding="utf-8")
            print(scenario.PAGE)
        return
    os.environ.setdefault("KERAS_BACKEND", "jax")
    warnings.simplefilter("ignore")  # packages warn of what they use that is to be removed
    start = time.perf_counter()
    scenario = importlib.import_module(f"benchmarks.deep.{args.scenario}")
    out = args.out or scenario.OUT
    for record in scenario.run(args.names):
        print(scenario.line(record), flush=True)
        append(out, record)
    write(out, latest(read(out), scenario.key))
    print(f"{time.perf_counter() - start:.0f} s in all; records in {out}")


if __name__ == "__main__":
    main()
