"""Bandits on simulated damages: ``python -m benchmarks.selection.simulation``.

256 units, of which the safest 128 (or 64) are wanted after a mean of 4, 8, 16 or 32 pulls each. True damages are heavy-
tailed, Gamma(0.35) with mean 1; a mini-batch adds noise of standard deviation sqrt(0.25 + damage), half of whose
variance is shared by all units. *Set regret* is the summed true damage of the chosen units over that of the best
choice; all that the policies differ in is the pulls, for the choice is by mean damage, or by what a policy has decided.

Mini-batches come in an order of the seed's, and a policy draws as in an estimator. The records that are kept had one
order for all seeds, and another generator: new ones agree with them in distribution, not seed by seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd

from benchmarks.common.records import NEW, append, read
from benchmarks.common.tables import markdown
from skbandit import rank_units
from skbandit.networks import Group, Groups, Slice
from skbandit.policies import POLICIES

N_UNITS, WANTED, PULLS = 256, (128, 64), (4, 8, 16, 32)
#: Mini-batches that there are: so many that none comes back, and finiteness does not help.
N_BATCHES = 1024
SHARED = 0.5


@dataclasses.dataclass(frozen=True)
class Simulated:
    """A network whose loss on a mini-batch is the sum of what its masked units cost there: damages and noise ``X``."""

    @property
    def groups(self) -> Groups:
        """One group."""
        return Groups([Group("units", N_UNITS, [Slice(("damage",), 0)])])

    def batch_loss(self, params, gates, emissions, X, y, weight):
        """Sum over the masked units."""
        return jnp.sum((1 - gates[0]) * (params["damage"] + weight @ X))

    def damages(self, params, gates, emissions, X, y, weight, arms):
        """What a pull measures."""
        return jnp.where(arms, params["damage"] + weight @ X, 0)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the true damages f[n_units], and the noise f[n_batches, n_units]."""
    rng = np.random.default_rng(seed)
    damage = rng.gamma(0.35, 1 / 0.35, N_UNITS)
    size = np.sqrt(0.25 + damage)
    shared, own = rng.standard_normal((N_BATCHES, 1)), rng.standard_normal((N_BATCHES, N_UNITS))
    return damage, size * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)


def run(names: list[str], n_seeds: int, out: Path) -> None:
    """Append a record for each policy, size of the choice, budget and seed that the file lacks."""
    done = {tuple(r[k] for k in ("policy", "wanted", "pulls", "seed")) for r in read(out)}
    for name in names:
        t0 = time.perf_counter()
        for wanted, pulls, seed in itertools.product(WANTED, PULLS, range(n_seeds)):
            if (name, wanted, pulls, seed) in done:
                continue
            damage, noise = drawn(seed)
            scores = rank_units(
                Simulated(),
                {"damage": damage},
                noise,
                np.zeros(N_BATCHES),
                policy=name,
                budget=pulls,
                pruning_ratio=wanted / N_UNITS,
                batch_size=1,
                random_state=seed,
            )
            chosen = np.argsort(-scores.value, kind="stable")[:wanted]
            record = {
                "policy": name,
                "wanted": wanted,
                "pulls": pulls,
                "seed": seed,
                "n_pulls": int(scores.n_pulls),
                "regret": float(damage[chosen].sum() - np.sort(damage)[:wanted].sum()),
            }
            append(out, record)
        print(f"{name:24s} {time.perf_counter() - t0:7.1f} s", flush=True)


def table(records: list[dict]) -> str:
    """Mean set regret ± its standard error over seeds, in Markdown, sorted by the mean rank over the columns."""
    frame = pd.DataFrame(records)
    by = frame.groupby(["policy", "wanted", "pulls"])["regret"]
    mean, error = by.mean().unstack(["wanted", "pulls"]), by.sem().unstack(["wanted", "pulls"])
    columns = [(m, t) for m in WANTED for t in PULLS]
    order = mean[columns].rank().mean(axis=1).sort_values().index
    rows = [[name, *(f"{mean.loc[name, c]:.2f} ± {error.loc[name, c]:.2f}" for c in columns)] for name in order]
    return markdown(["policy", *(f"m = {m}, T/N = {t}" for m, t in columns)], rows)


def main(argv: list[str] | None = None) -> None:
    names = [*POLICIES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection.simulation", description=__doc__)
    parser.add_argument("--policies", nargs="+", default=names, metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--seeds", type=int, default=60, help="(default: 60)")
    parser.add_argument("--out", type=Path, default=NEW / "simulation.jsonl", metavar="FILE.jsonl")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of what is there")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.policies) - set(names))
    if unknown:
        raise SystemExit(f"No policy {', '.join(unknown)}. There are: {', '.join(names)}.")
    if not args.table:
        run(args.policies, args.seeds, args.out)
    print(table([r for r in read(args.out) if r["policy"] in args.policies]))


if __name__ == "__main__":
    main()
