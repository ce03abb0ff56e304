"""Policies and criteria on trained networks: ``python -m benchmarks.selection.networks``.

A plain network of two layers of 256 is trained on each set. What a unit's removal costs is known exactly from leave-
one-out over all calibration rows; every name then chooses half of the units, bandits with 1 to 16 pulls per unit on
mini-batches of 256 rows. *Set regret* is the summed exact damage of the chosen units over that of the best choice, as
a share of what a random choice has on average: 0 is exact, 1 is chance. Beside it, what really happens when the
chosen units leave together: the rise of the loss on the calibration rows, masked (each gives out its mean) and
repaired. Seconds are of the second call of `skbandit.rank_units`: nothing is compiled in it. (In the records that are
kept, of the compiled part of it alone, and bandits drew from another generator.)
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from benchmarks.common import datasets
from benchmarks.common.given import Given
from benchmarks.common.records import NEW, append, read
from benchmarks.common.tables import markdown
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor, rank_units
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import CRITERIA, Scores
from skbandit.policies import POLICIES

SIZES = (256, 256)
BUDGETS = (1, 2, 4, 8, 16)
#: Defaults are chosen on the first three, and reported on the others.
DEVELOPMENT = ("abalone", "cps1988_wages", "sylvine")
REPORT = ("kin8nm", "california_housing", "phoneme")
MAX_ROWS = 5000
#: Names that spend pulls: a budget is something to them.
WITH_BUDGET = (*POLICIES, "budgeted_greedy", "warm_racing", "warm_top_two_thompson", "sequential_racing")
NAMES = (*POLICIES, *CRITERIA)


class Case:
    """A trained network on its calibration rows, and the exact damages of its units."""

    def __init__(self, name: str, seed: int):
        data = datasets.load(name, MAX_ROWS)
        self.X = np.asarray(datasets.preprocessing().fit_transform(data.X), float)
        regression = data.task == "regression"
        self.y = StandardScaler().fit_transform(np.asarray(data.y, float)[:, None])[:, 0] if regression else data.y
        cls = BanditPrunedMLPRegressor if regression else BanditPrunedMLPClassifier
        model = cls.from_preset("plain", hidden_layer_sizes=SIZES, pruning_ratio=0, max_iter=100, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model = model.fit(self.X, self.y)
        target = self.y[:, None] if regression else np.searchsorted(model.classes_, self.y)[:, None].astype(float)
        n_outputs = model.coefs_[-1].shape[1]
        loss = "squared_error" if regression else ("binary_log_loss" if n_outputs == 1 else "log_loss")
        self.seed, self.n = seed, sum(SIZES)
        self.network = MLP((self.X.shape[1], *SIZES, n_outputs), "relu", loss)
        self.params = tuple(zip(model.coefs_, model.intercepts_, strict=True))
        self.rows = self.X, target
        self.emissions = mean_activations(self.params, self.X)
        self.damage = self.scores("leave_one_out").damage.astype(float)
        best, outcome = self.removed(Given(-self.damage))
        self.base = outcome["loss_before"]
        self.least = self.damage[best].sum()
        self.by_chance = self.damage.sum() / 2 - self.least

    def scores(self, policy: str, budget: float = 1) -> Scores:
        """Score the units: half of them are to go, in one round."""
        return rank_units(
            self.network,
            self.params,
            *self.rows,
            policy=policy,
            budget=budget,
            pruning_ratio=0.5,
            emissions=self.emissions,
            batch_size=256,
            random_state=self.seed,
        )

    def removed(self, given: Given) -> tuple[np.ndarray, dict[str, Any]]:
        """Remove half of the units and repair; return which, bool[n], and the record of the round."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of scores that are all the same
            pruned = self.model.prune(
                self.X, self.y, policy=given, pruning_ratio=0.5, n_rounds=1, fine_tune_iter=0, ablation="mean"
            )
        removed = np.ones(self.n, bool)
        for kept, first in zip(pruned.kept_units_, (0, SIZES[0]), strict=True):
            removed[first + kept] = False
        return removed, pruned.pruning_history_[0]

    def judge(self, scores: Scores) -> dict[str, float]:
        """What a choice by these scores costs."""
        removed, outcome = self.removed(Given(scores.value, scores.params))
        return {
            "regret": float((self.damage[removed].sum() - self.least) / self.by_chance),
            "masked": outcome["damage_measured"],
            "repaired": outcome["loss_repaired"] - self.base,
        }


def mean_activations(params: Sequence[tuple[np.ndarray, np.ndarray]], X: np.ndarray) -> tuple[np.ndarray, ...]:
    """What the units of each hidden layer give out on average."""
    means = []
    for W, b in params[:-1]:
        X = np.maximum(X @ W + b, 0)
        means.append(X.mean(axis=0))
    return tuple(means)


def run(sets: Sequence[str], names: Sequence[str], n_seeds: int, out: Path) -> None:
    """Append a record for each set, seed, name and budget that the file lacks."""
    done = {(r["data"], r["seed"], r["policy"], r["budget"]) for r in read(out)}
    for data, seed in itertools.product(sets, range(n_seeds)):
        todo = [
            (name, budget)
            for name in names
            for budget in (BUDGETS if name in WITH_BUDGET else (None,))
            if (data, seed, name, budget) not in done
        ]
        case, warm = Case(data, seed) if todo else None, set()
        for name, budget in todo:
            assert case is not None
            if name not in warm:
                warm.add(name)
                case.scores(name, budget or 1)
            t0 = time.perf_counter()
            scores = case.scores(name, budget or 1)
            seconds = time.perf_counter() - t0
            record = {
                "data": data,
                "seed": seed,
                "policy": name,
                "budget": budget,
                "n_pulls": int(scores.n_pulls) / case.n,
                "seconds": seconds,
                "loss": case.base,
                **case.judge(scores),
            }
            append(out, record)
            cost = f"regret {record['regret']:7.4f}  {seconds:8.4f} s  {record['n_pulls']:6.1f} pulls"
            print(f"{data:20s} {seed} {name:28s} {cost}", flush=True)


def table(records: list[dict]) -> str:
    """Regret by set, rises of the loss as a share of it, and seconds, for each name and budget; best regret first."""
    frame = pd.DataFrame(records)
    sets = list(dict.fromkeys(frame["data"]))
    rows = []
    for name in dict.fromkeys(frame["policy"]):
        own = frame[frame["policy"] == name]
        for budget in [b for b in BUDGETS if (own["budget"] == b).any()] or [None]:
            part = own if budget is None else own[own["budget"] == budget]
            mean = part.groupby("data")[["regret", "masked", "repaired", "seconds"]].mean()
            cells = [f"{mean.loc[s, 'regret']:.3f}" if s in mean.index else "-" for s in sets]
            loss = part.groupby("data")["loss"].mean()
            relative = (mean["repaired"] / loss).mean(), (mean["masked"] / loss).mean()
            rows.append(
                [
                    name,
                    "-" if budget is None else f"{budget:g}",
                    *cells,
                    f"{mean['regret'].mean():.3f}",
                    *(f"{100 * x:+.0f} %" for x in relative),
                    f"{1000 * part['seconds'].median():.0f}",
                ]
            )
    rows.sort(key=lambda row: float(row[-4]))
    return markdown(["policy", "pulls", *sets, "mean regret", "loss, repaired", "loss, masked", "ms"], rows)


def plot(records: list[dict], path: Path) -> None:
    """Regret against pulls, and against seconds, a row of panels each."""
    import matplotlib.pyplot as plt

    frame = pd.DataFrame(records)
    sets = list(dict.fromkeys(frame["data"]))
    names = list(dict.fromkeys(frame["policy"]))
    figure, axes = plt.subplots(2, len(sets), figsize=(4.6 * len(sets) + 2.4, 8.4), sharey=True, squeeze=False)
    colours = dict(zip(names, plt.get_cmap("turbo")(np.linspace(0.03, 0.97, len(names))), strict=True))
    for column, data in enumerate(sets):
        for row, x in enumerate(("n_pulls", "seconds")):
            ax = axes[row, column]
            for i, name in enumerate(names):
                part = frame[(frame["data"] == data) & (frame["policy"] == name)]
                part = part.fillna({"budget": 0}).groupby("budget")[["n_pulls", "seconds", "regret"]].mean()
                style = {"color": colours[name], "label": name, "marker": "osD^vP*X"[i % 8], "markersize": 5}
                # No pulls: at the left edge. Regret of nothing: at the bottom.
                at = np.maximum(part[x], 0.5) if x == "n_pulls" else part[x]
                ax.plot(at, np.maximum(part["regret"], 1e-4), linewidth=1.2, **style)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.grid(alpha=0.25)
            ax.set_xlabel("pulls per unit (left edge: none)" if x == "n_pulls" else "seconds")
            if row == 0:
                ax.set_title(data)
            if column == 0:
                ax.set_ylabel("set regret (1 = chance)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="center right", fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0, 1 - 2.2 / (4.6 * len(sets) + 2.4), 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection.networks", description=__doc__)
    parser.add_argument("--policies", nargs="+", default=list(NAMES), metavar="NAME", help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--dev", action="store_true", help="on the development sets instead of the report sets")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="data sets by name")
    parser.add_argument("--seeds", type=int, default=3, help="networks for each set (default: 3)")
    parser.add_argument("--out", type=Path, default=NEW / "networks.jsonl", metavar="FILE.jsonl")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of what is there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw regret against pulls and seconds")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.policies) - set(NAMES))
    if unknown:
        raise SystemExit(f"No policy {', '.join(unknown)}. There are: {', '.join(NAMES)}.")
    sets = args.sets or (DEVELOPMENT if args.dev else REPORT)
    if not args.table:
        if not datasets.available():
            raise SystemExit("The folder of public data sets is not there: set SKBANDIT_DATA.")
        run(sets, args.policies, args.seeds, args.out)
    records = [r for r in read(args.out) if r["data"] in sets and r["policy"] in args.policies]
    print(table(records))
    if args.plot:
        plot(records, args.plot)


if __name__ == "__main__":
    main()
