"""The options that every comparison on tables has."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common import datasets
from benchmarks.common.options import part
from benchmarks.tabular import protocol


def add_run_options(parser: argparse.ArgumentParser, out: Path) -> None:
    """Add them; ``out`` is the default of ``--out``."""
    parser.add_argument("--sets", nargs="+", metavar="SET", help="data sets by name")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds, of folds and models (default: 2)")
    parser.add_argument("--folds", type=int, default=protocol.N_FOLDS, help="run only so many of the three folds")
    parser.add_argument("--max-rows", type=int, default=protocol.MAX_ROWS, help="rows of a set (default: 2000)")
    parser.add_argument("--parts", type=part, default=(1, 1), metavar="I/N", help="do the I-th of N shares")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="MINUTES", help="stop then (default: 20)")
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.jsonl", help=f"records (default: {out})")
    parser.add_argument("--retry", action="store_true", help="do again what failed")


def tasks_of(names: list[str] | None, otherwise: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the task of each data set."""
    known = {
        name: task
        for choice in (datasets.DEVELOPMENT, datasets.REPORT)
        for task, members in choice.items()
        for name in members
    }
    chosen = names or [name for members in otherwise.values() for name in members]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise SystemExit(f"No data set {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
    return {name: known[name] for name in chosen}


def plan_of(args: argparse.Namespace, sets: dict[str, str]) -> protocol.Plan:
    """Make a plan of the options."""
    if not 1 <= args.folds <= protocol.N_FOLDS:
        raise SystemExit(f"--folds is 1 to {protocol.N_FOLDS}")
    return protocol.Plan(
        sets, args.seeds, args.folds, args.max_rows, args.parts, 60 * args.time_limit, args.out, args.retry
    )
