"""Which method is best, on tables and on deep networks: one command runs it all, and goes on where it was stopped.

``python -m benchmarks.evidence run`` measures, and appends one JSON line for each cell to a file. A part stops before
its time limit, and the same command goes on. What answers the hypotheses comes first.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import datasets, records
from benchmarks.common.options import part
from benchmarks.evidence import design
from benchmarks.evidence.cells import Cell, Clock, Runner, Store, TimeIsUp, by_seed, code, part_of

OUT = records.NEW / "evidence.jsonl"
SUITES = ("deep", "tabular", "certified")


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure what the file of records does not have")
    run.add_argument("--suite", choices=[*SUITES, "all"], default="all")
    run.add_argument("--quick", action="store_true", help="tiny: only shows that everything runs; no claim")
    run.add_argument("--part", type=part, default=(1, 1), metavar="I/N", help="do the I-th of N shares")
    run.add_argument("--time-limit", type=float, default=20.0, metavar="MINUTES", help="stop before (default: 20)")
    run.add_argument("--seeds", type=int, metavar="N", help=f"number of seeds (default: {design.SEEDS})")
    run.add_argument("--first-seed", type=int, default=0, metavar="K", help="the first seed to run (default: 0)")
    run.add_argument("--pairs", nargs="+", metavar="NAME", help="pairs of networks and data sets, or data sets")
    run.add_argument("--methods", nargs="+", metavar="NAME", help="methods; all by default")
    run.add_argument("--phases", nargs="+", metavar="NAME", help="phases of the suite; all by default")
    run.add_argument("--out", type=Path, default=OUT, metavar="FILE.jsonl", help=f"records (default: {OUT})")
    run.add_argument("--retry", action="store_true", help="do again what failed")
    run.add_argument("--other-code", action="store_true", help="go on with records that other source code made")
    run.add_argument("--protocol", choices=["paired", "2017"], default="paired", help="2017: that of earlier code")
    commands.add_parser("report", help="verdicts, tables and figures of files of records", add_help=False)
    return parser.parse_args(argv)


def run(args: argparse.Namespace, say: Callable[[str], object] = print) -> Runner:
    """Do what is not done, in the order of phases, seeds and names; return the runner."""
    if args.out is not None and args.out.suffix == ".gz":
        raise SystemExit(f"{args.out} is compressed: a run appends to a plain file (gunzip it first).")
    runner = Runner(Store(args.out, retry=args.retry), Clock(60 * args.time_limit), say)
    if not args.other_code and any(record.get("code", code()) != code() for record in runner.store.records()):
        raise SystemExit(
            f"{args.out} has records that other source code made, which may not be comparable. Give another --out, or "
            "--other-code to go on with this file."
        )
    try:
        for suite in ("2017",) if args.protocol == "2017" else SUITES if args.suite == "all" else (args.suite,):
            _SUITES[suite](runner, args)
    except TimeIsUp as where:
        say(f"time is up before: {where}; the same command goes on")
    else:
        say("all done")
    for failed in runner.failed:
        say(f"failed outside of a cell: {failed}")
    say(f"{runner.n_made} cells, {runner.clock.seconds:.0f} s; records in {args.out}")
    return runner


def _all(
    runner: Runner, phases: Sequence[str], work: Sequence[tuple[str, int]], one: Callable[[str, str, int], None]
) -> None:
    """Do all pairs and seeds of each phase, whatever becomes of one of them.

    Where a cell is too long for the time that is left, or a pair fails outside of its cells, the next one is done;
    the first that was too long is said at the end, and so are all that failed.
    """
    late: TimeIsUp | None = None
    for phase in phases:
        for name, seed in work:
            try:
                one(phase, name, seed)
            except TimeIsUp as where:
                if runner.clock.is_nearly_over:
                    raise
                late = late or where
            except Exception as error:
                runner.failed.append(f"{phase} {name} seed {seed}: {type(error).__name__}: {error}")
                traceback.print_exc()
    if late is not None:
        raise late


def _deep(runner: Runner, args: argparse.Namespace) -> None:
    from benchmarks.deep.pairs import PAIRS
    from benchmarks.evidence import deep

    pairs = {name: PAIRS[name] for name in _known(args.pairs, list(PAIRS))}
    _methods(args.methods)
    work = _work(args, list(pairs), "deep")

    def one(phase: str, name: str, seed: int) -> None:
        # Another one for each phase: of all networks at once there may be too much memory.
        cells = deep.Work(runner, pairs[name], seed, folder_of(args.out), args.methods)
        if not cells.is_done(phase):
            cells.run(phase)

    _all(runner, _phases(args, deep.PHASES), work, one)


def _tabular(runner: Runner, args: argparse.Namespace) -> None:
    from benchmarks.evidence import tabular

    _methods(args.methods)
    tables = _tables(args)
    work = _work(args, list(tables), "tabular")

    def one(phase: str, name: str, seed: int) -> None:
        cells = tabular.Work(runner, name, tables[name], seed, args.methods)
        if not cells.is_done(phase):
            cells.require_same_network(phase)
            cells.run(phase)

    _all(runner, _phases(args, tabular.PHASES), work, one)


def _certified(runner: Runner, args: argparse.Namespace) -> None:
    from benchmarks.evidence import certified

    if args.phases is not None and "certified" not in args.phases:
        return
    names = _known(args.pairs, list(certified.NETS))

    def one(phase: str, name: str, seed: int) -> None:
        for (kind, pair, _, method, epsilon), make in certified.cells([seed], [name]):
            cell = Cell(kind, phase, pair, seed, method=method, epsilon=epsilon)
            runner.do(cell, make)

    _all(runner, ("certified",), _work(args, names, "certified"), one)


def _protocol_2017(runner: Runner, args: argparse.Namespace) -> None:
    from benchmarks.evidence import protocol2017
    from benchmarks.tabular import protocol

    sets = _tables(args)
    names = [name for name, task in sets.items() if task == "classification"]

    def one(phase: str, name: str, seed: int) -> None:
        protocol2017.cells(runner, protocol.load(name), seed)

    _all(runner, ("2017",), _work(args, names, "tabular"), one)


def _work(args: argparse.Namespace, names: list[str], suite: str) -> list[tuple[str, int]]:
    """Return the pairs (name, seed) of this part."""
    work = by_seed(names, args.seeds or design.SEEDS[suite])
    if not 0 <= args.first_seed < (args.seeds or design.SEEDS[suite]):
        raise SystemExit(f"--first-seed {args.first_seed}: seeds are 0 to {(args.seeds or design.SEEDS[suite]) - 1}.")
    return part_of([(name, seed) for name, seed in work if seed >= args.first_seed], args.part)


def _phases(args: argparse.Namespace, of_suite: Sequence[str]) -> list[str]:
    """Return the phases of a suite that are asked for, in its order; leave if there are none such."""
    chosen = [phase for phase in of_suite if args.phases is None or phase in args.phases]
    if not chosen and args.suite != "all":
        raise SystemExit(f"None of {', '.join(args.phases)}. Phases of this suite: {', '.join(of_suite)}.")
    return chosen


def _tables(args: argparse.Namespace) -> dict[str, str]:
    """Return the task of each data set that is asked for."""
    if not datasets.available():
        raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
    sets = design.tabular_sets(datasets.REPORT)
    return {name: sets[name] for name in _known(args.pairs, list(sets))}


_SUITES: dict[str, Callable[[Runner, argparse.Namespace], None]] = {
    "deep": _deep,
    "tabular": _tabular,
    "certified": _certified,
    "2017": _protocol_2017,
}


def keep_programs() -> None:
    """Keep compiled programs on the disk, beside trained networks: those of one part serve the next one."""
    import jax

    from benchmarks.deep import cache

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(cache.FOLDER / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def folder_of(out: Path | None) -> Path | None:
    """Return the folder of the matrices of damages: beside the records, of their name."""
    return None if out is None else out.with_suffix("")


def _known(given: list[str] | None, names: list[str]) -> list[str]:
    """Return the names that are asked for, all by default; leave if there are none such."""
    if given is None:
        return names
    chosen = [name for name in names if name in given]
    if not chosen:
        raise SystemExit(f"None of {', '.join(given)}. There are: {', '.join(names)}.")
    return chosen


def _methods(given: list[str] | None) -> None:
    from benchmarks.evidence import methods

    for name in given or ():
        try:
            methods.get(name)
        except ValueError as error:
            raise SystemExit(str(error)) from None


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["report"]:
        from benchmarks.evidence.report import page

        page.main(argv[1:])
        return
    args = parse(argv)
    # What is timed is trained each time.
    os.environ.setdefault("SKBANDIT_SHARE_TRAINING", "0")
    if args.quick:
        # Before JAX is imported: compiling is most of what tiny runs do.
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        from benchmarks.evidence import quick

        quick.main(None if args.out == OUT else args.out)
        return
    keep_programs()
    if run(args).failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
