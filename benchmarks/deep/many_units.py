"""Bandits against leave-one-out on a network of ten thousand units: ``python -m benchmarks.deep.many_units``.

Half of the units of `benchmarks.deep.wide` are chosen by leave-one-out, which pulls every unit on every mini-batch of
`ROWS` training rows, and by bandit policies with one to eight pulls a unit on the same rows. The chosen units are
removed together, with no repair and no fine-tuning, and the loss is measured on the test rows, which nothing else sees.
Seconds are those of one call of `skbandit.rank_units` in which nothing is compiled.
"""

from __future__ import annotations

import argparse
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
from skbandit.networks import Groups, TracedNetwork, infer_groups

REFERENCE, CHANCE = "leave_one_out", "chance"
POLICIES, BUDGETS, SEEDS = ("uniform", "ucb1", "racing", "lucb", "csar"), (1, 2, 4, 8), 3
ROWS, BATCH, RATIO = 1024, 32, 0.5
#: Relative rise of the loss over that of leave-one-out's choice that counts as the same.
WITHIN = 0.01
RECORDS = KEPT / "deep" / "many_units.jsonl"
PACKAGES = ("skbandit", "jax", "equinox", "optax", "numpy")


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

    def ranked(self, policy: str, budget: float, seed: int) -> tuple[np.ndarray, Record]:
        """Return the value of each unit, and what that cost."""

        def scored(active: np.ndarray | None) -> Any:
            return rank_units(
                *(self.case.apply, self.case.params, *self.rows),
                loss=wide.loss,
                groups=self.groups,
                policy=policy,
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
    todo = [(REFERENCE, None, 0), *((CHANCE, None, seed) for seed in range(n_seeds))]
    todo += [(policy, budget, seed) for policy in policies for budget in budgets for seed in range(n_seeds)]
    done = {(r["policy"], r["budget"], r["seed"]) for r in read(out)}
    for policy, budget, seed in todo:
        if (policy, budget, seed) in done:
            continue
        if policy == CHANCE:
            value, cost = np.random.default_rng(seed).random(n), {"n_pulls": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        else:
            value, cost = judge.ranked(policy, budget or 1, seed)
        removed = choice(value, judge.groups)
        of_groups = [int(part.sum()) for part in judge.groups.split(removed)]
        record = {"policy": policy, "budget": budget, "seed": seed, **cost, **judge.losses(removed)}
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append(out, record | {"removed": of_groups} | common | {"date": date})
        cost_text = f"{cost['n_pulls'] / n:5.1f} pulls a unit  {cost['seconds']:7.1f} s"
        print(f"{policy:14s} {budget or '':>2} {seed}  {cost_text}  loss {record['loss']:.4f}", flush=True)


# --- the page ---------------------------------------------------------------------------------------------------------


def reached(records: Sequence[Record]) -> dict[str, float | None]:
    """Return, by policy, the least share of leave-one-out's pulls from which on the loss is within 1 % of its own.

    The loss of a budget is the mean over seeds. None where the largest budget does not reach it.
    """
    (reference,) = (r for r in records if r["policy"] == REFERENCE)
    found: dict[str, float | None] = {}
    for policy in dict.fromkeys(r["policy"] for r in records if r["budget"] is not None):
        found[policy] = None
        for budget in sorted({r["budget"] for r in records if r["policy"] == policy}, reverse=True):
            own = [r for r in records if r["policy"] == policy and r["budget"] == budget]
            if np.mean([r["loss"] for r in own]) > (1 + WITHIN) * reference["loss"]:
                break
            found[policy] = float(np.mean([r["n_pulls"] for r in own]) / reference["n_pulls"])
    return found


def table(records: Sequence[Record]) -> str:
    """Return a line for each policy and budget: means over seeds."""
    (reference,) = (r for r in records if r["policy"] == REFERENCE)
    rows = []
    for key in dict.fromkeys((r["policy"], r["budget"]) for r in records):
        own = [r for r in records if (r["policy"], r["budget"]) == key]
        mean = {name: float(np.mean([r[name] for r in own])) for name in own[0] if _is_number(own[0][name])}
        spread = max(r["loss"] for r in own) - min(r["loss"] for r in own)
        rows.append(
            [
                key[0] if key[0] == CHANCE else f"`{key[0]}`",
                number(mean["n_pulls"] / mean["n_units"]),
                f"{mean['n_pulls'] / reference['n_pulls']:.1%}",
                number(mean["seconds"]),
                f"{mean['seconds'] / reference['seconds']:.1%}",
                f"{mean['loss']:.4f}",
                f"{mean['loss'] / reference['loss'] - 1:+.1%}",
                f"{spread:.4f}" if len(own) > 1 else "-",
                f"{mean['accuracy']:.3f}",
            ]
        )
    header = ["policy", "pulls a unit", "of leave-one-out", "s", "of leave-one-out", "loss", "to leave-one-out"]
    return markdown([*header, "range of seeds", "accuracy"], rows)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def page(records: Sequence[Record]) -> str:
    """Return the page, from the records alone."""
    records = latest(records, lambda r: (r["policy"], r["budget"], r["seed"]))
    first = records[0]
    kept = (Path("../../..") / RECORDS).as_posix()
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    shares = [
        f"| `{policy}` | {'not with the largest budget' if share is None else f'{share:.1%}'} |"
        for policy, share in reached(records).items()
    ]
    sizes = ", ".join(f"{name} {size}" for name, size in first["groups"].items())
    return "\n".join(
        [
            "# Bandits against leave-one-out: ten thousand units",
            "",
            f"A convolutional network with {first['n_units']} units in {len(first['groups'])} groups",
            f"({sizes}), trained on {wide.DATA}:",
            f"accuracy {first['before']['accuracy']:.3f}, loss {first['before']['loss']:.4f} on the test rows. Half of",
            f"the units are chosen by damages on {first['n_rows']} training rows, in mini-batches of",
            f"{first['batch_size']}, and removed together, without repair or fine-tuning; loss and accuracy are those",
            "on the test rows, means over seeds. Seconds are those of scoring alone, without compilation.",
            "The command is `python -m benchmarks.deep.many_units`; `--page` makes this page of the records,",
            f"[{RECORDS.name}]({kept}).",
            "",
            f"The least share of leave-one-out's pulls from which on the loss is within {WITHIN:.0%} of its own:",
            "",
            "| policy | share |",
            "| --- | ---: |",
            *shares,
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
    records = read(args.out)
    print(table(records), reached(records), sep="\n")


if __name__ == "__main__":
    main()
