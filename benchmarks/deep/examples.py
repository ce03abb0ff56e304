"""Four trained networks before and after pruning: ``python -m benchmarks.deep.examples``.

Each network of `benchmarks.deep.tasks` is pruned to half of its units, with short fine-tuning by the optimizer that
trained it, and is then measured as the user's own module at the smaller sizes, and as the function that `prune`
returns. Damages are measured on `ROWS` training rows; fine-tuning sees all of them; the score is the accuracy on the
test rows. Seconds of a call are medians of `REPEATS` timings, for which the networks take turns in one process.
"""

from __future__ import annotations

import argparse
import datetime
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.common import datasets, machine
from benchmarks.common.records import KEPT, NEW, Record, append, latest, read
from benchmarks.common.tables import markdown, number
from benchmarks.common.timing import interleave
from benchmarks.deep import data, tasks
from benchmarks.deep.costs import n_macs, n_parameters
from benchmarks.deep.tasks import Task
from skbandit import PruneResult, prune
from skbandit.pruning import FineTuning

RATIO, ROUNDS = 0.5, 4
#: Rows to measure damages on, and those of a pull.
ROWS, BATCH = 512, 64
POLICIES = ("ucb1", "leave_one_out")
BATCHES = (1, 128)
REPEATS, AT_LEAST = 21, 0.02
RECORDS = KEPT / "deep" / "examples.jsonl"
PACKAGES = ("skbandit", "jax", "flax", "dm-haiku", "optax", "numpy")

#: A function (variables, X) → logits, and its variables.
Call = tuple[Callable[..., Any], Any]


def pruned(task: Task, policy: str, seed: int = 0) -> PruneResult:
    """Remove half of the units, and fine-tune for an epoch after each round."""
    X, y = task.split.X_train, task.split.y_train
    optimizer = task.optimizer(ROUNDS * (len(X) // task.batch_size), task.rate)
    # A loader, and not the arrays: the gradient of a convolution is ten times slower in a compiled loop on CPUs.
    loader = data.Loader(X, y, task.batch_size, seed)
    rows = np.random.default_rng(seed).permutation(len(X))[:ROWS]
    return prune(
        *(task.apply, task.params, X[rows], y[rows]),
        loss=task.loss,
        state=task.state,
        policy=policy,
        pruning_ratio=RATIO,
        n_rounds=ROUNDS,
        batch_size=BATCH,
        fine_tune=FineTuning(optimizer, train_apply=task.train_apply, data=loader),
        random_state=seed,
    )


def calls(task: Task, result: PruneResult) -> dict[str, Call]:
    """Return what is compared: the network before, the user's module after, and the function of the result."""
    if task.state is None:
        before, after, full, apply = task.params, result.params, task.apply, result.apply
    else:
        before, after = (task.params, task.state), (result.params, result.state)
        full, apply = (lambda both, x, f=f: f(*both, x) for f in (task.apply, result.apply))
    module = task.smaller(result, task.split.X_test[:4])
    return {"before": (full, before), "module": module, "apply": (apply, after)}


def outputs(call: Call, X: np.ndarray, size: int = 500) -> np.ndarray:
    """Return the logits of many rows, a batch at a time."""
    function, variables = jax.jit(call[0]), call[1]
    return np.concatenate([np.asarray(function(variables, X[i : i + size])) for i in range(0, len(X), size)])


def accuracy(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the share of rows whose largest logit is the right one."""
    return float((logits.argmax(axis=1) == y).mean())


def on_rows(call: Call, X: np.ndarray) -> Callable[[], jax.Array]:
    """Return the compiled call on these rows; it ends when the result is there."""
    function, arguments = jax.jit(call[0]), jax.device_put((call[1], X))
    return lambda: jax.block_until_ready(function(*arguments))


def latencies(functions: dict[str, Call], X: np.ndarray) -> dict[str, dict[str, float]]:
    """Return median seconds of a call, by function and number of rows."""
    found: dict[str, dict[str, float]] = {name: {} for name in functions}
    for n in BATCHES:
        timed = {name: on_rows(call, X[:n]) for name, call in functions.items()}
        for name, seconds in interleave(timed, REPEATS, at_least=AT_LEAST).items():
            found[name][str(n)] = float(np.median(seconds))
    return found


def measured(name: str, task: Task, policy: str) -> Record:
    """Prune a task, and return what was measured before and after."""
    X, y = task.split.X_test, task.split.y_test
    start, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = pruned(task, policy)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    functions = calls(task, result)
    logits = {key: outputs(call, X) for key, call in functions.items()}
    apart = np.abs(logits["module"] - logits["apply"]).max() / np.abs(logits["apply"]).max()
    return {
        "task": name,
        "framework": task.framework,
        "data": task.rows,
        "policy": policy,
        "ratio": RATIO,
        "n_test": len(X),
        "train_seconds": task.seconds,
        "prune_seconds": seconds,
        "prune_cpu_seconds": cpu,
        "n_pulls": result.n_pulls,
        "units": dict(zip(result.sizes, result.groups.sizes, strict=True)),
        "units_left": result.sizes,
        "score": {key: accuracy(value, y) for key, value in logits.items()},
        "module_differs": float(apart),
        "parameters": {"before": n_parameters(task.params), "after": n_parameters(result.params)},
        "macs": {key: n_macs(function, variables, X[:1]) for key, (function, variables) in functions.items()},
        "seconds": latencies(functions, X),
        "repeats": REPEATS,
        "rounds": [record._asdict() for record in result.history],
        "warnings": [str(w.message) for w in caught],
    }


# --- the page ---------------------------------------------------------------------------------------------------------

HEADER = (
    *("network", "policy", "units", "accuracy", "of the module", "parameters", "MACs"),
    *("1 row, ms", "of the module", "of `apply`", "128 rows, ms", "of the module", "of `apply`", "pruning, s"),
)


def table(records: Sequence[Record]) -> str:
    """Return a line for each network and policy: before, and after as a share of it."""
    rows = []
    for r in records:
        cells = [r["task"], f"`{r['policy']}`", f"{sum(r['units'].values())} → {sum(r['units_left'].values())}"]
        cells += [f"{r['score']['before']:.3f}", f"{r['score']['module']:.3f}"]
        cells += [f"{_short(r['parameters']['before'])} → {_short(r['parameters']['after'])}"]
        cells += [f"{_short(r['macs']['before'])} → {_short(r['macs']['module'])}"]
        for n in map(str, BATCHES):
            before = r["seconds"]["before"][n]
            ratios = [f"{r['seconds'][key][n] / before:.2f}" for key in ("module", "apply")]
            cells += [number(1e3 * before), *ratios]
        rows.append([*cells, f"{r['prune_seconds']:.0f}"])
    return markdown(HEADER, rows)


def training_table(records: Sequence[Record]) -> str:
    """Return a line for each network: what it is, its data, and how it was trained."""
    rows = []
    for r in latest(records, lambda r: r["task"]):
        score, seconds = f"{r['score']['before']:.3f}", f"{r['train_seconds']:.0f}"
        rows.append([r["task"], r["framework"], r["data"], str(r["n_test"]), score, seconds])
    return markdown(["network", "framework", "data", "test rows", "accuracy", "training, s"], rows)


def page(records: Sequence[Record]) -> str:
    """Return the page, from the records alone."""
    records = latest(records, lambda r: (r["task"], r["policy"]))
    apart = max(r["module_differs"] for r in records)
    kept = Path("../../..") / RECORDS
    last = records[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    return "\n".join(
        [
            "# Four networks of four frameworks, before and after pruning",
            "",
            f"Half of the units removed in {ROUNDS} rounds, with one epoch of fine-tuning after each, by the optimizer",
            f"that trained the network. Damages are measured on {ROWS} training rows, {BATCH} in a pull.",
            "The command is `python -m benchmarks.deep.examples`; `--page` makes this page of the records,",
            f"[{RECORDS.name}]({kept.as_posix()}).",
            "",
            training_table(records),
            "",
            "*Module*: the user's own at the smaller sizes. *Apply*: the function that `prune` returns. Their outputs",
            f"differ by at most {apart:.0e} of the largest. Accuracy, multiply-accumulates (MACs, of one row) and",
            "parameters are those of the module. Times are of compiled calls, medians of",
            f"{last['repeats']} timings in which the three take turns; those of the module and of apply are shares of",
            "the time before. Seconds of pruning include compilation and fine-tuning.",
            "",
            table(records),
            "",
            f"{last['machine']}, {last['cores']} cores; {versions}.",
            "",
        ]
    )


def _short(n: float) -> str:
    """Return a count with a unit: 431k, 2.29M."""
    factor, unit = (1e6, "M") if n >= 1e6 else (1e3, "k")
    return f"{number(n / factor)}{unit}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep.examples", description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="NETWORK", help=f"of: {', '.join(tasks.NAMES)} (default: all)")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), metavar="NAME", help="ucb1 and leave_one_out")
    parser.add_argument("--out", type=Path, default=NEW / "deep" / "examples.jsonl", metavar="FILE.jsonl")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="run nothing, write the page of what is there")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.tasks) - set(tasks.NAMES))
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(tasks.NAMES)}")
    if args.page:
        args.page.parent.mkdir(parents=True, exist_ok=True)
        args.page.write_text(page(read(args.out)), encoding="utf-8")
        return
    if not datasets.available():
        raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
    common = {"machine": machine.cpu_model(), "cores": machine.n_cores(), "versions": machine.versions(PACKAGES)}
    for name in args.tasks or tasks.NAMES:
        task = tasks.load(name)
        print(f"{name}: {task.seconds:.0f} s of training", flush=True)
        for policy in args.policies:
            record = measured(name, task, policy)
            date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            append(args.out, record | common | {"date": date})
            print(table([record]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
