"""The command line: ``python -m skbandit`` trains, prunes and compares."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from skbandit.cli.parser import parse

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, or 2 if the input cannot be used."""
    args = parse(argv)

    from skbandit.cli import compare, report, table  # here, so that --help and a mistyped option answer at once

    try:
        report.check_out(args.out)
        if args.csv is None:
            data = table.bundled(args.dataset or "digits")
        else:
            data = table.load_csv(args.csv, args.target, args.task, args.decimal)
        estimator = compare.make_estimator(data, args.policy, args.budget, args.ratio, args.seed)
        print(report.describe(data, estimator), flush=True)
        comparison = compare.compare(data, estimator)
        print(f"\n{report.render(comparison)}\n\n{report.verdict(comparison)}")
        if args.out is not None:
            print(f"\n{report.save(comparison.model, args.out)}")
    except table.InputError as error:
        print(f"python -m skbandit: error: {error}", file=sys.stderr)
        return 2
    return 0
