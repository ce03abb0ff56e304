"""Bandits against leave-one-out on a network of ten thousand units: ``python -m benchmarks.deep.many_units``.

Half of the units of `benchmarks.deep.wide` are chosen by leave-one-out, which pulls every unit on every mini-batch of
`ROWS` training rows, and by bandit policies with one to eight pulls a unit on the same rows. The chosen units are
removed together, with no repair and no fine-tuning, and the loss is measured on the test rows, which nothing else sees.
Seconds are those of one call of `skbandit.rank_units` in which nothing is compiled.

Units are ranked in three ways (``rank_by``): by the mean damage, as `skbandit.prune` does by default, by its absolute
value, and by the root mean square of the damages on mini-batches. Many units have a damage just below zero. Each of
these improves the loss a little when it leaves alone; all together they do not.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.common import datasets, machine
from benchmarks.common.records import KEPT, NEW, Record, append, latest, read
from benchmarks.common.tables import markdown, number
from benchmarks.deep import wide
from skbandit import rank_units
from skbandit.criteria import resolve
from skbandit.networks import Groups, TracedNetwork, infer_groups

REFERENCE, CHANCE = "leave_one_out", "chance"
POLICIES, BUDGETS, SEEDS = ("uniform", "ucb1", "racing"), (1, 2, 4, 8), 3
ROWS, BATCH, RATIO = 512, 16, 0.5
#: Relative rise of the loss over that of leave-one-out's choice that counts as the same.
WITHIN = 0.01
RECORDS = KEPT / "deep" / "many_units.jsonl"
PACKAGES = ("skbandit", "jax", "equinox", "optax", "numpy")


#: Summaries of damages that rank units.
SUMMARIES = ("mean", "absolute", "rms")


def choice(value: np.ndarray, groups: Groups) -> np.ndarray:
    """Return which half of the units leave, bool[n]: those of highest value; each group keeps one at least."""
    left = list(groups.sizes)
    group = groups.group_of()
    removed = np.zeros(len(value), bool)
    n_remove = int(RATIO * len(value))
    for unit in np.argsort(-value, kind="stable"):
        if n_remove and left[group[unit]] > 1:
            removed[unit] = True
            left[group[unit]] -= 1
            n_remove -= 1
    return removed


class Judge:
    """Measures the loss of the network without some units.

    Attributes
    ----------
    groups : Groups
    rows : tuple (X, y)
        What policies measure damages on.
    """

    def __init__(self, n_rows: int) -> None:
        self.case = wide.case()
        split = self.case.split
        self.groups = infer_groups(self.case.apply, self.case.params, split.X_train[:4])
        chosen = np.random.default_rng(0).permutation(len(split.X_train))[:n_rows]
        self.rows = split.X_train[chosen], split.y_train[chosen]
        network = TracedNetwork.of(self.case.apply, self.groups, wide.loss, self.case.params, split.X_test[:4])

        @jax.jit
        def logits(gates: jax.Array, X: jax.Array) -> jax.Array:
            return network.outputs(self.case.params, tuple(self.groups.split(gates)), X)

        self._logits = logits

    def losses(self, removed: np.ndarray) -> Record:
        """Return losses on the rows of the policies and on the test rows, and the accuracy there."""
        gates = jax.numpy.asarray(~removed, "float32")
        made = self._outputs(gates, self.rows[0])
        record: Record = {"loss_measured": float(wide.loss(made, self.rows[1]).mean())}
        split = self.case.split
        made = self._outputs(gates, split.X_test)
        accuracy = float((made.argmax(1) == split.y_test).mean())
        return record | {"loss": float(wide.loss(made, split.y_test).mean()), "accuracy": accuracy}

    def _outputs(self, gates: jax.Array, X: np.ndarray, size: int = 256) -> np.ndarray:
        return np.concatenate([np.asarray(self._logits(gates, X[i : i + size])) for i in range(0, len(X), size)])

    def ranked(self, policy: str, rank_by: str, budget: float, seed: int) -> tuple[np.ndarray, Record]:
        """Return the values of the units, and what they cost."""
        criterion = dataclasses.replace(resolve(policy), rank_by=rank_by)

        def scored(active: np.ndarray | None) -> Any:
            return rank_units(
                *(self.case.apply, self.case.params, *self.rows),
                loss=wide.loss,
                groups=self.groups,
                policy=criterion,
                budget=budget,
                pruning_ratio=RATIO,
                active=active,
                batch_size=BATCH,
                random_state=seed,
            )

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a network that has lost most of its units
            scored(self._few())  # compiles the program, which serves any number of units
        start, cpu = time.perf_counter(), time.process_time()
        scores = scored(None)
        seconds = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
        return scores.value, {"n_pulls": int(scores.n_pulls), **seconds}

    def _few(self) -> np.ndarray:
        """Return a mask of four units of each group."""
        return np.concatenate([np.arange(size) < 4 for size in self.groups.sizes])


def run(judge: Judge, policies: Sequence[str], budgets: Sequence[int], n_seeds: int, out: Path) -> None:
    """Append a record for each policy, budget and seed that the file lacks."""
    n = judge.groups.n_units
    common = {
        "n_units": n,
        "n_rows": len(judge.rows[0]),
        "batch_size": BATCH,
        "ratio": RATIO,
        "train_seconds": judge.case.seconds,
        "groups": dict(zip((group.name for group in judge.groups.groups), judge.groups.sizes, strict=True)),
        "before": judge.losses(np.zeros(n, bool)),
        **{"machine": machine.cpu_model(), "cores": machine.n_cores(), "versions": machine.versions(PACKAGES)},
    }
    todo = [(CHANCE, None, None, seed) for seed in range(n_seeds)]
    todo += [(REFERENCE, by, None, 0) for by in SUMMARIES]
    todo += [
        (policy, by, budget, seed)
        for seed in range(n_seeds)
        for policy in policies
        for by in SUMMARIES
        for budget in budgets
    ]
    done = {key_of(record) for record in read(out)}
    for policy, by, budget, seed in todo:
        if (policy, by, budget, seed) in done:
            continue
        if by is None:
            value, cost = np.random.default_rng(seed).random(n), {"n_pulls": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        else:
            value, cost = judge.ranked(policy, by, budget or 1, seed)
        removed = choice(value, judge.groups)
        outcome = judge.losses(removed) | {"removed": [int(part.sum()) for part in judge.groups.split(removed)]}
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        key = {"policy": policy, "rank_by": by, "budget": budget, "seed": seed}
        append(out, key | cost | outcome | common | {"date": date})
        print(f"{policy:14s} {by or '':8s} {budget or '':>2} {seed}  {cost['n_pulls'] / n:5.1f} pulls a unit, ", end="")
        print(f"{cost['seconds']:6.1f} s  loss {outcome['loss']:.4f}", flush=True)


def key_of(record: Record) -> tuple[Any, ...]:
    """Return what tells a record from others."""
    return record["policy"], record["rank_by"], record["budget"], record["seed"]


# --- the page ---------------------------------------------------------------------------------------------------------


def own(records: Sequence[Record], policy: str, by: str | None, budget: int | None = None) -> list[Record]:
    """Return the records of a policy, a summary and a budget: those of all seeds."""
    return [r for r in records if (r["policy"], r["rank_by"], r["budget"]) == (policy, by, budget)]


def mean(records: Sequence[Record], name: str) -> float:
    """Return the mean of a figure over records."""
    return float(np.mean([record[name] for record in records]))


def policies_of(records: Sequence[Record]) -> dict[str, list[int]]:
    """Return the budgets of each bandit policy."""
    found: dict[str, set[int]] = {}
    for record in records:
        if record["budget"] is not None:
            found.setdefault(record["policy"], set()).add(record["budget"])
    return {policy: sorted(budgets) for policy, budgets in found.items()}


def reached(records: Sequence[Record], policy: str, by: str) -> float | None:
    """Return the least share of leave-one-out's pulls from which on the loss is within 1 % of its own, or lower.

    The loss of a budget is the mean over seeds; leave-one-out ranks by the same summary. None where the largest budget
    does not reach it.
    """
    reference, found = own(records, REFERENCE, by), None
    for budget in reversed(policies_of(records)[policy]):
        some = own(records, policy, by, budget)
        if mean(some, "loss") > (1 + WITHIN) * mean(reference, "loss"):
            break
        found = mean(some, "n_pulls") / mean(reference, "n_pulls")
    return found


def table(records: Sequence[Record]) -> str:
    """Return a line for each policy and budget: means over seeds."""
    reference = own(records, REFERENCE, SUMMARIES[0])
    bandits = [(policy, budget) for policy, budgets in policies_of(records).items() for budget in budgets]
    rows = []
    for policy, budget in [(CHANCE, None), (REFERENCE, None), *bandits]:
        first = own(records, policy, None if policy == CHANCE else SUMMARIES[0], budget)
        pulls, seconds = mean(first, "n_pulls"), mean(first, "cpu_seconds")
        cells = [policy if policy == CHANCE else f"`{policy}`", number(pulls / first[0]["n_units"])]
        cells += [f"{pulls / mean(reference, 'n_pulls'):.1%}", number(seconds)]
        cells += [f"{seconds / mean(reference, 'cpu_seconds'):.1%}"]
        for by in SUMMARIES:
            some = own(records, policy, None if policy == CHANCE else by, budget)
            cells += [f"{mean(some, 'loss'):.3f}", f"{mean(some, 'accuracy'):.3f}"]
        rows.append(cells)
    header = ["policy", "pulls a unit", "of all pulls", "CPU s", "of its seconds"]
    header += [f"{what}, {by}" for by in SUMMARIES for what in ("loss", "accuracy")]
    return markdown(header, rows)


def page(records: Sequence[Record]) -> str:
    """Return the page, from the records alone."""
    records = latest(records, key_of)
    first = records[0]
    before, kept = first["before"], (Path("../../..") / RECORDS).as_posix()
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    sizes = ", ".join(f"{name} {size}" for name, size in first["groups"].items())
    told = []
    for policy in policies_of(records):
        shares = [reached(records, policy, by) for by in SUMMARIES]
        told.append([f"`{policy}`", *("not reached" if share is None else f"{share:.1%}" for share in shares)])
    n_seeds = len({r["seed"] for r in records if r["budget"] is not None})
    return "\n".join(
        [
            "# Bandits against leave-one-out: ten thousand units",
            "",
            f"A convolutional network with {first['n_units']} units in {len(first['groups'])} groups ({sizes}),",
            f"trained on {wide.DATA} in {first['train_seconds']:.0f} s: accuracy {before['accuracy']:.3f}, loss",
            f"{before['loss']:.3f} on the test rows. Half of the units are chosen by damages on {first['n_rows']}",
            f"training rows, in mini-batches of {first['batch_size']}, and removed together, without repair or",
            f"fine-tuning. Loss and accuracy are those on the test rows, means over {n_seeds} seeds. Seconds of",
            "CPU time are those of scoring by the mean, without compilation. *Of all pulls*, *of its seconds*: shares",
            "of what leave-one-out takes.",
            "",
            "Units are ranked by a summary of their damages (`rank_by` of `Bandit` and `LeaveOneOut`): the *mean*, its",
            "*absolute* value, or the root mean square (*rms*) over mini-batches. Many units have a damage just below",
            "zero; each of them improves the loss a little when it leaves alone, and all together they do not.",
            "",
            "The command is `python -m benchmarks.deep.many_units`; `--page` makes this page of the records,",
            f"[{RECORDS.name}]({kept}).",
            "",
            f"The least share of leave-one-out's pulls from which on the loss is within {WITHIN:.0%} of that of",
            "leave-one-out by the same summary, or lower:",
            "",
            markdown(["policy", *SUMMARIES], told),
            "",
            table(records),
            "",
            f"{first['machine']}, {first['cores']} cores; {versions}.",
            "",
        ]
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep.many_units", description=__doc__.splitlines()[0])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), metavar="NAME", help=", ".join(POLICIES))
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS), metavar="PULLS")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"orders of the mini-batches (default: {SEEDS})")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows to measure damages on (default: {ROWS})")
    parser.add_argument("--out", type=Path, default=NEW / "deep" / "many_units.jsonl", metavar="FILE.jsonl")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="run nothing, write the page of what is there")
    args = parser.parse_args(argv)
    if args.page:
        args.page.parent.mkdir(parents=True, exist_ok=True)
        args.page.write_text(page(read(args.out)), encoding="utf-8")
        return
    if not datasets.available():
        raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
    run(Judge(args.rows), args.policies, args.budgets, args.seeds, args.out)
    print(table(read(args.out)))


if __name__ == "__main__":
    main()
