"""Compare our estimators with standard models on public tabular sets.

``python -m benchmarks.tabular`` fits and appends one JSON line per model and fold to a file; run again, it does what
the file lacks. ``python -m benchmarks.tabular report FILE...`` makes tables, statistics and figures of such files.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer, load_diabetes

from benchmarks import datasets
from benchmarks.tabular import protocol
from benchmarks.tabular.models import MODELS, OURS, OURS_OPTIONAL, check_names, default_names

OUT = Path("benchmarks/results/tabular.jsonl")
QUICK_SETS = {"diabetes": (load_diabetes, "regression"), "breast_cancer": (load_breast_cancer, "classification")}
QUICK_MODELS = ("ridge", "logistic", "knn", "gradient boosting", "default-1 @0", "default-1 @0.5")


def add_run_options(parser: argparse.ArgumentParser, out: Path) -> None:
    """Add the options that every comparison has."""
    parser.add_argument("--sets", nargs="+", metavar="SET", help="data sets by name")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds, of folds and models (default: 2)")
    parser.add_argument("--folds", type=int, default=protocol.N_FOLDS, help="run only so many of the three folds")
    parser.add_argument("--max-rows", type=int, default=protocol.MAX_ROWS, help="rows of a set (default: 2000)")
    parser.add_argument("--parts", type=part, default=(1, 1), metavar="I/N", help="do the I-th of N shares")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="MINUTES", help="stop then (default: 20)")
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.jsonl", help=f"records (default: {out})")
    parser.add_argument("--retry", action="store_true", help="do again what failed")


def part(text: str) -> tuple[int, int]:
    """Read ``i/n``."""
    try:
        i, n = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 1/4") from None
    if not 1 <= i <= n:
        raise argparse.ArgumentTypeError(f"there is no part {i} of {n}")
    return i, n


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


def quick(out: Path | None = None) -> None:
    """A fold of two small sets that scikit-learn brings, and a few models: shows that everything runs."""
    sets = {name: task for name, (_, task) in QUICK_SETS.items()}
    # Before JAX is imported: compiling is most of what tiny runs do.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    plan = protocol.Plan(sets, 1, 1, protocol.MAX_ROWS, (1, 1), 600.0, out, False)
    work = protocol.work_of(QUICK_MODELS)
    records = protocol.run(work, plan, lambda name, max_rows: protocol.bundled(name, *QUICK_SETS[name]))
    failed = [f"{record['model']}: {record['error']}" for record in records if record["error"]]
    if failed:
        raise SystemExit("failed: " + "; ".join(failed))


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["report"]:
        from benchmarks.tabular import report

        report.main(argv[1:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tabular",
        description=__doc__,
        epilog=f"Models: {', '.join(default_names())}; if named: "
        f"{', '.join([name for name, model in MODELS.items() if model.optional] + list(OURS_OPTIONAL))}.",
    )
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="models by name; 'ours', 'standard' for all such")
    parser.add_argument("--dev", action="store_true", help="on the development sets instead of the report sets")
    parser.add_argument("--quick", action="store_true", help="tiny: only shows that everything runs")
    add_run_options(parser, OUT)
    args = parser.parse_args(argv)
    if args.quick:
        quick(args.out if args.out != OUT else None)
        return
    if not datasets.available():
        raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
    groups = {"ours": OURS, "standard": [name for name in default_names() if name not in OURS]}
    names = [name for given in args.models or default_names() for name in groups.get(given, [given])]
    try:
        check_names(names)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    sets = tasks_of(args.sets, datasets.DEVELOPMENT if args.dev else datasets.REPORT)
    protocol.run(protocol.work_of(names), plan_of(args, sets))


if __name__ == "__main__":
    main()
