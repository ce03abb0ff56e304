"""Bandits on simulated damages: ``python -m benchmarks.selection.simulation``.

256 arms, of which the safest 128 (or 64) are wanted after a mean of 4, 8, 16 or 32 pulls per arm. True damages are
heavy-tailed, Gamma(0.35) with mean 1; a mini-batch adds noise of standard deviation sqrt(0.25 + damage), half of whose
variance is shared by all arms. *Set regret* is the summed true damage of the chosen arms over that of the best choice;
all that the policies differ in is the pulls, for the choice is by mean damage (or by what a policy has decided).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from benchmarks.common.records import NEW, append, read
from benchmarks.common.tables import markdown
from skbandit._core.rows import Batches
from skbandit.criteria import Problem, resolve
from skbandit.networks import Group, Groups, Slice
from skbandit.policies import POLICIES
from skbandit.pruning.scoring import arms_per_step, canonical

N_ARMS, WANTED, PULLS = 256, (128, 64), (4, 8, 16, 32)
#: Mini-batches that there are: so many that none comes back, and finiteness does not help.
N_BATCHES = 1024
SHARED = 0.5


@dataclasses.dataclass(frozen=True)
class Arms:
    """The damage of arm j on a mini-batch is ``params["damage"][j]`` plus the mini-batch's noise for it."""

    @property
    def groups(self) -> Groups:
        """One group."""
        return Groups([Group("arms", N_ARMS, [Slice("damage", 0)])])

    def damages(self, params, gates, emissions, X, y, weight, arms):
        """What a pull measures."""
        return jnp.where(arms, params["damage"] + weight @ X, 0)


def problem(seed: int, wanted: int, pulls: int) -> tuple[Problem, np.ndarray]:
    """Draw damages and noise; return them with the true damages."""
    rng = np.random.default_rng(seed)
    damage = rng.gamma(0.35, 1 / 0.35, N_ARMS)
    size = np.sqrt(0.25 + damage)
    shared, own = rng.standard_normal((N_BATCHES, 1)), rng.standard_normal((N_BATCHES, N_ARMS))
    noise = size * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)
    batches = Batches.partition(np.random.default_rng(0), noise, noise[:, :1], np.ones(N_BATCHES), "float32", 1)
    made = Problem(
        params={"damage": damage.astype("float32")},
        gates=(np.ones(N_ARMS, "float32"),),
        emissions=(np.zeros(N_ARMS, "float32"),),
        batches=batches,
        budget=np.int32(pulls * N_ARMS),
        n_remove=np.int32(wanted),
        room=np.array([N_ARMS - 1], np.int32),
        network=Arms(),
        arms_per_step=arms_per_step(N_ARMS),
    )
    return made, damage


@jax.jit
def _score(criterion, seed, problem):
    key = jax.random.key(seed)
    return criterion.step(key, criterion.init(key, problem), problem, jnp.ones(N_ARMS, bool))[1]


def run(names: list[str], n_seeds: int, out: Path) -> None:
    """Append a record for each policy, size of the choice, budget and seed that the file lacks."""
    done = {tuple(r[k] for k in ("policy", "wanted", "pulls", "seed")) for r in read(out)}
    for name in names:
        criterion, t0 = canonical(resolve(name)), time.perf_counter()
        for wanted, pulls, seed in itertools.product(WANTED, PULLS, range(n_seeds)):
            if (name, wanted, pulls, seed) in done:
                continue
            made, damage = problem(seed, wanted, pulls)
            scores = _score(criterion, seed, made)
            chosen = np.argsort(-np.asarray(scores.value), kind="stable")[:wanted]
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
