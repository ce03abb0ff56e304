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

from benchmarks.common import datasets, records
from benchmarks.tabular import protocol
from benchmarks.tabular.models import MODELS, OURS, OURS_OPTIONAL, check_names, default_names
from benchmarks.tabular.options import add_run_options, plan_of, tasks_of

OUT = records.NEW / "tabular.jsonl"
QUICK_SETS = {"diabetes": (load_diabetes, "regression"), "breast_cancer": (load_breast_cancer, "classification")}
QUICK_MODELS = ("ridge", "logistic", "knn", "gradient boosting", "default-4 @0", "default-4 @0.5")


def quick(out: Path | None = None) -> None:
    """A fold of two small sets that scikit-learn brings, and a few models: shows that everything runs."""
    sets = {name: task for name, (_, task) in QUICK_SETS.items()}
    # Before JAX is imported: compiling is most of what tiny runs do.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    plan = protocol.Plan(sets, 1, 1, protocol.MAX_ROWS, (1, 1), 600.0, out, False)
    work = protocol.work_of(QUICK_MODELS)
    made = protocol.run(work, plan, lambda name, max_rows: protocol.bundled(name, *QUICK_SETS[name]))
    failed = [f"{record['model']}: {record['error']}" for record in made if record["error"]]
    if failed:
        raise SystemExit("failed: " + "; ".join(failed))


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["report"]:
        from benchmarks.tabular import report

        report.main(argv[1:])
        return
    if argv[:1] == ["development"]:
        from benchmarks.tabular import development

        development.main(argv[1:])
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
